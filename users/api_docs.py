"""Users and tokens, as the API's description tells of them."""

from base.web.errors import EmailTaken, InvalidCredentials, NotAuthenticated, UsernameTaken, UserNotFound
from base.web.openapi.operations import Call, Who, describe
from base.web.openapi.shapes import COUNT, ID, INSTANT, TEXT, Shape, record
from users.forms import CredentialsForm, RefreshForm, RegistrationForm

USERS, TOKENS = "users", "tokens"
USER = Shape("User", record({"userId": ID, "username": TEXT, "email": TEXT, "createdAt": INSTANT}))
USER_PATH = {"user_id": ID}
_SECONDS = {**COUNT, "description": "How long the access token is good, in seconds."}

REGISTER = describe(
    Call(
        id="register",
        tag=USERS,
        summary="Register",
        who=Who.NOBODY,
        body=RegistrationForm,
        examples={"a user": {"username": "dora", "email": "dora@example.com", "password": "correct horse"}},
        data=USER,
        status=201,
        refusals=("PASSWORD_TOO_WEAK", UsernameTaken, EmailTaken),
    )
)
READ_USER = describe(
    Call(
        id="readUser",
        tag=USERS,
        summary="A user",
        text="Oneself; staff may read anybody.",
        path=USER_PATH,
        data=USER,
        refusals=(UserNotFound,),
    )
)
SIGN_IN = describe(
    Call(
        id="signIn",
        tag=TOKENS,
        summary="Sign in",
        text="Use the access token as `Authorization: Bearer ...`.",
        who=Who.NOBODY,
        body=CredentialsForm,
        examples={"the demo's alice": {"username": "alice", "password": "exchange-demo"}},
        data=Shape("Tokens", record({"accessToken": TEXT, "refreshToken": TEXT, "expiresIn": _SECONDS})),
        refusals=(InvalidCredentials,),
    )
)
RENEW = describe(
    Call(
        id="renewToken",
        tag=TOKENS,
        summary="A fresh access token",
        who=Who.NOBODY,
        body=RefreshForm,
        data=Shape("AccessToken", record({"accessToken": TEXT, "expiresIn": _SECONDS})),
        refusals=(NotAuthenticated,),
    )
)
