"""What those who register and sign in send."""

from base.web.forms import Email, Form, Text
from users.models import USERNAME_PATTERN


class RegistrationForm(Form):
    """POST /users."""

    username = Text(pattern=USERNAME_PATTERN, limit=64)
    email = Email()
    password = Text(limit=128)


class CredentialsForm(Form):
    """POST /auth/token."""

    username = Text(limit=64)
    password = Text(limit=128)


class RefreshForm(Form):
    """POST /auth/token/refresh."""

    refresh_token = Text(limit=2000)
