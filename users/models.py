"""Users, who sign in with a name and a password, and the sessions that they open so; the limits of some of them, and
what staff did to their accounts.
"""

import secrets
from typing import TYPE_CHECKING, ClassVar

from django.conf import settings
from django.contrib.auth.models import AbstractUser
from django.contrib.auth.models import UserManager as DjangoUserManager
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, RegexValidator
from django.db import models
from django.db.models import Index, Q
from django.db.models.functions import Now

from base.storage.fields import CaselessKeyField, ExactEmailField, KeyField, caseless, taken
from base.web.ratelimit import MOST_PER_SECOND
from users.api_key import ApiKey  # noqa: F401 - so that Django knows it

USERNAME_PATTERN = r"[A-Za-z0-9._@+-]{1,64}"
STAMP_LENGTH = 16
# An address, two blanks and an id.
KEY_LENGTH = 280

# Generic for the type checker only.
if TYPE_CHECKING:
    UserManager = DjangoUserManager["User"]
else:
    UserManager = DjangoUserManager


class Users(UserManager):
    """Finds a user by the name that somebody signs in with."""

    def get_by_natural_key(self, username: str | None) -> "User":
        """By the name as it is, else whatever its case. Raises DoesNotExist."""
        typed = username or ""
        # One query whatever is found: how long it takes must not reveal which names there are.
        named = list(self.filter(Q(username=typed) | Q(username_key=caseless(typed)))[:2])
        if not named:
            raise self.model.DoesNotExist
        return next((user for user in named if user.username == typed), named[0])


def new_stamp() -> str:
    """With it in an account's row all of its sessions are over."""
    return secrets.token_hex(STAMP_LENGTH // 2)


class User(AbstractUser):
    """A user. Names and addresses are kept as typed, and taken for all who differ in case only."""

    first_name = None  # type: ignore[assignment]
    last_name = None  # type: ignore[assignment]
    username = KeyField(max_length=64, unique=True, validators=[RegexValidator(rf"^{USERNAME_PATTERN}\Z")])
    email = ExactEmailField(max_length=254, unique=True)
    # Null for a moment only, in the row of a process of the version before: see `keys`.
    username_key = CaselessKeyField("username", max_length=KEY_LENGTH, unique=True, null=True)
    email_key = CaselessKeyField("email", max_length=KEY_LENGTH, unique=True, null=True)
    rate_limit = models.PositiveIntegerField(
        null=True,
        blank=True,
        validators=[MaxValueValidator(MOST_PER_SECOND)],
        help_text="Requests a second, and as many cancels. Empty: as for everybody. 0: not limited.",
    )

    # Intake checks both in the statement that stores an order.
    is_blocked = models.BooleanField(
        "blocked", default=False, db_default=False, help_text="By the kill switch: no new orders."
    )
    has_limits = models.BooleanField(default=False, db_default=False, editable=False)
    # In each session that was opened under it. A session with another stamp is over, and so are its tokens.
    stamp = models.CharField(max_length=STAMP_LENGTH, default="", db_default="", editable=False)

    updated_at = models.DateTimeField(auto_now=True, null=True, db_default=Now())

    objects: ClassVar[Users] = Users()

    REQUIRED_FIELDS = ["email"]

    class Meta:
        db_table = "users"
        permissions = [("kill", "Can use the kill switch"), ("change_limits", "Can change a user's limits")]
        # For the list of operators, who are few among many users, and often the oldest.
        indexes = [Index(fields=["is_staff"], name="user_staff"), Index(fields=["is_superuser"], name="user_superuser")]

    def clean(self) -> None:
        """Raises ValidationError for a name or an address that another user has, in whatever case."""
        super().clean()
        others = User.objects.exclude(pk=self.pk)
        errors = {
            field: f"Another user has this {word}."
            for field, word in (("username", "name"), ("email", "address"))
            if getattr(self, field) and others.filter(taken(f"{field}_key", getattr(self, field))).exists()
        }
        if errors:
            raise ValidationError(errors)

    def set_password(self, raw_password: str | None) -> None:
        super().set_password(raw_password)
        self._renew_stamp_if_stored()

    def check_password(self, raw_password: str | None) -> bool:
        """Django may store the right password again, hashed anew. It is no new one, so no session ends."""
        stamp = self.stamp
        is_right = super().check_password(raw_password)
        self.stamp = stamp
        return is_right

    def set_unusable_password(self) -> None:
        super().set_unusable_password()
        self._renew_stamp_if_stored()

    def _get_session_auth_hash(self, secret: str | None = None) -> str:
        """What a session of the admin must carry. With the stamp, so that it ends as all others do."""
        by_password: str = super()._get_session_auth_hash(secret=secret)  # type: ignore[misc]
        return by_password + self.stamp

    def _renew_stamp_if_stored(self) -> None:
        # Whoever is new has no sessions that could end.
        if self.pk is not None:
            self.stamp = new_stamp()


class Session(models.Model):
    """What one sign-in opened: refresh tokens that renew each other, of which the newest alone is good.

    It is open while `ended_at` is null and its stamp is that of its user.
    """

    user = models.ForeignKey(User, on_delete=models.PROTECT, related_name="sessions", db_constraint=False)
    stamp = models.CharField(max_length=STAMP_LENGTH)
    # The id of the newest refresh token (its `jti`).
    token_id = models.CharField(max_length=32)
    created_at = models.DateTimeField()
    renewed_at = models.DateTimeField()
    # From then on no token of the session can be good, and the row is deleted.
    expires_at = models.DateTimeField(db_index=True)
    # Set where a used refresh token came again. The row stays until it expires, so that each of them is known.
    ended_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "sessions"

    def __str__(self) -> str:
        return f"session {self.pk} of user {self.user_id}"


class OrderLimits(models.Model):
    """The most that one user may have open, and where the user may trade. No row: as everybody.

    `open_notional` has an amount as text for each currency, `markets` the symbols, or null for all markets.
    """

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, primary_key=True, related_name="order_limits"
    )
    open_notional = models.JSONField(default=dict)
    markets = models.JSONField(null=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        db_table = "order_limits"
        verbose_name_plural = "order limits"

    def __str__(self) -> str:
        return str(self.user_id)


class ActKind(models.TextChoices):
    """What staff do."""

    # To accounts and their orders.
    BLOCKED = "BLOCKED"
    UNBLOCKED = "UNBLOCKED"
    LOCKOUT_LIFTED = "LOCKOUT_LIFTED"
    LIMITS_CHANGED = "LIMITS_CHANGED"
    ORDER_PLACED = "ORDER_PLACED"
    ORDERS_CANCELLED = "ORDERS_CANCELLED"
    DEACTIVATED = "DEACTIVATED"
    ACTIVATED = "ACTIVATED"
    KEY_REVOKED = "KEY_REVOKED"
    FAULTS_CHANGED = "FAULTS_CHANGED"
    USER_ADDED = "USER_ADDED"
    USER_CHANGED = "USER_CHANGED"
    PASSWORD_SET = "PASSWORD_SET"  # noqa: S105
    # To money.
    BALANCE_ADJUSTED = "BALANCE_ADJUSTED"
    APPROVAL_ASKED = "APPROVAL_ASKED"
    APPROVED = "APPROVED"
    REFUSED = "REFUSED"
    # To the exchange.
    ASSET_ADDED = "ASSET_ADDED"
    MARKET_OPENED = "MARKET_OPENED"
    MARKET_CHANGED = "MARKET_CHANGED"
    FEE_TIER_ADDED = "FEE_TIER_ADDED"
    FEE_TIER_CHANGED = "FEE_TIER_CHANGED"
    FEE_TIER_REMOVED = "FEE_TIER_REMOVED"
    GROUP_ADDED = "GROUP_ADDED"
    GROUP_CHANGED = "GROUP_CHANGED"
    DEAD_LETTER_REQUEUED = "DEAD_LETTER_REQUEUED"
    DEAD_LETTER_RESOLVED = "DEAD_LETTER_RESOLVED"


def act_kinds() -> list[tuple[str, str]]:
    """A function, so that a new kind needs no migration."""
    return ActKind.choices


class StaffAct(models.Model):
    """One act of staff: who, when, from which address, why, and what it changed. Written with the act, never changed.

    `user` is whom it concerns, if anybody; `subject` names what else it is about: a market, an order, a reference.
    """

    kind = models.CharField(max_length=24, choices=act_kinds)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+", null=True)
    subject = models.CharField(max_length=80, default="", db_default="")
    # The users themselves, where they deactivate their own account.
    operator = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    reason = models.CharField(max_length=200)
    address = models.CharField(max_length=64)
    before = models.JSONField(null=True)
    after = models.JSONField(null=True)
    details = models.JSONField(default=dict)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        db_table = "staff_acts"
        # Rows are written by the acts alone.
        default_permissions = ("view",)
        indexes = [
            Index(fields=["user", "id"], name="staff_act_user"),
            Index(fields=["subject", "id"], name="staff_act_subject"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.subject or self.user_id}"
