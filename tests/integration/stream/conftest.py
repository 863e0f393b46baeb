"""A Redis of these tests' own, which they may kill; the cast; and a server in a thread."""

from collections.abc import Iterator

import pytest
from django.test import override_settings

from base.streams import publisher
from exchange.asgi import application
from tests.integration.stream.cast import Cast, serving
from tools.rig.servers import Server, start_redis


@pytest.fixture(scope="package")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with start_redis(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture(autouse=True)
def redis(redis_server: Server) -> Iterator[Server]:
    """Running when the test begins. Another exchange on the test run's own Redis would be heard here too."""
    if redis_server.pid is None:
        redis_server.start()
    with override_settings(REDIS_URL=f"{redis_server.url}/1"):
        publisher._publisher.cache_clear()
        yield redis_server
    publisher._publisher.cache_clear()


@pytest.fixture
def cast() -> Cast:
    return Cast()


@pytest.fixture
def port() -> Iterator[int]:
    with serving(application) as port:
        yield port
