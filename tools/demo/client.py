"""How the simulated traders and the house's bots reach the exchange: as any user of the Python client."""

import httpx

from clients.python.clearbell import AsyncClient, Password, Retry, Trouble
from tools.demo.tally import Tally

TIMEOUT_SECONDS = 10


def connect() -> httpx.AsyncClient:
    """Connections that all share, whatever proxy the user's environment names for the world outside."""
    # Closed before the server closes them, which would look like a request that was cut off.
    limits = httpx.Limits(max_connections=None, keepalive_expiry=2)
    return httpx.AsyncClient(timeout=TIMEOUT_SECONDS, limits=limits, trust_env=False)


def user(http: httpx.AsyncClient, address: str, username: str, password: str, tally: Tally) -> AsyncClient:
    """One user, who is patient without end: the exchange is killed while it trades, and started again."""

    def count(trouble: Trouble) -> None:
        tally.throttled += trouble.is_throttled
        tally.repeated += not trouble.is_throttled

    retry = Retry(attempts=None, seconds=None, on_trouble=count)
    return AsyncClient(address, Password(username, password), retry=retry, trust_env=False, http=http)
