"""Bybit's REST envelope, and the values in its objects.

Every answer is ``{"retCode":0,"retMsg":"OK","result":{...},"retExtInfo":{},"time":1671017382656}``. Numbers in objects
are text, "" where there is none, perhaps padded with zeros; ids are text of 19 digits, times text of milliseconds.
A number that comes as a JSON number is read as exactly as its text.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, TypeVar

import msgspec
from msgspec import Meta, Struct

from thespian_connector.model import dec
from thespian_connector.model.errors import ServerFault

MS = 1_000_000
#: Times that do not fit 63 bits as nanoseconds are no times of any venue.
Ms = Annotated[int, Meta(ge=0, le=(2**63 - 1) // MS)]
#: All that a message can raise that is not what it should be.
BAD = (msgspec.MsgspecError, ValueError, TypeError, ArithmeticError, RecursionError)
#: Longer ones are no ids: order ids have about 19 digits, link ids at most 36 characters, execution ids less.
_ID_CHARS_MAX = 128


class _Answer(Struct, rename="camel"):
    ret_code: int
    result: msgspec.Raw
    time: Ms = 0


_T = TypeVar("_T")


def result(body: bytes, kind: type[_T], what: str) -> tuple[_T, int]:
    """The result of a good answer as `kind`, and when the venue answered (ms).

    :raises ServerFault: it is something else.
    """
    try:
        answer = msgspec.json.decode(body, type=_Answer)
        if answer.ret_code == 0:
            return msgspec.json.Decoder(kind, float_hook=Decimal).decode(answer.result), answer.time
    except BAD:
        pass  # the body is not what was asked for, which is what is raised
    raise fault(what)


def fault(what: str) -> ServerFault:
    return ServerFault(f"the answer is not {what}", exchange="bybit", status=200)


def signed_amount(value: object, field: str) -> Decimal | None:
    """None for "" and null, which say that there is none.

    :raises ValueError, TypeError: no exact number.
    """
    if value is None or value == "":
        return None
    if not isinstance(value, str | int | Decimal):
        raise TypeError(f"{field}: a {type(value).__name__} is no number")
    return dec(value, field)


def amount(value: object, field: str) -> Decimal | None:
    """:raises ValueError, TypeError: no exact number, or a negative one."""
    number = signed_amount(value, field)
    if number is not None and number < 0:
        raise ValueError(f"{field}: {number} is negative")
    return number


def positive(value: object, field: str) -> Decimal | None:
    """None for zero as well: Bybit writes "0" and "0.0" where an order has no such price."""
    return amount(value, field) or None


def identity(value: object, field: str) -> str:
    """An id, "" for one that is not told.

    :raises ValueError, TypeError: it is none.
    """
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise TypeError(f"{field}: a {type(value).__name__} is no id")
    name = str(value)
    if len(name) > _ID_CHARS_MAX or not name.isprintable():
        raise ValueError(f"{field}: no id")
    return name


def known_identity(value: object, field: str) -> str:
    """:raises ValueError, TypeError: it is none, or not told."""
    name = identity(value, field)
    if not name:
        raise ValueError(f"{field}: none")
    return name


def time_ns(value: object) -> int:
    """Of milliseconds, text or number; 0 where that tells no time. A fill counts, whenever it was."""
    if isinstance(value, str):
        return nanoseconds(value, MS) or 0
    if isinstance(value, bool) or not isinstance(value, int):
        return 0
    return value * MS if 0 <= value < 2**63 // MS else 0


def nanoseconds(value: str, unit: int) -> int | None:
    """Text of digits in `unit` nanoseconds; None for anything else and for a time that no 63 bits hold."""
    if not (value.isascii() and value.isdigit() and len(value) <= 19):
        return None
    time = int(value) * unit
    return time if time < 2**63 else None
