"""Server-sent events: messages go in after commit by `publish`, and come out of `application` at the clients.

django-eventstream is the transport: its Redis channel, message format, listeners and encoding. What it does when
something breaks is replaced through its own classes: see `subscription`, `hub` and `watch`. Nothing here knows what an
order is; what a stream may hear and how it catches up comes from a `Feed` and a `Journal`, and how the channels that
many follow are condensed from a `Digest`.
"""

from base.streams.messages import Message
from base.streams.presence import stats
from base.streams.publisher import publish
from base.streams.tickets import TICKET_SECONDS, issue_ticket, redeem_ticket

__all__ = ["TICKET_SECONDS", "Message", "issue_ticket", "publish", "redeem_ticket", "stats"]
