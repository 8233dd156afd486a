"""How Binance writes: decimals padded to eight digits, levels as pairs of strings."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from thespian_connector.model.decimals import text
from thespian_connector.simulator.market import MarketSpec

_UNIT = 10**8
#: Texts of prices kept for one market. At the limit they are thrown away and made anew. More than the two sides of the
#: deepest snapshot have; a price that walks fills it, and then it holds 3 MB.
TEXTS_MAX = 20_000


def padded(value: Decimal) -> str:
    """``60000.1`` -> ``60000.10000000``; more than eight digits are rounded half-even."""
    return format(value, ".8f")


def amount(value: Decimal) -> str:
    """:func:`padded`, but with every digit of what has more than eight: an amount of money is told exactly.

    Binance keeps eight digits of anything; a product of price and quantity has more here, and the judge has them too.
    """
    short = padded(value)
    return short if Decimal(short) == value else text(value)


class Speller:
    """The texts of one market's ticks and steps, made from integers: a deep snapshot needs thousands of them."""

    def __init__(self, spec: MarketSpec) -> None:
        self._tick = int(spec.tick * _UNIT)
        self._step = int(spec.step * _UNIT)
        assert self._tick == spec.tick * _UNIT, "Binance writes eight digits, so no tick is finer"
        self._prices: dict[int, str] = {}

    def price(self, ticks: int) -> str:
        """A price in ticks as text."""
        known = self._prices.get(ticks)
        if known is None:
            if len(self._prices) >= TEXTS_MAX:
                self._prices.clear()
            whole, part = divmod(ticks * self._tick, _UNIT)
            known = self._prices[ticks] = f"{whole}.{part:08d}"
        return known

    def quantity(self, steps: int) -> str:
        """A quantity in steps as text."""
        whole, part = divmod(steps * self._step, _UNIT)
        return f"{whole}.{part:08d}"

    def levels(self, levels: Iterable[tuple[int, int]]) -> str:
        """Levels as the inside of a JSON array."""
        return ",".join(f'["{self.price(ticks)}","{self.quantity(steps)}"]' for ticks, steps in levels)
