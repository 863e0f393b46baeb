"""Users and tokens over REST."""

from typing import Annotated

from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from base.web.answers import answer, body
from base.web.authentication import caller_id, credential_of, permitted
from base.web.errors import (
    EmailTaken,
    InvalidCredentials,
    InvalidField,
    NotAuthenticated,
    PermissionRequired,
    SignInLocked,
    SignInsBusy,
    TokenReused,
    UsernameReserved,
    UsernameTaken,
    UserNotFound,
    refuse,
)
from base.web.forms import Form
from base.web.keys.scopes import OWNER, PUBLIC, READ
from base.web.openapi.operations import Call
from base.web.rules import EMAIL, FLAG, line, text
from base.web.values import parse_id
from users import answers, services, sessions
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


class ChangesForm(Form):
    """What one may change of one's own account."""

    email: Annotated[str | None, EMAIL] = None


class LogOutForm(Form):
    """Which session ends: that of a refresh token, or each."""

    refresh_token: Annotated[str | None, line(2000)] = None
    everywhere: Annotated[bool, FLAG] = False


class PasswordForm(Form):
    """The password of now, and the next."""

    current_password: Annotated[str, line(128)]
    new_password: Annotated[str, line(128)]


class RegistrationView(APIView):
    permission_classes = [AllowAny]
    authentication_classes = []

    @Call(
        *("users", "register", "Register", answers.User),
        scope=PUBLIC,
        status=201,
        body=RegistrationForm,
        examples={"a user": {"username": "dora", "email": "dora@example.com", "password": "correct horse"}},
        refusals=("PASSWORD_TOO_WEAK", UsernameTaken, UsernameReserved, EmailTaken, SignInsBusy),
    )
    def post(self, request: Request) -> Response:
        values, errors = RegistrationForm.parse(body(request))
        errors += services.password_errors(**values)
        refuse(errors)
        user = services.register(**values)
        return answer(answers.User.of(user), message="User created", code=201)


class UserView(APIView):
    @Call(
        *("users", "readUser", "A user", answers.User),
        text="Oneself; staff with the permission `users.view_user` read anybody.",
        scope=READ,
        refusals=(PermissionRequired,),
    )
    def get(self, request: Request, user_id: str) -> Response:
        wanted = parse_id(user_id)
        if wanted != request.user.pk:
            if not request.user.is_staff:
                raise UserNotFound("there is no such user")
            permitted(request, "users.view_user")
        return answer(answers.User.of(services.find_user(wanted)))


class MeView(APIView):
    """One's own account; `orders.own_account` closes it."""

    @Call("users", "readMe", "One's own account", answers.Me, scope=READ)
    def get(self, request: Request) -> Response:
        return answer(answers.Me.of(services.find_user(caller_id(request))))

    @Call(
        *("users", "changeMe", "Change one's own account", answers.Me),
        scope=OWNER,
        body=ChangesForm,
        examples={"another address": {"email": "dora@example.org"}},
        refusals=(EmailTaken,),
    )
    def patch(self, request: Request) -> Response:
        email = ChangesForm.read(body(request)).email
        user_id = caller_id(request)
        changed = services.find_user(user_id) if email is None else services.change_email(user_id, email)
        return answer(answers.Me.of(changed), message="Account changed")


class TokenView(APIView):
    permission_classes = [AllowAny]
    authentication_classes = []

    @Call(
        *("tokens", "signIn", "Sign in", answers.SignedIn),
        scope=PUBLIC,
        text="Use the access token as `Authorization: Bearer ...`.",
        body=CredentialsForm,
        examples={"the demo's alice": {"username": "alice", "password": "exchange-demo"}},
        refusals=(InvalidCredentials, SignInLocked, SignInsBusy),
    )
    def post(self, request: Request) -> Response:
        form = CredentialsForm.read(body(request))
        return answer(answers.SignedIn.of(sessions.sign_in(form.username, form.password)))


class TokenRefreshView(APIView):
    permission_classes = [AllowAny]
    authentication_classes = []

    @Call(
        *("tokens", "renewToken", "Fresh tokens", answers.Tokens),
        scope=PUBLIC,
        text="A refresh token is good once; one that comes again ends its session with all tokens.",
        body=RefreshForm,
        examples={"that of a sign-in": {"refreshToken": "eyJ..."}},
        refusals=(NotAuthenticated, TokenReused),
    )
    def post(self, request: Request) -> Response:
        form = RefreshForm.read(body(request))
        return answer(answers.Tokens.of(sessions.renew(form.refresh_token)))


class LogOutView(APIView):
    permission_classes = [AllowAny]

    @Call(
        *("tokens", "logOut", "Log out", None),
        scope=OWNER,
        text=(
            "Ends the session of the refresh token, which its owner need not be signed in for. `everywhere` ends every"
            " session of the account with its access tokens, tickets and streams."
        ),
        status=204,
        body=LogOutForm,
        examples={"this session": {"refreshToken": "eyJ..."}, "all of them": {"everywhere": True}},
        refusals=(NotAuthenticated,),
    )
    def post(self, request: Request) -> Response:
        form = LogOutForm.read(body(request))
        user_id = request.user.pk
        if form.refresh_token is not None:
            user_id = sessions.log_out(form.refresh_token, user_id)
        elif not form.everywhere:
            raise InvalidField("refreshToken", "FIELD_REQUIRED", "refreshToken is required, or everywhere")
        if user_id is None:
            raise NotAuthenticated("sign in first")
        if form.everywhere:
            services.end_all_sessions(user_id)
        return Response(status=204)


class PasswordView(APIView):
    @Call(
        *("users", "changePassword", "Change one's password", None),
        scope=OWNER,
        text="All other sessions of the account end, and all of its tickets and streams.",
        status=204,
        body=PasswordForm,
        examples={"a longer one": {"currentPassword": "correct horse", "newPassword": "correct horse battery"}},
        refusals=(InvalidCredentials, SignInLocked, SignInsBusy, "PASSWORD_TOO_WEAK"),
    )
    def post(self, request: Request) -> Response:
        form = PasswordForm.read(body(request))
        credential = credential_of(request)
        services.change_password(credential.user_id, credential.session_id, form.current_password, form.new_password)
        return Response(status=204)
