"""Snapshots of books: what rests in a large book, packed, so that a worker need not read a million rows when it starts.

- `parts` packs the orders of neighbouring levels, a thousand or so, and unpacks them level by level when needed.
- `recording` stores a snapshot now and then, in a process of its own, without a lock.
- `restoring` builds a market from the newest snapshot, brings it forward by the orders with later events, and compares
  it with the rows. Where anything is missing or differs the worker reads the rows, which are the truth.
"""
