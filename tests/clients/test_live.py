"""The Python client against a running exchange, with a network between them that loses things."""

import asyncio
import base64
import random
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from clients.python.clearbell import (
    AsyncClient,
    Client,
    Ed25519Key,
    Gap,
    HmacKey,
    Interrupted,
    NotFound,
    Opened,
    OrderBook,
    OrderUpdate,
    Password,
    Refused,
    Retry,
    TradesUpdate,
    limit,
    market,
)
from tests.clients.conftest import played
from tests.support.live import Live, wait_for
from tools.chaos.proxy import Proxy
from tools.rig.trader import PASSWORD


@pytest.fixture
def proxy(exchange):
    with Proxy("client", exchange.port, random.Random(1)) as between:
        yield between


def test_an_answer_that_is_lost_after_storing_leads_to_one_order(exchange: Live, connect, proxy):
    symbol = exchange.market()
    troubles = []

    def note(trouble):
        troubles.append(trouble)
        if len(troubles) == 2:
            proxy.heal()

    alice = connect("alice", url=f"http://127.0.0.1:{proxy.port}", retry=Retry(on_trouble=note), USD="1000")
    alice.me()
    proxy.lost_answers = 1.0
    order = limit(symbol, "BUY", "1", "100")
    accepted = alice.place(order)
    assert accepted.replayed and all(trouble.is_unknown for trouble in troubles)
    assert [each.order_id for each in alice.each_order()] == [accepted.order_id]
    # And the same object is the same order, whenever it is placed.
    assert alice.place(order).order_id == accepted.order_id


@pytest.mark.parametrize("over", ["events", "socket"])
def test_a_stream_that_is_cut_misses_nothing_and_doubles_nothing(exchange: Live, connect, proxy, over):
    symbol = exchange.market()
    alice, bob = connect("alice", USD="100000"), connect("bob", BTC="100")
    reader = Client(
        f"http://127.0.0.1:{proxy.port}",
        alice.conversations.credentials,
        trust_env=False,
        retry=Retry(first_pause=0.05),
    )
    updates: list[OrderUpdate] = []
    with reader, reader.order_events(over=over) as stream:
        assert isinstance(next(stream), Opened)
        for number in range(12):
            played(alice, limit(symbol, "BUY", "1", str(100 + number)))
            played(bob, market(symbol, "SELL", "0.5"))
            if number in (3, 7):
                proxy.cut()
        proxy.cut()
        last = played(alice, limit(symbol, "BUY", "1", "50"))
        for event in stream:
            updates += [event] if isinstance(event, OrderUpdate) else []
            if isinstance(event, OrderUpdate) and event.order.order_id == last.order_id:
                break
    steps = {step.event_id for order in alice.each_order() for step in alice.timeline(order.order_id, limit=500)}
    assert sorted(event.event_id for event in updates) == sorted(steps)
    fills = {fill.trade_id for fill in alice.each_fill()}
    assert sorted(event.trade.trade_id for event in updates if event.trade) == sorted(fills)


def test_a_reset_delivers_what_is_true_now(exchange: Live, connect):
    symbol = exchange.market()
    alice = connect("alice", USD="1000")
    order = played(alice, limit(symbol, "BUY", "1", "100"))
    with alice.order_events(position="of-another-exchange") as stream:
        gap = next(event for event in stream if isinstance(event, Gap))
        assert ([each.order_id for each in gap.orders], gap.since) == ([order.order_id], None)
        alice.cancel(order.order_id)
        update = next(event for event in stream if isinstance(event, OrderUpdate))
        assert (update.order.status, stream.position != "of-another-exchange") == ("CANCELLED", True)


def test_tokens_are_renewed_once_for_all_who_ask_at_once(exchange: Live, connect):
    alice = connect("alice")
    asked: list[str] = []
    alice.http.event_hooks["request"].append(lambda request: asked.append(request.url.path))
    alice.me()
    credentials = alice.conversations.credentials
    credentials.was_refused(
        Refused(401, "NOT_AUTHENTICATED", "", {"reason": "TOKEN_EXPIRED"}),
        {"Authorization": f"Bearer {credentials._session.access}"},
    )
    with ThreadPoolExecutor(8) as threads:
        assert len({user.user_id for user in threads.map(lambda _: alice.me(), range(8))}) == 1
    assert asked.count("/api/v1/auth/token") == asked.count("/api/v1/auth/token/refresh") == 1
    alice.sign_out(everywhere=True)
    # Its session is over: it signs in anew.
    assert alice.me().username == credentials.username


def test_keys_sign_requests_streams_and_sessions(exchange: Live, connect):
    symbol = exchange.market()
    alice = connect("alice", USD="1000")
    made = alice.make_key("hmac")
    private = Ed25519PrivateKey.generate()
    pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    public = Ed25519Key("", pem).public_key
    assert base64.b64decode(public)
    other = alice.make_key("ed25519", algorithm="ED25519", public_key=public)
    for key in (HmacKey(made.key_id, made.secret), Ed25519Key(other.key_id, pem)):
        with Client(exchange.url, key, trust_env=False) as bot:
            order = played(bot, limit(symbol, "BUY", "1", "100"))
            assert bot.orders(symbol=symbol, status="OPEN", limit=5)[0].order_id == order.order_id
            with bot.order_events() as stream:
                assert isinstance(next(stream), Opened)
            with bot.session() as session:
                assert session.cancel(order.order_id).order_id == order.order_id
            wait_for(lambda: bot.order(order.order_id).active, lambda active: not active)  # noqa: B023


def test_a_session_takes_its_orders_with_it(exchange: Live, connect):
    symbol = exchange.market()
    alice = connect("alice", USD="1000")
    accepted, stays = asyncio.run(_session(exchange.url, alice.conversations.credentials.username, symbol))
    closed = wait_for(lambda: alice.order(accepted.order_id), lambda order: not order.active)
    assert closed.status == "CANCELLED" and alice.order(stays.order_id).active


async def _session(url, username, symbol):
    async with AsyncClient(url, Password(username, PASSWORD), trust_env=False) as client:
        async with await client.session() as session:
            await session.cancel_on_disconnect()
            await session.subscribe("orders")
            order = limit(symbol, "BUY", "1", "100")
            accepted = await session.place(order)
            assert (await session.place(order)).replayed
            with pytest.raises(NotFound):
                await session.cancel(accepted.order_id + 10**9)
            await session.amend(accepted.order_id, price="99")
            async for message in session.messages():
                if message["data"].get("price") == "99":
                    break
        stays = await client.place(limit(symbol, "BUY", "1", "98"))
        async with client.order_events() as stream:
            opened = await anext(stream)
        assert {stays.order_id} <= {each.order_id for each in opened.orders}
        assert stays.order_id in {each.order_id async for each in client.each_order(symbol=symbol)}
    return accepted, stays


@pytest.mark.parametrize("over", ["events", "socket"])
def test_readers_that_stop_or_do_not_wait_lose_nothing(exchange: Live, connect, over):
    """A thread whose stream is closed by another ends; a task that waited with a timeout goes on where it was."""
    symbol = exchange.market()
    alice = connect("alice", USD="1000")
    stream = alice.order_events(over=over)
    assert isinstance(next(stream), Opened)
    reader = threading.Thread(target=lambda: list(stream))
    reader.start()
    stream.close()
    reader.join(5)
    assert not reader.is_alive()
    order = limit(symbol, "BUY", "1", "100")
    assert asyncio.run(_impatient(exchange.url, alice, order, over)) == ["OPEN"]


async def _impatient(url, user, order, over):
    credentials = Password(user.conversations.credentials.username, PASSWORD)
    async with AsyncClient(url, credentials, trust_env=False) as client, client.order_events(over=over) as stream:
        assert isinstance(await anext(stream), Opened)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(anext(stream), 0.05)
        await client.place(order)
        statuses = []
        while not statuses:
            news = await anext(stream)
            statuses += [news.order.status] if isinstance(news, OrderUpdate) else []
        return statuses


@pytest.mark.parametrize("over", ["events", "socket"])
def test_a_book_is_that_of_the_exchange_after_random_trading(exchange: Live, connect, proxy, over):
    symbol = exchange.market()
    alice, bob = connect("alice", USD="1000000"), connect("bob", BTC="10000")
    book, trades = OrderBook(symbol), set()
    dice = random.Random(5)

    def trade():
        for number in range(40):
            sell = dice.random() < 0.5
            price = 100 + dice.randrange(-40, 41) / 10
            order = limit(symbol, "SELL" if sell else "BUY", dice.randrange(1, 9), f"{price:.1f}")
            played(bob if sell else alice, order)
            if number == 20:
                proxy.cut()

    with Client(f"http://127.0.0.1:{proxy.port}", trust_env=False) as public:
        with public.market_events(symbol, over=over) as stream:
            assert isinstance(next(stream), Opened)
            trading = threading.Thread(target=trade)
            trading.start()
            interrupted = 0
            for news in stream:
                book.apply(news)
                interrupted += isinstance(news, Interrupted)
                trades |= {each.trade_id for each in news.trades} if isinstance(news, TradesUpdate) else set()
                if interrupted and not trading.is_alive() and not book.is_stale:
                    newest = alice.trades(symbol, limit=1)[0].trade_id
                    if newest in trades and book.agrees_with(alice.depth(symbol, limit=500)):
                        break
        assert not book.is_stale
        wanted = {each.trade_id for each in public.each_trade(symbol)}
        assert trades == wanted and len(wanted) > 5
