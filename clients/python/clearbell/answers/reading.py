"""How answers are read: frozen dataclasses from JSON, amounts as exact decimals, times with their zone.

A field is found under its name in camel case. A field that this version does not know is passed over, and one that has
a default may be missing, so that client and exchange need not be of the same age.
"""

import types
import typing
from collections.abc import Callable, Hashable, Mapping
from dataclasses import MISSING, fields, is_dataclass
from datetime import datetime
from decimal import Decimal
from functools import cache
from typing import Any, TypeVar, Union

from ..errors import NotUnderstood
from ..terms import camel

T = TypeVar("T")
Read = Callable[[Any], Any]


def read_as(kind: type[T], value: Any) -> T:
    """Raises NotUnderstood where the value is no such thing."""
    try:
        made: T = reader(typing.cast(Hashable, kind))(value)
    except (KeyError, TypeError, ValueError, ArithmeticError, AttributeError) as error:
        raise NotUnderstood(f"no {kind.__name__}: {error!r} in {str(value)[:200]}") from error
    return made


@cache
def reader(kind: Any) -> Read:
    """What makes a value of this type from its JSON. Types with nothing to convert share `_as_it_is`."""
    if is_dataclass(kind):
        return _of_dataclass(typing.cast(type, kind))
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (Union, types.UnionType):
        return _or_none(reader(next(each for each in arguments if each is not type(None))))
    if origin is tuple:
        return _all_of(reader(arguments[0]))
    if origin is Mapping:
        return _values_of(reader(arguments[1]))
    return _SIMPLE.get(kind, _as_it_is)


def _of_dataclass(kind: type) -> Read:
    hints = typing.get_type_hints(kind)
    plan = [
        (camel(each.name), reader(hints[each.name]), each.default is MISSING and each.default_factory is MISSING)
        for each in fields(kind)
    ]
    defaults = {camel(each.name): each.default for each in fields(kind) if each.default is not MISSING}

    def read(value: Any) -> Any:
        made = []
        for name, convert, is_needed in plan:
            if name in value:
                found = value[name]
                made.append(found if convert is _as_it_is else convert(found))
            elif is_needed:
                raise KeyError(name)
            else:
                made.append(defaults[name])
        return kind(*made)

    return read


def _as_it_is(value: Any) -> Any:
    return value


def _or_none(convert: Read) -> Read:
    return convert if convert is _as_it_is else lambda value: None if value is None else convert(value)


def _all_of(convert: Read) -> Read:
    return lambda values: tuple([convert(value) for value in values])


def _values_of(convert: Read) -> Read:
    return lambda values: {name: convert(value) for name, value in values.items()}


_SIMPLE: Mapping[Any, Read] = {Decimal: Decimal, datetime: datetime.fromisoformat}
