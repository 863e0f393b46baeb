"""A checked token is known for a while, and good for no longer than it says."""

import time
from typing import Any

import pytest
from rest_framework_simplejwt.exceptions import InvalidToken

from base.web import tokens
from base.web.authentication import TokenAuthentication
from base.web.tokens import AccessToken


@pytest.fixture
def checked(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The tokens whose signature was looked at."""
    seen: list[Any] = []
    init = AccessToken.__init__

    def note(self: AccessToken, token: Any = None, verify: bool = True) -> None:
        seen.append(token)
        init(self, token, verify)

    monkeypatch.setattr(AccessToken, "__init__", note)
    tokens._remembered.clear()
    return seen


def issued(user_id: int) -> bytes:
    token = AccessToken()
    token["sub"] = str(user_id)
    return str(token).encode()


def test_a_token_is_checked_once_and_knows_its_own_user(checked):
    raw, other = issued(1), issued(2)
    checked.clear()
    take = TokenAuthentication().get_validated_token
    assert [take(each)["sub"] for each in (raw, other, raw, other, raw)] == ["1", "2", "1", "2", "1"]
    assert checked == [raw, other]


def test_what_has_ended_is_no_longer_known(checked, monkeypatch):
    raw, take = issued(1), TokenAuthentication().get_validated_token
    end = take(raw)["exp"]
    checked.clear()
    monkeypatch.setattr(time, "time", lambda: float(end))
    take(raw)
    assert checked == [raw], "it must be checked anew"


def test_what_is_forged_is_never_known(checked):
    raw, take = issued(1), TokenAuthentication().get_validated_token
    take(raw)
    forged = raw[:-2] + (b"AA" if raw[-2:] != b"AA" else b"BB")
    for _ in range(2):
        with pytest.raises(InvalidToken):
            take(forged)
    assert len(tokens._remembered) == 1
