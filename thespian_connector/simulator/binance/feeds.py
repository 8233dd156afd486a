"""Every stream of the venue but the sockets: what the markets' batches and the clock make of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from thespian_connector.simulator.market import Batch
from thespian_connector.simulator.venue import Venue

from . import tickers
from .books import BookFeed
from .hub import Hub
from .names import WINDOWS_MS, Stream
from .spelling import Speller
from .tape import Aggregates, aggregate_event, klines, trade_event

#: The pulse: 100 ms streams go out at each, 1000 ms streams at every tenth, klines at every twentieth (1s: tenth).
PULSE_MS = 100

_encode = msgspec.json.encode


class Feeds:
    """The books, tapes and streams of one venue."""

    def __init__(self, venue: Venue) -> None:
        self._venue = venue
        self.hub = Hub()
        self.books = {
            native: BookFeed(venue, market, self.hub, Speller(market.spec)) for native, market in venue.markets.items()
        }
        self.aggregates = {native: Aggregates(market) for native, market in venue.markets.items()}
        self._told: dict[str, Any] = {}
        self.hub.on_last.append(lambda stream: self._told.pop(stream.name, None))
        for market in venue.markets.values():
            market.listeners.append(self._on_batch)

    def _on_batch(self, batch: Batch) -> None:
        if not batch.trades:
            return
        native = batch.spec.native
        aggregates = self.aggregates[native].add(batch.trades)
        symbol = native.lower()
        single, aggregated = f"{symbol}@trade", f"{symbol}@aggTrade"
        if self.hub.wanted(single):
            stream = Stream(single, "trade", native)
            event_us = self._venue.now_ns("stream", "trade") // 1_000
            for trade in batch.trades:
                self._tell(stream, trade_event, native, trade, event_us)
        if self.hub.wanted(aggregated):
            stream = Stream(aggregated, "aggTrade", native)
            event_us = self._venue.now_ns("stream", "aggTrade") // 1_000
            for row in aggregates:
                self._tell(stream, aggregate_event, native, row, event_us)

    def _tell(self, stream: Stream, make: Callable[..., Any], *args: Any, **named: Any) -> None:
        def build(factor: int) -> bytes:
            return _encode(make(*args, factor, **named))

        self.hub.publish(stream, build)

    def pulse(self, number: int) -> None:
        """The pulse number `number`, one every 100 ms."""
        for book in self.books.values():
            book.flush(100)
            if number % 10 == 0:
                book.flush(1_000)
        if number % 10:
            return
        for stream in self.hub.streams():
            if stream.kind in ("ticker", "miniTicker", "avgPrice", "referencePrice"):
                self._tell_statistics(stream)
            elif stream.kind == "kline" and (number % 20 == 0 or stream.interval == "1s"):
                self._tell_kline(stream)

    def _tell_statistics(self, stream: Stream) -> None:
        event_us = self._venue.now_ns("stream", stream.kind) // 1_000
        if stream.kind == "avgPrice":
            self._tell(stream, self._average_event, stream.native, event_us)
        elif stream.kind == "referencePrice":
            self._tell(stream, _reference_event, stream.native, event_us)
        elif stream.native:
            if stream.kind == "miniTicker":
                self._tell(stream, tickers.mini_event, self.books[stream.native], event_us)
            else:
                self._tell(stream, self._ticker_event, self.books[stream.native], stream.interval, event_us)
        else:
            # The streams of all symbols tell those only that traded since they were told last.
            told: dict[str, int] = self._told.setdefault(stream.name, {})
            changed = [book for native, book in self.books.items() if self._traded(native) != told.get(native)]
            told.update({book.market.spec.native: self._traded(book.market.spec.native) for book in changed})
            if changed:
                self._tell(stream, self._all_event, stream, changed, event_us)

    def _traded(self, native: str) -> int:
        last = self._venue.markets[native].last_trade()
        return last.trade_id if last else 0

    def _ticker_event(self, book: BookFeed, window: str, event_us: int, factor: int) -> dict[str, Any]:
        return tickers.ticker_event(book, event_us, factor, window, WINDOWS_MS.get(window, tickers.DAY_MS))

    def _all_event(self, stream: Stream, books: list[BookFeed], event_us: int, factor: int) -> list[dict[str, Any]]:
        if stream.kind == "miniTicker":
            return [tickers.mini_event(book, event_us, factor) for book in books]
        return [self._ticker_event(book, stream.interval, event_us, factor) for book in books]

    def _average_event(self, native: str, event_us: int, factor: int) -> dict[str, Any]:
        price, last_ms = tickers.average(self._venue.markets[native], event_us // 1_000)
        return {
            "e": "avgPrice",
            "E": event_us * factor // 1_000,
            "s": native,
            "i": f"{tickers.AVERAGE_MINUTES}m",
            "w": price,
            "T": last_ms * factor,
        }

    def _tell_kline(self, stream: Stream) -> None:
        now_ns = self._venue.now_ns("stream", "kline")
        event_us = now_ns // 1_000
        rows = klines(self._venue.markets[stream.native], stream.interval, stream.offset_ms, now_ns // 1_000_000)
        if not rows:
            return
        open_ms, traded = self._told.get(stream.name, (rows[-1][0].open_ms, -1))
        closed = [row for row in rows if open_ms <= row[0].open_ms < rows[-1][0].open_ms]
        make = tickers.kline_event
        for row in closed:
            self._tell_bar(stream, make, row, event_us, closed=True)
        current = rows[-1]
        now_traded = self._traded(stream.native)
        if closed or now_traded != traded:
            self._tell_bar(stream, make, current, event_us, closed=False)
        self._told[stream.name] = (current[0].open_ms, now_traded)

    def _tell_bar(self, stream: Stream, make: Callable[..., Any], row: Any, event_us: int, *, closed: bool) -> None:
        self._tell(stream, make, stream.native, stream.interval, row, event_us, closed=closed)


def _reference_event(native: str, event_us: int, factor: int) -> dict[str, Any]:
    return {
        "e": "referencePrice",
        "E": event_us * factor // 1_000,
        "s": native,
        "r": None,
        "t": event_us * factor // 1_000,
    }
