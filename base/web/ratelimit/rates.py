"""The settings of the rate limit, as they are written."""

import re

from django.core.exceptions import ImproperlyConfigured

# Each request that was let in is remembered for a second, so a limit costs memory and has one itself.
MOST_PER_SECOND = 10_000


def parse_rate(name: str, text: str) -> int | None:
    """Requests a second from "10/s"; None from "off". Raises ImproperlyConfigured."""
    if text == "off":
        return None
    match = re.fullmatch(r"([1-9][0-9]{0,4})/s", text, re.ASCII)
    if match is None or int(match[1]) > MOST_PER_SECOND:
        raise ImproperlyConfigured(f"{name} is {text!r}, it must be off, or 1/s to {MOST_PER_SECOND}/s")
    return int(match[1])


def parse_proxies(name: str, number: int) -> int:
    """How many proxies of our own stand in front. Raises ImproperlyConfigured."""
    if number < 0:
        raise ImproperlyConfigured(f"{name} is {number}, it must not be negative")
    return number
