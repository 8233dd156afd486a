"""A whole simulation put together: venues, markets, flow, faults; and the task that lets the flow run."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from .faults import Faults
from .flow import Flow
from .market import Market, MarketSpec
from .options import LADDER_LEVELS, RATE, SEED, SYMBOLS, VENUES, WALK
from .venue import Venue, seeded_account

#: Events played before the doors open, so that there is a tape from the start.
WARM_UP_EVENTS = 300
#: The flow sleeps at least this long between two looks at the clock: what falls due meanwhile is played in one go.
QUANTUM_S = 0.001
#: Events played in one go at most, so that clients are served in between.
EVENTS_A_SLICE_MAX = 50
#: A flow that is this late (a stopped process, a host too slow for the rate) lets the rest go instead of rushing.
LATE_MAX_US = 1_000_000

#: How far apart the trade ids of two instruments begin: Binance numbers each by itself, Bybit's ids are unique.
_TRADE_ID_STRIDE = {"binance": 0, "bybit": 1_000_000_000}

_D = Decimal
# Ticks are the venues' of 2026, but for ETH/BTC on Binance: at its live tick (0.00001) a price of 0.05 has no room for
# more than 5,000 levels below it.
_SPECS: dict[tuple[str, str], tuple[str, str, str, str, str, str]] = {
    ("binance", "BTC/USDT"): ("0.01", "0.00001", "0.00001", "9000", "5", "1000000"),
    ("binance", "ETH/USDT"): ("0.01", "0.0001", "0.0001", "9000", "5", "1000000"),
    ("binance", "ETH/BTC"): ("0.0000001", "0.0001", "0.0001", "100000", "0.0001", "922327"),
    ("bybit", "BTC/USDT"): ("0.01", "0.000001", "0.000048", "71.73956243", "1", "1000000"),
    ("bybit", "ETH/USDT"): ("0.01", "0.00001", "0.00062", "1229.2336343", "1", "1000000"),
    ("bybit", "ETH/BTC"): ("0.000001", "0.001", "0.001", "1000", "0.00001", "922327"),
}


@dataclass(frozen=True)
class WorldOptions:
    """What a simulation may be told.

    :param rate: events of the flow a second and venue. 0: the books stand still.
    :param walk: levels of BTC/USDT that the fair price passes a second. 0: it stands.
    :param settings: the fronts' numbers by venue, complete.
    """

    seed: int = SEED
    rate: Decimal = RATE
    walk: int = WALK
    symbols: tuple[str, ...] = SYMBOLS
    ladder_levels: Mapping[str, int] = field(default_factory=lambda: dict(LADDER_LEVELS))
    settings: Mapping[str, Mapping[str, int | float]] = field(default_factory=dict)


def market_spec(venue: str, symbol: str, ladder_levels: int) -> MarketSpec:
    """The rules of an instrument of a venue.

    :raises ValueError: there is no such symbol.
    """
    if (venue, symbol) not in _SPECS:
        raise ValueError(f"symbols: {symbol!r} is not one of {', '.join(SYMBOLS)}")
    base, quote = symbol.split("/")
    tick, step, lowest, highest, notional, price = (_D(number) for number in _SPECS[venue, symbol])
    return MarketSpec(base, quote, base + quote, tick, step, lowest, highest, notional, price, ladder_levels)


class World:
    """Every venue with its markets, trading in one flow.

    :param time_ns: the wall clock.
    :param monotonic_ns: the clock that the flow and all periods go by.
    """

    def __init__(
        self,
        options: WorldOptions,
        *,
        time_ns: Callable[[], int] = time.time_ns,
        monotonic_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self.options = options
        self._time_ns = time_ns
        self._monotonic_ns = monotonic_ns
        self.faults = Faults(VENUES, monotonic_ns)
        self.venues: dict[str, Venue] = {}
        for name in VENUES:
            specs = [market_spec(name, symbol, options.ladder_levels[name]) for symbol in options.symbols]
            self.venues[name] = Venue(
                name,
                {spec.native: Market(spec, 1 + number * _TRADE_ID_STRIDE[name]) for number, spec in enumerate(specs)},
                self.faults,
                account=seeded_account(options.seed, name),
                settings=options.settings.get(name),
                time_ns=time_ns,
                monotonic_ns=monotonic_ns,
            )
        self.flow = Flow(
            [list(venue.markets.values()) for venue in self.venues.values()],
            seed=options.seed,
            rate=options.rate,
            walk=options.walk,
        )
        self._paused = False
        self._resumed = asyncio.Event()

    def warm_up(self) -> None:
        """Play the first events, dated just before now."""
        if self.flow.moving:
            start_ns = self._time_ns() - WARM_UP_EVENTS * 1_000_000
            for number in range(WARM_UP_EVENTS):
                self.flow.step(start_ns + number * 1_000_000)

    def pause(self) -> None:
        """Let the flow stand still."""
        self._paused = True
        self._resumed.clear()

    def resume(self) -> None:
        """Let it go on where it stood."""
        self._paused = False
        self._resumed.set()

    async def run(self) -> None:
        """Play the flow at its pace until cancelled."""
        if not self.flow.moving:
            await asyncio.Event().wait()
        origin_us = self._monotonic_ns() // 1_000 - self.flow.due_us
        while True:
            if self._paused:
                stopped_us = self._monotonic_ns() // 1_000
                await self._resumed.wait()
                origin_us += self._monotonic_ns() // 1_000 - stopped_us
            now_us = self._monotonic_ns() // 1_000 - origin_us
            if now_us - self.flow.due_us > LATE_MAX_US:
                origin_us += now_us - self.flow.due_us
                now_us = self.flow.due_us
            played = 0
            while self.flow.due_us <= now_us and played < EVENTS_A_SLICE_MAX:
                self.flow.step(self._time_ns())
                played += 1
            behind = self.flow.due_us <= now_us
            await asyncio.sleep(0 if behind else max(QUANTUM_S, (self.flow.due_us - now_us) / 1e6))
