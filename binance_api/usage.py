"""What headers show of a client's use: the weight of its requests in this minute, its orders in ten seconds and a day.

The figures are those of all processes together, counted in Redis. They limit nothing: what is refused is
refused by the rate limit of all other calls. While Redis is away there are no such headers.
"""

import time
from collections.abc import Sequence

from base.storage.scripts import run_script

MINUTE, TEN_SECONDS, DAY = 60, 10, 86_400
USED_WEIGHT = "X-MBX-USED-WEIGHT-1M"
ORDER_COUNTS = {"X-MBX-ORDER-COUNT-10S": TEN_SECONDS, "X-MBX-ORDER-COUNT-1D": DAY}
_PREFIX = "exchange:used:"
# Add to each of the keys, and return what it is then; by nothing, where it is only asked for.
_SCRIPT = """
local found = {}
for number, key in ipairs(KEYS) do
    if tonumber(ARGV[1]) > 0 then
        found[number] = redis.call('INCRBY', key, ARGV[1])
        redis.call('EXPIRE', key, ARGV[number + 1])
    else
        found[number] = tonumber(redis.call('GET', key) or 0)
    end
end
return found
"""


def add_weight(who: str, weight: int) -> dict[str, str]:
    """Count a request of so much, and return the header that says how much it is by now."""
    counted = _count("weight", who, (MINUTE,), weight)
    return {USED_WEIGHT: str(counted[0])} if counted else {}


def add_orders(user_id: int, orders: int) -> dict[str, str]:
    """Count new orders, and return the headers that say how many these are by now."""
    counted = _count("orders", str(user_id), tuple(ORDER_COUNTS.values()), orders)
    return dict(zip(ORDER_COUNTS, map(str, counted), strict=True)) if counted else {}


def order_counts(user_id: int) -> list[int]:
    """How many orders these ten seconds and this day have seen; none where that is not known."""
    return _count("orders", str(user_id), tuple(ORDER_COUNTS.values()), 0)


def _count(what: str, who: str, windows: Sequence[int], number: int) -> list[int]:
    now = int(time.time())
    keys = [f"{_PREFIX}{what}:{who}:{seconds}:{now // seconds}" for seconds in windows]
    # Longer than its window, because clocks differ.
    lives = [seconds + MINUTE for seconds in windows]
    found = run_script(_SCRIPT, keys, [number, *lives], failure="Redis does not count what clients use")
    return [int(each) for each in found or ()]
