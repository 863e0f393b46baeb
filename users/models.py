"""Users, who sign in with a name and a password."""

from django.contrib.auth.models import AbstractUser
from django.core.validators import MaxValueValidator, RegexValidator
from django.db import models
from django.db.models import Index

from base.storage.fields import ExactEmailField, KeyField
from base.web.ratelimit import MOST_PER_SECOND

USERNAME_PATTERN = r"[A-Za-z0-9._@+-]{1,64}"


class User(AbstractUser):
    """A user. Names and addresses are unique and compared exactly as stored."""

    first_name = None  # type: ignore[assignment]
    last_name = None  # type: ignore[assignment]
    username = KeyField(max_length=64, unique=True, validators=[RegexValidator(rf"^{USERNAME_PATTERN}\Z")])
    email = ExactEmailField(max_length=254, unique=True)
    rate_limit = models.PositiveIntegerField(
        null=True,
        blank=True,
        validators=[MaxValueValidator(MOST_PER_SECOND)],
        help_text="Requests a second, and as many cancels. Empty: as for everybody. 0: not limited.",
    )

    REQUIRED_FIELDS = ["email"]

    class Meta:
        db_table = "users"
        # For the list of operators, who are few among many users, and often the oldest.
        indexes = [Index(fields=["is_staff"], name="user_staff"), Index(fields=["is_superuser"], name="user_superuser")]
