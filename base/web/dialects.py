"""Paths that speak as another exchange does: how a request signs in there, and how a refusal reads.

An application that serves such paths registers them. Whatever refuses a request before its view (the rate limit, the
front door, Django) then does so in their words, and whoever signs in there is counted as everybody else.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from django.http import HttpRequest

from base.web.refusal import ExchangeError

E = TypeVar("E", bound=ExchangeError)


@dataclass(frozen=True, slots=True)
class Dialect:
    """All paths under `root`. `sign_in` is what came of signing in, as an authentication of the framework returns it;
    `body` is the answer that refuses.
    """

    root: str
    sign_in: Callable[[HttpRequest], tuple[Any, Any] | None]
    body: Callable[[ExchangeError], dict[str, Any]]


_registered: list[Dialect] = []


def register(dialect: Dialect) -> None:
    _registered.append(dialect)


def dialect_of(path: str) -> Dialect | None:
    return next((each for each in _registered if path.startswith(each.root)), None)


def in_words_of(path: str, refusal: E) -> E:
    """The refusal, which reads as those of the path."""
    dialect = dialect_of(path)
    if dialect is not None:
        refusal.foreign_body = dialect.body(refusal)
    return refusal
