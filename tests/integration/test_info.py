"""Which exchange answers, and the paths of the system before it."""

import re

import pytest
from django.conf import settings
from django.test import Client, override_settings

from operations import info
from tests.support.world import World

pytestmark = pytest.mark.django_db

TWINS = {
    "/actuator/health": "/health/ready",
    "/actuator/prometheus": "/metrics",
    "/actuator/info": "/api/v1/info",
    "/v3/api-docs": "/api/schema",
}


@pytest.fixture(autouse=True)
def nothing_remembered():
    info._commit.cache_clear()
    yield
    info._commit.cache_clear()


def test_the_version_and_since_when(world: World) -> None:
    told = world.carol.get("/info")
    assert (told["name"], told["version"]) == (settings.NAME, settings.VERSION)
    assert told["startedAt"] == world.alice.get("/info")["startedAt"]


def test_the_commit(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    in_a_repository = world.carol.get("/info")["commit"]
    assert in_a_repository is None or re.fullmatch(r"[0-9a-f]{40}", in_a_repository)
    info._commit.cache_clear()
    with override_settings(COMMIT="abc123"):
        assert world.carol.get("/info")["commit"] == "abc123"
    info._commit.cache_clear()
    monkeypatch.setattr("subprocess.run", lambda *_, **__: (_ for _ in ()).throw(FileNotFoundError("git")))
    assert world.carol.get("/info")["commit"] is None


@pytest.mark.parametrize("path", TWINS)
def test_other_names_are_off_by_default(world: World, path: str) -> None:
    assert Client().get(path).status_code == 404
    with override_settings(ACTUATOR_PATHS=True):
        answers = [Client().get(each) for each in (path, TWINS[path])]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert answers[0]["Content-Type"] == answers[1]["Content-Type"]
    assert answers[0].content[:20] == answers[1].content[:20]
