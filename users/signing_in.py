"""The door by which a name and a password become a user: over REST and in the admin alike."""

from typing import Any

from django.contrib.auth.backends import ModelBackend
from django.http import HttpRequest

from base.web.ratelimit.lockout import attempting
from users.models import User


class PasswordBackend(ModelBackend):
    """Django's, behind the lock-out. It takes as long for a name that nobody has as for a wrong password.

    Raises SignInLocked and SignInsBusy.
    """

    def authenticate(
        self, request: HttpRequest | None, username: str | None = None, password: str | None = None, **_: Any
    ) -> User | None:
        if username is None or password is None:
            return None
        with attempting(username) as attempt:
            user = _named(username)
            if user is None:
                User().set_password(password)
                return None
            attempt.user_id = user.pk
            attempt.is_right = user.check_password(password) and self.user_can_authenticate(user)
        return user if attempt.is_right else None


def _named(username: str) -> User | None:
    try:
        return User.objects.get_by_natural_key(username)
    except User.DoesNotExist:
        return None
