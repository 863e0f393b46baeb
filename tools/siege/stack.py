"""The exchange that is besieged: all processes as they are deployed, behind nginx where nginx can be had."""

import json
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tools.rig import exchange
from tools.rig.packages import UnavailableError
from tools.rig.process import HOST, LIMITS, Process
from tools.rig.proxy import proxy
from tools.rig.servers import free_port, start_mysql, start_redis
from tools.rig.trader import Trader

SYMBOL = "BTC-USD"
MARKET = {"tickSize": "0.01", "lotSize": "0.0001"}
SETTINGS = {"DEMO": "1"}
# Staff make markets and pay in for many accounts, before anybody attacks.
FREE_STAFF = "from users.models import User; User.objects.filter(username='staff').update(rate_limit=0)"
# Accounts without passwords, and a token of each: to sign them in would take longer than the siege.
MAKE_ACCOUNTS = """
import json
from rest_framework_simplejwt.tokens import AccessToken
from users.models import User

def make(name):
    user = User(username=name, email=f"{name}@example.com")
    user.set_unusable_password()
    user.save()
    return [user.id, name, str(AccessToken.for_user(user))]

print(json.dumps([make(name) for name in NAMES]))
"""


@dataclass(kw_only=True)
class Stack(exchange.Exchange):
    """`entrance` is where clients connect; staff prepare what is needed by the back door, at REST itself."""

    stream_port: int = field(default_factory=free_port)
    entrance: int = field(default_factory=free_port)
    # Why there is no nginx; empty where there is one.
    without_nginx: str = ""

    @property
    def door(self) -> str:
        return f"http://{HOST}:{self.entrance}"

    def accounts(self, names: list[str], **funds: str) -> list[Trader]:
        made = json.loads(self.evaluate(MAKE_ACCOUNTS.replace("NAMES", repr(names))).splitlines()[-1])
        traders = [Trader.with_token(self.door, user_id, name, token) for user_id, name, token in made]
        for trader in traders:
            for currency, amount in funds.items():
                self.fund(trader, currency, amount)
        return traders


@contextmanager
def running_stack(folder: Path, *, with_nginx: bool = True) -> Iterator[Stack]:
    """Raises UnavailableError where there is no MySQL."""
    folder.mkdir(parents=True, exist_ok=True)
    with start_mysql(folder / "mysql", durable=True) as database, start_redis(folder / "redis") as redis:
        variables = exchange.prepare(folder, database.url, redis, **SETTINGS)
        # The limits are those that are shipped.
        stack = Stack({name: value for name, value in variables.items() if name not in LIMITS}, folder)
        stack.evaluate(FREE_STAFF)
        stack.without_nginx = "" if with_nginx else "it was asked to be left out"
        nginx = _nginx(stack, folder)
        # Without nginx the streams' process answers everything, as the demo's does.
        if nginx is None:
            stack.entrance = stack.stream_port
        behind = {"TRUSTED_PROXIES": "0" if nginx is None else "1"}
        try:
            stack.run(
                exchange.rest(stack.port),
                exchange.web(stack.stream_port, "stream"),
                exchange.worker(),
                exchange.beat(),
                **behind,
            )
            if nginx is not None:
                stack.processes["nginx"] = nginx.start()
            stack.market(SYMBOL, **MARKET)
            yield stack
        finally:
            stack.end(signal.SIGTERM)


def _nginx(stack: Stack, folder: Path) -> Process | None:
    if stack.without_nginx:
        return None
    folder = folder / "nginx"
    folder.mkdir()
    try:
        return proxy(folder, stack.entrance, stack.url, f"http://{HOST}:{stack.stream_port}")
    except UnavailableError as reason:
        stack.without_nginx = str(reason)
        return None


def other_addresses(count: int) -> list[str]:
    """Addresses of this machine that are not the polite client's; its own, where there is only one."""
    addresses = [f"127.0.0.{number}" for number in range(2, 2 + count)]
    with socket.socket() as probe:
        try:
            probe.bind((addresses[-1], 0))
        except OSError:
            return [HOST] * count
    return addresses
