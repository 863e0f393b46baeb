"""nginx as it is deployed, in front of servers that answer with what reached them."""

import http.client
import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

from base.web.hardening import NO_PAGE
from page.files import FOR_EVER
from tools.rig.packages import UnavailableError
from tools.rig.process import HOST
from tools.rig.proxy import proxy as deployed
from tools.rig.servers import free_port

STREAMS = ("/api/v1/stream/order-status", "/api/v1/stream/market/BTC-USD")
# What a client must not see, however it is spelled.
HIDDEN = ("/metrics", "/metrics/", "//metrics", "/%6Detrics", "/api/../metrics", "/metrics?x=1")
HIDDEN += ("/actuator/prometheus", "/actuator//prometheus", "/actuator/%70rometheus")


class EchoServer(ThreadingHTTPServer):
    """Answers with what it was asked, and at a stream's path with one event now and one when it may go on."""

    daemon_threads = True

    def __init__(self, name: str) -> None:
        super().__init__(("127.0.0.1", 0), EchoHandler)
        self.name = name
        self.go_on = threading.Event()
        # Of its answers, beside the length.
        self.headers: dict[str, str] = {}

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class EchoHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: EchoServer

    def do_GET(self) -> None:
        self.send_response(200)
        if self.path in STREAMS:
            self.send_header("Content-Type", "text/event-stream")
            self.end_headers()
            self.close_connection = True
            self.wfile.write(b"data: 1\n\n")
            self.server.go_on.wait(10)
            self.wfile.write(b"data: 2\n\n")
            return
        asked = {"server": self.server.name, "path": self.path, "headers": self.headers.items()}
        body = json.dumps(asked).encode()
        self.send_header("Content-Length", str(len(body)))
        for name, value in self.server.headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.do_GET()

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def serving(name: str) -> Iterator[EchoServer]:
    with EchoServer(name) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        try:
            yield server
        finally:
            server.go_on.set()
            server.shutdown()


@pytest.fixture
def web() -> Iterator[EchoServer]:
    with serving("web") as server:
        yield server


@pytest.fixture
def stream() -> Iterator[EchoServer]:
    with serving("stream") as server:
        yield server


@pytest.fixture
def changes() -> dict[str, str]:
    """What else is changed in the deployed file."""
    return {}


@pytest.fixture
def proxy(tmp_path: Path, web: EchoServer, stream: EchoServer, changes: dict[str, str]) -> Iterator[str]:
    """The file that is deployed, with other addresses and another folder."""
    port = free_port()
    # Two requests a second in place of a hundred, and fewer in a burst: what is more is seen at once.
    changes = {"rate=100r/s": "rate=2r/s", "burst=100": "burst=30", "connections 200": "connections 3", **changes}
    try:
        nginx = deployed(tmp_path, port, web.url, stream.url, changes)
    except UnavailableError as reason:
        pytest.skip(f"no nginx can be had here: {reason}")
    with nginx.start():
        yield f"http://{HOST}:{port}"


def test_the_streams_go_to_the_stream_and_all_else_to_the_web(proxy: str, web: EchoServer) -> None:
    for path in (
        "/",
        "/m/BTC-USD",
        "/account",
        "/static/page/0/js/a.js",
        "/api/v1/orders",
        f"{STREAMS[0]}/stats",
        "/api/v1/stream/tickets",
        "/api/v1/stream/market",
    ):
        assert httpx.get(proxy + path).json()["server"] == "web", path


def test_an_order_that_waits_goes_where_no_thread_is_held(proxy: str) -> None:
    orders = f"{proxy}/api/v1/orders"
    told = httpx.post(f"{orders}?wait=1000", json={}).json()
    assert (told["server"], told["path"]) == ("stream", "/api/v1/orders?wait=1000")
    assert {name.lower(): value for name, value in told["headers"]}["x-forwarded-for"] == "127.0.0.1"
    for query in ("", "?wait=", "?await=1"):
        assert httpx.post(orders + query, json={}).json()["server"] == "web", query
    assert httpx.get(f"{orders}?wait=1000").json()["server"] == "web"
    assert httpx.post(f"{orders}/batch?wait=1000", json={}).json()["server"] == "web"


def test_a_websocket_is_upgraded_and_nothing_else(proxy: str) -> None:
    asked = {"Connection": "Upgrade", "Upgrade": "websocket", "X-Forwarded-For": "1.2.3.4"}
    sockets = ("/api/v1/ws", "/ws", "/ws/btcusd@trade", "/stream?streams=btcusd@depth", "/ws-api/v3")
    others = ("/api/v1/time", "/wsx", "/streams", "/api/v3/ping")
    expected = {**dict.fromkeys(sockets, ("stream", "upgrade")), **dict.fromkeys(others, ("web", None))}
    for path, (server, connection) in expected.items():
        told = httpx.get(proxy + path, headers=asked).json()
        headers = {name.lower(): value for name, value in told["headers"]}
        assert (told["server"], headers.get("connection")) == (server, connection)
        assert headers["x-forwarded-for"] == "127.0.0.1"


@pytest.mark.parametrize("path", STREAMS)
def test_an_event_is_not_held_back(proxy: str, stream: EchoServer, path: str) -> None:
    with httpx.stream("GET", proxy + path, timeout=5) as answer:
        lines = answer.iter_lines()
        assert next(lines) == "data: 1"
        stream.go_on.set()
        assert [line for line in lines if line] == ["data: 2"]


def test_only_the_proxy_says_whom_a_request_comes_from(proxy: str) -> None:
    forged = {
        "X-Forwarded-For": "9.9.9.9",
        "X_Forwarded_For": "9.9.9.9",
        "Forwarded": "for=9.9.9.9",
        "X-Real-IP": "9.9.9.9",
    }
    received = httpx.get(f"{proxy}/api/v1/time", headers={**forged, "Host": "exchange.example.com"}).json()["headers"]
    assert [value for name, value in received if name.lower() == "x-forwarded-for"] == ["127.0.0.1"]
    assert "9.9.9.9" not in str(received)
    assert ["Host", "exchange.example.com"] in received


def test_a_path_that_was_signed_reaches_the_exchange_as_it_was_sent(proxy: str) -> None:
    """API keys sign it with the percent-encoding that the client chose."""
    connection = http.client.HTTPConnection(proxy.removeprefix("http://"))
    for path in ("/api/v1/orders/client/a%3ab%2Fc?x=%7B%7d&symbol=BTC%2DUSD", "/api/v1//orders?a=b+c"):
        connection.request("GET", path)
        assert json.loads(connection.getresponse().read())["path"] == path
    connection.close()


def test_what_is_counted_is_not_shown_outside(proxy: str) -> None:
    where = proxy.removeprefix("http://")
    for path in HIDDEN:
        # As it is written: httpx would tidy the path up.
        connection = http.client.HTTPConnection(where)
        connection.request("GET", path)
        assert connection.getresponse().status == 404, path
        connection.close()


def test_a_body_without_bounds_ends_at_the_door(proxy: str) -> None:
    answer = httpx.post(f"{proxy}/api/v1/orders", content=b"x" * 2_000_000)
    assert (answer.status_code, answer.json()["error"]) == (413, "BODY_TOO_LARGE")
    assert httpx.post(f"{proxy}/api/v1/orders", content=b"x" * 70_000).status_code == 200, (
        "the exchange refuses this itself"
    )


def test_nobody_behind_it_is_a_riddle_and_not_a_failure(proxy: str, web: EchoServer) -> None:
    web.shutdown()
    web.server_close()
    began = time.monotonic()
    answer = httpx.get(f"{proxy}/api/v1/time", timeout=10)
    assert time.monotonic() - began < 5
    assert (answer.status_code, answer.json()["error"], answer.headers["Retry-After"]) == (503, "UNAVAILABLE", "1")
    assert answer.json()["timestamp"].endswith(".000000Z")


def test_a_flood_of_one_address_ends_at_the_door(proxy: str, stream: EchoServer) -> None:
    with httpx.Client() as http:
        answers = [http.get(f"{proxy}/api/v1/time") for _ in range(50)]
    refused = answers[-1]
    assert (refused.status_code, refused.json()["error"], refused.headers["Retry-After"]) == (
        429,
        "TOO_MANY_REQUESTS",
        "1",
    )
    assert 30 <= sum(answer.status_code == 200 for answer in answers) < 40


def test_an_address_has_so_many_connections(proxy: str, stream: EchoServer) -> None:
    with ExitStack() as stack:
        statuses = [
            stack.enter_context(httpx.stream("GET", proxy + STREAMS[1], timeout=5)).status_code for _ in range(4)
        ]
        assert statuses == [200, 200, 200, 429]
        stream.go_on.set()


SOON = {f"client_{part}_timeout 10s": f"client_{part}_timeout 1s" for part in ("header", "body")}
HALVES = {
    "head": b"GET /api/v1/time HTTP/1.1\r\nHost: a\r\nX-",
    "body": b"POST /api/v1/orders HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n{",
}


@pytest.mark.parametrize("changes", [SOON], ids=["soon"])
@pytest.mark.parametrize("half", HALVES.values(), ids=list(HALVES))
def test_whoever_sends_no_more_is_cut_off_in_time(proxy: str, half: bytes) -> None:
    where = httpx.URL(proxy)
    with socket.create_connection((where.host, where.port or 80), timeout=10) as connection:
        connection.sendall(half)
        while connection.recv(4096):
            pass


def spoken(url: str, request: bytes) -> tuple[int, dict[str, list[str]], bytes]:
    """What is answered to these bytes: the status, each header with all its values, the body."""
    where = httpx.URL(url)
    with socket.create_connection((where.host, where.port or 80), timeout=5) as connection:
        connection.sendall(request)
        answer = http.client.HTTPResponse(connection)
        answer.begin()
        headers: dict[str, list[str]] = {}
        for name, value in answer.getheaders():
            headers.setdefault(name.lower(), []).append(value)
        return answer.status, headers, answer.read()


END = b"Host: a\r\nConnection: close\r\n\r\n"
REFUSED = {
    "a line that is none": (b"GARBAGE\r\n\r\n", 400, "MALFORMED_REQUEST"),
    "no host": (b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n", 400, "MALFORMED_REQUEST"),
    "two lengths": (b"POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n" + END, 400, "MALFORMED_REQUEST"),
    "a coding": (b"POST / HTTP/1.1\r\nTransfer-Encoding: gzip\r\n" + END, 400, "MALFORMED_REQUEST"),
    "another version": (b"GET / HTTP/4.0\r\n" + END, 400, "MALFORMED_REQUEST"),
    "what is not shown": (b"GET /metrics HTTP/1.1\r\n" + END, 404, "NOT_FOUND"),
    "a method": (b"TRACE / HTTP/1.1\r\n" + END, 405, "METHOD_NOT_ALLOWED"),
    "a body": (b"POST / HTTP/1.1\r\nContent-Length: 2000000\r\n" + END, 413, "BODY_TOO_LARGE"),
    "a path": (b"GET /" + b"x" * 9000 + b" HTTP/1.1\r\n" + END, 414, "PATH_TOO_LONG"),
    "a head": (b"GET / HTTP/1.1\r\nA: " + b"x" * 40_000 + b"\r\n" + END, 431, "HEAD_TOO_LARGE"),
}
OF_NGINX = {
    "content-security-policy": ["default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"],
    "x-content-type-options": ["nosniff"],
    "x-frame-options": ["DENY"],
    "referrer-policy": ["same-origin"],
    "cache-control": ["no-store"],
    "content-type": ["application/json"],
}


def test_what_nginx_refuses_itself_is_in_the_envelope_with_all_headers(proxy: str) -> None:
    for name, (request, status, error) in REFUSED.items():
        answered, headers, body = spoken(proxy, request)
        told = json.loads(body)
        assert (answered, told["code"], told["error"], told["data"]) == (status, status, error, {}), name
        assert {*told} == {"code", "error", "message", "data", "timestamp"}
        assert {name: headers.get(name) for name in OF_NGINX} == OF_NGINX, name
        assert "strict-transport-security" not in headers, "without TLS a browser would never come back"
        assert "retry-after" not in headers


def test_what_nobody_answers_has_all_headers_too(proxy: str, web: EchoServer) -> None:
    web.shutdown()
    web.server_close()
    status, headers, body = spoken(proxy, b"GET / HTTP/1.1\r\n" + END)
    assert (status, json.loads(body)["error"], headers["retry-after"]) == (503, "UNAVAILABLE", ["1"])
    assert {name: headers.get(name) for name in OF_NGINX} == OF_NGINX


def test_a_header_of_the_exchange_is_passed_on_and_not_doubled(proxy: str, web: EchoServer) -> None:
    own = {"Content-Security-Policy": "default-src 'self'", "X-Frame-Options": "SAMEORIGIN", "Cache-Control": "private"}
    web.headers = {**own, "Strict-Transport-Security": "max-age=1", "Retry-After": "7"}
    _, headers, _ = spoken(proxy, b"GET / HTTP/1.1\r\n" + END)
    assert {name: headers[name.lower()] for name in own} == {name: [value] for name, value in own.items()}
    assert headers["x-content-type-options"] == ["nosniff"], "and what is missing is added"
    web.headers = {"Content-Security-Policy": NO_PAGE, "Cache-Control": FOR_EVER, "Content-Encoding": "gzip"}
    file = spoken(proxy, b"GET /static/page/0/a.js HTTP/1.1\r\nAccept-Encoding: gzip\r\n" + END)[1]
    assert {name: file[name.lower()] for name in web.headers} == {name: [value] for name, value in web.headers.items()}
    web.headers = {"Content-Security-Policy": "default-src 'self'"}
    assert "cache-control" not in spoken(proxy, b"GET / HTTP/1.1\r\n" + END)[1], "what is public may be kept"
    assert "strict-transport-security" not in headers
    assert headers["retry-after"] == ["7"]


@pytest.mark.parametrize("changes", [{'https "max-age=31536000";': 'http "max-age=31536000";'}], ids=["tls"])
def test_with_tls_every_answer_says_so_for_a_year(proxy: str, web: EchoServer) -> None:
    """nginx's own errors did not. The test takes http for https, because it has no certificate."""
    web.headers = {"Strict-Transport-Security": "max-age=31536000"}
    for request in (b"GET / HTTP/1.1\r\n" + END, *(request for request, *_ in REFUSED.values())):
        assert spoken(proxy, request)[1]["strict-transport-security"] == ["max-age=31536000"]
