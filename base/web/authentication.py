"""Who signed in with a token or by a key: an active account. Its powers are read from the database each time."""

from functools import cached_property
from typing import Any, cast

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.exceptions import RequestDataTooBig
from django.db import Error
from django.http import HttpRequest, UnreadablePostError
from rest_framework import exceptions
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework_simplejwt.authentication import JWTAuthentication
from rest_framework_simplejwt.exceptions import InvalidToken
from rest_framework_simplejwt.settings import api_settings
from rest_framework_simplejwt.tokens import Token

from base.telemetry.access import bind_log_fields
from base.web import errors
from base.web.accounts import Credential, account_that, known_account
from base.web.answers import SCHEME, SIGN_IN_FIRST
from base.web.dialects import dialect_of
from base.web.keys.known import KnownKey
from base.web.keys.scopes import Needed, admit
from base.web.keys.signed import HEADERS, SignedRequest, request_target
from base.web.keys.use import key_of
from base.web.ratelimit.addresses import client_address, origin_of
from base.web.tokens import SESSION_CLAIM, known_token
from base.web.values import parse_id


class Caller:
    """The account behind a request, and the credential of tickets and streams that it opens.

    Its powers are read when they are asked for, so whoever is no longer staff is refused at once. Who signed by a key
    has none of them.
    """

    is_authenticated = True
    is_anonymous = False
    is_active = True

    def __init__(self, credential: Credential, rate_limit: int | None, key: KnownKey | None = None) -> None:
        self.id = self.pk = credential.user_id
        self.credential = credential
        self.rate_limit = rate_limit
        self.key = key

    @classmethod
    def of_key(cls, key: KnownKey) -> "Caller":
        return cls(Credential(key.user_id, key.stamp, key_id=key.id), key.rate_limit, key)

    def __str__(self) -> str:
        return str(self.id)

    def admit(self, needed: Needed) -> None:
        """Raises ScopeRequired where a key signed that lacks the scope."""
        if self.key is not None:
            admit(self.key.scopes, needed)

    @cached_property
    def _user(self) -> Any:
        """The row with the powers, read once for a request."""
        return get_user_model()._default_manager.filter(pk=self.id, is_active=True).first()

    @property
    def is_staff(self) -> bool:
        return self.key is None and bool(self._user and self._user.is_staff)

    def has_perm(self, permission: str) -> bool:
        """Whether the account holds a permission of Django's, by itself, by a group or as a superuser. No key does."""
        return self.key is None and bool(self._user and self._user.has_perm(permission))


# Where a request keeps what came of signing in; no header of a client's can have such a name.
SIGNED_IN = "exchange.signed_in"
KEY_HEADER, TOKEN_HEADER = "HTTP_X_API_KEY", "HTTP_AUTHORIZATION"
# That of a key in the requests of another API.
OTHER_KEY_HEADER = "HTTP_X_MBX_APIKEY"
_HEADERS = {name: f"HTTP_{name.upper().replace('-', '_')}" for name in HEADERS}


class TokenAuthentication(JWTAuthentication):
    """`Authorization: Bearer <access token>`, or a signature by a key. What `caller_of` found is not asked again."""

    def authenticate(self, request: Request) -> tuple[Any, Any] | None:
        if SIGNED_IN not in request.META:
            return self._ask(request)
        known: tuple[Any, Any] | Exception | None = request.META[SIGNED_IN]
        if isinstance(known, Exception):
            raise known
        return known

    def _ask(self, request: Request) -> tuple[Any, Any] | None:
        if KEY_HEADER in request.META:
            return _signer(getattr(request, "_request", request)), None
        try:
            return super().authenticate(request)
        except exceptions.APIException as error:
            raise refused_token(error) from error

    def get_validated_token(self, raw_token: bytes) -> Token:
        return known_token(raw_token, super().get_validated_token)

    def get_user(self, validated_token: Token) -> Caller:  # type: ignore[override]
        """The account that the token names, if its session is open. Raises InvalidToken."""
        user_id = parse_id(str(validated_token.get(api_settings.USER_ID_CLAIM))) or 0
        session_id: int | None = validated_token.get(SESSION_CLAIM)
        account = account_that(user_id, lambda known: known.takes_token(session_id))
        bind_log_fields(userId=user_id)
        return Caller(Credential(user_id, account.stamp, session_id), account.rate_limit)


# By a word of what was found: what a client is told, because an expired token is renewed and another one is not.
_REASONS = (
    ("expired", "TOKEN_EXPIRED", "the access token has expired: renew it by POST /api/v1/auth/token/refresh"),
    ("is over", "SESSION_OVER", "the session of the access token is over: sign in again"),
    ("not active", "SESSION_OVER", "the account of the access token is not active"),
    ("space-delimited", "SCHEME_UNKNOWN", SCHEME),
)


def refused_token(error: Exception) -> errors.NotAuthenticated:
    """What is wrong with a token, by what simplejwt or the account said of it."""
    found = str(getattr(error, "detail", error))
    for word, reason, message in _REASONS:
        if word in found:
            return errors.NotAuthenticated(message, reason=reason)
    return errors.NotAuthenticated("the access token was not issued here, or was changed", reason="TOKEN_INVALID")


def _signer(request: HttpRequest) -> Caller:
    """Who signed the request, by a key. Raises NotAuthenticated and its kinds, AddressNotAllowed, BodyTooLarge."""
    meta = request.META
    if TOKEN_HEADER in meta:
        raise errors.NotAuthenticated("sign in by a token or by a key, not by both")
    headers = {name: meta[header] for name, header in _HEADERS.items() if header in meta}
    address = client_address(*origin_of(meta))
    return signer(SignedRequest.read(headers, request.method or "", request_target(meta), sent_body(request), address))


def signer(signed: SignedRequest) -> Caller:
    """Who signed, by a key. Raises as `key_of` does."""
    caller = Caller.of_key(key_of(signed))
    bind_log_fields(userId=caller.id, keyId=signed.key_id)
    return caller


def sent_body(request: HttpRequest) -> bytes:
    """The bytes of the body. Raises BodyTooLarge and MalformedBody."""
    try:
        return request.body
    except RequestDataTooBig as error:
        limit = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
        raise errors.BodyTooLarge(f"the body has more than {limit} bytes", maxBytes=limit) from error
    except UnreadablePostError as error:
        raise errors.MalformedBody("the body cannot be read") from error


def caller_of(request: HttpRequest) -> Caller | None:
    """Who is signed in, found out before the view, which then gets the same answer.

    None for nobody, and if that cannot be known because of a bad token or without the database: then the view refuses.
    """
    known: Any
    try:
        dialect = dialect_of(request.path_info)
        # Over a WebSocket it is known already.
        theirs = dialect if SIGNED_IN not in request.META else None
        sign_in = theirs.sign_in if theirs is not None else TokenAuthentication().authenticate
        known = sign_in(cast(Request, request))
    except Exception as error:
        known = error
    request.META[SIGNED_IN] = known
    return known[0] if isinstance(known, tuple) else None


def is_known_staff(caller: Caller | None) -> bool:
    """Whether the caller was staff within the last seconds, as far as that is known. It costs no query, because it is
    asked of each request that the rate limit refuses.
    """
    try:
        return caller is not None and caller.key is None and known_account(caller.id).is_staff
    except (Error, InvalidToken):
        return False


class IsStaff(BasePermission):
    """Staff only. Others are refused, and anonymous users are asked to sign in."""

    def has_permission(self, request: Request, view: Any) -> bool:
        if not request.user.is_authenticated:
            raise errors.NotAuthenticated(SIGN_IN_FIRST)
        if not request.user.is_staff:
            raise errors.StaffOnly("only staff may do this")
        return True


class Holds(IsStaff):
    """Staff who hold the permission, such as "users.kill". A view lists `Holds.permission(...)`."""

    needed = ""

    @classmethod
    def permission(cls, name: str) -> "type[Holds]":
        return type("Holds", (cls,), {"needed": name})

    def has_permission(self, request: Request, view: Any) -> bool:
        return super().has_permission(request, view) and permitted(request, self.needed)


class HoldsOrReads(Holds):
    """Everybody may look; staff who hold the permission may change."""

    def has_permission(self, request: Request, view: Any) -> bool:
        return request.method in ("GET", "HEAD", "OPTIONS") or super().has_permission(request, view)


def permitted(request: Request, permission: str) -> bool:
    """True for staff who hold the permission. Raises StaffOnly and PermissionRequired."""
    if not request.user.is_staff:
        raise errors.StaffOnly("only staff may do this")
    if not request.user.has_perm(permission):
        raise errors.PermissionRequired(permission)
    return True


def caller_id(request: Request) -> int:
    """The account that is signed in."""
    assert request.user.pk is not None
    return request.user.pk


def credential_of(request: Request) -> Credential:
    """By what the caller is signed in."""
    caller: Any = request.user
    credential: Credential = caller.credential
    return credential


def own_user_id(request: Request, asked_for: int | None, permission: str) -> int:
    """The account a request acts on: its own; staff who hold the permission may name another's.

    Raises NotYourAccount, and for other staff PermissionRequired.
    """
    own = caller_id(request)
    if asked_for is None or asked_for == own:
        return own
    if not request.user.is_staff:
        raise errors.NotYourAccount
    permitted(request, permission)
    return asked_for
