"""Exact money.

One decimal context for the whole package: 34 significant digits (IEEE 754 decimal128), half-even, and every signal
that could hide a wrong number is a trap. A float is refused wherever money is expected: ``0.1 + 0.2`` must not reach
an order.
"""

from __future__ import annotations

from decimal import (
    ROUND_HALF_EVEN,
    Context,
    Decimal,
    DivisionByZero,
    FloatOperation,
    InvalidOperation,
    Overflow,
)

DIGITS_MAX = 34
#: Exponents beyond this are no price or quantity of any venue, but a way to make a 1 GB string out of ten bytes.
EXPONENT_MAX = 64

CONTEXT = Context(
    prec=DIGITS_MAX, rounding=ROUND_HALF_EVEN, traps=[InvalidOperation, DivisionByZero, Overflow, FloatOperation]
)
ZERO = Decimal(0)


def dec(value: str | int | Decimal, field: str = "value") -> Decimal:
    """The exact, canonical Decimal of `value`.

    :param field: the name to blame in an error.
    :raises TypeError: a float (or anything else that is not text, an integer or a Decimal).
    :raises ValueError: text that is no finite decimal number, or more than 34 significant digits.
    """
    if isinstance(value, Decimal):
        number = value
    elif isinstance(value, str):
        if "_" in value or not value.isascii() or value != value.strip():
            raise ValueError(f"{field}: {value[:50]!r} is not a decimal number; write it like '60000.1'")
        try:
            number = Decimal(value)
        except InvalidOperation:
            raise ValueError(f"{field}: {value[:50]!r} is not a decimal number; write it like '60000.1'") from None
    elif isinstance(value, int) and not isinstance(value, bool):
        number = Decimal(value)
    else:
        raise TypeError(
            f"{field}: a {type(value).__name__} is not money; pass a str, an int or a Decimal, like '60000.1'"
        )
    if not number.is_finite():
        raise ValueError(f"{field}: {value!s:.50} is not a finite number")
    return canonical(number, field)


def refuse_floats(record: object, *fields: str) -> None:
    """What a record's ``__post_init__`` calls with the fields that hold money: a Decimal, a dict of them, or None.

    :raises TypeError: one holds something else; the message names the record and the field.
    """
    for field in fields:
        value = getattr(record, field)
        if value.__class__ is Decimal or value is None:
            continue  # nearly always
        for one in value.values() if isinstance(value, dict) else (value,):
            if not isinstance(one, Decimal):
                raise TypeError(
                    f"{type(record).__name__}.{field}: a {type(one).__name__} is not money; pass a Decimal,"
                    " like Decimal('60000.1')"
                )


def canonical(number: Decimal, field: str = "value") -> Decimal:
    """`number` with no trailing zeros after the point, no positive exponent, no negative zero.

    :raises ValueError: it has more than 34 significant digits or an absurd exponent.
    """
    sign, digits, exponent = number.as_tuple()
    assert isinstance(exponent, int), "only finite numbers get here"
    if not number:
        return ZERO
    if abs(exponent) > EXPONENT_MAX:
        raise ValueError(f"{field}: the exponent {exponent} is out of range")
    if exponent < 0 and digits[-1] == 0:
        while exponent < 0 and digits[-1] == 0:
            digits, exponent = digits[:-1], exponent + 1
        number = Decimal((sign, digits, exponent))
    elif exponent > 0:
        number = Decimal((sign, digits + (0,) * exponent, 0))
        digits = number.as_tuple().digits
    if len(digits) > DIGITS_MAX:
        raise ValueError(f"{field}: more than {DIGITS_MAX} significant digits")
    return number


def text(number: Decimal) -> str:
    """The one spelling of `number`: no exponent, no trailing zeros, no leading ``+``, ``0`` for any zero."""
    plain = format(number, "f")
    if "." in plain:
        plain = plain.rstrip("0").rstrip(".")
    return "0" if plain in ("-0", "") else plain


def _ratio(value: Decimal, step: Decimal) -> tuple[int, int]:
    """`value` / `step` as integers: exact where a division in 34 digits would round across the next multiple."""
    if step <= 0:
        raise ValueError(f"step: must be positive, not {text(step)}")
    numerator, denominator = canonical(value).as_integer_ratio()
    step_numerator, step_denominator = canonical(step, "step").as_integer_ratio()
    return numerator * step_denominator, denominator * step_numerator


def _times(count: int, step: Decimal) -> Decimal:
    """`count` * `step`, exactly.

    :raises ValueError: that has more than 34 significant digits.
    """
    _, digits, exponent = step.as_tuple()
    return canonical(Decimal(f"{count * int(''.join(map(str, digits)))}E{exponent}"))


def quantize_down(value: Decimal, step: Decimal) -> Decimal:
    """The largest multiple of `step` that is not above `value`: a quantity that we surely have, a bid not too high.

    :raises ValueError: a step that is not positive, a result of more than 34 significant digits.
    """
    numerator, denominator = _ratio(value, step)
    return _times(numerator // denominator, step)


def quantize_up(value: Decimal, step: Decimal) -> Decimal:
    """The smallest multiple of `step` that is not below `value`.

    :raises ValueError: a step that is not positive, a result of more than 34 significant digits.
    """
    numerator, denominator = _ratio(value, step)
    return _times(-(-numerator // denominator), step)


def quantize_half_even(value: Decimal, step: Decimal) -> Decimal:
    """The multiple of `step` nearest to `value`; ties to the even one.

    :raises ValueError: a step that is not positive, a result of more than 34 significant digits.
    """
    numerator, denominator = _ratio(value, step)
    count, rest = divmod(numerator, denominator)
    nearer_up = 2 * rest > denominator or (2 * rest == denominator and count % 2 == 1)
    return _times(count + nearer_up, step)


def is_multiple(value: Decimal, step: Decimal) -> bool:
    """Whether `value` is on the grid of `step`. A zero step means that the venue does not check (Binance filters).

    :raises ValueError: a negative step.
    """
    if not step:
        return True
    numerator, denominator = _ratio(value, step)
    return numerator % denominator == 0
