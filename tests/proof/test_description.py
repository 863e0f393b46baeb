"""Requests made up from the API's description, right ones and wrong ones, against the running exchange.

Whatever comes: no 5xx, only statuses, media types, headers and bodies that are described, and what the description
calls wrong is refused. Some dozens for each call, always the same ones; PROVE=20 makes twenty times as many at random.
"""

import copy
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pytest_django import DjangoDbBlocker

from base.web.openapi.pages import document
from tests.support.audits import counted_exchange
from tests.support.live import Live, Trader
from tests.support.sampling import TIMES

RANDOM_REQUESTS = 4 * TIMES
SECONDS = 120 * TIMES
# Streams do not end, and their refusals have tests of their own; the page is for people.
LEFT_OUT = r"^/api/v1/stream/(order-status|market/\{symbol\})$|^/metrics$|^/swagger-ui\.html$"
# Where staff are answered otherwise than users.
FOR_STAFF = r"^/api/v1/(markets(/\{symbol\})?|balances/.+|users/\{userId\}|stream/order-status/stats)$"
# All checks but one: what has the right shape may still break a rule of the market, and be refused. And an order of a
# batch is refused by itself, with the call answered all the same.
CONFIGURATION = """
[checks]
positive_data_acceptance.enabled = false

[[operations]]
include-path = "/api/v1/orders/batch"
checks.negative_data_rejection.enabled = false
checks.positive_data_acceptance.enabled = false
"""

pytestmark = pytest.mark.timeout(2 * SECONDS)


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory, django_db_blocker: DjangoDbBlocker) -> Iterator[Live]:
    with counted_exchange(tmp_path_factory.mktemp("described"), django_db_blocker) as live:
        yield live


@pytest.fixture(scope="module")
def trader(live: Live) -> Trader:
    live.market()
    return live.trader("trader", BTC="1000", USD="100000000")


def fitted(symbol: str | None, trader: Trader, order_id: int) -> dict[str, Any]:
    """The description with the names of what there is, so that requests come further than to "there is no such"."""
    known: dict[str, Any] = {
        "currency": {"type": "string", "enum": ["BTC", "USD"]},
        "userId": {"type": "integer", "enum": [trader.user_id]},
        "orderId": {"type": "integer", "enum": [order_id]},
    }
    if symbol is not None:
        known["symbol"] = {"type": "string", "enum": [symbol]}
    fitted = copy.deepcopy(document())
    for operations in fitted["paths"].values():
        for operation in operations.values():
            for parameter in operation.get("parameters", ()):
                if parameter["in"] == "path":
                    parameter["schema"] = known.get(parameter["name"], parameter["schema"])
    for name in ("OrderForm", "TransferForm"):
        fields = fitted["components"]["schemas"][name]["properties"]
        fields |= {field: schema for field, schema in known.items() if field in fields}
    return fitted


@pytest.mark.parametrize("who", ["trader", "staff"])
def test_no_request_meets_what_is_not_described(live: Live, trader: Trader, tmp_path: Path, who: str) -> None:
    symbol = live.market()
    order_id = trader.place(symbol, "buy 1 @ 100")
    signed_in = trader if who == "trader" else live.staff
    assert signed_in is not None
    described = tmp_path / "described.json"
    # Staff open markets, and then there are symbols that nobody knew of before.
    text = json.dumps(fitted(symbol if who == "trader" else None, trader, order_id))
    described.write_text(text.replace('"BTC-USD"', f'"{symbol}"'))
    configuration = tmp_path / "schemathesis.toml"
    configuration.write_text(CONFIGURATION)
    which = ("--exclude-path-regex", LEFT_OUT) if who == "trader" else ("--include-path-regex", FOR_STAFF)
    command = [
        *(sys.executable, "-m", "schemathesis.cli", "--config-file", str(configuration), "run", str(described)),
        *("--url", live.url, "--header", f"Authorization: Bearer {signed_in.token}", *which),
        *(
            "--phases",
            "examples,coverage,fuzzing",
            "--max-examples",
            str(RANDOM_REQUESTS),
            "--generation-deterministic",
        ),
        *("--warnings", "off", "--no-color", "--continue-on-failure"),
    ]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=SECONDS, check=False)
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr[-2_000:]
    placed = len(trader.get(f"/orders?symbol={symbol}&limit=500"))
    assert placed > 3 or who == "staff"
