"""The mock venue: what a test scripts is what its driver reads, and what its books become."""

from __future__ import annotations

from decimal import Decimal

import pytest

from thespian_connector.books.tracked import TrackedBook
from thespian_connector.drivers.mock import MockSession, MockVenue, SessionClosed
from thespian_connector.drivers.mock.flow import SplitMix64
from thespian_connector.drivers.mock.session import FRAMES_MAX
from thespian_connector.model import Channel, Level, Side, Trust
from thespian_connector.model.errors import Banned, RateLimited, Rejected, ServerFault
from thespian_connector.model.wire import (
    Ack,
    BookDiff,
    BookSnapshot,
    Pong,
    ServerShutdown,
    TopOfBook,
    WireEvent,
    WireTicker,
    WireTrades,
)


def subscribed(venue: MockVenue, *channels: Channel, symbol: str = "BTC/USDT") -> MockSession:
    session = venue.connect()
    topics = [topic for channel in channels for topic in venue.driver.topics(channel, venue.native(symbol))]
    for frame in venue.driver.subscribe(topics, 1):
        session.send(frame.frame)
    return session


def events(venue: MockVenue, session: MockSession) -> list[WireEvent]:
    return [venue.driver.decode(frame) for frame in session.frames()]


def followed(venue: MockVenue, session: MockSession, book: TrackedBook) -> None:
    """Feeds what has arrived to `book`, fetching or asking for a snapshot as the driver's manner is."""
    for event in events(venue, session):
        if isinstance(event, BookSnapshot):
            book.on_snapshot(event, venue.time_ns)
        elif isinstance(event, BookDiff):
            book.on_diff(event, venue.time_ns)


def trust(book: TrackedBook) -> Trust:
    return book.trust


def tracked(venue: MockVenue, symbol: str = "BTC/USDT") -> TrackedBook:
    driver = venue.driver
    return TrackedBook(
        driver.exchange,
        symbol,
        driver.topics(Channel.BOOK, venue.native(symbol))[0],
        sequencing=driver.sequencing.value,
        snapshot_by_rest=driver.snapshot_by_rest,
        depth=1000,
    )


def test_a_book_subscription_is_acknowledged_and_begins_with_a_snapshot() -> None:
    venue = MockVenue()
    venue.set_levels("BTC/USDT", [("buy", "100", "1"), ("sell", "101", 2), ("buy", "99.50", "3")])
    session = subscribed(venue, Channel.BOOK)
    last = venue.set_level("BTC/USDT", "buy", "100", 0)

    ack, snapshot, diff = events(venue, session)
    assert ack == Ack(1, True, "")
    assert isinstance(snapshot, BookSnapshot)
    assert (snapshot.bids, snapshot.asks) == ([("100", "1"), ("99.5", "3")], [("101", "2")])
    assert isinstance(diff, BookDiff)
    assert (diff.first_id, diff.last_id, diff.bids) == (last, snapshot.update_id + 1, [("100", "0")])


def test_the_manner_of_binance_has_diffs_only_and_the_snapshot_on_rest() -> None:
    venue = MockVenue(snapshot_by_rest=True)
    session = subscribed(venue, Channel.BOOK)
    book = tracked(venue)
    for price in ("100", "99", "98"):
        venue.set_level("BTC/USDT", "buy", price, "1")
    answer = venue.request(venue.driver.depth_request("BTC-USDT", 2))
    venue.set_level("BTC/USDT", "sell", "101", "4")

    followed(venue, session, book)
    assert trust(book) is Trust.SYNCING
    snapshot = venue.driver.parse_depth("BTC-USDT", 2, answer.body)
    assert snapshot.bids == [("100", "1"), ("99", "1")]
    book.on_snapshot(snapshot, venue.time_ns)
    assert trust(book) is Trust.LIVE
    assert book.update_id == venue.update_id("BTC/USDT")
    assert book.best() == (Level(Decimal(100), Decimal(1)), Level(Decimal(101), Decimal(4)))


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_book_fed_by_a_seeded_flow_is_the_true_book(seed: int) -> None:
    venue = MockVenue(["BTC/USDT", "ETH/USDT"], seed=seed)
    venue.fill("BTC/USDT", "60000", levels=50)
    venue.fill("ETH/USDT", "3000")
    session, book = subscribed(venue, Channel.BOOK), tracked(venue)
    venue.run(500)
    followed(venue, session, book)

    shown = book.order_book()
    assert trust(book) is Trust.LIVE
    assert (shown.bids, shown.asks) == venue.book("BTC/USDT")
    assert book.update_id == venue.update_id("BTC/USDT") > 1100
    assert shown.bids[0].price < shown.asks[0].price


def test_a_lost_update_is_a_gap_and_a_new_subscription_heals_it() -> None:
    venue = MockVenue()
    session, book = subscribed(venue, Channel.BOOK), tracked(venue)
    venue.set_level("BTC/USDT", "buy", "100", "1")
    venue.lose_frames("BTC/USDT", 2)
    for price in ("99", "98", "97"):
        venue.set_level("BTC/USDT", "buy", price, "1")
    followed(venue, session, book)
    assert trust(book) is Trust.SUSPECT

    topics = venue.driver.topics(Channel.BOOK, "BTC-USDT")
    for frame in (*venue.driver.unsubscribe(topics, 8), *venue.driver.subscribe(topics, 9)):
        session.send(frame.frame)
    followed(venue, session, book)
    assert trust(book) is Trust.LIVE
    shown = book.order_book()
    assert (shown.bids, shown.asks) == venue.book("BTC/USDT")


def test_equal_scripts_give_equal_bytes_and_another_seed_gives_others() -> None:
    def story(seed: int) -> list[bytes]:
        venue = MockVenue(seed=seed)
        session = subscribed(venue, *Channel)
        venue.fill("BTC/USDT", "500", levels=5)
        venue.run(200)
        return session.frames()

    assert story(7) == story(7)
    assert story(7) != story(8)


def test_the_random_numbers_are_those_that_were_published() -> None:
    random = SplitMix64(1234567)
    assert [random.below(2**64) for _ in range(3)] == [
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
    ]


def test_a_trade_is_printed_and_moves_the_ticker_but_not_the_book() -> None:
    venue = MockVenue()
    venue.set_levels("BTC/USDT", [("buy", "100", "1"), ("sell", "101", "2")])
    session = subscribed(venue, Channel.TRADE, Channel.TICKER)
    before = venue.book("BTC/USDT")
    venue.trade("BTC/USDT", "buy", "101", "0.5")
    trade_id = venue.trade("BTC/USDT", Side.SELL, "99", "1")

    assert venue.book("BTC/USDT") == before
    found = events(venue, session)
    trades = [trade for event in found if isinstance(event, WireTrades) for trade in event.trades]
    assert [(t.trade_id, t.price, t.quantity, t.aggressor) for t in trades] == [
        ("1", "101", "0.5", Side.BUY),
        (trade_id, "99", "1", Side.SELL),
    ]
    last = [event for event in found if isinstance(event, WireTicker)][-1]
    assert (last.last, last.open, last.high, last.low, last.volume, last.quote_volume) == (
        "99",
        "101",
        "101",
        "99",
        "1.5",
        "149.5",
    )
    assert (last.bid, last.ask_quantity) == ("100", "2")


def test_rest_serves_what_the_stream_showed() -> None:
    venue = MockVenue(["BTC/USDT", "ETH/BTC"], tick_size="0.0000001")
    driver = venue.driver
    venue.set_level("BTC/USDT", "sell", "101", "2")
    for number in range(1, 4):
        venue.trade("BTC/USDT", "buy", 100 + number, "1")

    listed = driver.parse_instruments(venue.request(driver.instruments_request()).body)
    assert [(i.symbol, i.native, i.tick_size) for i in listed] == [
        ("BTC/USDT", "BTC-USDT", Decimal("0.0000001")),
        ("ETH/BTC", "ETH-BTC", Decimal("0.0000001")),
    ]
    trades = driver.parse_trades("BTC-USDT", venue.request(driver.trades_request("BTC-USDT", 2)).body)
    assert [trade.trade_id for trade in trades] == ["2", "3"]
    ticker = driver.parse_ticker("BTC-USDT", venue.request(driver.ticker_request("BTC-USDT")).body)
    assert (ticker.last, ticker.bid, ticker.ask) == ("103", None, "101")
    assert driver.parse_time_ns(venue.request(driver.time_request()).body) == venue.time_ns
    answer = venue.request(driver.depth_request("BTC-USDT", 0))
    assert driver.classify(*answer) is None
    assert [usage.used for usage in driver.usage(answer.headers)] == [5]
    assert [request.path for request in venue.requests] == ["/instruments", "/trades", "/ticker", "/time", "/depth"]


def test_requests_fail_when_told_to_and_then_work_again() -> None:
    venue = MockVenue()
    venue.fail_requests(429, headers={"Retry-After": "3"})
    venue.fail_requests(418)
    venue.fail_requests(503, count=2, body=b"<html>")
    request = venue.driver.time_request()
    errors = [venue.driver.classify(*venue.request(request)) for _ in range(5)]
    assert [type(error) for error in errors] == [RateLimited, Banned, ServerFault, ServerFault, type(None)]
    assert errors[0] is not None
    assert errors[0].retry_after_s == 3


def test_what_the_venue_does_not_have_it_refuses() -> None:
    venue = MockVenue()
    for request in (venue.driver.depth_request("X-Y", 5), venue.driver.ticker_request("BTC-USDT")):
        assert isinstance(venue.driver.classify(*venue.request(request)), Rejected)
    session = venue.connect()
    session.send('{"id":4,"op":"subscribe","topics":["book.BTC-USDT","book.X-Y"]}')
    assert events(venue, session) == [Ack(4, False, "no such topic: book.X-Y")]
    venue.set_level("BTC/USDT", "buy", 1, 1)
    assert not session.frames(), "refused as a whole"
    with pytest.raises(ValueError, match="BTC/USDT, not 'X/Y'"):
        venue.set_level("X/Y", "buy", 1, 1)


def test_a_refused_subscription_is_refused_as_often_as_told() -> None:
    venue = MockVenue()
    venue.refuse_subscribe("busy")
    first, second = subscribed(venue, Channel.BOOK), subscribed(venue, Channel.BOOK)
    assert events(venue, first) == [Ack(1, False, "busy")]
    assert [type(event) for event in events(venue, second)] == [Ack, BookSnapshot]


def test_best_prices_come_on_change_and_repeat_when_nothing_happens() -> None:
    venue = MockVenue()
    venue.set_level("BTC/USDT", "buy", "100", "1")
    session = venue.connect()
    for frame in venue.driver.subscribe(venue.driver.freshness_topics("BTC-USDT"), 1):
        session.send(frame.frame)
    _, first = events(venue, session)
    assert isinstance(first, TopOfBook)
    assert (first.bid, first.ask) == (("100", "1"), None)

    venue.set_level("BTC/USDT", "buy", "90", "1")
    assert events(venue, session) == [], "not the best price"
    venue.advance(999_999_999)
    assert events(venue, session) == []
    venue.advance(1)
    (repeated,) = events(venue, session)
    assert isinstance(repeated, TopOfBook)
    assert (repeated.bid, repeated.update_id) == (first.bid, venue.update_id("BTC/USDT"))
    venue.advance(999_999_999)
    assert events(venue, session) == []


def test_a_silent_venue_sends_nothing_and_a_closed_one_says_so() -> None:
    venue = MockVenue()
    session = subscribed(venue, Channel.BOOK)
    session.frames()
    ping = venue.driver.keepalive_frame(3)
    assert ping is not None
    venue.silence()
    session.send(ping)
    venue.set_level("BTC/USDT", "buy", "100", "1")
    assert session.receive() is None
    venue.silence(False)
    session.send(ping)
    venue.announce_shutdown()
    assert events(venue, session) == [Pong(), ServerShutdown()]

    venue.send_raw(b"last words")
    venue.drop_sessions()
    assert session.receive() == b"last words"
    with pytest.raises(SessionClosed):
        session.receive()
    with pytest.raises(SessionClosed):
        session.send(ping)


def test_a_frame_that_is_none_fails_the_test_that_sent_it() -> None:
    with pytest.raises(ValueError, match="no frame of the mock protocol"):
        MockVenue().connect().send('{"op":5}')


def test_a_reader_that_never_reads_is_disconnected() -> None:
    venue = MockVenue()
    session = venue.connect()
    for _ in range(FRAMES_MAX + 1):
        session.deliver(b"{}")
    assert session.closed
    assert len(session.frames()) == FRAMES_MAX


@pytest.mark.parametrize(
    ("side", "price", "quantity", "error"),
    [("buy", 0, 1, ValueError), ("buy", 1, -1, ValueError), ("up", 1, 1, ValueError), ("buy", 1.5, 1, TypeError)],
)
def test_a_level_that_cannot_be_changes_nothing(
    side: str, price: object, quantity: object, error: type[Exception]
) -> None:
    venue = MockVenue()
    before = venue.update_id("BTC/USDT")
    with pytest.raises(error):
        venue.set_levels("BTC/USDT", [("buy", 5, 1), (side, price, quantity)])  # type: ignore[list-item] # that is the test
    assert venue.book("BTC/USDT") == ((), ())
    assert venue.update_id("BTC/USDT") == before
    with pytest.raises(ValueError, match="1000 levels"):
        venue.set_levels("BTC/USDT", [("buy", price, 1) for price in range(1, 1002)])
    with pytest.raises(ValueError, match="cannot be"):
        venue.trade("BTC/USDT", "buy", 0, 1)
    with pytest.raises(ValueError, match="fill a symbol first"):
        venue.run(1)
    with pytest.raises(ValueError, match="not like"):
        MockVenue(["BTCUSDT"])
