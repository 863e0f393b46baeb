"""Who may call what: the callers, and the rows of the table in docs/security.md, made from the URL configuration."""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.http import HttpResponse
from rest_framework.test import APIClient

from base.web.openapi.operations import Call
from base.web.ratelimit.meter import BINANCE
from tests.support.binance import Bot
from tests.support.routes import METHODS, served
from tests.support.signing import Signer
from tests.support.world import Person, World, allow, person
from users.models import User

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "security.md"
GROUPS = ("operators", "treasurers", "auditors")
CALLERS = ("anonymous", "owner", "another user", "read key", "trade key", *GROUPS, "staff", "superuser", "deactivated")
# Pages of Django's admin ask for the permission of their model, which is Django's own work; files are for everybody.
NOT_OURS = re.compile(r"^/admin|^/static/|^/$")


@dataclass(frozen=True)
class Route:
    """A method of a path; `of_another` where the caller names the owner as the account that is meant."""

    method: str
    path: str
    of_another: bool = False

    @property
    def name(self) -> str:
        return f"{self.method} {self.path}{', of the owner' if self.of_another else ''}"


def routes() -> list[Route]:
    """All that the URL configuration serves, by path."""
    found = []
    for method, path, handler in served():
        if NOT_OURS.search(path):
            continue
        found.append(Route(method, path))
        if _names_an_account(getattr(handler, "call", None)):
            found.append(Route(method, path, of_another=True))
    return sorted(found, key=lambda route: (route.path, METHODS.index(route.method), route.of_another))


def _names_an_account(call: Call | None) -> bool:
    if call is None:
        return False
    in_body = call.body is not None and "userId" in {field.alias for field in call.body.model_fields.values()}
    return in_body or any(each.name == "userId" for each in call.query)


class Callers:
    """One of each kind. All that the calls name is the owner's."""

    def __init__(self, world: World) -> None:
        owner = world.alice
        gone = person("gone")
        chief = person("chief", is_staff=True)
        User.objects.filter(pk=gone.user.pk).update(is_active=False)
        User.objects.filter(pk=chief.user.pk).update(is_superuser=True)
        by_group = {name: _member(name) for name in GROUPS}
        people = {"owner": owner, "another user": world.bob, **by_group, "staff": person("clerk", is_staff=True)}
        people |= {"superuser": chief, "deactivated": gone}
        self.people: dict[str, Person] = people
        self.keys = {f"{scope} key": Signer.of(owner, *scopes) for scope, scopes in SCOPES.items()}
        self._client = APIClient(raise_request_exception=False)

    def send(self, who: str, method: str, target: str, body: bytes = b"") -> HttpResponse:
        if target.startswith(BINANCE):
            return self._send_as_binance(who, method, target)
        headers = self.headers(who, method, target, body)
        response: HttpResponse = self._client.generic(method, target, body, "application/json", headers=headers)
        return response

    def _send_as_binance(self, who: str, method: str, target: str) -> HttpResponse:
        """A key signs there in another way, and nothing but a key signs in."""
        path = target.removeprefix(BINANCE).removeprefix("/")
        if who in self.keys:
            bot = Bot(self.keys[who])
            # What asks for the name of a key alone knows no signature.
            query = "" if path.startswith("userDataStream") else f"?{bot.signed({})}"
            answered: HttpResponse = bot.send(method, path + query)
            return answered
        headers = self.headers(who, method, target)
        response: HttpResponse = self._client.generic(method, target, b"", "application/json", headers=headers)
        return response

    def headers(self, who: str, method: str, target: str, body: bytes = b"") -> dict[str, str]:
        """Those that sign a request in."""
        if who in self.keys:
            return self.keys[who].headers(method, target, body)
        if who in self.people:
            return {"Authorization": self.people[who].client._credentials["HTTP_AUTHORIZATION"]}
        return {}


# A wrong name, password or refresh token in what anybody may send.
BAD_REFRESH_TOKEN = "the refresh token is invalid or expired"
OF_THE_BODY = ("INVALID_CREDENTIALS", "TOKEN_REUSED")
SCOPES = {"read": ("read",), "trade": ("read", "trade")}


def _member(group: str) -> Person:
    member = person(group[:-1], is_staff=True)
    allow(member, group)
    return member


def verdict(status: int, error: str) -> str:
    """What the table says of an answer: who is let in may still be refused for what was asked for."""
    assert status < 500, error
    is_let_in = status not in (401, 403, 404) or (status == 401 and error in OF_THE_BODY)
    return "yes" if is_let_in else str(status)


def verdict_of(response: Any) -> str:
    status = response.status_code
    if status not in (401, 403, 404):
        return verdict(status, "")
    said = json.loads(response.content)
    # What anybody may send is refused for the refresh token, and not for who sends it.
    return "yes" if said.get("message") == BAD_REFRESH_TOKEN else verdict(status, str(said.get("error", said["code"])))


def row(name: str, cells: list[str]) -> str:
    return f"| `{name}` | {' | '.join(cells)} |"


def table() -> dict[str, str]:
    """The rows of the document, by what they are about."""
    return {found[1]: found[0] for found in re.finditer(r"^\| `([A-Z]+ /[^`]*)` \|.*\|$", DOCUMENT.read_text(), re.M)}
