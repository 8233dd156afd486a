"""Whatever is lost, repeated or late on the way: a book that says LIVE is the venue's own book at that update id."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.book_truth import Truth, disturbed

from thespian_connector.books import Arbiter, RangeSequencer, StepSequencer, TrackedBook, Verdict, Wants
from thespian_connector.books.states import Outcome
from thespian_connector.model import Trust
from thespian_connector.model.wire import BookSnapshot

SEEDS = st.integers(0, 2**32)
LIMITS = st.integers(2, 12)
RATES = st.sampled_from([0.0, 0.02, 0.1, 0.3])


def check(book: TrackedBook, truth: Truth, depth: int = 0) -> None:
    """A LIVE book's certified levels are the best ones of the truth at its id, none left out."""
    if book.trust is not Trust.LIVE:
        return
    shown = book.order_book()
    for side, certified, true in zip(
        (shown.bids, shown.asks), shown.certified, truth.best_first(book.update_id), strict=True
    ):
        expected = true[:depth] if depth else true
        assert list(side) == expected[:certified], (book.update_id, side, expected)
        assert certified == len(side)
        assert certified or not expected, "a LIVE book that shows nothing of a side that has levels"
    bid, ask = book.best()
    assert (bid, ask) == (shown.bids[0] if shown.bids else None, shown.asks[0] if shown.asks else None)


def run_rest_book(seed: int, limit: int, rate: float, steps: int = 60, deep: bool = False) -> TrackedBook:
    """A book with REST snapshots that lag, over a stream that loses, repeats and delays."""
    rng = random.Random(seed)
    truth = Truth(rng, levels=60, spread=50) if deep else Truth(rng)
    book = TrackedBook("x", "A/B", "s", sequencing="range", snapshot_by_rest=True, depth=0, buffer_max=20)
    now = 0
    waiting: list[int] = []
    for calm in (False, True):
        messages = []
        for _ in range(steps):
            first = truth.id + 1
            truth.step(rng.randint(1, 3))
            messages.append(truth.diff(first, truth.id))
        for message in messages if calm else disturbed(rng, messages, rate):
            now += 1
            book.on_diff(message, now)
            check(book, truth)
            if book.wants in (Wants.SNAPSHOT, Wants.REFILL) and not waiting:
                waiting.append(now + rng.randint(0, 4))
            if waiting and waiting[0] <= now:
                waiting.clear()
                lag = rng.choice((0, 0, 1, 2, 5))
                at = max(min(truth.at), min(max(truth.at), message.last_id + 2 - lag))
                book.on_snapshot(truth.snapshot(at, limit), now)
                check(book, truth)
            if rng.random() < rate / 5 and not calm:
                book.on_disconnect(now)
                check(book, truth)
                book.restart(now)
                waiting.clear()
    if book.wants in (Wants.SNAPSHOT, Wants.REFILL):
        book.on_snapshot(truth.snapshot(truth.id, limit), now)
        check(book, truth)
    assert book.trust is Trust.LIVE, (book.reason, book.wants)
    assert book.update_id == truth.id
    assert book.counts.applied + book.counts.ignored == book.counts.received
    return book


@settings(max_examples=150, deadline=None)
@given(SEEDS, LIMITS, RATES, st.booleans())
def test_a_rest_book_that_says_live_is_the_truth(seed: int, limit: int, rate: float, deep: bool) -> None:
    run_rest_book(seed, limit, rate, deep=deep)


@settings(max_examples=30, deadline=None)
@given(SEEDS)
def test_without_faults_a_rest_book_has_no_gap_and_never_resyncs(seed: int) -> None:
    book = run_rest_book(seed, 12, 0.0)
    assert book.counts.gaps == 0
    assert book.counts.malformed == book.counts.crossed == 0
    assert book.span == 1 + book.counts.exhausted


def run_stream_book(seed: int, depth: int, rate: float, steps: int = 80) -> TrackedBook:
    """A top-N stream that begins with a snapshot, repeats one now and then, and begins anew with u = 1."""
    rng = random.Random(seed)
    truth = Truth(rng, first_id=rng.choice((1, 5000)))
    book = TrackedBook("x", "A/B", "s", sequencing="step", snapshot_by_rest=False, depth=depth)
    assert book.on_snapshot(truth.snapshot(truth.id, depth), 0) is Outcome.APPLIED
    for now in range(steps):
        calm = now > steps * 2 // 3
        if rng.random() < 0.03 and not calm:
            truth = Truth(rng, first_id=1)
            book.on_snapshot(truth.snapshot(1, depth), now)
        truth.step()
        message = truth.diff(truth.id, truth.id, depth)
        fate = rng.random()
        if calm or fate > rate:
            book.on_diff(message, now)
            check(book, truth, depth)
        if fate > 1 - rate:
            assert book.on_diff(message, now) is not Outcome.APPLIED
            check(book, truth, depth)
        if rng.random() < 0.05 or book.wants is Wants.RESUBSCRIBE:
            book.restart(now)
            assert book.trust is not Trust.LIVE
            book.on_snapshot(truth.snapshot(truth.id, depth), now)
            check(book, truth, depth)
    assert book.trust is Trust.LIVE
    assert book.update_id == truth.id
    assert book.counts.applied + book.counts.ignored == book.counts.received
    return book


@settings(max_examples=150, deadline=None)
@given(SEEDS, LIMITS, RATES)
def test_a_stream_book_that_says_live_is_the_truth(seed: int, depth: int, rate: float) -> None:
    run_stream_book(seed, depth, rate)


@pytest.mark.parametrize(("sequencer", "run"), [(RangeSequencer, run_rest_book), (StepSequencer, run_stream_book)])
def test_the_truth_catches_a_sequencer_that_never_reports_a_gap(
    sequencer: type, run: Callable[[int, int, float], TrackedBook], monkeypatch: pytest.MonkeyPatch
) -> None:
    def blind(self: RangeSequencer, first_id: int, last_id: int) -> Verdict:
        if last_id <= self.last_id:
            return Verdict.STALE
        self.last_id = last_id
        return Verdict.APPLY

    monkeypatch.setattr(sequencer, "check", blind)
    caught = 0
    for seed in range(20):
        try:
            run(seed, 8, 0.1)
        except AssertionError:
            caught += 1
    assert caught > 10


def run_two_sockets(seed: int, kind: str, rates: tuple[float, float], steps: int = 80) -> TrackedBook:
    """Two sockets of one book, each late in its own way, each losing messages at its own rate."""
    rng = random.Random(seed)
    truth = Truth(rng)
    by_rest, depth = kind == "range", 0 if kind == "range" else 8
    book = TrackedBook("x", "A/B", "s", sequencing=kind, snapshot_by_rest=by_rest, depth=depth)
    arbiter = Arbiter(book, snapshot_by_rest=by_rest)
    limit = depth or 50
    queues: dict[int, list[object]] = {}
    shown = 0, 0
    heard: set[int] = set()

    def subscribe(socket: int) -> None:
        arbiter.open(socket, 0)
        queues[socket] = [] if by_rest else [truth.snapshot(truth.id, limit)]

    def deliver(socket: int, now: int, rate: float) -> None:
        nonlocal shown
        message = queues[socket].pop(0)
        if isinstance(message, BookSnapshot):
            arbiter.on_snapshot(message, now, socket=socket)
        elif rng.random() >= rate or len(heard) < 2:  # a socket that has brought nothing yet keeps nothing whole
            heard.add(socket)
            arbiter.on_diff(socket, message, now)
            if rng.random() < 0.1:
                arbiter.on_diff(socket, message, now)
        check(book, truth, depth)
        if book.trust is Trust.LIVE:
            assert (book.span, book.update_id) >= shown, "a book that was whole went back"
            shown = book.span, book.update_id
        if book.wants in (Wants.SNAPSHOT, Wants.REFILL):
            arbiter.on_snapshot(truth.snapshot(truth.id, limit), now)
            check(book, truth, depth)
        elif book.wants is Wants.RESUBSCRIBE:
            subscribe(socket)

    for socket in (0, 1):
        subscribe(socket)
    for socket in (0, 1):
        if queues[socket]:
            deliver(socket, 0, 0.0)
    for now in range(steps):
        first = truth.id + 1
        truth.step(rng.randint(1, 3) if by_rest else 1)
        message = truth.diff(first, truth.id, depth)
        for queue in queues.values():
            queue.append(message)
        for _ in range(rng.randint(0, 4)):
            socket = rng.choice((0, 1))
            if queues[socket]:
                deliver(socket, now, rates[socket])
    first = truth.id + 1
    truth.step()
    for queue in queues.values():
        queue.append(truth.diff(first, truth.id, depth))  # should both have lost the last ones, this tells
    for socket in (0, 1, 0, 1):
        while queues[socket]:
            deliver(socket, steps, 0.0)
    assert book.trust is Trust.LIVE, (book.reason, book.wants)
    assert book.update_id == truth.id
    return book


KINDS = st.sampled_from(["range", "step"])


@settings(max_examples=100, deadline=None)
@given(SEEDS, KINDS, st.tuples(RATES, RATES))
def test_a_book_of_two_lossy_sockets_that_says_live_is_the_truth(
    seed: int, kind: str, rates: tuple[float, float]
) -> None:
    run_two_sockets(seed, kind, rates)


@settings(max_examples=100, deadline=None)
@given(SEEDS, KINDS, RATES, st.booleans())
def test_what_one_socket_loses_is_no_gap_while_the_other_is_whole(
    seed: int, kind: str, rate: float, first: bool
) -> None:
    book = run_two_sockets(seed, kind, (rate, 0.0) if first else (0.0, rate))
    assert book.counts.gaps == 0
    assert book.span == 1 + book.counts.exhausted
