"""Merged books of a running system: right to the level, of LIVE feeds only, and whoever dies is alone in it."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import signal
import time
from collections.abc import Iterator
from typing import Any

import pytest
from support.merged import check_merged, each_merged
from support.system import System
from support.waiting import wait_until

from thespian_connector import Connector, MergedBook, Trust
from thespian_connector.model import BestPrices
from thespian_connector.model.errors import ConnectorError, DeadlineExceeded, UnknownExchange, UnknownSymbol, UsageError

FEED = "exchange/binance/market-data/0"
BOTH = ("binance", "bybit")
#: Any machine: it says "it heals", not how soon, which is printed.
HEALED_S_MAX = 120.0


@pytest.fixture(scope="module")
def system() -> Iterator[System]:
    with System() as one:
        one.start("--wait", "live", "--timeout", "120")
        yield one


@pytest.fixture
def connector(system: System, monkeypatch: pytest.MonkeyPatch) -> Iterator[Connector]:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(system.directory))
    with Connector.attach(system.name) as one:
        wait_until(lambda: whole(one), 60, "both exchanges are merged")
        yield one


def whole(connector: Connector) -> bool:
    try:
        books = [connector.merged_book(symbol, 1) for symbol in ("BTC/USDT", "ETH/USDT")]
    except ConnectorError:
        return False  # just restarting
    return all(book.exchanges == BOTH for book in books)


def merged_of_both(connector: Connector, symbol: str, depth: int) -> MergedBook | None:
    """None: on a busy machine a feed may be too late with its whole book."""
    book = connector.merged_book(symbol, depth)
    return book if book.exchanges == BOTH else None


def pids(connector: Connector) -> dict[str, int]:
    return {row["name"]: row["pid"] for row in connector.status()["actors"]}


def anew(connector: Connector, old: int) -> bool:
    """Whether the feed's next life tells of LIVE books."""
    status = connector.status()
    books = [book["trust"] for book in status["books"] if book["exchange"] == "binance"]
    [pid] = [row["pid"] for row in status["actors"] if row["name"] == FEED]
    return pid not in (0, old) and books == ["LIVE", "LIVE"]


def events(connector: Connector, channel: str) -> Any:
    return connector.stream("BTC/USDT", channels=(channel,))


@pytest.mark.parametrize("depth", [1, 10, 20, 150, 0])
def test_a_merged_book_is_the_truth_of_both_exchanges(connector: Connector, depth: int) -> None:
    """Up to `publish_depth` from the bus, deeper by asking the feeds."""
    control = connector.status()["system"]["control"]
    for symbol in ("BTC/USDT", "ETH/USDT"):
        book = wait_until(lambda symbol=symbol: merged_of_both(connector, symbol, depth), 60, "both are in it")
        assert book.excluded == {}
        if depth:
            assert (len(book.bids), len(book.asks)) == (depth, depth)
        else:
            assert min(len(book.bids), len(book.asks)) > 150
        check_merged(control, book)


def test_the_topics_are_the_truth_too(connector: Connector) -> None:
    control = connector.status()["system"]["control"]
    stream = events(connector, "merged")
    whole_ones = (event for event in stream if getattr(event.record, "exchanges", ()) == BOTH)
    for event in itertools.islice(whole_ones, 5):
        assert (event.kind, event.exchange, event.symbol) == ("merged", "*", "BTC/USDT")
        assert min(len(event.record.bids), len(event.record.asks)) >= 20
        check_merged(control, event.record)
    stream.close()


def best_of_both(connector: Connector) -> BestPrices | None:
    best = connector.best("BTC/USDT")
    return best if not best.excluded else None


def test_best_is_the_top_of_the_merged_book(connector: Connector, system: System) -> None:
    best = wait_until(lambda: best_of_both(connector), 60, "both are in it")
    assert best.bid is not None
    assert best.ask is not None
    assert best.spread == best.ask.price - best.bid.price
    assert best.crossed == (best.spread < 0)
    done = system.run("watch", "BTC/USDT", "--channel", "best", "-n", "2", "--json")
    kinds = [json.loads(line)["kind"] for line in done.stdout.splitlines()]
    assert len(kinds) == 2
    assert "best" in kinds, "a marker, beside it, where the machine is so busy that a reader is late"


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP], ids=["killed", "frozen"])
def test_an_exchange_whose_feed_is_gone_is_left_out_named_and_comes_back(
    connector: Connector, how: signal.Signals
) -> None:
    control = connector.status()["system"]["control"]
    before = pids(connector)
    stream = each_merged(connector)
    next(book for book in stream if book.exchanges == BOTH)
    begun = time.monotonic()
    os.kill(before[FEED], how)
    killed = how is signal.SIGKILL
    last = next(book for book in stream if book.exchanges == ("bybit",) or (killed and anew(connector, before[FEED])))
    print(f"\nfeed {how.name}: left out after {time.monotonic() - begun:.2f} s")
    if last.exchanges == ("bybit",) or not killed:  # a killed one may be replaced before anybody misses it
        assert last.exchanges == ("bybit",)
        assert last.excluded in ({"binance": Trust.STALE}, {"binance": Trust.SYNCING})
    check_merged(control, last)
    back = next(book for book in stream if "binance" in book.exchanges)
    print(f"feed {how.name}: merged again after {time.monotonic() - begun:.2f} s")
    check_merged(control, back)
    stream.close()
    wait_until(lambda: whole(connector), HEALED_S_MAX, "all symbols are whole")
    after = pids(connector)
    assert {name for name in before if after[name] != before[name]} == {FEED}


def test_a_deep_book_does_not_wait_for_a_frozen_feed(connector: Connector) -> None:
    """Asked before anybody knows that it is frozen. On a busy machine the other feed may be late, too: then again."""

    def asked_while_frozen() -> MergedBook | None:
        wait_until(lambda: whole(connector), HEALED_S_MAX, "both are merged")
        feed = pids(connector)[FEED]
        begun = time.monotonic()
        os.kill(feed, signal.SIGSTOP)
        try:
            book = connector.merged_book("BTC/USDT", 0)
        except DeadlineExceeded:
            return None
        finally:
            with contextlib.suppress(ProcessLookupError):  # it was replaced already
                os.kill(feed, signal.SIGCONT)
        print(f"\nanswered after {time.monotonic() - begun:.2f} s")
        return book if book.exchanges == ("bybit",) else None

    book = wait_until(asked_while_frozen, HEALED_S_MAX, "the other one's book")
    assert book is not None
    assert set(book.excluded) == {"binance"}
    assert len(book.bids) > 150


@pytest.mark.parametrize("victim", ["aggregator", "registry"])
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP], ids=["killed", "frozen"])
def test_a_dead_aggregator_or_registry_is_alone_in_it(connector: Connector, victim: str, how: signal.Signals) -> None:
    before = pids(connector)
    stream = events(connector, "merged")
    next(stream)
    begun = time.monotonic()
    os.kill(before[victim], how)

    def replaced() -> bool:
        try:
            rows = connector.status()["actors"]
        except ConnectorError:
            return False
        return any(row["name"] == victim and row["state"] == "running" and row["pid"] != before[victim] for row in rows)

    wait_until(replaced, HEALED_S_MAX, f"another {victim} runs")
    wait_until(lambda: whole(connector), HEALED_S_MAX, "merged books are whole")
    print(f"\n{victim} {how.name}: whole again after {time.monotonic() - begun:.2f} s")
    after = pids(connector)
    assert {name for name in before if after[name] != before[name]} == {victim}
    if victim == "aggregator":
        told = next(event.record for event in stream if event.kind == "marker")
        assert told.what in ("restarted", "stale"), "its readers are told"
    stream.close()
    control = connector.status()["system"]["control"]
    check_merged(control, connector.merged_book("ETH/USDT", 0))


def test_what_cannot_be_asked_says_what_there_is(connector: Connector) -> None:
    with pytest.raises(UnknownSymbol, match="BTC/USDT, ETH/USDT"):
        connector.merged_book("XYZ/USDT")
    with pytest.raises(UnknownSymbol, match="BTC/USDT"):
        connector.stream("XYZ/USDT", channels=("merged",))
    with pytest.raises(UsageError, match="depth"):
        connector.merged_book("BTC/USDT", -1)
    with pytest.raises(UsageError, match="all exchanges"):
        connector.stream("BTC/USDT", channels=("best",), exchanges=("bybit",))
    with pytest.raises(UnknownExchange, match="binance, bybit"):
        connector.fees("nowhere")
    assert connector.exchanges() == {one: ["BTC/USDT", "ETH/USDT"] for one in ("binance", "bybit")}
