"""The examples as a user starts them, against a running exchange."""

import csv
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from clients.python.clearbell import Client, limit, market
from tests.clients.conftest import played
from tests.support.live import Live, wait_for
from tools.rig.process import ROOT
from tools.rig.trader import PASSWORD

PACKAGE = ROOT / "clients" / "python"


@contextmanager
def example(exchange: Live, name: str, *arguments: str, user: str = "") -> Iterator[Path]:
    """Runs within the `with`; at its end it is interrupted, and must end well. What it printed is in the file."""
    output = exchange.folder / f"{name}.{user}.output"
    environment = {
        **{key: os.environ[key] for key in ("PATH", "HOME") if key in os.environ},
        "PYTHONPATH": str(PACKAGE),
        "CLEARBELL_URL": exchange.url,
        "CLEARBELL_USER": user,
        "CLEARBELL_PASSWORD": PASSWORD,
    }
    command = [sys.executable, str(PACKAGE / "examples" / f"{name}.py"), *arguments]
    with output.open("wb") as file:
        process = subprocess.Popen(
            command,
            env=environment,
            stdout=file,
            stderr=subprocess.STDOUT,
            preexec_fn=_heeds_interrupts,  # noqa: PLW1509
        )
        try:
            yield output
        finally:
            process.send_signal(signal.SIGINT)
            try:
                code = process.wait(20)
            finally:
                process.kill()
    assert code == 0, output.read_text()


def _heeds_interrupts() -> None:
    """As in a terminal, also where the tests run in the background."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def quotes(client: Client, symbol: str) -> list[tuple[str, str]]:
    return sorted((each.side, str(each.price)) for each in client.each_order(symbol=symbol, active=True))


def test_the_market_maker_quotes_both_sides_and_takes_them_back(exchange: Live, connect):
    symbol = exchange.market()
    maker, bob = connect("maker", USD="10000", BTC="10"), connect("bob", USD="10000", BTC="10")
    user = maker.conversations.credentials.username
    options = ("--symbol", symbol, "--size", "1", "--spread", "0.02", "--price", "100")
    with example(exchange, "market_maker", *options, user=user) as output:
        wait_for(lambda: quotes(maker, symbol), lambda found: found == [("BUY", "99"), ("SELL", "101")])
        # What is filled is quoted again.
        played(bob, market(symbol, "BUY", "1"))
        wait_for(lambda: quotes(maker, symbol), lambda found: len(found) == 2)
        wait_for(output.read_text, lambda text: "SELL 1 traded at 101" in text)
        # Where the others think that it is worth more, it quotes higher.
        played(bob, limit(symbol, "BUY", "1", "100.9"))
        wait_for(lambda: quotes(maker, symbol)[:1], lambda found: found > [("BUY", "99")])
    assert quotes(maker, symbol) == []


def test_the_market_maker_leaves_no_quote_behind_that_it_cannot_replace(exchange: Live, connect):
    symbol = exchange.market()
    maker, bob = connect("maker", USD="150", BTC="10"), connect("bob", USD="10000", BTC="10")
    user = maker.conversations.credentials.username
    options = ("--symbol", symbol, "--size", "1", "--spread", "0.02", "--price", "100")
    with example(exchange, "market_maker", *options, user=user) as output:
        wait_for(lambda: quotes(maker, symbol), lambda found: len(found) == 2)
        # Now a bid costs more than the maker has.
        played(bob, limit(symbol, "SELL", "1", "310"))
        played(bob, limit(symbol, "BUY", "2", "300"))
        wait_for(output.read_text, lambda text: "INSUFFICIENT_FUNDS" in text)
        wait_for(lambda: [side for side, _ in quotes(maker, symbol)], lambda found: "BUY" not in found)
        # And the book is what it was before.
        bob.cancel_all(symbol=symbol)
        wait_for(lambda: [side for side, _ in quotes(maker, symbol)], lambda found: found.count("BUY") == 1)
    assert quotes(maker, symbol) == []


def test_the_grid_turns_what_is_filled_around(exchange: Live, connect):
    symbol = exchange.market()
    grid, bob = connect("grid", USD="10000", BTC="10"), connect("bob", USD="10000", BTC="10")
    user = grid.conversations.credentials.username
    options = ("--symbol", symbol, "--size", "1", "--step", "0.01", "--levels", "2", "--price", "100")
    with example(exchange, "grid", *options, user=user):
        placed = [("BUY", "98"), ("BUY", "99"), ("SELL", "101"), ("SELL", "102")]
        wait_for(lambda: quotes(grid, symbol), lambda found: found == placed)
        played(bob, market(symbol, "SELL", "1"))
        turned = [("BUY", "98"), ("SELL", "100"), ("SELL", "101"), ("SELL", "102")]
        wait_for(lambda: quotes(grid, symbol), lambda found: found == turned)
    assert quotes(grid, symbol) == []


def test_the_candle_recorder_goes_on_where_its_file_ends(exchange: Live, connect, tmp_path):
    symbol = exchange.market()
    alice, bob = connect("alice", USD="10000"), connect("bob", BTC="10")
    file = tmp_path / "candles.csv"
    options = (str(file), "--symbol", symbol, "--interval", "1m", "--every", "0.1")

    def trade(price: str) -> None:
        played(alice, limit(symbol, "BUY", "1", price))
        played(bob, market(symbol, "SELL", "1"))

    def volume() -> str:
        rows = list(csv.DictReader(file.read_text().splitlines())) if file.exists() else []
        if not rows or None in rows[-1].values():
            # Not yet, or it was cut off.
            return ""
        return f"{sum(float(row['volume']) for row in rows)} in {len({row['open_time'] for row in rows}) - len(rows)}"

    trade("100")
    with example(exchange, "candle_recorder", *options):
        wait_for(volume, lambda found: found == "1.0 in 0")
        trade("101")
        wait_for(volume, lambda found: found == "2.0 in 0")
    trade("102")
    # As if it had died in the middle of a line.
    file.write_text(file.read_text() + "2026-01-01T00:0")
    with example(exchange, "candle_recorder", *options):
        wait_for(volume, lambda found: found == "3.0 in 0")
    candles = alice.klines(symbol, "1m", limit=100)
    rows = list(csv.DictReader(file.read_text().splitlines()))
    assert [(row["open"], row["close"]) for row in rows] == [(str(each.open), str(each.close)) for each in candles]
