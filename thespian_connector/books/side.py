"""One side of a book: sorted integer keys, levels still in the venue's text.

A key is the price in integer ticks for bids and its negative for asks, so that on both sides a greater key is a better
price and the best one is the *last* of the sorted list: most changes are near the top, and there they move the least
memory. A plain list with `bisect` beats a tree of lists up to far more levels than any venue serves.
"""

from __future__ import annotations

import re
from bisect import bisect_left, insort
from decimal import Decimal
from itertools import islice
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
#: Keys set before they are swept: so many that most have come back or come again, so few that memory stays small.
_TOUCHED_MAX: Final = 512
#: `spare` of a side that is wholly known: it is looked at again after so many changes, because it may have grown.
_SPARE_MAX: Final = 5_000


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
        number = number.rstrip("0")
        if number[-1] == ".":
            return number[:-1]
    return number


def all_plain(quantities: list[str]) -> bool:
    """Whether every quantity is a plain number whose zero, if it is one, is among the spellings that `set` knows.

    All of them as one text: what is left of it without the digits must be one point and one space a number, or else
    (integers among them, say) a regular expression decides. A check one by one would cost more than the book itself.
    """
    count = len(quantities)
    text = " ".join(quantities) + " "
    if " 00" in text or text[:2] == "00" or _ZEROS_MANY in text:
        return False
    if (
        0 < count < 512
        and text.isascii()
        and text.encode().translate(None, _DIGITS) == _POINTED[count]
        and max(map(len, quantities)) <= DIGITS_MAX
        and " ." not in text
        and ". " not in text
        and text[0] != "."
    ):
        return True
    # A quantity with a space inside would read as two: count.
    return _PLAIN_LIST.fullmatch(text) is not None and text.count(" ") == count


def plain_quantities(quantities: list[str]) -> list[str]:
    """`quantities` in their canonical spelling.

    :raises ValueError: one is no plain decimal number.
    """
    return [_spelled(*parse(quantity)) for quantity in quantities]


def _spelled(digits: int, decimals: int) -> str:
    """The canonical text of digits / 10**decimals."""
    text = str(digits).rjust(decimals + 1, "0")
    return spell(f"{text[:-decimals]}.{text[-decimals:]}") if decimals else text


class BookSide:
    """`keys`: sorted, best last. `bound`: the worst key that is certified; None when the whole side is known.

    A level that went is only marked (by its zero quantity) and swept out later, because most prices near the top come
    back before that; moving them in and out of the list would be the greatest cost of an update. The best key is
    always of a real level. Only writers sweep: what reads (`best`, `count`, `certified`, `pairs`) changes nothing but
    caches, so that any number of threads may read while none writes.

    `spare`: at least so many levels must be set before `proves` can come to say no where it last said yes.
    """

    __slots__ = (
        "_best",
        "_prices",
        "_quantities",
        "_remembered",
        "_touched",
        "bound",
        "keys",
        "sign",
        "spare",
    )

    def __init__(self, sign: int) -> None:
        self.sign = sign
        self.keys: list[int] = []
        self.bound: int | None = None
        self.spare = 0
        #: Key -> quantity as the venue spelled it. (Keeping the venue's price text and tuple too would cost an update
        #: a third more: three old objects to free for each level instead of one.)
        self._quantities: dict[int, str] = {}
        #: Keys set since the last sweep; those of levels that went are among them.
        self._touched: list[int] = []
        #: Price text -> key. Prices come again and again, and a look-up is five times cheaper than parsing.
        self._remembered: dict[str, int] = {}
        #: Key -> canonical price text, made when first read.
        self._prices: dict[int, str] = {}
        #: The last best level that was read, with its key and quantity; one object, replaced whole.
        self._best: tuple[int, str, Level] | None = None

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

    def set(self, keys: list[int], quantities: list[str]) -> None:
        """Each level takes its quantity; a zero one goes, if it was there at all."""
        held, order = self._quantities, self.keys
        count = len(held)
        held.update(zip(keys, quantities, strict=True))
        if len(held) > count:  # a dict keeps the order of insertion: the new ones are its last
            for key in islice(reversed(held), len(held) - count):
                insort(order, key)
        while order and held[order[-1]] in _ZEROS:
            del held[order.pop()]
        self.spare -= len(keys)
        touched = self._touched
        touched += keys
        if len(touched) > _TOUCHED_MAX:
            self.sweep()

    def sweep(self) -> None:
        """Take out the levels that went."""
        held, order = self._quantities, self.keys
        for key in set(self._touched):
            if held.get(key) in _ZEROS:
                del held[key], order[bisect_left(order, key)]
        self._touched.clear()

    def _gone(self) -> list[int]:
        """The keys of levels that went and are not swept out yet."""
        held = self._quantities
        return [key for key in set(self._touched) if held.get(key) in _ZEROS]

    def replace(self, keys: list[int], quantities: list[str]) -> None:
        """Forget all and take these."""
        given = dict(zip(keys, quantities, strict=True))
        self._quantities = {key: quantity for key, quantity in given.items() if quantity not in _ZEROS}
        self._touched.clear()
        self.keys = sorted(self._quantities)
        self.bound, self.spare = None, -1

    def widen(self, factor: int) -> None:
        """The scale grew: every key is `factor` times as large."""
        self.sweep()
        self.keys = [key * factor for key in self.keys]
        self._quantities = {key * factor: quantity for key, quantity in self._quantities.items()}
        self.bound = None if self.bound is None else self.bound * factor
        self._remembered.clear()
        self._prices.clear()
        self._best = None

    def trim(self, count: int) -> None:
        """Drop all but the `count` best levels."""
        self.sweep()
        for key in self.keys[:-count]:
            del self._quantities[key]
        del self.keys[:-count]
        self.spare = -1

    def cap(self, count: int) -> None:
        """Keep a side of more than `count` levels from growing: the worst tenth goes, and certainty ends above it."""
        if self.count() > count:
            self.trim(count - count // 10)
            self.bound = self.keys[0] if self.bound is None else max(self.bound, self.keys[0])

    def count(self) -> int:
        """How many levels are held."""
        return len(self.keys) - len(self._gone())

    def best(self, scale: int) -> Level | None:
        """The best certified level. Its Decimals are made once, not again until the level changes."""
        keys = self.keys
        if not keys:
            return None
        key = keys[-1]
        if self.bound is not None and key < self.bound:
            return None
        quantity = self._quantities[key]
        best = self._best
        if best is None or quantity is not best[1] or key != best[0]:
            price = self._prices.get(key) or self._price(key, scale)
            # What Level's own constructor calls, at half the cost.
            level = tuple.__new__(Level, (Decimal(price), Decimal(spell(quantity))))
            self._best = best = (key, quantity, level)
        return best[2]

    def _price(self, key: int, scale: int) -> str:
        """The canonical text of a key's price, remembered."""
        if len(self._prices) >= BOOK_PRICES_REMEMBERED_MAX:
            self._prices.clear()
        price = self._prices[key] = _spelled(abs(key), scale)
        return price

    def certified(self) -> int:
        """How many of the levels held are certified; they are the best ones."""
        keys, bound, gone = self.keys, self.bound, self._gone()
        if bound is None:
            return len(keys) - len(gone)
        return len(keys) - bisect_left(keys, bound) - sum(key >= bound for key in gone)

    def proves(self, count: int) -> bool:
        """Whether the side is wholly known or has at least `count` certified levels; `spare` says how many more."""
        self.sweep()
        self.spare = _SPARE_MAX if self.bound is None else self.certified() - count
        return self.spare >= 0

    def pairs(self, count: int, scale: int) -> list[tuple[str, str]]:
        """The `count` best levels, best first, in canonical text."""
        if not count:
            return []
        gone = set(self._gone())
        if not gone:
            return self._texts(self.keys[: -count - 1 : -1], scale)
        return self._texts(list(islice((key for key in reversed(self.keys) if key not in gone), count)), scale)

    def pairs_beyond(self, key: int, scale: int) -> list[tuple[str, str]]:
        """The levels worse than `key`."""
        gone = set(self._gone())
        return self._texts([worse for worse in self.keys[: bisect_left(self.keys, key)] if worse not in gone], scale)

    def _texts(self, keys: list[int], scale: int) -> list[tuple[str, str]]:
        prices, quantities = self._prices, self._quantities
        return [(prices.get(key) or self._price(key, scale), spell(quantities[key])) for key in keys]
