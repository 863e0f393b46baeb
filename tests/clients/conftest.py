"""Clients of a running exchange: what is closed is closed with the test."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from clients.python.clearbell import Client, Password, Retry
from tests.support.live import Live, wait_for
from tools.rig.trader import PASSWORD

Connect = Callable[..., Client]


@pytest.fixture
def connect(exchange: Live) -> Iterator[Connect]:
    """`connect("alice", USD="1000")`: a client of a new user, with money. `url` and `retry` are as for `Client`."""
    with ExitStack() as open_clients:

        def make(name: str, *, url: str = "", retry: Retry | None = None, **funds: str) -> Client:
            username = exchange.trader(name, **funds).username
            client = Client(
                url or exchange.url, Password(username, PASSWORD), retry=retry or Retry(), trust_env=False, timeout=5
            )
            return open_clients.enter_context(client)

        yield make


def played(client: Client, order: Any) -> Any:
    """The order as it is after the worker took it up."""
    accepted = client.place(order, wait=2000)
    if accepted.order is not None:
        return accepted.order
    return wait_for(lambda: client.order(accepted.order_id), lambda found: found.status != "PENDING")
