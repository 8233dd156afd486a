"""A session whose snapshots come over REST, against a venue that does exactly what the test says."""

from __future__ import annotations

import random
import threading
import time

import pytest
from msgspec import structs
from support.feeds import BINANCE, QUICK, Feed, b_ack, b_diff, b_live, b_snapshot
from support.stream_server import CLOSE, frame
from support.waiting import wait_until

from thespian_connector.actors.messages import pack
from thespian_connector.model import Channel, Trade, Trust
from thespian_connector.model.errors import NotSent, UnknownSymbol, UsageError
from thespian_connector.net.events import BookChanged, FeedEvent, FeedMarker


def test_a_snapshot_is_asked_for_only_after_the_ack_and_the_first_update() -> None:
    with Feed(BINANCE, timing=structs.replace(QUICK, snapshot_quiet_s=30)) as feed:
        peer = feed.server.accept()
        peer.send(b_diff(5, 6))
        assert b_ack(peer) == ["btcusdt@depth@100ms"]
        peer.send(b_diff(7, 8))
        wait_until(lambda: feed.rest.asked, 60, "the snapshot")
        assert feed.rest.asked == [("BTCUSDT", 1000)]
        assert feed.trust() is Trust.SYNCING
        feed.rest.put("BTCUSDT", b_snapshot(7))
        assert feed.wait_update(8).trust is Trust.LIVE
        assert feed.books[-1][1:3] == (Trust.LIVE, 8)
        assert [m.what for m in feed.events] == ["live"]  # type: ignore[union-attr]  # only markers are there


def test_a_quiet_symbol_gets_its_snapshot_without_an_update() -> None:
    with Feed(BINANCE) as feed:
        b_ack(feed.server.accept())
        feed.rest.put("BTCUSDT", b_snapshot(7))
        assert feed.wait_trust(Trust.LIVE).update_id == 7


def test_rest_never_runs_on_the_reading_thread() -> None:
    callbacks: set[int] = set()
    with Feed(BINANCE, on_event=lambda _: callbacks.add(threading.get_ident())) as feed:
        b_live(feed)
        assert feed.rest.threads
        assert not feed.rest.threads & callbacks
        assert len(callbacks) == 1


def test_a_snapshot_older_than_the_stream_is_asked_for_again() -> None:
    with Feed(BINANCE) as feed:
        peer = feed.server.accept()
        b_ack(peer)
        peer.send(b_diff(20, 21))
        feed.rest.put("BTCUSDT", b_snapshot(10), b_snapshot(12), b_snapshot(20))
        assert feed.wait_trust(Trust.LIVE).update_id == 21
        assert len(feed.rest.asked) == 3
        assert feed.session.counters["snapshots_too_old"] == 2


def test_a_failed_snapshot_is_asked_for_again() -> None:
    with Feed(BINANCE) as feed:
        peer = feed.server.accept()
        b_ack(peer)
        peer.send(b_diff(8, 8))
        feed.rest.put("BTCUSDT", NotSent("no way"), b_snapshot(7))
        assert feed.wait_trust(Trust.LIVE).update_id == 8
        assert feed.session.counters["snapshots_failed"] == 1


def test_a_bug_on_the_errands_thread_ends_the_session_and_is_seen() -> None:
    with Feed(BINANCE) as feed:
        b_ack(feed.server.accept())
        feed.rest.put("BTCUSDT", ZeroDivisionError("a bug"))
        wait_until(lambda: not feed.session.alive, 60, "the session's end")
        assert isinstance(feed.session.failure, ZeroDivisionError)
        assert feed.failures == [feed.session.failure]


def test_a_gap_shows_with_that_very_message_and_is_made_good() -> None:
    with Feed(BINANCE) as feed:
        peer = b_live(feed)
        seen = len(feed.books)
        peer.send(b_diff(13, 13, bids=[["99", "1"]]))  # 12 is missing
        wait_until(lambda: len(feed.books) > seen, 60, "the gap")
        assert feed.books[seen][1] is Trust.SUSPECT
        assert feed.markers("gap")
        feed.rest.put("BTCUSDT", b_snapshot(12))
        assert feed.wait_trust(Trust.LIVE).update_id == 13
        assert feed.session.counters["gaps"] == 1


@pytest.mark.parametrize("bad", [b'{"stream":"btcusdt@depth@100ms","data":{"e":"depthUpd', b"\xff\xfe", b"[]", b"null"])
def test_a_malformed_update_is_counted_and_surfaces_as_a_gap_with_the_next(bad: bytes) -> None:
    with Feed(BINANCE) as feed:
        peer = b_live(feed)
        peer.raw(frame(bad))
        peer.send(b_diff(13, 13))
        feed.wait_trust(Trust.SUSPECT)
        assert sum(n for name, n in feed.session.counters.items() if name.startswith("ignored_")) == 1
        feed.rest.put("BTCUSDT", b_snapshot(13))
        feed.wait_trust(Trust.LIVE)


def test_a_malformed_level_makes_the_book_suspect_at_once() -> None:
    with Feed(BINANCE) as feed:
        peer = b_live(feed)
        peer.send(b_diff(12, 12, bids=[["1e5", "x"]]))
        feed.wait_trust(Trust.SUSPECT)
        feed.rest.put("BTCUSDT", b_snapshot(12))
        feed.wait_trust(Trust.LIVE)
        assert feed.session.counters["malformed"] == 1


@pytest.mark.parametrize("how", ["reset", "close frame", "oversize", "masked"])
def test_a_dropped_connection_is_made_again_and_nothing_stays_live_meanwhile(how: str) -> None:
    with Feed(BINANCE) as feed:
        peer = b_live(feed)
        if how == "reset":
            peer.close()
        elif how == "close frame":
            peer.raw(frame((1001).to_bytes(2, "big"), CLOSE))
        elif how == "oversize":
            peer.raw(b"\x81\x7f" + (1 << 40).to_bytes(8, "big"))
        else:
            peer.raw(b"\x81\x81mask!")
        feed.wait_trust(Trust.STALE)
        again = feed.server.accept()
        assert b_ack(again) == ["btcusdt@depth@100ms"]
        assert feed.trust() is Trust.STALE
        again.send(b_diff(50, 51))
        feed.rest.put("BTCUSDT", b_snapshot(49))
        assert feed.wait_trust(Trust.LIVE).update_id == 51
        assert [m.what for m in feed.events] == ["live", "stale", "reconnected", "live"]  # type: ignore[union-attr]


def test_a_snapshot_asked_for_on_the_old_connection_is_not_used_on_the_new() -> None:
    with Feed(BINANCE) as feed:
        peer = feed.server.accept()
        b_ack(peer)
        peer.send(b_diff(8, 8))
        wait_until(lambda: len(feed.rest.asked) == 1, 60, "the first snapshot is asked for")
        peer.close()
        again = feed.server.accept()
        b_ack(again)
        again.send(b_diff(30, 30))
        feed.rest.put("BTCUSDT", b_snapshot(29, bid="1.00"), b_snapshot(29, bid="2.00"))
        book = feed.wait_trust(Trust.LIVE)
        assert book.bids[0].price == 2
        assert len(feed.rest.asked) == 2


def test_one_bad_symbol_costs_nobody_else_anything() -> None:
    symbols = ["BTC/USDT", "ETH/USDT", "BAD/USDT", "LTC/USDT", "XRP/USDT"]
    with Feed(BINANCE, symbols) as feed:
        peer = feed.server.accept()
        for native in ("BTCUSDT", "ETHUSDT", "LTCUSDT", "XRPUSDT"):
            feed.rest.put(native, b_snapshot(7, native=native))
        confirmed: set[str] = set()
        while len(confirmed) < 4 or not feed.session.counters.get("topics_refused"):
            topics = b_ack(peer, refuse=lambda topics: any("bad" in topic for topic in topics))
            if not any("bad" in topic for topic in topics):
                confirmed.update(topics)
            else:
                feed.wait_count("acks_refused")
            if len(topics) == 1 and "bad" in topics[0]:
                feed.wait_count("topics_refused")
        for symbol in symbols:
            if symbol != "BAD/USDT":
                feed.wait_trust(Trust.LIVE, symbol)
        status = {s.symbol: s for s in feed.session.status()}
        assert status["BAD/USDT"].trust is Trust.SYNCING
        assert "invalid stream" in status["BAD/USDT"].reason
        assert feed.session.counters["connects"] == 1


def test_a_refused_symbol_is_asked_for_again_later() -> None:
    with Feed(BINANCE, timing=structs.replace(QUICK, refused_retry_s=0.3)) as feed:
        peer = feed.server.accept()
        b_ack(peer, refuse=lambda _: True)
        b_ack(peer)
        feed.rest.put("BTCUSDT", b_snapshot(7))
        feed.wait_trust(Trust.LIVE)
        assert feed.session.status()[0].reason.startswith("refused") is False


def test_a_missing_ack_is_asked_for_again_and_then_the_connection_made_anew() -> None:
    with Feed(BINANCE, timing=structs.replace(QUICK, ack_s=2)) as feed:
        peer = feed.server.accept()
        assert peer.expect()["method"] == "SUBSCRIBE"
        assert peer.expect()["method"] == "UNSUBSCRIBE"
        assert peer.expect()["method"] == "SUBSCRIBE"
        b_ack(feed.server.accept())
        assert feed.session.counters["acks_missing"] == 1
        assert feed.session.counters["dropped_no_ack"] == 1
        feed.rest.put("BTCUSDT", b_snapshot(7))
        feed.wait_trust(Trust.LIVE)


def test_a_ping_is_answered_with_its_own_payload() -> None:
    with Feed(BINANCE) as feed:
        peer = feed.server.accept()
        peer.ping(b"1795315200123")
        assert peer.expect_pong() == b"1795315200123"


def test_frames_sent_stay_under_the_venues_limit_pongs_included() -> None:
    """Binance cuts who sends more than 5 frames a second, pongs included."""
    with Feed(BINANCE, [f"S{i}/USDT" for i in range(40)]) as feed:
        peer = feed.server.accept()
        begun = time.monotonic()
        for n in range(12):  # refusals make it ask in halves, again and again
            b_ack(peer, refuse=lambda topics: len(topics) > 1)
            if n == 3:
                peer.ping(b"x")
                peer.expect_pong()
        assert time.monotonic() - begun > 1.5, "12 frames and a pong take three seconds' room"


def test_an_image_travels_as_the_same_bytes_as_its_book() -> None:
    with Feed(BINANCE) as feed:
        b_live(feed)
        for depth in (0, 1):
            assert pack(feed.session.image("BTC/USDT", depth)) == pack(feed.session.book("BTC/USDT", depth))
        with pytest.raises(UnknownSymbol):
            feed.session.image("DOGE/USDT")


def test_silence_is_checked_over_rest_and_quiet_stays_live() -> None:
    timing = structs.replace(QUICK, silence_check_s=0.2, verified_told_s=0.3)
    told: list[int] = []
    with Feed(
        BINANCE,
        timing=timing,
        on_event=lambda e: told.append(e.tracked.verified_at_ns) if isinstance(e, BookChanged) else None,
    ) as feed:
        b_live(feed)
        before = feed.book().verified_at_ns
        feed.rest.put("BTCUSDT", *[b_snapshot(11)] * 3)
        feed.wait_count("silence_checks", 3)
        wait_until(lambda: feed.book().verified_at_ns > before, 60, "verified_at moves")
        wait_until(lambda: told[-1] > before, 60, "and readers are told of it")
        assert feed.rest.asked[-1] == ("BTCUSDT", 5)
        assert feed.trust() is Trust.LIVE
        assert not feed.markers("stale")


def test_silence_that_cannot_be_checked_makes_a_book_stale_until_something_comes() -> None:
    timing = structs.replace(QUICK, silence_check_s=0.1, stale_rest_s=3)
    with Feed(BINANCE, timing=timing) as feed:
        peer = b_live(feed)
        feed.wait_trust(Trust.STALE)
        assert feed.book().bids, "a STALE book shows its levels, marked"
        peer.send(b_diff(12, 12))
        feed.wait_trust(Trust.LIVE)


def test_a_silent_stream_behind_the_venue_is_stale_then_connected_anew() -> None:
    """The socket is open, pings come, nothing else does, and the venue goes on."""
    timing = structs.replace(QUICK, silence_check_s=0.2, behind_grace_s=0.3)
    with Feed(BINANCE, timing=timing) as feed:
        peer = b_live(feed)
        peer.ping(b"alive")
        feed.rest.put("BTCUSDT", b_snapshot(40))
        feed.wait_trust(Trust.STALE)
        again = feed.server.accept()
        b_ack(again)
        again.send(b_diff(42, 42))
        feed.rest.put("BTCUSDT", b_snapshot(41))
        assert feed.wait_trust(Trust.LIVE).update_id == 42
        assert feed.session.counters["dropped_silent"] == 1


def test_an_update_that_was_in_flight_during_the_check_is_no_silence() -> None:
    timing = structs.replace(QUICK, silence_check_s=0.2, behind_grace_s=20)
    with Feed(BINANCE, timing=timing) as feed:
        peer = b_live(feed)
        feed.rest.put("BTCUSDT", b_snapshot(12), *[b_snapshot(12)] * 50)
        feed.wait_count("silence_checks")
        peer.send(b_diff(12, 12))
        feed.wait_count("silence_checks", 3)
        assert feed.trust() is Trust.LIVE
        assert feed.session.counters["connects"] == 1


def test_one_dead_stream_among_living_ones_is_resubscribed_alone() -> None:
    timing = structs.replace(QUICK, silence_check_s=1.5, behind_grace_s=2, resubscribe_s=0.5)
    with Feed(BINANCE, ["BTC/USDT", "ETH/USDT"], timing=timing) as feed:
        peer = feed.server.accept()
        b_ack(peer)
        for native in ("BTCUSDT", "ETHUSDT"):
            peer.send(b_diff(11, 11, native=native))
            feed.rest.put(native, b_snapshot(10, native=native))
        for symbol in ("BTC/USDT", "ETH/USDT"):
            feed.wait_trust(Trust.LIVE, symbol)
        feed.rest.put("BTCUSDT", b_snapshot(30))
        update = 12
        while feed.trust() is Trust.LIVE:
            peer.send(b_diff(update, update, native="ETHUSDT"))
            update += 1
            time.sleep(0.01)
        assert feed.trust() is Trust.SUSPECT
        assert feed.trust("ETH/USDT") is Trust.LIVE
        assert b_ack(peer) == b_ack(peer) == ["btcusdt@depth@100ms"]
        feed.rest.put("ETHUSDT", *[b_snapshot(update - 1, native="ETHUSDT")] * 50)
        feed.rest.put("BTCUSDT", b_snapshot(31))
        feed.wait_trust(Trust.LIVE)
        assert feed.session.counters["connects"] == 1


def test_updates_that_come_late_are_stale_until_they_catch_up() -> None:
    now_ms = int(time.time() * 1000)
    with Feed(BINANCE, timing=structs.replace(QUICK, lag_stale_s=5)) as feed:
        peer = b_live(feed)
        peer.send(b_diff(12, 12, time_ms=now_ms))
        feed.wait_update(12)
        assert feed.trust() is Trust.LIVE
        peer.send(b_diff(13, 13, time_ms=now_ms - 60_000))
        feed.wait_trust(Trust.STALE)
        assert feed.book().update_id == 13
        assert feed.session.counters["lag_ms"] >= 50_000
        peer.send(b_diff(14, 14, time_ms=int(time.time() * 1000)))
        feed.wait_trust(Trust.LIVE)


def test_a_venue_whose_clock_was_set_back_is_not_late_for_long() -> None:
    now_ms = int(time.time() * 1000)
    with Feed(BINANCE, timing=structs.replace(QUICK, lag_stale_s=5)) as feed:
        peer = b_live(feed)
        peer.send(b_diff(12, 12, time_ms=now_ms))
        feed.wait_update(12)
        peer.send(b_diff(13, 13, time_ms=now_ms - 60_000))
        feed.wait_trust(Trust.STALE)
        feed.rest.put("BTCUSDT", b_snapshot(13))  # the venue itself says: there is nothing newer
        feed.wait_trust(Trust.LIVE)
        peer.send(b_diff(14, 14, time_ms=now_ms - 60_000))
        feed.wait_update(14)
        assert feed.trust() is Trust.LIVE


def test_a_stream_that_is_late_from_its_first_message_on_is_found_by_an_audit() -> None:
    """It looks timely by its own clock; only the venue's REST knows better."""
    with Feed(BINANCE, timing=structs.replace(QUICK, audit_s=1, lag_stale_s=0.4)) as feed:
        peer = b_live(feed)
        feed.rest.put("BTCUSDT", b_snapshot(1000))
        update, until = 12, time.monotonic() + 60
        while feed.trust() is Trust.LIVE and time.monotonic() < until:
            peer.send(b_diff(update, update, time_ms=int(time.time() * 1000)))
            update += 1
            time.sleep(0.02)
        assert feed.trust() is Trust.STALE
        assert "late" in feed.session.status()[0].reason
        peer.send(b_diff(update, 1001, time_ms=int(time.time() * 1000) + 5000))
        assert feed.wait_trust(Trust.LIVE).update_id == 1001
        assert feed.session.counters["connects"] == 1


def test_a_session_that_was_held_up_does_not_vouch_for_its_books_nor_blame_the_venue() -> None:
    timing = structs.replace(QUICK, held_up_s=3, silent_reconnect_s=3, stale_rest_s=3, silence_check_s=2.4)

    def blocks(event: FeedEvent) -> None:
        if isinstance(event, BookChanged) and event.tracked.update_id == 12 and event.tracked.trust is Trust.LIVE:
            blocked.set()
            assert go_on.wait(60)

    blocked, go_on = threading.Event(), threading.Event()
    with Feed(BINANCE, timing=timing, on_event=blocks) as feed:
        peer = b_live(feed)
        peer.send(b_diff(12, 12))
        assert blocked.wait(60)
        peer.send(b_diff(13, 13))  # it waits in the socket
        time.sleep(4)  # longer than it may be held up: the point of the test
        go_on.set()
        feed.wait_update(13)
        assert "held up" in feed.markers("stale")[0].detail
        assert feed.session.counters["connects"] == 1
        trail = [book[1:3] for book in feed.books]
        assert trail[trail.index((Trust.LIVE, 12)) :][:3] == [(Trust.LIVE, 12), (Trust.STALE, 12), (Trust.LIVE, 13)]


def test_a_raising_callback_ends_the_session_and_is_seen() -> None:
    def raises(event: FeedEvent) -> None:
        if isinstance(event, BookChanged) and event.tracked.update_id == 12:
            raise LookupError("the consumer's bug")

    with Feed(BINANCE, on_event=raises) as feed:
        peer = b_live(feed)
        peer.send(b_diff(12, 12), b_diff(13, 13))
        wait_until(lambda: not feed.session.alive, 60, "the session's end")
        assert isinstance(feed.session.failure, LookupError)
        assert feed.failures == [feed.session.failure]
        assert feed.books[-1][2] == 12, "nothing is told after the failure"
        assert feed.trust() is Trust.STALE, "a book that nobody feeds is not LIVE"
        peer.expect_closed()


def test_stop_from_within_a_callback() -> None:
    def stops(event: FeedEvent) -> None:
        if isinstance(event, BookChanged):
            assert feed.session.stop(60)

    with Feed(BINANCE, on_event=stops) as feed:
        peer = feed.server.accept()
        b_ack(peer)
        feed.rest.put("BTCUSDT", b_snapshot(7))
        wait_until(lambda: not feed.session.alive, 60, "the session's end")
        assert len(feed.books) == 1
        assert feed.session.failure is None


def test_stop_while_it_connects() -> None:
    with Feed(BINANCE) as feed:
        feed.server.accept_raw()  # never answered
        assert feed.session.stop(60), "no thread hangs"


def test_stop_before_start_and_twice() -> None:
    feed = Feed(BINANCE)
    assert feed.session.stop()
    assert feed.session.stop()
    feed.server.__exit__()


def test_stop_while_rest_hangs_says_so() -> None:
    with Feed(BINANCE) as feed:
        b_ack(feed.server.accept())
        wait_until(lambda: feed.rest.asked, 60, "the snapshot")
        assert feed.session.stop(0.2) is False
        wait_until(lambda: not feed.session.alive, 60, "the session itself has ended")


def test_a_refused_handshake_waits_as_long_as_the_venue_says() -> None:
    with Feed(BINANCE, timing=structs.replace(QUICK, reconnect_max_s=0.05)) as feed:
        feed.server.refuse("429 Too Many Requests", {"Retry-After": "5"})
        assert not feed.server.pending(0.7)
        b_ack(feed.server.accept())
        assert feed.session.counters["dials_failed"] == 1


def test_attempts_back_off_and_jitter() -> None:
    timing = structs.replace(QUICK, reconnect_first_s=0.1, reconnect_max_s=0.4)
    with Feed(BINANCE, timing=timing, rng=random.Random(1)) as feed:
        begun = time.monotonic()
        for _ in range(5):
            feed.server.accept_raw()[0].close()
        assert time.monotonic() - begun > 0.05 + 0.1 + 0.2 + 0.2 - 0.05, "half of each pause, at least"


def test_trades_come_once_each_and_in_order() -> None:
    def trade(number: int, price: str = "100.10") -> object:
        data = {"e": "trade", "E": 1, "s": "BTCUSDT", "t": number, "p": price, "q": "0.5", "T": 1, "m": True, "M": True}
        return {"stream": "btcusdt@trade", "data": data}

    with Feed(BINANCE, channels=[Channel.TRADE]) as feed:
        peer = feed.server.accept()
        assert b_ack(peer) == ["btcusdt@trade"]
        peer.send(trade(1), trade(2), trade(2), trade(1), trade(3))
        wait_until(lambda: len(feed.events) == 3, 60, "three trades")
        peer.send(trade(4))
        wait_until(lambda: len(feed.events) == 4, 60, "the fourth")
        peer.send(trade(8))
        wait_until(lambda: len(feed.events) == 6, 60, "the eighth and word of those between")
        missed = feed.events[4]
        assert isinstance(missed, FeedMarker)
        assert (missed.what, missed.missed) == ("missed", 3)
        trades = [event for event in feed.events if isinstance(event, Trade)]
        assert [t.trade_id for t in trades] == ["1", "2", "3", "4", "8"]
        assert trades[0].aggressor == "sell"
        assert feed.session.counters["trades_repeated"] == 2
        with pytest.raises(UnknownSymbol):
            feed.session.book("BTC/USDT")


def test_conflation_tells_of_the_newest_book_only() -> None:
    first, go_on = threading.Event(), threading.Event()

    def slow(event: FeedEvent) -> None:
        if isinstance(event, BookChanged) and event.tracked.update_id == 12:
            first.set()
            assert go_on.wait(60)

    with Feed(BINANCE, on_event=slow, conflate=True) as feed:
        peer = b_live(feed)
        peer.send(b_diff(12, 12))
        assert first.wait(60)
        peer.send(*[b_diff(n, n) for n in range(13, 500)])
        go_on.set()
        feed.wait_update(499)
        wait_until(lambda: feed.books[-1][2] == 499, 60, "the newest book is told")
        assert len([book for book in feed.books if book[2] > 12]) < 20


def test_without_conflation_every_update_is_told() -> None:
    with Feed(BINANCE) as feed:
        peer = b_live(feed)
        peer.send(*[b_diff(n, n) for n in range(12, 300)])
        feed.wait_update(299)
        wait_until(lambda: feed.books[-1][2] == 299, 60, "the last")
        assert [book[2] for book in feed.books] == list(range(11, 300))


def test_the_tap_gets_every_frame_as_it_came() -> None:
    frames: list[tuple[str, str, bytes]] = []
    with Feed(BINANCE, tap=lambda *what: frames.append(what)) as feed:
        peer = b_live(feed)
        peer.raw(frame(b"{nonsense"))
        wait_until(lambda: frames[-1][2] == b"{nonsense", 60, "the frame")
        assert {kind for kind, _, _ in frames} == {"ws"}
        assert frames[0][1].startswith(feed.server.url)


def test_the_tick_comes_and_the_heart_beats_also_under_load() -> None:
    ticks: list[int] = []
    with Feed(BINANCE, tick=ticks.append) as feed:
        wait_until(lambda: len(ticks) > 3, 60, "ticks while it connects")
        peer = b_live(feed)
        before = len(ticks)
        peer.send(*[b_diff(n, n) for n in range(12, 3000)])
        feed.wait_update(2999)
        wait_until(lambda: len(ticks) > before, 60, "ticks under load")
        assert time.monotonic_ns() - feed.session.heartbeat_ns < 5e9


@pytest.mark.parametrize(
    ("subscriptions", "error"),
    [([], UsageError), (["BTC/USDT", "BTC/USDT"], UsageError), ([f"S{i}/X" for i in range(1025)], UsageError)],
)
def test_what_cannot_be_subscribed_is_refused_at_once(subscriptions: list[str], error: type[Exception]) -> None:
    with pytest.raises(error):
        Feed(BINANCE, subscriptions)


def test_a_session_needs_rest_where_snapshots_come_from_there() -> None:
    with pytest.raises(UsageError, match="rest"):
        Feed(BINANCE, scripted_rest=False)
