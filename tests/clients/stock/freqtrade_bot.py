"""Stock freqtrade, by clients/freqtrade, in the demo's markets: python freqtrade_bot.py rest|ws|native SECONDS

It runs as its users run it; what it did is looked up at the exchange and in its own database.
"""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import ccxt
import freqtrade
from ccxt_rest import settings
from checks import Checks, Place

PLACE = Place()
FOLDER = Path(__file__).resolve().parents[3] / "clients" / "freqtrade"
# After this many trades that are closed it has shown what it can.
CLOSED_TRADES = 3
STOP_SECONDS = 60
# What freqtrade writes where the exchange answered something that it cannot use.
BAD_WORDS = ("Traceback", " - ERROR - ", "OperationalException", "TemporaryError", "InvalidOrder", "DDosProtection")


def configured(folder: Path, how: str) -> Path:
    """The committed configuration with this place's address and key; `native` by our own class for ccxt."""
    text = (FOLDER / "config.json").read_text()
    text = text.replace("http://127.0.0.1:8000", PLACE.url).replace("ws://127.0.0.1:8000", PLACE.socket)
    config = json.loads(text)
    config["exchange"] |= {"key": PLACE.key, "secret": PLACE.secret, "enable_ws": how == "ws"}
    if how == "native":
        config["exchange"] |= {"name": "clearbell", "ccxt_config": {"urls": {"api": {"rest": PLACE.url}}}}
    path = folder / "config.json"
    path.write_text(json.dumps(config))
    return path


def trades(folder: Path, where: str) -> list[Any]:
    """Of freqtrade's own database, which it makes when it has begun."""
    try:
        with sqlite3.connect(f"file:{folder}/trades.sqlite?mode=ro", uri=True) as database:
            return database.execute(f"SELECT pair, fee_open, fee_close FROM trades WHERE {where}").fetchall()
    except sqlite3.OperationalError:
        return []


def run(folder: Path, how: str, seconds: float) -> str:
    """Everything that it wrote."""
    behind = ["clearbell_ccxt", "freqtrade"] if how == "native" else ["freqtrade"]
    command = [sys.executable, "-m", *behind, "trade", "--config", str(configured(folder, how))]
    command += ["--strategy", "Turns", "--strategy-path", str(FOLDER), "--userdir", str(folder / "user_data")]
    command += ["--db-url", f"sqlite:///{folder}/trades.sqlite"]
    # It tells in its log what it takes from the WebSocket, if it is asked for everything.
    command += ["-v"] if how == "ws" else []
    (folder / "user_data").mkdir()
    log = folder / "log"
    with log.open("w") as output:
        bot = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, cwd=folder, env=os.environ)
        try:
            deadline = time.monotonic() + seconds
            while time.monotonic() < deadline and bot.poll() is None:
                if len(trades(folder, "is_open = 0")) >= CLOSED_TRADES:
                    break
                time.sleep(1)
        finally:
            bot.send_signal(signal.SIGINT)
            bot.wait(STOP_SECONDS)
    return log.read_text()


def main(how: str, seconds: float) -> int:
    checks = Checks(f"freqtrade ({how})", freqtrade.__version__)
    mine = ccxt.binance(settings())
    started = mine.milliseconds() - 1_000
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        log = run(folder, how, seconds)
        with checks.call("it starts, and reads markets, candles and balances"):
            assert "Bot heartbeat" in log or "RUNNING" in log, log[-2_000:]
        with checks.call("nothing that it could not use"):
            bad = [line for line in log.splitlines() if any(word in line for word in BAD_WORDS)]
            assert not bad, "\n".join(bad[:5])
        with checks.call("it buys and sells"):
            assert len(trades(folder, "is_open = 0")) >= CLOSED_TRADES, log[-2_000:]
        with checks.call("it knows the fees of its trades"):
            assert all(opened > 0 and closed > 0 for _, opened, closed in trades(folder, "is_open = 0"))
        if how == "ws":
            with checks.call("it follows candles by the WebSocket"):
                assert "reuse watch result for BTC/USD" in log
    with checks.call("the exchange knows the same"):
        orders = [order for pair in ("BTC/USD", "ETH/USD") for order in mine.fetch_orders(pair, since=started)]
        sides = [order["side"] for order in orders if order["status"] == "closed" and order["filled"]]
        assert sides.count("sell") >= CLOSED_TRADES and sides.count("buy") >= CLOSED_TRADES, sides
    return checks.end()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], float(sys.argv[2])))
