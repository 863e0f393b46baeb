"""What crosses a socket of requests: `{"id": "1", "method": "order.place", "params": {..}}`, and its answers."""

import json
from collections.abc import Mapping
from typing import Any

from base.streams.socket import AskedId
from base.web.answers import as_refusal
from binance_api.errors import Refused, answer_of
from binance_api.streams import stream_frames

# Binance's code of a request that cannot be read.
MALFORMED = -1135
_MALFORMED_WORDS = "Invalid JSON Request"


def read_frame(text: str) -> tuple[AskedId, dict[str, Any]]:
    """Raises Refused."""
    try:
        return stream_frames.read_frame(text)
    except Refused as refusal:
        raise Refused(MALFORMED, _MALFORMED_WORDS) from refusal


def read_operation(fields: dict[str, Any]) -> str:
    """Raises Refused."""
    try:
        return stream_frames.read_operation(fields)
    except Refused as refusal:
        raise Refused(MALFORMED, _MALFORMED_WORDS) from refusal


def answer_frame(asked_id: AskedId, body: Mapping[str, Any]) -> str:
    return json.dumps({"id": asked_id, **body}, separators=(",", ":"))


def error_frame(asked_id: AskedId, error: Exception) -> str | None:
    refusal = error if isinstance(error, Refused) else as_refusal(error)
    if refusal is None:
        return None
    answer = answer_of(refusal)
    return answer_frame(asked_id, {"status": answer.status, "error": answer.body})
