"""One call from the first attempt to its answer: signed, sent, understood, and repeated where that is safe."""

import math
from collections.abc import Mapping
from typing import TypeVar

from .calls.call import Call, Reply
from .credentials import Credentials, Nobody
from .errors import ClearbellError, NoAnswer, NotSignedIn, NotUnderstood, Refused, TooMany
from .retry import Cut, Patience, Patient, Trouble
from .steps import Pause, Request, Send, Steps

T = TypeVar("T")
JSON = {"Content-Type": "application/json"}
# A request that did not arrive in time.
NOT_ARRIVED = 408
# How often a request is signed anew after a 401.
SIGNED_ANEW = 2
NOBODY = Nobody()


class Conversations:
    """A client's side of each call, as steps for its transport."""

    def __init__(self, credentials: Credentials, retry: Patient, headers: Mapping[str, str] | None = None) -> None:
        self.credentials = credentials
        self.retry = retry
        # Sent with each request, beside those that sign it.
        self.more_headers = dict(headers or {})

    def answer(self, call: Call[T], retry: Patient | None = None) -> Steps[T]:
        """The answer. Raises Refused, NoAnswer and NotUnderstood."""
        patience = (retry or self.retry).patience()
        is_unknown, attempts, signed_anew = False, 0, 0
        while True:
            try:
                request = yield from self.signed(call)
            except Refused as refused:
                raise self._outcome(call, refused, attempts, is_unknown) from refused
            attempts += 1
            try:
                reply = yield Send(request)
                refusal = refusal_of(reply)
            except Cut as cut:
                trouble = Trouble(_name(call), str(cut) or type(cut).__name__, is_unknown=cut.was_sent)
            else:
                if refusal is None:
                    return call.read(reply)
                if (
                    isinstance(refusal, NotSignedIn)
                    and signed_anew < SIGNED_ANEW
                    and self._may_sign_anew(call, refusal, request)
                ):
                    signed_anew += 1
                    # The first of two that are the same was taken up, perhaps: a proxy may send one twice.
                    is_unknown = is_unknown or refusal.code == "SIGNATURE_REPLAYED"
                    continue
                if is_unknown and refusal.code in call.done:
                    return call.done[refusal.code](refusal)
                if not _may_change(refusal):
                    raise self._outcome(call, refusal, attempts, is_unknown)
                trouble = Trouble(_name(call), str(refusal), not refusal.is_known, refusal)
            is_unknown = is_unknown or trouble.is_unknown
            yield Pause(_pause(call, trouble, patience, attempts, is_unknown))

    def signed(self, call: Call[T]) -> Steps[Request]:
        """A request for one attempt: a signature is good once."""
        target, content = call.target, call.content
        credentials = NOBODY if call.is_public else self.credentials
        own = yield from credentials.headers(call.method, target, content, self.answer)
        headers = {**self.more_headers, **own}
        return Request(call.method, target, {**headers, **JSON} if content else headers, content)

    def _outcome(self, call: Call[T], refusal: Refused, attempts: int, is_unknown: bool) -> ClearbellError:
        """After an attempt that was not answered, a refusal of whoever asks settles nothing: no order was looked at."""
        looked_at = refusal.status not in (401, 403) and not isinstance(refusal, TooMany)
        if not is_unknown or call.method == "GET" or call.is_public or looked_at:
            return refusal
        return NoAnswer(_name(call), str(refusal), attempts, call)

    def _may_sign_anew(self, call: Call[T], refusal: NotSignedIn, request: Request) -> bool:
        if call.is_public:
            return False
        own = {name: value for name, value in request.headers.items() if name in ("Authorization", "X-API-Key")}
        return self.credentials.was_refused(refusal, own)


def refusal_of(reply: Reply) -> Refused | None:
    """What the exchange refused; None for an answer. Raises Cut for what no exchange wrote."""
    if reply.status < 300:
        return None
    try:
        body = reply.body
    except NotUnderstood as error:
        # A proxy's own page: the exchange was away, or the path is none of an exchange.
        if reply.status < 500 and reply.status not in (429, NOT_ARRIVED):
            raise
        raise Cut(str(error)) from error
    data = body.get("data")
    exact = data.get("retryAfterMs") if isinstance(data, dict) else None
    retry_after = exact / 1000 if isinstance(exact, int | float) else _seconds(reply.headers.get("Retry-After"))
    return Refused.of(reply.status, body, retry_after)


def _pause(call: Call[T], trouble: Trouble, patience: Patience, attempts: int, is_unknown: bool) -> float:
    """Raises NoAnswer, or the refusal, where it is not sent again."""
    wait = patience.pause(trouble) if call.repeats or not is_unknown else None
    if wait is not None:
        return wait
    # What an earlier attempt may have done stays unknown, whatever the last one was answered.
    if trouble.refusal is not None and not is_unknown:
        raise trouble.refusal
    raise NoAnswer(trouble.what, trouble.cause, attempts, call) from trouble.refusal


def _may_change(refusal: Refused) -> bool:
    """Whether the same request may be answered in another way a moment later."""
    return refusal.status >= 500 or refusal.status in (429, NOT_ARRIVED)


def _name(call: Call[T]) -> str:
    return f"{call.method} {call.path}"


def _seconds(text: str | None) -> float | None:
    try:
        seconds = float(text or "nan")
    except ValueError:
        return None
    return seconds if 0 <= seconds < math.inf else None
