"""A round as files: its commands, found in the stored rows, and played again by the core and by the naive twin.

Each file knows those above it: `commands` what a command is and how it is written, `core_player` and `twin_player` the
two who play them, `digest` by what two plays are compared, `archive` the file of a round, `replay` how it is played.
`recording` alone reads the database.
"""
