"""Watch a market in the terminal: python -m marketdata.watch SYMBOL [--user NAME | --token TOKEN] [--url URL] [--once]

Own orders are shown to whoever is signed in: by --user, whose password is asked for or read from CLEARBELL_PASSWORD;
by --token or CLEARBELL_TOKEN; or by a key (HMAC, scope read) from CLEARBELL_KEY_ID and CLEARBELL_KEY_SECRET. Ctrl-C
ends it.
"""

import argparse
import getpass
import os
import re
import sys
import threading
from collections.abc import Mapping, Sequence

import httpx
from rich.console import Console
from rich.live import Live

from marketdata.watch.account import Account, KeyAccount, PasswordAccount, RefusedError, TokenAccount
from marketdata.watch.client import Watcher, connect
from marketdata.watch.picture import draw
from marketdata.watch.state import Watched

DEMO = "http://127.0.0.1:8000"
PICTURES_A_SECOND = 8
SYMBOL = re.compile(r"[A-Z0-9]+(-[A-Z0-9]+)*")


def main(arguments: Sequence[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    return watch(options.symbol, options.url, options.user, options.token, is_once=options.once)


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog="watch", description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    add_options(made)
    return made


def add_options(made: argparse.ArgumentParser) -> None:
    made.add_argument("symbol", type=_symbol, help="the market, such as BTC-USD")
    made.add_argument("--url", default=DEMO, help=f"the exchange; {DEMO} where nothing is said")
    made.add_argument("--user", default="", help="sign in as this user, for own orders")
    made.add_argument("--token", default="", help="sign in by this access token, which `ps` shows to others")
    made.add_argument("--once", action="store_true", help="print one picture and end; so it is where nobody looks")


def watch(symbol: str, url: str, user: str = "", token: str = "", *, is_once: bool = False) -> int:
    """The exit code: 1 where the exchange refuses or does not answer."""
    console = Console(highlight=False)
    http = connect(url)
    try:
        account = account_of(http, os.environ, user, token)
        watcher = Watcher(http, Watched(symbol), account)
        watcher.read()
    except RefusedError as refusal:
        return _failed(str(refusal))
    except httpx.TransportError as error:
        return _failed(f"no exchange answers at {url} ({error}): start one by `make demo`, or use --url")
    except KeyboardInterrupt:
        return 0
    if is_once or not console.is_terminal:
        console.print(draw(watcher.watched, console.height))
    else:
        _keep_drawing(console, watcher)
    return 0


def _failed(words: str) -> int:
    Console(stderr=True, highlight=False, markup=False, soft_wrap=True).print(words)
    return 1


def _keep_drawing(console: Console, watcher: Watcher) -> None:
    """Until Ctrl-C."""

    def picture() -> object:
        with watcher.lock:
            return draw(watcher.watched, console.height)

    watcher.follow()
    live = Live(console=console, screen=True, refresh_per_second=PICTURES_A_SECOND, get_renderable=picture)  # type: ignore[arg-type]
    try:
        with live:
            threading.Event().wait()
    except KeyboardInterrupt:
        watcher.stop()


def account_of(http: httpx.Client, environment: Mapping[str, str], user: str, token: str) -> Account:
    """Who watches: what the command line says goes before the environment. Raises RefusedError."""
    if user:
        return PasswordAccount(http, user, environment.get("CLEARBELL_PASSWORD") or _asked(user))
    token = token or environment.get("CLEARBELL_TOKEN", "")
    if token:
        return TokenAccount(token)
    key_id, secret = environment.get("CLEARBELL_KEY_ID", ""), environment.get("CLEARBELL_KEY_SECRET", "")
    return KeyAccount(key_id, secret) if key_id and secret else Account()


def _asked(user: str) -> str:
    """The password. Raises RefusedError where nobody can be asked."""
    if not sys.stdin.isatty():
        raise RefusedError(f"nobody is there to type the password of {user}: give it in CLEARBELL_PASSWORD")
    return getpass.getpass(f"{user}'s password: ")


def _symbol(text: str) -> str:
    """As it is typed, in whichever case. Raises ArgumentTypeError."""
    if not SYMBOL.fullmatch(text.upper()):
        raise argparse.ArgumentTypeError(f"{text} is not a market's symbol, such as BTC-USD")
    return text.upper()


if __name__ == "__main__":
    sys.exit(main())
