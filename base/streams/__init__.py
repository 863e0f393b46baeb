"""Server-sent events: `publish` takes messages after the commit, and `application` sends them to the clients.

django-eventstream is the transport: its Redis channel, message format, listeners and encoding. Where it loses messages
when something breaks, its own classes are replaced: see `subscription`, `hub` and `gap_detector`. This package knows no
order: a `Feed` names the channels of a stream and reads what it missed, an `EventLog` stores messages that have an id,
and a `Conflator` condenses the channels that many clients follow.
"""

from base.streams.messages import Message
from base.streams.presence import stats
from base.streams.publisher import publish
from base.streams.tickets import TICKET_SECONDS, issue_ticket, redeem_ticket

__all__ = ["TICKET_SECONDS", "Message", "issue_ticket", "publish", "redeem_ticket", "stats"]
