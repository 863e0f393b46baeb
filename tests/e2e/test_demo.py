"""What `make demo` and `make run` promise: they show a working exchange, stop cleanly and start again."""

import re
import socket

import httpx
import jwt
import pytest

from exchange.guards import DEMO_SECRETS
from tests.e2e.processes import Demo, wait_until
from tools.demo.secrets import FILE, STAFF_PASSWORD

SUMMARY = r"orders\s+(\d+) accepted.*\n\s+trades\s+(\d+)\n\s+events\s+(\d+)"


def test_demo_ends_by_itself_and_starts_again_on_its_own_data(demo: Demo) -> None:
    demo.end()
    demo.variables["RATE_LIMIT"] = "10/s"
    demo.start("--seconds", "8")
    assert demo.wait(90) == 0, demo.text()
    del demo.variables["RATE_LIMIT"]
    assert "error, 0 after 429" in demo.text(), "the traders have a limit of their own"

    summary = re.search(SUMMARY, demo.text())
    assert summary, demo.text()
    orders, trades, events = map(int, summary.groups())
    assert orders >= trades > 0
    assert events > orders
    _check_announcement(demo)
    assert demo.processes() == {}

    demo.ensure_running()
    assert len(_tape(demo, "BTC-USD")) + len(_tape(demo, "ETH-USD")) >= trades


def test_demo_is_alone_on_its_data_and_port_and_on_loopback(demo: Demo) -> None:
    demo.ensure_running()
    _check_loopback_only(demo.port)

    on_same_data = Demo(demo.data.parent)
    on_same_data.output = demo.data / "second"
    on_same_data.start()
    assert on_same_data.wait(20) == 1, on_same_data.text()
    assert on_same_data.text().splitlines() == [
        f"a demo is running on this data already: {demo.address} (process {demo.process and demo.process.pid})"
    ]

    on_same_port = Demo(demo.data / "other")
    on_same_port.data.mkdir(parents=True)
    on_same_port.port = demo.port
    on_same_port.start()
    assert on_same_port.wait(20) == 1, on_same_port.text()
    assert on_same_port.text().count("\n") == 1
    assert f"port {demo.port} cannot be used" in on_same_port.text()


def test_what_a_demo_keeps_is_its_owners_alone(demo: Demo) -> None:
    """Its database, its logs, what Redis stores: every user of the machine could read the database of before."""
    demo.ensure_running()
    assert (demo.data / "exchange.sqlite3").exists()
    # Other tests keep folders of their own in it.
    own = [path for path in [demo.data, *demo.data.rglob("*")] if not {"other", "second"} & set(path.parts)]
    assert [path for path in own if path.stat().st_mode & 0o077] == []


@pytest.mark.long
def test_a_demo_for_others_has_secrets_and_a_staff_password_of_its_own(own_demo: Demo) -> None:
    own_demo.start("--no-traders", "--host", "0.0.0.0")
    own_demo.wait_until_ready()
    wait_until(lambda: "WARNING: whoever reaches this address may trade here" in own_demo.text(), 5)
    assert "in this room: http://" in own_demo.text() or "is in no network" in own_demo.text()
    kept = dict(line.split("=", 1) for line in (own_demo.data / FILE).read_text().splitlines())
    assert not any(secret in own_demo.text() for secret in kept.values())

    def status(address: str, name: str, password: str, **headers: str) -> int:
        body = {"username": name, "password": password}
        url = f"http://{address}:{own_demo.port}/api/v1/auth/token"
        return httpx.post(url, json=body, headers=headers, trust_env=False).status_code

    for address in ("127.0.0.1", *_own_addresses()):
        assert status(address, "admin", kept[STAFF_PASSWORD]) == 200
        assert status(address, "alice", "exchange-demo") == 200
        assert status(address, "admin", "exchange-demo") == 401
        assert status(address, "trader-1", "exchange-demo") == 401
    assert status("127.0.0.1", "alice", "exchange-demo", Host="elsewhere.example") == 400
    forged = jwt.encode({"sub": "1", "token_type": "access"}, DEMO_SECRETS["JWT_SIGNING_KEY"])
    headers = {"Authorization": f"Bearer {forged}"}
    assert httpx.get(f"{own_demo.address}/api/v1/account", headers=headers, trust_env=False).status_code == 401


def test_killed_demo_takes_its_processes_with_it(demo: Demo) -> None:
    demo.ensure_running()
    before = demo.processes()
    assert len(before) >= 4
    demo.kill()
    # At once: the next one waits until the processes of the last one are gone.
    demo.ensure_running()
    after = demo.processes()
    assert not before.keys() & after.keys(), (before, after)


def _tape(demo: Demo, symbol: str) -> list[object]:
    path = f"{demo.address}/api/v1/trades/{symbol}"
    tape: list[object] = httpx.get(path, params={"limit": 500}, trust_env=False).json()["data"]
    return tape


def _check_announcement(demo: Demo) -> None:
    assert demo.address in demo.text()
    for name in ("alice", "bob", "carol", "admin"):
        assert re.search(rf"{name} +exchange-demo", demo.text())
    assert "eyJ" not in demo.text(), "a token was printed"


def _check_loopback_only(port: int) -> None:
    for address in _own_addresses():
        with socket.socket() as probe:
            probe.settimeout(1)
            assert probe.connect_ex((address, port)) != 0


def _own_addresses() -> list[str]:
    """This machine's addresses other than loopback; there may be none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            # Sends nothing: it only chooses the interface.
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return []
        return [address for address in [probe.getsockname()[0]] if not address.startswith("127.")]
