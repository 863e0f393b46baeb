"""Who opens a stream of their own: signed in by a token, a ticket or a session, and asked again while it is open."""

from collections.abc import Callable
from typing import Any, Protocol

from django.conf import settings
from django.contrib.auth import get_user, get_user_model
from django.contrib.sessions.backends.base import SessionBase
from django.http import HttpRequest
from django.utils.module_loading import import_string
from rest_framework_simplejwt.authentication import JWTAuthentication
from rest_framework_simplejwt.exceptions import AuthenticationFailed, TokenError

from base.streams import redeem_ticket
from base.streams.request import StreamRequest
from base.web.errors import NotAuthenticated, NotYourAccount, UserNotFound
from base.web.ratelimit.meter import Limited


class Account(Limited, Protocol):
    """What a stream needs to know of the user's model."""

    @property
    def is_staff(self) -> bool: ...


def sign_in(request: StreamRequest) -> tuple[Account, Callable[[], bool]]:
    """The caller, and how to ask later whether the caller may still read the stream. Raises NotAuthenticated."""
    if "authorization" in request.headers:
        user = _token_user(request.headers["authorization"])
        return user, lambda: _active_user(user.pk) is not None
    ticket = request.query.get("ticket")
    user_id = redeem_ticket(ticket) if ticket else None
    bearer = _active_user(user_id) if user_id else None
    if bearer is not None:
        return bearer, lambda: _active_user(bearer.pk) is not None
    # A page that connects again by itself brings the ticket that it has used; its session may still be good.
    guest = _session_user(request)
    if guest is None:
        raise NotAuthenticated("sign in with a token, a session or a ticket")
    return guest, lambda: _session_user(request) == guest


def account_named(user: Account, named: str | None) -> int:
    """Whose stream it is: the caller's own. Older clients name it; only staff may name another's.

    Raises NotYourAccount and UserNotFound.
    """
    if not named or named == str(user.pk):
        return user.pk
    if not user.is_staff:
        raise NotYourAccount
    known = named.isdecimal() and len(named) <= 18 and get_user_model().objects.filter(pk=int(named)).exists()
    if not known:
        raise UserNotFound(f"there is no user {named[:40]}")
    return int(named)


def _token_user(authorization: str) -> Account:
    authentication = JWTAuthentication()
    try:
        raw = authentication.get_raw_token(authorization.encode("latin-1", "replace"))
        if raw is None:
            raise NotAuthenticated("Authorization must be: Bearer <token>")
        user: Any = authentication.get_user(authentication.get_validated_token(raw))
    except (AuthenticationFailed, TokenError) as error:
        raise NotAuthenticated("the access token is invalid or expired") from error
    account: Account = user
    return account


def _session_user(request: StreamRequest) -> Account | None:
    key = request.cookies.get(settings.SESSION_COOKIE_NAME)
    if not key:
        return None
    store: type[SessionBase] = import_string(f"{settings.SESSION_ENGINE}.SessionStore")
    carrier = HttpRequest()
    carrier.session = store(key)
    user: Any = get_user(carrier)
    return user if user.is_active else None


def _active_user(user_id: int) -> Account | None:
    return get_user_model().objects.filter(pk=user_id, is_active=True).first()
