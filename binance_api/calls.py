"""One call of the Binance-compatible API in one declaration at its view: its parameters, its weight, its scope.

A view is public, signed, or asks for the name of a key alone. What is not a refusal in Binance's words becomes one here
(`errors`), also where a request is refused before its view (`base.web.dialects`).
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar, cast

from django.http import HttpRequest
from rest_framework.authentication import BaseAuthentication
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.permissions import AllowAny, IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from base.telemetry.access import bind_log_fields
from base.web.authentication import OTHER_KEY_HEADER, SIGNED_IN, Caller, sent_body
from base.web.dialects import Dialect
from base.web.keys.scopes import PUBLIC, Needed
from base.web.keys.signed import request_target
from base.web.keys.use import named_key
from base.web.middleware import weigh
from base.web.queries import MOST
from base.web.ratelimit.addresses import client_address, current_network, origin_of
from base.web.ratelimit.meter import BINANCE
from binance_api.errors import BAD_KEY, Refused, answer_of, answer_refusal
from binance_api.parameters import (
    Pairs,
    Parameter,
    Values,
    not_all_read,
    parse_pairs,
    read_parameters,
    too_many,
)
from binance_api.signing import OF_SIGNING, SIGNATURE, SignedParameters, read_signed, rest_payload, sign_in
from binance_api.usage import add_weight

# What may wait for the outcome of an order (`orders.waiting`), if a server of asynchronous requests has it.
MAY_WAIT = {
    *((method, f"{BINANCE}/{path}") for method in ("POST", "DELETE") for path in ("order", "orderList")),
    *(("POST", f"{BINANCE}/{path}") for path in ("order/cancelReplace", "order/oco", "orderList/oco")),
    ("DELETE", f"{BINANCE}/openOrders"),
}
# Where a request keeps what was sent with it; no header of a client's can have such a name.
_SENT = "exchange.binance"
H = TypeVar("H", bound=Callable[..., Any])


class Sent(NamedTuple):
    """All parameters of a request, and what is signed of it."""

    pairs: Pairs
    payload: bytes


def sent_with(request: HttpRequest | Request) -> Sent:
    """Raises Refused, BodyTooLarge and MalformedBody."""
    meta = request.META
    if _SENT not in meta:
        query = request_target(meta).partition(b"?")[2]
        body = sent_body(cast(HttpRequest, getattr(request, "_request", request)))
        meta[_SENT] = Sent(parse_pairs(query) + parse_pairs(body), rest_payload(query, body))
    sent: Sent = meta[_SENT]
    return sent


def signed_with(request: HttpRequest | Request) -> SignedParameters:
    """What a signed request says of itself. Raises Refused."""
    sent, meta = sent_with(request), request.META
    address = client_address(*origin_of(meta))
    key_id = meta.get(OTHER_KEY_HEADER, "")
    return read_signed(
        key_id, dict(sent.pairs), sent.payload, address, method=request.method or "", path=meta.get("PATH_INFO", "")
    )


def signer_of(request: HttpRequest) -> tuple[Caller, None] | None:
    """Who signed, found out before the view; None for a request without a signature."""
    if OTHER_KEY_HEADER not in request.META or SIGNATURE not in dict(sent_with(request).pairs):
        return None
    return sign_in(signed_with(request)), None


class BySignature(BaseAuthentication):
    """A key and a signature. What was found out before the view is not asked again."""

    def authenticate(self, request: Request) -> tuple[Any, Any] | None:
        if request.META.get(SIGNED_IN) is None:
            return sign_in(signed_with(request)), None
        known: tuple[Any, Any] | Exception = request.META[SIGNED_IN]
        if isinstance(known, Exception):
            raise known
        return known


class ByKey(BaseAuthentication):
    """The name of a key, unsigned."""

    def authenticate(self, request: Request) -> tuple[Any, Any] | None:
        key_id = request.META.get(OTHER_KEY_HEADER)
        if not key_id:
            raise Refused(-2014, BAD_KEY, 401)
        caller = Caller.of_key(named_key(key_id, client_address(*origin_of(request.META))))
        bind_log_fields(userId=caller.id)
        return caller, None


class Plain(BaseContentNegotiation):
    """JSON, whatever is asked for, as Binance answers."""

    def select_parser(self, request: Request, parsers: Any) -> Any:
        return parsers[0]

    def select_renderer(self, request: Request, renderers: Any, format_suffix: str | None = None) -> Any:
        return renderers[0], renderers[0].media_type


class BinanceView(APIView):
    """What anybody may call."""

    permission_classes: Any = [AllowAny]
    authentication_classes: Any = []
    content_negotiation_class = Plain
    # Headers of the answer.
    use_headers: dict[str, str]

    def get_exception_handler(self) -> Callable[..., Response | None]:
        return answer_refusal

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        for name, value in getattr(self, "use_headers", {}).items():
            response[name] = value
        return super().finalize_response(request, response, *args, **kwargs)


class SignedView(BinanceView):
    """What an owner may call, by a key that signs."""

    permission_classes = [IsAuthenticated]
    authentication_classes = [BySignature]


class KeyView(BinanceView):
    """What asks for a key's name, and takes a signature that it does not need."""

    permission_classes = [IsAuthenticated]
    authentication_classes = [ByKey]


def caller_of(request: Request) -> Caller:
    """Who is signed in."""
    return cast(Caller, request.user)


Weight = int | Callable[[Values], int]
_OF_SIGNING = tuple(Parameter(name, lambda _, given: given) for name in OF_SIGNING)


@dataclass(frozen=True)
class Endpoint:
    """Declares the method of a view, which is called with the values of its parameters. `weight` is Binance's."""

    scope: Needed
    weight: Weight
    parameters: tuple[Parameter, ...] = ()

    def __call__(self, handler: H) -> H:
        @functools.wraps(handler)
        def read(view: BinanceView, request: Request) -> Response:
            if self.scope is not PUBLIC:
                caller_of(request).admit(self.scope)
            return cast(Response, handler(view, request, self._values(view, request)))

        read.endpoint = self  # type: ignore[attr-defined]
        return cast(H, read)

    def _values(self, view: BinanceView, request: Request) -> Values:
        """Raises Refused. The answer has the weight, also where the call is refused for what it asks."""
        caller = request.user
        is_proved = caller.is_authenticated and not isinstance(view, KeyView)
        who = f"user:{caller.pk}" if is_proved else f"address:{current_network()}"
        weight = self.weight if isinstance(self.weight, int) else 1
        try:
            if self.scope is PUBLIC:
                values = read_parameters(self.parameters, sent_with(request).pairs, too_many)
            else:
                declared = (*self.parameters, *_OF_SIGNING)
                values = read_parameters(declared, sent_with(request).pairs, not_all_read)
            weight = self.weight if isinstance(self.weight, int) else self.weight(values)
        finally:
            view.use_headers = add_weight(who, weight)
        return values


def weigh_pages(request: Request, rows: int) -> None:
    """So many rows cost as many requests as they are pages of our own lists. Raises TooManyRequests."""
    weigh(request, -(-rows // MOST))


DIALECT = Dialect(BINANCE + "/", signer_of, lambda refusal: answer_of(refusal).body)
