"""Takes secrets out of a line: telling fields, tokens, queries of addresses, and this process's own secrets."""

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import quote

from structlog.typing import EventDict, WrappedLogger

REDACTED = "[redacted]"
# Shorter ones would be found in ordinary words.
SHORTEST_SECRET = 6

_TELLING = re.compile(
    "passw|passphrase|secret|token|ticket|authori[sz]ation|cookie|signature|credential|(?:api|signing)[_-]?key|session",
    re.IGNORECASE,
)
# What a text must hold before the pattern is tried, the pattern, and what is written in its place. Clients choose the
# texts, so each repetition that may be tried anew is bounded: the time is linear.
_PATTERNS = (
    # A JSON web token, also the beginning of one that was cut off.
    ("eyJ", re.compile(r"eyJ[\w-]{8,}(?:\.[\w-]*){0,2}", re.ASCII), REDACTED),
    # The password in the address of a server, up to the last @, because it may contain one.
    ("://", re.compile(r"(://[^\s:@/\"']{0,128}):[^\s\"']{0,256}@"), rf"\1:{REDACTED}@"),
    # A listen key, which Binance's clients write into a path, or most of one that was cut off. No symbol is so long.
    ("/ws/", re.compile(r"(?<=/)[A-Za-z0-9]{34,}"), REDACTED),
    # The query of a request: a ticket may be in it.
    ("?", re.compile(r"\?[\w.%~-]{1,64}=[^\s\"'<>]*"), f"?{REDACTED}"),
)


class TrustedFields(list[dict[str, Any]]):
    """Facts of our own making, with no text of a client: not searched, because there are thousands a second."""


# A tuple, and not a union, which Python would make anew for each value.
_NOT_SEARCHED = (bool, int, float, TrustedFields)


class Redactor:
    """A processor of structlog. `hide` names secrets of this process, which are then found wherever they stand."""

    def __init__(self) -> None:
        self._secrets: tuple[str, ...] = ()

    def hide(self, secrets: Iterable[str]) -> None:
        """Never log these texts, as they are or as part of an address."""
        known = {secret for secret in secrets if len(secret) >= SHORTEST_SECRET}
        known |= {quote(secret, safe="") for secret in known}
        # The longest first: one may be part of another.
        self._secrets = tuple(sorted(known.union(self._secrets), key=len, reverse=True))

    def __call__(self, _logger: WrappedLogger, _method: str, line: EventDict) -> EventDict:
        return {name: self._field(name, value) for name, value in line.items()}

    def _field(self, name: str, value: Any) -> Any:
        if is_telling(name) and value not in (None, ""):
            return REDACTED
        return self._text(value) if type(value) is str else self._value(value)

    def _value(self, value: Any) -> Any:
        """The value without secrets, however deep they are; what JSON has no type for becomes text."""
        if value is None or isinstance(value, _NOT_SEARCHED):
            return value
        if isinstance(value, Mapping):
            return {str(name): self._field(str(name), each) for name, each in value.items()}
        if isinstance(value, list | tuple | set | frozenset):
            return [self._value(each) for each in value]
        return self._text(value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value))

    def _text(self, text: str) -> str:
        for secret in self._secrets:
            if secret in text:
                text = text.replace(secret, REDACTED)
        for mark, pattern, replacement in _PATTERNS:
            if mark in text:
                text = pattern.sub(replacement, text)
        return text


@lru_cache(maxsize=4096)
def is_telling(name: str) -> bool:
    """Whether the value of a field with this name is a secret."""
    return _TELLING.search(name) is not None
