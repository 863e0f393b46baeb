"""More than 400 wrong values in each place of each call, found through the API's description.

Whatever comes: no 5xx, every answer has the envelope, what the description calls wrong is refused, and what is refused
changes no row of any table. A new call, field or parameter is tried without a line here. `make test` draws a part.
"""

import contextlib
import functools
import hashlib
import itertools
import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
from django.apps import apps
from django.db import connection, transaction
from jsonschema_rs import Draft202012Validator

from tests.support import hostile
from tests.support.contract import check_answer, described, json_body, operations
from tests.support.sampling import sample
from tests.support.world import Person, World

pytestmark = [pytest.mark.django_db, pytest.mark.timeout(900)]
ONE_IN = 40
API = "/api/v1"
# They do not end, or answer no JSON.
LEFT_OUT = re.compile(r"/stream/(order-status|market/\{symbol\})$|/ws$|^/metrics$|^/swagger-ui\.html$|^/api/schema$")
OF_STAFF = re.compile(
    r"/(markets|balances|users/\{userId\}|approvals|fees/payout|cache|feed|stream/order-status/stats)"
)


class Attack:
    """Sends requests to one call as who may make it."""

    def __init__(self, world: World, method: str, path: str) -> None:
        self.world, self.method, self.path = world, method, path
        self.operation = operations()[method, path]
        self.who: Person = world.staff if OF_STAFF.search(path) and not path.endswith("/users/me") else world.alice
        order = world.alice.get("/orders?limit=1")[0]
        self.named = {
            "symbol": world.symbol,
            "currency": "USD",
            "userId": str(world.carol.user.id),
            "orderId": str(order["orderId"]),
            "clientOrderId": "mine",
        }

    def target(self, **changed: str) -> str:
        return re.sub(r"\{(\w+)\}", lambda name: _quoted({**self.named, **changed}.get(name[1], "1")), self.path)

    def body(self) -> dict[str, Any] | None:
        """A right one: the first example of the description."""
        described_body = json_body(self.method, self.path)
        if not described_body:
            return None
        examples = list(described_body.get("examples", {}).values())
        good = dict(examples[0]["value"]) if examples else {}
        return {**good, "userId": self.world.carol.user.id} if "userId" in good else good

    def names(self, place: str) -> list[str]:
        return [each["name"] for each in self.operation.get("parameters", ()) if each["in"] == place]

    def fields(self) -> list[str]:
        return list(_properties(json_body(self.method, self.path).get("schema", {})))

    def send(self, body: bytes | None, target: str, media_type: str = "application/json") -> int:
        """The status of the answer. What was accepted is taken back, so that the next request meets the same rows."""
        with _taken_back():
            response = self.who.client.generic(self.method, target, body or b"", media_type)
        status = response.status_code
        assert status < 500, (self.method, target, body, response.content)
        if status >= 400:
            answer = json.loads(response.content)
            assert answer.keys() == {"code", "error", "message", "data", "timestamp"}, (target, answer)
            assert answer["code"] == status
            check_answer(self.method, target.partition("?")[0], status, response["Content-Type"], answer)
        elif target.endswith("/orders/preview") and json.loads(response.content)["data"]["errors"]:
            # A preview refuses nothing: it says what would be refused.
            return 400
        return status


def _quoted(text: str) -> str:
    return quote(text.encode(errors="surrogatepass"), safe="")


@contextlib.contextmanager
def _taken_back() -> Iterator[None]:
    mark = transaction.savepoint()
    try:
        yield
    finally:
        transaction.savepoint_rollback(mark)


def _properties(schema: dict[str, Any]) -> dict[str, Any]:
    if "$ref" in schema:
        schema = described()["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    properties = dict(schema.get("properties", {}))
    for part in itertools.chain(schema.get("oneOf", ()), schema.get("anyOf", ()), schema.get("allOf", ())):
        properties |= _properties(part)
    return properties


def stored() -> str:
    """A digest of every row of every table."""
    digest = hashlib.sha256()
    with connection.cursor() as cursor:
        for model in apps.get_models(include_auto_created=True):
            if model._meta.managed:
                cursor.execute(f"SELECT * FROM {model._meta.db_table}")
                digest.update(repr(sorted(map(repr, cursor.fetchall()))).encode())
    return digest.hexdigest()


@functools.cache
def _body_schema(method: str, path: str) -> Draft202012Validator:
    schema = json_body(method, path)["schema"]
    return Draft202012Validator({**schema, "components": described()["components"]})


def _is_described(call: tuple[str, str], body: dict[str, Any]) -> bool:
    try:
        return _body_schema(*call).is_valid(body)
    except UnicodeEncodeError:
        # Half a character, which no description allows because no text has it.
        return False


CALLS = [call for call in operations() if not LEFT_OUT.search(call[1])]
WITH_BODY = [call for call in CALLS if "requestBody" in operations()[call]]
WITH_PARAMETERS = [call for call in CALLS if operations()[call].get("parameters")]
# The parts of a batch are refused one by one, and the call is answered all the same.
IN_PARTS = re.compile(r"/batch")


@pytest.fixture
def attacked(world: World) -> Iterator[World]:
    """An exchange with an order that rests, of which no row changes."""
    world.play(world.alice, "buy 1 @ 100", clientOrderId="mine")
    before = stored()
    yield world
    assert stored() == before


@pytest.mark.parametrize("call", WITH_BODY, ids=" ".join)
def test_no_field_takes_what_is_wrong(attacked: World, call: tuple[str, str]) -> None:
    attack = Attack(attacked, *call)
    good = attack.body() or {}
    for field in attack.fields():
        for value in sample(hostile.VALUES, ONE_IN, call, field):
            body = {**good, field: value}
            status = attack.send(json.dumps(body).encode(), attack.target())
            if not _is_described(call, body) and not IN_PARTS.search(call[1]):
                assert status >= 400, (call, field, value)
    for name in sample(hostile.TEXTS, ONE_IN, call, "unknown"):
        assert attack.send(json.dumps({**good, name: 1}).encode(), attack.target()) >= 400, name


@pytest.mark.parametrize("call", WITH_BODY, ids=" ".join)
def test_no_body_is_taken_that_is_no_json_object(attacked: World, call: tuple[str, str]) -> None:
    attack = Attack(attacked, *call)
    for raw in sample(hostile.BODIES, ONE_IN // 4, call):
        assert attack.send(raw, attack.target()) >= 400, raw
    good = json.dumps(attack.body()).encode()
    for media_type in sample(hostile.MEDIA_TYPES, ONE_IN, call):
        assert attack.send(good, attack.target(), media_type) >= 400, media_type


@pytest.mark.parametrize("call", [call for call in CALLS if call[1].startswith(API)], ids=" ".join)
def test_no_parameter_is_guessed_at(attacked: World, call: tuple[str, str]) -> None:
    attack = Attack(attacked, *call)
    body = attack.body()
    good = None if body is None else json.dumps(body).encode()
    for name in attack.names("query"):
        for text in sample([*hostile.NUMBERS, *hostile.TEXTS], ONE_IN, call, name):
            attack.send(good, f"{attack.target()}?{name}={_quoted(text)}")
    for name in ("symbl", "userid", "LIMIT", "limit[]", "\u0000", "$where"):
        assert attack.send(good, f"{attack.target()}?{quote(name)}=1") >= 400, name


@pytest.mark.parametrize("call", WITH_PARAMETERS, ids=" ".join)
def test_no_path_names_what_it_does_not(attacked: World, call: tuple[str, str]) -> None:
    attack = Attack(attacked, *call)
    body = attack.body()
    for name in attack.names("path"):
        for text in sample([*hostile.NUMBERS, *hostile.TEXTS], ONE_IN, call, name):
            # A slash divides a path, though it is encoded.
            if text and "/" not in text and len(text) < 10_000:
                attack.send(None if body is None else json.dumps(body).encode(), attack.target(**{name: text}))
