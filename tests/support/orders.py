"""A small exchange with an order of each kind and outcome, for the tests of the audit."""

from collections.abc import Container, Iterable
from decimal import Decimal

from django.db.models import F
from django.utils import timezone

from audit.checks import Check, Report
from audit.inspect import Positions, inspect_full, inspect_since
from audit.reference_data import load_reference_data
from audit.replay import Replay
from balances.approvals import approve, ask_for_payout
from balances.models import Approval, Balance
from base.storage.fields import amount as stored
from commands.models import Command
from core.types import MarketStatus
from markets.models import Market
from markets.services import known_market
from matching import books
from matching.models import DeadLetter, OrderBook, StatusChange
from orders.models import OpenOrders, Order, OrderEvent
from tests.support.world import World, fund
from users.acts import Actor

RATES = {"maker_fee_rate": Decimal("0.001"), "taker_fee_rate": Decimal("0.002")}


FAR_AHEAD = "2199-01-01T00:00:00Z"


class PlayedExchange:
    """The orders are named by their client order ids."""

    def __init__(self) -> None:
        self.world = World.make(**RATES)
        fund(self.world.carol.user, BTC="5")
        self._trade()
        self._pay_out()
        self._stop_for_a_while()
        self._fail()
        # Accepted, and not yet matched.
        self.world.place(self.world.alice, "buy 0.1 @ 88", clientOrderId="waiting")

    @property
    def symbol(self) -> str:
        return self.world.symbol

    def order(self, name: str) -> Order:
        return Order.objects.get(client_order_id=name)

    def events(self, name: str) -> list[OrderEvent]:
        return list(OrderEvent.objects.filter(order=self.order(name)).order_by("sequence"))

    def rows(self, name: str) -> object:
        """The order as a query, to be corrupted."""
        return Order.objects.filter(client_order_id=name)

    def _trade(self) -> None:
        alice, bob, carol = self.world.alice, self.world.bob, self.world.carol
        for who, line, name in (
            (bob, "sell 1 @ 100", "first"),
            (bob, "sell 1 @ 100", "second"),
            (bob, "sell 2 @ 101", "third"),
            (alice, "buy 0.5 @ 100", "half"),
            (alice, "buy 0.3 @ market", "market"),
            (alice, "buy market 50 quote", "budget"),
            (alice, "buy 0.5 @ 100 ioc", "sweeper"),
            (alice, "buy 9 @ 100 fok", "all-or-nothing"),
            (alice, "buy 1 @ 90", "earlier"),
            (alice, "buy 1 @ 90", "later"),
            (alice, "buy 1 @ 89", "cancelled"),
            (carol, "sell 0.2 @ 90", "hitter"),
            (alice, "sell 0.1 @ 90", "own"),
            (alice, "sell 0.1 @ 89.5 expire-maker", "remover"),
            (alice, "buy 1 @ 80", "bid"),
        ):
            lasts = {"timeInForce": "GTD", "expiresAt": FAR_AHEAD} if name == "bid" else {}
            self.world.play(who, line, clientOrderId=name, **lasts)
        alice.call("DELETE", f"/orders/{self.order('cancelled').id}")
        self.world.match()

    def _pay_out(self) -> None:
        """A cent of the fees, after an approval; another payout waits."""
        staff, carol = (Actor(who.user.id, "127.0.0.1") for who in (self.world.staff, self.world.carol))
        for reference in ("paid-out", "waits"):
            ask_for_payout(staff, currency="USD", amount=Decimal("0.01"), reason="fees", reference=reference)
        approve(Approval.objects.get(reference="paid-out").pk, carol)

    def _stop_for_a_while(self) -> None:
        """An order that is accepted before the market is halted, and applied while it is halted."""
        self.world.place(self.world.carol, "sell 1 @ 90", clientOrderId="too-late")
        self._set_trading_status(MarketStatus.HALTED)
        self.world.match()
        self._set_trading_status(MarketStatus.TRADING)

    def _set_trading_status(self, status: MarketStatus) -> None:
        """Set the trading status by hand, in every row that has it."""
        book = OrderBook.objects.get(market=self.symbol)
        StatusChange.objects.create(
            market_id=self.symbol,
            status=status,
            sequence=book.next_sequence,
            reason="by hand",
            created_at=timezone.now(),
        )
        OrderBook.objects.filter(market=self.symbol).update(status=status)
        Market.objects.filter(symbol=self.symbol).update(status=status)
        known_market.cache_clear()

    def _fail(self) -> None:
        """An order that the engine gave up, by hand, in every row that shows it."""
        self.world.place(self.world.alice, "buy 0.1 @ 95", clientOrderId="failed")
        order, book, now = self.order("failed"), OrderBook.objects.get(market=self.symbol), timezone.now()
        Command.objects.filter(order_id=order.id).delete()
        Balance.objects.filter(user=order.user_id, currency="USD").update(
            available=F("available") + stored(order.frozen), frozen=F("frozen") - stored(order.frozen)
        )
        end = {"status": "FAILED", "reason": "INTERNAL_ERROR"}
        Order.objects.filter(id=order.id).update(
            **end, phase="CLOSED", frozen=Decimal(0), sequence=book.next_sequence, closed_at=now
        )
        OpenOrders.objects.filter(user=order.user_id).update(number=F("number") - 1)
        fields = {"market_id": self.symbol, "sequence": book.next_sequence, "order": order, "user_id": order.user_id}
        OrderEvent.objects.create(**fields, **end, active=False, filled_quantity=0, filled_notional=0, created_at=now)
        OrderBook.objects.filter(market=self.symbol).update(next_sequence=book.next_sequence + 1)
        books.forget(self.symbol)
        DeadLetter.objects.create(
            market_id=self.symbol,
            kind="NEW",
            order_id=order.id,
            error="by hand",
            traceback="",
            attempts=4,
            created_at=now,
        )


# How long a command waits depends on the machine.
UNTIMED = (Check.SERVED,)


def full(left_out: Container[Check] = UNTIMED) -> Report:
    report = Report(left_out=left_out)
    inspect_full(report, timezone.now())
    return report


def quick(since: Positions | None = None, left_out: Container[Check] = UNTIMED) -> Report:
    report = Report(left_out=left_out)
    inspect_since(report, timezone.now(), since or Positions.of(None))
    return report


def replay(*symbols: str) -> Report:
    report = Report()
    data = load_reference_data(report, timezone.now())
    for symbol in symbols or data.markets:
        Replay(report, data, data.markets[symbol]).run()
    return report


def checks(*reports: Report) -> set[str]:
    """The checks that found something."""
    return {finding.check.value for report in reports for finding in report.findings}


def all_findings(reports: Iterable[Report]) -> str:
    return "\n".join(str(finding) for report in reports for finding in report.findings)
