"""A real session over the simulator, and its books held against the simulator's truth."""

from __future__ import annotations

import queue
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from thespian_connector.drivers.registry import driver_for
from thespian_connector.model import Channel, Environment, OrderBook, Trust
from thespian_connector.net.budget import Budget
from thespian_connector.net.events import BookChanged, FeedEvent, FeedMarker, FeedTiming, Subscription
from thespian_connector.net.feed import FeedSession
from thespian_connector.net.market import MarketRest
from thespian_connector.net.rest import RestClient

from .simulator import Simulator
from .waiting import wait_until

#: For tests of what is not about being late: a machine that stalls for seconds makes no book STALE.
PATIENT = FeedTiming(
    connect_s=60,
    ack_s=60,
    snapshot_deadline_s=60,
    behind_grace_s=20,
    stale_rest_s=60,
    stale_stream_s=60,
    silent_reconnect_s=120,
    pong_s=60,
    resubscribe_s=60,
    lag_stale_s=60,
    held_up_s=60,
)


class MarketFeed:
    """``with MarketFeed(simulator, "binance", tmp_path) as feed``: samples of its LIVE books come out of `samples`.

    :param every: one sample in so many changes of a LIVE book; 0: none.
    """

    def __init__(
        self,
        simulator: Simulator,
        venue: str,
        directory: Path,
        *,
        symbols: Sequence[str] = ("BTC/USDT",),
        channels: Iterable[Channel] = (Channel.BOOK,),
        depth: int = 0,
        every: int = 1,
        timing: FeedTiming | None = None,
        on_event: Callable[[FeedEvent], None] | None = None,
        **keywords: Any,
    ) -> None:
        driver = driver_for(venue)
        given = simulator.urls[venue]
        urls = {"rest": given["rest"], "stream": given.get("stream") or given["ws"]}
        endpoints = driver.endpoints(Environment.PAPER, urls)
        self.venue = venue
        self.events: list[FeedEvent] = []
        self.samples: queue.Queue[OrderBook] = queue.Queue(maxsize=8)
        self.failures: list[BaseException] = []
        self.changes = 0
        self.simulator = simulator
        self._every = every
        self._then = on_event
        self.budget = Budget.for_venue(driver, endpoints.rest, directory)
        self.rest = MarketRest(driver, RestClient(driver, endpoints.rest, budget=self.budget))
        instruments = {instrument.symbol: instrument for instrument in self.rest.instruments(deadline_s=60)}
        self.session = FeedSession(
            driver,
            endpoints,
            instruments,
            [Subscription(symbol, frozenset(channels), depth) for symbol in symbols],
            self._event,
            rest=self.rest,
            budget=self.budget,
            timing=timing,
            on_failure=self.failures.append,
            **keywords,
        )

    def _event(self, event: FeedEvent) -> None:
        if isinstance(event, BookChanged):
            self.changes += 1
            wanted = self._every and event.tracked.trust is Trust.LIVE and self.changes % self._every == 0
            # The truth is known for a minute: rather fewer samples than old ones, on a busy machine.
            if wanted and not self.samples.full():
                self.samples.put(event.tracked.order_book())
        else:
            self.events.append(event)
        if self._then is not None:
            self._then(event)

    def __enter__(self) -> Self:
        self.session.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        ended = self.session.stop(60)
        self.rest.client.close()
        self.budget.close()
        if kind is None:
            assert ended, "stop() left a thread behind"
            assert not self.failures, self.failures

    def trust(self, symbol: str = "BTC/USDT") -> Trust:
        return self.session.book(symbol).trust

    def wait_trust(self, trust: Trust, symbol: str = "BTC/USDT", timeout_s: float = 60) -> OrderBook:
        wait_until(lambda: self.trust(symbol) is trust, timeout_s, f"{symbol} {trust}; {self.session.counters}")
        return self.session.book(symbol)

    def markers(self, what: str) -> list[FeedMarker]:
        return [event for event in self.events if isinstance(event, FeedMarker) and event.what == what]

    def compare(self, count: int, timeout_s: float = 60) -> list[OrderBook]:
        """Hold the next `count` samples against the truth at their own update id, level by level; returns them."""
        compared = []
        for _ in range(count):
            book = self.samples.get(timeout=timeout_s)
            self.check(book)
            compared.append(book)
        return compared

    def check(self, book: OrderBook) -> None:
        native = book.symbol.replace("/", "")
        truth = self.simulator.book(self.venue, native, book.stream, book.update_id)
        if truth is None:
            raise AssertionError(f"the truth at {book.stream} {book.update_id} is already forgotten")
        for side, ours in (("bids", book.bids), ("asks", book.asks)):
            true = [(Decimal(price), Decimal(quantity)) for price, quantity in truth[side][: len(ours)]]
            assert [tuple(level) for level in ours] == true, f"{side} of {book.symbol} at {book.update_id} are not true"
        assert book.certified == (len(book.bids), len(book.asks))
