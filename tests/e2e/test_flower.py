"""What Flower needs before it starts. What it shows is in test_follow."""

from pathlib import Path

import pytest

from tools.demo.environment import CannotStartError, running_broker
from tools.demo.flower import prepare
from tools.rig.servers import start_redis


def test_it_needs_a_broker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    assert running_broker(tmp_path) is None
    with pytest.raises(CannotStartError, match="no demo is running here"):
        prepare({})
    with pytest.raises(CannotStartError, match="BROKER_URL names a server that does not answer"):
        prepare({"BROKER_URL": "redis://127.0.0.1:1/0"})


@pytest.mark.parametrize("password", [{}, {"FLOWER_BASIC_AUTH": "admin"}, {"FLOWER_BASIC_AUTH": "admin:"}], ids=str)
def test_it_needs_a_password(tmp_path: Path, password: dict[str, str]) -> None:
    with start_redis(tmp_path / "redis") as redis:
        with pytest.raises(CannotStartError, match="FLOWER_BASIC_AUTH must be set to user:password"):
            prepare({"BROKER_URL": redis.url, **password})
        known = prepare({"BROKER_URL": redis.url, "FLOWER_BASIC_AUTH": "me:mine", "PROMETHEUS_MULTIPROC_DIR": "/x"})
    assert "PROMETHEUS_MULTIPROC_DIR" not in known
