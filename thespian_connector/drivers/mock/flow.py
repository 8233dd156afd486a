"""A seeded order flow for the mock venue: the same seed, the same market, on every machine and Python."""

from __future__ import annotations

from decimal import Decimal

from thespian_connector.model import Side

from .market import Change, MockMarket

_MASK = 2**64 - 1
#: Prices are made this many ticks around the middle.
SPREAD_TICKS = 20
QUANTITY_STEPS = 50_000


class SplitMix64:
    """Steele, Lea, Flood (2014), "Fast splittable pseudorandom number generators": 64 bits of state, one line a step.

    Ours rather than the standard library's, because drivers import no source of randomness.
    """

    def __init__(self, seed: int) -> None:
        self._state = seed & _MASK

    def below(self, limit: int) -> int:
        """A number from 0 to `limit` - 1."""
        self._state = (self._state + 0x9E3779B97F4A7C15) & _MASK
        mixed = self._state
        mixed = ((mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & _MASK
        return (mixed ^ (mixed >> 31)) % limit


def initial(market: MockMarket, random: SplitMix64, middle: Decimal, levels: int) -> list[Change]:
    """`levels` a side around `middle`, one tick apart."""
    changes = [
        (side, _price(market, side, middle, distance), _quantity(market, random))
        for distance in range(1, levels + 1)
        for side in (Side.BUY, Side.SELL)
    ]
    return [change for change in changes if change[1] > 0]


def step(market: MockMarket, random: SplitMix64, middle: Decimal) -> tuple[Decimal, list[Change]]:
    """One update: the middle moves by a tick at most, one to three levels change, nothing stays crossed."""
    moved = middle + (random.below(3) - 1) * market.tick_size
    middle = moved if moved > 2 * SPREAD_TICKS * market.tick_size else middle
    changes: dict[tuple[Side, Decimal], Decimal] = {
        (Side.BUY, price): Decimal(0) for price in market.sides[Side.BUY] if price >= middle
    }
    changes |= {(Side.SELL, price): Decimal(0) for price in market.sides[Side.SELL] if price <= middle}
    for _ in range(1 + random.below(3)):
        side = (Side.BUY, Side.SELL)[random.below(2)]
        price = _price(market, side, middle, 1 + random.below(SPREAD_TICKS))
        changes[side, price] = Decimal(0) if random.below(4) == 0 else _quantity(market, random)
    return middle, [(side, price, quantity) for (side, price), quantity in changes.items()]


def _price(market: MockMarket, side: Side, middle: Decimal, ticks: int) -> Decimal:
    away = ticks * market.tick_size
    return middle - away if side is Side.BUY else middle + away


def _quantity(market: MockMarket, random: SplitMix64) -> Decimal:
    return (1 + random.below(QUANTITY_STEPS)) * market.step_size
