"""What a feed's thread puts on the bus: books, trades, tickers, and what happened to them."""

from __future__ import annotations

import time
from pathlib import Path

from thespian_connector.bus.events import Marker
from thespian_connector.bus.publisher import Publisher
from thespian_connector.model import Ticker, Trade, Trust
from thespian_connector.net.events import BookChanged, FeedEvent, FeedMarker

from .settings import ShardStart


class FeedPublisher:
    """Called on the session's thread alone; :meth:`close` after that thread has ended.

    The ZeroMQ sockets are made at the first call, in the thread that uses them and long after the fork.
    """

    def __init__(self, shard: ShardStart, incarnation: int) -> None:
        self._exchange = shard.exchange.exchange
        self._depth = shard.exchange.settings.publish_depth
        self._endpoint = shard.endpoint
        self._lock_path = Path(shard.lock_path)
        self._incarnation = incarnation
        self._publisher: Publisher | None = None
        self._trusts: dict[str, Trust] = {}

    def tick(self, _monotonic_ns: int) -> None:
        """Serves new subscribers and beats."""
        publisher = self._open()
        publisher.poll()
        publisher.beat(time.time_ns())

    def on_event(self, event: FeedEvent) -> None:
        publisher = self._open()
        if isinstance(event, BookChanged):
            self._book(publisher, event)
        elif isinstance(event, Trade):
            publisher.publish("trade", self._exchange, event.symbol, event)
        elif isinstance(event, Ticker):
            publisher.publish("ticker", self._exchange, event.symbol, event)
        elif isinstance(event, FeedMarker):
            marker = Marker(what=event.what, missed=event.missed, detail=event.detail)
            publisher.publish("marker", self._exchange, event.symbol, marker)

    def close(self) -> None:
        if self._publisher is not None:
            self._publisher.close()

    def _open(self) -> Publisher:
        if self._publisher is None:
            self._publisher = Publisher(self._endpoint, incarnation=self._incarnation, lock_path=self._lock_path)
        return self._publisher

    def _book(self, publisher: Publisher, event: BookChanged) -> None:
        tracked = event.tracked
        publisher.publish("book", self._exchange, event.symbol, tracked.image(self._depth))
        if self._trusts.get(event.symbol) is not tracked.trust:
            self._trusts[event.symbol] = tracked.trust
            publisher.publish("status", self._exchange, event.symbol, tracked.status())
