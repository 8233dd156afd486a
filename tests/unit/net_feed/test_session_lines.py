"""Two connections of one session: one takes over from the other, or both stay. Scripted, frame by frame."""

from __future__ import annotations

from typing import Any

from msgspec import structs
from support.feeds import BINANCE, BYBIT, QUICK, Feed, b_ack, b_diff, b_live, b_snapshot, y_ack, y_book, y_live
from support.stream_server import Peer
from support.waiting import wait_until

from thespian_connector.model import Channel, Ticker, Trade, Trust
from thespian_connector.net.events import FeedEvent

SHUTDOWN = {"stream": "!serverShutdown", "data": {"e": "serverShutdown", "E": 1}}


def b_trade(number: int) -> Any:
    data = {"e": "trade", "E": number, "s": "BTCUSDT", "t": number, "p": "1", "q": "1", "T": number, "m": False}
    return {"stream": "btcusdt@trade", "data": data}


def trades(feed: Feed) -> list[str]:
    return [event.trade_id for event in feed.events if isinstance(event, Trade)]


def whats(feed: Feed) -> list[str]:
    return [event.what for event in feed.events if not isinstance(event, Trade | Ticker)]


def test_an_announced_shutdown_is_left_without_anyone_noticing() -> None:
    with Feed(BINANCE, channels=(Channel.BOOK, Channel.TRADE)) as feed:
        first = b_live(feed)
        first.send(b_trade(1), SHUTDOWN)
        second = feed.server.accept()
        b_ack(second)
        first.send(b_trade(2), b_diff(12, 12))
        second.send(b_trade(4), b_diff(13, 13), b_diff(14, 14))
        feed.wait_update(14)
        first.send(b_trade(3), b_diff(13, 13))
        first.expect_closed()
        second.send(b_diff(15, 15), b_trade(5))
        feed.wait_update(15)
        wait_until(lambda: len(trades(feed)) == 5, 60, "all trades")
        assert trades(feed) == ["1", "2", "3", "4", "5"]
        assert whats(feed) == ["live"]
        assert {trust for _, trust, *_ in feed.books} == {Trust.LIVE}
        assert len(feed.rest.asked) == 1, "the second connection needs no snapshot"
        assert feed.session.counters["rotations"] == 1
        assert len(feed.session.connections) == 1


def test_the_old_connection_stays_until_the_new_one_has_caught_up() -> None:
    with Feed(BINANCE) as feed:
        first = b_live(feed)
        first.send(SHUTDOWN)
        second = feed.server.accept()
        b_ack(second)
        second.send(b_diff(14, 14))
        wait_until(lambda: feed.session.counters["messages"] >= 5, 60, "it was read")
        assert first.quiet(0.5)
        assert len(feed.session.connections) == 2
        first.send(b_diff(12, 12))
        feed.wait_update(12)


def test_a_quiet_market_rotates_too() -> None:
    with Feed(BINANCE) as feed:
        first = b_live(feed)
        first.send(SHUTDOWN)
        b_ack(feed.server.accept())
        first.expect_closed()
        assert whats(feed) == ["live"]


def test_a_successor_that_cannot_be_had_leaves_the_old_one_working() -> None:
    with Feed(BINANCE) as feed:
        first = b_live(feed)
        first.send(SHUTDOWN)
        for _ in range(2):
            feed.server.accept().close()
        first.send(b_diff(12, 12))
        feed.wait_update(12)
        second = feed.server.accept()
        b_ack(second)
        first.close()  # before the second brought anything: what lies between is lost
        feed.wait_trust(Trust.STALE)
        second.send(b_diff(20, 20))
        feed.rest.put("BTCUSDT", b_snapshot(19))
        assert feed.wait_trust(Trust.LIVE).update_id == 20
        assert whats(feed) == ["live", "stale", "reconnected", "live"]


def test_an_old_age_is_left_before_the_venues_cut() -> None:
    with Feed(BINANCE, rotate_after_s=2.5) as feed:
        first = b_live(feed)
        second = feed.server.accept()
        b_ack(second)
        first.send(b_diff(12, 12))
        second.send(b_diff(12, 12))
        first.expect_closed()
        assert whats(feed) == ["live"]


def both(feed: Feed) -> tuple[Peer, Peer]:
    first = b_live(feed)
    second = feed.server.accept()
    b_ack(second)
    first.send(b_diff(12, 12))
    second.send(b_diff(12, 12))
    feed.wait_update(12)
    return first, second


def test_either_of_a_pair_may_drop_and_is_dialled_again() -> None:
    with Feed(BINANCE, redundancy=2) as feed:
        first, second = both(feed)
        second.send(b_diff(13, 13))
        feed.wait_update(13)
        for update_id in (14, 16, 18):
            first.close()
            third = feed.server.accept()
            b_ack(third)
            second.send(b_diff(update_id, update_id))
            feed.wait_update(update_id)
            third.send(b_diff(update_id, update_id), b_diff(update_id + 1, update_id + 1))
            feed.wait_update(update_id + 1)
            first, second = second, third
        assert whats(feed) == ["live"]
        assert feed.session.counters["gaps"] == 0


def test_a_pair_that_is_lost_is_stale_and_comes_back() -> None:
    with Feed(BINANCE, redundancy=2) as feed:
        first, second = both(feed)
        first.close()
        second.close()
        feed.wait_trust(Trust.STALE)
        third = feed.server.accept()
        b_ack(third)
        third.send(b_diff(30, 30))
        feed.rest.put("BTCUSDT", b_snapshot(29))
        feed.wait_trust(Trust.LIVE)
        b_ack(feed.server.accept())


def test_the_slower_of_a_pair_proves_nothing() -> None:
    with Feed(BINANCE, redundancy=2) as feed:
        first, second = both(feed)
        first.send(b_diff(13, 13))
        feed.wait_update(13)
        proved = feed.book().verified_at_ns
        second.send(b_diff(13, 13))
        feed.wait_count("messages", 7)
        assert feed.book().verified_at_ns == proved


def test_the_silent_one_of_a_pair_is_replaced() -> None:
    timing = structs.replace(QUICK, silent_reconnect_s=4)
    with Feed(BINANCE, redundancy=2, timing=timing) as feed:
        first, second = both(feed)
        update_id = 13

        def step() -> bool:
            nonlocal update_id
            first.send(b_diff(update_id, update_id))
            update_id += 1
            return feed.session.counters.get("dropped_silent", 0) > 0

        wait_until(step, 60, "the silent one is dropped", 0.1)
        second.expect_closed()
        b_ack(feed.server.accept())
        assert whats(feed) == ["live"]


def test_one_that_lost_a_single_topic_of_a_pair_is_replaced() -> None:
    """Its other topic goes on, so that it is not silent; the first has both."""
    with Feed(
        BINANCE,
        channels=(Channel.BOOK, Channel.TRADE),
        redundancy=2,
        timing=structs.replace(QUICK, silent_reconnect_s=4),
    ) as feed:
        first, second = both(feed)
        number = 13

        def step() -> bool:
            nonlocal number
            first.send(b_diff(number, number), b_trade(number))
            second.send(b_trade(number))
            number += 1
            return feed.session.counters.get("dropped_dead_topic", 0) > 0

        wait_until(step, 60, "the one without a book's stream is dropped", 0.05)
        second.expect_closed()
        third = feed.server.accept()
        b_ack(third)
        first.send(b_diff(number, number))
        third.send(b_diff(number, number), b_diff(number + 1, number + 1))
        feed.wait_update(number + 1)
        assert whats(feed) == ["live"], "the book never noticed"
        assert trades(feed) == [str(one) for one in range(13, number)]
        assert feed.session.counters["gaps"] == 0


def test_a_snapshot_of_the_second_never_moves_the_book_back() -> None:
    ids: list[int] = []

    def note(event: FeedEvent) -> None:
        if hasattr(event, "tracked"):
            ids.append(event.tracked.update_id)

    with Feed(BYBIT, depth=50, redundancy=2, on_event=note) as feed:
        first = y_live(feed)
        second = feed.server.accept()
        y_ack(second)
        first.send(y_book("delta", 8), y_book("delta", 9))
        feed.wait_update(9)
        second.send(y_book("snapshot", 8, bids=[["50", "1"]], asks=[["51", "1"]]))
        second.send(y_book("delta", 9), y_book("delta", 10))
        assert feed.wait_update(10).bids[0].price == 100
        first.close()
        y_ack(feed.server.accept())
        second.send(y_book("delta", 11))
        feed.wait_update(11)
        assert ids == sorted(ids)
        assert whats(feed) == ["live"]


def test_a_pair_that_lost_track_resubscribes_on_both() -> None:
    with Feed(BYBIT, depth=50, redundancy=2) as feed:
        first = y_live(feed)
        second = feed.server.accept()
        y_ack(second)
        second.send(y_book("snapshot", 7, bids=[["100", "1"]], asks=[["101", "1"]]))
        first.send(y_book("delta", 9))
        second.send(y_book("delta", 9))
        feed.wait_trust(Trust.SUSPECT)
        for peer in (first, second):
            assert y_ack(peer)[0] == "unsubscribe"
            assert y_ack(peer)[0] == "subscribe"
        for peer in (first, second):
            peer.send(y_book("snapshot", 20, bids=[["90", "1"]], asks=[["91", "1"]]))
        assert feed.wait_trust(Trust.LIVE).update_id == 20
        second.send(y_book("delta", 21))
        feed.wait_update(21)
