"""The step that times an order by each way: its users, its key, and what they buy."""

from collections.abc import Callable

from base.web.keys.scopes import Scope
from core.money import plain_units
from tools.bench.exchange import Exchange
from tools.bench.flow import MIDDLE
from tools.bench.load import access_token
from tools.bench.report import Row
from tools.bench.stage import LOT, TICK, Stage
from tools.bench.ways import Ways, median_and_slowest
from tools.rig.trader import Trader
from users.api_keys import KeyTerms, make_key
from users.models import User

# Of each way; the first ones open connections and fill caches.
WAYS_TIMED, WARM_UP = 500, 20
# Of what is sold, more lots for each turn than there are ways.
SHARE = 10
Progress = Callable[[str], None]


def measure_ways(exchange: Exchange, stage: Stage, count: int, progress: Progress) -> list[Row]:
    """All by the process that serves streams, which alone can wait for an outcome. Raises LoadError."""
    exchange.start_matching()
    maker, taker = stage.users[:2]
    price = plain_units(MIDDLE * TICK)
    _sell(exchange, stage, maker, price, SHARE * (count + WARM_UP))
    account = User.objects.get(pk=taker)
    key, secret = make_key(taker, account.stamp, KeyTerms("the benchmark", [Scope.TRADE]))
    assert secret is not None
    order = {"price": price, "quantity": plain_units(LOT)}
    with Ways(exchange.stream_port, stage.symbol, order, access_token(taker), (key.key_id, secret)) as ways:
        ways.measure(WARM_UP)
        progress(f"{count} orders by each way")
        times = ways.measure(count)
    rows = []
    for name, each in times.items():
        median, slowest = median_and_slowest(each)
        rows += [Row(f"{name}, median", median, "ms"), Row(f"{name}, 99th percentile", slowest, "ms")]
    return rows


def _sell(exchange: Exchange, stage: Stage, maker: int, price: str, lots: int) -> None:
    """More than all ways together buy, at one price."""
    url = f"http://127.0.0.1:{exchange.stream_port}"
    trader = Trader.with_token(url, maker, "maker", access_token(maker))
    body = {"symbol": stage.symbol, "side": "SELL", "type": "LIMIT", "price": price}
    trader.call("POST", "/orders?wait=2000", {**body, "quantity": plain_units(LOT * lots)}).raise_for_status()
