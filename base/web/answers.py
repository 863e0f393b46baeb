"""What every REST view shares: who is asking, how bodies are read, what answers and refusals have in common."""

import json
import logging
import re
from itertools import accumulate
from typing import Any, NoReturn

from django.core.exceptions import DisallowedHost
from django.db import InterfaceError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django_redis.exceptions import ConnectionInterrupted
from redis.exceptions import RedisError
from rest_framework import exceptions, status
from rest_framework.metadata import BaseMetadata
from rest_framework.parsers import BaseParser
from rest_framework.request import Request
from rest_framework.response import Response

from base.telemetry.access import bind_log_fields
from base.web import errors
from base.web.dialects import in_words_of
from base.web.errors import BodyTooLarge, ExchangeError, MalformedBody, error_body, timestamp
from base.web.values import AsOf

logger = logging.getLogger(__name__)


class StrictJSONParser(BaseParser):
    """JSON objects only: no repeated names, not too many, no deep nesting, no NaN, no large bodies."""

    media_type = "application/json"

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Any = None) -> dict[str, Any]:
        # One byte more than is accepted: enough to know, however much is sent.
        return parse_object(stream.read(MAX_BYTES + 1))


class AllowedMethods(BaseMetadata):
    """What OPTIONS answers, in the envelope; the same methods are in the header `Allow`."""

    def determine_metadata(self, request: Request, view: Any) -> dict[str, Any]:
        return envelope({"methods": view.allowed_methods}, "OK", status.HTTP_200_OK)


def answer(
    data: Any,
    *,
    message: str = "OK",
    code: int = status.HTTP_200_OK,
    replayed: bool = False,
    as_of: AsOf | None = None,
) -> Response:
    """An answer in the envelope that all answers share; `replayed` marks one that was given before.

    `as_of`: what the data certainly includes, which was read before the data.
    """
    headers = {"Idempotent-Replayed": "true"} if replayed else {}
    shown = envelope(data, message, code)
    if as_of is not None:
        shown["asOf"] = as_of
    return Response(shown, status=code, headers=headers)


def envelope(data: Any, message: str, code: int) -> dict[str, Any]:
    """What all answers share."""
    return {"code": code, "message": message, "data": data, "timestamp": timestamp()}


SIGN_IN_FIRST = "sign in first"
SCHEME = "Authorization must be: Bearer <access token>"


def answer_error(error: Exception, context: Any) -> Response | None:
    """A refusal in the envelope. Anything that is not a refusal goes on as the defect it is."""
    refusal = as_refusal(error)
    if str(refusal) == SIGN_IN_FIRST and "HTTP_AUTHORIZATION" in context["request"].META:
        # It named another scheme, such as Basic, which signs nobody in.
        refusal = errors.NotAuthenticated(SCHEME, reason="SCHEME_UNKNOWN")
    if refusal is None:
        return None
    bind_log_fields(error=refusal.error)
    return Response(error_body(refusal), status=refusal.status, headers=refusal_headers(refusal))


def refusal_headers(refusal: ExchangeError) -> dict[str, str]:
    """How the client signs in, and when it may come again."""
    headers = {}
    if refusal.status == status.HTTP_401_UNAUTHORIZED:
        headers["WWW-Authenticate"] = 'Bearer realm="api"'
    if refusal.retry_after_seconds is not None:
        headers["Retry-After"] = str(refusal.retry_after_seconds)
    return headers


def as_refusal(error: Exception) -> ExchangeError | None:
    """The exchange's word for an exception of Django's or the framework's; None for a defect."""
    if isinstance(error, ExchangeError):
        return error
    if isinstance(error, OperationalError | InterfaceError):
        logger.error("the database did not answer: %s", error)
        return errors.Unavailable("the outcome is unknown: repeat the request with the same key")
    if isinstance(error, RedisError | ConnectionInterrupted):
        logger.error("Redis did not answer: %s", error)
        return errors.Unavailable("this needs Redis, which does not answer: try again")
    if isinstance(error, Http404 | exceptions.NotFound):
        return errors.NotFound("nothing is here")
    for kind, refusal, message in _FRAMEWORK:
        if isinstance(error, kind):
            return refusal(message)
    return None


_FRAMEWORK: tuple[tuple[type[Exception], type[ExchangeError], str], ...] = (
    (exceptions.NotAuthenticated, errors.NotAuthenticated, SIGN_IN_FIRST),
    (exceptions.AuthenticationFailed, errors.NotAuthenticated, SIGN_IN_FIRST),
    (exceptions.PermissionDenied, errors.StaffOnly, "only staff may do this"),
    (exceptions.MethodNotAllowed, errors.MethodNotAllowed, "this path does not take that method"),
    (exceptions.UnsupportedMediaType, errors.UnsupportedMediaType, "send application/json"),
    (
        exceptions.NotAcceptable,
        errors.NotAcceptable,
        "application/json is answered, and text/csv of the lists that have it",
    ),
    (exceptions.ParseError, errors.MalformedBody, "the body cannot be read"),
)


def body(request: Request) -> dict[str, Any]:
    """The JSON object that was sent."""
    assert isinstance(request.data, dict), "StrictJSONParser reads nothing else"
    return request.data


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """A request that Django does not let in."""
    if isinstance(exception, DisallowedHost):
        refusal = errors.MalformedRequest("this server does not answer to that host name: see ALLOWED_HOSTS")
    else:
        refusal = errors.MalformedRequest("the request cannot be taken: it has too many parameters")
    bind_log_fields(error=refusal.error)
    return _refused(request, refusal)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """No such path."""
    return _refused(request, errors.NotFound("nothing is here"))


def server_error(request: HttpRequest) -> HttpResponse:
    """A defect. The log has its traceback; the client learns only that the outcome is unknown."""
    return _refused(request, ExchangeError("something broke: the outcome is unknown"))


def _refused(request: HttpRequest, refusal: ExchangeError) -> HttpResponse:
    return JsonResponse(error_body(in_words_of(request.path_info, refusal)), status=refusal.status)


MAX_BYTES = 65_536
MAX_DEPTH = 8
MAX_NUMBER_LENGTH = 20
# Names in one object, and objects and lists in one body: more than any form has.
MAX_NAMES = 128
MAX_PARTS = 500

_STEPS = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}
_NO_BRACKETS = bytes(set(range(256)) - _STEPS.keys())
_LONG_NUMBER = re.compile(rf"[-+.0-9eE]{{{MAX_NUMBER_LENGTH + 1}}}")


def parse_object(body: bytes) -> dict[str, Any]:
    """The JSON object in the body. Raises MalformedBody or BodyTooLarge; never anything else."""
    if len(body) > MAX_BYTES:
        raise BodyTooLarge(f"the body has more than {MAX_BYTES} bytes", maxBytes=MAX_BYTES)
    try:
        text = body.decode("utf-8")
        _refuse_costly(text)
        value = json.loads(text, object_pairs_hook=_unique, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise MalformedBody(f"the body is not acceptable JSON: {error}") from error
    if not isinstance(value, dict):
        raise MalformedBody("the body is not a JSON object")
    return value


def _refuse_costly(text: str) -> None:
    """Count brackets before parsing: the parser itself would recurse, and make an object of each pair, which Python's
    search for garbage visits again and again. Those inside texts do not count.

    Nor does it read long numbers, whose time grows with the square of their length. All is found without a step of
    Python's for each of them, because a body may hold thirty thousand.

    Without escaped backslashes and quotes, texts are what stands between each second quote and the next. An escape
    outside of a text is no JSON: up to there the brackets were counted as the parser would, and it stops there.
    """
    outside = "".join(text.replace("\\\\", "").replace('\\"', "").split('"')[::2])
    brackets = outside.encode().translate(None, _NO_BRACKETS)
    if len(brackets) > 2 * MAX_PARTS:
        raise ValueError(f"it has more than {MAX_PARTS} objects and lists")
    if max(accumulate(map(_STEPS.__getitem__, brackets)), default=0) > MAX_DEPTH:
        raise ValueError(f"nested more than {MAX_DEPTH} deep")
    if _LONG_NUMBER.search(outside):
        raise ValueError("a number is too long")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Refuse a name that comes twice: a signature or a proxy may have read the other one. And refuse many names here,
    because each that is unknown would become an error.
    """
    if len(pairs) > MAX_NAMES:
        raise ValueError(f"an object has more than {MAX_NAMES} names")
    names = dict(pairs)
    if len(names) != len(pairs):
        raise ValueError("a name comes twice in one object")
    return names


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
