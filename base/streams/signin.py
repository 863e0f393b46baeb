"""Who opens a stream of their own: signed in by a token, a key, a ticket or a session of the admin, and asked again
while it is open.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user, get_user_model
from django.contrib.sessions.backends.base import SessionBase
from django.http import HttpRequest
from django.utils.module_loading import import_string
from rest_framework_simplejwt.exceptions import AuthenticationFailed, InvalidToken, TokenError

from base.streams.request import StreamRequest
from base.streams.tickets import Redeemed, redeem_ticket
from base.web.accounts import Account, Credential, account_that, find_accounts
from base.web.answers import SCHEME
from base.web.authentication import Caller, TokenAuthentication, refused_token, signer
from base.web.errors import NotAuthenticated, NotYourAccount, PermissionRequired, UserNotFound
from base.web.keys.known import good_keys, key_as_now


@dataclass(frozen=True, slots=True)
class Permit:
    """By what a stream is open: a credential, and the key of the admin's session if a cookie signed in, or a ticket.

    `power` is the permission by which staff listen to another account; without it, or no longer staff, they may not.
    """

    credential: Credential
    session_key: str = ""
    ticket: Redeemed | None = None
    power: str = ""

    def open(self, stream: str) -> None:
        """Raises NotAuthenticated for a used ticket, which is good for the stream that it opened alone."""
        if self.ticket is not None and not self.ticket.opens(stream):
            raise NotAuthenticated("this ticket has opened another stream")


def sign_in(request: StreamRequest) -> tuple[Caller, Permit]:
    """The caller, and by what the stream may stay open. Raises NotAuthenticated and its kinds, AddressNotAllowed."""
    if (signed := request.signed) is not None:
        if "authorization" in request.headers:
            raise NotAuthenticated("sign in by a token or by a key, not by both")
        caller = signer(signed)
        return caller, Permit(caller.credential)
    if "authorization" in request.headers:
        caller = _token_caller(request.headers["authorization"])
        return caller, Permit(caller.credential)
    text = request.query.get("ticket")
    ticket = redeem_ticket(text, is_again=request.last_event_id is not None) if text else None
    bearer = _caller(ticket.credential) if ticket else None
    if bearer is not None:
        return bearer, Permit(bearer.credential, ticket=ticket)
    # A page that connects again by itself brings the ticket that it has used; its session may still be good.
    key = request.cookies.get(settings.SESSION_COOKIE_NAME, "")
    guest = _session_user(key)
    if guest is None:
        raise NotAuthenticated("sign in with a token, a session or a ticket")
    credential = Credential(guest.pk, guest.stamp)
    return Caller(credential, guest.rate_limit), Permit(credential, key)


def as_now(caller: Caller) -> Caller:
    """The caller with the rate limit of now.

    Raises NotAuthenticated if the account was deactivated or signed out, or the key is good no more.
    """
    key = None if caller.key is None else key_as_now(caller.key)
    try:
        account = account_that(caller.id, lambda known: known.takes(caller.credential))
    except InvalidToken as error:
        raise NotAuthenticated("the session is over, or the account is not active") from error
    return Caller(caller.credential, account.rate_limit, key)


def barred(permits: Collection[Permit]) -> set[Permit]:
    """Those whose streams must end: the account was deactivated or signed out, or signed in anew, or the key is good no
    more, or the power by which it listens is lost. One query for all, one for all keys, and one for each with a power.
    """
    accounts = find_accounts({permit.credential.user_id for permit in permits})
    ids = {permit.credential.key_id for permit in permits}
    keys: set[int | None] = {None, *good_keys({key_id for key_id in ids if key_id is not None})}
    return {
        permit
        for permit in permits
        if permit.credential.key_id not in keys or not _is_good(permit, accounts.get(permit.credential.user_id))
    }


def _is_good(permit: Permit, account: Account | None) -> bool:
    if account is None or not account.takes(permit.credential):
        return False
    if permit.power and not _holds(Caller(permit.credential, None), permit.power):
        return False
    return not permit.session_key or _session_user(permit.session_key) is not None


def _holds(user: Caller, power: str) -> bool:
    return user.is_staff and user.has_perm(power)


def account_named(user: Caller, named: str | None, power: str) -> int:
    """Whose stream it is: the caller's own. Older clients name it; only staff with the power may name another's.

    Raises NotYourAccount, PermissionRequired and UserNotFound.
    """
    if not named or named == str(user.pk):
        return user.pk
    if not user.is_staff:
        raise NotYourAccount
    if not user.has_perm(power):
        raise PermissionRequired(power)
    known = named.isdecimal() and len(named) <= 18 and get_user_model().objects.filter(pk=int(named)).exists()
    if not known:
        raise UserNotFound(f"there is no user {named[:40]}")
    return int(named)


def _token_caller(authorization: str) -> Caller:
    authentication = TokenAuthentication()
    try:
        raw = authentication.get_raw_token(authorization.encode("latin-1", "replace"))
        if raw is None:
            raise NotAuthenticated(SCHEME, reason="SCHEME_UNKNOWN")
        return authentication.get_user(authentication.get_validated_token(raw))
    except (AuthenticationFailed, TokenError) as error:
        raise refused_token(error) from error


def _caller(credential: Credential) -> Caller | None:
    account = find_accounts([credential.user_id]).get(credential.user_id)
    return Caller(credential, account.rate_limit) if account and account.takes(credential) else None


def _session_user(key: str) -> Any:
    """The active user of a session of the admin, if there is one."""
    if not key:
        return None
    store: type[SessionBase] = import_string(f"{settings.SESSION_ENGINE}.SessionStore")
    carrier = HttpRequest()
    carrier.session = store(key)
    user: Any = get_user(carrier)
    return user if user.is_active else None
