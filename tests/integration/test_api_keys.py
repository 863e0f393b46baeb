"""API keys over REST: made, listed and revoked by their owner, and what ends them."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import OperationalError, connection
from django.test import Client, override_settings
from django.urls import reverse
from django.utils import timezone

from base.web.keys.known import forget_keys, known_key
from base.web.keys.secrets import is_of_the_newest
from orders import accounts
from tests.support.signing import Signer, told
from tests.support.world import World, stored_rows
from users import api_keys
from users.acts import Actor
from users.api_key import ApiKey
from users.models import StaffAct, User

ALL = {"label": "bot", "scopes": ["read", "trade"]}
POINT = "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="
PEM = (
    "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\n"
    "-----END PUBLIC KEY-----\n"
)


@pytest.mark.dialect
def test_a_key_is_made_listed_and_revoked(world: World) -> None:
    made = world.alice.call("POST", "/keys", {**ALL, "addresses": ["10.0.0.0/8", "2001:db8::1"]})
    assert made.status_code == 201
    assert sorted(made.body["data"]) == ["keyId", "secret"]
    assert len(made.body["data"]["secret"]) == 64
    signer = Signer.of(world.alice, "read")
    assert signer.told("GET", "/orders") == "200"
    [newest, listed] = world.alice.get("/keys")
    assert listed.pop("createdAt") <= newest["createdAt"]
    assert listed == {
        "keyId": made.body["data"]["keyId"],
        "label": "bot",
        "scopes": ["read", "trade"],
        "addresses": ["10.0.0.0/8", "2001:db8::1/128"],
        "algorithm": "HMAC",
        "publicKey": None,
        "expiresAt": None,
        "lastUsedAt": None,
    }
    assert (newest["keyId"], newest["lastUsedAt"] is None) == (signer.key_id, False)
    assert world.bob.get("/keys") == []
    path = f"/keys/{signer.key_id}"
    assert told(world.bob.call("DELETE", path)) == "404 KEY_NOT_FOUND"
    assert [told(world.alice.call("DELETE", path)) for _ in range(2)] == ["204", "404 KEY_NOT_FOUND"]
    assert told(world.alice.call("DELETE", "/keys/x")) == "404 KEY_NOT_FOUND"
    assert signer.told("GET", "/orders") == "401 KEY_UNKNOWN"
    assert [key["keyId"] for key in world.alice.get("/keys")] == [listed["keyId"]]


def test_a_secret_is_stored_encrypted_and_gone_once_it_is_revoked(world: World) -> None:
    signer = Signer.of(world.alice, "read")
    stored = ApiKey.objects.get(key_id=signer.key_id)
    assert signer.secret not in stored.secret
    assert is_of_the_newest(stored.secret)
    world.alice.call("DELETE", f"/keys/{signer.key_id}")
    assert ApiKey.objects.values_list("secret", "ended_by").get() == ("", "OWNER")


@pytest.mark.parametrize("given", [POINT, PEM, "MCowBQYDK2VwAyEA" + POINT], ids=["bytes", "PEM", "DER"])
def test_a_public_key_in_each_of_its_forms(world: World, given: str) -> None:
    made = world.alice.call("POST", "/keys", {**ALL, "algorithm": "ED25519", "publicKey": given})
    assert (made.status_code, made.body["data"]["secret"]) == (201, None)
    assert world.alice.get("/keys")[0]["publicKey"] == POINT


@pytest.mark.parametrize(
    ("changes", "field", "error"),
    [
        ({"label": " "}, "label", "BLANK"),
        ({"label": None}, "label", "FIELD_REQUIRED"),
        ({"scopes": []}, "scopes", "LIST_EMPTY"),
        ({"scopes": "read"}, "scopes", "LIST_REQUIRED"),
        ({"scopes": ["withdraw"]}, "scopes", "INVALID_CHOICE"),
        ({"scopes": ["read", "owner"]}, "scopes", "INVALID_CHOICE"),
        ({"scopes": ["read"] * 3}, "scopes", "LIST_TOO_LONG"),
        ({"addresses": []}, "addresses", "LIST_EMPTY"),
        ({"addresses": ["10.0.0.1/8"]}, "addresses", "INVALID_FORMAT"),
        ({"addresses": ["::ffff:10.0.0.0/104"]}, "addresses", "INVALID_FORMAT"),
        ({"addresses": ["fe80::1%eth0"]}, "addresses", "INVALID_FORMAT"),
        ({"addresses": ["example.com"]}, "addresses", "INVALID_FORMAT"),
        ({"addresses": [1]}, "addresses", "STRING_REQUIRED"),
        ({"addresses": ["10.0.0.1"] * 51}, "addresses", "LIST_TOO_LONG"),
        ({"algorithm": "RSA"}, "algorithm", "INVALID_CHOICE"),
        ({"algorithm": "ED25519"}, "publicKey", "FIELD_REQUIRED"),
        ({"publicKey": POINT}, "publicKey", "FIELD_NOT_ALLOWED"),
        ({"algorithm": "ED25519", "publicKey": "AAAA"}, "publicKey", "INVALID_FORMAT"),
        ({"algorithm": "ED25519", "publicKey": "\ud800"}, "publicKey", "INVALID_FORMAT"),
        ({"expiresAt": "soon"}, "expiresAt", "INVALID_TIME"),
        ({"expiresAt": -1}, "expiresAt", "INVALID_TIME"),
        ({"expiresAt": 1.5}, "expiresAt", "INVALID_TIME"),
        ({"expiresAt": "2026-01-01T00:00:00Z"}, "expiresAt", "EXPIRY_TOO_SOON"),
        ({"expiresAt": 1767225600000}, "expiresAt", "EXPIRY_TOO_SOON"),
        ({"secret": "mine"}, "secret", "FIELD_UNKNOWN"),
    ],
    ids=str,
)
def test_keys_that_are_not_made(world: World, changes: dict[str, Any], field: str, error: str) -> None:
    before = stored_rows()
    refused = world.alice.call("POST", "/keys", {**ALL, **changes})
    assert (told(refused), refused.body["data"]["field"]) == (f"400 {error}", field)
    assert stored_rows() == before


def test_a_key_expires(world: World) -> None:
    signer = Signer.of(world.alice, "read", expiresAt=(timezone.now() + timedelta(hours=1)).isoformat())
    assert signer.told("GET", "/orders") == "200"
    ApiKey.objects.update(expires_at=timezone.now())
    forget_keys(world.alice.user.id)
    assert signer.told("GET", "/orders") == "401 KEY_EXPIRED"


@pytest.mark.dialect
@pytest.mark.django_db(transaction=True)
def test_an_account_has_so_many_keys_under_parallel_requests() -> None:
    world = World.make()

    def make(_: int) -> str:
        try:
            return told(world.alice.call("POST", "/keys", ALL))
        finally:
            connection.close()

    with override_settings(API_KEYS_MAX=3), ThreadPoolExecutor(4) as pool:
        answers = sorted(pool.map(make, range(6)))
    assert answers == ["201"] * 3 + ["409 TOO_MANY_KEYS"] * 3
    key_id = world.alice.get("/keys")[0]["keyId"]
    world.alice.call("DELETE", f"/keys/{key_id}")
    with override_settings(API_KEYS_MAX=3):
        assert told(world.alice.call("POST", "/keys", ALL)) == "201"


def test_of_revoked_keys_the_newest_are_kept(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api_keys, "REVOKED_KEPT", 2)
    made = [Signer.of(world.alice, "read").key_id for _ in range(4)]
    for key_id in made:
        world.alice.call("DELETE", f"/keys/{key_id}")
    Signer.of(world.alice, "read")
    assert list(ApiKey.objects.exclude(revoked_at=None).values_list("key_id", flat=True)) == made[2:]


Ends = Callable[[World], object]


def _actor(world: World) -> Actor:
    return Actor(world.staff.user.id, "127.0.0.1", "a test")


@pytest.mark.dialect
@pytest.mark.parametrize(
    ("end", "outcome"),
    [
        (lambda world: accounts.kill(world.alice.user.id, _actor(world)), "401 KEY_UNKNOWN"),
        (lambda world: accounts.deactivate(world.alice.user.id, _actor(world)), "401 KEY_UNKNOWN"),
        (lambda world: world.alice.call("POST", "/auth/logout", {"everywhere": True}), "200"),
    ],
    ids=["kill switch", "deactivation", "log-out everywhere"],
)
def test_what_ends_keys(
    world: World, end: Ends, outcome: str, django_capture_on_commit_callbacks: Callable[..., Any]
) -> None:
    signer = Signer.of(world.alice, "read")
    assert signer.told("GET", "/orders") == "200"
    with django_capture_on_commit_callbacks(execute=True):
        end(world)
    assert signer.told("GET", "/orders") == outcome
    with django_capture_on_commit_callbacks(execute=True):
        accounts.lift(world.alice.user.id, _actor(world))
        accounts.activate(world.alice.user.id, _actor(world))
    assert signer.told("GET", "/orders") == outcome, "what has ended does not come back"


def test_an_operator_sees_keys_and_revokes_them(world: World, operator: Client) -> None:
    signer = Signer.of(world.alice, "read")
    stored = ApiKey.objects.get()
    page = operator.get(reverse("admin:users_apikey_change", args=[stored.pk])).content.decode()
    assert signer.key_id in page
    assert stored.secret not in page
    listed = operator.get(f"{reverse('admin:users_apikey_changelist')}?q=alice").content.decode()
    assert signer.key_id in listed
    assert stored.secret not in listed
    chosen = {"action": "revoke", "_selected_action": [stored.pk]}
    assert operator.post(reverse("admin:users_apikey_changelist"), chosen).status_code == 302
    assert ApiKey.objects.values_list("ended_by", "secret").get() == ("OPERATOR", "")
    act = StaffAct.objects.get()
    assert (act.kind, act.user_id, act.details["keyId"]) == ("KEY_REVOKED", world.alice.user.id, signer.key_id)


@pytest.mark.django_db(transaction=True)
def test_to_revoke_a_key_while_its_owner_is_killed_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each has the row that the other one waits for: the user's, and the key's."""
    world = World.make()
    Signer.of(world.alice, "read")
    store, attempts = api_keys.record, iter(["lost"])

    def record(*given: Any, **more: Any) -> None:
        if next(attempts, None):
            raise OperationalError(1213, "Deadlock found when trying to get lock")
        store(*given, **more)

    monkeypatch.setattr(api_keys, "record", record)
    assert api_keys.revoke_key_as_operator(ApiKey.objects.get(), _actor(world))
    assert list(StaffAct.objects.values_list("kind", flat=True)) == ["KEY_REVOKED"]
    assert ApiKey.objects.get().ended_by == "OPERATOR"


def test_who_may_only_look_revokes_no_key(world: World) -> None:
    Signer.of(world.alice, "read")
    clerk, page = Client(), reverse("admin:users_apikey_changelist")
    user = User.objects.create(username="clerk", email="clerk@example.com", password="!", is_staff=True)
    clerk.force_login(user)
    assert clerk.get(page).status_code == 403
    chosen = {"action": "revoke", "_selected_action": [ApiKey.objects.get().pk]}
    clerk.post(page, chosen)
    assert ApiKey.objects.get().revoked_at is None


OLD, NEW = "an older secret of forty-two characters...", "a newer secret of forty-two characters...."


@pytest.mark.dialect
def test_secrets_are_rotated_while_keys_are_used(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    with override_settings(API_KEY_SECRETS=(OLD,)):
        signer, other = Signer.of(world.alice, "read"), Signer.of(world.alice, "read", algorithm="ED25519")
    with override_settings(API_KEY_SECRETS=(NEW, OLD)):
        assert signer.told("GET", "/orders") == "200"
        call_command("rotate_api_keys")
        call_command("rotate_api_keys")
    told_both = capsys.readouterr().out.splitlines()
    assert told_both == [f"{count} secrets encrypted anew, {before} were already" for count, before in ((1, 0), (0, 1))]
    known_key.cache_clear()
    with override_settings(API_KEY_SECRETS=(NEW,)):
        assert [each.told("GET", "/orders") for each in (signer, other)] == ["200", "200"]
    with (
        override_settings(API_KEY_SECRETS=(OLD,)),
        pytest.raises(CommandError, match="decrypted by none"),
    ):
        call_command("rotate_api_keys")
