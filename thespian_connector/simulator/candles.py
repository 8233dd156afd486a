"""Bars of one second and of one minute, and what venues tell of the last 24 hours."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal

SECOND_MS = 1_000
MINUTE_MS = 60_000
DAY_MS = 86_400_000
#: Second bars are kept for as many as a venue serves at once, minute bars for the rolling day. Older ones are dropped.
SECONDS_KEPT = 1_000
MINUTES_KEPT = 1_441


@dataclass(slots=True)
class Bar:
    """The trades of one interval. Money is exact; `open_ms` is the interval's start, epoch milliseconds."""

    open_ms: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal
    turnover: Decimal
    buy_volume: Decimal
    buy_turnover: Decimal
    count: int
    first_id: int
    last_id: int

    def merge(self, later: Bar) -> None:
        """Take in a bar that follows."""
        self.high = max(self.high, later.high)
        self.low = min(self.low, later.low)
        self.close = later.close
        self.volume += later.volume
        self.turnover += later.turnover
        self.buy_volume += later.buy_volume
        self.buy_turnover += later.buy_turnover
        self.count += later.count
        self.last_id = later.last_id

    def copy(self, open_ms: int) -> Bar:
        """The same bar, said to start at `open_ms`."""
        return Bar(
            open_ms,
            self.open,
            self.high,
            self.low,
            self.close,
            self.volume,
            self.turnover,
            self.buy_volume,
            self.buy_turnover,
            self.count,
            self.first_id,
            self.last_id,
        )


class Candles:
    """The bars of one market, oldest first."""

    def __init__(self) -> None:
        self._seconds: deque[Bar] = deque(maxlen=SECONDS_KEPT)
        self._minutes: deque[Bar] = deque(maxlen=MINUTES_KEPT)

    def add(self, time_ms: int, trade_id: int, price: Decimal, quantity: Decimal, buyer_took: bool) -> None:
        """Count one trade. Times never go back."""
        turnover = price * quantity
        bought, paid = (quantity, turnover) if buyer_took else (Decimal(0), Decimal(0))
        for bars, width in ((self._seconds, SECOND_MS), (self._minutes, MINUTE_MS)):
            start = time_ms - time_ms % width
            bar = Bar(start, price, price, price, price, quantity, turnover, bought, paid, 1, trade_id, trade_id)
            if bars and bars[-1].open_ms == start:
                bars[-1].merge(bar)
            else:
                bars.append(bar)

    def bars(self, width_ms: int, opening: Callable[[int], int] | None = None) -> list[Bar]:
        """Bars of any width, oldest first; intervals without a trade have none.

        :param opening: when the interval of a time (both epoch milliseconds) opens, for weeks, months and other time
            zones; None aligns to the epoch.
        """
        source: Iterable[Bar] = self._seconds if width_ms < MINUTE_MS else self._minutes
        return list(_regroup(source, opening or (lambda time_ms: time_ms - time_ms % width_ms)))

    def since(self, start_ms: int) -> Bar | None:
        """All trades from `start_ms` on as one bar (to the minute); None if there were none."""
        total: Bar | None = None
        for bar in self._minutes:
            if bar.open_ms + MINUTE_MS <= start_ms:
                continue
            if total is None:
                total = bar.copy(bar.open_ms)
            else:
                total.merge(bar)
        return total


def _regroup(source: Iterable[Bar], opening: Callable[[int], int]) -> Iterator[Bar]:
    current: Bar | None = None
    for bar in source:
        start = opening(bar.open_ms)
        if current is not None and current.open_ms == start:
            current.merge(bar)
            continue
        if current is not None:
            yield current
        current = bar.copy(start)
    if current is not None:
        yield current
