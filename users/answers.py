"""Users and tokens as clients see them."""

from typing import Annotated

from pydantic import AliasPath, Field
from typing_extensions import TypedDict

from base.web.values import Amount, Answer, Count, Id, Instant, described

_Seconds = Annotated[Count, described("How long the access token is good, in seconds.")]


class User(Answer):
    """An account."""

    user_id: Id = Field(validation_alias="id")
    username: str
    email: str
    created_at: Instant = Field(validation_alias="date_joined")


class Me(User):
    """One's own account."""

    is_staff: bool
    updated_at: Instant


class Limits(TypedDict):
    """What an account may do at most."""

    requestsPerSecond: Annotated[Count | None, described("Null: as everybody; 0: not limited.")]
    openNotional: Annotated[dict[str, Amount], described("By quote currency; none for a currency: not limited.")]
    markets: Annotated[list[str] | None, described("Null: all markets.")]


class Tokens(Answer):
    """An access token, and the refresh token that renews both, once."""

    access_token: str = Field(validation_alias="access")
    refresh_token: str = Field(validation_alias="refresh")
    expires_in: _Seconds


class SignedIn(Tokens):
    """What a sign-in gives."""

    user_id: Id = Field(validation_alias=AliasPath("user", "id"))
    username: str = Field(validation_alias=AliasPath("user", "username"))
