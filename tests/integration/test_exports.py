"""Own orders, fills and the ledger as CSV: every row that the list has, with its fields, and nothing held meanwhile."""

import csv
import io
from typing import Any

import pytest
from django.db import OperationalError, connection

from base.web import exports
from base.web.exports import cell
from orders import history
from tests.integration.test_lists import traded  # noqa: F401
from tests.support.world import Person, World

pytestmark = pytest.mark.dialect


def asked(who: Person, path: str, **headers: str) -> Any:
    return who.client.get(f"/api/v1{path}", headers=headers)


def table(answer: Any) -> list[dict[str, str]]:
    assert answer.status_code == 200
    text = b"".join(answer.streaming_content).decode()
    assert text.endswith("\r\n")
    return list(csv.DictReader(io.StringIO(text, newline="")))


def paths(world: World) -> dict[str, str]:
    return {"/orders": "orders.csv", "/fills": "fills.csv", f"/balances/{world.alice.user.id}/USD/ledger": "ledger.csv"}


def as_cells(rows: list[dict]) -> list[dict[str, str]]:
    words = {None: "", True: "true", False: "false"}
    return [
        {name: words[value] if value is None or isinstance(value, bool) else str(value) for name, value in row.items()}
        for row in rows
    ]


def test_the_rows_and_fields_of_the_list(traded, monkeypatch):  # noqa: F811
    monkeypatch.setattr(exports, "ROWS_PER_PAGE", 3)
    for path, name in paths(traded).items():
        rows = traded.alice.get(path)
        assert len(rows) > 3
        for query, accept in (("?format=csv", "*/*"), ("", "text/csv")):
            answer = asked(traded.alice, f"{path}{query}", accept=accept)
            assert answer["Content-Type"] == "text/csv; charset=utf-8"
            assert answer["Content-Disposition"] == f'attachment; filename="{name}"'
            shown = table(answer)
            assert shown == as_cells(rows)


def test_a_limit_a_cursor_and_filters(traded, monkeypatch):  # noqa: F811
    monkeypatch.setattr(exports, "ROWS_PER_PAGE", 2)
    for path in paths(traded):
        body = traded.alice.call("GET", f"{path}?limit=1").body
        rest = traded.alice.get(f"{path}?cursor={body['nextCursor']}")
        assert table(asked(traded.alice, f"{path}?format=csv&limit=1")) == as_cells(body["data"])
        assert table(asked(traded.alice, f"{path}?format=csv&cursor={body['nextCursor']}")) == as_cells(rest)
        later = f"startTime={body['data'][0]['createdAt']}"
        assert table(asked(traded.alice, f"{path}?format=csv&{later}")) == as_cells(traded.alice.get(f"{path}?{later}"))
    assert table(asked(traded.alice, "/orders?format=csv&side=SELL")) == []


def test_no_rows_are_a_header(world):
    text = b"".join(asked(world.carol, "/fills?format=csv").streaming_content)
    assert text == b"tradeId,orderId,symbol,side,role,price,quantity,fee,feeCurrency,createdAt\r\n"


def test_what_is_asked_for(traded):  # noqa: F811
    alice = traded.alice
    assert asked(alice, "/orders?format=json", accept="text/csv").json()["data"] == alice.get("/orders")
    assert asked(alice, "/orders", accept="*/*").json()["data"] == alice.get("/orders")
    for path, accept, status, error in (
        ("/orders?format=xml", "*/*", 400, "INVALID_CHOICE"),
        ("/orders?format=csv&sybmol=X", "*/*", 400, "PARAMETER_UNKNOWN"),
        ("/orders?symbol=NO", "text/csv", 404, "MARKET_NOT_FOUND"),
        ("/balances/1000000/USD/ledger", "text/csv", 404, "USER_NOT_FOUND"),
        ("/trades/BTC-USD?format=csv", "*/*", 400, "PARAMETER_UNKNOWN"),
        ("/trades/BTC-USD", "text/csv", 406, "NOT_ACCEPTABLE"),
    ):
        refused = asked(alice, path, accept=accept)
        assert (refused.status_code, refused.json()["error"]) == (status, error), path
        assert refused["Content-Type"] == "application/json"


def test_nothing_is_held_while_it_is_read(transactional_db, monkeypatch):
    """Each page is a query of its own; what is added meanwhile is in no page."""
    monkeypatch.setattr(exports, "ROWS_PER_PAGE", 2)
    world = World.make()
    for _ in range(5):
        world.place(world.alice, "buy 1 @ 100")
    read = asked(world.alice, "/orders?format=csv").streaming_content
    parts = [next(iter(read))]
    assert not connection.in_atomic_block
    newest = world.place(world.alice, "buy 1 @ 100").body["data"]["orderId"]
    parts += read
    assert len(parts) == 3
    shown = [int(row["orderId"]) for row in csv.DictReader(io.StringIO(b"".join(parts).decode()))]
    assert shown == sorted(range(newest - 5, newest), reverse=True)
    world.match()


def test_one_at_a_time_for_a_user_and_a_few_for_all(traded, settings):  # noqa: F811
    settings.EXPORTS_MAX = 2
    first, second = asked(traded.alice, "/orders?format=csv"), asked(traded.bob, "/fills?format=csv")
    for who in (traded.alice, traded.carol):
        refused = asked(who, "/orders?format=csv")
        assert (refused.status_code, refused.json()["error"]) == (429, "TOO_MANY_REQUESTS")
        assert refused["Retry-After"] == "1"
    for answer in (first, second):
        assert table(answer)
    for _ in range(2):
        assert len(table(asked(traded.alice, "/fills?format=csv"))) == 4
    assert asked(traded.alice, "/orders?format=csv&cursor=x").status_code == 400
    assert traded.alice.client.head("/api/v1/orders?format=csv").status_code == 200
    assert table(asked(traded.alice, "/orders?format=csv"))


def test_its_end_is_a_line_of_the_log(traded, log):  # noqa: F811
    rows = table(asked(traded.alice, "/orders?format=csv", **{"X-Request-ID": "mine-1"}))
    asked(traded.alice, "/orders?format=csv&sybmol=X")
    (line,) = [entry for entry in log() if entry["event"] == "export ended"]
    assert (line["rows"], line["isWhole"], line["file"]) == (len(rows), True, "orders.csv")
    assert (line["requestId"], line["userId"]) == ("mine-1", traded.alice.user.id)


def test_what_fails_at_once_is_refused(traded, monkeypatch):  # noqa: F811
    def fail(*_: object) -> None:
        raise OperationalError(2006, "gone")

    with monkeypatch.context() as patch:
        patch.setattr(history, "newest_fills", lambda *_: fail)
        refused = asked(traded.alice, "/fills?format=csv")
    assert (refused.status_code, refused.json()["error"]) == (503, "UNAVAILABLE")
    assert table(asked(traded.alice, "/fills?format=csv"))


def test_an_export_that_takes_too_long_is_cut_off(traded, settings, monkeypatch):  # noqa: F811
    monkeypatch.setattr(exports, "ROWS_PER_PAGE", 1)
    answer = asked(traded.alice, "/orders?format=csv")
    settings.EXPORT_SECONDS = -1
    with pytest.raises(TimeoutError):
        list(answer.streaming_content)
    settings.EXPORT_SECONDS = 300
    assert table(asked(traded.alice, "/orders?format=csv"))


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("=1+1", "'=1+1"),
        ("+1", "'+1"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\t=1", "'\t=1"),
        ("-1+cmd|' /C calc'!A0", "'-1+cmd|' /C calc'!A0"),
        ("-0.5", "-0.5"),
        ("-bot-1", "-bot-1"),
        ("bot=1", "bot=1"),
        (None, ""),
        (True, "true"),
        (7, "7"),
    ],
)
def test_cells(value, written):
    assert cell(value) == written
