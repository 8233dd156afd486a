"""Aggregator: the venues' books of one symbol as one, on its own bus endpoint and by query.

It finds feeds by their names in Registry (``exchange/*/market-data/*``): one that joins, restarts or moves is merged
without anyone telling it. What the feeds publish answers most queries; a deeper book is asked from the feeds that hold
it, within a limit of time.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, field
from pathlib import Path

from thespian_connector.books.merge import best, merge
from thespian_connector.limits import (
    FEED_THREAD_SILENT_S_MAX,
    MERGE_ASK_S_MAX,
    MERGE_ASKED_MAX,
)
from thespian_connector.model import BestPrices, OrderBook, Trust
from thespian_connector.model.errors import Refused

from .component import Arguments, Component
from .merging import Feed, Merger, no_book
from .messages import Address, Announce, Found, Message, Reply, Request, ThreadAge, failure, pack, unpack
from .settings import AggregatorStart
from .threads import crash
from .watching import Watching

logger = logging.getLogger(__name__)

FEEDS = "exchange/*/market-data/*"
#: Between two ticks while deep books have deadlines.
_BUSY_TICK_S = 0.25


@dataclass
class _DeepBook:
    """A merged book that waits for feeds' whole books."""

    client: Address
    request: Request
    symbol: str
    depth: int
    deadline: float
    books: dict[str, OrderBook]
    waiting: set[str] = field(default_factory=set)


class Aggregator(Component):
    kind = "aggregator"
    tick_s = 1.0

    def started(self, body: bytes) -> None:
        start = unpack(body, AggregatorStart)
        self.watching = Watching(FEEDS, self.incarnation, self.send)
        self._deep: dict[int, _DeepBook] = {}
        self._deep_count = 0
        #: Incarnation of a feed -> questions that it has not answered, late or not.
        self._asked: dict[int, int] = {}
        self.quick["best"] = self.best
        self.start_worker("merge")
        self.merger = Merger(
            start.endpoint,
            Path(start.lock_path),
            self.incarnation,
            lambda error: crash(f"{self.name}'s bus thread", error),
        )
        self.merger.start()

    def thread_ages(self) -> tuple[ThreadAge, ...]:
        age_ns = time.monotonic_ns() - self.merger.heartbeat_ns
        return (*super().thread_ages(), ThreadAge("bus", age_ns, round(FEED_THREAD_SILENT_S_MAX * 1e9)))

    def stopping(self) -> None:
        self.merger.stop(timeout_s=1.0)
        self.worker.stop(timeout_s=1.0)

    def tick(self, now: float) -> None:
        self.watching.tick(now)
        for number, deep in list(self._deep.items()):
            if now > deep.deadline:
                self._finish(number)
        if not self._deep:
            self.pace(self.tick_s)

    def handle(self, message: Message, sender: Address) -> None:
        if isinstance(message, Found):
            self._on_found(message)
        elif isinstance(message, Announce):
            self.watching.registry(message, time.monotonic())
        elif isinstance(message, Reply):
            self._on_reply(message)
        elif isinstance(message, Request) and message.operation == "merged_book":
            self._merged_book(message, sender)
        else:
            super().handle(message, sender)

    # -- who is there

    def _on_found(self, message: Found) -> None:
        if not self.watching.found(message, time.monotonic()):
            return
        feeds = self.watching.known
        alive = {one.incarnation for one in feeds.values()}
        self._asked = {incarnation: count for incarnation, count in self._asked.items() if incarnation in alive}
        self.merger.follow(
            Feed(one.name, one.name.split("/")[1], one.symbols, one.endpoint, one.incarnation, one.state)
            for one in feeds.values()
        )

    # -- queries

    def best(self, arguments: Arguments) -> BestPrices:
        return best(self._books(str(arguments["symbol"])).values())

    def _books(self, symbol: str) -> dict[str, OrderBook]:
        books = {book.exchange: book for book in self.merger.books(symbol)}
        if not books:
            raise Refused(f"{self.name} has not found the feeds of {symbol} yet; ask again in a moment")
        return books

    def _merged_book(self, request: Request, client: Address) -> None:
        arguments = unpack(request.body, Arguments)
        symbol, depth = str(arguments["symbol"]), int(arguments.get("depth", 0))
        try:
            books = self._books(symbol)
        except Refused as error:
            self.send(client, failure(request.correlation, error, self.asker(request)))
            return
        self._deep_count += 1
        number = self._deep_count
        deep = _DeepBook(client, request, symbol, depth, time.monotonic() + MERGE_ASK_S_MAX, books)
        self._deep[number] = deep
        self.pace(_BUSY_TICK_S)
        for exchange in [exchange for exchange, book in books.items() if _needs_more(book, depth)]:
            if self._ask(number, exchange, deep):
                deep.waiting.add(exchange)
            else:
                deep.books[exchange] = no_book(exchange, symbol, Trust.STALE)
        if not deep.waiting:
            self._finish(number)

    def _ask(self, number: int, exchange: str, deep: _DeepBook) -> bool:
        """Whether the feed was asked: it is there and does not owe many answers (a hung one must not silence us)."""
        feed = self.merger.table.feed(exchange, deep.symbol)
        announced = self.watching.known.get(feed.name) if feed is not None else None
        if announced is None or announced.address is None:
            return False
        incarnation = announced.incarnation
        if self._asked.get(incarnation, 0) >= MERGE_ASKED_MAX:
            return False
        self._asked[incarnation] = self._asked.get(incarnation, 0) + 1
        body = pack({"symbol": deep.symbol, "depth": deep.depth})
        correlation = f"{number} {exchange} {incarnation}"
        request = Request(incarnation, correlation, "order_book", body, MERGE_ASK_S_MAX, self.incarnation)
        self.send(announced.address, request)
        return True

    def _on_reply(self, reply: Reply) -> None:
        number, exchange, incarnation = reply.correlation.split()
        if int(incarnation) in self._asked:
            self._asked[int(incarnation)] -= 1
        deep = self._deep.get(int(number))
        if deep is None:
            return  # too late: it was answered without
        deep.waiting.discard(exchange)
        if reply.ok:
            deep.books[exchange] = unpack(reply.body, OrderBook)
        else:
            deep.books[exchange] = no_book(exchange, deep.symbol, Trust.SYNCING)
        if not deep.waiting:
            self._finish(int(number))

    def _finish(self, number: int) -> None:
        """Merges what has come, on the worker (thousands of levels take a while), and answers."""
        deep = self._deep.pop(number)
        for exchange in deep.waiting:
            logger.warning("%s: %s did not give its whole book of %s in time", self.name, exchange, deep.symbol)
            deep.books[exchange] = no_book(exchange, deep.symbol, Trust.STALE)
        self.submit(lambda _: merge(deep.books.values(), deep.depth), deep.request, deep.client)


def _needs_more(book: OrderBook, depth: int) -> bool:
    """Whether the feed has levels that are wanted and were not published."""
    if book.trust is not Trust.LIVE:
        return False
    shown = len(book.bids), len(book.asks)
    return any(have < known and (not depth or have < depth) for have, known in zip(shown, book.certified, strict=True))
