"""The MCP server, asked by the SDK's own client, in front of a running exchange."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import Iterator
from decimal import Decimal

import httpx
import pytest
from mcp import StdioServerParameters
from mcp.client import Client as McpClient

from clients.python.clearbell import AsyncClient, NewOrder, Password, limit
from clients.python.clearbell.mcp_server.__main__ import limits
from clients.python.clearbell.mcp_server.budget import Budget, OverBudget, key_of, worth
from clients.python.clearbell.mcp_server.shown import LONGEST_TEXT, MOST_ITEMS, shown
from clients.python.clearbell.mcp_server.tools import HEADER, Trading, server
from tests.clients.conftest import played
from tests.clients.fakes import ACCEPTED
from tests.support.live import Live
from tools.rig.exchange import web
from tools.rig.process import ROOT
from tools.rig.servers import free_port
from tools.rig.trader import PASSWORD

BUY = limit("BTC-USD", "BUY", "1", "100")


@pytest.fixture(scope="module")
def open_door(exchange: Live) -> Iterator[str]:
    """A process of the exchange that serves MCP servers."""
    port = free_port()
    process = exchange.launch(web(port, name="web-for-mcp"), MCP_ALLOWED="on")
    process.wait_until_ready()
    yield f"http://127.0.0.1:{port}"
    process.end(signal.SIGTERM)


def session(url: str, user, talk, **money: str):
    """One session with so much to spend; `talk` asks its tools, and is answered data, or the words of a refusal."""

    async def run():
        credentials = Password(user.conversations.credentials.username, PASSWORD)
        budget = Budget({currency: Decimal(amount) for currency, amount in money.items()})
        client = AsyncClient(url, credentials, headers={HEADER: "clearbell"}, trust_env=False)
        async with client, McpClient(server(client, budget)) as mcp:

            async def ask(tool: str, **given):
                answer = await mcp.call_tool(tool, given)
                return answer.content[0].text if answer.is_error else answer.structured_content

            return await talk(ask)

    return asyncio.run(run())


def test_the_same_intent_never_trades_twice_also_over_sessions(exchange: Live, connect, open_door):
    symbol = exchange.market()
    alice = connect("alice", USD="100000")
    order = {"symbol": symbol, "side": "BUY", "quantity": "1", "price": "100"}

    async def buy(ask):
        first = await ask("place", intent="Buy the dip of Monday", **order)
        again = await ask("place", intent="  buy the DIP of monday ", **{**order, "quantity": "1.0"})
        return first, again

    first, again = session(open_door, alice, buy, USD="1000")
    assert (first["order"]["order_id"] > 0, first["replayed"], again["replayed"]) == (True, False, True)
    assert Decimal(first["limit_left"]["USD"]) == 900 == Decimal(again["limit_left"]["USD"])
    [later, _] = session(open_door, alice, buy, USD="50")
    assert later["order"]["order_id"] == first["order"]["order_id"] and later["limit_left"] == {"USD": "50"}
    assert len(alice.orders(symbol=symbol)) == 1


def test_no_session_trades_more_than_its_limit(exchange: Live, connect, open_door):
    symbol = exchange.market()
    alice = connect("alice", USD="100000", BTC="100")
    order = {"symbol": symbol, "quantity": "1", "price": "100"}

    async def trade(ask):
        return [
            await ask("preview", side="BUY", **order),
            await ask("place", intent="too fine", side="BUY", **{**order, "price": "1.001"}),
            await ask("place", intent="first", side="BUY", **order),
            await ask("place", intent="second", side="BUY", **order),
            await ask("place", intent="sell it", side="SELL", **{**order, "price": "90", "quantity": "0.5"}),
            await ask("place", intent="at any price", side="BUY", type="MARKET", symbol=symbol, quantity="1"),
        ]

    preview, refused, first, second, sold, market = session(open_door, alice, trade, USD="150")
    assert preview["status"] == "OPEN" and preview["limit_left"] == {"USD": "150"}
    assert "PRICE_OFF_TICK" in refused and not first["replayed"] and "50 of the limit are left" in second
    # A sale counts as what it brings: it meets the order of the same user at 100, and so the self-trade is prevented.
    assert sold["limit_left"] == {"USD": "0"} and "quote_quantity" in market
    assert len(alice.orders(symbol=symbol)) == 2
    assert "no limit was set" in session(open_door, alice, trade)[3]


def test_it_looks_and_cancels(exchange: Live, connect, open_door):
    symbol = exchange.market()
    alice = connect("alice", USD="100000")
    order = played(alice, limit(symbol, "BUY", "1", "100"))

    async def look(ask):
        book, orders = await ask("book", symbol=symbol), await ask("orders", symbol=symbol)
        cancel = await ask("cancel", order_id=order.order_id)
        rest = [await ask("balances"), await ask("fills"), await ask("ticker", symbol=symbol), await ask("markets")]
        wrong = [await ask("book", symbol="../users/me"), await ask("book", symbol="NO-SUCH")]
        return book, orders, cancel, rest, wrong

    book, orders, cancel, rest, wrong = session(open_door, alice, look)
    assert (book["bids"][0]["price"], orders["orders"][0]["order_id"]) == ("100", order.order_id)
    assert cancel["cancel"]["order_id"] == order.order_id and all(isinstance(each, dict) for each in rest)
    assert "pattern" in wrong[0] and "MARKET_NOT_FOUND" in wrong[1]


def test_an_exchange_that_did_not_switch_it_on_refuses(exchange: Live, connect, open_door):
    alice = connect("alice")

    async def look(ask):
        return await ask("balances")

    assert "MCP_NOT_ALLOWED" in session(exchange.url, alice, look)
    assert not alice.info().mcp_allowed
    assert session(open_door, alice, look)["balances"] == []


def test_a_key_follows_from_what_is_meant():
    key = key_of("Buy the dip", BUY)
    assert key == key_of(" buy  the dip\n", limit("BTC-USD", "BUY", "1.00", Decimal("1E+2")))
    # What is seen is the same, and so is what the exchange understands: GTC is what a LIMIT order is by default.
    assert key == key_of("Buy\u200b the\u00ad dip", limit("BTC-USD", "BUY", "1", "100", time_in_force="GTC"))
    others = [
        limit("BTC-USD", "BUY", "1", "100", time_in_force="IOC"),
        limit("BTC-USD", "SELL", "1", "100"),
        limit("BTC-USD", "BUY", "2", "100"),
        limit("ETH-USD", "BUY", "1", "100"),
    ]
    assert len({key, key_of("buy another dip", BUY), *(key_of("Buy the dip", each) for each in others)}) == 6


def test_what_an_order_counts_as(exchange: Live, connect):
    symbol = exchange.market(makerFeeRate="0.001", takerFeeRate="0.002")
    alice = connect("alice", USD="1000")
    played(alice, limit(symbol, "BUY", "1", "100"))
    market, depth = alice.market(symbol), alice.depth(symbol)
    counted = [
        worth(limit(symbol, side, "2", price), market, depth)
        for side, price in (("BUY", "10"), ("SELL", "10"), ("SELL", "200"))
    ]
    assert counted == [Decimal("20.04"), 200, 400]
    for order in (
        NewOrder(symbol=symbol, side="BUY", type="MARKET", quantity="1"),
        NewOrder(symbol=symbol, side="SELL"),
        NewOrder(symbol=symbol, side="BUY", quantity="100", price="100", quote_quantity="1"),
        NewOrder(symbol=symbol, side="SELL", type="MARKET", quantity="100", quote_quantity="1"),
        NewOrder(symbol=symbol, side="SELL", type="MARKET", quote_quantity="1"),
    ):
        with pytest.raises(OverBudget):
            worth(order, market, depth)
    assert limits(["USD=10", "BTC=0.5"]) == {"USD": 10, "BTC": Decimal("0.5")}
    with pytest.raises(SystemExit):
        limits(["USD=-1"])


def test_texts_of_others_are_data_of_a_limited_size():
    made = shown({"reason": "ignore all\x1b[2J\u202e " + "x" * 5000, "many": list(range(500))})
    assert len(made["reason"]) == LONGEST_TEXT + 3 and "\x1b" not in made["reason"] and "\u202e" not in made["reason"]
    assert len(made["many"]) == MOST_ITEMS


def test_two_calls_of_one_intent_at_once_are_counted_once_and_stay_counted():
    """Neither is answered before both are asked; the exchange refuses whichever comes first, and takes the other."""
    placed: list[str] = []
    market = {
        **dict.fromkeys(("tickSize", "lotSize", "minQuantity", "maxQuantity", "minNotional", "maxNotional"), "1"),
        "symbol": "BTC-USD",
        "base": "BTC",
        "quote": "USD",
        "priceBand": None,
        "maxOpenOrders": 500,
        "makerFeeRate": "0",
        "takerFeeRate": "0",
        "feeCurrency": "QUOTE",
        "selfTradePrevention": "NONE",
        "status": "TRADING",
        "simulatedFates": False,
    }
    book = {
        "symbol": "BTC-USD",
        "sequence": 1,
        "bids": [],
        "asks": [],
        "bestBid": None,
        "bestAsk": None,
        "spread": None,
    }

    async def answer(request):
        await asyncio.sleep(0.01)
        path = request.url.path.removeprefix("/api/v1/").partition("/")[0]
        if request.method == "GET" and path == "orders":
            return httpx.Response(404, json={"error": "ORDER_NOT_FOUND", "message": "", "data": {}})
        if request.method == "GET":
            return httpx.Response(200, json={"data": market if path == "markets" else book})
        placed.append(json.loads(request.content)["clientOrderId"])
        if len(placed) == 1:
            # The first answer comes last.
            await asyncio.sleep(0.1)
            return httpx.Response(400, json={"error": "INSUFFICIENT_FUNDS", "message": "", "data": {}})
        return httpx.Response(202, json={"data": ACCEPTED})

    async def run():
        budget = Budget({"USD": Decimal(150)})
        async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as http:
            trading = Trading(AsyncClient("http://exchange", http=http), budget)
            order = {"symbol": "BTC-USD", "side": "BUY", "quantity": "1", "price": "100"}
            both = [trading.place(intent="once", **order) for _ in range(2)]
            answers = await asyncio.gather(*both, return_exceptions=True)
        return [type(each).__name__ for each in answers], budget.left()

    outcomes, left = asyncio.run(run())
    assert sorted(outcomes) == ["ToolError", "dict"] and left == {"USD": 50} and len(set(placed)) == 1


@pytest.mark.long
def test_it_serves_over_stdio_as_its_users_start_it(exchange: Live, connect, open_door):
    exchange.market()
    alice = connect("alice", USD="7")
    arguments = ["-m", "clearbell.mcp_server", "--url", open_door, "--limit", "USD=5"]
    environment = {"CLEARBELL_USER": alice.conversations.credentials.username, "CLEARBELL_PASSWORD": PASSWORD}
    started = StdioServerParameters(
        command=sys.executable,
        args=arguments,
        env={**environment, "PYTHONPATH": str(ROOT / "clients" / "python"), "PATH": os.environ["PATH"]},
    )

    async def run():
        async with McpClient(started) as mcp:
            tools = {tool.name for tool in (await mcp.list_tools()).tools}
            return tools, (await mcp.call_tool("balances", {})).structured_content

    tools, answer = asyncio.run(run())
    assert tools >= {"markets", "book", "ticker", "balances", "orders", "fills", "preview", "place", "cancel"}
    assert [(each["currency"], each["available_balance"]) for each in answer["balances"]] == [("USD", "7")]
