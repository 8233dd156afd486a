"""Money is exact, has one spelling, and is never a float."""

from __future__ import annotations

import decimal
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thespian_connector.model import (
    CONTEXT,
    canonical,
    dec,
    is_multiple,
    quantize_down,
    quantize_half_even,
    quantize_up,
    text,
)

#: Few enough digits that every multiple of a step next to them has at most 34.
numbers = st.builds(
    lambda coefficient, places: Decimal(coefficient).scaleb(-places, CONTEXT),
    st.integers(-(10**20), 10**20),
    st.integers(0, 30),
)
steps = st.builds(
    lambda coefficient, places: Decimal(coefficient).scaleb(-places, CONTEXT),
    st.integers(1, 10**6),
    st.integers(0, 12),
)


@pytest.mark.parametrize(
    ("written", "spelled"),
    [
        ("60000.1", "60000.1"),
        ("0.10000000", "0.1"),
        ("1.000", "1"),
        ("100", "100"),
        ("-0.50", "-0.5"),
        ("-0", "0"),
        ("-0.000", "0"),
        ("0E-8", "0"),
        ("0E+20", "0"),
        ("1e3", "1000"),
        ("1E-7", "0.0000001"),
        ("+5", "5"),
        ("00012.50", "12.5"),
        (".5", "0.5"),
        (0, "0"),
        (-12, "-12"),
        (10**20, "100000000000000000000"),
        (Decimal("2.50"), "2.5"),
    ],
)
def test_every_number_has_one_spelling(written: str | int | Decimal, spelled: str) -> None:
    number = dec(written)
    assert text(number) == spelled
    assert repr(dec(spelled)) == repr(number), "equal numbers are the same record"


@pytest.mark.parametrize("value", [0.1, 1.0, float("nan"), True, False, None, b"1", [1], Fraction(1, 2), 1 + 0j])
def test_what_is_not_money_is_a_type_error_that_says_what_to_write(value: object) -> None:
    with pytest.raises(TypeError, match=r"price: a \w+ is not money; pass a str, an int or a Decimal"):
        dec(value, "price")  # type: ignore[arg-type] # that is the test


@pytest.mark.parametrize(
    "value",
    [
        *("", " ", "1 ", " 1", "1\n", "1_000", "1,5", "x", "0x10", "--1", "1.2.3", "٣", "１", "½", "1" * 35),
        *("NaN", "sNaN", "Infinity", "-inf", "1e65", "1e-65", "1e1000000000000000000"),
        "1.00000000000000000000000000000000015",
        pytest.param("9" * 100_000, id="huge"),
        pytest.param("x" * 100_000, id="huge nonsense"),
    ],
)
def test_text_that_is_no_number_of_ours_is_a_value_error(value: str) -> None:
    with pytest.raises(ValueError, match="price: ") as caught:
        dec(value, "price")
    assert len(str(caught.value)) < 200, "a message never repeats a whole hostile text"


@pytest.mark.parametrize("value", [Decimal("NaN"), Decimal("sNaN"), Decimal("Infinity"), Decimal("1e400"), 10**40])
def test_numbers_out_of_range_are_value_errors(value: Decimal | int) -> None:
    with pytest.raises(ValueError, match=r"^value: "):
        dec(value)


def test_thirty_four_digits_are_kept_and_thirty_five_refused() -> None:
    kept = "1234567890123456789012345678901234"
    assert text(dec(kept)) == kept
    assert text(dec("0." + kept)) == "0." + kept
    with pytest.raises(ValueError, match="34 significant digits"):
        dec(kept + "5")


def test_the_callers_own_context_changes_nothing() -> None:
    with decimal.localcontext(decimal.Context(prec=3, rounding=decimal.ROUND_UP)):
        assert text(dec("123456.789")) == "123456.789"
        assert text(canonical(Decimal("123456.7890"))) == "123456.789"
        assert text(quantize_down(Decimal("123456.789"), Decimal("0.01"))) == "123456.78"
        assert text(quantize_up(Decimal("123456.781"), Decimal("0.01"))) == "123456.79"
        assert not is_multiple(Decimal("123456.789"), Decimal("0.01"))


def test_the_context_traps_what_could_hide_a_wrong_number() -> None:
    for dividend in (0, 1):
        with pytest.raises(decimal.DecimalException):
            CONTEXT.divide(Decimal(dividend), Decimal(0))
    with pytest.raises(decimal.FloatOperation):
        CONTEXT.create_decimal(0.1)


@given(numbers)
def test_text_and_number_are_the_same_thing(number: Decimal) -> None:
    spelled = text(number)
    assert Decimal(spelled) == number
    assert repr(dec(spelled)) == repr(canonical(number))
    assert text(dec(spelled)) == spelled
    assert "E" not in spelled
    assert "e" not in spelled
    assert not (("." in spelled) and spelled.endswith(("0", ".")))
    assert not spelled.startswith(("+", "-0") if "." not in spelled else ("+",))


@given(st.text(max_size=12))
def test_any_text_is_a_number_or_a_value_error(value: str) -> None:
    try:
        number = dec(value)
    except ValueError:
        return
    assert number.is_finite()
    assert Decimal(text(number)) == number == Decimal(value)


@given(numbers, steps)
def test_quantising_finds_the_neighbouring_multiples(value: Decimal, step: Decimal) -> None:
    down, up = quantize_down(value, step), quantize_up(value, step)
    assert Fraction(down) <= Fraction(value) <= Fraction(up)
    assert Fraction(value) - Fraction(down) < Fraction(step)
    assert Fraction(up) - Fraction(value) < Fraction(step)
    for multiple in (down, up):
        assert Fraction(multiple) % Fraction(step) == 0
        assert is_multiple(multiple, step)
        assert repr(multiple) == repr(canonical(multiple))
    assert is_multiple(value, step) == (down == up)
    assert quantize_half_even(value, step) == round(Fraction(value) / Fraction(step)) * Fraction(step)


@pytest.mark.parametrize(
    ("value", "step", "down", "up", "half_even"),
    [
        ("0.30", "0.1", "0.3", "0.3", "0.3"),
        ("0.37", "0.25", "0.25", "0.5", "0.25"),
        ("0.125", "0.25", "0", "0.25", "0"),
        ("0.375", "0.25", "0.25", "0.5", "0.5"),
        ("-0.1", "0.25", "-0.25", "0", "0"),
        ("7", "3", "6", "9", "6"),
        ("0", "0.1", "0", "0", "0"),
        ("2.999999999999999999999999999999999", "3", "0", "3", "3"),
        ("3.000000000000000000000000000000001", "3", "3", "6", "3"),
        ("1000000000000000000000000000000007", "0.00000001", *["1000000000000000000000000000000007"] * 3),
        ("12345", "1E+2", "12300", "12400", "12300"),
    ],
)
def test_quantising_by_example(value: str, step: str, down: str, up: str, half_even: str) -> None:
    found = [text(f(Decimal(value), Decimal(step))) for f in (quantize_down, quantize_up, quantize_half_even)]
    assert found == [down, up, half_even]


def test_a_grid_however_fine_is_answered() -> None:
    assert is_multiple(Decimal(10) ** 33, Decimal("1e-30"))
    assert not is_multiple(Decimal("1000000000000000000000000000.000001"), Decimal("0.00001"))
    assert is_multiple(Decimal("0.123"), Decimal(0)), "a zero step: the venue does not check"
    assert not is_multiple(Decimal("0.123"), Decimal("0.01"))


@pytest.mark.parametrize("step", ["0", "-0.1"])
def test_a_step_that_is_none_is_refused(step: str) -> None:
    for quantize in (quantize_down, quantize_up, quantize_half_even):
        with pytest.raises(ValueError, match="step: must be positive"):
            quantize(Decimal(1), Decimal(step))


def test_a_multiple_of_too_many_digits_is_refused_not_rounded() -> None:
    with pytest.raises(ValueError, match="34 significant digits"):
        quantize_up(Decimal("191543076436977252322376678686"), Decimal("0.00003"))


def test_absurd_exponents_are_refused_before_they_are_computed() -> None:
    for call in (quantize_down, quantize_up, quantize_half_even, is_multiple):
        with pytest.raises(ValueError, match="exponent"):
            call(Decimal("1e999999"), Decimal("0.1"))
        with pytest.raises(ValueError, match="exponent"):
            call(Decimal("1"), Decimal("1e-999999"))
