"""The life of one book: joining, gaps, trust, certified depth. Levels are spelled ``price*quantity``."""

from __future__ import annotations

from decimal import Decimal

import pytest

from thespian_connector.books import Outcome, TrackedBook, Wants
from thespian_connector.model import Trust
from thespian_connector.model.wire import BookDiff, BookSnapshot, WireLevels

SYNCING, LIVE, STALE, SUSPECT = Trust.SYNCING, Trust.LIVE, Trust.STALE, Trust.SUSPECT
APPLIED, BUFFERED, IGNORED, GAP = Outcome.APPLIED, Outcome.BUFFERED, Outcome.IGNORED, Outcome.GAP


def levels(text: str) -> WireLevels:
    pairs = [word.split("*") for word in text.split()]
    return [(price, quantity) for price, quantity in pairs]


def snapshot(update_id: int, bids: str = "10*1 9*1", asks: str = "11*1 12*1", limit: int = 10) -> BookSnapshot:
    return BookSnapshot("AB", "", update_id, levels(bids), levels(asks), limit, update_id * 10)


def diff(first: int, last: int, bids: str = "", asks: str = "") -> BookDiff:
    return BookDiff("AB", "s", first, last, levels(bids), levels(asks), last * 10)


def rest_book(depth: int = 0, buffer_max: int = 100) -> TrackedBook:
    return TrackedBook(
        "binance", "A/B", "s", sequencing="range", snapshot_by_rest=True, depth=depth, buffer_max=buffer_max
    )


def stream_book(depth: int = 3) -> TrackedBook:
    return TrackedBook("bybit", "A/B", "s", sequencing="step", snapshot_by_rest=False, depth=depth)


def live_rest_book(depth: int = 0) -> TrackedBook:
    book = rest_book(depth)
    assert book.on_snapshot(snapshot(100), 1) is APPLIED
    return book


def bids(book: TrackedBook) -> list[str]:
    return [f"{level.price}*{level.quantity}" for level in book.order_book().bids]


class TestJoining:
    def test_a_new_book_shows_nothing_and_wants_a_snapshot(self) -> None:
        book = rest_book()
        assert (book.trust, book.wants, book.best()) == (SYNCING, Wants.SNAPSHOT, (None, None))
        assert book.order_book().certified == (0, 0)
        assert stream_book().wants is Wants.NOTHING

    def test_updates_before_the_snapshot_are_kept_and_join_it(self) -> None:
        book = rest_book()
        for first, last, text in ((90, 95, "8*1"), (96, 100, "10*5"), (101, 104, "9*7")):
            assert book.on_diff(diff(first, last, text), 1) is BUFFERED
        assert (book.counts.applied, book.counts.ignored) == (0, 3)
        assert book.on_snapshot(snapshot(98), 2) is APPLIED
        assert (book.trust, book.update_id, book.span, book.wants) == (LIVE, 104, 1, Wants.NOTHING)
        assert bids(book) == ["10*5", "9*7"]
        assert (book.counts.applied, book.counts.ignored, book.counts.gaps) == (2, 1, 0)
        assert (book.since_ns, book.venue_time_ns, book.verified_at_ns) == (2, 1040, 2)

    def test_an_update_right_behind_the_snapshot_joins(self) -> None:
        book = rest_book()
        book.on_diff(diff(101, 104), 1)
        assert book.on_snapshot(snapshot(100), 1) is APPLIED
        assert book.trust is LIVE

    def test_a_snapshot_older_than_the_first_update_is_not_used(self) -> None:
        book = rest_book()
        book.on_diff(diff(102, 104, "9*7"), 1)
        assert book.on_snapshot(snapshot(100), 1) is IGNORED
        assert (book.trust, book.wants, book.counts.snapshots_unused) == (SYNCING, Wants.SNAPSHOT, 1)
        assert book.on_snapshot(snapshot(101), 1) is APPLIED
        assert bids(book) == ["10*1", "9*7"]

    def test_a_snapshot_of_an_unacknowledged_subscription_is_believed_once_an_update_follows(self) -> None:
        book = rest_book()
        assert book.on_snapshot(snapshot(100), 1, subscribed=False) is APPLIED
        assert (book.trust, book.wants) == (SYNCING, Wants.NOTHING)
        book.on_diff(diff(99, 101), 2)
        assert book.trust is LIVE
        other = rest_book()
        other.on_snapshot(snapshot(100), 1, subscribed=False)
        assert other.on_diff(diff(102, 103), 2) is GAP
        assert (other.trust, other.wants) == (SYNCING, Wants.SNAPSHOT)

    def test_a_gap_among_the_kept_updates_needs_a_snapshot_behind_it(self) -> None:
        book = rest_book()
        for first, last in ((90, 95), (99, 100), (101, 102)):
            book.on_diff(diff(first, last), 1)
        assert book.on_snapshot(snapshot(92), 1) is GAP
        assert book.on_snapshot(snapshot(97), 1) is IGNORED
        assert book.on_snapshot(snapshot(98), 1) is APPLIED
        assert book.counts.applied + book.counts.ignored == 3

    def test_the_buffer_is_bounded_and_drops_the_oldest(self) -> None:
        book = rest_book(buffer_max=3)
        for update in range(1, 11):
            book.on_diff(diff(update, update), 1)
        assert book.on_snapshot(snapshot(6), 1) is IGNORED
        assert book.on_snapshot(snapshot(7), 1) is APPLIED
        assert (book.update_id, book.counts.applied, book.counts.ignored) == (10, 3, 7)

    @pytest.mark.parametrize("bad", ["-1", "x", "", "1e3"])
    def test_a_malformed_snapshot_is_counted_and_not_used(self, bad: str) -> None:
        book = rest_book()
        assert book.on_snapshot(BookSnapshot("AB", "", 5, [("10", bad)], [], 10), 1) is IGNORED
        assert (book.trust, book.counts.malformed, book.wants) == (SYNCING, 1, Wants.SNAPSHOT)
        streamed = stream_book()
        assert streamed.on_snapshot(BookSnapshot("AB", "", 5, [(bad, "1")], [], 10), 1) is GAP
        assert streamed.wants is Wants.RESUBSCRIBE

    def test_a_malformed_kept_update_costs_what_came_before_it(self) -> None:
        book = rest_book()
        book.on_diff(diff(1, 1), 1)
        book.on_diff(diff(2, 2, "x*1"), 1)
        book.on_diff(diff(3, 3), 1)
        assert book.on_snapshot(snapshot(1), 1) is GAP
        assert book.counts.malformed == 1
        assert book.on_snapshot(snapshot(2), 1) is APPLIED
        assert book.update_id == 3


class TestGaps:
    def test_a_gap_makes_the_book_suspect_with_that_very_message(self) -> None:
        book = live_rest_book()
        assert book.on_diff(diff(102, 105, "9*5"), 7) is GAP
        assert (book.trust, book.since_ns, book.wants, book.joined) == (SUSPECT, 7, Wants.SNAPSHOT, False)
        assert "expected update 101, got 102" in book.reason
        assert bids(book) == ["10*1", "9*1"], "kept for diagnosis"

    def test_after_a_gap_updates_wait_for_a_snapshot_and_join_it(self) -> None:
        book = live_rest_book()
        book.on_diff(diff(101, 101), 2)
        book.on_diff(diff(103, 105, "9*5"), 3)
        assert book.on_diff(diff(106, 106, "8*5"), 4) is BUFFERED
        assert (book.counts.applied, book.counts.ignored, book.counts.gaps) == (1, 2, 1)
        assert book.on_snapshot(snapshot(104), 5) is APPLIED
        assert (book.trust, book.update_id, book.span, book.reason) == (LIVE, 106, 2, "")
        assert (book.counts.applied, book.counts.ignored, book.counts.gaps) == (3, 0, 1)

    def test_duplicates_and_late_updates_change_nothing(self) -> None:
        book = live_rest_book()
        message = diff(101, 103, "10*7")
        assert [book.on_diff(message, 2), book.on_diff(message, 3), book.on_diff(diff(99, 101, "10*9"), 4)] == [
            APPLIED,
            IGNORED,
            IGNORED,
        ]
        assert bids(book)[0] == "10*7"

    @pytest.mark.parametrize("book", [live_rest_book(), stream_book()], ids=["rest", "stream"])
    def test_a_malformed_update_changes_nothing_and_needs_a_resync(self, book: TrackedBook) -> None:
        if book.exchange == "bybit":
            book.on_snapshot(snapshot(100), 1)
        assert book.on_diff(diff(101, 101, "10*5 9*-1"), 2) is GAP
        assert (book.trust, book.counts.malformed, book.counts.gaps) == (SUSPECT, 1, 1)
        assert bids(book) == ["10*1", "9*1"]
        assert book.wants is (Wants.SNAPSHOT if book.exchange == "binance" else Wants.RESUBSCRIBE)

    def test_a_crossed_book_is_suspect(self) -> None:
        book = live_rest_book()
        assert book.on_diff(diff(101, 101, "11*1"), 2) is APPLIED
        assert (book.trust, book.wants, book.counts.crossed) == (SUSPECT, Wants.SNAPSHOT, 1)
        assert book.on_diff(diff(102, 102, "11*0"), 3) is BUFFERED
        assert book.on_snapshot(snapshot(102), 4) is APPLIED
        assert book.trust is LIVE

    def test_a_crossed_snapshot_is_not_believed(self) -> None:
        book = rest_book()
        book.on_snapshot(snapshot(100, bids="12*1"), 1)
        assert (book.trust, book.wants) == (SYNCING, Wants.SNAPSHOT)


class TestTrust:
    def test_disconnect_and_restart(self) -> None:
        book = live_rest_book()
        book.on_disconnect(5)
        assert (book.trust, book.since_ns, book.wants) == (STALE, 5, Wants.NOTHING)
        assert book.on_snapshot(snapshot(200), 6) is IGNORED, "an answer to what was asked before"
        book.mark_verified(7)
        assert book.trust is STALE
        book.restart(8)
        assert (book.trust, book.wants) == (STALE, Wants.SNAPSHOT)
        assert bids(book) == ["10*1", "9*1"]
        assert book.on_diff(diff(201, 201), 9) is BUFFERED
        book.on_snapshot(snapshot(201), 10)
        assert (book.trust, book.span) == (LIVE, 2)

    def test_a_book_without_levels_stays_syncing(self) -> None:
        book = rest_book()
        book.on_disconnect(1)
        book.mark_suspect(2, "behind")
        book.restart(3)
        assert (book.trust, book.wants) == (SYNCING, Wants.SNAPSHOT)

    def test_stale_ends_with_the_next_update_or_the_venues_word(self) -> None:
        book = live_rest_book()
        book.mark_stale(5, "silent")
        assert (book.trust, book.reason, book.status().reason) == (STALE, "silent", "silent")
        book.on_diff(diff(101, 101), 6)
        assert (book.trust, book.since_ns) == (LIVE, 6)
        book.mark_stale(7, "silent")
        book.mark_verified(8)
        assert (book.trust, book.verified_at_ns, book.span) == (LIVE, 8, 1)

    def test_what_the_venue_says_against_a_book_makes_it_resync(self) -> None:
        book = live_rest_book()
        book.mark_suspect(5, "behind the venue")
        assert (book.trust, book.wants) == (SUSPECT, Wants.SNAPSHOT)
        book.mark_verified(6)
        book.mark_stale(6, "silent")
        assert book.trust is SUSPECT
        assert book.on_diff(diff(101, 101), 7) is BUFFERED
        book.on_snapshot(snapshot(100), 8)
        assert (book.trust, book.update_id) == (LIVE, 101)


class TestCertifiedDepth:
    def test_levels_beyond_a_full_snapshot_are_held_but_not_shown(self) -> None:
        book = rest_book()
        book.on_snapshot(snapshot(100, "10*1 9*1", "11*1", limit=2), 1)
        book.on_diff(diff(101, 101, "8*5 9.5*1", "15*1"), 2)
        shown = book.order_book()
        assert bids(book) == ["10*1", "9.5*1", "9*1"]
        assert [level.price for level in shown.asks] == [11, 15], "a side with fewer than were asked is complete"
        assert shown.certified == (3, 2)
        assert book.held() == (4, 2)
        assert [level.price for level in book.all_levels()[0]] == [10, Decimal("9.5"), 9, 8]

    def test_a_book_asks_for_a_refill_before_its_proof_ends_and_stays_live(self) -> None:
        book = rest_book()
        wide = " ".join(f"{price}*1" for price in range(100, 92, -1))
        book.on_snapshot(snapshot(100, wide, "200*1", limit=8), 1)
        book.on_diff(diff(101, 101, "100*0 99*0 98*0 97*0 96*0"), 2)
        assert book.wants is Wants.NOTHING
        book.on_diff(diff(102, 102, "95*0 94*0 92*3 91*4"), 3)
        assert (book.trust, book.wants, bids(book)) == (LIVE, Wants.REFILL, ["93*1"])
        book.on_diff(diff(103, 103, "90*5"), 4)
        assert book.on_snapshot(snapshot(101, "95*1 94*1 93*1", "200*1"), 5) is IGNORED, "older than what was kept"
        assert book.wants is Wants.REFILL
        deeper = snapshot(102, "93*1 92*3 91*4 89*1 88*1 87*1 86*1 85*1", "200*1", limit=8)
        assert book.on_snapshot(deeper, 6) is APPLIED
        assert (book.trust, book.span, book.since_ns, book.wants) == (LIVE, 1, 1, Wants.NOTHING)
        assert book.update_id == 103
        assert bids(book) == ["93*1", "92*3", "91*4", "90*5", "89*1", "88*1", "87*1", "86*1", "85*1"]

    def test_a_refill_ahead_of_the_stream_waits_for_it(self) -> None:
        book = rest_book()
        book.on_snapshot(snapshot(100, "10*1 9*1", "20*1 21*1", limit=2), 1)
        assert book.on_snapshot(snapshot(103, "10*3 9*3 8*3", "20*1", limit=3), 2) is BUFFERED
        assert (book.wants, book.update_id) == (Wants.NOTHING, 100)
        book.on_diff(diff(101, 102, "10*2"), 3)
        assert bids(book) == ["10*2", "9*1"]
        book.on_diff(diff(103, 105, "10*3 9*3 8*9"), 4)
        assert bids(book) == ["10*3", "9*3", "8*9"]
        assert (book.update_id, book.span, book.trust) == (105, 1, LIVE)

    def test_two_proofs_together_reach_to_the_lower_bound(self) -> None:
        book = rest_book()
        book.on_snapshot(snapshot(100, "10*1 9*1 8*1 7*1", "20*1", limit=4), 1)
        book.on_diff(diff(101, 101, "10.5*1 10.4*1 6*1"), 2)
        assert book.on_snapshot(snapshot(101, "10.5*1 10.4*1", "20.00*1", limit=2), 3) is APPLIED
        assert bids(book) == ["10.5*1", "10.4*1", "10*1", "9*1", "8*1", "7*1"]
        assert book.held()[0] == 7

    def test_a_book_whose_proof_has_run_out_is_not_live_until_a_snapshot(self) -> None:
        book = rest_book()
        book.on_snapshot(snapshot(100, "10*1 9*1", "20*1", limit=2), 1)
        book.on_diff(diff(101, 101, "10*0 9*0 5*1"), 2)
        assert (book.trust, book.wants, book.best()[0]) == (SUSPECT, Wants.SNAPSHOT, None)
        assert book.on_diff(diff(102, 102, "6*1"), 3) is APPLIED, "the stream is whole"
        assert book.trust is SUSPECT
        book.on_snapshot(snapshot(101, "7*1 5*1", "20*1", limit=2), 4)
        assert (book.trust, book.span, bids(book)) == (LIVE, 2, ["7*1", "6*1", "5*1"])

    def test_a_price_that_walks_for_ever_is_followed(self) -> None:
        """Refills come two updates late, as over REST; LIVE is never lost and the first span never ends."""
        book = rest_book()
        top, update = 10_000, 100

        def deep(at: int, update_id: int) -> BookSnapshot:
            return snapshot(
                update_id,
                " ".join(f"{at - n}*1" for n in range(20)),
                " ".join(f"{at + 1 + n}*1" for n in range(20)),
                20,
            )

        book.on_snapshot(deep(top, update), 1)
        asked: tuple[int, BookSnapshot] | None = None
        for now in range(500):
            top, update = top - 1, update + 1
            book.on_diff(diff(update, update, f"{top + 1}*0", f"{top + 1}*1"), now)
            if asked is not None and asked[0] == now:
                assert book.on_snapshot(asked[1], now) is APPLIED
                asked = None
            elif asked is None and book.wants is Wants.REFILL:
                asked = now + 2, deep(top, update)
            assert (book.trust, book.span, book.best()[0]) == (LIVE, 1, (Decimal(top), Decimal(1)))
        assert book.counts.snapshots > 10

    @pytest.mark.parametrize(("depth", "left"), [(0, 2), (3, 3), (8, 5)])
    def test_refills_come_before_there_are_fewer_levels_than_promised(self, depth: int, left: int) -> None:
        book = rest_book(depth)
        book.on_snapshot(snapshot(100, " ".join(f"{n}*1" for n in range(20, 10, -1)), "30*1", limit=10), 1)
        update = 100
        while book.wants is Wants.NOTHING:
            update += 1
            book.on_diff(diff(update, update, f"{20 - (update - 101)}*0"), 1)
        assert book.certified()[0] == left - 1

    def test_a_side_cannot_grow_without_end(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("thespian_connector.books.tracked.BOOK_LEVELS_MAX", 50)
        monkeypatch.setattr("thespian_connector.books.side._SPARE_MAX", 10)
        book = rest_book()
        book.on_snapshot(snapshot(100, "1000*1", "2000*1"), 1)
        for update in range(101, 401):
            book.on_diff(diff(update, update, f"{1000 - (update - 100)}*1"), 1)
        assert book.held()[0] <= 70
        assert book.trust is LIVE
        assert [level.price for level in book.order_book(3).bids] == [1000, 999, 998]


class TestStreamBook:
    def test_the_first_message_is_a_snapshot_and_any_later_one_replaces(self) -> None:
        book = stream_book()
        assert book.on_diff(diff(5, 5), 1) is IGNORED
        assert book.on_snapshot(snapshot(10, limit=3), 2) is APPLIED
        assert (book.trust, book.span) == (LIVE, 1)
        assert book.on_diff(diff(11, 11, "9.5*1"), 3) is APPLIED
        assert book.on_snapshot(snapshot(9, "8*1", "20*1", limit=3), 4) is APPLIED
        assert (book.update_id, book.span, bids(book)) == (9, 2, ["8*1"])

    def test_a_step_that_is_missing_needs_a_new_subscription(self) -> None:
        book = stream_book()
        book.on_snapshot(snapshot(10), 1)
        assert book.on_diff(diff(12, 12), 2) is GAP
        assert (book.trust, book.wants) == (SUSPECT, Wants.RESUBSCRIBE)
        assert book.on_diff(diff(13, 13), 3) is IGNORED
        book.restart(4)
        assert (book.trust, book.wants) == (SUSPECT, Wants.NOTHING)
        book.on_snapshot(snapshot(20), 5)
        assert (book.trust, book.counts.gaps, book.counts.applied, book.counts.ignored) == (LIVE, 1, 0, 2)

    def test_u_1_is_the_whole_book_whatever_the_message_is_called(self) -> None:
        book = stream_book()
        book.on_snapshot(snapshot(77_000), 1)
        assert book.on_diff(diff(1, 1, "5*1 4*0", "6*2"), 2) is APPLIED
        assert (book.update_id, bids(book), book.trust) == (1, ["5*1"], LIVE)
        assert book.on_diff(diff(2, 2, "4*1"), 3) is APPLIED
        assert (book.counts.applied, book.counts.ignored) == (2, 0)

    def test_levels_that_fall_out_of_the_best_n_are_forgotten(self) -> None:
        book = stream_book()
        book.on_snapshot(snapshot(10, "10*1 9*1 8*1", "11*1 12*1 13*1", limit=3), 1)
        book.on_diff(diff(11, 11, "9.5*1", "11*0 14*1"), 2)
        assert bids(book) == ["10*1", "9.5*1", "9*1"]
        assert book.held() == (3, 3)
        book.on_diff(diff(12, 12, "10*0"), 3)
        assert bids(book) == ["9.5*1", "9*1"], "the venue sends what moves up"
        assert book.order_book().certified == (2, 3)

    def test_a_side_that_an_update_empties_needs_a_resync_unless_the_snapshot_had_none(self) -> None:
        book = stream_book()
        book.on_snapshot(snapshot(10, "10*1", ""), 1)
        book.on_diff(diff(11, 11, "9*1"), 2)
        assert book.trust is LIVE
        book.on_diff(diff(12, 12, "10*0 9*0"), 3)
        assert (book.trust, book.wants) == (SUSPECT, Wants.RESUBSCRIBE)
