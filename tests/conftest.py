"""The cast, and the count of the money after every test that used the database."""

import io
import json
import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.conf import settings
from django.test import Client

from audit.inspect import check_exchange
from base.storage.breakers import forget_breakers
from base.telemetry import logs
from base.web.authentication import active_limit
from commands.backlog import find_backlog
from markets.services import known_market
from matching import books
from tests.integration.stream.client import StreamClient
from tests.support.contract import check_answer
from tests.support.world import World
from users.models import User


def pytest_configure() -> None:
    StreamClient.judge = staticmethod(check_answer)
    # Each test client loads the middleware anew, and WhiteNoise would look through all static files each time.
    settings.WHITENOISE_USE_FINDERS = False


@pytest.fixture(scope="session", autouse=True)
def nothing_is_logged_between_tests() -> None:
    """Servers in threads go on for a moment after a test; pytest shows what is logged within one that fails."""
    root = logging.getLogger()
    root.handlers = [handler for handler in root.handlers if type(handler) is not logging.StreamHandler]


@pytest.fixture(autouse=True)
def money_is_counted(request: pytest.FixtureRequest) -> Iterator[None]:
    """Asking for the database here makes the count run before the database is rolled back."""
    uses_database = {"db", "transactional_db"} & set(request.fixturenames)
    if uses_database:
        request.getfixturevalue("transactional_db" if "transactional_db" in uses_database else "db")
    yield
    if uses_database:
        check_exchange()
    books._markets.clear()
    known_market.cache_clear()
    active_limit.cache_clear()
    find_backlog.cache_clear()
    forget_breakers()


@pytest.fixture
def log() -> Iterator[Callable[[], list[dict[str, Any]]]]:
    """What is logged, rendered as in a server process: one entry a line."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logs.formatter(logs.JSON))
    logging.getLogger().addHandler(handler)
    yield lambda: [json.loads(line) for line in stream.getvalue().split("\n")[:-1]]
    logging.getLogger().removeHandler(handler)


@pytest.fixture
def world(db: None) -> World:
    """Alice holds dollars, Bob holds bitcoin, Carol holds nothing and sees nothing."""
    return World.make()


@pytest.fixture
def operator(world: World) -> Client:
    """A superuser signed in to the admin, who may do there all that anybody may do."""
    client = Client()
    client.force_login(
        User.objects.create(
            username="operator", email="operator@example.com", password="!", is_staff=True, is_superuser=True
        )
    )
    return client
