"""What a measurement finds: users with money, markets, resting orders, and commands waiting as intake leaves them."""

import uuid
from collections import Counter, defaultdict
from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db import transaction
from django.utils import timezone

from balances.models import Balance
from balances.services import transfer
from base.storage.bulk import batched, update_rows, write_inserts
from base.storage.literals import dialect
from base.storage.statements import execute
from commands.models import Command as CommandRow
from core.money import UNIT, to_units
from core.types import CommandKind
from markets.models import MOST_OPEN_ORDERS, Market
from markets.services import create_market
from matching.models import OrderBook
from orders.models import Order
from orders.open_orders import count_opened
from tools.bench.flow import USERS, Amend, Cancel, Command, Place
from users.models import User

TICK, LOT = 1_000_000, 10_000
MAKER_FEE, TAKER_FEE = 100_000, 200_000
WEALTH = {"BTC": Decimal(1_000_000), "USD": Decimal(100_000_000)}
ROWS_AT_ONCE = 2000
IDS = 100_000_000
COMMAND_FIELDS = ("market", "kind", "order_id", "created_at")


class Stage:
    """One market with its users. The n-th user and the n-th order of a flow have ids of their own."""

    def __init__(self, symbol: str) -> None:
        fees: dict[str, Any] = {
            "maker_fee_rate": Decimal(MAKER_FEE) / UNIT,
            "taker_fee_rate": Decimal(TAKER_FEE) / UNIT,
        }
        grain: dict[str, Any] = {"tick_size": Decimal(TICK) / UNIT, "lot_size": Decimal(LOT) / UNIT}
        self.market: Market = create_market(
            symbol=symbol,
            base="BTC",
            quote="USD",
            self_trade_prevention="NONE",
            # The flows have a few hundred users, who together have as many orders as a market of thousands.
            max_open_orders=MOST_OPEN_ORDERS,
            **grain,
            **fees,
        )
        self.users = _users()
        # Stages may be filled in turns: each has a range of ids of its own.
        self.first_id = Market.objects.count() * IDS
        # Where its keys begin: several flows may be queued one after the other.
        self.keys = 0

    @property
    def symbol(self) -> str:
        return str(self.market.symbol)

    def queue(self, commands: Iterable[Command]) -> int:
        """Store a flow's commands with their orders and what those reserve; return how many commands."""
        count, placed = 0, 0
        for chunk in batched(commands, ROWS_AT_ONCE):
            count += len(chunk)
            placed += sum(isinstance(command, Place) for command in chunk)
            with transaction.atomic():
                self._store(chunk)
        self.keys += placed
        return count

    def rest(self, orders: Iterable[Place]) -> None:
        """Store orders as the engine leaves those that rest, and the book's number after them."""
        now, placed = timezone.now(), 0
        for chunk in batched(orders, ROWS_AT_ONCE):
            with transaction.atomic():
                rows = [
                    {**self._order(place, now), "status": "OPEN", "phase": "RESTING", "sequence": placed + number}
                    for number, place in enumerate(chunk, 1)
                ]
                self._insert_orders(rows)
            placed += len(chunk)
        self.keys += placed
        OrderBook.objects.update_or_create(market=self.market, defaults={"next_sequence": placed + 1})

    def _store(self, commands: list[Any]) -> None:
        now = timezone.now()
        self._insert_orders([self._order(command, now) for command in commands if isinstance(command, Place)])
        if any(isinstance(command, Amend) for command in commands):
            # By the ORM, because the bulk statement writes no JSON.
            CommandRow.objects.bulk_create(
                CommandRow(
                    market=self.market,
                    kind=_kind(command),
                    order_id=self._id(command.key),
                    data=_data(command),
                    created_at=now,
                )
                for command in commands
            )
            return
        kinds = map(_kind, commands)
        rows = [(self.symbol, str(kind), self._id(c.key), now) for kind, c in zip(kinds, commands, strict=True)]
        execute(write_inserts(dialect(), CommandRow, COMMAND_FIELDS, rows))

    def _insert_orders(self, rows: list[dict[str, Any]]) -> None:
        if rows:
            execute(write_inserts(dialect(), Order, list(rows[0]), [tuple(row.values()) for row in rows]))
            _reserve(self.market, rows)
            opened = Counter((self.symbol, row["user"]) for row in rows)
            count_opened(opened, {self.symbol: MOST_OPEN_ORDERS})

    def _id(self, key: int) -> int:
        return self.first_id + self.keys + key

    def _order(self, place: Place, now: datetime) -> dict[str, Any]:
        """The order's row as intake stores it, its amounts in units."""
        price, quantity = TICK * place.price, LOT * place.quantity
        return {
            "id": self._id(place.key),
            "user": self.users[place.user],
            "fingerprint": "",
            "market": self.symbol,
            "side": place.side,
            "type": "LIMIT" if place.stop_price is None else "STOP_LIMIT",
            "time_in_force": "GTC",
            "post_only": False,
            "self_trade_prevention": "NONE",
            "price": price,
            "quantity": quantity,
            "stop_price": None if place.stop_price is None else TICK * place.stop_price,
            "filled_quantity": 0,
            "filled_notional": 0,
            "frozen": price * quantity // UNIT if place.side == "BUY" else quantity,
            "maker_fee_rate": MAKER_FEE,
            "taker_fee_rate": TAKER_FEE,
            "status": "PENDING",
            "phase": "TAKING",
            "sequence": None,
            "correlation_id": uuid.uuid4().hex,
            "created_at": now,
            "updated_at": now,
        }


def _kind(command: Command) -> str:
    kinds = {Place: CommandKind.NEW, Cancel: CommandKind.CANCEL, Amend: CommandKind.AMEND}
    return kinds[type(command)].value


def _data(command: Command) -> dict[str, int] | None:
    """The new terms of an amend, as intake stores them."""
    if not isinstance(command, Amend):
        return None
    terms = {"price": (command.price, TICK), "quantity": (command.quantity, LOT)}
    return {name: value * grain for name, (value, grain) in terms.items() if value is not None}


def waiting(symbol: str) -> int:
    """How many commands of the market are in the inbox."""
    return CommandRow.objects.filter(market_id=symbol).count()


def _users() -> list[int]:
    """The ids of the cast, made and made rich the first time."""
    names = [f"user-{number}" for number in range(USERS)]
    found = dict(User.objects.filter(username__in=names).values_list("username", "id"))
    if not found:
        User.objects.bulk_create(_nobody(name) for name in names)
        found = dict(User.objects.filter(username__in=names).values_list("username", "id"))
        with transaction.atomic():
            for user_id in found.values():
                _enrich(user_id)
    return [found[name] for name in names]


def _nobody(name: str) -> User:
    user = User(username=name, email=f"{name}@example.com")
    user.set_unusable_password()
    return user


def _enrich(user_id: int) -> None:
    for currency, amount in WEALTH.items():
        transfer(
            user_id=user_id,
            currency=currency,
            amount=amount,
            reason="opening balance",
            reference=f"opening:{user_id}:{currency}",
            operator_id=None,
        )


def _reserve(market: Market, orders: Iterable[dict[str, Any]]) -> None:
    reserved: dict[tuple[int, str], int] = defaultdict(int)
    for order in orders:
        reserved[order["user"], market.quote_id if order["side"] == "BUY" else market.base_id] += order["frozen"]
    rows = []
    for balance in Balance.objects.filter(user_id__in={user_id for user_id, _ in reserved}):
        amount = reserved[balance.user_id, balance.currency_id]
        rows.append((balance.id, to_units(balance.available) - amount, to_units(balance.frozen) + amount))
    update_rows(Balance, key="id", guards=(), fields=("available", "frozen"), rows=rows)
