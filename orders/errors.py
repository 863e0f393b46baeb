"""Refusals of orders, beside those that all apps know (`base.web.errors`)."""

from base.web.errors import Conflict, ExchangeError


class NothingToAmend(ExchangeError):
    """Every value is what the order has already, so that no place in the book is lost by accident."""

    code = "NOTHING_TO_AMEND"
    status = 400


class InGroup(Conflict):
    """One order of a group cancels the other, so it is not replaced alone."""

    code = "IN_GROUP"


class OrderNotResting(Conflict):
    """The order is not in the book: it waits for its worker, or for its stop price."""

    code = "ORDER_NOT_RESTING"


class NotInAuction(Conflict):
    """An auction collects orders that can rest, and takes no others."""

    code = "NOT_IN_AUCTION"


class FateImpossible(ExchangeError):
    """The client order id orders a fate from the sandbox that this order cannot have."""

    code = "SANDBOX_FATE_IMPOSSIBLE"
    status = 400


class SandboxReject(ExchangeError):
    """An order that the sandbox refuses because its owner wanted that. Nothing was stored."""

    code = "SANDBOX_REJECT"
    status = 400
