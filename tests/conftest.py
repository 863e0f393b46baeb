"""The cast, and the count of the money after every test that used the database."""

import gc
import io
import json
import logging
import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.conf import settings
from django.test import Client
from pytest_django import DjangoDbBlocker

from audit.inspect import check_exchange
from base.storage.breakers import forget_breakers
from base.telemetry import logs
from base.web.accounts import known_account
from base.web.keys.known import known_key
from base.web.keys.use import forget_uses
from binance_api.symbols import names
from binance_api.tops import shared_tops
from commands.queue import find_backlog
from marketdata.depth_cache import shared_depths
from marketdata.shared_answers import shared_candles, shared_trades
from marketdata.tickers import shared_tickers
from markets.fees import known_tier, known_tiers
from markets.marks import main_markets
from markets.services import asset_code, known_market
from matching import books
from orders.ids import order_ids
from orders.share import count_waiting
from sandbox.services import known_faults
from tests.integration.stream.client import StreamClient
from tests.support.audits import audited_exchange
from tests.support.contract import check_answer
from tests.support.flush import empty_only_what_has_rows
from tests.support.lanes import group
from tests.support.live import Live
from tests.support.sampling import DRAWN, LEG_ONE_IN, PROVE, sample
from tests.support.world import World
from users.ids import user_ids
from users.models import User


def pytest_configure() -> None:
    StreamClient.judge = staticmethod(check_answer)
    # Each test client loads the middleware anew, and WhiteNoise would look through all static files each time.
    settings.WHITENOISE_USE_FINDERS = False
    empty_only_what_has_rows()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what only `make prove` runs, and of a leg that runs beside another what was not drawn."""
    kept = [item for item in items if PROVE or not item.get_closest_marker("long")]
    if not any(".py" in argument for argument in config.args):
        kept = _drawn(kept)
    kept = sample(kept, LEG_ONE_IN, settings.DATABASES["default"]["ENGINE"]) if LEG_ONE_IN > 1 else kept
    if len(kept) < len(items):
        drawn = set(kept)
        config.hook.pytest_deselected(items=[item for item in items if item not in drawn])
        items[:] = kept


@pytest.hookimpl(trylast=True)
def pytest_collection_finish() -> None:
    """What is there now stays to the end: Python's collector need not go through it again and again."""
    gc.collect()
    gc.freeze()


def _drawn(items: list[pytest.Item]) -> list[pytest.Item]:
    """Without those of the files in DRAWN that this run's seed leaves out. Whoever names a file gets all of it."""
    left_out: set[pytest.Item] = set()
    for one_in, files in DRAWN:
        of_files = [item for item in items if item.nodeid.startswith(files)]
        if of_files:
            left_out |= set(of_files) - set(sample(of_files, one_in, *files))
    return [item for item in items if item not in left_out]


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item: pytest.Function) -> None:
    """End what runs processes with the last test that needs it. A demo trades on and on, and the tests after it would
    have half of the machine.
    """
    for name in {"exchange", "demo"} & set(item.fixturenames):
        if not any(name in later.fixturenames for later in _later(item)):
            item._fixtureinfo.name2fixturedefs[name][-1].finish(item._request)


def _later(item: pytest.Function) -> Iterator[pytest.Function]:
    """The tests after it; of those in lanes the ones that are given to the same lane with it."""
    tests = item.session.items
    in_lanes = "PYTEST_XDIST_WORKER" in os.environ
    return (each for each in tests[tests.index(item) + 1 :] if not in_lanes or group(each.nodeid) == group(item.nodeid))


@pytest.fixture(scope="session", autouse=True)
def nothing_is_logged_between_tests() -> None:
    """Servers in threads go on for a moment after a test; pytest shows what is logged within one that fails."""
    root = logging.getLogger()
    root.handlers = [handler for handler in root.handlers if type(handler) is not logging.StreamHandler]


@pytest.fixture(autouse=True)
def settings_are_as_before() -> Iterator[None]:
    """What a test sets ends with it. A decorator that overrides settings ends before the fixture `settings` does, which
    then puts back what the decorator had set: a test uses one of the two.
    """
    before = settings._wrapped
    yield
    left, settings._wrapped = settings._wrapped, before
    assert left is before, "the test has left settings behind"


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
    names.cache_clear()
    asset_code.cache_clear()
    main_markets.cache_clear()
    known_tiers.cache_clear()
    known_tier.cache_clear()
    known_account.cache_clear()
    known_key.cache_clear()
    known_faults.cache_clear()
    forget_uses()
    find_backlog.cache_clear()
    count_waiting.cache_clear()
    for shared in (shared_tops, shared_tickers, shared_candles, shared_trades, shared_depths):
        shared.forget()
    order_ids.highest.forget()
    user_ids.highest.forget()
    forget_breakers()


@pytest.fixture(scope="session")
def exchange(tmp_path_factory: pytest.TempPathFactory, django_db_blocker: DjangoDbBlocker) -> Iterator[Live]:
    """Web, worker and beat as a team would run them, shared by the session; each test makes its own market."""
    with audited_exchange(tmp_path_factory.mktemp("exchange"), django_db_blocker) as live:
        yield live


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
