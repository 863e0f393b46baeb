"""Users and tokens over REST."""

from typing import Annotated

from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from base.web.answers import answer, body
from base.web.errors import EmailTaken, InvalidCredentials, NotAuthenticated, UsernameTaken, UserNotFound, refuse
from base.web.forms import Form
from base.web.openapi.operations import Call
from base.web.rules import EMAIL, line, text
from base.web.values import parse_id
from users import answers, services
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


class RegistrationView(APIView):
    permission_classes = [AllowAny]
    authentication_classes = []

    @Call(
        *("users", "register", "Register", answers.User),
        status=201,
        body=RegistrationForm,
        examples={"a user": {"username": "dora", "email": "dora@example.com", "password": "correct horse"}},
        refusals=("PASSWORD_TOO_WEAK", UsernameTaken, EmailTaken),
    )
    def post(self, request: Request) -> Response:
        values, errors = RegistrationForm.parse(body(request))
        errors += services.password_errors(**values)
        refuse(errors)
        user = services.register(**values)
        return answer(answers.User.of(user), message="User created", code=201)


class UserView(APIView):
    @Call("users", "readUser", "A user", answers.User, text="Oneself; staff may read anybody.")
    def get(self, request: Request, user_id: str) -> Response:
        wanted = parse_id(user_id)
        if wanted != request.user.pk and not request.user.is_staff:
            raise UserNotFound("there is no such user")
        return answer(answers.User.of(services.find_user(wanted)))


class TokenView(APIView):
    permission_classes = [AllowAny]
    authentication_classes = []

    @Call(
        *("tokens", "signIn", "Sign in", answers.Tokens),
        text="Use the access token as `Authorization: Bearer ...`.",
        body=CredentialsForm,
        examples={"the demo's alice": {"username": "alice", "password": "exchange-demo"}},
        refusals=(InvalidCredentials,),
    )
    def post(self, request: Request) -> Response:
        form = CredentialsForm.read(body(request))
        return answer(answers.Tokens.of(services.sign_in(form.username, form.password)))


class TokenRefreshView(APIView):
    permission_classes = [AllowAny]
    authentication_classes = []

    @Call(
        *("tokens", "renewToken", "A fresh access token", answers.AccessToken),
        body=RefreshForm,
        refusals=(NotAuthenticated,),
    )
    def post(self, request: Request) -> Response:
        form = RefreshForm.read(body(request))
        return answer(answers.AccessToken.of(services.renew(form.refresh_token)))
