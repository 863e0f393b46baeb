"""A class on one machine: accounts with a printed sheet, a round, the house's bots, and a file played again."""
