"""The stages of these tests have few users: to make two hundred of them rich takes seconds."""

import pytest

from tools.bench import flow, stage

USERS = 10


@pytest.fixture(autouse=True)
def few_users(monkeypatch):
    for module in (flow, stage):
        monkeypatch.setattr(module, "USERS", USERS)
