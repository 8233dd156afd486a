"""A session whose snapshots come on the stream, and whose level-1 stream repeats."""

from __future__ import annotations

import time

import pytest
from msgspec import structs
from support.feeds import BYBIT, QUICK, Feed, y_ack, y_book, y_live
from support.waiting import wait_until

from thespian_connector.model import Channel, Ticker, Trust
from thespian_connector.model.errors import UsageError

TOPICS = ["orderbook.50.BTCUSDT", "orderbook.1.BTCUSDT"]


def feed(**keywords: object) -> Feed:
    return Feed(BYBIT, depth=50, **keywords)  # type: ignore[arg-type]  # Feed's own keywords


def test_a_streams_snapshot_makes_the_book_live() -> None:
    with feed() as it:
        peer = it.server.accept()
        assert sorted(y_ack(peer)[1]) == sorted(TOPICS)
        peer.send(y_book("snapshot", 7, bids=[["100", "1"]], asks=[["101", "1"]]))
        peer.send(y_book("delta", 8, bids=[["100", "0"], ["99", "2"]]))
        book = it.wait_update(8)
        assert book.trust is Trust.LIVE
        assert [str(level.price) for level in book.bids] == ["99"]


def test_a_gap_shows_at_once_and_only_that_book_is_subscribed_again() -> None:
    with feed() as it:
        peer = y_live(it)
        told = len(it.books)
        peer.send(y_book("delta", 9))
        it.wait_trust(Trust.SUSPECT)
        assert it.books[told][1] is Trust.SUSPECT
        assert y_ack(peer) == ("unsubscribe", TOPICS)
        assert y_ack(peer) == ("subscribe", TOPICS)
        peer.send(y_book("delta", 10))
        peer.send(y_book("snapshot", 20, bids=[["98", "1"]], asks=[["101", "1"]]))
        assert it.wait_trust(Trust.LIVE).update_id == 20
        assert it.session.counters["connects"] == 1


def test_a_snapshot_that_does_not_come_is_asked_for_again() -> None:
    with feed(timing=structs.replace(QUICK, resubscribe_s=0.2)) as it:
        peer = y_live(it)
        peer.send(y_book("delta", 9))
        for _ in range(2):
            assert y_ack(peer)[0] == "unsubscribe"
            assert y_ack(peer)[0] == "subscribe"
        peer.send(y_book("snapshot", 20, bids=[["98", "1"]], asks=[["101", "1"]]))
        it.wait_trust(Trust.LIVE)


def test_a_snapshot_in_the_middle_and_a_service_restart_replace_the_book() -> None:
    with feed() as it:
        peer = y_live(it)
        peer.send(y_book("snapshot", 30, bids=[["90", "1"]], asks=[["91", "1"]]))
        assert it.wait_update(30).trust is Trust.LIVE
        peer.send(y_book("delta", 1, bids=[["80", "1"]], asks=[["81", "1"]]))
        book = it.wait_update(1)
        assert (book.trust, str(book.bids[0].price)) == (Trust.LIVE, "80")
        peer.send(y_book("delta", 2, bids=[["79", "1"]]))
        assert len(it.wait_update(2).bids) == 2


def test_a_crossed_book_is_suspect() -> None:
    with feed() as it:
        peer = y_live(it)
        peer.send(y_book("delta", 8, bids=[["102", "1"]]))
        it.wait_trust(Trust.SUSPECT)
        y_ack(peer)


def test_the_level_that_repeats_proves_quiet_and_silence_is_stale_then_connected_anew() -> None:
    timing = structs.replace(QUICK, stale_stream_s=5)
    with feed(timing=timing) as it:
        peer = y_live(it)
        repeats = y_book("snapshot", 3, bids=[["100", "1"]], asks=[["101", "1"]], seq=70, depth=1)
        until = time.monotonic() + 6.5
        while time.monotonic() < until:
            peer.send(repeats)
            assert it.trust() is Trust.LIVE
            time.sleep(0.1)
        it.wait_trust(Trust.STALE)
        again = it.server.accept()
        y_ack(again)
        again.send(y_book("snapshot", 50, bids=[["100", "1"]], asks=[["101", "1"]]))
        it.wait_trust(Trust.LIVE)
        assert it.session.counters["dropped_silent"] == 1


def test_pongs_prove_nothing() -> None:
    with feed(timing=structs.replace(QUICK, stale_stream_s=2)) as it:
        peer = y_live(it)
        until = time.monotonic() + 1.5
        while time.monotonic() < until or it.trust() is Trust.LIVE:
            peer.send({"success": True, "ret_msg": "pong", "conn_id": "c", "op": "ping"})
            time.sleep(0.05)
            assert time.monotonic() < until + 60, "a feed with nothing but pongs is still LIVE"
        assert it.trust() is Trust.STALE


def test_a_top_that_moved_on_while_the_book_did_not_is_behind() -> None:
    timing = structs.replace(QUICK, behind_grace_s=2)
    with feed(timing=timing) as it:
        peer = y_live(it)
        moved = y_book("snapshot", 4, bids=[["100.5", "1"]], asks=[["101", "1"]], seq=90, depth=1)
        peer.send(moved)
        assert it.trust() is Trust.LIVE, "updates may be in flight"
        until = time.monotonic() + 60
        while it.trust() is Trust.LIVE and time.monotonic() < until:
            peer.send(moved)
            time.sleep(0.05)
        assert it.trust() is Trust.SUSPECT
        assert y_ack(peer) == ("unsubscribe", TOPICS)


def test_a_top_that_moved_is_no_alarm_when_the_book_follows() -> None:
    with feed(timing=structs.replace(QUICK, behind_grace_s=0.3)) as it:
        peer = y_live(it)
        peer.send(
            y_book("snapshot", 4, bids=[["100.5", "1"]], asks=[["101", "1"]], seq=90, depth=1),
            y_book("delta", 8, bids=[["100.5", "1"]], seq=90),
        )
        it.wait_update(8)
        until = time.monotonic() + 0.8
        while time.monotonic() < until:
            assert it.trust() is Trust.LIVE
            time.sleep(0.05)
        assert it.session.counters.get("behind", 0) == 0


def test_our_ping_is_sent_and_must_be_answered() -> None:
    quick = structs.replace(BYBIT.stream_limits, keepalive_s=0.1)

    class Impatient(type(BYBIT)):  # type: ignore[misc]  # the driver with a shorter keepalive
        stream_limits = quick

    with Feed(Impatient(), depth=50, timing=structs.replace(QUICK, pong_s=3)) as it:
        peer = y_live(it)
        ping = peer.expect()
        assert ping["op"] == "ping"
        peer.send({"success": True, "ret_msg": "pong", "conn_id": "c", "op": "ping"})
        assert peer.expect()["op"] == "ping"
        y_ack(it.server.accept())
        assert it.session.counters["dropped_no_pong"] == 1


def test_a_refused_batch_is_halved_until_the_bad_topic_stands_alone() -> None:
    symbols = [f"S{i}/USDT" for i in range(6)]
    with Feed(BYBIT, symbols, depth=50) as it:
        peer = it.server.accept()
        good: set[str] = set()
        refused = 0
        while len(good) < 10 or refused < 2:
            request = peer.expect()
            assert len(request["args"]) <= 10
            bad = any("S3USDT" in topic for topic in request["args"])
            answer = {"success": not bad, "conn_id": "c", "req_id": request["req_id"], "op": "subscribe"}
            peer.send({**answer, "ret_msg": "Invalid symbol :[orderbook.50.S3USDT]" if bad else "subscribe"})
            if not bad:
                good.update(request["args"])
            elif len(request["args"]) == 1:
                refused += 1
        it.wait_count("topics_refused", 2)
        assert not any("S3USDT" in topic for topic in good)
        reasons = {s.symbol: s.reason for s in it.session.status()}
        assert "Invalid symbol" in reasons["S3/USDT"]


def test_a_ticker_gets_its_bid_and_ask_from_the_top_of_book() -> None:
    with Feed(BYBIT, channels=[Channel.TICKER]) as it:
        peer = it.server.accept()
        _, topics = y_ack(peer)
        assert "tickers.BTCUSDT" in topics
        data = {"symbol": "BTCUSDT", "lastPrice": "100.5", "volume24h": "7"}
        peer.send({"topic": "tickers.BTCUSDT", "ts": 5, "type": "snapshot", "data": data})
        peer.send(y_book("snapshot", 4, bids=[["100", "1"]], asks=[["101", "2"]], depth=1))
        peer.send(y_book("snapshot", 4, bids=[["100", "1"]], asks=[["101", "2"]], depth=1))
        peer.send({"topic": "tickers.BTCUSDT", "ts": 6, "type": "snapshot", "data": {**data, "lastPrice": "101"}})
        wait_until(lambda: len(it.events) >= 3, 60, "three tickers")
        tickers = [event for event in it.events if isinstance(event, Ticker)]
        assert [str(t.last) for t in tickers] == ["100.5", "100.5", "101"]
        assert (str(tickers[2].bid), str(tickers[2].ask), str(tickers[2].volume)) == ("100", "101", "7")


def test_a_book_of_one_level_is_its_tickers_bid_and_ask_too() -> None:
    """Both want ``orderbook.1``: what comes on it is for either."""
    with Feed(BYBIT, channels=[Channel.BOOK, Channel.TICKER], depth=1) as it:
        peer = it.server.accept()
        _, topics = y_ack(peer)
        assert sorted(topics) == ["orderbook.1.BTCUSDT", "tickers.BTCUSDT"]
        data = {"symbol": "BTCUSDT", "lastPrice": "100.5", "volume24h": "7"}
        peer.send({"topic": "tickers.BTCUSDT", "ts": 5, "type": "snapshot", "data": data})
        peer.send(y_book("snapshot", 4, bids=[["100", "1"]], asks=[["101", "2"]], depth=1))
        peer.send(y_book("snapshot", 4, bids=[["100", "1"]], asks=[["101", "2"]], depth=1))
        peer.send(y_book("snapshot", 5, bids=[["100.2", "3"]], asks=[["101", "2"]], depth=1))
        assert it.wait_update(5).trust is Trust.LIVE
        wait_until(lambda: sum(isinstance(event, Ticker) for event in it.events) >= 3, 60, "three tickers")
        tickers = [event for event in it.events if isinstance(event, Ticker)]
        assert [(str(t.bid), str(t.ask)) for t in tickers] == [("None", "None"), ("100", "101"), ("100.2", "101")]
        assert {str(t.last) for t in tickers} == {"100.5"}


def test_topics_whose_names_are_too_long_for_one_connection_are_refused() -> None:
    with pytest.raises(UsageError, match="21000"):
        Feed(BYBIT, [f"LONGNAME{i}/USDT" for i in range(450)], depth=50)
