"""Which names of streams there are, and what each is (Binance: "WebSocket Streams")."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

#: Kline intervals and their length in milliseconds; weeks and months are no plain multiples of it.
INTERVALS_MS = {
    "1s": 1_000,
    "1m": 60_000,
    "3m": 180_000,
    "5m": 300_000,
    "15m": 900_000,
    "30m": 1_800_000,
    "1h": 3_600_000,
    "2h": 7_200_000,
    "4h": 14_400_000,
    "6h": 21_600_000,
    "8h": 28_800_000,
    "12h": 43_200_000,
    "1d": 86_400_000,
    "3d": 259_200_000,
    "1w": 604_800_000,
    "1M": 2_678_400_000,
}
WINDOWS_MS = {"1h": 3_600_000, "4h": 14_400_000, "1d": 86_400_000}
PARTIAL_DEPTHS = (5, 10, 20)
_REAL_TIME = ("trade", "aggTrade", "blockTrade", "bookTicker")
_EVERY_SECOND = ("ticker", "miniTicker", "avgPrice", "referencePrice")
UTC_8_MS = 28_800_000


@dataclass(frozen=True)
class Stream:
    """A stream by its name. `kind` is also the `op` that a fault may name.

    :param native: the venue's symbol, empty for streams of all symbols.
    :param speed_ms: 100 or 1000 for depth; 0 is real time.
    :param depth: levels of a partial book, 0 for the diffs.
    :param interval: of klines, or the window of a rolling ticker.
    :param offset_ms: what the days of klines are shifted by.
    """

    name: str
    kind: str
    native: str = ""
    speed_ms: int = 0
    depth: int = 0
    interval: str = ""
    offset_ms: int = 0


def parse(name: str, natives: Collection[str]) -> Stream | None:
    """The stream of that name; None if Binance has none. Symbols are lower case in names.

    ``!ticker@arr`` and ``!bookTicker`` are retired, and so no streams.
    """
    if name.startswith("!"):
        if name == "!miniTicker@arr":
            return Stream(name, "miniTicker")
        window = name.removeprefix("!ticker_").removesuffix("@arr")
        return Stream(name, "ticker", interval=window) if name == f"!ticker_{window}@arr" in _ALL_WINDOWS else None
    symbol, _, rest = name.partition("@")
    native = symbol.upper()
    if native not in natives or symbol != symbol.lower():
        return None
    if rest in _REAL_TIME or rest in _EVERY_SECOND:
        return Stream(name, rest, native)
    if rest.startswith("depth"):
        return _depth(name, native, rest)
    if rest.startswith("kline_"):
        interval, at, offset = rest.removeprefix("kline_").partition("@")
        if interval in INTERVALS_MS and (not at or offset == "+08:00"):
            return Stream(name, "kline", native, interval=interval, offset_ms=UTC_8_MS if at else 0)
    if rest.startswith("ticker_") and rest.removeprefix("ticker_") in WINDOWS_MS:
        return Stream(name, "ticker", native, interval=rest.removeprefix("ticker_"))
    return None


_ALL_WINDOWS = tuple(f"!ticker_{window}@arr" for window in WINDOWS_MS)


def _depth(name: str, native: str, rest: str) -> Stream | None:
    levels, at, speed = rest.removeprefix("depth").partition("@")
    if at and speed not in ("100ms", "1000ms"):
        return None
    if levels and levels not in map(str, PARTIAL_DEPTHS):
        return None
    return Stream(name, "depth", native, 100 if speed == "100ms" else 1_000, int(levels or 0))


def book_streams(native: str) -> list[str]:
    """The streams that carry update ids of a symbol's book; all share one sequence of ids, that of REST `depth` too."""
    symbol = native.lower()
    partial = [f"{symbol}@depth{depth}" for depth in PARTIAL_DEPTHS]
    names = [f"{symbol}@depth", *partial]
    return [*names, *(f"{name}@100ms" for name in names), f"{symbol}@bookTicker"]
