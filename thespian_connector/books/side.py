"""One side of a book: sorted integer keys, levels still in the venue's text.

A key is the price in integer ticks for bids and its negative for asks, so that on both sides a greater key is a better
price and the best one is the *last* of the sorted list: most changes are near the top, and there they move the least
memory. A plain list with `bisect` beats a tree of lists up to far more levels than any venue serves.
"""

from __future__ import annotations

import re
from bisect import bisect_left, insort
from decimal import Decimal
from typing import Final

from thespian_connector.limits import BOOK_PRICES_REMEMBERED_MAX
from thespian_connector.model import Level
from thespian_connector.model.decimals import DIGITS_MAX
from thespian_connector.model.wire import WireLevels

#: Quantities as most venues write them, a space behind each, without their digits: one point a number.
_POINTED: Final = tuple(b". " * n for n in range(512))
_DIGITS: Final = b"0123456789"
#: Any plain numbers, a space behind each: no sign, no exponent, at most 16 + 18 = 34 digits.
_PLAIN_LIST: Final = re.compile(r"(?:[0-9]{1,16}+(?:\.[0-9]{1,18}+)?+ )*+")
#: What the slow path takes as well: any plain decimal number.
_NUMBER: Final = re.compile(r"([0-9]{1,64})(?:\.([0-9]{1,64}))?")
#: Every spelling of zero of fewer than 32 zeros that does not begin with "00".
_ZEROS: Final = frozenset(["0", *("0." + "0" * n for n in range(1, 31))])
_ZEROS_MANY: Final = "0" * 31
_new_tuple = tuple.__new__


def parse(number: str) -> tuple[int, int]:
    """`number` as (digits, decimals), exactly digits / 10**decimals, with no trailing zeros in the decimals.

    :raises ValueError: no plain, ASCII, unsigned decimal number, or more than 34 significant digits.
    """
    match = _NUMBER.fullmatch(number)
    if match is None:
        raise ValueError(f"{number[:50]!r} is not a price or quantity")
    whole, decimals = match[1], (match[2] or "").rstrip("0")
    digits = (whole + decimals).lstrip("0")
    if len(digits) > DIGITS_MAX:
        raise ValueError(f"{number[:50]!r} has more than {DIGITS_MAX} digits")
    return int(digits or "0"), len(decimals)


def spell(number: str) -> str:
    """The canonical spelling of a checked number: no trailing zeros after the point."""
    if "." in number:
        return number.rstrip("0").rstrip(".")
    return number


def decimal_level(pair: tuple[str, str]) -> Level:
    """The level of a checked pair. (`tuple.__new__` is what Level's own constructor calls, at half the cost.)"""
    price, quantity = pair
    return _new_tuple(Level, (Decimal(spell(price)), Decimal(spell(quantity))))


def all_plain(levels: WireLevels) -> bool:
    """Whether every quantity is a plain number whose zero, if it is one, is among the spellings that `set` knows.

    All of them as one text: what is left of it without the digits must be one point and one space a number, or else
    (integers among them, say) a regular expression decides. A check one by one would cost more than the book itself.
    """
    count = len(levels)
    text = " ".join([quantity for _, quantity in levels]) + " "
    if " 00" in text or text.startswith("00") or _ZEROS_MANY in text:
        return False
    if (
        count < 512
        and text.isascii()
        and text.encode().translate(None, _DIGITS) == _POINTED[count]
        and len(text) <= 20 * count
        and " ." not in text
        and ". " not in text
        and text[0] != "."
    ):
        return True
    # A quantity with a space inside would read as two: count.
    return _PLAIN_LIST.fullmatch(text) is not None and text.count(" ") == count


def respelled(levels: WireLevels) -> WireLevels:
    """`levels` with each quantity in its canonical spelling.

    :raises ValueError: one is no plain decimal number.
    """
    return [(price, _respell(quantity)) for price, quantity in levels]


def _respell(quantity: str) -> str:
    digits, decimals = parse(quantity)
    text = str(digits).rjust(decimals + 1, "0")
    return f"{text[:-decimals]}.{text[-decimals:]}" if decimals else text


class BookSide:
    """`keys`: sorted, best last. `bound`: the worst key that is certified; None when the whole side is known."""

    __slots__ = ("_best", "_best_pair", "_pairs", "_remembered", "bound", "keys", "sign")

    def __init__(self, sign: int) -> None:
        self.sign = sign
        self.keys: list[int] = []
        self.bound: int | None = None
        self._pairs: dict[int, tuple[str, str]] = {}
        #: Price text -> key. Prices come again and again, and a look-up is five times cheaper than parsing.
        self._remembered: dict[str, int] = {}
        self._best_pair: tuple[str, str] | None = None
        self._best: Level | None = None

    def keys_of(self, levels: WireLevels) -> list[int] | None:
        """The keys of `levels`, None if some price was never seen (:meth:`learn` it)."""
        remembered = self._remembered
        try:
            return [remembered[price] for price, _ in levels]
        except KeyError:
            return None

    def unknown(self, levels: WireLevels) -> dict[str, tuple[int, int]]:
        """The prices of `levels` that were never seen, as (digits, decimals).

        :raises ValueError: one is no positive number.
        """
        remembered = self._remembered
        found = {price: parse(price) for price, _ in levels if price not in remembered}
        for price, (digits, _) in found.items():
            if not digits:
                raise ValueError(f"{price[:50]!r} is no price")
        return found

    def forget_prices(self) -> None:
        """Keep the memory of prices within its limit; call before `unknown` and `learn`, never between them."""
        if len(self._remembered) > BOOK_PRICES_REMEMBERED_MAX:
            self._remembered.clear()

    def learn(self, prices: dict[str, tuple[int, int]], scale: int) -> None:
        """Remember the keys of `prices` at the book's `scale`."""
        sign = self.sign
        for price, (digits, decimals) in prices.items():
            self._remembered[price] = sign * digits * 10 ** (scale - decimals)

    def set(self, keys: list[int], levels: WireLevels) -> None:
        """Each level takes its quantity; a zero one goes, if it was there at all."""
        pairs, order = self._pairs, self.keys
        for key, pair in zip(keys, levels, strict=True):
            if pair[1] in _ZEROS:
                if key in pairs:
                    del pairs[key], order[bisect_left(order, key)]
            else:
                if key not in pairs:
                    insort(order, key)
                pairs[key] = pair

    def replace(self, keys: list[int], levels: WireLevels) -> None:
        self._pairs = {key: pair for key, pair in zip(keys, levels, strict=True) if pair[1] not in _ZEROS}
        self.keys = sorted(self._pairs)
        self.bound = None

    def widen(self, factor: int) -> None:
        """The scale grew: every key is `factor` times as large."""
        self.keys = [key * factor for key in self.keys]
        self._pairs = {key * factor: pair for key, pair in self._pairs.items()}
        self.bound = None if self.bound is None else self.bound * factor
        self._remembered.clear()

    def trim(self, count: int) -> None:
        """Drop all but the `count` best levels."""
        for key in self.keys[:-count]:
            del self._pairs[key]
        del self.keys[:-count]

    def cap(self, count: int) -> None:
        """Keep a side of more than `count` levels from growing: the worst tenth goes, and certainty ends above it."""
        if len(self.keys) > count:
            self.trim(count - count // 10)
            self.bound = self.keys[0] if self.bound is None else max(self.bound, self.keys[0])

    def best(self) -> Level | None:
        """The best certified level. Its Decimals are made once, not again until the level changes."""
        keys = self.keys
        if not keys:
            return None
        key = keys[-1]
        if self.bound is not None and key < self.bound:
            return None
        pair = self._pairs[key]
        if pair is not self._best_pair:
            self._best_pair = pair
            self._best = decimal_level(pair)
        return self._best

    def certified(self) -> int:
        """How many of the levels held are certified; they are the best ones."""
        return len(self.keys) if self.bound is None else len(self.keys) - bisect_left(self.keys, self.bound)

    def proves(self, count: int) -> bool:
        """Whether the side is wholly known or has at least `count` certified levels."""
        bound = self.bound
        return bound is None or (len(self.keys) >= count and self.keys[-count] >= bound)

    def pairs(self, count: int) -> list[tuple[str, str]]:
        """The `count` best levels, best first, as the venue spelled them."""
        pairs = self._pairs
        return [pairs[key] for key in self.keys[: -count - 1 : -1]] if count else []

    def pairs_beyond(self, key: int) -> list[tuple[str, str]]:
        """The levels worse than `key`."""
        return [self._pairs[worse] for worse in self.keys[: bisect_left(self.keys, key)]]
