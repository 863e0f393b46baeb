"""Users and tokens over REST."""

from typing import Any

from drf_spectacular.utils import extend_schema_view
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from base.web.answers import answer, body
from base.web.errors import UserNotFound, refuse, timestamp
from base.web.forms import parse_id
from users import api_docs, services
from users.forms import CredentialsForm, RefreshForm, RegistrationForm
from users.models import User


@extend_schema_view(post=api_docs.REGISTER)
class RegistrationView(APIView):
    permission_classes = [AllowAny]
    authentication_classes = []

    def post(self, request: Request) -> Response:
        values, errors = RegistrationForm().parse(body(request))
        errors += services.password_errors(**values)
        refuse(errors)
        user = services.register(**values)
        return answer(represent_user(user), message="User created", code=201)


@extend_schema_view(get=api_docs.READ_USER)
class UserView(APIView):
    def get(self, request: Request, user_id: str) -> Response:
        wanted = parse_id(user_id)
        if wanted != request.user.pk and not request.user.is_staff:
            raise UserNotFound("there is no such user")
        return answer(represent_user(services.find_user(wanted)))


@extend_schema_view(post=api_docs.SIGN_IN)
class TokenView(APIView):
    permission_classes = [AllowAny]
    authentication_classes = []

    def post(self, request: Request) -> Response:
        tokens = services.sign_in(**CredentialsForm().read(body(request)))
        data = {"accessToken": tokens.access, "refreshToken": tokens.refresh, "expiresIn": tokens.expires_in}
        return answer(data)


@extend_schema_view(post=api_docs.RENEW)
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
