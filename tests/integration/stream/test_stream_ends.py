"""Streams and WebSockets of an account that may not listen any more end within 3 seconds, whatever ended it."""

import time
from collections.abc import Callable
from contextlib import ExitStack

import pytest
from websockets.exceptions import ConnectionClosed

from orders import accounts
from tests.integration.stream.cast import Cast, connect, until_true
from tests.integration.stream.client import StreamClient
from tests.integration.stream.trader import SocketTrader, socket
from users import services, sessions
from users.acts import Actor
from users.models import User

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.long]

PASSWORD, NEXT = "correct horse", "battery staple"
WITHIN_SECONDS = 3.0


def log_out(user: User, tokens: sessions.Tokens) -> None:
    sessions.log_out(tokens.refresh)


def log_out_everywhere(user: User, tokens: sessions.Tokens) -> None:
    services.end_all_sessions(user.pk)


def new_password(user: User, tokens: sessions.Tokens) -> None:
    services.change_password(user.pk, None, PASSWORD, NEXT)


def close(user: User, tokens: sessions.Tokens) -> None:
    accounts.close(user.pk, PASSWORD, Actor(user.pk, "127.0.0.1"))


def deactivate(user: User, tokens: sessions.Tokens) -> None:
    accounts.deactivate(user.pk, Actor(user.pk, "127.0.0.1"))


def kill(user: User, tokens: sessions.Tokens) -> None:
    accounts.kill(user.pk, Actor(user.pk, "127.0.0.1"))


def account(name: str) -> tuple[User, sessions.Tokens]:
    user = User(username=name, email=f"{name}@example.com")
    user.set_password(PASSWORD)
    user.save()
    return user, sessions.sign_in(name, PASSWORD)


def ended(stream: StreamClient) -> bool:
    return stream.next(0.01) is None and stream.ended


def closed(trader: SocketTrader) -> bool:
    try:
        trader.connection.recv(timeout=0.01)
    except TimeoutError:
        return False
    except ConnectionClosed:
        return True
    return False


def test_whatever_ends_an_account_ends_what_it_listens_to(cast: Cast, port: int) -> None:
    acts: list[Callable[[User, sessions.Tokens], None]] = [
        log_out,
        log_out_everywhere,
        new_password,
        close,
        deactivate,
        kill,
    ]
    with ExitStack() as opened:
        listening: dict[str, Callable[[], bool]] = {}
        accounts_of = {act: account(act.__name__) for act in [*acts, account]}
        for act, (_, tokens) in accounts_of.items():
            stream = opened.enter_context(connect(port, Authorization=f"Bearer {tokens.access}"))
            assert stream.status == 200
            trader = opened.enter_context(socket(port))
            assert trader.ask("auth", token=tokens.access)["code"] == 200
            assert trader.follow("orders")["code"] == 200
            listening[f"stream, {act.__name__}"] = lambda stream=stream: ended(stream)
            listening[f"WebSocket, {act.__name__}"] = lambda trader=trader: closed(trader)
        untouched = {name: listening.pop(name) for name in list(listening) if name.endswith(account.__name__)}
        for act in acts:
            act(*accounts_of[act])
        began, late = time.monotonic(), dict(listening)

        def all_ended() -> bool:
            for name in [name for name, is_over in late.items() if is_over()]:
                del late[name]
            return not late

        until_true(all_ended, WITHIN_SECONDS)
        assert list(late) == []
        assert time.monotonic() - began <= WITHIN_SECONDS
        assert [name for name, is_over in untouched.items() if is_over()] == []
