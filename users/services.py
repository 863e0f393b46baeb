"""Register and find users, and sign them in."""

from dataclasses import dataclass
from typing import Any, cast

from django.contrib.auth import authenticate
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from rest_framework_simplejwt.exceptions import TokenError
from rest_framework_simplejwt.settings import api_settings
from rest_framework_simplejwt.tokens import RefreshToken

from base.web.errors import (
    EmailTaken,
    InvalidCredentials,
    InvalidField,
    NotAuthenticated,
    UsernameTaken,
    UserNotFound,
    refuse,
)
from users.models import User


@dataclass(frozen=True, slots=True)
class Tokens:
    """A signed-in user's tokens; the access token ends after `expires_in` seconds."""

    access: str
    refresh: str
    expires_in: int


def register(*, username: str, email: str, password: str) -> User:
    """Make a user. Raises UsernameTaken, EmailTaken, or InvalidField for a weak password."""
    user = User(username=username, email=email)
    refuse(password_errors(username=username, email=email, password=password))
    _refuse_taken(username, email)
    user.set_password(password)
    try:
        with transaction.atomic():
            user.save(force_insert=True)
    except IntegrityError:
        # Another request took the name or the address after the check above.
        _refuse_taken(username, email)
        raise
    return user


def password_errors(*, username: str = "", email: str = "", password: str | None = None) -> list[InvalidField]:
    """The reasons for which a password is too weak for this user."""
    if password is None:
        return []
    try:
        validate_password(password, User(username=username, email=email))
    except ValidationError as error:
        return [InvalidField("password", "PASSWORD_TOO_WEAK", " ".join(error.messages))]
    return []


def sign_in(username: str, password: str) -> Tokens:
    """Tokens for a name and its password. Raises InvalidCredentials, which does not show which of them was wrong."""
    user = authenticate(username=username, password=password)
    if user is None:
        raise InvalidCredentials("username and password do not match an active account")
    refresh = RefreshToken.for_user(user)
    return Tokens(str(refresh.access_token), str(refresh), _lifetime_seconds())


def renew(refresh_token: str) -> Tokens:
    """A new access token. Raises NotAuthenticated if the refresh token is not valid or its user is not active."""
    try:
        refresh = RefreshToken(cast(Any, refresh_token))
        user_id = int(refresh[api_settings.USER_ID_CLAIM])
    except (TokenError, KeyError, ValueError) as error:
        raise NotAuthenticated("the refresh token is invalid or expired") from error
    if not User.objects.filter(id=user_id, is_active=True).exists():
        raise NotAuthenticated("the refresh token is invalid or expired")
    return Tokens(str(refresh.access_token), refresh_token, _lifetime_seconds())


def find_user(user_id: int | None) -> User:
    """Raises UserNotFound."""
    user = User.objects.filter(id=user_id).first() if user_id else None
    if user is None:
        raise UserNotFound("there is no such user")
    return user


def _refuse_taken(username: str, email: str) -> None:
    if User.objects.filter(username=username).exists():
        raise UsernameTaken(f"the name {username} is taken", field="username")
    if User.objects.filter(email=email).exists():
        raise EmailTaken("the address is taken", field="email")


def _lifetime_seconds() -> int:
    return int(api_settings.ACCESS_TOKEN_LIFETIME.total_seconds())
