"""Tickets: a browser's EventSource cannot send a token in a header, so it brings one that is good once, for seconds."""

import hashlib
import secrets

from django.core.cache import cache

TICKET_SECONDS = 30


def issue_ticket(user_id: int) -> str:
    """A random word that signs in one stream of this user within 30 seconds."""
    ticket = secrets.token_urlsafe(32)
    cache.set(_key(ticket), user_id, TICKET_SECONDS)
    return ticket


def redeem_ticket(ticket: str) -> int | None:
    """Whose ticket it was, once. Of two that redeem it at the same moment only one is told that it deleted it."""
    key = _key(ticket)
    user_id: int | None = cache.get(key)
    if user_id is None or not cache.delete(key):
        return None
    return user_id


def _key(ticket: str) -> str:
    """A digest: the ticket is the client's text, of any length, and need not lie readable in Redis."""
    return "stream-ticket:" + hashlib.sha256(ticket.encode("utf-8", "surrogatepass")).hexdigest()
