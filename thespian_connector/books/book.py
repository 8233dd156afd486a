"""The levels of one book: exact, sorted, and cheap to change.

Prices are integer ticks (the venue's decimal text scaled by a power of ten), quantities stay text until somebody reads
them. Digits beyond the scale widen it for the whole book; nothing is ever rounded. What the book means (does the next
update follow, may it be believed) is `tracked`'s matter.
"""

from __future__ import annotations

from decimal import Decimal

from thespian_connector.model import Level
from thespian_connector.model.wire import WireLevels

from .side import BookSide, all_plain, plain_quantities


class PriceBook:
    """Bids and asks as `BookSide`s. Every change is checked whole before any of it is made."""

    __slots__ = ("asks", "bids", "scale")

    def __init__(self) -> None:
        self.bids = BookSide(1)
        self.asks = BookSide(-1)
        #: Digits after the point of the finest price seen.
        self.scale = 0

    def apply(self, bids: WireLevels, asks: WireLevels) -> None:
        """Set each level's absolute quantity; a zero quantity deletes, also where nothing was.

        :raises ValueError: a price or quantity that is no plain decimal number; nothing was changed.
        """
        bid_quantities, ask_quantities = _quantities(bids, asks)
        bid_side, ask_side = self.bids, self.asks
        bid_keys, ask_keys = bid_side.keys_of(bids), ask_side.keys_of(asks)
        if bid_keys is None or ask_keys is None:
            bid_keys, ask_keys = self._learn(bids, asks)
        if bid_keys:
            bid_side.set(bid_keys, bid_quantities)
        if ask_keys:
            ask_side.set(ask_keys, ask_quantities)

    def replace(self, bids: WireLevels, asks: WireLevels) -> None:
        """Forget every level and take these, in any order. The sides' bounds are open afterwards.

        :raises ValueError: as :meth:`apply`; nothing was changed.
        """
        bid_quantities, ask_quantities = _quantities(bids, asks)
        bid_keys, ask_keys = self._learn(bids, asks)
        self.bids.replace(bid_keys, bid_quantities)
        self.asks.replace(ask_keys, ask_quantities)

    def _learn(self, bids: WireLevels, asks: WireLevels) -> tuple[list[int], list[int]]:
        """The keys of levels whose prices may be new."""
        sides = (self.bids, bids), (self.asks, asks)
        for side, _ in sides:
            side.forget_prices()
        scale = max((decimals for side, levels in sides for _, decimals in side.unknown(levels).values()), default=0)
        if scale > self.scale:
            self.widen(scale)
        for side, levels in sides:
            side.learn(side.unknown(levels), self.scale)
        bid_keys, ask_keys = self.bids.keys_of(bids), self.asks.keys_of(asks)
        assert bid_keys is not None, "every price was just learnt"
        assert ask_keys is not None, "every price was just learnt"
        return bid_keys, ask_keys

    def widen(self, scale: int) -> None:
        """Count in finer ticks. No level changes its price.

        :raises ValueError: a coarser scale than now.
        """
        if scale < self.scale:
            raise ValueError(f"scale: {scale} is coarser than {self.scale}")
        factor = 10 ** (scale - self.scale)
        self.bids.widen(factor)
        self.asks.widen(factor)
        self.scale = scale

    def best_bid(self) -> Level | None:
        """The highest certified bid; None when there is none."""
        return self.bids.best(self.scale)

    def best_ask(self) -> Level | None:
        """The lowest certified ask; None when there is none."""
        return self.asks.best(self.scale)

    def levels(self, depth: int = 0, *, certified: bool = True) -> tuple[tuple[Level, ...], tuple[Level, ...]]:
        """(bids, asks), best first, `depth` a side (0: all); with `certified` False also those that nothing proves."""
        bids, asks = self.pairs(depth, certified=certified)
        return _decimals(bids), _decimals(asks)

    def pairs(self, depth: int = 0, *, certified: bool = True) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
        """As :meth:`levels`, but as canonical text."""
        bids, asks = self.bids, self.asks
        bids_max = bids.certified() if certified else bids.count()
        asks_max = asks.certified() if certified else asks.count()
        return (
            bids.pairs(min(depth or bids_max, bids_max), self.scale),
            asks.pairs(min(depth or asks_max, asks_max), self.scale),
        )

    def crossed(self) -> bool:
        """A bid at or above an ask, which no venue's own book can have: an update is missing or wrong."""
        bids, asks = self.bids.keys, self.asks.keys
        return bool(bids and asks) and bids[-1] + asks[-1] >= 0


def _quantities(bids: WireLevels, asks: WireLevels) -> tuple[list[str], list[str]]:
    """:raises ValueError: a quantity that is no plain decimal number."""
    bid_quantities, ask_quantities = [quantity for _, quantity in bids], [quantity for _, quantity in asks]
    if all_plain(bid_quantities + ask_quantities):
        return bid_quantities, ask_quantities
    return plain_quantities(bid_quantities), plain_quantities(ask_quantities)


def _decimals(pairs: list[tuple[str, str]]) -> tuple[Level, ...]:
    return tuple([Level(Decimal(price), Decimal(quantity)) for price, quantity in pairs])
