"""The stock clients: which program tries each of them, and in which environment."""

from dataclasses import dataclass
from pathlib import Path

from tools.rig.process import ROOT

STOCK = ROOT / "tests" / "clients" / "stock"
OURS = ROOT / "clients" / "ccxt"


@dataclass(frozen=True)
class Client:
    """A client, its program with its arguments, and the folder of packages that it runs with.

    `market`: the base asset of a quiet market of its own, None for who trades among the demo's traders.
    """

    name: str
    packages: str
    program: Path
    arguments: tuple[str, ...] = ()
    market: str | None = None
    seconds: float = 180


CLIENTS = (
    Client("native", "clients", STOCK / "ccxt_native.py", market="NTV"),
    Client("ccxt", "clients", STOCK / "ccxt_rest.py", ("sync",), "SYN"),
    Client("ccxt-async", "clients", STOCK / "ccxt_rest.py", ("async",), "ASY"),
    Client("ccxt-pro", "clients", STOCK / "ccxt_pro.py", (), "PRO", 400),
    Client("python-binance", "clients", STOCK / "python_binance.py", (), "PYB", 300),
    Client("binance-connector", "connector", STOCK / "binance_connector.py", (), "CON", 300),
    Client("hummingbot", "hummingbot", STOCK / "hummingbot_connector.py", (), "HUM", 300),
    Client("freqtrade", "clients", STOCK / "freqtrade_bot.py", ("rest", "300"), seconds=420),
    Client("freqtrade-native", "clients", STOCK / "freqtrade_bot.py", ("native", "300"), seconds=420),
    Client("freqtrade-ws", "clients", STOCK / "freqtrade_bot.py", ("ws", "300"), seconds=420),
)
