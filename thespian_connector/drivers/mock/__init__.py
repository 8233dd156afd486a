"""A venue without a network, for tests: a driver, and an in-memory venue that speaks its protocol.

::

    venue = MockVenue(["BTC/USDT"])
    session = venue.connect()
    for frame in venue.driver.subscribe(venue.driver.topics(Channel.BOOK, "BTC-USDT"), 1):
        session.send(frame.frame)
    venue.set_level("BTC/USDT", "buy", "100.5", "2")
    events = [venue.driver.decode(frame) for frame in session.frames()]   # Ack, BookSnapshot, BookDiff
    venue.lose_frames("BTC/USDT")                                         # a gap, when you want one

The protocol is in :mod:`thespian_connector.drivers.mock.protocol`.
"""

from .driver import MockDriver, MockRestSnapshotDriver
from .session import MockSession, SessionClosed
from .venue import MockAnswer, MockVenue

__all__ = ["MockAnswer", "MockDriver", "MockRestSnapshotDriver", "MockSession", "MockVenue", "SessionClosed"]
