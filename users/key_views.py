"""API keys over REST: their owner makes, lists and revokes them, signed in by a token."""

import base64
from datetime import timedelta
from typing import Annotated, Any

from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from base.web.answers import answer, body
from base.web.authentication import caller_id, credential_of
from base.web.errors import InvalidField, refuse, timestamp
from base.web.forms import Form
from base.web.keys.errors import TooManyKeys
from base.web.keys.scopes import OWNER, Scope
from base.web.keys.signed import Algorithm
from base.web.openapi.operations import Call
from base.web.queries import INSTANT_FIELD
from base.web.rules import line, one_of
from users import answers
from users.api_key import LABEL_LENGTH, ApiKey
from users.api_keys import KeyTerms, keys_of, make_key, revoke_key
from users.key_rules import PUBLIC_KEY, networks, some_of

TAG = "keys"
MOST_ADDRESSES = 50


class KeyForm(Form):
    """A new key. `publicKey` is required for ED25519 and for that alone."""

    label: Annotated[str, line(LABEL_LENGTH)]
    scopes: Annotated[list[str], some_of(Scope)]
    addresses: Annotated[list[str] | None, networks(MOST_ADDRESSES)] = None
    algorithm: Annotated[str, one_of(Algorithm)] = Algorithm.HMAC.value
    public_key: Annotated[bytes | None, PUBLIC_KEY] = None
    expires_at: Annotated[Any, INSTANT_FIELD] = None


class KeysView(APIView):
    @Call(
        *(TAG, "makeKey", "Make an API key", answers.MadeKey),
        scope=OWNER,
        text=(
            "The secret of an HMAC key is shown once. A key signs requests in its owner's name, within its scopes, from"
            " its addresses and until it expires; the two scopes do not include each other."
        ),
        status=201,
        body=KeyForm,
        examples={
            "HMAC": {"label": "bot", "scopes": ["read", "trade"], "addresses": ["10.0.0.0/8"]},
            "Ed25519": {
                "label": "reader",
                "scopes": ["read"],
                "algorithm": "ED25519",
                "publicKey": "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=",
                "expiresAt": "2027-01-01T00:00:00Z",
            },
        },
        refusals=("EXPIRY_TOO_SOON", "FIELD_NOT_ALLOWED", TooManyKeys),
    )
    def post(self, request: Request) -> Response:
        terms = _read(body(request))
        made, secret = make_key(caller_id(request), credential_of(request).stamp, terms)
        shown: answers.MadeKey = {"keyId": made.key_id, "secret": secret}
        return answer(shown, message="Key made", code=201)

    @Call(TAG, "listKeys", "One's own API keys, newest first", list[answers.ApiKey], scope=OWNER)
    def get(self, request: Request) -> Response:
        return answer([_represent(key) for key in keys_of(caller_id(request))])


class KeyView(APIView):
    @Call(
        *(TAG, "revokeKey", "Revoke an API key", None),
        scope=OWNER,
        text="Streams that it opened end. The process that answers refuses it at once, all others within 3 seconds.",
        status=204,
    )
    def delete(self, request: Request, key_id: str) -> Response:
        revoke_key(caller_id(request), key_id)
        return Response(status=204)


def _read(data: dict[str, Any]) -> KeyTerms:
    """Raises InvalidField and ValidationFailed."""
    values, errors = KeyForm.parse(data)
    is_ed25519 = values.get("algorithm") == Algorithm.ED25519
    if is_ed25519 and "publicKey" not in data:
        errors.append(InvalidField("publicKey", "FIELD_REQUIRED", "publicKey is required for ED25519"))
    if "publicKey" in data and not is_ed25519:
        errors.append(InvalidField("publicKey", "FIELD_NOT_ALLOWED", "publicKey is for ED25519 alone"))
    expires_at = values.get("expires_at")
    if expires_at is not None and expires_at < timezone.now() + timedelta(seconds=1):
        errors.append(InvalidField("expiresAt", "EXPIRY_TOO_SOON", "expiresAt must be a second ahead at least"))
    refuse(errors)
    return KeyTerms(
        values["label"],
        [Scope(each) for each in values["scopes"]],
        values.get("addresses") or (),
        values.get("public_key"),
        expires_at,
    )


def _represent(key: ApiKey) -> answers.ApiKey:
    is_ed25519 = key.algorithm == Algorithm.ED25519
    return {
        "keyId": key.key_id,
        "label": key.label,
        "scopes": [Scope(each) for each in key.scopes],
        "addresses": key.addresses,
        "algorithm": Algorithm(key.algorithm),
        "publicKey": base64.b64encode(bytes.fromhex(key.secret)).decode() if is_ed25519 else None,
        "createdAt": timestamp(key.created_at),
        "expiresAt": None if key.expires_at is None else timestamp(key.expires_at),
        "lastUsedAt": None if key.last_used_at is None else timestamp(key.last_used_at),
    }
