"""What can go wrong: the exchange refused, or it did not answer.

A refusal is known: nothing was done. `NoAnswer` is not: what was asked may have been done, and is asked again under the
same key.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Self

# The errors of the server after which nothing was stored.
_NOT_DONE = frozenset({"MARKET_BUSY", "BATCHES_BUSY", "SIGN_INS_BUSY", "POSITIONS_BEHIND"})
_WORD = re.compile(r"_([a-z0-9])")


class ClearbellError(Exception):
    """All errors of this package."""


class NoAnswer(ClearbellError):
    """No answer, or an error of the server, after all attempts: the outcome is unknown.

    `cause` says what happened last. The same `NewOrder` may be placed again: it stays one order. `call` is what was
    asked, with the keys that were drawn for it: `client.send(error.call)` asks the same again (None of a `session()`).
    """

    def __init__(self, what: str, cause: str, attempts: int, call: Any = None) -> None:
        super().__init__(f"{what}: {cause}, after {attempts} attempts; the outcome is unknown")
        self.cause = cause
        self.attempts = attempts
        self.call = call


class NotUnderstood(ClearbellError):
    """The answer is none of this exchange's, so the outcome is unknown."""


class Refused(ClearbellError):
    """The exchange refused: `code` names the rule. Where a method raises it, nothing was done.

    The values of the envelope's `data` are attributes too, in snake case and as they came: `error.tick_size`. They are
    looked up when asked for, so a value that this refusal does not have is an AttributeError.
    """

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        data: Mapping[str, Any] | None = None,
        *,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(f"{code}: {message}")
        self.status = status
        self.code = code
        self.message = message
        self.data: Mapping[str, Any] = data or {}
        # Seconds after which the same request may be sent again, where the exchange says so.
        self.retry_after = retry_after

    @classmethod
    def of(cls, status: int, body: Mapping[str, Any], retry_after: float | None = None) -> "Refused":
        """The refusal of an envelope, or of one result of a batch, in the class of its status."""
        family = FAMILIES.get(status, Refused)
        code, message, data = body.get("error"), body.get("message"), body.get("data")
        values = data if isinstance(data, Mapping) else {}
        return family(status, str(code or status), str(message or ""), values, retry_after=retry_after)

    @property
    def errors(self) -> "Sequence[Refused]":
        """The bad fields, where several were named together; else this refusal alone."""
        named = self.data.get("errors")
        if not isinstance(named, list):
            return [self]
        return [type(self)(self.status, str(each["error"]), str(each.get("message", "")), each) for each in named]

    @property
    def codes(self) -> frozenset[str]:
        """The rules that were broken: one, or all that were named together."""
        return frozenset(each.code for each in self.errors)

    @property
    def is_known(self) -> bool:
        """Whether nothing was done. After an error of the server that is known of a few codes alone."""
        return self.status < 500 or self.code in _NOT_DONE

    def __getattr__(self, name: str) -> Any:
        try:
            return self.__dict__["data"][_WORD.sub(lambda word: word[1].upper(), name)]
        except KeyError:
            raise AttributeError(f"{type(self).__name__} {self.__dict__.get('code')} has no {name}") from None

    def __reduce__(self) -> tuple[type[Self], tuple[Any, ...]]:
        return type(self), (self.status, self.code, self.message, self.data)


class BadRequest(Refused):
    """400: a field or the order itself breaks a rule."""


class NotSignedIn(Refused):
    """401: the name, the password, the token or the signature is not good."""


class Forbidden(Refused):
    """403: signed in, but not allowed to do this."""


class NotFound(Refused):
    """404: there is none, or it belongs to somebody else."""


class Conflict(Refused):
    """409: it does not go with the state of now, such as `ORDER_CLOSED`."""


class KeyReused(Refused):
    """422: the same key with another body."""


class TooMany(Refused):
    """429: too many requests, streams or orders; `retry_after` seconds later they are accepted again."""


class Unavailable(Refused):
    """503: raised where nothing was stored, as `MARKET_BUSY` says; of others the outcome is unknown, `NoAnswer`."""


FAMILIES: Mapping[int, type[Refused]] = {
    400: BadRequest,
    401: NotSignedIn,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    422: KeyReused,
    429: TooMany,
    503: Unavailable,
}
