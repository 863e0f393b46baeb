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
+-- RequestTimeout, LengthRequired .............. 408, 411  a request that does not arrive; one without its length
+-- Conflict .................................... 409  (names taken, order closed, market not trading or delisted)
+-- BodyTooLarge, UnsupportedMediaType .......... 413, 415
+-- KeyReused ................................... 422  the same key with another body
+-- TooManyRequests, TooManyWaiting ............. 429  (the first: and streams, connections, wrong passwords)
+-- PathTooLong, UpgradeRequired, HeadTooLarge .. 414, 426, 431
+-- MarketBusy, BatchesBusy, SignInsBusy ........ 503  known: nothing was stored
+-- Unavailable ................................. 503  unknown: repeat with the same key
"""

from typing import Any

from base.web.refusal import ExchangeError, InvalidField, ValidationFailed, error_body, refuse, timestamp

# Beside the classes below.
__all__ = ["ExchangeError", "InvalidField", "ValidationFailed", "error_body", "refuse", "timestamp"]


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


class McpNotAllowed(ExchangeError):
    code = "MCP_NOT_ALLOWED"
    status = 403

    def __init__(self) -> None:
        super().__init__("this exchange serves no MCP servers: its operator has not switched that on")


class StaffOnly(ExchangeError):
    code = "STAFF_ONLY"
    status = 403


class PermissionRequired(ExchangeError):
    code = "PERMISSION_REQUIRED"
    status = 403

    def __init__(self, permission: str) -> None:
        super().__init__(f"this needs the permission {permission}", permission=permission)


class AccountBlocked(ExchangeError):
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


class RequestTimeout(ExchangeError):
    code = "REQUEST_TIMEOUT"
    status = 408


class Conflict(ExchangeError):
    code = "CONFLICT"
    status = 409


class UsernameTaken(Conflict):
    code = "USERNAME_TAKEN"


class UsernameReserved(Conflict):
    """A name that a user might take for the exchange's own."""

    code = "USERNAME_RESERVED"


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


class LengthRequired(ExchangeError):
    code = "LENGTH_REQUIRED"
    status = 411


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


class TooManyStreams(TooManyRequests):
    """As many streams, or channels of WebSockets, are open as may be; `scope` names of whom."""

    code = "TOO_MANY_STREAMS"


class TooManyConnections(TooManyRequests):
    """As many connections, or WebSockets, are open as may be; `scope` names of whom."""

    code = "TOO_MANY_CONNECTIONS"


class PathTooLong(ExchangeError):
    code = "PATH_TOO_LONG"
    status = 414


class HeadTooLarge(ExchangeError):
    code = "HEAD_TOO_LARGE"
    status = 431


class TooManyWaiting(ExchangeError):
    """As many of one user's orders wait for a market's worker as may. Others' are accepted."""

    code = "TOO_MANY_WAITING"
    status = 429
    retry_after_seconds = 1


class SignInLocked(TooManyRequests):
    """The name or the address has had too many wrong passwords: no password is looked at until the pause is over."""

    code = "SIGN_IN_LOCKED"

    def __init__(self, message: str, *, retry_after_seconds: int, **data: Any) -> None:
        super().__init__(message, **data)
        self.retry_after_seconds = retry_after_seconds


class SignInsBusy(ExchangeError):
    """As many passwords are being checked as may be. Nothing was done."""

    code = "SIGN_INS_BUSY"
    status = 503
    retry_after_seconds = 1


class BatchesBusy(ExchangeError):
    """Of long requests as many hold a thread as may."""

    code = "BATCHES_BUSY"
    status = 503
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
