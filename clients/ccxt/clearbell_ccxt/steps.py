"""The unified calls, each as the steps that it takes: once for both classes.

A step is what is to be called and with what; its answer comes back. The class of ccxt's without `await` calls it, the
other one awaits it.
"""

from collections.abc import Callable, Generator
from typing import Any

from .orders import Ordering
from .parsing import LONGEST, Parsing

# The name of a method, and what it is called with.
Step = tuple[str, Any]
Steps = Generator[Step, Any, Any]
_LOAD: Step = ("load_markets", {})
# Between two looks at what becomes of an order, in milliseconds; twice as long each time.
_FIRST_PAUSE = 25


class Unified(Parsing, Ordering):
    """Each method is named as ccxt's, with `_steps` behind it."""

    def fetch_time_steps(self: Any, params: Any = None) -> Steps:
        answer = yield "publicGetTime", params or {}
        return self.parse8601(answer["data"]["serverTime"])

    def fetch_markets_steps(self: Any, params: Any = None) -> Steps:
        answer = yield "publicGetMarkets", params or {}
        return [self.parse_market(market) for market in answer["data"]]

    def fetch_currencies_steps(self: Any, params: Any = None) -> Steps:
        answer = yield "publicGetAssets", params or {}
        return {
            asset["code"]: self.safe_currency_structure(
                {
                    "id": asset["code"],
                    "code": asset["code"],
                    "precision": self.parse_number(self.parse_precision(str(asset["scale"]))),
                    "active": True,
                    "type": "crypto",
                    "networks": {},
                    "info": asset,
                }
            )
            for asset in answer["data"]
        }

    def fetch_order_book_steps(self: Any, symbol: str, limit: Any = None, params: Any = None) -> Steps:
        yield _LOAD
        request = {"symbol": self.market_id(symbol), "limit": min(limit or 100, LONGEST)}
        answer = yield "publicGetOrderbookSymbol", {**request, **(params or {})}
        book = self.parse_order_book(answer["data"], symbol, None, "bids", "asks", "price", "quantity")
        return {**book, "nonce": answer["data"]["sequence"]}

    def fetch_ticker_steps(self: Any, symbol: str, params: Any = None) -> Steps:
        yield _LOAD
        answer = yield "publicGetTickerSymbol", {"symbol": self.market_id(symbol), **(params or {})}
        return self.parse_ticker(answer["data"], self.market(symbol))

    def fetch_tickers_steps(self: Any, symbols: Any = None, params: Any = None) -> Steps:
        yield _LOAD
        answer = yield "publicGetTicker", params or {}
        return self.parse_tickers(answer["data"], self.market_symbols(symbols))

    def fetch_bids_asks_steps(self: Any, symbols: Any = None, params: Any = None) -> Steps:
        return (yield from self.fetch_tickers_steps(symbols, params))

    def fetch_trades_steps(self: Any, symbol: str, since: Any = None, limit: Any = None, params: Any = None) -> Steps:
        yield _LOAD
        request = {"symbol": self.market_id(symbol), **(params or {})}
        found = yield from self._pages("publicGetTradesSymbol", request, since, limit)
        return self.parse_trades(found, self.market(symbol), since, limit)

    def fetch_ohlcv_steps(
        self: Any, symbol: str, timeframe: str = "1m", since: Any = None, limit: Any = None, params: Any = None
    ) -> Steps:
        yield _LOAD
        request = {"symbol": self.market_id(symbol), "interval": timeframe, "limit": min(limit or 100, LONGEST)}
        if since is not None:
            request["startTime"] = since
        answer = yield "publicGetKlinesSymbol", {**request, **_until(params or {})}
        return self.parse_ohlcvs(answer["data"], self.market(symbol), timeframe, since, limit)

    def fetch_balance_steps(self: Any, params: Any = None) -> Steps:
        yield _LOAD
        answer = yield "privateGetBalances", params or {}
        return self.parse_balances(answer["data"])

    def fetch_trading_fees_steps(self: Any, params: Any = None) -> Steps:
        yield _LOAD
        answer = yield "privateGetFees", params or {}
        return {fee["symbol"]: fee for fee in map(self.parse_fee, answer["data"])}

    def fetch_trading_fee_steps(self: Any, symbol: str, params: Any = None) -> Steps:
        fees = yield from self.fetch_trading_fees_steps(params)
        return fees[self.symbol(symbol)]

    def create_order_steps(
        self: Any,
        symbol: str,
        type: str,  # noqa: A002 - ccxt's own names
        side: str,
        amount: Any,
        price: Any = None,
        params: Any = None,
    ) -> Steps:
        """The order as it is once the engine has decided it, or as PENDING after `wait` milliseconds."""
        yield _LOAD
        wait = (params or {}).get("wait", self.options["wait"])
        body = self.order_body(symbol, type, side, amount, price, self.omit(params or {}, "wait"))
        answer = yield "privatePostOrders", body | ({"wait": wait} if wait else {})
        return self.parse_order({**body, **answer["data"]}, self.market(symbol))

    def create_market_buy_order_with_cost_steps(self: Any, symbol: str, cost: Any, params: Any = None) -> Steps:
        return (
            yield from self.create_order_steps(symbol, "market", "buy", None, None, {**(params or {}), "cost": cost})
        )

    def create_orders_steps(self: Any, orders: list[dict[str, Any]], params: Any = None) -> Steps:
        """Up to 100 in one request, each accepted or refused on its own; a refused one is `rejected`."""
        yield _LOAD
        bodies = [
            self.order_body(
                *(each["symbol"], each["type"], each["side"], each.get("amount"), each.get("price")),
                {**(params or {}), **each.get("params", {})},
            )
            for each in orders
        ]
        answer = yield "privatePostOrdersBatch", {"orders": bodies}
        return [
            self.parse_order({"status": "REJECTED", **body, **result})
            for body, result in zip(bodies, answer["data"]["results"], strict=True)
        ]

    def edit_order_steps(
        self: Any,
        id: str,  # noqa: A002
        symbol: str,
        type: str,  # noqa: A002
        side: str,
        amount: Any = None,
        price: Any = None,
        params: Any = None,
    ) -> Steps:
        """Amend it: it keeps its id, and its place where only its quantity falls. `amount` is the whole order's."""
        yield _LOAD
        changes = dict(params or {})
        if amount is not None:
            changes["quantity"] = self.amount_to_precision(symbol, amount)
        if price is not None:
            changes["price"] = self.price_to_precision(symbol, price)
        yield "privatePatchOrdersOrderId", {"orderId": id, **changes}
        wanted = {"quantity": changes.get("quantity"), "price": changes.get("price")}
        return (yield from self._outcome(id, symbol, lambda order: self._is_amended(order, wanted)))

    def cancel_order_steps(self: Any, id: str, symbol: Any = None, params: Any = None) -> Steps:  # noqa: A002
        """The order once it is closed, or as it is after `wait`: the cancel waits behind what came before it."""
        yield _LOAD
        client_order_id = (params or {}).get("clientOrderId")
        if client_order_id:
            answer = yield "privateDeleteOrdersClientClientOrderId", {"clientOrderId": client_order_id}
            id = answer["data"]["orderId"]  # noqa: A001
        else:
            yield "privateDeleteOrdersOrderId", {"orderId": id, **(params or {})}
        return (yield from self._outcome(str(id), symbol, lambda order: not order["active"]))

    def cancel_orders_steps(self: Any, ids: list[str], symbol: Any = None, params: Any = None) -> Steps:
        yield _LOAD
        request = {"orderIds": [int(each) for each in ids]} if ids else {}
        answer = yield "privatePostOrdersBatchCancel", {**request, **(params or {})}
        return [
            self.safe_order({"id": self.safe_string(each, "orderId"), "info": each})
            for each in answer["data"]["results"]
        ]

    def cancel_all_orders_steps(self: Any, symbol: Any = None, params: Any = None) -> Steps:
        yield _LOAD
        of_market = {} if symbol is None else {"symbol": self.market_id(symbol)}
        answer = yield "privateDeleteOrders", {**of_market, **(params or {})}
        return [self.safe_order({"info": answer["data"]})]

    def cancel_all_orders_after_steps(self: Any, timeout: int, params: Any = None) -> Steps:
        """The dead man's switch, in milliseconds as ccxt has it; 0 disarms it."""
        yield _LOAD
        request = {**(params or {}), "timeoutSeconds": -(-timeout // 1_000)}
        if "symbol" in request:
            request["symbol"] = self.market_id(request["symbol"])
        answer = yield "privatePostOrdersCancelAllAfter", request
        return {"info": answer["data"], "triggerTime": self.parse8601(answer["data"]["triggersAt"])}

    def fetch_order_steps(self: Any, id: str, symbol: Any = None, params: Any = None) -> Steps:  # noqa: A002
        yield _LOAD
        client_order_id = (params or {}).get("clientOrderId")
        if client_order_id:
            answer = yield "privateGetOrdersClientClientOrderId", {"clientOrderId": client_order_id}
        else:
            answer = yield "privateGetOrdersOrderId", {"orderId": id, **(params or {})}
        return self.parse_order(answer["data"])

    def fetch_orders_steps(
        self: Any, symbol: Any = None, since: Any = None, limit: Any = None, params: Any = None
    ) -> Steps:
        yield _LOAD
        request = {**({} if symbol is None else {"symbol": self.market_id(symbol)}), **(params or {})}
        found = yield from self._pages("privateGetOrders", request, since, limit)
        return self.parse_orders(found, None, since, limit)

    def fetch_open_orders_steps(
        self: Any, symbol: Any = None, since: Any = None, limit: Any = None, params: Any = None
    ) -> Steps:
        return (yield from self.fetch_orders_steps(symbol, since, limit, {**(params or {}), "active": "true"}))

    def fetch_closed_orders_steps(
        self: Any, symbol: Any = None, since: Any = None, limit: Any = None, params: Any = None
    ) -> Steps:
        return (yield from self.fetch_orders_steps(symbol, since, limit, {**(params or {}), "active": "false"}))

    def fetch_my_trades_steps(
        self: Any, symbol: Any = None, since: Any = None, limit: Any = None, params: Any = None
    ) -> Steps:
        yield _LOAD
        request = {**({} if symbol is None else {"symbol": self.market_id(symbol)}), **(params or {})}
        found = yield from self._pages("privateGetFills", request, since, limit)
        return self.parse_trades(found, None, since, limit)

    def fetch_order_trades_steps(
        self: Any,
        id: str,  # noqa: A002
        symbol: Any = None,
        since: Any = None,
        limit: Any = None,
        params: Any = None,
    ) -> Steps:
        return (yield from self.fetch_my_trades_steps(symbol, since, limit, {**(params or {}), "orderId": id}))

    def _outcome(self: Any, id: str, symbol: Any, is_there: Callable[[dict[str, Any]], bool]) -> Steps:  # noqa: A002
        """The order when this is so of what the API answered, or as it is once it was waited for."""
        order = yield from self.fetch_order_steps(id, symbol)
        pause, waited = _FIRST_PAUSE, 0
        while not is_there(order["info"]) and waited < (self.options["wait"] or 0):
            yield "sleep", pause
            waited, pause = waited + pause, pause * 2
            order = yield from self.fetch_order_steps(id, symbol)
        return order

    def _is_amended(self: Any, order: dict[str, Any], wanted: dict[str, str | None]) -> bool:
        same = (self.parse_number(order[name]) == self.parse_number(value) for name, value in wanted.items() if value)
        return not order["active"] or all(same)

    def _pages(self: Any, call: str, request: dict[str, Any], since: Any, limit: Any) -> Steps:
        """A list that comes newest first: without `since` one page; else all from then on, with the oldest in it."""
        asked = {**_until(request), "limit": min(limit or LONGEST, LONGEST) if since is None else LONGEST}
        if since is not None:
            asked["startTime"] = since
        found: list[Any] = []
        for _ in range(self.options["maxPages"]):
            answer = yield call, asked
            found += answer["data"]
            cursor = answer["nextCursor"]
            if since is None or cursor is None:
                break
            asked = {**asked, "cursor": cursor}
        return found


def _until(request: dict[str, Any]) -> dict[str, Any]:
    """ccxt's `until` is our `endTime`."""
    if "until" not in request:
        return request
    return {("endTime" if name == "until" else name): value for name, value in request.items()}


NAMES = [name.removesuffix("_steps") for name in vars(Unified) if name.endswith("_steps") and name[0] != "_"]
