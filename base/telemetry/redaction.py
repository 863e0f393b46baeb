"""What must not stand in a log: whatever is found under a telling name, and what looks like a token or a password."""

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import quote

import orjson

REDACTED = "[redacted]"
# Shorter ones would be found in innocent words.
SHORTEST_SECRET = 6

_NAMES = (
    "passw(?:or)?d|passphrase|secret|token|ticket|authori[sz]ation|cookie|signature|credential"
    "|api[_-]?key|signing[_-]?key|session[_-]?(?:id|key)"
)
_NAME = re.compile(_NAMES, re.IGNORECASE)
# A line with none of these, in small letters, has nothing to hide: almost every line.
_SUSPECT = (
    *("passw", "passphrase", "secret", "token", "ticket", "authori", "cookie", "signature", "credential"),
    *("apikey", "api_key", "api-key", "signing", "session", "eyj", "://", "bearer"),
)
# Nothing below looks at a text again and again, however it was made up: names begin where a word does and are not given
# back, and what is looked for without knowing its end is bounded.
# A JSON web token, also the beginning of one that was cut off.
_JWT = re.compile(r"eyJ[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*){0,2}")
# Up to the last @: a password may contain one.
_URL = re.compile(r"(://[^\s:@/\"']{0,128}):[^\s\"']{0,256}@")
_BEARER = re.compile(r"(bearer\s{1,8})[\w.~+/=:-]+", re.IGNORECASE)
_COOKIES = re.compile(r"(cookie[\"']?\s{0,8}[:=,]\s{0,8})[^\r\n]+", re.IGNORECASE)
# name=, name: , "name": and ('name', , also where the quotes are escaped.
_ASSIGNMENT = re.compile(r"(?<![\w.-])([\w.-]++)(?:\\{0,8}[\"']?\s{0,8}[=:]\s{0,8}|\\{0,8}[\"']\s{0,8},\s{0,8})")
# The value, in quotes of its own, in escaped ones, or up to what ends a word.
_VALUE = re.compile(
    r"""b?"(?:[^"\\]|\\.)*+"?|b?'(?:[^'\\]|\\.)*+'?|\\++["'].*?(?:(?<!\\)\\++["']|$)
    |(?:(?:bearer|basic|digest)\s{1,8})?[^\s,;&"'<>)\]}]+""",
    re.IGNORECASE | re.VERBOSE | re.DOTALL,
)


@lru_cache(maxsize=4096)
def is_telling(name: str) -> bool:
    """Whether what has this name is a secret."""
    return _NAME.search(name) is not None


class Redactor:
    """Takes secrets out of what is logged. `hide` names some of this process's own, to be found wherever they stand."""

    def __init__(self) -> None:
        self._secrets: tuple[str, ...] = ()
        self._as_rendered: tuple[str, ...] = ()

    def hide(self, secrets: Iterable[str]) -> None:
        """Never let these texts be logged, as they are or as part of an address."""
        known = {secret for secret in secrets if len(secret) >= SHORTEST_SECRET}
        known |= {quote(secret, safe="") for secret in known}
        # The longest first: one may be part of another.
        self._secrets = tuple(sorted({*self._secrets, *known}, key=lambda text: (-len(text), text)))
        self._as_rendered = tuple(orjson.dumps(secret).decode()[1:-1] for secret in self._secrets)

    def is_suspect(self, line: str) -> bool:
        """Whether the rendered line could hold a secret: a quick look that most lines pass."""
        small = line.lower()
        return any(word in small for word in _SUSPECT) or any(secret in line for secret in self._as_rendered)

    def value(self, value: Any) -> Any:
        """The value without secrets, however deep they are; what is not JSON's becomes text."""
        if isinstance(value, Mapping):
            return {str(name): self._named(str(name), each) for name, each in value.items()}
        if isinstance(value, list | tuple | set | frozenset):
            return [self.value(each) for each in value]
        if value is None or isinstance(value, bool | int | float):
            return value
        return self.text(value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value))

    def text(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, REDACTED)
        text = _JWT.sub(REDACTED, text)
        text = _URL.sub(rf"\1:{REDACTED}@", text)
        text = _COOKIES.sub(rf"\1{REDACTED}", text)
        text = _without_values(text)
        return _BEARER.sub(rf"\1{REDACTED}", text)

    def _named(self, name: str, value: Any) -> Any:
        return REDACTED if is_telling(name) and value not in (None, "") else self.value(value)


def _without_values(text: str) -> str:
    """The text with what is assigned to telling names taken out."""
    kept, place = [], 0
    for assigned in _ASSIGNMENT.finditer(text):
        if assigned.start() < place or not is_telling(assigned[1]):
            continue
        value = _VALUE.match(text, assigned.end())
        if value is not None:
            kept += [text[place : assigned.end()], REDACTED]
            place = value.end()
    return "".join([*kept, text[place:]])
