"""Two connections that bring the same: either may go, and nobody notices; both go, and nobody is told otherwise."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from support.market import PATIENT, MarketFeed
from support.simulator import Simulator
from support.waiting import wait_until

from thespian_connector.model import BookStatus, Channel, Trade, Trust

VENUES = [("binance", 0), ("bybit", 50)]


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    with Simulator(seed=13, rate=100, walk=60) as running:
        yield running


@pytest.fixture(autouse=True)
def nobody_else(simulator: Simulator) -> Iterator[None]:
    """Drops take the oldest connection, which must not be one of the test before."""
    wait_until(lambda: not any(sockets(simulator, venue) for venue, _ in VENUES), 60, "all others are closed")
    yield
    simulator.clear_faults()


def sockets(simulator: Simulator, venue: str) -> int:
    return int(simulator.truth(venue, "usage")["sockets_open"])


@contextmanager
def pair(simulator: Simulator, venue: str, depth: int, directory: Path, redundancy: int = 2) -> Iterator[MarketFeed]:
    channels = [Channel.BOOK, Channel.TRADE]
    with MarketFeed(
        simulator,
        venue,
        directory,
        channels=channels,
        depth=depth,
        every=5,
        redundancy=redundancy,
        timing=PATIENT,
    ) as feed:
        feed.wait_trust(Trust.LIVE)
        settled(feed, redundancy)
        yield feed


def settled(feed: MarketFeed, connections: int = 2) -> None:
    """So many connections are open, and none is younger than two seconds."""

    def old_enough() -> bool:
        open_now = feed.session.connections
        return len(open_now) == connections and all(line["age_s"] >= 2 for line in open_now)

    wait_until(old_enough, 60, f"{connections} connections; {feed.session.counters}")


def tape(feed: MarketFeed) -> list[str]:
    return [event.trade_id for event in feed.events if isinstance(event, Trade)]


def whats(feed: MarketFeed) -> list[str]:
    return [event.what for event in feed.events if hasattr(event, "what")]


def unharmed(feed: MarketFeed, before: BookStatus) -> None:
    """The book never was anything but LIVE and unbroken, and it is the true one."""
    feed.compare(20)
    now = feed.session.status()[0]
    assert (now.trust, now.since_ns, now.span) == (Trust.LIVE, before.since_ns, before.span)
    assert whats(feed) == ["live"]
    assert feed.session.counters["gaps"] == 0
    assert feed.session.counters.get("trades_missed", 0) == 0


def drop_one(simulator: Simulator, venue: str) -> None:
    """The oldest connection of all that are open."""
    simulator.fault(venue, "ws_drop", count=1)


@pytest.mark.parametrize(("venue", "depth"), VENUES)
def test_either_may_drop(simulator: Simulator, venue: str, depth: int, tmp_path: Path) -> None:
    with pair(simulator, venue, depth, tmp_path) as feed:
        before = feed.session.status()[0]
        assert sockets(simulator, venue) == 2
        for times in (1, 2, 3):  # each time the older one goes, so that in turn each has been it
            drop_one(simulator, venue)
            wait_until(lambda n=times: feed.session.counters["connects"] == 2 + n, 60, "it is dialled again")  # type: ignore[misc]  # binds the loop's value
            settled(feed)
            unharmed(feed, before)
        wait_until(lambda: sockets(simulator, venue) == 2, 60, "the dropped ones are gone there, too")
        wait_until(lambda: len(tape(feed)) > 100, 60, "enough trades to prove something")
        ids = [int(trade) for trade in tape(feed)]
        assert ids == sorted(set(ids))
        if venue == "binance":
            assert ids == list(range(ids[0], ids[-1] + 1))


@pytest.mark.parametrize(("venue", "depth"), VENUES)
def test_trades_are_those_of_a_connection_that_was_left_alone(
    simulator: Simulator, venue: str, depth: int, tmp_path: Path
) -> None:
    with ExitStack() as stack:
        feed = stack.enter_context(pair(simulator, venue, depth, tmp_path / "pair"))
        # Younger than the pair, so that drops, which take the oldest, never hit it.
        reference = stack.enter_context(pair(simulator, venue, depth, tmp_path / "plain", redundancy=1))
        first = tape(reference)[0]
        drop_one(simulator, venue)
        wait_until(lambda: feed.session.counters["connects"] == 3, 60, "the lost one is dialled again")
        settled(feed)
        ours = tape(feed)
        wait_until(lambda: ours[-1] in tape(reference), 60, "the plain one is as far")
        theirs = tape(reference)
        assert ours[ours.index(first) :] == theirs[: theirs.index(ours[-1]) + 1]
        assert whats(reference) == ["live"]


@pytest.mark.parametrize(("venue", "depth"), VENUES)
def test_both_drop(simulator: Simulator, venue: str, depth: int, tmp_path: Path) -> None:
    with pair(simulator, venue, depth, tmp_path) as feed:
        simulator.fault(venue, "ws_drop", count=2)
        wait_until(lambda: whats(feed)[:2] == ["live", "stale"], 60, "the book is STALE")
        feed.wait_trust(Trust.LIVE)
        told = [what for what in whats(feed) if what != "missed"]  # trades of the time without a connection
        assert told == ["live", "stale", "reconnected", "live"]
        settled(feed)
        while not feed.samples.empty():
            feed.samples.get()
        feed.compare(20)


FAULTS: list[tuple[str, dict[str, object]]] = [
    ("ws_gap", {"count": 1, "symbol": "BTCUSDT"}),
    ("ws_duplicate", {"count": 30}),
    ("server_shutdown", {"lead_ms": 20_000}),
]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: str(fault[0]))
@pytest.mark.parametrize(("venue", "depth"), VENUES)
def test_what_hits_one_of_a_pair_harms_no_book(
    simulator: Simulator, venue: str, depth: int, fault: tuple[str, dict[str, object]], tmp_path: Path
) -> None:
    kind, fields = fault
    if venue == "bybit" and kind == "server_shutdown":
        pytest.skip("Bybit announces nothing")
    with pair(simulator, venue, depth, tmp_path) as feed:
        before = feed.session.status()[0]
        fault_id = simulator.fault(venue, kind, **fields)
        least = int(str(fields.get("count", 1)))
        wait_until(lambda: simulator.fired(fault_id) >= least, 60, f"{kind} happened")
        if kind == "server_shutdown":
            wait_until(lambda: feed.session.counters.get("rotations", 0) == 2, 60, "both were replaced")
            settled(feed)
        unharmed(feed, before)


@pytest.mark.parametrize(("venue", "depth"), VENUES)
def test_a_plain_connection_leaves_before_an_announced_shutdown(
    simulator: Simulator, venue: str, depth: int, tmp_path: Path
) -> None:
    if venue == "bybit":
        pytest.skip("Bybit announces nothing")
    with pair(simulator, venue, depth, tmp_path, redundancy=1) as feed:
        before = feed.session.status()[0]
        simulator.fault(venue, "server_shutdown", lead_ms=20_000)
        wait_until(lambda: feed.session.counters.get("rotations", 0) == 1, 60, "it was replaced")
        settled(feed, 1)
        unharmed(feed, before)
