"""What an operator's script needs. Each call asks for a permission, which the refusal names."""

from collections.abc import Mapping, Sequence
from typing import Any

from ..answers.account import Approval, Balance, KillSwitch, LedgerEntry, Limits, StreamStats, User
from ..answers.market import Market
from ..answers.orders import Accepted
from ..terms import Amount, NewOrder, body_of, new_key, plain, terms_of
from .call import Call, Page, Reply, asked, get, many, one, part, raw
from .orders import accepted


def user(user_id: int) -> Call[User]:
    """An account."""
    return get(f"/users/{user_id}", one(User))


def kill(user_id: int, reason: str) -> Call[KillSwitch]:
    """The kill switch: all orders of the account are cancelled, and no new ones taken."""
    return Call("POST", f"/users/{user_id}/kill", one(KillSwitch), body={"reason": reason})


def lift(user_id: int) -> Call[KillSwitch]:
    """The account may trade again."""
    return Call("DELETE", f"/users/{user_id}/kill", one(KillSwitch))


def limits(user_id: int) -> Call[Limits]:
    """A user's own limits."""
    return get(f"/users/{user_id}/limits", one(Limits))


def change_limits(user_id: int, reason: str, **limits: Any) -> Call[Limits]:
    """Any of `requests_per_second`, `open_notional` and `markets`; None lifts a limit."""
    body = {name: value for each, given in limits.items() for name, value in _limit(each, given)}
    return Call("PATCH", f"/users/{user_id}/limits", one(Limits), body={**body, "reason": reason})


def balances_of(user_id: int) -> Call[Page[Balance]]:
    """A user's balances."""
    return get(f"/balances/{user_id}", many(Balance))


def ledger_of(
    user_id: int, currency: str, *, limit: int | None = None, cursor: str | None = None
) -> Call[Page[LedgerEntry]]:
    """A user's statement, newest first."""
    return get(f"/balances/{user_id}/{part(currency)}/ledger", many(LedgerEntry), limit=limit, cursor=cursor)


def transfer(
    user_id: int, currency: str, amount: Amount, reason: str, *, reference: str | None = None
) -> Call[Balance | Approval]:
    """Deposit, or withdraw a negative amount. It moves once for a `reference`, which is drawn if it is not given."""
    fields = {"currency": currency, "amount": amount, "reason": reason, "reference": reference or new_key()}
    return Call("POST", "/balances/update", _moved, body={"userId": user_id, **terms_of(fields)})


def pay_out_fees(currency: str, amount: Amount, reason: str, *, reference: str | None = None) -> Call[Approval]:
    """Ask for collected fees to be paid out."""
    fields = {"currency": currency, "amount": amount, "reason": reason, "reference": reference or new_key()}
    return Call("POST", "/fees/payout", one(Approval), body=terms_of(fields))


def approvals(
    *, status: str | None = None, limit: int | None = None, cursor: str | None = None
) -> Call[Page[Approval]]:
    """What waits for another person, and what was decided, newest first."""
    return get("/approvals", many(Approval), status=status, limit=limit, cursor=cursor)


def approve(approval_id: int, reason: str | None = None) -> Call[Approval]:
    """The money moves."""
    return Call("POST", f"/approvals/{approval_id}/approve", one(Approval), body=plain({"reason": reason}))


def refuse(approval_id: int, reason: str | None = None) -> Call[Approval]:
    """The money stays."""
    return Call("POST", f"/approvals/{approval_id}/refuse", one(Approval), body=plain({"reason": reason}))


def open_market(symbol: str, base: str, quote: str, tick_size: Amount, lot_size: Amount, **more: Any) -> Call[Market]:
    """A new market; `more` are its other fields, such as `maker_fee_rate`."""
    names = {"symbol": symbol, "base": base, "quote": quote}
    grain = terms_of({"tick_size": tick_size, "lot_size": lot_size})
    return Call("POST", "/markets", one(Market), body={**names, **grain, **plain(more)}, repeats=False)


def change_market(symbol: str, **fields: Any) -> Call[Market]:
    """Change a market's status or its limits, with a `reason`."""
    return Call("PATCH", f"/markets/{part(symbol)}", one(Market), body=plain(fields))


def place_for(user_id: int, order: NewOrder) -> Call[Accepted]:
    """Place an order for another user."""
    body = {**body_of(order), "userId": user_id}
    return Call("POST", "/orders", lambda reply: accepted(reply.data), body=body)


def cancel_all_of(user_id: int, *, symbol: str | None = None) -> Call[int]:
    """Cancel all open orders of another user. How many cancels were accepted."""
    query = {"userId": str(user_id), **asked({"symbol": symbol})}
    return Call("DELETE", "/orders", lambda reply: int(reply.data["cancelled"]), query)


def stream_stats() -> Call[StreamStats]:
    """How many users have how many streams of their own orders open."""
    return get("/stream/order-status/stats", one(StreamStats))


def cache_stats() -> Call[Mapping[str, Any]]:
    """What the caches of the process that answers hold."""
    return get("/cache/stats", raw)


def missed(topic: str, symbol: str, after: int, *, limit: int | None = None) -> Call[Sequence[Mapping[str, Any]]]:
    """What a consumer of the feed `orders` or `trades` missed after an id; an empty list is the end."""
    return get(f"/feed/{part(topic)}/{part(symbol)}", raw, after=after, limit=limit)


def _moved(reply: Reply) -> Balance | Approval:
    return (one(Approval) if "approvalId" in reply.data else one(Balance))(reply)


def _limit(name: str, value: Any) -> list[tuple[str, Any]]:
    # None lifts the limit, so it is sent.
    if name == "open_notional" and value is not None:
        value = terms_of(value)
    return [(next(iter(plain({name: 0}))), value)]
