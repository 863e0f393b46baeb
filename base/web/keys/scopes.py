"""What a key may do: its scopes, and what each call needs, which is declared above its view."""

from collections.abc import Collection
from enum import StrEnum

from base.web.keys.errors import ScopeRequired


class Scope(StrEnum):
    """What the owner of a key lets it do. Neither includes the other."""

    READ = "read"
    TRADE = "trade"


class Needed(StrEnum):
    """What a call asks of a key."""

    READ = Scope.READ.value
    TRADE = Scope.TRADE.value
    # Anybody may call, and any key that is good.
    NOTHING = "nothing"
    # Its owner alone: to make keys, to change the account, to sign out, and what staff do.
    OWNER = "owner"


READ, TRADE, PUBLIC, OWNER = Needed.READ, Needed.TRADE, Needed.NOTHING, Needed.OWNER


def admit(scopes: Collection[Scope], needed: Needed | None) -> None:
    """Raises ScopeRequired. A call that does not say what it needs takes no key."""
    if needed is PUBLIC or (needed is not None and needed.value in scopes):
        return
    if needed in (None, OWNER):
        raise ScopeRequired("no key may do this: sign in with an access token", scope=None)
    raise ScopeRequired(f"this needs a key with the scope {needed}", scope=needed.value)
