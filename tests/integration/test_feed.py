"""The feed for other systems: what the worker adds is what the rows say, and a consumer misses nothing."""

from pathlib import Path

import orjson
import pytest
from kombu import Connection, Queue

from base.streams import amqp
from marketdata import depth_cache
from matching import feed, prepare
from matching.feed import ORDERS, TRADES, stream_key
from orders.models import Order
from tests.support.world import World
from tools.feed.consumer import Consumer, Entry, RefusedError


@pytest.fixture
def fed(world: World, settings) -> World:
    """The feed is on, nothing of another test is in Redis, and the operator may read it."""
    settings.FEED = True
    forget(world)
    world.play(world.bob, "sell 2 @ 100")
    world.play(world.bob, "sell 2 @ 101")
    world.play(world.alice, "buy 3 @ 101")
    return world


def forget(world: World) -> None:
    depth_cache.client().delete(*(stream_key(name, world.symbol) for name in (ORDERS, TRADES)))


def in_redis(world: World, name: str) -> list[dict]:
    """The entries of a stream, as REST gives them."""
    entries = depth_cache.client().xrange(stream_key(name, world.symbol))
    assert [key for key, _ in entries] == [fields[b"id"] + b"-0" for _, fields in entries]
    return [
        {"id": int(fields[b"id"]), "event": fields[b"event"].decode(), "data": orjson.loads(fields[b"data"])}
        for _, fields in entries
    ]


def by_rest(world: World, name: str, query: str = "") -> list[dict]:
    return world.staff.get(f"/feed/{name}/{world.symbol}{query}")


@pytest.mark.parametrize("name", [ORDERS, TRADES])
def test_redis_and_the_rows_tell_the_same(fed, name):
    entries = in_redis(fed, name)
    assert entries == by_rest(fed, name)
    assert by_rest(fed, name, f"?after={entries[0]['id']}&limit=1") == entries[1:2]
    assert by_rest(fed, name, f"?after={entries[-1]['id']}") == []


def test_a_trade_names_its_orders_and_the_trade_before(fed):
    placed = list(Order.objects.order_by("id").values_list("id", flat=True))
    first, second = (entry["data"] for entry in in_redis(fed, TRADES))
    assert (first["buyOrderId"], first["sellOrderId"], first["previous"]) == (placed[2], placed[0], 0)
    assert (second["sellOrderId"], second["previous"]) == (placed[1], first["sequence"])
    fed.play(fed.alice, "buy 1 @ 101")
    assert in_redis(fed, TRADES)[2]["data"]["previous"] == second["sequence"]


def test_it_is_for_operators_who_may(fed):
    for name in (ORDERS, TRADES):
        assert fed.alice.call("GET", f"/feed/{name}/{fed.symbol}").body["error"] == "STAFF_ONLY"
        assert fed.staff.call("GET", f"/feed/{name}/NOPE").body["error"] == "MARKET_NOT_FOUND"
        assert fed.staff.call("GET", f"/feed/{name}/{fed.symbol}?after=-1").body["error"] == "INVALID_CURSOR"


def test_it_is_capped_and_off_by_default(fed, settings):
    settings.FEED_LENGTH = 1
    for _ in range(150):
        fed.place(fed.alice, "buy 0.01 @ 50")
    fed.match()
    # Redis drops whole nodes of a hundred entries.
    assert len(in_redis(fed, ORDERS)) < 110
    settings.FEED = False
    fed.play(fed.alice, "buy 1 @ 101")
    assert len(in_redis(fed, TRADES)) == 2


# ------------------------------------------------------------------------------------------------- a consumer


class Followed:
    """A consumer with all that it handled."""

    def __init__(self, world: World, name: str, folder: Path) -> None:
        self.handled: list[int] = []
        self.world, self.name, self.folder = world, name, folder
        self.reads = 0
        self.start()

    def start(self) -> None:
        self.consumer = Consumer(
            f"{self.name}:{self.world.symbol}", depth_cache.client(), self.read_rows, self.handle, self.folder
        )

    def read_rows(self, after: int) -> list[Entry]:
        self.reads += 1
        return [Entry(*entry.values()) for entry in by_rest(self.world, self.name, f"?after={after}&limit=2")]

    def handle(self, entry: Entry) -> None:
        if entry.data.get("price") == "66":
            raise RefusedError("no such price")
        self.handled.append(entry.number)


@pytest.fixture(params=[ORDERS, TRADES])
def followed(fed, tmp_path, request) -> Followed:
    return Followed(fed, request.param, tmp_path)


def test_a_consumer_goes_on_from_its_last_number(fed, followed):
    followed.consumer.catch_up()
    fed.play(fed.alice, "buy 0.1 @ 101")
    before = followed.reads
    followed.consumer.follow(0.01)
    assert followed.reads == before, "all was in Redis"
    fed.play(fed.alice, "buy 0.2 @ 101")
    followed.start()
    followed.consumer.follow(0.01)
    assert followed.handled == [entry["id"] for entry in by_rest(fed, followed.name, "?limit=500")]


def test_what_redis_lacks_is_read_from_the_rows(fed, followed, monkeypatch):
    """The worker died after its commit, or Redis was flushed."""
    followed.consumer.catch_up()
    with monkeypatch.context() as lost:
        lost.setattr(prepare, "publish_updates", lambda *_, **__: None)
        fed.play(fed.alice, "buy 0.1 @ 101")
    fed.play(fed.alice, "buy 0.2 @ 101")
    followed.consumer.follow(0.01)
    forget(fed)
    fed.play(fed.alice, "buy 0.3 @ 101")
    forget(fed)
    followed.consumer.follow(0.01)
    assert followed.handled == [entry["id"] for entry in by_rest(fed, followed.name, "?limit=500")]


def test_what_the_handler_refuses_is_kept_as_a_dead_letter(fed, tmp_path):
    followed = Followed(fed, ORDERS, tmp_path)
    fed.play(fed.alice, "buy 1 @ 66")
    fed.play(fed.alice, "buy 1 @ 67")
    followed.consumer.catch_up()
    [letter] = map(orjson.loads, (tmp_path / f"orders-{fed.symbol}.dead-letters.jsonl").read_bytes().splitlines())
    assert (letter["data"]["price"], letter["error"]) == ("66", "no such price")
    assert len(followed.handled) == len(by_rest(fed, ORDERS, "?limit=500")) - 1


# ------------------------------------------------------------------------------------------------- RabbitMQ


def test_where_the_broker_is_rabbitmq_an_exchange_has_the_same(fed, settings):
    """kombu's broker in memory knows topics as RabbitMQ does."""
    settings.BROKER_URL, settings.IS_REDIS_BROKER = "memory://", False
    with Connection("memory://") as connection:
        queue = Queue("some", amqp.EXCHANGE, routing_key="trades.*")
        bound = queue(connection.channel())
        bound.declare()
        fed.play(fed.alice, "buy 0.1 @ 101")
        message = bound.get()
        assert message is not None and bound.get() is None
    entry = in_redis(fed, TRADES)[-1]
    assert orjson.loads(message.body) == entry["data"]
    assert message.headers == {"id": entry["id"], "event": entry["event"]}
    assert message.delivery_info["routing_key"] == f"trades.{fed.symbol}"
    amqp._producer.cache_clear()


def test_a_broker_that_is_away_costs_no_order(fed, settings):
    settings.BROKER_URL, settings.IS_REDIS_BROKER = "amqp://127.0.0.1:1//", False
    assert fed.play(fed.alice, "buy 0.1 @ 101")["status"] == "FILLED"
    assert feed.read_trades(fed.symbol, 0, 9)[-1].data["previous"] > 0
