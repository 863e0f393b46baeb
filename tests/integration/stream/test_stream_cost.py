"""What streams cost, and how they end."""

import gc
import threading
import time

import pytest
from django.db.backends.base.base import BaseDatabaseWrapper
from django.test import override_settings

from base.streams import stats
from exchange.asgi import ORDER_STATUS_PATH
from tests.integration.stream.cast import Cast, another_application, opened, serving, until_true
from tests.integration.stream.client import StreamClient

pytestmark = pytest.mark.django_db(transaction=True)


def test_idle_streams_hold_no_threads_and_no_connections(cast: Cast) -> None:
    with override_settings(STREAM_MAX_PER_USER=100, STREAM_MAX_PER_ADDRESS=200), serving(another_application()) as port:
        opened(port, cast.alice).close()
        threads = threading.active_count()
        clients = [opened(port, user) for user in (cast.alice, cast.bob) for _ in range(50)]
        assert until_true(lambda: threading.active_count() <= threads + 4)
        assert until_true(lambda: not _connections_of_the_streams())
        event = cast.tell(cast.alice)
        assert [client.ids(1) for client in clients[:50]] == [[event.event_id]] * 50
        for client in clients:
            client.close()


def test_everybody_is_counted(cast: Cast, port: int) -> None:
    assert until_true(lambda: stats() == {"totalUsers": 0, "totalConnections": 0}, 20)
    clients = [opened(port, user) for user in (cast.alice, cast.alice, cast.bob)]
    assert until_true(lambda: stats() == {"totalUsers": 2, "totalConnections": 3})
    clients.pop().close()
    assert until_true(lambda: stats() == {"totalUsers": 1, "totalConnections": 2})
    for client in clients:
        client.close()
    assert until_true(lambda: stats() == {"totalUsers": 0, "totalConnections": 0})


def test_a_stream_ends_in_time(cast: Cast, port: int) -> None:
    with override_settings(STREAM_MAX_SECONDS=1), opened(port, cast.alice) as client:
        assert client.next(3) is None
        assert client.ended


def test_a_stopping_server_ends_its_streams(cast: Cast) -> None:
    with serving(another_application()) as port:
        clients = [opened(port, cast.alice) for _ in range(5)]
        began = time.monotonic()
    assert time.monotonic() - began < 4
    for client in clients:
        assert client.next(1) is None
        assert client.ended
        client.close()


def test_keep_alives_and_leaving_when_barred(cast: Cast, port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("base.streams.application.KEEP_ALIVE_SECONDS", 0.2)
    monkeypatch.setattr("base.streams.permissions.PERMISSION_SECONDS", 0.5)
    with opened(port, cast.alice) as client:
        assert until_true(lambda: client.next(0.1) is None and client.keep_alives >= 3)
        cast.alice.is_active = False
        cast.alice.save()
        assert until_true(lambda: client.next(0.1) is None and client.ended, 3)


def test_the_rest_is_answered_by_wsgi(port: int) -> None:
    for path in ("/nothing", ORDER_STATUS_PATH + "/", ORDER_STATUS_PATH + "/nothing"):
        with StreamClient(port, path, X_Forwarded_For="1.2.3.4") as client:
            assert client.status == 404


def _connections_of_the_streams() -> list[BaseDatabaseWrapper]:
    theirs = {thread.ident for thread in threading.enumerate() if thread.name.startswith(("stream-database", "server"))}
    # By its type: isinstance asks a weak reference for the class of an object that may be gone.
    wrappers = [it for it in gc.get_objects() if issubclass(type(it), BaseDatabaseWrapper)]
    return [wrapper for wrapper in wrappers if wrapper.connection is not None and wrapper._thread_ident in theirs]
