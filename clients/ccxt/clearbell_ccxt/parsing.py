"""Clearbell's answers as ccxt's structures, refusals as its exceptions, and the signing of requests."""

from typing import Any

from ccxt.base.errors import BadRequest, ExchangeError, ExchangeNotAvailable

from .description import WAITS, description

URL = "http://127.0.0.1:8000"
API = "/api/v1"
LONGEST = 500
_STATUSES = {
    **dict.fromkeys(("PENDING", "WAITING", "TRIGGERED", "OPEN"), "open"),
    "FILLED": "closed",
    "CANCELLED": "canceled",
    "EXPIRED": "expired",
    "REJECTED": "rejected",
    "FAILED": "rejected",
}
_LIMIT = ("LIMIT", "STOP_LIMIT", "TAKE_PROFIT_LIMIT")


class Parsing:
    """What both classes share and what needs no request. `Any` because it is one half of a class of ccxt's."""

    def describe(self: Any) -> dict[str, Any]:
        described: dict[str, Any] = self.deep_extend(super().describe(), description(URL))  # type: ignore[misc]
        return described

    def sign(
        self: Any,
        path: str,
        api: Any = "public",
        method: str = "GET",
        params: Any = None,
        headers: Any = None,
        body: Any = None,
    ) -> dict[str, Any]:
        """A key signs what stands in the first line of the request, and the body."""
        given = params or {}
        target = f"{API}/{self.implode_params(path, given)}"
        rest = self.omit(given, self.extract_params(path))
        in_query = rest if method in ("GET", "DELETE") else {}
        if method == "POST" and path in WAITS and "wait" in rest:
            in_query, rest = {"wait": rest["wait"]}, self.omit(rest, "wait")
        if in_query:
            target += f"?{self.urlencode(in_query)}"
        if method in ("POST", "PATCH"):
            body = self.json(rest)
        sent = {} if body is None else {"Content-Type": "application/json"}
        access = api[0] if isinstance(api, list) else api
        if access == "private":
            self.check_required_credentials()
            sent |= self._signature(method, target, body or "")
        return {"url": self.urls["api"]["rest"] + target, "method": method, "body": body, "headers": sent}

    def _signature(self: Any, method: str, target: str, body: str) -> dict[str, str]:
        timestamp = str(self.milliseconds())
        text = self.encode(timestamp + method + target + body)
        if "PRIVATE KEY" in self.secret:
            signature = self.eddsa(text, self.secret, "ed25519")
        else:
            signature = self.hmac(text, self.encode(self.secret))
        window = str(self.options["recvWindow"])
        named = {"X-API-Key": self.apiKey, "X-Timestamp": timestamp, "X-Recv-Window": window}
        return {**named, "X-Signature": signature}

    def handle_errors(self: Any, code: int, _reason: Any, _url: Any, _method: Any, *more: Any) -> None:
        """Raises the exception of ccxt's that means the refusal."""
        _headers, _body, response, *_ = more
        if code < 400:
            return
        refusal = response if isinstance(response, dict) else {}
        error = refusal.get("error")
        first: dict[str, Any] = next(iter((refusal.get("data") or {}).get("errors", [])), {})
        words = f"{self.id} {error or code}: {refusal.get('message', '')}"
        self.throw_exactly_matched_exception(self.exceptions["exact"], first.get("error", error), words)
        if code >= 500:
            # The outcome is unknown: the same clientOrderId again is answered with it.
            raise ExchangeNotAvailable(words)
        raise BadRequest(words) if code == 400 else ExchangeError(words)

    def parse_market(self: Any, market: dict[str, Any]) -> dict[str, Any]:
        base, quote = market["base"], market["quote"]
        return self.safe_market_structure(
            {
                "id": market["symbol"],
                "symbol": self._unified(market),
                "base": base,
                "quote": quote,
                "baseId": base,
                "quoteId": quote,
                "active": market["status"] == "TRADING",
                "type": "spot",
                "spot": True,
                **dict.fromkeys(("margin", "swap", "future", "option", "contract"), False),
                "maker": self.parse_number(market["makerFeeRate"]),
                "taker": self.parse_number(market["takerFeeRate"]),
                "percentage": True,
                "tierBased": True,
                "feeSide": "quote" if market["feeCurrency"] == "QUOTE" else "get",
                "precision": {
                    "price": self.parse_number(market["tickSize"]),
                    "amount": self.parse_number(market["lotSize"]),
                },
                "limits": {
                    "amount": self._range(market["minQuantity"], market["maxQuantity"]),
                    "price": self._range(market["tickSize"], None),
                    "cost": self._range(market["minNotional"], market["maxNotional"]),
                },
                "info": market,
            }
        )

    def _unified(self: Any, market: dict[str, Any]) -> str:
        """A second market of the same assets keeps its own symbol, because BTC/USD names one."""
        usual = f"{market['base']}-{market['quote']}"
        return usual.replace("-", "/") if market["symbol"] == usual else market["symbol"]

    def _range(self: Any, least: str | None, most: str | None) -> dict[str, Any]:
        return {"min": self.parse_number(least), "max": self.parse_number(most)}

    def parse_ticker(self: Any, ticker: dict[str, Any], market: Any = None) -> dict[str, Any]:
        return self.safe_ticker(
            {
                "symbol": self.safe_symbol(ticker["symbol"], market),
                "timestamp": None,
                "datetime": None,
                "high": ticker["high"],
                "low": ticker["low"],
                "bid": ticker["bestBid"],
                "ask": ticker["bestAsk"],
                "last": ticker["lastPrice"],
                "close": ticker["lastPrice"],
                "change": ticker["priceChange"],
                "percentage": ticker["priceChangePercent"],
                "baseVolume": ticker["volume"],
                "quoteVolume": ticker["quoteVolume"],
                "info": ticker,
            },
            market,
        )

    def parse_ohlcv(self: Any, candle: dict[str, Any], _market: Any = None) -> list[Any]:
        figures = (self.parse_number(candle[name]) for name in ("open", "high", "low", "close", "volume"))
        return [self.parse8601(candle["openTime"]), *figures]

    def parse_trade(self: Any, trade: dict[str, Any], market: Any = None) -> dict[str, Any]:
        """A line of the tape, or a fill of one's own."""
        timestamp = self.parse8601(trade["createdAt"])
        role, fee = trade.get("role"), trade.get("fee")
        return self.safe_trade(
            {
                "id": trade["tradeId"],
                "order": self.safe_string(trade, "orderId"),
                "timestamp": timestamp,
                "datetime": self.iso8601(timestamp),
                "symbol": self.safe_symbol(trade.get("symbol"), market),
                "type": None,
                "side": (trade.get("side") or trade["takerSide"]).lower(),
                "takerOrMaker": role.lower() if role else None,
                "price": trade["price"],
                "amount": trade["quantity"],
                "cost": None,
                "fee": None if fee is None else {"cost": fee, "currency": trade["feeCurrency"]},
                "info": trade,
            },
            market,
        )

    def parse_order(self: Any, order: dict[str, Any], market: Any = None) -> dict[str, Any]:
        created = self.parse8601(order.get("createdAt"))
        kind = order.get("type")
        stop_price = order.get("stopPrice")
        is_profit = (kind or "").startswith("TAKE_PROFIT")
        return self.safe_order(
            {
                "id": self.safe_string(order, "orderId"),
                "clientOrderId": order.get("clientOrderId"),
                "timestamp": created,
                "datetime": self.iso8601(created),
                "lastTradeTimestamp": None,
                "lastUpdateTimestamp": self.parse8601(order.get("updatedAt")),
                "symbol": self.safe_symbol(order.get("symbol"), market),
                "type": None if kind is None else "limit" if kind in _LIMIT else "market",
                "timeInForce": "PO" if order.get("postOnly") else order.get("timeInForce"),
                "postOnly": order.get("postOnly"),
                "side": order["side"].lower() if order.get("side") else None,
                "price": order.get("price"),
                "triggerPrice": stop_price,
                "takeProfitPrice": stop_price if is_profit else None,
                "stopLossPrice": None if is_profit else stop_price,
                "amount": order.get("quantity"),
                "filled": order.get("filledQuantity"),
                "remaining": order.get("remainingQuantity"),
                "cost": order.get("filledQuote"),
                "average": order.get("averagePrice"),
                "status": self.parse_order_status(order),
                "fee": None,
                "trades": None,
                "info": order,
            },
            market,
        )

    def parse_order_status(self: Any, order: dict[str, Any]) -> str | None:
        """One that is filled in part is open, or what its time in force made of its rest."""
        status = order.get("status")
        if status == "PARTIALLY_FILLED":
            ended = "expired" if order.get("reason") == "GTD_EXPIRED" else "canceled"
            return "open" if order.get("active") else ended
        return _STATUSES.get(status) if status else None

    def parse_balances(self: Any, balances: list[dict[str, Any]]) -> dict[str, Any]:
        found: dict[str, Any] = {"info": balances}
        for each in balances:
            account = self.account()
            account["free"], account["used"] = each["availableBalance"], each["frozenBalance"]
            account["total"] = each["totalBalance"]
            found[each["currency"]] = account
        return self.safe_balance(found)

    def parse_fee(self: Any, fee: dict[str, Any]) -> dict[str, Any]:
        return {
            "info": fee,
            "symbol": self.safe_symbol(fee["symbol"]),
            "maker": self.parse_number(fee["makerFeeRate"]),
            "taker": self.parse_number(fee["takerFeeRate"]),
            "percentage": True,
            "tierBased": True,
        }
