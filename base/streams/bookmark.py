"""Bookmarks: what the client of a stream sends to go on where it was cut off.

A bookmark names the last message that the client has of each log: "BTC-USD-17,ETH-USD-4". Numbers alone decide what
came later, because clocks step back. A client that knows a single message may send its id, which is a bookmark too.

Once another server has taken over a bookmark begins with the lineage of the rows: "~5f0a3c91,BTC-USD-17".
"""

from collections.abc import Mapping

from base.streams.messages import split_id

# The bookmark of a client that has no message of any log. Not an empty text, with which a browser sends nothing.
EMPTY = "0"
# What fits into a line of a request's head. Of more logs some are left out, and the client gets a reset.
MOST_LOGS = 200
LONGEST = 4000
LINEAGE_MARK = "~"


class Bookmark:
    """The last message of each log that one client has, in this lineage."""

    def __init__(self, last: Mapping[str, int], lineage: str = "") -> None:
        self._last = dict(last)
        self._prefix = f"{LINEAGE_MARK}{lineage}" if lineage else ""

    def move(self, log: str, sequence: int) -> None:
        self._last[log] = max(sequence, self._last.get(log, 0))

    def text(self, log: str | None = None) -> str:
        """The bookmark as the client keeps it. The log that moved stands first."""
        logs = [log, *(other for other in self._last if other != log)] if log in self._last else [*self._last]
        places = (f"{each}-{self._last[each]}" for each in logs[: MOST_LOGS - bool(self._prefix)])
        text = ",".join([self._prefix, *places] if self._prefix else places)
        if len(text) > LONGEST:
            text = text[: text.rindex(",", 0, LONGEST)]
        return text or EMPTY


def read_bookmark(text: str) -> dict[str, int] | None:
    """The last message of each log; None for what is no bookmark."""
    if text == EMPTY:
        return {}
    if len(text) > LONGEST or text.count(",") >= MOST_LOGS:
        return None
    places = text.split(",")
    if text.startswith(LINEAGE_MARK):
        del places[0]
    last: dict[str, int] = {}
    for each in places:
        place = split_id(each)
        if place is None or place[0] in last or "," in place[0]:
            return None
        last[place[0]] = place[1]
    return last


def lineage_of(text: str) -> str:
    """The lineage in which the bookmark was given."""
    return text.partition(",")[0].removeprefix(LINEAGE_MARK) if text.startswith(LINEAGE_MARK) else ""
