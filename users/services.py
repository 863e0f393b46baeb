"""Register and find users, change their passwords, and end their sessions (`sessions` opens them)."""

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.db.models import QuerySet
from django.utils import timezone

from base.storage.fields import caseless, taken
from base.web.accounts import forget_account
from base.web.errors import (
    EmailTaken,
    InvalidCredentials,
    InvalidField,
    Unavailable,
    UsernameReserved,
    UsernameTaken,
    UserNotFound,
    refuse,
)
from base.web.ratelimit.lockout import attempting, lift_name
from users.acts import Actor, record
from users.ids import store_new, user_ids
from users.models import ActKind, Session, User, new_stamp
from users.names import is_reserved


def register(*, username: str, email: str, password: str, by_operator: bool = False) -> User:
    """Make a user; operators may give a reserved name.

    Raises UsernameTaken, UsernameReserved, EmailTaken, or InvalidField for a weak password.
    """
    user = User(username=username, email=email)
    refuse(password_errors(username=username, email=email, password=password))
    _refuse_taken(username, email)
    if is_reserved(username) and not by_operator:
        raise UsernameReserved(f"the name {username} is kept for the exchange itself", field="username")
    user.set_password(password)
    try:
        store_new(user)
    except IntegrityError:
        # Another request took the name or the address after the check above.
        _refuse_taken(username, email)
        raise
    return user


def password_errors(
    field: str = "password", *, username: str = "", email: str = "", password: str | None = None
) -> list[InvalidField]:
    """The reasons for which a password is too weak for this user."""
    if password is None:
        return []
    try:
        validate_password(password, User(username=username, email=email))
    except ValidationError as error:
        return [InvalidField(field, "PASSWORD_TOO_WEAK", " ".join(error.messages))]
    return []


def change_password(user_id: int, session_id: int | None, current: str, new: str) -> None:
    """Set a new password, and end all sessions of the account but this one. Raises InvalidCredentials, InvalidField."""
    user = find_user(user_id)
    confirm_password(user, current)
    refuse(password_errors("newPassword", username=user.username, email=user.email, password=new))
    store_password(user, new, session_id)


def store_password(user: User, new: str, session_id: int | None = None) -> None:
    """Set the next password of who gave the one that was read, and nothing else: the hash takes a while, in which the
    account may be deactivated. Raises InvalidCredentials then.
    """
    checked, before = user.password, user.stamp
    user.set_password(new)
    with transaction.atomic():
        changed = User.objects.filter(id=user.pk, password=checked, stamp=before)
        if not changed.update(password=user.password, stamp=user.stamp, updated_at=timezone.now()):
            raise InvalidCredentials("the account was signed out meanwhile")
        if session_id is not None:
            Session.objects.filter(id=session_id, user_id=user.pk, stamp=before).update(stamp=user.stamp)
    forget_account(user.pk)


def change_email(user_id: int, email: str) -> User:
    """Raises EmailTaken."""
    user = find_user(user_id)
    user.email = email
    _refuse_taken_email(email, but=user_id)
    try:
        with transaction.atomic():
            user.save(update_fields=["email", "email_key", "updated_at"])
    except IntegrityError:
        # Another request took the address after the check above.
        _refuse_taken_email(email, but=user_id)
        raise
    return user


def end_all_sessions(user_id: int) -> None:
    """End every session of the account, with its tokens, tickets and streams. Raises UserNotFound."""
    if not User.objects.filter(id=user_id).update(stamp=new_stamp()):
        raise UserNotFound("there is no such user")
    forget_account(user_id)


@transaction.atomic
def lift_lockout(user: User, actor: Actor) -> None:
    """Forget the wrong passwords that were given under the user's name. Raises Unavailable."""
    record(ActKind.LOCKOUT_LIFTED, user.pk, actor)
    if not lift_name(user.username):
        raise Unavailable("the counts are in Redis, which does not answer: try again")


def find_user(user_id: int | None) -> User:
    """Raises UserNotFound."""
    is_known = user_id is not None and user_ids.may_exist(user_id)
    user = User.objects.filter(id=user_id).first() if is_known and user_id else None
    if user is None:
        raise UserNotFound("there is no such user")
    return user


def lock_user(user_id: int) -> User:
    """The user's row, locked until the caller's transaction ends. Raises UserNotFound."""
    user = User.objects.select_for_update().filter(id=user_id).first()
    if user is None:
        raise UserNotFound("there is no such user")
    return user


def confirm_password(user: User, password: str) -> None:
    """For whoever is signed in as the user. Raises InvalidCredentials, SignInLocked and SignInsBusy."""
    with attempting(user.username, is_signed_in=True) as attempt:
        attempt.user_id = user.pk
        attempt.is_right = user.check_password(password)
    if not attempt.is_right:
        raise InvalidCredentials("the password is not that of the account")


def _refuse_taken(username: str, email: str) -> None:
    # Another's address as a name would be taken for the other.
    is_anothers = "@" in username and caseless(username) != caseless(email)
    if _is_taken("username", username, User.objects.all()) or (
        is_anothers and _is_taken("email", username, User.objects.all())
    ):
        raise UsernameTaken(f"the name {username} is taken", field="username")
    _refuse_taken_email(email)


def _refuse_taken_email(email: str, but: int | None = None) -> None:
    if _is_taken("email", email, User.objects.exclude(id=but or 0)):
        raise EmailTaken("the address is taken", field="email")


def _is_taken(field: str, text: str, others: QuerySet[User]) -> bool:
    """By a key, or by the text itself in a row that has no key yet."""
    key = f"{field}_key"
    return others.filter(taken(key, text)).exists() or others.filter(**{field: text, key: None}).exists()
