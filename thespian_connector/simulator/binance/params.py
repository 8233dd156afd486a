"""A request's parameters, checked in Binance's order and refused in its words."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from decimal import Decimal

import msgspec

from .errors import ApiError, empty, exclusive, illegal, invalid, invalid_symbol, missing
from .settings import ROWS_DEFAULT, ROWS_MAX

_SYMBOL = "^[\\w\\-._&&[^a-z]]{1,50}$"
_SYMBOL_RE = re.compile(r"[A-Z0-9\-._]{1,50}")
_INTEGER_RE = re.compile(r"[0-9]{1,19}")
_DECIMAL_RE = re.compile(r"[0-9]{1,20}(\.[0-9]{1,20})?")
_CLIENT_ID_RE = re.compile(r"[a-zA-Z0-9\-_]{1,36}")
#: Digits after the point that Binance keeps of any asset.
PRECISION = 8
STATUSES = ("TRADING", "HALT", "BREAK")
SYMBOLS_MAX = 100


class Params:
    """The parameters of a request.

    :param known: the endpoint's parameters; another one is refused with -1104.
    :param natives: the venue's symbols.
    """

    def __init__(self, values: Mapping[str, str], known: Collection[str], natives: Collection[str]) -> None:
        self._values = values
        self._natives = natives
        sent = list(values)
        read = [name for name in sent if name in known]
        if len(read) < len(sent):
            raise ApiError(
                -1104,
                f"Not all sent parameters were read; read '{len(read)}' parameter(s) but was sent '{len(sent)}'.",
            )

    def text(self, name: str) -> str | None:
        """The value as it is; None if it was not sent.

        :raises ApiError: -1105, it was sent empty.
        """
        value = self._values.get(name)
        if value == "":
            raise empty(name)
        return value

    def symbol(self) -> str:
        """The one symbol that the endpoint needs."""
        value = self.text("symbol")
        if value is None:
            raise missing("symbol")
        return self._symbol(value)

    def _symbol(self, value: str) -> str:
        if not _SYMBOL_RE.fullmatch(value):
            # Beyond ASCII a symbol is legal (2025-12), so it is merely unknown.
            if value.isascii():
                raise illegal("symbol", _SYMBOL)
            raise invalid_symbol()
        if value not in self._natives:
            raise invalid_symbol()
        return value

    def symbols(self) -> tuple[list[str], bool]:
        """The symbols asked for (all if none is named), and whether it was the one `symbol`."""
        one, many = self.text("symbol"), self.text("symbols")
        if one is not None and many is not None:
            raise exclusive("symbol", "symbols")
        if one is not None:
            return [self._symbol(one)], True
        if many is None:
            return list(self._natives), False
        try:
            names = msgspec.json.decode(many, type=list[str])
        except msgspec.DecodeError:
            raise illegal(
                "symbols", '^\\[("[\\w\\-._&&[^a-z]]{1,50}"(,"[\\w\\-._&&[^a-z]]{1,50}"){0,}){0,1}\\]$'
            ) from None
        if len(names) > SYMBOLS_MAX:
            raise ApiError(-1101, f"Too many parameters; expected '{SYMBOLS_MAX}' and received '{len(names)}'.")
        if len(set(names)) < len(names):
            raise ApiError(-1151, "Symbol is present multiple times in the list.")
        return [self._symbol(name) for name in names], False

    def named(self) -> int:
        """How many symbols the request names, 0 for all: what its weight goes by, before they are checked."""
        many = self._values.get("symbols")
        return 1 if "symbol" in self._values else many.count(",") + 1 if many else 0

    def single(self) -> bool:
        """Whether it is a request for the one `symbol`."""
        return "symbol" in self._values

    def raw(self, name: str) -> str | None:
        """The value unchecked: a request is charged before it is understood."""
        return self._values.get(name)

    def integer(self, name: str) -> int | None:
        """A non-negative integer; None if it was not sent."""
        value = self.text(name)
        if value is None:
            return None
        if not _INTEGER_RE.fullmatch(value):
            raise illegal(name, "^[0-9]{1,20}$")
        return int(value)

    def decimal(self, name: str) -> Decimal | None:
        """A decimal that is not negative; None if it was not sent.

        :raises ApiError: -1100 it is none, -1111 it has more digits than the venue keeps.
        """
        value = self.text(name)
        if value is None:
            return None
        if not _DECIMAL_RE.fullmatch(value):
            raise illegal(name, "^([0-9]{1,20})(\\.[0-9]{1,20})?$")
        if len(value.partition(".")[2]) > PRECISION:
            raise ApiError(-1111, f"Parameter '{name}' has too much precision.")
        return Decimal(value)

    def client_id(self, name: str) -> str | None:
        """A client order id; None if it was not sent."""
        value = self.text(name)
        if value is not None and not _CLIENT_ID_RE.fullmatch(value):
            raise illegal(name, "^[a-zA-Z0-9-_]{1,36}$")
        return value

    def limit(self, default: int = ROWS_DEFAULT, highest: int = ROWS_MAX) -> int:
        """`limit`; more than the highest is silently the highest."""
        value = self.integer("limit")
        if value is None:
            return default
        if value < 1:
            raise invalid("limit")
        return min(value, highest)

    def time_ms(self, name: str) -> int | None:
        """A time in milliseconds or microseconds, told apart by its magnitude; in milliseconds."""
        value = self.integer(name)
        return value // 1_000 if value is not None and value >= 10**14 else value

    def choice(self, name: str, choices: Collection[str], error: ApiError) -> str | None:
        """One of a few words; None if it was not sent."""
        value = self.text(name)
        if value is not None and value not in choices:
            raise error
        return value

    def status(self) -> str | None:
        """`symbolStatus`."""
        return self.choice("symbolStatus", STATUSES, ApiError(-1122, "Invalid symbolStatus."))


def time_factor(word: str | None) -> int:
    """What a millisecond is multiplied with, from ``timeUnit`` or ``X-MBX-TIME-UNIT``.

    :raises ApiError: -1194, another word.
    """
    if word is None or word in ("MILLISECOND", "millisecond"):
        return 1
    if word in ("MICROSECOND", "microsecond"):
        return 1_000
    raise ApiError(-1194, "Invalid value for time unit; expected either MICROSECOND or MILLISECOND.")
