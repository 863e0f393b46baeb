"""One's own account: user, keys, money."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from ..answers.account import Account, ApiKey, Balance, LedgerEntry, MadeKey, Position, Ticket, User
from ..terms import plain
from .call import Call, Page, get, many, nothing, one, part

Scope = Literal["read", "trade"]


@dataclass(frozen=True, slots=True)
class Tokens:
    """What a sign-in gives, and each renewal."""

    access_token: str
    refresh_token: str
    expires_in: int
    user_id: int | None = None
    username: str | None = None


def sign_in(username: str, password: str) -> Call[Tokens]:
    """A new session. The client asks for it by itself."""
    body = {"username": username, "password": password}
    return Call("POST", "/auth/token", one(Tokens), body=body, is_public=True)


def renew(refresh_token: str) -> Call[Tokens]:
    """A session's next tokens. The token is good once, so this is never repeated."""
    body = {"refreshToken": refresh_token}
    return Call("POST", "/auth/token/refresh", one(Tokens), body=body, repeats=False, is_public=True)


def sign_out(refresh_token: str | None = None, *, everywhere: bool | None = None) -> Call[None]:
    """End the session of the refresh token, or all sessions of the account."""
    return Call("POST", "/auth/logout", nothing, body=plain({"refresh_token": refresh_token, "everywhere": everywhere}))


def register(username: str, email: str, password: str) -> Call[User]:
    """A new account. Not repeated when its outcome is unknown."""
    body = {"username": username, "email": email, "password": password}
    return Call("POST", "/users", one(User), body=body, repeats=False, is_public=True)


def me() -> Call[User]:
    """One's own account."""
    return get("/users/me", one(User))


def change_me(*, email: str) -> Call[User]:
    """Another address."""
    return Call("PATCH", "/users/me", one(User), body={"email": email})


def change_password(current_password: str, new_password: str) -> Call[None]:
    """Another password: all other sessions end."""
    body = {"currentPassword": current_password, "newPassword": new_password}
    return Call("POST", "/users/me/password", nothing, body=body, repeats=False)


def close_account(password: str) -> Call[None]:
    """Deactivate one's own account, which must be empty."""
    return Call("DELETE", "/users/me", nothing, body={"password": password}, repeats=False)


def account() -> Call[Account]:
    """Balances, limits and the number of open orders."""
    return get("/account", one(Account))


def balances() -> Call[Page[Balance]]:
    """One's own balances."""
    return get("/balances", many(Balance))


def balance(user_id: int, currency: str) -> Call[Balance]:
    """One balance; zeros for an asset that was never held."""
    return get(f"/balances/{user_id}/{part(currency)}", one(Balance))


def ledger(
    user_id: int,
    currency: str,
    *,
    start_time: datetime | None = None,
    end_time: datetime | None = None,
    limit: int | None = None,
    cursor: str | None = None,
) -> Call[Page[LedgerEntry]]:
    """All that changed a balance, newest first."""
    window = {"start_time": start_time, "end_time": end_time}
    path = f"/balances/{user_id}/{part(currency)}/ledger"
    return get(path, many(LedgerEntry), **window, limit=limit, cursor=cursor)


def positions() -> Call[Page[Position]]:
    """What one's assets cost, and what they gained."""
    return get("/positions", many(Position))


def keys() -> Call[Page[ApiKey]]:
    """One's own API keys."""
    return get("/keys", many(ApiKey))


def make_key(
    label: str,
    scopes: Sequence[Scope] = ("read", "trade"),
    *,
    addresses: Sequence[str] = (),
    algorithm: Literal["HMAC", "ED25519"] | None = None,
    public_key: str | None = None,
    expires_at: datetime | None = None,
) -> Call[MadeKey]:
    """A new API key. Not repeated when its outcome is unknown: look at `keys()`."""
    fields: Mapping[str, Any] = {
        "label": label,
        "scopes": list(scopes),
        "addresses": list(addresses) or None,
        "algorithm": algorithm,
        "public_key": public_key,
        "expires_at": expires_at,
    }
    return Call("POST", "/keys", one(MadeKey), body=plain(fields), repeats=False)


def revoke_key(key_id: str) -> Call[None]:
    """End a key."""
    done = {"KEY_NOT_FOUND": lambda _: None}
    return Call("DELETE", f"/keys/{part(key_id)}", nothing, done=done)


def ticket() -> Call[Ticket]:
    """What opens one stream in a browser."""
    return Call("POST", "/stream/tickets", one(Ticket))
