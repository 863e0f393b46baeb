"""A market in a terminal: what comes changes what is known, and that is drawn as lines."""

import json
import os
import subprocess
import sys
from io import StringIO
from pathlib import Path
from typing import Any

import httpx
import pytest
from rich.console import Console

from marketdata.watch.__main__ import account_of, main
from marketdata.watch.account import Account, KeyAccount, RefusedError, TokenAccount, answered
from marketdata.watch.client import Watcher
from marketdata.watch.picture import draw
from marketdata.watch.state import Watched
from tools.rig.process import ROOT

BOOK = {
    "sequence": 9,
    "bids": [{"price": "99.5", "quantity": "2", "orderCount": 1}, {"price": "98", "quantity": "6.25", "orderCount": 3}],
    "asks": [{"price": "100", "quantity": "1", "orderCount": 1}],
    "spread": "0.5",
}
TICKER = {"lastPrice": "100", "priceChangePercent": "-1.25", "high": "104", "low": "96", "volume": "12"}


def trade(sequence: int, price: str = "100") -> dict[str, Any]:
    at = f"2026-01-01T12:00:{sequence:02}.000000Z"
    return {"sequence": sequence, "price": price, "quantity": "0.5", "takerSide": "BUY", "createdAt": at}


def order(number: int, sequence: int, status: str = "OPEN", **more: Any) -> dict[str, Any]:
    plain = {"orderId": number, "symbol": "BTC-USD", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC"}
    amounts = {"price": "98", "quantity": "2", "quoteQuantity": None, "filledQuantity": "0"}
    active = status in ("OPEN", "PARTIALLY_FILLED")
    return {**plain, **amounts, "sequence": sequence, "status": status, "active": active, "reason": None, **more}


def lines(watched: Watched, height: int = 40, **terminal: Any) -> list[str]:
    console = Console(file=StringIO(), width=100, **terminal)
    console.print(draw(watched, height))
    return [line.rstrip() for line in console.file.getvalue().splitlines()]  # type: ignore[attr-defined]


def test_a_picture() -> None:
    watched = Watched("BTC-USD", "alice", BOOK, TICKER)
    watched.take("trades", [trade(1), trade(2, "99.75")])
    watched.replace_orders([order(7, 3)])
    assert lines(watched) == [
        "BTC-USD  100  -1.25%  24 h: 96 to 104, volume 12",
        "",
        "       price quantity orders up to here        traded quantity at (UTC)",
        "       100.0     1.00      1 █                  99.75      0.5 12:00:02",
        "  spread 0.5                                   100.00      0.5 12:00:01",
        "        99.5     2.00      1 ███",
        "*       98.0     6.25      3 ██████████████",
        "",
        "alice: 1 open in BTC-USD",
        "  BUY  2 @ 98  LIMIT GTC  OPEN  #7",
    ]


def test_it_is_no_higher_than_the_terminal() -> None:
    levels = [{"price": str(price), "quantity": "1", "orderCount": 1} for price in range(101, 160)]
    watched = Watched("BTC-USD", "alice", {**BOOK, "asks": levels}, TICKER)
    watched.replace_trades([trade(number) for number in range(50, 0, -1)])
    watched.replace_orders([order(number, number) for number in range(1, 30)])
    assert len(lines(watched, 40)) <= 40
    assert "  and 19 more" in lines(watched, 40)


def test_an_empty_market() -> None:
    empty = Watched("BTC-USD", book={**BOOK, "bids": [], "asks": [], "spread": None})
    assert lines(empty)[0] == "BTC-USD  not traded yet"


def test_colours_are_for_terminals() -> None:
    watched = Watched("BTC-USD", book=BOOK, ticker=TICKER)
    assert "\x1b[31m" in "".join(lines(watched, force_terminal=True, color_system="standard"))
    assert "\x1b" not in "".join(lines(watched))


def test_what_is_older_changes_nothing() -> None:
    watched = Watched("BTC-USD", book=BOOK)
    watched.take("depth", {**BOOK, "sequence": 8, "bids": []})
    assert watched.book["bids"]
    watched.replace_trades([trade(5), trade(4)])
    watched.take("trades", [trade(4), trade(5), trade(6)])
    assert [each["sequence"] for each in watched.trades] == [6, 5, 4]
    watched.take_order(order(1, 1))
    assert watched.orders is None, "nobody is signed in"
    watched.replace_orders([order(1, 5, "PARTIALLY_FILLED")])
    watched.take_order(order(1, 4))
    watched.take_order(order(2, 6, symbol="ETH-USD"))
    assert watched.orders == {1: order(1, 5, "PARTIALLY_FILLED")}
    for _ in range(2):
        watched.take_order(order(1, 7, "FILLED"))
    assert (watched.orders, list(watched.closed)) == ({}, [order(1, 7, "FILLED")])


def test_who_watches(monkeypatch: pytest.MonkeyPatch) -> None:
    http = httpx.Client()
    assert type(account_of(http, {}, "", "")) is Account
    assert account_of(http, {"CLEARBELL_TOKEN": "t"}, "", "").headers("/x") == {"Authorization": "Bearer t"}
    assert isinstance(account_of(http, {"CLEARBELL_KEY_ID": "k", "CLEARBELL_KEY_SECRET": "s"}, "", ""), KeyAccount)
    # As docs/api.md has it.
    monkeypatch.setattr("time.time_ns", lambda: 1_767_225_600_000_000_000)
    signed = KeyAccount("k", "0123456789abcdef" * 4).headers("/api/v1/orders?limit=5")
    assert signed["X-Timestamp"] == "1767225600000"
    assert len(signed["X-Signature"]) == 64


def test_nobody_answers(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["btc-usd", "--url", "http://127.0.0.1:9", "--once"]) == 1
    assert "no exchange answers at http://127.0.0.1:9" in capsys.readouterr().err


def test_a_stream_that_breaks_is_opened_again_and_what_was_missed_is_read() -> None:
    """The first stream sends half of what happens; the second one is refused; the third one is open."""
    asked: list[str] = []
    tape = [trade(2), trade(1)]
    streams = iter(
        [
            httpx.Response(200, text='data: [{"sequence": 1', headers={"Content-Type": "text/event-stream"}),
            httpx.Response(503, json={"error": "UNAVAILABLE", "message": "later"}),
            httpx.Response(404, json={"error": "MARKET_NOT_FOUND", "message": "there is no such market"}),
        ]
    )

    def serve(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.path)
        return next(streams) if "/stream/" in request.url.path else httpx.Response(200, json={"data": tape})

    watched = Watched("BTC-USD")
    http = httpx.Client(transport=httpx.MockTransport(serve), base_url="http://here")
    watcher = Watcher(http, watched, TokenAccount("t"))
    watcher._stopped.wait = lambda seconds: None  # type: ignore[assignment, method-assign, misc]
    watcher._follow_market()
    assert [each["sequence"] for each in watched.trades] == [2, 1]
    assert [path.split("/")[3] for path in asked] == ["stream", "trades", "stream", "stream"]
    assert watched.notes == {"market": "MARKET_NOT_FOUND: there is no such market"}


def test_no_server_process_loads_what_draws(tmp_path: Path) -> None:
    """rich is five megabytes. structlog, which every process has, loads it where it finds it."""
    code = "import sys, exchange.asgi; loaded = 'rich' in sys.modules; import rich; print(loaded, rich.__name__)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={**os.environ, "DEMO": "1", "DATA_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["False", "rich"]


def test_what_a_server_says_is_no_command_to_the_terminal() -> None:
    """Whoever answers at --url could clear the screen, set its title, or write over what is above."""
    evil = {"error": "NO\x1b[2J", "message": "\x9b31m and \u202etxet"}
    for status, body, said in (
        (400, evil, r"NO\x1b[2J: \x9b31m and \u202etxet"),
        (400, [], "is the address right?"),
    ):
        with pytest.raises(RefusedError) as refused:
            answered(httpx.Response(status, json=body))
        assert said in str(refused.value)
    assert answered(httpx.Response(200, json={"data": [{"price": "1\x07"}]})) == {"data": [{"price": r"1\x07"}]}
    told = json.dumps({**TICKER, "lastPrice": "\x1b[2J"})
    answers = iter(
        [
            httpx.Response(200, text=f"event: ticker\ndata: {told}\n\n", headers={"Content-Type": "text/event-stream"}),
            httpx.Response(200, json={"data": []}),
            httpx.Response(404, json=evil),
        ]
    )
    http = httpx.Client(transport=httpx.MockTransport(lambda _: next(answers)), base_url="http://here")
    watcher = Watcher(http, Watched("BTC-USD"), Account())
    watcher._stopped.wait = lambda seconds: None  # type: ignore[assignment, method-assign, misc]
    watcher._follow_market()
    drawn = "".join(lines(watcher.watched))
    assert r"\x1b[2J" in drawn
    assert all(each.isprintable() for each in drawn)
