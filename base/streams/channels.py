"""Who may read a channel through django-eventstream's own views: nobody."""

from typing import Any

from django_eventstream.channelmanager import ChannelManagerBase


class NobodyReads(ChannelManagerBase):  # type: ignore[misc]
    """Denies by default. Its stock manager lets any client read any channel that it names in `?channel=`.

    Our streams do not ask it: their channels follow from who is signed in, never from what the client names.
    """

    def get_channels_for_request(self, request: Any, view_kwargs: Any) -> set[str]:
        return set()

    def can_read_channel(self, user: Any, channel: str) -> bool:
        return False

    def is_channel_reliable(self, channel: str) -> bool:
        return False
