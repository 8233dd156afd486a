"""Two sockets, one book."""

from __future__ import annotations

import pytest

from thespian_connector.books import Arbiter, Outcome, TrackedBook, Wants
from thespian_connector.limits import ARBITER_WAIT_NS
from thespian_connector.model import Trust
from thespian_connector.model.wire import BookDiff, BookSnapshot

APPLIED, BUFFERED, IGNORED, GAP = Outcome.APPLIED, Outcome.BUFFERED, Outcome.IGNORED, Outcome.GAP
A, B = 1, 2


def diff(first: int, last: int) -> BookDiff:
    return BookDiff("AB", "s", first, last, [("10", str(last))], [])


def snapshot(update_id: int) -> BookSnapshot:
    return BookSnapshot("AB", "s", update_id, [("10", str(update_id))], [("11", "1")], 50)


def rest() -> Arbiter:
    """A Binance book at update 100, fed by A, which has delivered up to there."""
    arbiter = Arbiter(
        TrackedBook("x", "A/B", "s", sequencing="range", snapshot_by_rest=True, depth=0), snapshot_by_rest=True
    )
    arbiter.open(A, 0)
    arbiter.on_diff(A, diff(99, 100), 0)
    arbiter.on_snapshot(snapshot(98), 0)
    assert arbiter.book.update_id == 100
    return arbiter


def stream() -> Arbiter:
    """A Bybit book at update 100, fed by A."""
    arbiter = Arbiter(
        TrackedBook("x", "A/B", "s", sequencing="step", snapshot_by_rest=False, depth=50), snapshot_by_rest=False
    )
    arbiter.open(A, 0)
    arbiter.on_snapshot(snapshot(100), 0, socket=A)
    return arbiter


def state(arbiter: Arbiter) -> tuple[int, Trust, int]:
    return arbiter.book.update_id, arbiter.book.trust, arbiter.book.span


def test_a_rotation_moves_to_the_new_socket_without_a_break() -> None:
    arbiter = rest()
    arbiter.open(B, 1)
    assert not arbiter.caught_up(B)
    assert arbiter.on_diff(B, diff(104, 106), 2) is BUFFERED, "ahead: A brings what is between"
    assert not arbiter.caught_up(B)
    assert arbiter.on_diff(A, diff(101, 103), 3) is APPLIED
    assert state(arbiter) == (106, Trust.LIVE, 1), "and B's update follows"
    assert arbiter.caught_up(B)
    assert arbiter.on_diff(A, diff(104, 106), 4) is IGNORED
    arbiter.close(A, 5)
    assert arbiter.on_diff(B, diff(107, 108), 6) is APPLIED
    assert state(arbiter) == (108, Trust.LIVE, 1)
    assert arbiter.sockets == (B,)


def test_a_gap_on_one_is_none_while_the_other_keeps_the_book() -> None:
    arbiter = rest()
    arbiter.open(B, 1)
    arbiter.on_diff(B, diff(101, 101), 1)
    assert arbiter.on_diff(A, diff(103, 103), 2) is BUFFERED
    assert arbiter.on_diff(B, diff(102, 102), 3) is APPLIED
    assert state(arbiter) == (103, Trust.LIVE, 1)
    assert arbiter.book.counts.gaps == 0


def test_what_both_lost_is_a_gap_at_once() -> None:
    arbiter = rest()
    arbiter.open(B, 1)
    arbiter.on_diff(B, diff(100, 100), 1)
    assert arbiter.on_diff(A, diff(103, 103), 2) is BUFFERED
    assert arbiter.on_diff(B, diff(103, 103), 2) is GAP
    assert arbiter.book.trust is Trust.SUSPECT
    assert arbiter.on_snapshot(snapshot(103), 3) is APPLIED
    assert state(arbiter) == (103, Trust.LIVE, 2)


def test_a_socket_that_does_not_bring_what_is_missing_in_time_is_not_waited_for() -> None:
    arbiter = rest()
    arbiter.open(B, 1)
    arbiter.on_diff(B, diff(100, 100), 1)
    assert arbiter.on_diff(B, diff(103, 103), 2) is BUFFERED
    assert arbiter.on_diff(B, diff(104, 104), 2 + ARBITER_WAIT_NS) is BUFFERED
    assert arbiter.on_diff(B, diff(105, 105), 3 + ARBITER_WAIT_NS) is GAP
    assert arbiter.book.wants is Wants.SNAPSHOT
    arbiter.on_snapshot(snapshot(103), 4 + ARBITER_WAIT_NS)
    assert state(arbiter) == (105, Trust.LIVE, 2)


def test_closing_the_last_socket_makes_the_book_stale() -> None:
    arbiter = rest()
    arbiter.close(A, 9)
    assert (arbiter.book.trust, arbiter.book.since_ns) == (Trust.STALE, 9)
    arbiter.close(A, 9)
    arbiter.open(B, 10)
    assert arbiter.book.wants is Wants.SNAPSHOT


def test_a_quiet_symbols_new_socket_takes_over_and_its_first_update_tells() -> None:
    for first, outcome in ((101, APPLIED), (102, GAP)):
        arbiter = rest()
        arbiter.open(B, 1)
        arbiter.close(A, 2)
        assert arbiter.book.trust is Trust.LIVE
        assert arbiter.on_diff(B, diff(first, 103), 3) is outcome


@pytest.mark.parametrize("update_id", [50, 100])
def test_a_snapshot_never_moves_back_a_book_that_the_other_keeps(update_id: int) -> None:
    arbiter = stream()
    arbiter.open(B, 1)
    assert arbiter.on_snapshot(snapshot(update_id), 1, socket=B) is IGNORED
    assert state(arbiter) == (100, Trust.LIVE, 1)
    for update in range(update_id + 1, 102):
        arbiter.on_diff(B, diff(update, update), 2)
    assert state(arbiter) == (101, Trust.LIVE, 1)
    assert arbiter.caught_up(B)


def test_a_snapshot_ahead_waits_for_the_book_and_takes_over_if_the_other_fails() -> None:
    for fails in (False, True):
        arbiter = stream()
        arbiter.open(B, 1)
        assert arbiter.on_snapshot(snapshot(102), 1, socket=B) is BUFFERED
        assert arbiter.on_diff(B, diff(103, 103), 1) is BUFFERED
        if fails:
            arbiter.close(A, 2)
            assert state(arbiter) == (103, Trust.LIVE, 2)
        else:
            arbiter.on_diff(A, diff(101, 101), 2)
            assert arbiter.book.update_id == 101
            arbiter.on_diff(A, diff(102, 102), 2)
            assert state(arbiter) == (103, Trust.LIVE, 1)


def test_a_service_that_begins_anew_is_followed_once_no_socket_is_left_in_the_old_numbering() -> None:
    arbiter = stream()
    arbiter.open(B, 1)
    arbiter.on_snapshot(snapshot(100), 1, socket=B)
    assert arbiter.on_diff(A, diff(1, 1), 2) is BUFFERED
    assert arbiter.on_diff(A, diff(2, 2), 2) is BUFFERED
    assert arbiter.on_diff(B, diff(101, 101), 3) is APPLIED
    assert arbiter.on_snapshot(snapshot(1), 4, socket=B) is APPLIED
    assert state(arbiter) == (2, Trust.LIVE, 2)
    assert arbiter.on_diff(B, diff(2, 2), 5) is IGNORED
    assert arbiter.on_diff(B, diff(3, 3), 5) is APPLIED


def test_a_service_that_begins_anew_is_followed_when_the_other_socket_falls_silent() -> None:
    arbiter = stream()
    arbiter.open(B, 1)
    arbiter.on_snapshot(snapshot(100), 1, socket=B)
    arbiter.on_diff(A, diff(1, 1), 2)
    arbiter.on_diff(A, diff(2, 2), 3 + ARBITER_WAIT_NS)
    assert state(arbiter) == (2, Trust.LIVE, 2)
    assert arbiter.on_diff(B, diff(101, 101), 4 + ARBITER_WAIT_NS) is IGNORED
    assert state(arbiter) == (2, Trust.LIVE, 2)


def test_a_resubscribed_stream_whose_book_nobody_keeps_starts_over() -> None:
    arbiter = stream()
    assert arbiter.on_diff(A, diff(103, 103), 1) is GAP
    assert arbiter.book.wants is Wants.RESUBSCRIBE
    arbiter.open(A, 2)
    assert arbiter.book.wants is Wants.NOTHING
    arbiter.on_snapshot(snapshot(110), 3, socket=A)
    assert state(arbiter) == (110, Trust.LIVE, 2)


def test_a_book_of_one_level_follows_whichever_socket_is_first_and_never_goes_back() -> None:
    """Every message is the whole book: one socket that stands still holds nothing up."""

    def top(update_id: int) -> BookSnapshot:
        return BookSnapshot("AB", "s", update_id, [("10", str(update_id))], [("11", "1")], 1)

    arbiter = Arbiter(
        TrackedBook("x", "A/B", "s", sequencing="step", snapshot_by_rest=False, depth=1), snapshot_by_rest=False
    )
    arbiter.open(A, 0)
    arbiter.on_snapshot(top(100), 0, socket=A)
    arbiter.open(B, 1)
    assert arbiter.on_snapshot(top(100), 2, socket=B) is IGNORED
    for update_id in range(101, 120):
        assert arbiter.on_snapshot(top(update_id), 3, socket=A) is APPLIED
        if update_id < 110:  # then B brings no more
            assert arbiter.on_snapshot(top(update_id), 4, socket=B) is IGNORED
    assert (arbiter.book.update_id, arbiter.book.trust) == (119, Trust.LIVE)
    assert arbiter.on_snapshot(top(110), 5, socket=B) is IGNORED
    assert arbiter.on_snapshot(top(120), 6, socket=B) is APPLIED
    assert arbiter.book.best()[0].quantity == 120  # type: ignore[union-attr]  # the book has a bid
    assert arbiter.on_snapshot(top(1), 7, socket=A) is BUFFERED, "A's service started anew; B keeps the book"
    assert (arbiter.book.update_id, arbiter.book.trust) == (120, Trust.LIVE)
