"""`ccxt.async_support.clearbell`."""

import functools
from collections.abc import Callable
from typing import Any

from ccxt.async_support.base.exchange import Exchange

from .description import entries
from .steps import NAMES, Steps, Unified


class clearbell(Unified, Exchange):  # noqa: N801 - ccxt names classes so
    """The calls of `Unified`, each step awaited."""


def _call(steps: Callable[..., Steps]) -> Callable[..., Any]:
    @functools.wraps(steps)
    async def call(self: clearbell, *args: Any, **kwargs: Any) -> Any:
        taken, answer = steps(self, *args, **kwargs), None
        while True:
            try:
                name, request = taken.send(answer)
            except StopIteration as done:
                return done.value
            method = getattr(self, name)
            answer = await (method(request) if request else method())

    return call


for _name, _entry in entries().items():
    setattr(clearbell, _name, _entry)
for _name in NAMES:
    setattr(clearbell, _name, _call(getattr(Unified, f"{_name}_steps")))
