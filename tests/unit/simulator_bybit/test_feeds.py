"""Depth streams with a clock of the test's: cadence, ids, repeats, and what happens while nobody listens."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any, cast

import pytest

from thespian_connector.simulator.bybit.feeds import FullFeed, TopFeed, book_feed
from thespian_connector.simulator.bybit.settings import SETTINGS
from thespian_connector.simulator.bybit.tape_feeds import KlineFeed, TradeFeed
from thespian_connector.simulator.bybit.topics import Topic, parse
from thespian_connector.simulator.faults import Faults
from thespian_connector.simulator.market import Market, MarketSpec
from thespian_connector.simulator.sockets import Message
from thespian_connector.simulator.venue import Venue, seeded_account

NATIVE = "BTCUSDT"
_START_S = 1_800_000_000.0


class Handle:
    def __init__(self, when: float, callback: Callable[[], None]) -> None:
        self.when, self.callback, self.cancelled = when, callback, False

    def cancel(self) -> None:
        self.cancelled = True


class Clock:
    """The loop's timers and the wall clock in one; time passes when told."""

    def __init__(self) -> None:
        self.now = _START_S
        self._timers: list[Handle] = []

    def time(self) -> float:
        return self.now

    def time_ns(self) -> int:
        return round(self.now * 1e6) * 1_000

    def call_at(self, when: float, callback: Callable[[], None], /) -> asyncio.TimerHandle:
        handle = Handle(when, callback)
        self._timers.append(handle)
        return cast(asyncio.TimerHandle, handle)

    def planned(self) -> int:
        return sum(not timer.cancelled for timer in self._timers)

    def advance(self, seconds: float) -> None:
        end = self.now + seconds
        while True:
            self._timers = [timer for timer in self._timers if not timer.cancelled]
            due = min((timer for timer in self._timers if timer.when <= end + 1e-9), key=lambda t: t.when, default=None)
            if due is None:
                break
            self._timers.remove(due)
            self.now = max(self.now, due.when)
            due.callback()
        self.now = end


class Listener:
    def __init__(self) -> None:
        self.messages: list[Any] = []

    def data(self, topic: Topic, message: Message, snapshot: Callable[[], bytes] | None = None) -> None:
        self.messages.append(json.loads(message.payload))

    def ids(self) -> list[int]:
        return [message["data"]["u"] for message in self.messages]


class Bench:
    def __init__(self) -> None:
        self.clock = Clock()
        spec = MarketSpec(
            "BTC",
            "USDT",
            NATIVE,
            Decimal("0.1"),
            Decimal("0.001"),
            Decimal("0.001"),
            Decimal(100),
            Decimal(1),
            Decimal(10**6),
            5,
        )
        self.market = Market(spec)
        self.market.book.seed(True, [(price, 1_000) for price in range(900, 1_000)])
        self.market.book.seed(False, [(price, 1_000) for price in range(1_001, 1_101)])
        self.venue = Venue(
            "bybit",
            {NATIVE: self.market},
            Faults(("bybit",), self.clock.time_ns),
            account=seeded_account(1, "bybit"),
            settings=SETTINGS,
            time_ns=self.clock.time_ns,
            monotonic_ns=self.clock.time_ns,
        )

    def feed(self, topic: str) -> Any:
        parsed = parse(topic, (NATIVE,))
        if parsed.kind == "orderbook":
            feed: Any = book_feed(parsed, self.venue, self.clock)
        else:
            feed = {"publicTrade": TradeFeed, "kline": KlineFeed}[parsed.kind](parsed, self.venue, self.clock)
        self.market.listeners.append(feed.on_batch)
        return feed

    def trade(self, quantity: int = 1) -> None:
        """A buyer takes from the best ask."""
        self.market.submit(True, quantity, now_ns=self.clock.time_ns(), rest=False)
        self.market.commit(self.clock.time_ns())

    def deep(self) -> None:
        """Something changes below everybody's view of 50."""
        self.market.submit(True, 5, 910, now_ns=self.clock.time_ns())
        self.market.commit(self.clock.time_ns())


def test_changes_within_a_cadence_are_one_delta() -> None:
    bench, listener = Bench(), Listener()
    feed = bench.feed("orderbook.50.BTCUSDT")
    feed.join(listener)
    bench.trade()
    bench.clock.advance(0)
    bench.trade()
    bench.trade()
    bench.clock.advance(0.019)
    assert [message["type"] for message in listener.messages] == ["snapshot", "delta"]
    bench.clock.advance(0.001)
    assert [message["type"] for message in listener.messages] == ["snapshot", "delta", "delta"]
    assert listener.messages[2]["data"]["a"] == [["100.1", "0.997"]]
    first = listener.ids()[0]
    assert listener.ids() == [first, first + 1, first + 2]


def test_what_is_not_in_the_view_is_no_message() -> None:
    bench, listener = Bench(), Listener()
    feed = bench.feed("orderbook.50.BTCUSDT")
    feed.join(listener)
    bench.deep()
    bench.clock.advance(1)
    assert len(listener.messages) == 1
    assert bench.clock.planned() == 0


def test_a_stream_without_listeners_does_not_tick_and_is_whole_for_the_next_one() -> None:
    bench, first, second = Bench(), Listener(), Listener()
    feed = bench.feed("orderbook.50.BTCUSDT")
    feed.join(first)
    bench.trade()
    feed.leave(first)
    assert bench.clock.planned() == 0
    bench.trade()
    bench.clock.advance(1)
    assert bench.clock.planned() == 0
    feed.join(second)
    assert len(first.messages) == 1
    assert second.messages[0]["data"]["a"][0] == ["100.1", "0.998"]
    assert second.ids()[0] == first.ids()[0] + 1


def test_who_joins_between_two_ticks_gets_what_was_last_published() -> None:
    bench, first, second = Bench(), Listener(), Listener()
    feed = bench.feed("orderbook.50.BTCUSDT")
    feed.join(first)
    bench.trade()
    bench.clock.advance(0)
    bench.trade()
    feed.join(second)
    bench.clock.advance(0.02)
    assert second.ids() == first.ids()[1:]
    assert [message["type"] for message in second.messages] == ["snapshot", "delta"]


def test_ids_name_the_batch_that_they_show() -> None:
    bench, listener = Bench(), Listener()
    feed = bench.feed("orderbook.200.BTCUSDT")
    feed.join(listener)
    for _ in range(5):
        bench.trade()
        bench.clock.advance(0.1)
    for number, update_id in enumerate(listener.ids()):
        assert bench.market.history.find("orderbook.200", update_id) == number


def test_level_one_repeats_after_three_quiet_seconds() -> None:
    bench, listener = Bench(), Listener()
    feed = bench.feed("orderbook.1.BTCUSDT")
    assert isinstance(feed, TopFeed)
    feed.join(listener)
    bench.clock.advance(2)
    bench.trade()
    bench.clock.advance(2.9)
    assert len(listener.messages) == 2
    bench.clock.advance(3.2)
    first = listener.ids()[0]
    assert listener.ids() == [first, first + 1, first + 1, first + 1]
    feed.leave(listener)
    assert bench.clock.planned() == 0


def test_the_full_book_tells_the_net_change_of_everything() -> None:
    bench, listener = Bench(), Listener()
    feed = bench.feed("orderbook.full.BTCUSDT")
    assert isinstance(feed, FullFeed)
    feed.join(listener)
    assert listener.messages == []
    start = feed.update_id
    bench.trade(1_500)
    bench.deep()
    bench.clock.advance(0)
    (message,) = listener.messages
    assert message["type"] == "delta"
    assert message["data"]["u"] == start + 1
    assert message["data"]["b"] == [["91", "1.005"]]
    assert message["data"]["a"] == [["100.1", "0"], ["100.2", "0.5"]]


@pytest.mark.parametrize("depth", ["1", "50", "full"])
def test_a_restart_counts_from_one(depth: str) -> None:
    bench, listener = Bench(), Listener()
    feed = bench.feed(f"orderbook.{depth}.BTCUSDT")
    feed.join(listener)
    bench.trade()
    feed.restart()
    bench.trade()
    bench.clock.advance(0.3)
    assert listener.ids()[-2:] == [1, 2]


def test_trades_are_told_at_once() -> None:
    bench, listener = Bench(), Listener()
    bench.feed("publicTrade.BTCUSDT").join(listener)
    bench.trade(1_500)
    (message,) = listener.messages
    assert [(trade["p"], trade["v"], trade["S"]) for trade in message["data"]] == [
        ("100.1", "1", "Buy"),
        ("100.2", "0.5", "Buy"),
    ]


def test_a_kline_is_confirmed_after_its_end() -> None:
    bench, listener = Bench(), Listener()
    feed = bench.feed("kline.1.BTCUSDT")
    feed.join(listener)
    bench.trade()
    bench.clock.advance(61)
    told = [message["data"][0] for message in listener.messages]
    assert [bar["confirm"] for bar in told] == [False, False, True]
    assert (told[-1]["close"], told[-1]["volume"]) == ("100.1", "0.001")
    assert told[-1]["timestamp"] - told[-1]["end"] == 301
    bench.clock.advance(60)
    flat = listener.messages[-1]["data"][0]
    assert (flat["confirm"], flat["open"], flat["volume"]) == (True, "100.1", "0")
    feed.leave(listener)
    assert bench.clock.planned() == 0
