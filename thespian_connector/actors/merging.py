"""The bus side of Aggregator: every venue's newest book of every symbol, and the thread that merges and publishes them.

How often is merged does not depend on how fast the venues are: what comes while the thread rests is conflated, and it
rests three times as long as it worked.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from thespian_connector.books.merge import best, merge
from thespian_connector.bus.publisher import Publisher
from thespian_connector.bus.subscriber import Subscriber
from thespian_connector.limits import BUS_BEAT_NS, BUS_SILENCE_NS, MERGE_CORE_SHARE_MAX, MERGE_EVERY_S
from thespian_connector.model import BestPrices, OrderBook, Trust

#: In topics, where an exchange would stand.
ALL_EXCHANGES = "*"
_RUNNING = ("starting", "running")
#: What of a book stands in a merged one; what changes most often comes first.
_MERGED_FIELDS = ("update_id", "trust", "stream", "received_time_ns", "bids", "asks")
_BEAT_S = BUS_BEAT_NS / 1e9


class Feed(Struct, frozen=True):
    """A market-data component as Registry knows it."""

    name: str
    exchange: str
    symbols: tuple[str, ...]
    endpoint: str
    incarnation: int
    state: str


class BookTable:
    """What is known of each venue's book now. Thread-safe; it reads no clock."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        #: symbol -> exchange -> who publishes it.
        self._feeds: dict[str, dict[str, Feed]] = {}
        #: (exchange, symbol) -> the publisher's incarnation and the newest book.
        self._books: dict[tuple[str, str], tuple[int, OrderBook]] = {}

    def follow(self, feeds: Iterable[Feed]) -> set[str]:
        """These feeds there are, and no others; the symbols of which something is different now."""
        found: dict[str, dict[str, Feed]] = {}
        for feed in feeds:
            for symbol in feed.symbols:
                found.setdefault(symbol, {})[feed.exchange] = feed
        with self._lock:
            changed = {
                symbol for symbol in found.keys() | self._feeds.keys() if found.get(symbol) != self._feeds.get(symbol)
            }
            self._feeds = found
            self._books = {key: value for key, value in self._books.items() if key[0] in found.get(key[1], {})}
        return changed

    def put(self, incarnation: int, book: OrderBook) -> bool:
        """A book from the bus; whether the merged one is another by it. A quiet book is told again and again, because
        it was verified: nothing of it is merged anew. Nor is one of a feed that is not followed."""
        key = book.exchange, book.symbol
        with self._lock:
            if book.exchange not in self._feeds.get(book.symbol, {}):
                return False
            before, self._books[key] = self._books.get(key), (incarnation, book)
        return before is None or before[0] != incarnation or _merges_otherwise(before[1], book)

    def symbols(self) -> list[str]:
        with self._lock:
            return list(self._feeds)

    def feed(self, exchange: str, symbol: str) -> Feed | None:
        with self._lock:
            return self._feeds.get(symbol, {}).get(exchange)

    def books(self, symbol: str, *, believed: bool = True) -> list[OrderBook]:
        """Every venue's book of `symbol`. One that was never heard is SYNCING, one whose process has ended STALE.

        :param believed: False: nothing was read from the bus for too long, so none is LIVE.
        """
        with self._lock:
            feeds = list(self._feeds.get(symbol, {}).values())
            held = [self._books.get((feed.exchange, symbol)) for feed in feeds]
        return [_shown(feed, symbol, one, believed) for feed, one in zip(feeds, held, strict=True)]


def _merges_otherwise(before: OrderBook, now: OrderBook) -> bool:
    """Whether anything that :func:`merge` or :func:`best` reads has changed."""
    return any(getattr(before, name) != getattr(now, name) for name in _MERGED_FIELDS)


def no_book(exchange: str, symbol: str, trust: Trust) -> OrderBook:
    """What stands for a book that cannot be had."""
    return OrderBook(
        exchange=exchange, symbol=symbol, stream="", update_id=0, trust=trust, bids=(), asks=(), certified=(0, 0)
    )


def _shown(feed: Feed, symbol: str, held: tuple[int, OrderBook] | None, believed: bool) -> OrderBook:
    """Registry hears of a process's end within milliseconds, the bus after a second of silence."""
    if held is None:
        return no_book(feed.exchange, symbol, Trust.SYNCING)
    incarnation, book = held
    ended = incarnation < feed.incarnation or (incarnation == feed.incarnation and feed.state not in _RUNNING)
    if book.trust is Trust.LIVE and (ended or not believed):
        return replace(book, trust=Trust.STALE)
    return book


class Merger:
    """The thread. `follow` and `books` are for others.

    :param on_failure: told, in the thread, what ended it.
    """

    def __init__(
        self, endpoint: str, lock_path: Path, incarnation: int, on_failure: Callable[[BaseException], None]
    ) -> None:
        self._endpoint = endpoint
        self._lock_path = lock_path
        self._incarnation = incarnation
        self._on_failure = on_failure
        self._ending = threading.Event()
        self._lock = threading.Lock()
        self._endpoints: Mapping[str, str] | None = None
        self._dirty: set[str] = set()
        self._best: dict[str, BestPrices] = {}
        self._thread = threading.Thread(target=self._run, name="bus", daemon=True)
        self.table = BookTable()
        #: When the thread last read the bus, on the monotonic clock.
        self.heartbeat_ns = time.monotonic_ns()

    def start(self) -> None:
        self._thread.start()

    def stop(self, timeout_s: float) -> None:
        self._ending.set()
        self._thread.join(timeout_s)

    def follow(self, feeds: Iterable[Feed]) -> None:
        """These feeds there are now. A restarted one is at the same endpoint; nothing is connected anew."""
        feeds = list(feeds)
        changed = self.table.follow(feeds)
        with self._lock:
            self._endpoints = {feed.name: feed.endpoint for feed in feeds if feed.endpoint}
            self._dirty |= changed

    def books(self, symbol: str) -> list[OrderBook]:
        """Every venue's book of `symbol`, as published; none LIVE if the thread did not read the bus for too long."""
        believed = time.monotonic_ns() - self.heartbeat_ns <= BUS_SILENCE_NS
        return self.table.books(symbol, believed=believed)

    # -- the thread

    def _run(self) -> None:
        try:
            with (
                Subscriber({}, ["book|"]) as subscriber,
                Publisher(self._endpoint, incarnation=self._incarnation, lock_path=self._lock_path) as publisher,
            ):
                while not self._ending.is_set():
                    self._round(subscriber, publisher)
        except BaseException as error:  # noqa: BLE001 - whatever it was, the owner ends the process for it
            self._on_failure(error)

    def _round(self, subscriber: Subscriber, publisher: Publisher) -> None:
        self._connect(subscriber)
        events = subscriber.poll(BUS_BEAT_NS // 1_000_000)
        begun = time.monotonic()
        self.heartbeat_ns = time.monotonic_ns()
        _serve(publisher)
        heard = {
            event.symbol
            for event in events
            if isinstance(event.record, OrderBook) and self.table.put(event.incarnation, event.record)
        }
        with self._lock:
            heard |= self._dirty
            self._dirty = set()
        for symbol in heard:
            self._publish(publisher, symbol)
            _serve(publisher)
        if heard:
            took = time.monotonic() - begun
            self._rest(publisher, max(MERGE_EVERY_S, took / MERGE_CORE_SHARE_MAX) - took)

    def _connect(self, subscriber: Subscriber) -> None:
        with self._lock:
            wanted, self._endpoints = self._endpoints, None
        if wanted is None:
            return
        for name in subscriber.endpoints.keys() - wanted.keys():
            subscriber.remove(name)
        for name, endpoint in wanted.items():
            subscriber.add(name, endpoint)

    def _publish(self, publisher: Publisher, symbol: str) -> None:
        books = self.table.books(symbol)
        if not books:
            return  # no venue carries it any more
        publisher.publish("merged", ALL_EXCHANGES, symbol, merge(books))
        prices = best(books)
        if self._best.get(symbol) != prices:
            self._best[symbol] = prices
            publisher.publish("best", ALL_EXCHANGES, symbol, prices)

    def _rest(self, publisher: Publisher, seconds: float) -> None:
        while seconds > 0 and not self._ending.wait(min(seconds, _BEAT_S / 2)):
            seconds -= _BEAT_S / 2
            self.heartbeat_ns = time.monotonic_ns()
            _serve(publisher)


def _serve(publisher: Publisher) -> None:
    publisher.poll()
    publisher.beat(time.time_ns())
