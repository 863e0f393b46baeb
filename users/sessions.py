"""Sessions: what a sign-in opens, a refresh token goes on with, and a log-out ends.

A refresh token is good once. Whoever brings a used one has it from somebody else, or lost the answer; since nobody can
know which of the two is the owner, the session ends for both.
"""

import logging
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, cast

from django.contrib.auth import authenticate
from django.utils import timezone
from rest_framework_simplejwt.exceptions import TokenError
from rest_framework_simplejwt.settings import api_settings
from rest_framework_simplejwt.utils import datetime_from_epoch

from base.web.accounts import forget_account
from base.web.errors import InvalidCredentials, NotAuthenticated, TokenReused
from base.web.ratelimit.meter import Bucket, count_for_account
from base.web.tokens import SESSION_CLAIM, RefreshToken
from users.models import Session, User

logger = logging.getLogger(__name__)

# How many an account may have; the oldest go. Access tokens that are renewed by signing in again need one each time.
MOST = 100
# Expired rows are deleted in small steps, because a worker does it between its bells.
STEP, STEPS = 500, 20


@dataclass(frozen=True, slots=True)
class Tokens:
    """A signed-in user's tokens; the access token ends after `expires_in` seconds."""

    access: str
    refresh: str
    expires_in: int
    user: User


def sign_in(username: str, password: str) -> Tokens:
    """Open a session. Raises InvalidCredentials, which does not show whether the name or the password was wrong, and
    SignInLocked and SignInsBusy.
    """
    user = authenticate(username=username, password=password)
    # Read again, because the password may have been changed while it was checked.
    found = User.objects.filter(pk=user.pk, password=user.password, is_active=True).first() if user else None
    if found is None:
        raise InvalidCredentials("username and password do not match an active account")
    refresh = _new_token(found)
    now = timezone.now()
    opened = Session.objects.create(
        user=found, stamp=found.stamp, token_id=_id_of(refresh), created_at=now, renewed_at=now, **_end_of(refresh)
    )
    refresh[SESSION_CLAIM] = opened.pk
    _delete_oldest(found.pk)
    return _tokens(refresh, found)


def renew(refresh_token: str) -> Tokens:
    """New tokens for the newest refresh token of an open session; of two calls at the same moment one gets them.

    Raises NotAuthenticated, and TokenReused for a used token, whose session ends.
    """
    refresh = _read(refresh_token)
    count_for_account(Bucket.REFRESHES, int(refresh[api_settings.USER_ID_CLAIM]))
    session = _session_of(refresh)
    used, user = _id_of(refresh), session.user
    if session.token_id == used:
        if session.ended_at is not None or session.stamp != user.stamp or not user.is_active:
            raise NotAuthenticated("the session is over: sign in again")
        fresh = _new_token(user)
        fresh[SESSION_CLAIM] = session.pk
        same = Session.objects.filter(pk=session.pk, token_id=used, ended_at=None)
        if same.update(token_id=_id_of(fresh), renewed_at=timezone.now(), **_end_of(fresh)):
            return _tokens(fresh, user)
    if Session.objects.filter(pk=session.pk, ended_at=None).update(ended_at=timezone.now()):
        logger.warning("a used refresh token of user %s came again, its session %s ends", user.pk, session.pk)
        forget_account(user.pk)
    raise TokenReused("this refresh token was used before, its session is over: sign in again")


def log_out(refresh_token: str, caller_id: int | None = None) -> int:
    """End the session of the refresh token, whichever of its tokens it is; return whose it was. Again changes nothing.

    Raises NotAuthenticated, also for the token of another user than the caller.
    """
    refresh = _read(refresh_token)
    user_id = int(refresh[api_settings.USER_ID_CLAIM])
    if caller_id not in (None, user_id):
        raise NotAuthenticated("the refresh token is not the caller's")
    Session.objects.filter(pk=refresh.get(SESSION_CLAIM), user_id=user_id).delete()
    forget_account(user_id)
    return user_id


def delete_expired() -> int:
    """Delete sessions that expired, a limited number. Return how many."""
    deleted = 0
    for _ in range(STEPS):
        expired = Session.objects.filter(expires_at__lt=timezone.now()).order_by("expires_at")
        ids = list(expired.values_list("pk", flat=True)[:STEP])
        deleted += Session.objects.filter(pk__in=ids).delete()[0]
        if len(ids) < STEP:
            break
    return deleted


def _new_token(user: User) -> RefreshToken:
    refresh = RefreshToken()
    refresh[api_settings.USER_ID_CLAIM] = str(user.pk)
    return refresh


def _read(refresh_token: str) -> RefreshToken:
    try:
        return RefreshToken(cast(Any, refresh_token))
    except TokenError as error:
        raise NotAuthenticated("the refresh token is invalid or expired") from error


def _session_of(refresh: RefreshToken) -> Session:
    mine = Session.objects.filter(pk=refresh.get(SESSION_CLAIM), user_id=refresh[api_settings.USER_ID_CLAIM])
    session = mine.select_related("user").first()
    if session is None:
        raise NotAuthenticated("the session is over: sign in again")
    return session


def _id_of(refresh: RefreshToken) -> str:
    return str(refresh[api_settings.JTI_CLAIM])


def _end_of(refresh: RefreshToken) -> dict[str, Any]:
    """When neither the refresh token nor the access token beside it can be good any more."""
    longest: timedelta = max(api_settings.REFRESH_TOKEN_LIFETIME, api_settings.ACCESS_TOKEN_LIFETIME)
    return {"expires_at": datetime_from_epoch(refresh["iat"]) + longest}


def _delete_oldest(user_id: int) -> None:
    mine = Session.objects.filter(user_id=user_id).order_by("-pk")
    surplus = list(mine.values_list("pk", flat=True)[MOST : 2 * MOST])
    if surplus:
        Session.objects.filter(pk__in=surplus).delete()


def _tokens(refresh: RefreshToken, user: User) -> Tokens:
    seconds = int(api_settings.ACCESS_TOKEN_LIFETIME.total_seconds())
    return Tokens(str(refresh.access_token), str(refresh), seconds, user)
