"""What crosses a socket of streams: `{"method": "SUBSCRIBE", "params": [..], "id": 1}` and its answers."""

import json
from collections.abc import Mapping
from typing import Any

from base.streams.frames import LONGEST_ID
from base.streams.socket import AskedId
from base.web.answers import as_refusal, parse_object
from base.web.errors import ExchangeError
from binance_api.errors import Refused, answer_of

_LARGEST = 2**63
# Binance's codes of what is no request.
INVALID_REQUEST, INVALID_JSON = 2, 3


def read_frame(text: str) -> tuple[AskedId, dict[str, Any]]:
    """Raises Refused."""
    try:
        fields = parse_object(text.encode("utf-8", "surrogatepass"))
    except ExchangeError as error:
        raise Refused(INVALID_JSON, f"Invalid JSON: {error.message}") from error
    asked_id = fields.pop("id", None)
    is_number = isinstance(asked_id, int) and not isinstance(asked_id, bool) and abs(asked_id) < _LARGEST
    if not (asked_id is None or is_number or (isinstance(asked_id, str) and len(asked_id) <= LONGEST_ID)):
        raise Refused(INVALID_REQUEST, "Invalid request: request ID must be an integer or a string")
    return asked_id, fields


def read_operation(fields: dict[str, Any]) -> str:
    """Raises Refused."""
    method = fields.pop("method", None)
    if not isinstance(method, str):
        raise Refused(INVALID_REQUEST, "Invalid request: missing field `method`")
    return method


def answer_frame(asked_id: AskedId, body: Mapping[str, Any]) -> str:
    return json.dumps({**body, "id": asked_id}, separators=(",", ":"))


def error_frame(asked_id: AskedId, error: Exception) -> str | None:
    refusal = error if isinstance(error, Refused) else as_refusal(error)
    return None if refusal is None else answer_frame(asked_id, {"error": answer_of(refusal).body})
