"""The naive twin: an exchange of one market, written from docs/api.md alone and sharing no code with the core.

Lists that are filtered and sorted again for every fill, and Decimals in two dictionaries. The twin is too slow to use
and too simple to be wrong: the engine must do the same. Tests compare both step by step, and a replay gives the twin
the commands of a stored market again.

Each file knows those above it: `orders` what there is, `funds` who owns what, `book` what rests and how an order ends,
`matching` a taker's way, `stops` what waits for a price, `auction` the one price at which a market opens, `exchange`
the commands.
"""

from audit.naive.exchange import NaiveExchange
from audit.naive.orders import BASE, QUOTE, ZERO, NaiveEvent, NaiveOrder, NaiveTrade

__all__ = ["BASE", "QUOTE", "ZERO", "NaiveEvent", "NaiveExchange", "NaiveOrder", "NaiveTrade"]
