"""The class of clients/ccxt, sync and async, on a quiet market: what only the native API has among it."""

import asyncio
import sys

import ccxt
import clearbell_ccxt
from checks import Checks, Place, refused, same, wait_for

PLACE = Place()
SYMBOL = PLACE.symbol


def settings(key: str, secret: str) -> dict:
    named = {"apiKey": key, "secret": secret, "urls": {"api": {"rest": PLACE.url}}}
    return {**named, "enableRateLimit": not PLACE.is_unlimited}


def main() -> int:
    clearbell_ccxt.register()
    checks = Checks("ccxt, our native class", ccxt.__version__)
    mine = ccxt.clearbell(settings(PLACE.key, PLACE.secret))
    other = ccxt.clearbell(settings(PLACE.other_key, PLACE.other_secret))
    _read(checks, mine)
    _trade(checks, mine, other)
    _rest(checks, mine)
    _refusals(checks, mine)
    asyncio.run(_asynchronous(checks))
    return checks.end()


def _read(checks: Checks, mine: ccxt.Exchange) -> None:
    with checks.call("load_markets"):
        market = mine.load_markets()[SYMBOL]
        same(market, id=PLACE.market, base=SYMBOL.split("/")[0], active=True, spot=True)
        same(market["precision"], price=0.01, amount=0.0001)
        assert market["limits"]["amount"]["min"] == 0.0001
    with checks.call("fetch_currencies"):
        assert mine.fetch_currencies()["USD"]["precision"] == 1e-8
    with checks.call("fetch_time"):
        assert abs(mine.fetch_time() - mine.milliseconds()) < 5_000
    with checks.call("fetch_balance"):
        balance = mine.fetch_balance()["USD"]
        assert balance["total"] == balance["free"] + balance["used"] > 0
    with checks.call("fetch_trading_fees"):
        fee = mine.fetch_trading_fee(SYMBOL)
        assert fee["symbol"] == SYMBOL and fee["taker"] >= 0
        assert SYMBOL in mine.fetch_trading_fees()


def _trade(checks: Checks, mine: ccxt.Exchange, other: ccxt.Exchange) -> None:
    mine.cancel_all_orders(SYMBOL)
    other.cancel_all_orders(SYMBOL)
    with checks.call("create_order limit, fetch_order_book"):
        resting = other.create_limit_sell_order(SYMBOL, 0.5, 100)
        same(resting, status="open", amount=0.5, price=100.0, filled=0.0, side="sell", type="limit", symbol=SYMBOL)
        book = mine.fetch_order_book(SYMBOL)
        assert book["asks"][0][:2] == [100.0, 0.5] and book["nonce"] > 0
    with checks.call("create_order ioc"):
        taken = mine.create_order(SYMBOL, "limit", "buy", 0.2, 100, {"timeInForce": "IOC"})
        same(taken, status="closed", filled=0.2, average=100.0, cost=20.0, timeInForce="IOC")
    with checks.call("create_market_buy_order_with_cost"):
        bought = mine.create_market_buy_order_with_cost(SYMBOL, 10)
        same(bought, status="closed", filled=0.1, cost=10.0)
    with checks.call("fetch_my_trades, with fees"):
        fill = mine.fetch_my_trades(SYMBOL, limit=1)[0]
        same(fill, order=bought["id"], side="buy", takerOrMaker="taker", price=100.0, amount=0.1)
        assert fill["fee"]["currency"] == SYMBOL.split("/")[0]
        assert [each["id"] for each in mine.fetch_order_trades(bought["id"])] == [fill["id"]]
    with checks.call("fetch_trades"):
        assert mine.fetch_trades(SYMBOL, limit=1)[0]["side"] == "buy"
        since = mine.parse8601(bought["datetime"]) - 60_000
        assert len(mine.fetch_trades(SYMBOL, since=since)) >= 2
    with checks.call("fetch_ohlcv"):
        candle = mine.fetch_ohlcv(SYMBOL, "1d", limit=1)[0]
        assert candle[4] == 100.0 and candle[5] >= 0.3
    with checks.call("fetch_ticker, fetch_tickers, fetch_bids_asks"):
        same(mine.fetch_ticker(SYMBOL), last=100.0, ask=100.0)
        assert mine.fetch_tickers([SYMBOL])[SYMBOL]["last"] == mine.fetch_bids_asks()[SYMBOL]["last"] == 100.0
    with checks.call("create_order post only, refused"):
        same(mine.create_order(SYMBOL, "limit", "buy", 0.1, 100, {"postOnly": True}), status="rejected")
    with checks.call("create_order fill or kill, refused"):
        same(mine.create_order(SYMBOL, "limit", "buy", 5, 100, {"timeInForce": "FOK"}), status="expired", filled=0.0)
    with checks.call("a repetition with the same clientOrderId"):
        named = {"clientOrderId": f"again-{mine.milliseconds()}"}
        first = mine.create_limit_buy_order(SYMBOL, 0.1, 50, named)
        assert mine.create_limit_buy_order(SYMBOL, 0.1, 50, named)["id"] == first["id"]
        assert mine.fetch_order(None, SYMBOL, named)["id"] == first["id"]
        with refused(ccxt.DuplicateOrderId):
            mine.create_limit_buy_order(SYMBOL, 0.2, 50, named)
        same(mine.cancel_order(None, SYMBOL, named), id=first["id"], status="canceled")


def _rest(checks: Checks, mine: ccxt.Exchange) -> None:
    """What only the native API has, and orders that wait."""
    with checks.call("create_order stop loss, take profit and their limit forms"):
        for kind, price in (("market", None), ("limit", 39)):
            stop = mine.create_order(SYMBOL, kind, "sell", 0.01, price, {"stopLossPrice": 40})
            same(stop, status="open", stopLossPrice=40.0, type=kind, price=None if price is None else 39.0)
            profit = mine.create_order(SYMBOL, kind, "sell", 0.01, 400 if price else None, {"takeProfitPrice": 400})
            same(profit, status="open", takeProfitPrice=400.0, type=kind)
    with checks.call("create_trailing_amount_order"):
        trailing = mine.create_trailing_amount_order(SYMBOL, "market", "sell", 0.01, None, 10)
        assert trailing["info"]["type"] == "TRAILING_STOP" and trailing["stopLossPrice"] is not None
    with checks.call("iceberg"):
        iceberg = mine.create_limit_sell_order(SYMBOL, 0.05, 300, {"icebergAmount": 0.01})
        assert iceberg["info"]["displayQuantity"] == "0.01"
    with checks.call("good till a date"):
        until = mine.milliseconds() + 60_000
        mine.create_limit_buy_order(SYMBOL, 0.1, 40, {"timeInForce": "GTD", "expiresAt": until})
    with checks.call("edit_order keeps the id"):
        order = mine.create_limit_buy_order(SYMBOL, 0.1, 41)
        same(mine.edit_order(order["id"], SYMBOL, "limit", "buy", 0.2, 42), id=order["id"], price=42.0, amount=0.2)
    with checks.call("fetch_open_orders"):
        assert {each["status"] for each in mine.fetch_open_orders(SYMBOL)} == {"open"}
        assert len(mine.fetch_open_orders(SYMBOL)) == 8
    with checks.call("dead man's switch"):
        assert mine.cancel_all_orders_after(3_600_000)["triggerTime"] > mine.milliseconds()
        assert mine.cancel_all_orders_after(0)["triggerTime"] is None
    with checks.call("create_orders, cancel_orders"):
        each = {"symbol": SYMBOL, "type": "limit", "side": "buy", "amount": 0.01}
        placed = mine.create_orders([{**each, "price": 30}, {**each, "price": 31}, {**each, "price": 31.001}])
        ids = [order["id"] for order in placed]
        assert len(set(ids)) == 3, placed
        assert len(mine.cancel_orders(ids)) == 3
        wait_for(lambda: mine.fetch_order(ids[0]), lambda found: found["status"] == "canceled")
    with checks.call("preview"):
        body = {"symbol": PLACE.market, "side": "BUY", "type": "MARKET", "quantity": "0.01"}
        assert mine.private_post_orders_preview(body)["data"]["errors"] == []
    with checks.call("one cancels the other"):
        body = {"symbol": PLACE.market, "side": "SELL", "quantity": "0.01", "price": "200", "stopPrice": "50"}
        assert len(mine.private_post_orders_oco(body)["data"]["orders"]) == 2
    with checks.call("place in the queue"):
        behind = mine.create_limit_buy_order(SYMBOL, 0.01, 40)
        assert mine.private_get_orders_orderid_queue({"orderId": behind["id"]})["data"]["ahead"] == "0.3"
    with checks.call("cancel_all_orders"):
        mine.cancel_all_orders(SYMBOL)
        wait_for(lambda: mine.fetch_open_orders(SYMBOL), lambda found: found == [])
    with checks.call("fetch_closed_orders, fetch_orders"):
        assert all(order["status"] != "open" for order in mine.fetch_closed_orders(SYMBOL))
        assert len(mine.fetch_orders(SYMBOL, limit=3)) == 3


def _refusals(checks: Checks, mine: ccxt.Exchange) -> None:
    for name, kind, attempt in (
        ("InsufficientFunds", ccxt.InsufficientFunds, lambda: mine.create_limit_buy_order(SYMBOL, 1_000_000, 1_000)),
        ("InvalidOrder", ccxt.InvalidOrder, lambda: mine.create_limit_buy_order(SYMBOL, 0.0001, 0)),
        ("BadSymbol", ccxt.BadSymbol, lambda: mine.public_get_ticker_symbol({"symbol": "NO-SUCH"})),
        ("OrderNotFound", ccxt.OrderNotFound, lambda: mine.fetch_order("999999999")),
        ("AuthenticationError", ccxt.AuthenticationError, lambda: _stranger(mine).fetch_balance()),
    ):
        with checks.call(f"refused: {name}"), refused(kind):
            attempt()
    with checks.call("refused: InvalidNonce"):
        late = ccxt.clearbell(settings(PLACE.key, PLACE.secret))
        late.milliseconds = lambda: 1_600_000_000_000
        with refused(ccxt.InvalidNonce):
            late.fetch_balance()


def _stranger(mine: ccxt.Exchange) -> ccxt.Exchange:
    return ccxt.clearbell(settings(mine.apiKey, "0" * 64))


async def _asynchronous(checks: Checks) -> None:
    mine = ccxt.async_support.clearbell(settings(PLACE.key, PLACE.secret))
    try:
        with checks.call("async: place, read, cancel"):
            order = await mine.create_limit_buy_order(SYMBOL, 0.1, 30)
            assert [each["id"] for each in await mine.fetch_open_orders(SYMBOL)] == [order["id"]]
            same(await mine.cancel_order(order["id"], SYMBOL), status="canceled")
        with checks.call("async: read together"):
            book, ticker, _ = await asyncio.gather(
                mine.fetch_order_book(SYMBOL), mine.fetch_ticker(SYMBOL), mine.fetch_balance()
            )
            assert book["symbol"] == ticker["symbol"] == SYMBOL
    finally:
        await mine.close()


if __name__ == "__main__":
    sys.exit(main())
