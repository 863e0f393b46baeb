"""Parameters of the Binance-compatible calls: read from the query and the form together, and refused in their words.

Whatever is not a parameter of the call, comes twice, is empty or is no such value is refused, and nothing is done: a
slip of the pen must not place another order than the one that was meant.
"""

import json
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qsl

from base.web.queries import FIRST_YEAR, LAST_YEAR
from binance_api.errors import Refused, missing
from binance_api.symbols import market_named, markets_named
from core.money import DIGITS
from markets.models import Market

Pairs = list[tuple[str, str]]
Reader = Callable[[str, str], Any]

# More than any call has.
MOST_PARAMETERS = 100
MOST_SYMBOLS = 500
# What a client may call its order. Binance takes a slash beside these, which the path of our own API has no place for.
CLIENT_ORDER_ID = r"^[\.A-Z\:a-z0-9_-]{1,36}$"
_DECIMAL = r"^([0-9]{1,12})(\.[0-9]{1,20})?$"
_NUMBER = "^[0-9]{1,19}$"
_LARGEST = 2**63 - 1
_SYMBOLS = r"""^\["[A-Z0-9-_.]{1,33}"(,"[A-Z0-9-_.]{1,33}"){0,}\]$"""


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a call: how its text is read, and what it is where it was not sent."""

    name: str
    read: Reader
    is_required: bool = False
    default: Any = None


Values = Mapping[str, Any]


def parse_pairs(text: bytes) -> Pairs:
    """The names and values of a query or a form. Raises Refused."""
    try:
        return parse_qsl(text.decode("ascii", "replace"), keep_blank_values=True, max_num_fields=MOST_PARAMETERS)
    except ValueError as error:
        raise Refused(-1101, "Too many parameters sent for this endpoint.") from error


def read_parameters(declared: Sequence[Parameter], sent: Pairs, unread: Callable[[int, int], Refused]) -> Values:
    """The values of all that is declared. `unread` is the refusal of what is not. Raises Refused."""
    times = Counter(name for name, _ in sent)
    if any(number > 1 for number in times.values()):
        raise Refused(-1101, "Duplicate values for a parameter detected.")
    texts, known = dict(sent), {each.name for each in declared}
    if texts.keys() - known:
        raise unread(len(texts.keys() & known), len(texts))
    return {each.name: _value(each, texts.get(each.name)) for each in declared}


def too_many(read: int, sent: int) -> Refused:
    """Of a call that is not signed."""
    return Refused(-1101, f"Too many parameters; expected '{read}' and received '{sent}'.")


def not_all_read(read: int, sent: int) -> Refused:
    """Of one that is."""
    words = f"Not all sent parameters were read; read '{read}' parameter(s) but was sent '{sent}'."
    return Refused(-1104, words)


def _value(parameter: Parameter, text: str | None) -> Any:
    if text is None:
        if parameter.is_required:
            raise missing(parameter.name)
        return parameter.default
    if not text:
        raise Refused(-1105, f"Parameter '{parameter.name}' was empty.")
    return parameter.read(parameter.name, text)


def illegal(name: str, legal: str) -> Refused:
    return Refused(-1100, f"Illegal characters found in parameter '{name}'; legal range is '{legal}'.")


def not_together(why: str = "") -> Refused:
    """Parameters that are right one by one. `why` in words, where Binance's do not say it."""
    return Refused(-1128, "Combination of optional parameters invalid" + (f": {why}." if why else "."))


def not_valid(name: str) -> Refused:
    return Refused(-1130, f"Data sent for parameter '{name}' is not valid.")


def text(legal: str) -> Reader:
    """Text that the pattern describes as a whole."""
    pattern = re.compile(legal, re.ASCII)

    def read(name: str, given: str) -> str:
        if pattern.fullmatch(given) is None or "\n" in given:
            raise illegal(name, legal)
        return given

    return read


def word(words: Mapping[str, Any], refusal: Refused | None = None) -> Reader:
    """One of these words, and what it stands for."""

    def read(name: str, given: str) -> Any:
        if given not in words:
            # A new one each time, because an exception keeps the traceback of where it was raised.
            raise not_valid(name) if refusal is None else Refused(refusal.number, refusal.words)
        return words[given]

    return read


def amount(name: str, given: str) -> Decimal:
    """A decimal above zero."""
    value = amount_or_zero(name, given)
    if not value:
        raise Refused(-1013, f"Invalid {name}.")
    return value


def amount_or_zero(name: str, given: str) -> Decimal:
    text(_DECIMAL)(name, given)
    value = Decimal(given)
    if value != round(value, DIGITS):
        raise Refused(-1111, f"Parameter '{name}' has too much precision.")
    return value


def number(name: str, given: str) -> int:
    """A whole number. None that a row may have is larger than the largest."""
    text(_NUMBER)(name, given)
    return min(int(given), _LARGEST)


def whole(least: int, most: int) -> Reader:
    def read(name: str, given: str) -> int:
        value = number(name, given)
        if not least <= value <= most:
            raise not_valid(name)
        return value

    return read


def size(most: int, default: int) -> Parameter:
    """How many rows are wanted: of more than there may be, as many as there may be."""

    def read(name: str, given: str) -> int:
        value = number(name, given)
        if not value:
            raise not_valid(name)
        return min(value, most)

    return Parameter("limit", read, default=default)


def instant(name: str, given: str) -> datetime:
    """Milliseconds since 1970. What is long before or long after all rows is that."""
    value = number(name, given)
    first, last = datetime(FIRST_YEAR, 1, 1, tzinfo=UTC), datetime(LAST_YEAR, 12, 31, tzinfo=UTC)
    least, most = (int(bound.timestamp() * 1000) for bound in (first, last))
    return first if value <= least else last if value >= most else datetime.fromtimestamp(value / 1000, UTC)


def market(_name: str, given: str) -> Market:
    return market_named(given)


def markets(name: str, given: str) -> list[Market]:
    """A list in JSON: `["BTCUSD","ETHUSD"]`."""
    try:
        listed = json.loads(given)
    except (ValueError, RecursionError) as error:
        raise illegal(name, _SYMBOLS) from error
    if not isinstance(listed, list) or not listed or not all(isinstance(each, str) for each in listed):
        raise illegal(name, _SYMBOLS)
    if len(listed) > MOST_SYMBOLS:
        raise Refused(-1101, f"Too many values sent for parameter '{name}', maximum allowed up to {MOST_SYMBOLS}.")
    return markets_named(listed)


FLAG = word({"true": True, "false": False, "TRUE": True, "FALSE": False})
SYMBOL = Parameter("symbol", market, is_required=True)
ONE_SYMBOL, SOME_SYMBOLS = Parameter("symbol", market), Parameter("symbols", markets)
START, END = Parameter("startTime", instant), Parameter("endTime", instant)
