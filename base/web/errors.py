"""Refusals as clients receive them: one class per rule.

ExchangeError
+-- InvalidField, ValidationFailed .............. 400  one field breaks one rule (its code names the rule); several do
+-- MalformedBody, MalformedRequest ............. 400  the second: before any rule is asked
+-- InsufficientFunds, AmountTooLarge ........... 400
+-- TooManyOpenOrders, LimitExceeded ............ 400  the second: a limit of this user's own
+-- NotAuthenticated, InvalidCredentials ........ 401
+-- TokenReused ................................. 401  a used refresh token came again: its session is over
+-- NotYourAccount, StaffOnly ................... 403
+-- PermissionRequired .......................... 403  staff without the permission that it names
+-- AccountBlocked .............................. 403  by the kill switch, or deactivated
+-- NotFound .................................... 404  (users, orders, markets, assets; another's looks the same)
+-- MethodNotAllowed, NotAcceptable ............. 405, 406
+-- Conflict .................................... 409  (names taken, order closed, market not trading or delisted)
+-- BodyTooLarge, UnsupportedMediaType .......... 413, 415
+-- UpgradeRequired ............................. 426
+-- KeyReused ................................... 422  the same key with another body
+-- TooManyRequests ............................. 429
+-- MarketBusy .................................. 503  known: nothing was stored
+-- Unavailable ................................. 503  unknown: repeat with the same key
"""

from datetime import UTC, datetime
from typing import Any, ClassVar


class ExchangeError(Exception):
    """A refusal. `code` names the rule, `status` is the HTTP status, `data` holds the values that broke it."""

    code: ClassVar[str] = "INTERNAL_ERROR"
    status: ClassVar[int] = 500
    # When it makes sense to come again, where a client should.
    retry_after_seconds: ClassVar[int | None] = None

    def __init__(self, message: str, **data: Any) -> None:
        super().__init__(message)
        self.message = message
        self.data = data

    @property
    def error(self) -> str:
        return self.code


class InvalidField(ExchangeError):
    """One field breaks one rule; the rule's code is given with it."""

    code = "INVALID_FIELD"
    status = 400

    def __init__(self, field: str, error: str, message: str, **data: Any) -> None:
        super().__init__(message, field=field, **data)
        self.field = field
        self._error = error

    @property
    def error(self) -> str:
        return self._error

    def as_item(self) -> dict[str, Any]:
        rest = {key: value for key, value in self.data.items() if key != "field"}
        return {"field": self.field, "error": self.error, "message": self.message, **rest}


class ValidationFailed(ExchangeError):
    code = "VALIDATION_FAILED"
    status = 400

    def __init__(self, errors: list[InvalidField]) -> None:
        fields = ", ".join(dict.fromkeys(error.field for error in errors))
        super().__init__(f"{len(errors)} errors in: {fields}", errors=[error.as_item() for error in errors])


def refuse(errors: list[InvalidField]) -> None:
    """Raise the error itself if there is one, all of them together if there are several."""
    if len(errors) == 1:
        raise errors[0]
    if errors:
        raise ValidationFailed(errors)


class MalformedBody(ExchangeError):
    code = "MALFORMED_BODY"
    status = 400


class MalformedRequest(ExchangeError):
    code = "MALFORMED_REQUEST"
    status = 400


class InsufficientFunds(ExchangeError):
    code = "INSUFFICIENT_FUNDS"
    status = 400


class AmountTooLarge(ExchangeError):
    code = "AMOUNT_TOO_LARGE"
    status = 400


class TooManyOpenOrders(ExchangeError):
    code = "TOO_MANY_OPEN_ORDERS"
    status = 400


class LimitExceeded(ExchangeError):
    """A limit that an operator set for this user; `limit` names it."""

    code = "LIMIT_EXCEEDED"
    status = 400


class NotAuthenticated(ExchangeError):
    code = "NOT_AUTHENTICATED"
    status = 401


class InvalidCredentials(ExchangeError):
    code = "INVALID_CREDENTIALS"
    status = 401


class TokenReused(ExchangeError):
    code = "TOKEN_REUSED"
    status = 401


class NotYourAccount(ExchangeError):
    code = "NOT_YOUR_ACCOUNT"
    status = 403

    def __init__(self) -> None:
        super().__init__("userId is not the account that is signed in")


class StaffOnly(ExchangeError):
    code = "STAFF_ONLY"
    status = 403


class PermissionRequired(ExchangeError):
    code = "PERMISSION_REQUIRED"
    status = 403

    def __init__(self, permission: str) -> None:
        super().__init__(f"this needs the permission {permission}", permission=permission)


class AccountBlocked(ExchangeError):
    """Intake takes no new orders of this user."""

    code = "ACCOUNT_BLOCKED"
    status = 403


class NotFound(ExchangeError):
    code = "NOT_FOUND"
    status = 404


class UserNotFound(NotFound):
    code = "USER_NOT_FOUND"


class OrderNotFound(NotFound):
    code = "ORDER_NOT_FOUND"


class MarketNotFound(NotFound):
    code = "MARKET_NOT_FOUND"


class AssetNotFound(NotFound):
    code = "ASSET_NOT_FOUND"


class MethodNotAllowed(ExchangeError):
    code = "METHOD_NOT_ALLOWED"
    status = 405


class NotAcceptable(ExchangeError):
    code = "NOT_ACCEPTABLE"
    status = 406


class Conflict(ExchangeError):
    code = "CONFLICT"
    status = 409


class UsernameTaken(Conflict):
    code = "USERNAME_TAKEN"


class EmailTaken(Conflict):
    code = "EMAIL_TAKEN"


class SymbolTaken(Conflict):
    code = "SYMBOL_TAKEN"


class OrderClosed(Conflict):
    code = "ORDER_CLOSED"


class AlreadySignedIn(Conflict):
    """A connection belongs to one user."""

    code = "ALREADY_SIGNED_IN"


class MarketNotTrading(Conflict):
    code = "MARKET_NOT_TRADING"


class MarketDelisted(Conflict):
    code = "MARKET_DELISTED"


class AccountNotEmpty(Conflict):
    code = "ACCOUNT_NOT_EMPTY"


class AccountDeactivated(Conflict):
    code = "ACCOUNT_DEACTIVATED"


class BodyTooLarge(ExchangeError):
    code = "BODY_TOO_LARGE"
    status = 413


class UpgradeRequired(ExchangeError):
    code = "UPGRADE_REQUIRED"
    status = 426


class UnsupportedMediaType(ExchangeError):
    code = "UNSUPPORTED_MEDIA_TYPE"
    status = 415


class KeyReused(ExchangeError):
    """A key that makes a request happen once came with another request."""

    status = 422


class ClientOrderIdReused(KeyReused):
    code = "CLIENT_ORDER_ID_REUSED"


class ReferenceReused(KeyReused):
    code = "REFERENCE_REUSED"


class TooManyRequests(ExchangeError):
    code = "TOO_MANY_REQUESTS"
    status = 429
    retry_after_seconds = 1


class MarketBusy(ExchangeError):
    """Too much waits for the market's worker. Unlike with other answers of 503 it is known that nothing was stored."""

    code = "MARKET_BUSY"
    status = 503
    retry_after_seconds = 5


class Unavailable(ExchangeError):
    """The outcome is unknown: the client repeats the request with the same key."""

    code = "UNAVAILABLE"
    status = 503
    retry_after_seconds = 1


def timestamp(instant: datetime | None = None) -> str:
    """ISO 8601 UTC with microseconds, as every answer carries it; the present when no instant is given."""
    instant = (instant or datetime.now(UTC)).astimezone(UTC)
    return f"{instant.replace(tzinfo=None).isoformat(timespec='microseconds')}Z"


def error_body(error: ExchangeError) -> dict[str, Any]:
    """The envelope of a refusal."""
    return {
        "code": error.status,
        "error": error.error,
        "message": error.message,
        "data": error.data,
        "timestamp": timestamp(),
    }
