"""The streams of one market that are no book: publicTrade, tickers, kline and priceLimit."""

from __future__ import annotations

import asyncio
from abc import abstractmethod

from thespian_connector.simulator.candles import Bar
from thespian_connector.simulator.market import Batch
from thespian_connector.simulator.venue import Venue

from . import messages
from .data import Tape, day_ticker, flat_bar, interval_end, interval_start, kline_item, klines, price_limits, sequence
from .feeds import Feed, Listener, Timers
from .settings import KLINE_CADENCE_MS, KLINE_CONFIRM_MS, PRICE_LIMIT_CADENCE_MS, TICKER_CADENCE_MS
from .topics import Topic


class TradeFeed(Feed):
    """publicTrade: every trade, as it happens; nothing on subscribing."""

    def __init__(self, topic: Topic, venue: Venue, timers: Timers) -> None:
        super().__init__(topic, venue, timers, 0)

    def on_batch(self, batch: Batch) -> None:
        if batch.trades and self.listeners:
            items = Tape.items(batch)
            for message in messages.trades(self.topic.text, items, self.now_ms()):
                self.publish(message)

    def tick(self) -> None:
        raise AssertionError("trades do not wait")


class _StateFeed(Feed):
    """What is told whole: on subscribing, and when it changed."""

    def __init__(self, topic: Topic, venue: Venue, timers: Timers, cadence_ms: int) -> None:
        super().__init__(topic, venue, timers, cadence_ms)
        self._last: object = None

    def join(self, listener: Listener) -> None:
        super().join(listener)
        listener.data(self.topic, self.framed(self.encode(self.state())))

    def tick(self) -> None:
        state = self.state()
        if state != self._last:
            self._last = state
            self.publish(self.encode(state))

    @abstractmethod
    def state(self) -> dict[str, str]:
        """What the topic tells, without times."""

    @abstractmethod
    def encode(self, state: dict[str, str]) -> bytes:
        """It as a message."""


class TickerFeed(_StateFeed):
    """tickers: no bid, no ask on spot."""

    def __init__(self, topic: Topic, venue: Venue, timers: Timers) -> None:
        super().__init__(topic, venue, timers, TICKER_CADENCE_MS)

    def state(self) -> dict[str, str]:
        return day_ticker(self.market, self.venue.markets, self.now_ms())

    def encode(self, state: dict[str, str]) -> bytes:
        return messages.ticker(self.topic.text, state, sequence(self.market.batch_id), self.now_ms())


class PriceLimitFeed(_StateFeed):
    """priceLimit: the band that orders have to keep."""

    def __init__(self, topic: Topic, venue: Venue, timers: Timers) -> None:
        super().__init__(topic, venue, timers, PRICE_LIMIT_CADENCE_MS)

    def state(self) -> dict[str, str]:
        buy, sell = price_limits(self.market)
        return {"symbol": self.topic.symbol, "buyLmt": buy, "sellLmt": sell}

    def encode(self, state: dict[str, str]) -> bytes:
        return messages.price_limit(self.topic.text, state, self.now_ms())


class KlineFeed(Feed):
    """kline: the open bar after trades; a finished one is confirmed a moment after its end."""

    def __init__(self, topic: Topic, venue: Venue, timers: Timers) -> None:
        super().__init__(topic, venue, timers, KLINE_CADENCE_MS)
        self._open_ms = 0
        self._closing: asyncio.TimerHandle | None = None

    def join(self, listener: Listener) -> None:
        super().join(listener)
        if self._closing is None:
            self._plan_close()
        listener.data(self.topic, self.framed(self._message(self._bar(self._open_ms), confirm=False)))

    def stop(self) -> None:
        super().stop()
        if self._closing is not None:
            self._closing.cancel()
            self._closing = None

    def on_batch(self, batch: Batch) -> None:
        if batch.trades:
            super().on_batch(batch)

    def tick(self) -> None:
        if interval_start(self.now_ms(), self.topic.interval) == self._open_ms:
            self.publish(self._message(self._bar(self._open_ms), confirm=False))

    def _plan_close(self) -> None:
        now_ms = self.now_ms()
        self._open_ms = interval_start(now_ms, self.topic.interval)
        left_ms = interval_end(self._open_ms, self.topic.interval) + KLINE_CONFIRM_MS - now_ms
        self._closing = self._timers.call_at(self._timers.time() + left_ms / 1000, self._close)

    def _close(self) -> None:
        finished = self._open_ms
        self._plan_close()
        self.publish(self._message(self._bar(finished), confirm=True))

    def _bar(self, open_ms: int) -> Bar:
        """The bar that starts at `open_ms`; one without a trade is flat at the close before it."""
        bars = klines(self.market, self.topic.interval)
        before: Bar | None = None
        for bar in bars:
            if bar.open_ms == open_ms:
                return bar
            if bar.open_ms < open_ms:
                before = bar
        return flat_bar(open_ms, before)

    def _message(self, bar: Bar, *, confirm: bool) -> bytes:
        now_ms = self.now_ms()
        item = kline_item(bar, self.topic.interval, confirm=confirm, now_ms=now_ms)
        return messages.kline(self.topic.text, item, now_ms)
