"""Logs what one client was sent: a line for each write, with the events that were in it."""

import structlog

from base.storage.bulk import batched

logger = structlog.get_logger(__name__)

BUNDLE = 40
# As it stands in a data text. A quote within a value is escaped, so no value can pass for it.
_CORRELATION = '"correlationId":"'


class DeliveryLog:
    """Collects what is written into one body, and logs it once the client's connection has taken it.

    Only events of orders, which have a correlation id. Public messages are not logged.
    """

    def __init__(self) -> None:
        self._written: list[dict[str, str]] = []

    def write(self, message_id: str, data: str) -> None:
        # Not parsed, because each event would be parsed for each of its listeners.
        _, found, rest = data.partition(_CORRELATION)
        if found:
            self._written.append({"correlationId": rest.partition('"')[0], "eventId": message_id})

    def taken(self) -> None:
        written, self._written = self._written, []
        for bundle in batched(written, BUNDLE):
            logger.info("delivered", events=bundle)
