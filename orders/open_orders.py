"""How many open orders each user has in each market, which a market limits.

The numbers are rows, because a limit that is checked by counting could be passed by requests that run in parallel.
Intake counts an order in the transaction that stores it, and the worker takes it off in the one that closes it. Both do
so last of all, after they have locked balances, so that the two never wait for each other.
"""

import logging
from collections.abc import Mapping
from typing import NamedTuple

from django.db import connection
from django.db.models import Count

from base.storage.bulk import Additions, update_rows, write_additions
from base.storage.indexes import lock_pairs
from base.storage.literals import Dialect
from base.storage.statements import GuardFailed, Statement
from base.web.errors import TooManyOpenOrders
from core.types import ACTIVE_PHASES
from orders.models import OpenOrders, Order

logger = logging.getLogger(__name__)

# Symbol and user id.
Key = tuple[str, int]

_RAISE = "UPDATE open_orders SET number = number + %s WHERE market_id = %s AND user_id = %s AND number <= %s"
# The index along which the numbers are locked.
_BY_PAIR = "open_orders_market_user"


class _Counted(NamedTuple):
    """A row, locked."""

    id: int
    number: int


def count_opened(opened: Mapping[Key, int], most: Mapping[str, int]) -> None:
    """Count the orders that the caller's transaction stores. `most`: how many a user may have, by symbol.

    Raises GuardFailed if a user would have more. The caller must roll its transaction back then.
    """
    for key, number in sorted(opened.items()):
        limit = most[key[0]]
        if not _raise(key, number, limit) and (_exists(key) or not _make_and_raise(key, number, limit)):
            raise GuardFailed(f"user {key[1]} would have more than {limit} open orders in {key[0]}")


def lock_numbers(opened: Mapping[Key, int], most: Mapping[str, int]) -> dict[Key, int]:
    """How many open orders each user has in the market, locked until the caller's transaction ends.

    Where the orders to open would not all fit, the user's are counted anew, so that none is refused because of a number
    that is too large. Where there is no row yet none is made, because all of them may be refused, and `count_opened` is
    exact without it.
    """
    found = _locked(set(opened))
    numbers = {key: found[key].number if key in found else 0 for key in opened}
    for (symbol, user_id), row in found.items():
        if row.number + opened[symbol, user_id] > most[symbol]:
            number = numbers[symbol, user_id] = _count(symbol, [user_id])[user_id]
            if number != row.number:
                _log_miscounted(symbol, [user_id])
                OpenOrders.objects.filter(id=row.id).update(number=number)
    return numbers


def write_closed(symbol: str, closed: Mapping[int, int], to: Dialect) -> list[Statement]:
    """Take the orders off that the caller's transaction closes, by user. `count_anew` has to follow."""
    rows = [(symbol, user_id, -number) for user_id, number in sorted(closed.items())]
    return write_additions(to, Additions(OpenOrders, _BY_PAIR, ("market", "user"), ("number",)), rows)


def count_anew(symbol: str, closed: Mapping[int, int], taken_off: int) -> None:
    """Count anew if the closed orders could be taken off for fewer users than have closed some.

    A number that is too small for that is wrong. It limits what a user may do, and must never be the reason why an
    order cannot be settled. It is not known whose was wrong, and those of the others are changed already: all are
    counted, which is exact.
    """
    if taken_off < len(closed):
        _count_anew(symbol, sorted(closed))


def too_many(symbol: str, number: int, most: int) -> TooManyOpenOrders:
    """The refusal of an order of a user who has so many open orders."""
    return TooManyOpenOrders(
        f"{number} orders are open in {symbol}, and no more than {most} may be",
        symbol=symbol,
        openOrders=number,
        maxOpenOrders=most,
    )


def _count_anew(symbol: str, user_ids: list[int]) -> None:
    """Set the numbers to what the orders' rows say, under the locks of the numbers."""
    rows = _lock({(symbol, user_id) for user_id in user_ids})
    counted = _count(symbol, user_ids)
    wrong = [user_id for user_id in user_ids if rows[symbol, user_id].number != counted[user_id]]
    if wrong:
        _log_miscounted(symbol, wrong)
    values = [(rows[symbol, user_id].id, counted[user_id]) for user_id in wrong]
    update_rows(OpenOrders, key="id", guards=(), fields=("number",), rows=values)


def _log_miscounted(symbol: str, user_ids: list[int]) -> None:
    logger.error("the open orders of users %s in %s were miscounted, and are counted anew", user_ids, symbol)


def _raise(key: Key, number: int, most: int) -> bool:
    with connection.cursor() as cursor:
        # In SQL, because every order needs it.
        cursor.execute(_RAISE, (number, *key, most - number))
        return bool(cursor.rowcount)


def _exists(key: Key) -> bool:
    return OpenOrders.objects.filter(market_id=key[0], user_id=key[1]).exists()


def _make_and_raise(key: Key, number: int, most: int) -> bool:
    """The user's first order in the market. Of two at the same moment the second waits for the row of the first."""
    _make({key})
    return _raise(key, number, most)


def _make(keys: set[Key]) -> None:
    new = [OpenOrders(market_id=symbol, user_id=user_id) for symbol, user_id in sorted(keys)]
    OpenOrders.objects.bulk_create(new, ignore_conflicts=True)


def _lock(keys: set[Key]) -> dict[Key, _Counted]:
    """The rows, locked one after the other in the order of the index, and made where there are none yet."""
    found = _locked(keys)
    if missing := keys - found.keys():
        _make(missing)
        found = _locked(keys)
    return found


def _locked(keys: set[Key]) -> dict[Key, _Counted]:
    """The rows that exist, locked in (market, user) order."""
    rows = lock_pairs("open_orders", _BY_PAIR, ("market_id", "user_id"), "id, number", keys)
    return {(symbol, user_id): _Counted(row_id, number) for symbol, user_id, row_id, number in rows}


def _count(symbol: str, user_ids: list[int]) -> dict[int, int]:
    """How many orders of the users are open, by the orders' rows as the caller's transaction sees them."""
    orders = Order.objects.filter(market_id=symbol, user_id__in=user_ids, phase__in=ACTIVE_PHASES)
    counted = dict(orders.order_by().values_list("user_id").annotate(Count("id")))
    return {user_id: counted.get(user_id, 0) for user_id in user_ids}
