"""Refusals of requests that are signed by a key: one class per rule, as in `base.web.errors`."""

from base.web.errors import ExchangeError, NotAuthenticated, NotFound


class KeyUnknown(NotAuthenticated):
    """There is no such key, it was revoked, or its owner's account is not active."""

    code = "KEY_UNKNOWN"


class KeyExpired(NotAuthenticated):
    code = "KEY_EXPIRED"


class SignatureInvalid(NotAuthenticated):
    code = "SIGNATURE_INVALID"


class TimestampOutOfWindow(NotAuthenticated):
    code = "TIMESTAMP_OUT_OF_WINDOW"


class SignatureReplayed(NotAuthenticated):
    """A signature is good once."""

    code = "SIGNATURE_REPLAYED"


class ScopeRequired(ExchangeError):
    code = "SCOPE_REQUIRED"
    status = 403


class AddressNotAllowed(ExchangeError):
    code = "ADDRESS_NOT_ALLOWED"
    status = 403


class KeyNotFound(NotFound):
    """The owner names a key that is none of theirs."""

    code = "KEY_NOT_FOUND"


class TooManyKeys(ExchangeError):
    code = "TOO_MANY_KEYS"
    status = 409


# What any call may answer to a request that is signed.
OF_SIGNED_REQUESTS = (
    *(KeyUnknown, KeyExpired, SignatureInvalid, TimestampOutOfWindow, SignatureReplayed),
    *(ScopeRequired, AddressNotAllowed),
)
