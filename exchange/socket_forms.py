"""What a client sends over a WebSocket, by operation."""

from typing import Annotated

from base.streams.socket import MOST_CHANNELS
from base.web.forms import Form
from base.web.keys.signed import HEADERS, LONGEST, LONGEST_WINDOW
from base.web.rules import FLAG, IDENTIFIER, line, texts, whole


class AuthForm(Form):
    """An access token, or a ticket, or a key with a signature of `GET /api/v1/ws`."""

    token: Annotated[str | None, line(4000)] = None
    ticket: Annotated[str | None, line(1000)] = None
    api_key: Annotated[str | None, line(64)] = None
    timestamp: Annotated[int | None, whole(0, 10**15 - 1)] = None
    recv_window: Annotated[int | None, whole(1, LONGEST_WINDOW)] = None
    signature: Annotated[str | None, line(LONGEST)] = None

    @property
    def signed(self) -> dict[str, str] | None:
        """The headers that a signed request would have."""
        if self.api_key is None:
            return None
        values = (self.api_key, self.timestamp, self.recv_window, self.signature)
        return {name: "" if value is None else str(value) for name, value in zip(HEADERS, values, strict=True)}


class SubscribeForm(Form):
    """Channels, and the id of the message of `orders` that was seen last."""

    channels: Annotated[list[str] | None, texts(r"[!-~]{1,64}", 64, MOST_CHANNELS)] = None
    last_event_id: Annotated[str | None, line(4000)] = None


class UnsubscribeForm(Form):
    """Channels."""

    channels: Annotated[list[str] | None, texts(r"[!-~]{1,64}", 64, MOST_CHANNELS)] = None


class CancelForm(Form):
    """The order to cancel."""

    order_id: Annotated[int, IDENTIFIER]


class DisconnectForm(Form):
    """Whether the orders of this socket are cancelled when it goes."""

    enabled: Annotated[bool, FLAG]


class NothingForm(Form):
    """No field."""
