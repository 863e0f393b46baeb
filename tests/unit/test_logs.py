"""A line of the log is one JSON object, says what it should, and holds no secret."""

import json
import logging
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest
import structlog
from django.core.handlers.exception import convert_exception_to_response
from django.http import HttpResponse
from django.test import RequestFactory
from structlog.contextvars import bound_contextvars, get_contextvars

from base.streams.delivery_log import DeliveryLog
from base.telemetry import logs
from base.telemetry.access import AccessLog, bind_log_fields, request_id_for, set_log_outcome
from base.telemetry.logs import CONSOLE, JSON
from base.telemetry.redaction import Redactor, TrustedFields
from core.outcome import Event
from core.types import Order, OrderType, Reason, Side, Status
from matching.drain import run_in_background
from orders import log as order_log
from orders.representation import OrderInfo
from tools.scripts import follow

ROOT = Path(__file__).resolve().parents[2]
NOW = datetime(2026, 11, 28, tzinfo=UTC)
JWT = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl-_x"


def rendered(form, event, *args, **fields):
    record = logging.makeLogRecord({"name": "somebody", "levelno": 20, "levelname": "INFO", "msg": event, "args": args})
    with bound_contextvars(**fields):
        return logs.formatter(form).format(record)


# -------------------------------------------------------------------------------------------------- the format


def test_a_line_has_the_same_first_fields_whoever_logs_it(log):
    logging.getLogger("stdlib").warning("%d commands", 3)
    structlog.get_logger("ours").warning("3 commands", symbol="BTC-USD", nothing=None)
    stdlib, ours = log()
    assert list(stdlib) == ["timestamp", "level", "logger", "process", "pid", "event"]
    assert (stdlib["level"], stdlib["logger"], stdlib["event"]) == ("warning", "stdlib", "3 commands")
    assert stdlib["timestamp"].endswith("Z") and len(stdlib["timestamp"]) == len("2026-11-22T21:57:31.322747Z")
    assert ours == {**ours, "logger": "ours", "event": "3 commands", "symbol": "BTC-USD"}
    assert "nothing" not in ours


def test_an_exception_is_one_field(log):
    try:
        raise ValueError("a\nb")
    except ValueError:
        logging.getLogger("stdlib").exception("it broke")
        structlog.get_logger("ours").exception("it broke")
    for line in log():
        assert line["event"] == "it broke"
        assert line["exception"].startswith("Traceback") and line["exception"].endswith("ValueError: a\nb")


@pytest.mark.parametrize(
    "mark", ["\n", "\r\n", "\u2028", "\u2029", "\x85", "\x0b", "\x00", "\x1b[31m", "\ud800", '"}\n{"']
)
@pytest.mark.parametrize("form", [JSON, CONSOLE])
def test_nobody_writes_a_line_of_his_own(mark, form):
    line = rendered(form, "order %s", f"a{mark}b", path=f"/a{mark}b")
    assert len(line.splitlines()) == 1
    assert "\x1b[31m" not in line
    if form == JSON:
        assert json.loads(line)["path"] == f"/a{mark}b"


def test_what_json_does_not_know_is_told_as_text():
    line = json.loads(rendered(JSON, "x", huge=2**70, path=Path("/a"), items=({1}, b"raw"), error=KeyError("k")))
    assert (line["huge"], line["path"], line["error"]) == (2**70, "/a", "'k'")


HOSTILE = (*("a", " ", "\\", "://", "://a:", "eyJ", "eyJaaaaaaaa.", "?", "?a", "?a=", "a-secret-of-this-"),)


@pytest.mark.parametrize("word", HOSTILE, ids=repr)
@pytest.mark.parametrize("start", ["", "://", "eyJaaaaaaaa", "?"], ids=repr)
def test_the_search_for_secrets_takes_linear_time(start, word):
    """Clients choose the texts that are searched, by headers and paths, and every thread waits for the line."""
    redact = Redactor()
    redact.hide(["a-secret-of-this-process"])
    text = start + word * (100_000 // len(word))
    began = time.thread_time()
    redact(None, "info", {"event": text})
    assert time.thread_time() - began < 0.5


def test_what_is_cut_was_searched_before():
    text = "x" * 340 + " mysql://exchange:SuperSecretPassword1@db/exchange " + "y" * 2000
    line = rendered(JSON, text)
    assert "Secret" not in line
    assert "mysql://exchange:[redacted]" in line


def test_no_line_is_longer_than_eight_kilobytes():
    try:
        raise ValueError("x" * 50_000)
    except ValueError:
        record = logging.makeLogRecord({"msg": "y" * 50_000, "exc_info": sys.exc_info()})
    line = logs.formatter(JSON).format(record)
    assert len(line) < 8000
    assert json.loads(line)["exception"].endswith("xxx")


# -------------------------------------------------------------------------------------------------- secrets


LISTEN_KEY = "aB3" * 21 + "c"


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        (f"token {JWT} is bad", JWT),
        (f"cut off {JWT[:30]}", JWT[:30]),
        ("at redis://user:p@ss:w/rd@host:6379/0", "p@ss:w/rd"),
        ("at redis://:hunter2!@host", "hunter2!"),
        ("mysql://exchange:hunter2@db:3306/exchange is away", "hunter2"),
        ("GET /stream?ticket=abc.def:1x:sig HTTP/1.1", "abc.def:1x:sig"),
        ("<WSGIRequest: GET '/api/v1/stream?a=1&ticket=abc.def:1x:sig'>", "abc.def:1x:sig"),
        ("http://127.0.0.1/stream?ticket=abc%3Adef", "abc%3Adef"),
        (f'127.0.0.1:1 - "WebSocket /ws/btcusd@trade/{LISTEN_KEY}" [accepted]', LISTEN_KEY),
    ],
)
def test_what_looks_like_a_secret_is_taken_out(text, secret):
    for line in (rendered(JSON, text), rendered(JSON, "x", deep=[{"value": text}]), rendered(CONSOLE, "%s", text)):
        assert secret not in line
        assert json.dumps(secret)[1:-1] not in line
        assert "[redacted]" in line


@pytest.mark.parametrize("name", ["password", "accessToken", "X-Signature", "ticket", "Set-Cookie", "JWT_SIGNING_KEY"])
def test_what_is_found_under_a_telling_name_is_taken_out(name):
    line = rendered(JSON, "x", deep={"list": [{name: {"a": "hunter2"}}]}, **{name: "hunter2"})
    assert "hunter2" not in line
    assert json.loads(line)[name] == "[redacted]"


def test_our_own_secrets_are_found_wherever_they_stand(monkeypatch):
    own = Redactor()
    own.hide(['h"unter/2', "short"])
    monkeypatch.setattr(logs, "redactor", own)
    for text in ('a h"unter/2 b', "h%22unter%2F2", 'xh"unter/2x'):
        assert "unter" not in rendered(JSON, text)
    assert "short" in rendered(JSON, "short")


def test_an_exception_tells_no_secret(log):
    try:
        raise ConnectionError(f"redis://:hunter2@host refused {JWT}")
    except ConnectionError as error:
        logging.getLogger("x").error("away: %s", error, exc_info=True)
    [line] = log()
    assert "hunter2" not in str(line) and JWT not in str(line)
    assert "ConnectionError: redis://:[redacted]@host refused [redacted]" in line["exception"]


def test_ordinary_words_stay():
    said = ["batch of BTC-USD: `commands`: 0 of 1 rows", "celery@host ready.", "http://127.0.0.1:8000/api/v1/orders"]
    assert [json.loads(rendered(JSON, text))["event"] for text in said] == said


# -------------------------------------------------------------------------------------------------- requests


def answered(log, request, view=lambda _: HttpResponse(status=202)):
    response = AccessLog(view)(request)
    return response, log()


def test_a_request_is_one_line_without_its_query(log):
    request = RequestFactory().get("/api/v1/x?ticket=abc", headers={"X-Request-ID": "mine-1"})
    response, [line] = answered(log, request)
    assert response["X-Request-ID"] == line["requestId"] == "mine-1"
    assert (line["event"], line["method"], line["path"], line["status"]) == ("answered", "GET", "/api/v1/x", 202)
    assert line["durationMs"] >= 0
    assert "abc" not in str(line)


SECRETS = {"password": "hunter2-is-mine", "ticket": "abc.def:1x:sig", "cookie": "session-1234", "token": "token-5678"}


def test_no_password_token_ticket_or_cookie_of_a_request_is_logged(log):
    """Not even where the view fails, nor where the server that took the request in complains of it."""

    def view(request):
        logging.getLogger("x").warning("%r of %s", request, bool(request.body))
        raise ValueError(f"{request!r}")

    request = RequestFactory().post(
        f"/api/v1/x?ticket={SECRETS['ticket']}",
        {"username": "alice", "password": SECRETS["password"]},
        headers={"Authorization": f"Bearer {SECRETS['token']}", "Cookie": f"sessionid={SECRETS['cookie']}"},
    )
    response, lines = answered(log, request, convert_exception_to_response(view))
    assert (response.status_code, len(lines)) == (500, 3)
    for secret in SECRETS.values():
        assert secret not in str(lines)


@pytest.mark.parametrize(
    "complaint",
    [
        "Invalid request from ip=1.2.3.4: Invalid HTTP Header: 'Cookie sessionid=session-1234'",
        'Invalid request from ip=1.2.3.4: Invalid HTTP request line: "GET /?ticket=\'abc.def:1x:sig"',
    ],
)
def test_what_gunicorn_cannot_read_of_a_request_is_not_quoted(log, complaint, monkeypatch):
    monkeypatch.setattr(logging.getLogger("gunicorn.error"), "filters", [logs.RequestFilter()])
    logging.getLogger("gunicorn.error").warning(complaint)
    [line] = log()
    assert line["event"].startswith("Invalid request from ip=1.2.3.4: Invalid HTTP ")
    assert not any(secret in str(line) for secret in SECRETS.values())


@pytest.mark.parametrize("given", [None, "", "a b", "x" * 65, "a\nb", '"', "é", "../a/b"])
def test_an_id_that_is_no_plain_word_is_replaced(given):
    made = request_id_for(given)
    assert made != given and len(made) == 32 and made.isalnum()


def test_what_is_noted_is_in_its_own_request_only(log):
    def view(request):
        if "first" in request.path:
            bind_log_fields(orderId=7)
            set_log_outcome("order accepted")
        logging.getLogger("x").warning("inside")
        return HttpResponse()

    get = RequestFactory().get
    # One thread, as a server's would be used again.
    with ThreadPoolExecutor(1) as threads:
        for path in ("/first", "/second"):
            threads.submit(AccessLog(view), get(path)).result()
        assert threads.submit(get_contextvars).result() == {}
    inside, first, inside_second, second = log()
    assert inside["requestId"] == first["requestId"] != second["requestId"] == inside_second["requestId"]
    assert (first["event"], first["orderId"], second["event"]) == ("order accepted", 7, "answered")
    assert "orderId" not in second and "orderId" not in inside_second


def test_a_defect_is_told_with_its_traceback_in_its_request(log):
    def view(_):
        raise ZeroDivisionError("a defect")

    request = RequestFactory().get("/api/v1/x")
    response, [defect, line] = answered(log, request, convert_exception_to_response(view))
    assert (response.status_code, line["status"], line["event"]) == (500, 500, "answered")
    assert (defect["level"], defect["requestId"]) == ("error", line["requestId"])
    assert defect["exception"].endswith("ZeroDivisionError: a defect")


@pytest.mark.parametrize("path", ["/health/ready", "/metrics", "/static/admin/a.css"])
def test_what_machines_ask_all_the_time_is_for_debugging(log, path):
    assert answered(log, RequestFactory().get(path))[1] == []


def test_the_aside_thread_knows_the_run_and_forgets_it(log):
    with bound_contextvars(runId="r1"):
        run_in_background(logging.getLogger("x").warning, "told").result()
    run_in_background(logging.getLogger("x").warning, "told").result()
    first, second = log()
    assert first["runId"] == "r1"
    assert "runId" not in second


# -------------------------------------------------------------------------------------------------- orders


def step(number):
    order = Order(number, 1, Side.BUY, OrderType.LIMIT, 1, 1, info=OrderInfo(None, f"{number:032x}", NOW))
    return Event(
        number + 100, order, Status.PARTIALLY_FILLED, Reason.INSUFFICIENT_FUNDS, False, 1234567812345678, 0, 0, None
    )


def test_a_batch_is_told_in_bundles_of_its_events(log, caplog):
    caplog.set_level(logging.INFO)
    first = 10**9
    order_log.orders_applied("BTC-USD", [step(first + number) for number in range(90)])
    said = log()
    assert [len(line["orders"]) for line in said] == [32, 32, 26]
    assert {line["batch"] for line in said} == {f"BTC-USD-{first + 100}"}
    assert said[2]["orders"][-1] == {
        "correlationId": f"{first + 89:032x}",
        "orderId": first + 89,
        "status": "PARTIALLY_FILLED",
        "sequence": first + 189,
        "filled": "12345678.12345678",
        "reason": "INSUFFICIENT_FUNDS",
    }
    assert max(len(json.dumps(line)) for line in said) < 7500


def test_what_a_client_was_told_is_said_once_it_has_it(log, caplog):
    caplog.set_level(logging.INFO)
    receipts = DeliveryLog()
    receipts.write("BTC-USD-7", r'{"orderId":1,"clientOrderId":"\"correlationId\":\"no\"","correlationId":"c1","a":1}')
    receipts.write("BTC-USD-8", '{"bids":[]}')
    assert log() == []
    receipts.taken()
    receipts.taken()
    assert [line["events"] for line in log()] == [[{"correlationId": "c1", "eventId": "BTC-USD-7"}]]


# -------------------------------------------------------------------------------------------------- following


def test_an_order_is_followed_through_all_logs(tmp_path, capsys):
    at = "2026-11-22T10:00:00.{:06d}Z".format
    bundle = [{"correlationId": "c1", "orderId": 1, "status": "OPEN"}, {"correlationId": "c2", "orderId": 12}]
    written = {
        "web.log": [
            {
                "timestamp": at(30),
                "process": "web",
                "event": "delivered",
                "events": [{"correlationId": "c1", "eventId": "e"}],
            },
            {
                "timestamp": at(20_000),
                "durationMs": 19.999,
                "process": "web",
                "event": "accepted",
                "correlationId": "c1",
            },
        ],
        "worker.log.1": [{"timestamp": at(20), "process": "worker", "event": "applied", "orders": bundle}],
    }
    for name, said in written.items():
        (tmp_path / name).write_text("".join(f"{json.dumps(line)}\n" for line in said) + '{"cut": "c1')
    (tmp_path / "redis.log").write_text("c1 is not JSON\n")
    assert follow.main(["c1", str(tmp_path)]) == 0
    said = capsys.readouterr().out.splitlines()
    assert [line.split()[:3] for line in said] == [
        ["10:00:00.000001", "web", "accepted"],
        ["10:00:00.000020", "worker", "applied"],
        ["10:00:00.000030", "web", "delivered"],
    ]
    assert "orderId=1  status=OPEN" in said[1] and "c2" not in said[1]
    assert follow.main(["1", str(tmp_path)]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 1
    assert follow.main(["nobody", str(tmp_path)]) == 1


# -------------------------------------------------------------------------------------------------- whole processes


DYING = """
import sys, threading, warnings
sys.argv[:] = ["/x/celery/__main__.py", "worker"]
import exchange.settings
warnings.warn("careful")
thread = threading.Thread(target=lambda: 1 / 0)
thread.start()
thread.join()
exchange.settings.choice("LOG_LEVELS", "short", ())
"""


@pytest.mark.parametrize("variables", [{}, {"DEMO": "maybe"}, {"LOG_FORMAT": "xml"}])
def test_a_server_process_says_everything_in_json_even_when_it_dies(variables, tmp_path):
    environment = {**os.environ, "DEMO": "1", "DATA_DIR": str(tmp_path), **variables}
    died = subprocess.run(
        [sys.executable, "-c", DYING],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert died.stdout == ""
    said = [json.loads(line) for line in died.stderr.split("\n")[:-1]]
    assert died.returncode == 1
    assert {line["process"] for line in said} == {"worker"}
    assert said[-1]["level"] == "critical"
    assert "ImproperlyConfigured" in said[-1]["event"] and "must be" in said[-1]["event"]
    assert "exception" not in said[-1], "a setting that is wrong is no defect"
    if not variables:
        events = " ".join(line["event"] for line in said)
        assert "careful" in events and "division by zero" in events


@pytest.mark.parametrize(
    ("arguments", "kind"),
    [
        (["/venv/celery/__main__.py", "--quiet", "-A", "exchange", "beat"], "beat"),
        (["/venv/bin/celery", "-A", "exchange", "flower", "--port=1"], "flower"),
        (["/venv/uvicorn/__main__.py", "exchange.asgi:application"], "web"),
        (["/venv/bin/gunicorn", "exchange.wsgi"], "web"),
        (["manage.py", "migrate"], "manage"),
        (["/home/bench/worker.py"], "python"),
        (["/home/demo/seed.py"], "python"),
        ([""], "python"),
    ],
)
def test_a_process_knows_what_it_is(arguments, kind):
    assert logs.process_kind(arguments) == kind


def test_facts_of_the_engine_are_rendered_with_the_rest():
    line = rendered(JSON, "x", token="secret-of-mine", orders=TrustedFields([{"orderId": 1}]))
    assert json.loads(line)["orders"] == [{"orderId": 1}]
    assert "secret-of-mine" not in line
