"""The depth streams of one market: orderbook.1, .50, .200, .1000 and .full.

A stream shows the best N levels. Its update id advances by one whenever the view differs from the one before, is noted
in the market's history with the engine batch it shows, and belongs to that stream alone. A stream without listeners
does not tick; it looks at the book when somebody joins or asks REST.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Protocol

from thespian_connector.simulator.engine import RawChange
from thespian_connector.simulator.market import Batch, Market
from thespian_connector.simulator.sockets import Message
from thespian_connector.simulator.venue import Venue

from . import messages
from .data import sequence
from .settings import DEPTH_CADENCE_MS, FULL_CADENCE_MS
from .topics import FULL, Topic
from .views import RawLevels, Spelling, TextLevels, diff

#: Where each stream's update ids start: apart, as they are at Bybit, so that mixing two streams cannot go well.
_FIRST_UPDATE_ID = {1: 18_521_288, 50: 177_400_507, 200: 43_110_203, 1000: 79_000_611, FULL: 3_204_019}


class Listener(Protocol):
    """A socket, as a feed knows it."""

    def data(self, topic: Topic, message: Message, snapshot: Callable[[], bytes] | None = None) -> None:
        """Send a message; `snapshot` (deltas only) makes the snapshot that may be sent instead of it."""


class Timers(Protocol):
    """What a feed needs of the event loop."""

    def time(self) -> float: ...

    def call_at(self, when: float, callback: Callable[[], None], /) -> asyncio.TimerHandle: ...


class Feed(ABC):
    """One topic of one market, with a least time between two of its messages.

    :param cadence_ms: messages are at least this far apart; 0 is as it happens.
    """

    def __init__(self, topic: Topic, venue: Venue, timers: Timers, cadence_ms: int) -> None:
        self.topic = topic
        self.venue = venue
        self.market: Market = venue.markets[topic.symbol]
        self.listeners: dict[Listener, None] = {}
        self._timers = timers
        self._cadence_s = cadence_ms / 1000
        self._last_tick = float("-inf")
        self._timer: asyncio.TimerHandle | None = None

    def join(self, listener: Listener) -> None:
        """A socket subscribed."""
        self.listeners[listener] = None

    def leave(self, listener: Listener) -> None:
        """A socket unsubscribed, or is gone."""
        self.listeners.pop(listener, None)
        if not self.listeners:
            self.stop()

    def stop(self) -> None:
        """No tick that is planned will come."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def on_batch(self, batch: Batch) -> None:
        """The market changed: tick as soon as the cadence allows."""
        if self.listeners and self._timer is None:
            self._plan(max(self._timers.time(), self._last_tick + self._cadence_s))

    def _plan(self, when: float) -> None:
        self._timer = self._timers.call_at(when, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        self._last_tick = self._timers.time()
        self.tick()

    @abstractmethod
    def tick(self) -> None:
        """The cadence's turn: publish what is new."""

    def publish(self, message: bytes, snapshot: Callable[[], bytes] | None = None) -> None:
        """One message, encoded and framed once, to every listener."""
        framed = self.framed(message)
        for listener in tuple(self.listeners):
            listener.data(self.topic, framed, snapshot)

    def framed(self, message: bytes) -> Message:
        """The message as sockets take it."""
        return Message(message, self.topic.kind, self.topic.symbol)

    def skew_ms(self) -> int:
        """How wrong the venue's clock is said to be."""
        fault = self.venue.take("stream", "clock_skew")
        skew: int = fault.params["skew_ms"] if fault else 0
        return skew

    def now_ms(self) -> int:
        """The venue's clock, as its messages show it."""
        return self.venue.time_ns() // 1_000_000 + self.skew_ms()


class BookFeed(Feed):
    """What all depth streams share: the update id and the message's frame."""

    def __init__(self, topic: Topic, venue: Venue, timers: Timers, cadence_ms: int) -> None:
        super().__init__(topic, venue, timers, cadence_ms)
        self.update_id = _FIRST_UPDATE_ID[topic.depth] - 1
        self.batch_id = -1
        self.engine_ns = 0
        self._price = Spelling(self.market.spec.tick)
        self._quantity = Spelling(self.market.spec.step)

    def _advance(self) -> None:
        """The view is another one now: of the market's newest batch."""
        self.update_id += 1
        self.batch_id = self.market.batch_id
        self.engine_ns = self.market.last_batch_ns or self.venue.time_ns()
        self.market.history.note(self.topic.stream, self.update_id, self.batch_id)

    def spell(self, levels: RawLevels) -> TextLevels:
        """Levels as they are written."""
        price, quantity = self._price, self._quantity
        return [(price(ticks), quantity(steps)) for ticks, steps in levels]

    def encode(self, kind: str, bids: RawLevels, asks: RawLevels) -> bytes:
        """A message of this stream at its present update id."""
        skew_ms = self.skew_ms()
        return messages.order_book(
            self.topic.text,
            kind,
            self.topic.symbol,
            self.spell(bids),
            self.spell(asks),
            update_id=self.update_id,
            sequence=sequence(self.batch_id),
            push_ms=self.venue.time_ns() // 1_000_000 + skew_ms,
            engine_ms=self.engine_ns // 1_000_000 + skew_ms,
        )

    @abstractmethod
    def restart(self) -> None:
        """Bybit's service restarted: the ids begin again with a snapshot at 1."""


class DepthFeed(BookFeed):
    """orderbook.50, .200, .1000: a snapshot, then differences of consecutive views."""

    def __init__(self, topic: Topic, venue: Venue, timers: Timers) -> None:
        super().__init__(topic, venue, timers, DEPTH_CADENCE_MS[topic.depth])
        self.bids: RawLevels = []
        self.asks: RawLevels = []
        self._tell_pushed_out = bool(venue.setting("tell_pushed_out"))

    def refresh(self) -> tuple[RawLevels, RawLevels] | None:
        """Look at the book; what changed in the view since the last look, None if nothing did."""
        book, depth = self.market.book, self.topic.depth
        if self.batch_id == self.market.batch_id:
            return None
        bids, asks = book.raw_levels(True, depth), book.raw_levels(False, depth)
        if self.batch_id >= 0 and bids == self.bids and asks == self.asks:
            return None
        tell = self._tell_pushed_out
        changes = (
            diff(self.bids, bids, depth, is_bid=True, tell_pushed_out=tell),
            diff(self.asks, asks, depth, is_bid=False, tell_pushed_out=tell),
        )
        self.bids, self.asks = bids, asks
        self._advance()
        return changes

    def current(self) -> None:
        """Bring the view up to date, unless its ticks do: then it stays at what was last published."""
        if not self.listeners:
            self.refresh()

    def snapshot(self) -> bytes:
        """The view whole, at its present update id."""
        return self.encode("snapshot", self.bids, self.asks)

    def join(self, listener: Listener) -> None:
        self.current()
        super().join(listener)
        listener.data(self.topic, self.framed(self.snapshot()))
        if self.batch_id != self.market.batch_id and self._timer is None:
            self._plan(max(self._timers.time(), self._last_tick + self._cadence_s))

    def tick(self) -> None:
        changes = self.refresh()
        if changes is not None:
            # Deltas without a change (a level pushed out and nothing else) are sent too: the id has to be.
            self.publish(self.encode("delta", *changes), self.snapshot)

    def restart(self) -> None:
        self.refresh()
        self.update_id = 0
        self._advance()
        self.publish(self.snapshot())


class TopFeed(DepthFeed):
    """orderbook.1: snapshots only, told again with the same id after three seconds without a change."""

    def __init__(self, topic: Topic, venue: Venue, timers: Timers) -> None:
        super().__init__(topic, venue, timers)
        self._repeat_s = venue.setting("top_repeat_ms") / 1000
        self._repeat: asyncio.TimerHandle | None = None

    def join(self, listener: Listener) -> None:
        super().join(listener)
        if self._repeat is None:
            self._plan_repeat()

    def tick(self) -> None:
        if self.refresh() is not None:
            self._tell()

    def restart(self) -> None:
        super().restart()
        if self.listeners:
            self._plan_repeat()

    def stop(self) -> None:
        super().stop()
        if self._repeat is not None:
            self._repeat.cancel()
            self._repeat = None

    def _tell(self) -> None:
        self.publish(self.snapshot())
        self._plan_repeat()

    def _plan_repeat(self) -> None:
        if self._repeat is not None:
            self._repeat.cancel()
        self._repeat = self._timers.call_at(self._timers.time() + self._repeat_s, self._tell)


class FullFeed(BookFeed):
    """orderbook.full: deltas only, of the whole book; REST full_orderbook is where a client starts from."""

    def __init__(self, topic: Topic, venue: Venue, timers: Timers) -> None:
        super().__init__(topic, venue, timers, FULL_CADENCE_MS)
        #: (is a bid, ticks) -> steps as last published, for what was touched since.
        self._before: dict[tuple[bool, int], int] = {}

    def on_batch(self, batch: Batch) -> None:
        if self.listeners:
            self._remember(batch.raw)
        super().on_batch(batch)

    def _remember(self, changes: list[RawChange]) -> None:
        for is_bid, price, before, _after in changes:
            self._before.setdefault((is_bid, price), before)

    def current(self) -> None:
        """Bring the update id up to date, unless the ticks do."""
        if not self.listeners and self.batch_id != self.market.batch_id:
            self._advance()

    def join(self, listener: Listener) -> None:
        self.current()
        super().join(listener)

    def leave(self, listener: Listener) -> None:
        super().leave(listener)
        if not self.listeners:
            self._before.clear()

    def tick(self) -> None:
        sides: tuple[RawLevels, RawLevels] = ([], [])
        for (is_bid, price), before in self._before.items():
            now = self.market.book.total(is_bid, price)
            if now != before:
                sides[not is_bid].append((price, now))
        self._before.clear()
        if any(sides):
            sides[0].sort(reverse=True)
            sides[1].sort()
            self._advance()
            self.publish(self.encode("delta", *sides))

    def restart(self) -> None:
        self._before.clear()
        self.update_id = 0
        self._advance()
        self.publish(self.encode("delta", [], []))


def book_feed(topic: Topic, venue: Venue, timers: Timers) -> BookFeed:
    """The depth stream of a topic."""
    if topic.depth == FULL:
        return FullFeed(topic, venue, timers)
    return TopFeed(topic, venue, timers) if topic.depth == 1 else DepthFeed(topic, venue, timers)
