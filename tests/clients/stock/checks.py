"""What every program of this folder counts and prints. It knows nothing of the exchange's code: its venv is another."""

import contextlib
import json
import os
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any


@dataclass
class Place:
    """Where a program finds the exchange and who it is there: two users, each with a key, and a quiet market."""

    url: str = os.environ.get("CLEARBELL_URL", "http://127.0.0.1:8000")
    key: str = os.environ.get("CLEARBELL_KEY", "")
    secret: str = os.environ.get("CLEARBELL_SECRET", "")
    # Who sells what the other one buys.
    other_key: str = os.environ.get("CLEARBELL_OTHER_KEY", "")
    other_secret: str = os.environ.get("CLEARBELL_OTHER_SECRET", "")
    # Whether the exchange has no limits, so that nothing needs to wait for them.
    is_unlimited: bool = bool(os.environ.get("CLEARBELL_UNLIMITED"))
    # As BTC-USD.
    market: str = os.environ.get("CLEARBELL_MARKET", "BTC-USD")

    @property
    def symbol(self) -> str:
        """As ccxt has it."""
        return "/".join(self.market.split("-")[:2])

    @property
    def name(self) -> str:
        """As Binance has it."""
        return self.market.replace("-", "")

    @property
    def socket(self) -> str:
        return self.url.replace("http", "ws", 1)


class Checks:
    """Calls by name. One that fails is told, and the others go on."""

    def __init__(self, client: str, version: str) -> None:
        self.client, self.version = client, version
        self.passed: list[str] = []
        self.failed: dict[str, str] = {}

    @contextlib.contextmanager
    def call(self, name: str) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            last = traceback.extract_tb(error.__traceback__)
            program = os.path.basename(sys.argv[0])
            own = next((each for each in reversed(last) if each.filename.endswith(program)), last[-1])
            self.failed[name] = f"line {own.lineno}: {type(error).__name__}: {str(error)[:300]}"
        else:
            if name not in self.failed:
                self.passed.append(name)

    def end(self) -> int:
        """Print what was counted as the last line. The exit code."""
        print(json.dumps(vars(self)), flush=True)
        return int(bool(self.failed) or not self.passed)


@contextlib.contextmanager
def refused(kind: type[BaseException], words: str = "", **wanted: Any) -> Iterator[None]:
    """The calls within must raise this very class, with these words, and with attributes that are as wanted."""
    caught: BaseException | None = None
    try:
        yield
    except kind as error:
        caught = error
    assert caught is not None, f"nothing was refused: {kind.__name__} was expected"
    assert type(caught) is kind, f"{type(caught).__name__} in place of {kind.__name__}: {caught}"
    assert words in str(caught), str(caught)
    same({name: getattr(caught, name) for name in wanted}, **wanted)


def wait_for(ask: Callable[[], Any], is_good: Callable[[Any], Any] = bool, seconds: float = 10) -> Any:
    """The first good answer."""
    deadline = time.monotonic() + seconds
    while not is_good(answer := ask()):
        assert time.monotonic() < deadline, f"not within {seconds} s; the last answer: {answer}"
        time.sleep(0.05)
    return answer


def differences(found: dict[str, Any], **wanted: Any) -> dict[str, Any]:
    """What is not as it should be: the field, what it is, and what it should be."""
    return {name: (found.get(name), value) for name, value in wanted.items() if found.get(name) != value}


def same(found: dict[str, Any], **wanted: Any) -> None:
    assert not differences(found, **wanted), f"(found, wanted): {differences(found, **wanted)}"
