"""Users and tokens over REST."""

from typing import Any

from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from exchange.api import answer, body
from exchange.errors import UserNotFound, refuse, timestamp
from exchange.forms import Email, Form, Text, parse_id
from users import services
from users.models import USERNAME_PATTERN, User


class RegistrationForm(Form):
    username = Text(pattern=USERNAME_PATTERN, limit=64)
    email = Email()
    password = Text(limit=128)


class CredentialsForm(Form):
    username = Text(limit=64)
    password = Text(limit=128)


class RefreshForm(Form):
    refresh_token = Text(limit=2000)


class RegistrationView(APIView):
    permission_classes = [AllowAny]
    authentication_classes = []

    def post(self, request: Request) -> Response:
        values, errors = RegistrationForm().parse(body(request))
        errors += services.password_errors(**values)
        refuse(errors)
        user = services.register(**values)
        return answer(represent_user(user), message="User created", code=201)


class UserView(APIView):
    def get(self, request: Request, user_id: str) -> Response:
        wanted = parse_id(user_id)
        if wanted != request.user.pk and not request.user.is_staff:
            raise UserNotFound("there is no such user")
        return answer(represent_user(services.find_user(wanted)))


class TokenView(APIView):
    permission_classes = [AllowAny]
    authentication_classes = []

    def post(self, request: Request) -> Response:
        tokens = services.sign_in(**CredentialsForm().read(body(request)))
        data = {"accessToken": tokens.access, "refreshToken": tokens.refresh, "expiresIn": tokens.expires_in}
        return answer(data)


class TokenRefreshView(APIView):
    permission_classes = [AllowAny]
    authentication_classes = []

    def post(self, request: Request) -> Response:
        tokens = services.renew(**RefreshForm().read(body(request)))
        return answer({"accessToken": tokens.access, "expiresIn": tokens.expires_in})


def represent_user(user: User) -> dict[str, Any]:
    return {
        "userId": user.id,
        "username": user.username,
        "email": user.email,
        "createdAt": timestamp(user.date_joined),
    }
