"""A whole exchange of real processes on the servers of the test run, and traders who write orders as lines."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.integration.stream.client import StreamClient
from tests.support.redis_users import signed_in, user_of
from tests.support.tape import parse
from tools.rig import exchange, trader
from tools.rig.process import Process, Server, wait_for


@dataclass(kw_only=True)
class Live(exchange.Exchange):
    """The running exchange; `redis` is its own, and each process is a user of its own there."""

    redis: Server

    def launch(self, program: exchange.Program, **environment: str) -> Process:
        own = signed_in(self.environment, user_of(program))
        return super().launch(program, **{**own, **environment})

    def trader(self, name: str, **funds: str) -> "Trader":
        return Trader(**vars(super().trader(name, **funds)))

    def stream(self, trader: "Trader", last_event_id: str = "") -> StreamClient:
        """The trader's own order updates, as they come."""
        headers = {"Authorization": f"Bearer {trader.token}"} | (
            {"Last_Event_ID": last_event_id} if last_event_id else {}
        )
        return StreamClient(self.port, "/api/v1/stream/order-status", **headers)


class Trader(trader.Trader):
    """A trader whose orders are lines as in `tape`: "buy 2 @ 100 ioc"."""

    def place(self, symbol: str, line: str, **more: Any) -> int:
        """POST the order of a line. Returns the order's id."""
        answer = self.call("POST", "/orders", parse(line).body(symbol, **more))
        assert answer.status_code == 202, answer.text
        order_id: int = answer.json()["data"]["orderId"]
        return order_id

    def order(self, order_id: int) -> dict[str, Any]:
        order: dict[str, Any] = self.get(f"/orders/{order_id}")
        return order

    def played(self, symbol: str, line: str, **more: Any) -> dict[str, Any]:
        """Place the order and wait until the worker has applied it. Returns the order after that."""
        order_id = self.place(symbol, line, **more)
        return wait_for(lambda: self.order(order_id), lambda order: order["status"] != "PENDING")

    def settled(self, order_id: int) -> dict[str, Any]:
        """Wait until an order can no longer trade."""
        return wait_for(lambda: self.order(order_id), lambda order: not order["active"])

    def holds(self, currency: str) -> str:
        """Available and frozen, as "7 3"."""
        row = self.get(f"/balances/{self.user_id}/{currency}")
        return f"{row['availableBalance']} {row['frozenBalance']}"


def start_exchange(folder: Path, database_url: str, redis: Server) -> Live:
    """Migrate, make a staff user, and start web, worker and beat; returns once all of them work."""
    live = Live(exchange.prepare(folder, database_url, redis), folder, redis=redis)
    live.run(exchange.worker(), exchange.beat(), exchange.web(live.port))
    return live
