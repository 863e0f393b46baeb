"""What every refusal is: a code, a status, and the values that broke the rule. `errors` has one class for each rule."""

from datetime import UTC, datetime
from typing import Any, ClassVar


class ExchangeError(Exception):
    """A refusal. `code` names the rule, `status` is the HTTP status, `data` holds the values that broke it."""

    code: ClassVar[str] = "INTERNAL_ERROR"
    status: ClassVar[int] = 500
    # When it makes sense to come again, where a client should.
    retry_after_seconds: int | None = None

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
