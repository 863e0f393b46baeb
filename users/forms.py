"""What those who register and sign in send."""

from typing import Annotated

from base.web.forms import Form
from base.web.rules import Email, Text
from users.models import USERNAME_PATTERN


class RegistrationForm(Form):
    """A new user."""

    username: Annotated[str, Text(USERNAME_PATTERN, 64)]
    email: Annotated[str, Email()]
    password: Annotated[str, Text(limit=128)]


class CredentialsForm(Form):
    """A name and its password."""

    username: Annotated[str, Text(limit=64)]
    password: Annotated[str, Text(limit=128)]


class RefreshForm(Form):
    """The refresh token of a sign-in."""

    refresh_token: Annotated[str, Text(limit=2000)]
