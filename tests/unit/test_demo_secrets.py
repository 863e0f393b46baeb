"""The secrets of a demo that others reach, and where it listens. tests/e2e/test_demo.py starts one."""

import argparse
from pathlib import Path

import pytest

from exchange.guards import weakness
from tools.demo import environment, room, seed
from tools.demo.cast import HUMANS, LISTINGS, PASSWORD, TRADERS
from tools.demo.environment import prepare
from tools.demo.secrets import FILE, NAMES, STAFF_PASSWORD, TRADERS_PASSWORD, own_secrets
from users.models import User


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("ALLOWED_HOSTS", "REDIS_URL", "BROKER_URL", *NAMES):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "data"))
    return tmp_path / "data"


def test_a_demo_for_this_machine_has_the_secrets_that_everybody_knows(data: Path) -> None:
    prepared = prepare(8000)
    assert not set(NAMES) & set(prepared.variables)
    assert "DEMO_HOST" not in prepared.variables
    assert not (data / FILE).exists()
    assert data.stat().st_mode & 0o777 == 0o700


def test_a_demo_for_others_makes_strong_secrets_once_and_keeps_them_for_its_owner(data: Path) -> None:
    prepared = prepare(8000, "0.0.0.0")
    own = {name: prepared.variables[name] for name in NAMES}
    assert [weakness(secret) for secret in own.values()] == [""] * len(NAMES)
    assert len(set(own.values())) == len(NAMES)
    assert (data / FILE).stat().st_mode & 0o777 == 0o600
    assert prepared.variables["DEMO_HOST"] == "0.0.0.0"
    assert {"127.0.0.1", "localhost"} <= set(prepared.variables["ALLOWED_HOSTS"].split(","))
    assert prepared.address == "http://127.0.0.1:8000", "that is where its own traders reach it"
    again = prepare(8000)
    assert {name: again.variables[name] for name in NAMES} == own, "the folder was shown to others, who know no more"


def test_a_secret_that_is_missing_is_made_and_the_others_stay(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text("SECRET_KEY=mine\n")
    assert own_secrets(tmp_path)["SECRET_KEY"] == "mine"
    assert len(own_secrets(tmp_path)[STAFF_PASSWORD]) > 40
    assert (tmp_path / FILE).stat().st_mode & 0o777 == 0o600


def test_what_a_demo_of_before_left_readable_becomes_private(data: Path) -> None:
    data.mkdir(mode=0o755)
    for name in (environment.LOCK, "exchange.sqlite3", "exchange.sqlite3-wal"):
        (data / name).touch(mode=0o644)
    prepare(8000)
    assert data.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in data.glob("exchange*")} == {0o600}


def test_a_folder_of_others_keeps_its_mode(data: Path) -> None:
    data.mkdir()
    data.chmod(0o1777)
    (data / environment.LOCK).touch()
    prepare(8000)
    assert data.stat().st_mode & 0o1777 == 0o1777


def test_only_an_address_is_listened_on() -> None:
    assert environment.host("192.0.2.7") == "192.0.2.7"
    with pytest.raises(argparse.ArgumentTypeError, match="is not an address"):
        environment.host("example.com")


def test_the_room_is_told_an_address_and_its_code(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "outward_address", lambda: "192.0.2.17")
    url = room.room_url("0.0.0.0", 8000)
    assert url == "http://192.0.2.17:8000/"
    shown = "\n".join(room.room_lines(url))
    assert shown.startswith("in this room: http://192.0.2.17:8000/")
    assert len([line for line in shown.splitlines() if set(line) & set("█▀▄")]) > 10
    assert room.room_url("192.0.2.5", 80) == "http://192.0.2.5:80/"
    monkeypatch.setattr(room, "outward_address", lambda: None)
    assert room.room_url("0.0.0.0", 8000) is None
    assert room.room_lines(None) == ["this machine is in no network: nobody else can reach it now"]
    assert room.room_url("127.0.0.1", 8000) is None


@pytest.mark.django_db
def test_others_know_no_password_of_staff_and_of_simulated_traders(monkeypatch: pytest.MonkeyPatch) -> None:
    """A demo that ran on loopback before, when everybody on this machine knew all of them."""
    for name in (STAFF_PASSWORD, TRADERS_PASSWORD):
        monkeypatch.delenv(name, raising=False)
    members = [HUMANS[0], HUMANS[-1], TRADERS[0]]
    for _ in range(2):
        for listing in LISTINGS:
            seed._list(listing)
        for member in members:
            seed._admit(member)
        monkeypatch.setenv(STAFF_PASSWORD, "of-staff-alone")
        monkeypatch.setenv(TRADERS_PASSWORD, "of-traders-alone")
    for member, password in zip(members, (PASSWORD, "of-staff-alone", "of-traders-alone"), strict=True):
        assert User.objects.get(username=member.name).check_password(password), member.name
