"""A small exchange in the process of the test: a market, its users, and a queue that runs in place."""

import json
import secrets
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.apps import apps
from django.contrib.auth.models import Group, Permission
from django.db import connection
from rest_framework.test import APIClient
from rest_framework_simplejwt.tokens import RefreshToken

from balances.services import transfer
from markets.models import Market
from markets.services import change_market, create_market, known_market, read_market
from matching.drain import Run, drain
from tests.support.contract import check_answer
from tests.support.tape import parse
from users.models import User


def remember(market: Market) -> None:
    """Have this process see the market so for the next second, as if another process had changed it since."""
    known_market.cache[known_market.cache_key(market.symbol)] = market  # type: ignore[index]


@dataclass
class Person:
    """One user of the cast, with a client that is signed in."""

    user: User
    client: APIClient

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        """Send a request to /api/v1. Returns the response, with its parsed `.body`, after `contract` has checked it."""
        data = body if isinstance(body, bytes | str) else None if body is None else json.dumps(body)
        response = self.client.generic(method, f"/api/v1{path}", data or "", "application/json", headers=headers)
        response.body = json.loads(response.content) if response.content else None
        if response.content:
            check_answer(method, f"/api/v1{path}", response.status_code, response["Content-Type"], response.body)
        return response

    def get(self, path: str) -> Any:
        return self.call("GET", path).body["data"]

    def holds(self, currency: str) -> str:
        """Available and frozen, as "7 3"."""
        row = self.get(f"/balances/{self.user.id}/{currency}")
        return f"{row['availableBalance']} {row['frozenBalance']}"


@dataclass
class World:
    market: Market
    alice: Person
    bob: Person
    carol: Person
    # Who may do everything.
    staff: Person

    @classmethod
    def make(cls, **market: Any) -> "World":
        fields = {"tick_size": Decimal("0.01"), "lot_size": Decimal("0.0001"), **market}
        world = cls(
            market=create_market(symbol="BTC-USD", base="BTC", quote="USD", **fields),
            alice=person("alice"),
            bob=person("bob"),
            carol=person("carol"),
            staff=person("staff", is_staff=True, is_superuser=True),
        )
        fund(world.alice.user, USD="10000")
        fund(world.bob.user, BTC="10")
        return world

    @property
    def symbol(self) -> str:
        return self.market.symbol

    def clerk(self, *powers: str, name: str = "clerk") -> Person:
        """Staff with these permissions and no others. A word without a point is a group."""
        clerk = person(name, is_staff=True)
        allow(clerk, *powers)
        return clerk

    def place(self, who: Person, line: str, **more: Any) -> Any:
        """POST the order of a line (see `tape`). Returns the response."""
        return who.call("POST", "/orders", parse(line).body(self.symbol, **more))

    def switch(self, status: str) -> None:
        """Set the trading status as PATCH /markets does. The engine applies it behind the waiting commands."""
        change_market(read_market(self.symbol), status=status)

    def match(self) -> Run:
        """Drain the market, as the worker does when its bell rings."""
        return drain(self.symbol)

    def play(self, who: Person, line: str, **more: Any) -> dict[str, Any]:
        """Place an order and match it. Returns the order after that."""
        response = self.place(who, line, **more)
        assert response.status_code == 202, response.body
        self.match()
        return who.get(f"/orders/{response.body['data']['orderId']}")

    def depth(self) -> str:
        """Both sides, best first: "1@100 2@99 | 3@101"."""
        book = self.carol.get(f"/orderbook/{self.symbol}")
        sides = (" ".join(f"{level['quantity']}@{level['price']}" for level in book[side]) for side in ("bids", "asks"))
        return " | ".join(sides).strip()


def person(name: str, **powers: bool) -> Person:
    # The password is never hashed, because that would take a quarter of a second for each user.
    user = User.objects.create(username=name, email=f"{name}@example.com", password="!", **powers)
    client = APIClient(raise_request_exception=False)
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {RefreshToken.for_user(user).access_token}")
    return Person(user, client)


def allow(who: Person, *powers: str) -> None:
    """Give a user permissions, such as "users.kill", and groups, such as "treasurers"."""
    for power in powers:
        app, _, codename = power.partition(".")
        if codename:
            permission = Permission.objects.get(content_type__app_label=app, codename=codename)
            who.user.user_permissions.add(permission)
        else:
            who.user.groups.add(Group.objects.get(name=power))


def fund(user: User, **amounts: str) -> None:
    for currency, amount in amounts.items():
        transfer(
            user_id=user.id,
            currency=currency,
            amount=Decimal(amount),
            reason="opening balance",
            reference=secrets.token_hex(8),
            operator_id=None,
        )


def outcome(order: dict[str, Any]) -> str:
    """The outcome of an order: "2 partially_filled ioc_remainder". A plus sign marks an active one."""
    words = [order["remainingQuantity"] or "-", order["status"].lower(), (order["reason"] or "").lower()]
    return " ".join(filter(None, words)) + (" +" if order["active"] else "")


def stored_rows() -> dict[str, int]:
    """How many rows each table has, to prove that nothing was stored; one statement, because many tests ask twice."""
    counts = (
        f"SELECT '{model.__name__}', COUNT(*) FROM {model._meta.db_table}"
        for model in apps.get_models()
        if model._meta.managed
    )
    with connection.cursor() as cursor:
        cursor.execute(" UNION ALL ".join(counts))
        return dict(cursor.fetchall())
