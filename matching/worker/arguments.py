"""The arguments of a message, which whoever can write into a queue may choose.

Of another shape than the task's, they are dropped before the task begins.
"""

import functools
import inspect
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar, get_type_hints

from pydantic import TypeAdapter, ValidationError

from base.telemetry.malformed import TASK, drop_malformed

P = ParamSpec("P")
R = TypeVar("R")


def checked(function: Callable[P, R]) -> Callable[P, R | None]:
    """Call the function only with arguments that are of its declared types, as JSON gives them."""
    signature = inspect.signature(function)
    hints = get_type_hints(function, include_extras=True)
    readers: dict[str, TypeAdapter[Any]] = {name: TypeAdapter(hints[name]) for name in signature.parameters}

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R | None:
        try:
            for name, value in signature.bind(*args, **kwargs).arguments.items():
                readers[name].validate_python(value, strict=True)
        except ValidationError as error:
            # Its text has the value in it.
            drop_malformed(TASK, f"{function.__name__}: {error.errors()[0]['msg']}")
            return None
        except TypeError as error:
            drop_malformed(TASK, f"{function.__name__}: {error}")
            return None
        return function(*args, **kwargs)

    return call
