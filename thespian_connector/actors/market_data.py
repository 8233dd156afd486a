"""MarketData: one shard of a venue's symbols. Control in the actor; socket, books and bus on the session's thread."""

from __future__ import annotations

import logging
import threading
import time
from typing import Any

from thespian_connector.books.image import BookImage
from thespian_connector.limits import FEED_THREAD_SILENT_S_MAX, INSTRUMENTS_RETRY_FIRST_S, INSTRUMENTS_RETRY_MAX_S
from thespian_connector.model import Trust
from thespian_connector.model.errors import ConnectorError, Refused
from thespian_connector.net.events import Subscription
from thespian_connector.net.feed import FeedSession

from .component import Arguments, Component
from .messages import ThreadAge, unpack
from .publishing import FeedPublisher
from .settings import ShardStart
from .threads import crash
from .venue import Venue

logger = logging.getLogger(__name__)


class MarketData(Component):
    kind = "market-data"

    def started(self, body: bytes) -> None:
        self.shard = unpack(body, ShardStart)
        self.venue = Venue(self.shard.exchange)
        self.session: FeedSession | None = None
        self._why_not = "its instruments are being loaded"
        self._unlisted: list[str] = []
        self._ending = threading.Event()
        self.publisher = FeedPublisher(self.shard, self.incarnation)
        self.quick["order_book"] = self.order_book
        self.start_worker("loader")
        self.worker.submit(self._load)

    def thread_ages(self) -> tuple[ThreadAge, ...]:
        ages = super().thread_ages()
        session = self.session
        if session is None:
            return ages
        age_ns = time.monotonic_ns() - session.heartbeat_ns
        return (*ages, ThreadAge("feed", age_ns, round(FEED_THREAD_SILENT_S_MAX * 1e9)))

    def stopping(self) -> None:
        self._ending.set()
        self.worker.stop(timeout_s=1.0)
        if self.session is not None and not self.session.stop(timeout_s=1.0):
            logger.warning("%s: the feed's threads did not end in time", self.name)
            return  # its socket is still in use: the process's end closes it
        self.publisher.close()
        self.venue.close()

    # -- on the loader thread

    def _load(self) -> None:
        """Until the venue says what its instruments are; then the session begins."""
        wait_s = INSTRUMENTS_RETRY_FIRST_S
        while not self._ending.is_set():
            self.worker.beat()
            try:
                self.venue.load_instruments()
                break
            except ConnectorError as error:
                self._why_not = f"its instruments cannot be loaded: {error}"
                logger.warning("%s: %s; tried again in %g s", self.name, self._why_not, wait_s)
            self._ending.wait(wait_s)
            wait_s = min(wait_s * 2, INSTRUMENTS_RETRY_MAX_S)
        else:
            return
        listed = [symbol for symbol in self.shard.symbols if symbol in self.venue.instruments]
        self._unlisted = [symbol for symbol in self.shard.symbols if symbol not in listed]
        if self._unlisted:
            logger.error("%s: the venue lists no %s", self.name, ", ".join(self._unlisted))
        if not listed:
            self._why_not = f"the venue lists none of {', '.join(self.shard.symbols)}"
            return
        self._begin_session(listed)

    def _begin_session(self, symbols: list[str]) -> None:
        settings = self.shard.exchange.settings
        channels = frozenset(settings.channels)
        session = FeedSession(
            self.venue.driver,
            self.venue.endpoints,
            self.venue.instruments,
            [Subscription(symbol, channels, settings.depth) for symbol in symbols],
            self.publisher.on_event,
            rest=self.venue.rest,
            budget=self.venue.budget,
            conflate=True,
            redundancy=settings.redundancy,
            rotate_after_s=settings.rotate_after_s,
            tick=self.publisher.tick,
            on_failure=lambda error: crash(f"{self.name}'s feed", error),
            name=f"feed-{self.venue.exchange}",
        )
        session.start()
        self.session = session

    # -- quick

    def order_book(self, arguments: Arguments) -> BookImage:
        symbol = str(arguments["symbol"])
        if self.session is None or symbol in self._unlisted:
            reason = f"the venue lists no {symbol}" if symbol in self._unlisted else self._why_not
            raise Refused(f"{self.name} has no book of {symbol}: {reason}")
        return self.session.image(symbol, int(arguments.get("depth", 0)))

    def status(self, arguments: Arguments) -> dict[str, Any]:
        books = []
        now_ns = time.time_ns()
        for one in self.session.status() if self.session is not None else []:
            newest_ns = max(one.received_time_ns, one.verified_at_ns)
            books.append(
                {
                    "exchange": one.exchange,
                    "symbol": one.symbol,
                    "trust": one.trust.value,
                    "update_id": one.update_id,
                    "age_ms": max(0, now_ns - newest_ns) // 1_000_000 if newest_ns else None,
                    "since_ns": one.since_ns,
                    "span": one.span,
                    "reason": one.reason,
                }
            )
        shown = {book["symbol"] for book in books}
        books.extend(self._absent(symbol) for symbol in self.shard.symbols if symbol not in shown)
        counters = self.session.counters if self.session is not None else {}
        return super().status(arguments) | {
            "books": books,
            "breakers": self.venue.breakers(),
            "limits": self.venue.limits(),
            "counters": counters,
            "connections": self.session.connections if self.session is not None else [],
        }

    def _absent(self, symbol: str) -> dict[str, Any]:
        reason = "the venue lists no such instrument" if symbol in self._unlisted else self._why_not
        return {
            "exchange": self.venue.exchange,
            "symbol": symbol,
            "trust": Trust.SYNCING.value,
            "update_id": 0,
            "age_ms": None,
            "since_ns": self.started_ns,
            "span": 0,
            "reason": reason,
        }
