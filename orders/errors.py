"""Refusals of orders, beside those that all apps know (`base.web.errors`)."""

from base.web.errors import Conflict


class OrderNotResting(Conflict):
    """The order is not in the book: it waits for its worker, or for its stop price."""

    code = "ORDER_NOT_RESTING"


class NotInAuction(Conflict):
    """An auction collects orders that can rest, and takes no others."""

    code = "NOT_IN_AUCTION"
