"""What beat has the workers do now and then, one instance at a time: such work never waits, and may be left out."""

import logging
import time
from collections.abc import Sequence

from base.storage.breakers import ServerAway
from base.storage.locks import alone
from marketdata.synchronising import synchronise
from markets.services import active_symbols

logger = logging.getLogger(__name__)

# A worker does this between two bells of its markets, so it stops after a moment and goes on in another task.
TIME_BOX_SECONDS = 0.5
LOCK_SECONDS = 30


def synchronise_depths(symbols: Sequence[str] | None) -> list[str]:
    """Compare the cached depths of these markets (None: of all active ones) with MySQL; return those not reached."""
    with alone("synchronise-depths", LOCK_SECONDS) as fence:
        if fence is None:
            return []
        try:
            until = time.monotonic() + TIME_BOX_SECONDS
            return synchronise(active_symbols() if symbols is None else symbols, fence, until=until)
        except ServerAway:
            logger.warning("the depths are not synchronised, because Redis is away")
            return []
