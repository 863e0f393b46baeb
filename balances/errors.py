"""Refusals of decisions about what waits for a second person: one class per rule, as in `base.web.errors`."""

from base.web.errors import Conflict, ExchangeError, NotFound


class SamePerson(ExchangeError):
    """A movement of money is decided by another person than who asked for it."""

    code = "SAME_PERSON"
    status = 403


class ApprovalNotFound(NotFound):
    """Nothing was asked for under this id."""

    code = "APPROVAL_NOT_FOUND"


class ApprovalDecided(Conflict):
    """It was approved or refused already; `status` says which."""

    code = "APPROVAL_DECIDED"
