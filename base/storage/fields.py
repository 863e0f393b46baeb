"""Model fields whose meaning must not depend on the database behind them: exact money and exact keys."""

from decimal import Decimal
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from django import forms
from django.core.exceptions import ValidationError
from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper

from core.money import DIGITS, UNIT, plain, to_decimal, to_units

MAX_DIGITS = 20

# Django's fields are generic for the type checker only.
if TYPE_CHECKING:
    _AmountBase = models.Field[Any, Any]
    _CharBase = models.CharField[Any, Any]
    _EmailBase = models.EmailField[Any, Any]
else:
    _AmountBase, _CharBase, _EmailBase = models.Field, models.CharField, models.EmailField


class AmountField(_AmountBase):
    """An exact decimal with eight places: DECIMAL(20,8) on MySQL and MariaDB, an integer of 1e-8 units on SQLite.

    SQLite keeps decimals as floats: 123456789012.12345678 comes back as ...123 and a conditional debit can match no
    row. It is not a DecimalField because Django casts those to SQLite's NUMERIC on the way.
    """

    empty_strings_allowed = False

    def get_internal_type(self) -> str:
        return "AmountField"

    def db_type(self, connection: BaseDatabaseWrapper) -> str:
        return "bigint" if connection.vendor == "sqlite" else f"decimal({MAX_DIGITS},{DIGITS})"

    def rel_db_type(self, connection: BaseDatabaseWrapper) -> str:
        return self.db_type(connection)

    def to_python(self, value: Any) -> Decimal | None:
        if value is None or isinstance(value, Decimal):
            return value
        try:
            return Decimal(str(value))
        except ArithmeticError as error:
            raise ValidationError(f"{value!r} is not a decimal number") from error

    def get_db_prep_value(self, value: Any, connection: BaseDatabaseWrapper, prepared: bool = False) -> Any:
        amount = self.to_python(value) if not hasattr(value, "as_sql") else value
        if not isinstance(amount, Decimal):
            return amount
        return to_units(amount) if connection.vendor == "sqlite" else amount

    def get_db_prep_save(self, value: Any, connection: BaseDatabaseWrapper) -> Any:
        return value if hasattr(value, "as_sql") else self.get_db_prep_value(value, connection)

    def from_db_value(self, value: Any, _expression: Any, connection: BaseDatabaseWrapper) -> Decimal | None:
        if value is None:
            return None
        return to_decimal(value) if connection.vendor == "sqlite" else Decimal(value)

    def value_to_string(self, obj: models.Model) -> str:
        value = self.value_from_object(obj)
        return "" if value is None else plain(value)

    def formfield(self, **kwargs: Any) -> Any:
        return super().formfield(
            **{"form_class": forms.DecimalField, "max_digits": MAX_DIGITS, "decimal_places": DIGITS, **kwargs}
        )


# The function by which SQLite adds turnovers.
TURNOVER_SUM = "turnover_sum"


class TurnoverField(AmountField):
    """A sum of what changed hands. The same money may pass many times, so no cap on supply bounds it.

    DECIMAL(38,8) on MySQL and MariaDB, a text on SQLite: it is added up by a function of ours, never by SQL's plus.
    """

    def db_type(self, connection: BaseDatabaseWrapper) -> str:
        return "varchar(40)" if connection.vendor == "sqlite" else f"decimal(38,{DIGITS})"

    def get_db_prep_value(self, value: Any, connection: BaseDatabaseWrapper, prepared: bool = False) -> Any:
        turnover = self.to_python(value)
        return plain(turnover) if turnover is not None and connection.vendor == "sqlite" else turnover

    def from_db_value(self, value: Any, _expression: Any, _connection: BaseDatabaseWrapper) -> Decimal | None:
        return None if value is None else Decimal(value)


class AmountSum(models.Sum):
    """The exact sum of amounts that are not negative, however large.

    SQLite adds 64-bit integers and stops at an overflow: there, whole units and the rest are added apart.
    """

    def __init__(self, expression: Any, **extra: Any) -> None:
        super().__init__(expression, output_field=TurnoverField(), **extra)

    def as_sqlite(self, compiler: Any, connection: BaseDatabaseWrapper, **_: Any) -> tuple[str, Any]:
        operand, parameters = compiler.compile(self.get_source_expressions()[0])
        whole, rest = f"SUM(({operand}) / {UNIT})", f"SUM(({operand}) %% {UNIT})"
        text = f"({whole} + {rest} / {UNIT}) || '.' || printf('%%0{DIGITS}d', {rest} %% {UNIT})"
        return text, (*parameters, *parameters, *parameters)


def amount(value: Decimal) -> models.Value:
    """An amount as an operand beside F(): stored money has the database's own form on SQLite."""
    return models.Value(value, output_field=AmountField())


class _ExactText:
    """Compares by code point, case, accents and trailing blanks included: `abc`, `ABC` and `ábc` are three keys.

    The default collations of MySQL and MariaDB call them one, so another user's key would answer for yours.
    """

    def db_parameters(self, connection: BaseDatabaseWrapper) -> dict[str, Any]:
        parameters: dict[str, Any] = super().db_parameters(connection)  # type: ignore[misc]
        if connection.vendor == "mysql":
            is_mariadb = connection.mysql_is_mariadb  # type: ignore[attr-defined]
            parameters["collation"] = "utf8mb4_nopad_bin" if is_mariadb else "utf8mb4_0900_bin"
        return parameters


class KeyField(_ExactText, _CharBase):
    """A text that identifies: symbols, client order ids, references."""


def caseless(text: str) -> str:
    """The text as it is compared where case does not count. It never gets longer, so that it fits a column as long."""
    return "".join(_fold(letter) for letter in text)


def _fold(letter: str) -> str:
    return next((folded for folded in (letter.casefold(), letter.lower()) if len(folded) == 1), letter)


class CaselessKeyField(KeyField):
    """The key by which the texts of another field, `source`, are unique whatever their case. It follows that field.

    Texts of before that differed in case only have keys of their own (`exact_key`), and are known exactly alone. No
    text has such a key, because none of a `source` may begin with a blank.
    """

    def __init__(self, source: str, **options: Any) -> None:
        self.source = source
        super().__init__(**{**options, "editable": False})

    def deconstruct(self) -> Any:
        name, path, _, options = super().deconstruct()
        return name, path, [self.source], options

    def pre_save(self, model_instance: models.Model, add: bool) -> str:
        folded, key = caseless(getattr(model_instance, self.source)), getattr(model_instance, self.attname) or ""
        if not key.startswith(_exact_keys(folded)):
            key = folded
            setattr(model_instance, self.attname, key)
        return key


def exact_key(folded: str, pk: int) -> str:
    """The key of one of several texts that differ in case only."""
    return f"{_exact_keys(folded)}{pk}"


def taken(field: str, text: str) -> models.Q:
    """The rows that have taken the text, itself or in another case."""
    folded = caseless(text)
    first = _exact_keys(folded)
    # Up to the code point after the blank.
    return models.Q(**{field: folded}) | models.Q(**{f"{field}__gt": first, f"{field}__lt": f"{first[:-1]}!"})


def _exact_keys(folded: str) -> str:
    return f" {folded} "


class ExactEmailField(_ExactText, _EmailBase):
    """An e-mail address, unique as it was stored."""


def choices_of(words: type[StrEnum]) -> list[tuple[str, str]]:
    """The words of an enumeration as a model field takes them."""
    return [(word.value, word.value) for word in words]
