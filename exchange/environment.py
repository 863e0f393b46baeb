"""The environment, read for the settings: what cannot be read or makes no sense stops the start by its name."""

import re
from collections.abc import Collection, Container
from decimal import Decimal
from typing import Any, TypeVar
from urllib.parse import urlsplit

import environ
from django.core.exceptions import ImproperlyConfigured

from base.web.ratelimit import MOST_PER_SECOND

N = TypeVar("N", int, float)


class _Env(environ.FileAwareEnv):  # type: ignore[misc]
    """Names the variable whose value cannot be read."""

    def get_value(self, var: str, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().get_value(var, *args, **kwargs)
        except (ValueError, OSError) as error:
            raise ImproperlyConfigured(f"{var} cannot be read: {error}") from error


env = _Env()


def choice(name: str, default: str, words: Container[str]) -> str:
    """One of a few words. Raises ImproperlyConfigured for another."""
    word: str = env.str(name, default="") or default
    if word not in words:
        raise ImproperlyConfigured(f"{name} is {word!r}, it must be one of {words}")
    return word


def between(name: str, default: N, least: N, most: N | None = None) -> N:
    """A number of the default's kind. Raises ImproperlyConfigured for less and for more."""
    number: N = env.get_value(name, cast=type(default), default=default)
    if number < least or (most is not None and number > most):
        bounds = f"{least} or more" if most is None else f"from {least} to {most}"
        raise ImproperlyConfigured(f"{name} is {number}, it must be {bounds}")
    return number


def read_address(name: str, default: str, schemes: Collection[str]) -> str:
    """A server's address. Raises ImproperlyConfigured, without the address: there may be a password in it."""
    url: str = env.str(name, default="") or default
    try:
        parts = urlsplit(url)
        is_one = parts.scheme in schemes and parts.port != 0
    except ValueError as error:
        raise ImproperlyConfigured(f"{name} cannot be read: {error}") from error
    if not is_one:
        raise ImproperlyConfigured(f"{name} must begin with one of {', '.join(f'{each}://' for each in schemes)}")
    return url


def read_link(name: str) -> str:
    """The address of another page, or nothing. Raises ImproperlyConfigured for what no browser should follow."""
    url: str = env.str(name, default="")
    if url and not url.startswith(("http://", "https://")):
        raise ImproperlyConfigured(f"{name} is {url!r}, it must begin with http:// or https://")
    return url


def parse_rate(name: str, text: str) -> int | None:
    """Requests a second from "10/s"; None from "off". Raises ImproperlyConfigured."""
    if text == "off":
        return None
    match = re.fullmatch(r"([1-9][0-9]{0,4})/s", text, re.ASCII)
    if match is None or int(match[1]) > MOST_PER_SECOND:
        raise ImproperlyConfigured(f"{name} is {text!r}, it must be off, or 1/s to {MOST_PER_SECOND}/s")
    return int(match[1])


def parse_most(name: str, text: str) -> int | None:
    """How many there may be from "2"; None from "off". Raises ImproperlyConfigured."""
    if text == "off":
        return None
    if re.fullmatch(r"[1-9][0-9]{0,3}", text, re.ASCII) is None:
        raise ImproperlyConfigured(f"{name} is {text!r}, it must be off, or from 1 to 9999")
    return int(text)


def parse_failures(name: str, text: str) -> tuple[int, ...] | None:
    """Three numbers from "5,20,20"; None from "off". Raises ImproperlyConfigured."""
    if text == "off":
        return None
    if re.fullmatch(r"[1-9][0-9]{0,3}(,[1-9][0-9]{0,3}){2}", text, re.ASCII) is None:
        raise ImproperlyConfigured(f"{name} is {text!r}, it must be off, or three numbers from 1 to 9999")
    return tuple(map(int, text.split(",")))


def parse_amounts(name: str, pairs: Collection[str]) -> dict[str, Decimal]:
    """Amounts by asset from "USD:10000". Raises ImproperlyConfigured for what is none, and for an asset named twice."""
    amounts: dict[str, Decimal] = {}
    for pair in pairs:
        match = re.fullmatch(r"([A-Z0-9]{1,16}):([0-9]{1,12}(?:\.[0-9]{1,8})?)", pair.strip(), re.ASCII)
        if match is None or match[1] in amounts:
            raise ImproperlyConfigured(f"{name} has {pair!r}, it must be pairs such as USD:10000, each asset once")
        amounts[match[1]] = Decimal(match[2])
    return amounts


def parse_origins(name: str, origins: Collection[str]) -> frozenset[str]:
    """Origins as browsers send them. Raises ImproperlyConfigured for any other, which would never match."""
    for origin in origins:
        if not re.fullmatch(
            r"https?://[a-z0-9.-]+(:[0-9]{1,5})?|https?://\[[0-9a-f:]+\](:[0-9]{1,5})?", origin, re.ASCII
        ):
            raise ImproperlyConfigured(f"{name} has {origin!r}, an origin is https://name or https://name:port")
    return frozenset(origins)
