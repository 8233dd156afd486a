"""A venue without a network, for tests: a driver, and an in-memory venue that speaks its protocol.

::

    venue = MockVenue(["BTC/USDT"])
    session = venue.connect()
    for frame in venue.driver.subscribe(venue.driver.topics(Channel.BOOK, "BTC-USDT"), 1):
        session.send(frame.frame)
    venue.set_level("BTC/USDT", "buy", "100.5", "2")
    events = [venue.driver.decode(frame) for frame in session.frames()]   # Ack, BookSnapshot, BookDiff
    venue.lose_frames("BTC/USDT")                                         # a gap, when you want one

It trades, too: one account, whose orders meet the book as the test makes it::

    venue.deposit("USDT", "1000")
    trading = MockTrading()
    auth = Auth(HmacSigner("key", "secret"), venue.time_ns // 1_000_000, 5000)
    answer = venue.request(trading.place(order, instrument, auth))
    report = trading.parse_placed(answer.body, order, instrument)         # once `classify` found no error in it

The protocol is in :mod:`thespian_connector.drivers.mock.protocol` and, of orders, :mod:`...mock.trading`.
"""

from .driver import MockDriver, MockRestSnapshotDriver
from .service import MockAnswer
from .session import MockSession, SessionClosed
from .trading import MockTrading
from .venue import MockVenue

__all__ = [
    "MockAnswer",
    "MockDriver",
    "MockRestSnapshotDriver",
    "MockSession",
    "MockTrading",
    "MockVenue",
    "SessionClosed",
]
