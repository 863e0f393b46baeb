"""What every refusal is: a code, a status, and the values that broke the rule. `errors` has one class for each rule."""

from datetime import UTC, datetime
from typing import Any, ClassVar

# So many broken rules are named in one refusal: nobody mends more at a time.
MOST_ERRORS = 20


class ExchangeError(Exception):
    """A refusal. `code` names the rule, `status` is the HTTP status, `data` holds the values that broke it."""

    code: ClassVar[str] = "INTERNAL_ERROR"
    status: ClassVar[int] = 500
    # When it makes sense to come again, where a client should.
    retry_after_seconds: int | None = None
    # The whole answer in the words of another API, where the request came to one.
    foreign_body: dict[str, Any] | None = None

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
    """Several rules are broken. The first of them are named; `more` is how many there are beside."""

    code = "VALIDATION_FAILED"
    status = 400

    def __init__(self, errors: list[InvalidField]) -> None:
        shown, more = errors[:MOST_ERRORS], len(errors) - MOST_ERRORS
        fields = ", ".join(dict.fromkeys(error.field for error in shown))
        cut = {"more": more} if more > 0 else {}
        words = f"{len(errors)} errors in: {fields}{', ...' if cut else ''}"
        super().__init__(words, errors=[error.as_item() for error in shown], **cut)


def refuse(errors: list[InvalidField]) -> None:
    """Raise the error itself if there is one, all of them together if there are several."""
    if len(errors) == 1:
        raise errors[0]
    if errors:
        raise ValidationFailed(errors)


def timestamp(instant: datetime | None = None) -> str:
    """ISO 8601 UTC with microseconds, as every answer carries it; the present when no instant is given."""
    instant = (instant or datetime.now(UTC)).astimezone(UTC)
    return f"{instant.replace(tzinfo=None).isoformat(timespec='microseconds')}Z"


def error_body(error: ExchangeError) -> dict[str, Any]:
    """The envelope of a refusal, or the answer of another API in its place."""
    if error.foreign_body is not None:
        return error.foreign_body
    return {
        "code": error.status,
        "error": error.error,
        "message": error.message,
        "data": error.data,
        "timestamp": timestamp(),
    }
