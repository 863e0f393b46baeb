"""What waits for a socket of Binance's streams, its candles, and the reports of orders."""

import asyncio
import itertools
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest
from django.test import override_settings

from binance_api.streams import candle_streams
from binance_api.streams.candle_streams import CandleStreams
from binance_api.streams.outbox import TOO_SLOW, Outbox
from binance_api.streams.reports import execution_reports
from marketdata.candles import Figures, Span


class Client:
    """A socket whose client takes what is sent once it may."""

    def __init__(self) -> None:
        self.taken: list[str] = []
        self.closed: list[Any] = []
        self.takes = asyncio.Event()

    async def send(self, text: str) -> None:
        await self.takes.wait()
        self.taken.append(text)

    def close(self, code: int, reason: str) -> None:
        self.closed.append((code, reason))


def test_of_what_shows_a_state_a_slow_client_has_the_newest_and_of_all_else_everything() -> None:
    async def scenario() -> list[str]:
        client = Client()
        outbox = Outbox(client)  # type: ignore[arg-type]
        outbox.put("first")
        await asyncio.sleep(0)
        outbox.show("kline", "open 1")
        outbox.put("trade 1")
        outbox.show("kline", "closed 1", is_final=True)
        outbox.show("kline", "open 2")
        outbox.show("kline", "open 3")
        client.takes.set()
        await asyncio.sleep(0.01)
        outbox.close()
        return client.taken

    assert asyncio.run(scenario()) == ["first", "closed 1", "trade 1", "open 3"]


@override_settings(STREAM_MAX_PENDING=3)
def test_a_client_that_lets_too_much_wait_is_cut_off() -> None:
    async def scenario() -> list[Any]:
        client = Client()
        outbox = Outbox(client)  # type: ignore[arg-type]
        for number in range(5):
            outbox.put(str(number))
        outbox.close()
        return client.closed

    assert asyncio.run(scenario()) == [(1008, TOO_SLOW)] * 2


def test_a_candle_is_told_once_more_when_it_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    """And the trades of the next minute only after that."""
    clock = SimpleNamespace(now=datetime(2026, 1, 1, 12, 0, 58, tzinfo=UTC))
    monkeypatch.setattr(candle_streams, "datetime", SimpleNamespace(now=lambda _: clock.now))
    monkeypatch.setattr(candle_streams, "in_thread", _at_once)
    monkeypatch.setattr(candle_streams, "read_candles", _minutes)

    async def scenario() -> list[list[tuple[int, bool]]]:
        streams = CandleStreams("BTC-USD")
        first = await streams.open_candle("kline_1m")
        assert first is not None
        assert (first.figures.opens_at.minute, first.is_closed) == (0, False)
        told = []
        # 12:00:59 without a trade, 12:01:00 with one, 12:01:01.5, 12:01:02.5 without another, and without a follower.
        for seconds, has_traded, followed in ((1, 0, 1), (1, 1, 1), (1.5, 0, 1), (1, 0, 1), (60, 1, 0)):
            clock.now += timedelta(seconds=seconds)
            if has_traded:
                streams.traded()
            found = await streams.next(["kline_1m"] if followed else [])
            told.append([(each.figures.opens_at.minute, each.is_closed) for each in found])
        return told

    assert asyncio.run(scenario()) == [[], [(0, False)], [(0, True), (1, False)], [], []]


async def _at_once(function: Any, *arguments: Any) -> Any:
    return function(*arguments)


def _minutes(_: str, span: Span, until: datetime, limit: int) -> list[Figures]:
    numbers = range(span.number(until) - limit + 1, span.number(until) + 1)
    return [Figures(span.opening(number), *[Decimal(1)] * 6, trades=1) for number in numbers]


_numbers = itertools.count(1)


def _update(status: str, **changed: Any) -> dict[str, Any]:
    """An order update as our own stream has it."""
    defaults = {
        "orderId": 7,
        "clientOrderId": None,
        "userId": 1,
        "symbol": "BTCUSD",
        "side": "SELL",
        "type": "LIMIT",
        "timeInForce": "GTC",
        "postOnly": False,
        "price": "100",
        "quantity": "3",
        "quoteQuantity": None,
        "stopPrice": None,
        "trailingOffset": None,
        "triggeredAt": None,
        "displayQuantity": None,
        "expiresAt": None,
        "groupId": None,
        "placedBy": None,
        "correlationId": "a",
        "createdAt": "2026-01-01T00:00:00.000000Z",
        "filledQuantity": "0",
        "remainingQuantity": "3",
        "preventedQuantity": "0",
        "filledQuote": "0",
        "averagePrice": None,
        "reason": None,
        "active": True,
        "updatedAt": "2026-01-01T00:00:01.000000Z",
        "closedAt": None,
        "sequence": next(_numbers),
    }
    return {**defaults, "status": status, **changed}


FILL = {"tradeId": "BTC-USD-5", "price": "100", "quantity": "1", "role": "TAKER", "fee": "0.1", "feeCurrency": "USD"}
FILLED_ONE = {"filledQuantity": "1", "filledQuote": "100"}


@pytest.mark.parametrize(
    ("update", "told"),
    [
        (_update("OPEN"), ["NEW NEW"]),
        (_update("WAITING", type="STOP_LIMIT", stopPrice="90"), ["NEW NEW"]),
        (_update("TRIGGERED", type="STOP_LIMIT", stopPrice="90", triggeredAt="2026-01-01T00:00:01Z"), ["NEW NEW"]),
        (_update("PARTIALLY_FILLED", **FILLED_ONE, lastTrade=FILL), ["NEW NEW", "TRADE PARTIALLY_FILLED"]),
        (_update("PARTIALLY_FILLED", **FILLED_ONE, lastTrade={**FILL, "role": "MAKER"}), ["TRADE PARTIALLY_FILLED"]),
        (
            _update("PARTIALLY_FILLED", **FILLED_ONE, lastTrade=FILL, active=False, reason="IOC_REMAINDER"),
            ["NEW NEW", "TRADE PARTIALLY_FILLED", "EXPIRED EXPIRED"],
        ),
        (_update("FILLED", filledQuantity="3", lastTrade=FILL, active=False), ["TRADE FILLED"]),
        (_update("OPEN", reason="AMENDED"), ["REPLACED NEW"]),
        (_update("OPEN", reason="AMEND_REFUSED"), []),
        (_update("OPEN", reason="SELF_TRADE", preventedQuantity="1"), ["NEW NEW", "TRADE_PREVENTION NEW"]),
        (
            _update("CANCELLED", reason="SELF_TRADE", active=False),
            ["NEW NEW", "TRADE_PREVENTION EXPIRED_IN_MATCH"],
        ),
        (_update("OPEN", type="STOP_LIMIT", stopPrice="90", triggeredAt="2026-01-01T00:00:01Z"), []),
        (_update("CANCELLED", reason="USER_CANCELLED", active=False), ["CANCELED CANCELED"]),
        (_update("REJECTED", reason="WOULD_TAKE", active=False, postOnly=True), ["REJECTED REJECTED"]),
        (_update("REJECTED", reason="NO_LIQUIDITY", active=False, type="MARKET"), ["NEW NEW", "EXPIRED EXPIRED"]),
    ],
)  # fmt: skip
def test_reports(monkeypatch: pytest.MonkeyPatch, update: dict[str, Any], told: list[str]) -> None:
    monkeypatch.setattr("binance_api.representation.binance_name", lambda symbol: symbol)
    reports = execution_reports(update, "NONE")
    assert [f"{each['x']} {each['X']}" for each in reports] == told
    for report in reports:
        is_trade = report["x"] == "TRADE"
        assert (report["t"], report["n"]) == ((5, "0.10000000") if is_trade else (-1, "0"))
        assert report["w"] is (update["status"] != "WAITING" and report["X"] in ("NEW", "PARTIALLY_FILLED"))
