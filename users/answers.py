"""Users and tokens as clients see them."""

from typing import Annotated

from pydantic import AliasPath, Field
from typing_extensions import TypedDict

from base.web.keys.known import KEY_ID_LENGTH
from base.web.keys.scopes import Scope
from base.web.keys.signed import Algorithm
from base.web.values import Amount, Answer, Count, Id, Instant, described, text_like

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


KeyId = Annotated[str, text_like(f"[0-9a-f]{{{KEY_ID_LENGTH}}}", "Sent as X-API-Key.", "3f" * (KEY_ID_LENGTH // 2))]


class MadeKey(TypedDict):
    """A new API key."""

    keyId: KeyId
    secret: Annotated[str | None, described("By which an HMAC is made: shown now and never again. Null for ED25519.")]


class ApiKey(TypedDict):
    """One of the caller's API keys."""

    keyId: KeyId
    label: str
    scopes: list[Scope]
    addresses: Annotated[list[str], described("Networks from which it is used; none: from anywhere.")]
    algorithm: Algorithm
    publicKey: Annotated[str | None, described("Of ED25519: its 32 bytes in base64.")]
    createdAt: Instant
    expiresAt: Instant | None
    lastUsedAt: Annotated[Instant | None, described("To the minute; null if it was never used.")]
