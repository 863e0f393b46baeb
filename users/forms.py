"""What those who register and sign in send."""

from typing import Annotated

from base.web.forms import Form
from base.web.rules import EMAIL, line, text
from users.models import USERNAME_PATTERN


class RegistrationForm(Form):
    """A new user."""

    username: Annotated[str, text(USERNAME_PATTERN, 64)]
    email: Annotated[str, EMAIL]
    password: Annotated[str, line(128)]


class CredentialsForm(Form):
    """A name and its password."""

    username: Annotated[str, line(64)]
    password: Annotated[str, line(128)]


class RefreshForm(Form):
    """The refresh token of a sign-in."""

    refresh_token: Annotated[str, line(2000)]
