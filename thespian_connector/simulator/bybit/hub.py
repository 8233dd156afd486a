"""Every feed of the venue: made when first asked for, fed by the markets, listened to by sockets and read by REST."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from thespian_connector.simulator.faults import Fault
from thespian_connector.simulator.market import Batch
from thespian_connector.simulator.venue import Venue

from .data import Tape
from .feeds import BookFeed, DepthFeed, Feed, FullFeed, Listener, Timers, book_feed
from .tape_feeds import KlineFeed, PriceLimitFeed, TickerFeed, TradeFeed
from .topics import FULL, Topic, TopicError, parse

#: REST orderbook serves the view, and the update ids, of this stream.
REST_DEPTH = 1000
_FEEDS: dict[str, Callable[[Topic, Venue, Timers], Feed]] = {
    "publicTrade": TradeFeed,
    "tickers": TickerFeed,
    "priceLimit": PriceLimitFeed,
    "kline": KlineFeed,
}


class Hub:
    """The feeds of all markets of a venue. Used from the event loop only."""

    def __init__(self, venue: Venue) -> None:
        self._venue = venue
        self._feeds: dict[str, dict[str, Feed]] = {native: {} for native in venue.markets}
        self.tapes = {native: Tape(market) for native, market in venue.markets.items()}
        for market in venue.markets.values():
            market.listeners.append(self._on_batch)
        venue.faults.listeners.append(self._on_fault)
        venue.look = self._look

    def close(self) -> None:
        """The server ends: no timer and no listener stays behind."""
        for market in self._venue.markets.values():
            market.listeners.remove(self._on_batch)
        self._venue.faults.listeners.remove(self._on_fault)
        for feeds in self._feeds.values():
            for feed in feeds.values():
                feed.stop()

    def join(self, topic: Topic, listener: Listener) -> None:
        """A socket subscribed."""
        self._feed(topic).join(listener)

    def leave(self, topic: Topic, listener: Listener) -> None:
        """A socket unsubscribed, or is gone."""
        self._feed(topic).leave(listener)

    def depth(self, native: str) -> DepthFeed:
        """The stream that REST orderbook reads, up to date."""
        feed = self._feed(Topic(f"orderbook.{REST_DEPTH}.{native}", "orderbook", native, depth=REST_DEPTH))
        assert isinstance(feed, DepthFeed), "the topic says so"
        feed.current()
        return feed

    def full(self, native: str) -> FullFeed:
        """The stream that REST full_orderbook reads, up to date."""
        feed = self._feed(Topic(f"orderbook.full.{native}", "orderbook", native, depth=FULL))
        assert isinstance(feed, FullFeed), "the topic says so"
        feed.current()
        return feed

    def restart(self, native: str = "") -> None:
        """The venue's service restarted: the depth streams (of one market, or of all) begin anew at update id 1."""
        for symbol, feeds in self._feeds.items():
            if not native or symbol == native:
                for feed in feeds.values():
                    if isinstance(feed, BookFeed):
                        feed.restart()

    def _feed(self, topic: Topic) -> Feed:
        feeds = self._feeds[topic.symbol]
        feed = feeds.get(topic.text)
        if feed is None:
            timers = asyncio.get_running_loop()
            if topic.kind == "orderbook":
                feed = book_feed(topic, self._venue, timers)
            else:
                feed = _FEEDS[topic.kind](topic, self._venue, timers)
            feeds[topic.text] = feed
        return feed

    def _look(self, native: str, stream: str) -> None:
        """Bring a depth stream up to date for the judge; a name that is of none is left for the judge to refuse."""
        try:
            topic = parse(f"{stream}.{native}", (native,))
        except TopicError:
            return
        feed = self._feed(topic) if topic.kind == "orderbook" else None
        if isinstance(feed, DepthFeed | FullFeed):
            feed.current()

    def _on_batch(self, batch: Batch) -> None:
        native = batch.spec.native
        self.tapes[native].add(batch)
        for feed in self._feeds[native].values():
            feed.on_batch(batch)

    def _on_fault(self, fault: Fault) -> None:
        """A restart happens when it is injected; a shutdown of the streams is one too, and then the sockets close."""
        if fault.venue != self._venue.name or (fault.surface or "stream") != "stream":
            return
        if fault.kind == "ws_restart":
            fault.fire()
        if fault.kind in ("ws_restart", "server_shutdown"):
            self.restart(fault.symbol)
