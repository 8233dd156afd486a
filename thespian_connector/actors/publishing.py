"""What a feed's thread puts on the bus: books, trades, tickers, and what happened to them."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from pathlib import Path

from thespian_connector.bus.events import Marker
from thespian_connector.bus.publisher import Publisher
from thespian_connector.limits import BUS_BEAT_NS
from thespian_connector.model import Ticker, Trade, Trust
from thespian_connector.net.events import BookChanged, FeedEvent, FeedMarker
from thespian_connector.orders.desk import News

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


class OrderPublisher:
    """A thread that puts orders, fills and balances on the bus: topics ``order|<exchange>|<symbol>``, ``fill|...``,
    ``balance|<exchange>|<asset>``.

    :param on_failure: something unexpected ended the thread; this process must not go on.
    """

    def __init__(
        self,
        exchange: str,
        endpoint: str,
        lock_path: Path,
        incarnation: int,
        on_failure: Callable[[BaseException], None],
    ) -> None:
        self.heartbeat_ns = time.monotonic_ns()
        self._exchange = exchange
        self._endpoint = endpoint
        self._lock_path = lock_path
        self._incarnation = incarnation
        self._on_failure = on_failure
        self._news: queue.SimpleQueue[News | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._main, name="bus", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def publish(self, news: News) -> None:
        """From any thread."""
        self._news.put(news)

    def stop(self, timeout_s: float) -> None:
        """What waits is published first."""
        self._news.put(None)
        self._thread.join(timeout_s)

    def _main(self) -> None:
        try:
            with Publisher(self._endpoint, incarnation=self._incarnation, lock_path=self._lock_path) as publisher:
                while self._turn(publisher):
                    pass
        except BaseException as error:  # noqa: BLE001 - whatever it was: the owner ends the process
            self._on_failure(error)

    def _turn(self, publisher: Publisher) -> bool:
        self.heartbeat_ns = time.monotonic_ns()
        try:
            news = self._news.get(timeout=BUS_BEAT_NS / 1e9)
        except queue.Empty:
            pass
        else:
            if news is None:
                return False
            self._send(publisher, news)
        publisher.poll()
        publisher.beat(time.time_ns())
        return True

    def _send(self, publisher: Publisher, news: News) -> None:
        for symbol, fill in news.fills:
            publisher.publish("fill", self._exchange, symbol, fill)
        for order in news.orders:
            publisher.publish("order", self._exchange, order.symbol, order)
        for balance in news.balances:
            publisher.publish("balance", self._exchange, balance.asset, balance)
