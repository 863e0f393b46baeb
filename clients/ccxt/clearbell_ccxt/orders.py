"""An order of ccxt's as a body of `POST /api/v1/orders`."""

from typing import Any

from ccxt.base.errors import ArgumentsRequired, InvalidOrder

# A price at which an order begins, by the parameter that names it: the kind that it makes of a market order.
_TRIGGERS = {
    "stopLossPrice": "STOP",
    "triggerPrice": "STOP",
    "stopPrice": "STOP",
    "takeProfitPrice": "TAKE_PROFIT",
}
_OWN = (*_TRIGGERS, "trailingAmount", "cost", "postOnly", "timeInForce", "clientOrderId", "icebergAmount")


class Ordering:
    """`params` that are none of ccxt's go into the body as they are: `displayQuantity`, `expiresAt` and so on."""

    def order_body(
        self: Any, symbol: str, kind: str, side: str, amount: Any, price: Any, params: dict[str, Any]
    ) -> dict[str, Any]:
        """Raises InvalidOrder and ArgumentsRequired for what is wrong before it is sent."""
        is_limit = kind.lower() == "limit"
        body = {
            "symbol": self.market_id(symbol),
            "side": side.upper(),
            "type": kind.upper(),
            # A repetition with the same one places nothing again, so a retry after a timeout is safe.
            "clientOrderId": params.get("clientOrderId") or self.uuid(),
        }
        body |= self._amounts(symbol, kind, side, amount, params)
        if price is not None and (is_limit or kind.lower() != "market"):
            body["price"] = self.price_to_precision(symbol, price)
        if is_limit and price is None:
            raise ArgumentsRequired(f"{self.id} createOrder() requires a price for a limit order")
        body |= self._trigger(symbol, is_limit, params)
        body |= _time_in_force(params)
        if params.get("icebergAmount") is not None:
            body["displayQuantity"] = self.amount_to_precision(symbol, params["icebergAmount"])
        return body | self.omit(params, list(_OWN))

    def _amounts(self: Any, symbol: str, kind: str, side: str, amount: Any, params: dict[str, Any]) -> dict[str, str]:
        cost = params.get("cost")
        if cost is None:
            return {"quantity": self.amount_to_precision(symbol, amount)}
        if kind.lower() != "market" or side.lower() != "buy":
            raise InvalidOrder(f"{self.id} createOrder() takes a cost for a market buy alone")
        return {"quoteQuantity": self.cost_to_precision(symbol, cost)}

    def _trigger(self: Any, symbol: str, is_limit: bool, params: dict[str, Any]) -> dict[str, str]:
        if params.get("trailingAmount") is not None:
            return {
                "type": "TRAILING_STOP",
                "trailingOffset": self.price_to_precision(symbol, params["trailingAmount"]),
            }
        named = [name for name in _TRIGGERS if params.get(name) is not None]
        if not named:
            return {}
        if len(named) > 1:
            raise InvalidOrder(f"{self.id} createOrder() takes one of {', '.join(named)}: see private_post_orders_oco")
        kind = _TRIGGERS[named[0]] + ("_LIMIT" if is_limit else "")
        return {"type": kind, "stopPrice": self.price_to_precision(symbol, params[named[0]])}


def _time_in_force(params: dict[str, Any]) -> dict[str, Any]:
    time_in_force = params.get("timeInForce")
    if params.get("postOnly") or time_in_force == "PO":
        return {"postOnly": True}
    return {"timeInForce": time_in_force} if time_in_force else {}
