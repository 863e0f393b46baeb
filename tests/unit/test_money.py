"""Money is exact: nothing is lost between a decimal and its units, and only fees are rounded, upwards."""

from decimal import Decimal
from fractions import Fraction
from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.money import DIGITS, MAX_AMOUNT, MAX_UNITS, UNIT, fee, notional, plain_average, to_decimal, to_units

amounts = st.integers(0, MAX_UNITS)


@pytest.mark.parametrize(
    ("text", "units"),
    [
        ("0", 0),
        ("0.00000001", 1),
        ("1", UNIT),
        ("-2.5", -250_000_000),
        ("1E+2", 100 * UNIT),
        ("1.100000000000", 110_000_000),
        ("123456789012.12345678", 12_345_678_901_212_345_678),
        ("90000000000", MAX_UNITS),
    ],
)
def test_units(text, units):
    assert to_units(Decimal(text)) == units
    assert to_decimal(units) == Decimal(text)


@pytest.mark.parametrize("text", ["0.000000001", "1.123456789", "-0.000000005", "1E-9", "12345678901.123456785"])
def test_more_than_eight_decimals_are_refused_not_rounded(text):
    with pytest.raises(ValueError, match="decimal places"):
        to_units(Decimal(text))


@given(amounts)
def test_there_and_back(units):
    assert to_units(to_decimal(units)) == units
    assert Fraction(to_decimal(units)) == Fraction(units, UNIT)


def test_the_largest_amount_fits_a_signed_64_bit_column():
    assert to_units(MAX_AMOUNT) == MAX_UNITS < 2**63
    assert Decimal(10) ** (20 - DIGITS) > MAX_AMOUNT  # and DECIMAL(20,8)


@given(st.integers(1, 10**6), st.integers(1, 10**6), st.integers(0, DIGITS))
def test_notional_is_exact(ticks, lots, tick_digits):
    """Tick and lot share the eight digits between them, so their product needs no rounding."""
    price, quantity = ticks * 10 ** (DIGITS - tick_digits), lots * 10**tick_digits
    assert Fraction(notional(price, quantity), UNIT) == Fraction(price, UNIT) * Fraction(quantity, UNIT)


@pytest.mark.parametrize(
    ("total", "quantity", "shown"),
    [
        ("15", "1000000000", "0.000000015"),
        ("100", "3", "33.33333333333333"),
        ("200", "3", "66.66666666666667"),
        ("90000000000", "1.5", "60000000000"),
        # Halves go to the even digit: down, and up.
        ("3.00000003", "2", "1.500000015"),
        ("10000000000.00000005", "1", "10000000000"),
        ("10000000000.000015", "1", "10000000000.00002"),
        ("10000000000.000025", "1", "10000000000.00002"),
    ],
)
def test_an_average_has_16_digits(total, quantity, shown):
    total_units, quantity_units = int(Decimal(total).scaleb(DIGITS)), to_units(Decimal(quantity))
    assert plain_average(total_units, quantity_units) == shown


@given(st.integers(0, 10**24), st.integers(1, MAX_UNITS))
def test_an_average_is_the_nearest_of_16_digits(total, quantity):
    exact, shown = Fraction(total, quantity), Fraction(plain_average(total, quantity))
    # Half of the last of 16 digits, relative to the first.
    assert abs(shown - exact) <= exact * Fraction(1, 2 * 10**15)


def test_an_inexact_notional_is_a_bug_and_says_so():
    with pytest.raises(AssertionError, match="not exact"):
        notional(1, 1)


@pytest.mark.parametrize(
    ("received", "rate", "step", "expected"),
    [
        (100 * UNIT, 0, 1, 0),
        (0, 100_000, 1, 0),
        (100 * UNIT, 100_000, 1, 10_000_000),  # 0.1 % of 100, exact
        (1, 100_000, 1, 1),  # a fraction of the smallest unit costs one
        (1000, 100_000, 1, 1),
        (1001, 100_000, 1, 2),
        (100 * UNIT, 100_000, UNIT, UNIT),  # an asset without decimals: at least one whole
        (UNIT, 1, UNIT, UNIT),
        (12_34 * 10**6, 100_000, 10**6, 2 * 10**6),  # cents: 0.01234 becomes 0.02
        (MAX_UNITS, UNIT, 1, MAX_UNITS),  # all of it, at the largest amount
    ],
)
def test_fee_is_rounded_up_at_the_scale_of_the_asset(received, rate, step, expected):
    assert fee(received, rate, step) == expected


@given(amounts, st.integers(0, UNIT), st.sampled_from([1, 10**2, 10**6, UNIT]))
def test_fee_is_the_smallest_step_not_below_the_exact_one(received, rate, step):
    exact = Fraction(received, 1) * Fraction(rate, UNIT)
    assert fee(received, rate, step) == ceil(exact / step) * step


@given(st.integers(0, 10**9), st.integers(0, UNIT), st.sampled_from([1, 10**2, 10**6, UNIT]))
def test_fee_never_exceeds_what_is_received(steps, rate, step):
    """What is received is a multiple of the asset's step, so that even the smallest fill can pay its fee."""
    assert 0 <= fee(steps * step, rate, step) <= steps * step
