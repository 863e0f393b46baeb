"""The faults of requests. Each answer that was tampered with says so in a header.

A delay keeps a thread, so a few of them at a time are all that a process has; a further one is left out.
"""

import json
import re
import threading
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl

from django.conf import settings
from django.core.exceptions import MiddlewareNotUsed
from django.http import HttpRequest, JsonResponse
from django.http.response import HttpResponseBase

from base.web.answers import refusal_headers
from base.web.authentication import SIGNED_IN, caller_of, sent_body
from base.web.dialects import in_words_of
from base.web.errors import ExchangeError, TooManyRequests, Unavailable, error_body
from orders.answers import CLIENT_ORDER_ID_PATTERN
from orders.errors import SandboxReject
from orders.models import Order
from orders.oco import LIMIT_SUFFIX, STOP_SUFFIX
from orders.waiting import wait_no_more
from sandbox import services
from sandbox.faults import RequestFaults, of_request
from sandbox.models import OF_THE_ACCOUNT

NATIVE, BINANCE = "/api/v1/", "/api/v3/"
# Whoever has ordered faults must be able to end them.
OWN_CALLS = "/api/v1/sandbox/"
FAULT, NUMBER = "X-Sandbox-Fault", "X-Sandbox-Request"
DELAYS_AT_ONCE = 2
# What places one order.
PLACES = re.compile(
    r"/api/v1/orders(/oco|/[0-9]+/replace)?|/api/v3/(order|order/oco|order/cancelReplace|orderList/oco)"
)
_LEGS = ("limit", "stop", "above", "below")
_KEYS = ("clientOrderId", "newClientOrderId", "listClientOrderId", *(f"{leg}ClientOrderId" for leg in _LEGS))
_NAME = re.compile(CLIENT_ORDER_ID_PATTERN)
_READING = ("GET", "HEAD", "OPTIONS")

_delays = threading.BoundedSemaphore(DELAYS_AT_ONCE)


class Faults:
    """Tampers with what callers ask who ordered it. Not there at all where SANDBOX is off."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        if not settings.SANDBOX:
            raise MiddlewareNotUsed("SANDBOX is off")
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        path = request.path_info
        if not path.startswith((NATIVE, BINANCE)) or path.startswith(OWN_CALLS):
            return self._get_response(request)
        caller = _caller(request)
        ordered = None if caller is None else services.known_faults(*caller)
        number = None if ordered is None else services.next_number(ordered.run)
        if caller is None or ordered is None or number is None:
            return self._get_response(request)
        response, applied = self._tampered(request, caller[0], of_request(ordered.plan, number))
        response[NUMBER] = str(number)
        if applied:
            response[FAULT] = ", ".join(applied)
        return response

    def _tampered(
        self, request: HttpRequest, user_id: int, faults: RequestFaults
    ) -> tuple[HttpResponseBase, list[str]]:
        applied = [f"delay={faults.delay_ms}"] if faults.delay_ms and _delayed(faults.delay_ms) else []
        if faults.is_too_many:
            refusal: ExchangeError = TooManyRequests("the sandbox refuses this request: nothing was done, wait")
            return _refused(request, refusal), [*applied, "too-many"]
        if faults.is_rejected and _places_anew(request, user_id):
            refusal = SandboxReject("the sandbox refuses this order: nothing was stored")
            return _refused(request, refusal), [*applied, "reject"]
        response = self._get_response(request)
        if faults.is_answer_lost and request.method not in _READING:
            wait_no_more(request)
            refusal = Unavailable("the outcome is unknown: repeat the request with the same key")
            return _refused(request, refusal), [*applied, "lost-answer"]
        return response, applied


def _caller(request: HttpRequest) -> tuple[int, int] | None:
    """The user, and the key that signed; as the rate limit has found out, or here where there is none."""
    if SIGNED_IN not in request.META:
        caller_of(request)
    known: Any = request.META[SIGNED_IN]
    # Of whoever is not let in the view says why.
    credential = known[0].credential if isinstance(known, tuple) else None
    return None if credential is None else (credential.user_id, credential.key_id or OF_THE_ACCOUNT)


def _delayed(milliseconds: int) -> bool:
    if not _delays.acquire(blocking=False):
        return False
    try:
        time.sleep(milliseconds / 1000)
    finally:
        _delays.release()
    return True


def _places_anew(request: HttpRequest, user_id: int) -> bool:
    """Whether it places an order, and not one that is stored already: a repetition has its first answer."""
    if request.method != "POST" or not PLACES.fullmatch(request.path_info):
        return False
    keys = [name + suffix for name in _names(request) for suffix in ("", LIMIT_SUFFIX, STOP_SUFFIX)]
    return not (keys and Order.objects.filter(user_id=user_id, client_order_id__in=keys).exists())


def _names(request: HttpRequest) -> list[str]:
    """What the request calls its orders. Of what is no name the view says so."""
    try:
        body = sent_body(request)
        is_native = request.path_info.startswith(NATIVE)
        sent = json.loads(body) if is_native else dict(parse_qsl(f"{request.META['QUERY_STRING']}&{body.decode()}"))
        names = [sent.get(key) for key in _KEYS]
    except (ExchangeError, ValueError, AttributeError, RecursionError):
        return []
    return [name for name in names if isinstance(name, str) and _NAME.fullmatch(name)]


def _refused(request: HttpRequest, refusal: ExchangeError) -> JsonResponse:
    body = error_body(in_words_of(request.path_info, refusal))
    return JsonResponse(body, status=refusal.status, headers=refusal_headers(refusal))
