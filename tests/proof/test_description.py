"""Requests made up from the API's description, right ones and wrong ones, against the running exchange.

Whatever comes: no 5xx, only statuses, media types, headers and bodies that are described, and what the description
calls wrong is refused. Some dozens for each call, always the same ones; PROVE=20 makes twenty times as many at random.
`make test` tries the orders and a third of the other calls.
"""

import copy
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from base.web.openapi.pages import document
from tests.support.live import Live, Trader
from tests.support.sampling import TIMES, sample

RANDOM_REQUESTS = 4 * TIMES
SECONDS = 120 * TIMES
# Streams do not end, and their refusals have tests of their own; the page is for people; whoever has logged out can
# make no more calls; and whoever orders faults of the sandbox has them in all answers.
LEFT_OUT = "|".join(
    (
        r"^/api/v1/stream/(order-status|market/\{symbol\})$",
        *(r"^/api/v1/ws$", r"^/metrics$", r"^/swagger-ui\.html$", r"^/api/v1/auth/logout$"),
        r"^/api/v1/sandbox/.+$",
    )
)
ORDERS = "/api/v1/orders"
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
def trader(exchange: Live) -> Trader:
    exchange.market()
    return exchange.trader("trader", BTC="1000", USD="100000000")


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


def chosen_paths(who: str) -> list[str]:
    """Of the user's calls those for orders are always among them."""
    for_staff, left_out = re.compile(FOR_STAFF), re.compile(LEFT_OUT)
    paths = [path for path in document()["paths"] if path != ORDERS and not left_out.search(path)]
    if who == "staff":
        return sample(filter(for_staff.search, paths), 3, who)
    return [ORDERS, *sample(paths, 3, who)]


@pytest.mark.parametrize("who", ["trader", "staff"])
def test_no_request_meets_what_is_not_described(exchange: Live, trader: Trader, tmp_path: Path, who: str) -> None:
    symbol = exchange.market()
    order_id = trader.place(symbol, "buy 1 @ 100")
    signed_in = trader if who == "trader" else exchange.staff
    assert signed_in is not None
    described = tmp_path / "described.json"
    # Staff open markets, and then there are symbols that nobody knew of before.
    text = json.dumps(fitted(symbol if who == "trader" else None, trader, order_id))
    described.write_text(text.replace('"BTC-USD"', f'"{symbol}"'))
    configuration = tmp_path / "schemathesis.toml"
    configuration.write_text(CONFIGURATION)
    which = [f"--include-path={path}" for path in chosen_paths(who)]
    command = [
        *(sys.executable, "-m", "schemathesis.cli", "--config-file", str(configuration), "run", str(described)),
        *("--url", exchange.url, "--header", f"Authorization: Bearer {signed_in.token}", *which),
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
