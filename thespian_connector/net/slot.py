"""What a feed session keeps of one symbol."""

from __future__ import annotations

from typing import Final

from msgspec import structs

from thespian_connector.books.arbiter import Arbiter
from thespian_connector.books.tracked import TrackedBook
from thespian_connector.drivers.base import Driver
from thespian_connector.model import BookStatus, Channel, Instrument, Trust
from thespian_connector.model.wire import WireTicker

from .events import BookChanged, Subscription
from .tape import Tape


class Slot:
    """One symbol: its topics, its book and how fresh that is, its last ticker and trades.

    Times are on the monotonic clock in nanoseconds. `proved_ns`: when the book was last shown not to be behind.
    `ahead`: a position (update id, or sequence number where the venue has one) that the venue was seen at and the
    book was not, since `ahead_ns`.
    """

    def __init__(self, driver: Driver, instrument: Instrument, wanted: Subscription) -> None:
        native, channels = instrument.native, wanted.channels
        self.symbol: Final = instrument.symbol
        self.native: Final = native
        self.channels: Final = channels
        self.by_rest: Final = driver.snapshot_by_rest
        book_topics = driver.topics(Channel.BOOK, native, wanted.depth) if Channel.BOOK in channels else ()
        self.book_topic: Final = book_topics[0] if book_topics else ""
        #: Streams that repeat even in a quiet market and so prove freshness; none where REST must.
        self.proof_topics: Final = driver.freshness_topics(native) if book_topics else ()
        others = [t for c in Channel if c in channels and c is not Channel.BOOK for t in driver.topics(c, native)]
        self.topics: Final = tuple(dict.fromkeys((*book_topics, *self.proof_topics, *others)))
        self.depth: Final = wanted.depth or max(driver.book_depths)
        self.tracked: Final = (
            TrackedBook(
                driver.exchange,
                instrument.symbol,
                self.book_topic,
                sequencing=driver.sequencing.value,
                snapshot_by_rest=driver.snapshot_by_rest,
                depth=self.depth,
            )
            if book_topics
            else None
        )
        self.changed: Final = BookChanged(self.symbol, self.tracked) if self.tracked else None
        #: The trust that was told last.
        self.trust = Trust.SYNCING
        self.refused = ""
        # -- freshness
        self.subscribed_ns = 0
        self.heard_ns = 0
        self.proved_ns = 0
        self.verified_told_ns = 0
        self.sequence = 0
        self.newest_sequence = 0
        self.ahead = 0
        self.ahead_ns = 0
        self.ahead_asked = False
        self.check_due_ns = 0
        self.audited_ns = 0
        # -- snapshots and resubscriptions
        self.due_ns = 0
        self.refill_due_ns = 0
        self.tries = 0
        self.resubscriptions = 0
        # -- ticker, trades
        self.ticker: WireTicker | None = None
        self.top: tuple[tuple[str, str] | None, tuple[str, str] | None] = (None, None)
        self.top_order = 0
        self.tape: Final = Tape(numbered=driver.trade_ids_contiguous)
        #: Which connection's update comes next; None while there is one connection only.
        self.arbiter: Arbiter | None = None

    @property
    def position(self) -> int:
        """Where our book is, in the numbers that `ahead` is told in."""
        assert self.tracked is not None, "only books have a position"
        return self.sequence or self.tracked.update_id

    def proved(self, now_ns: int) -> None:
        self.proved_ns = max(self.proved_ns, now_ns)
        self.ahead = 0

    def seen_ahead(self, position: int, now_ns: int, *, asked: bool = False) -> None:
        """The venue is at `position`, which our book is not. The grace runs from the first time this was seen.

        :param asked: REST said so. What the stream says of itself may be as late as the stream is.
        """
        if not self.ahead:
            self.ahead, self.ahead_ns, self.ahead_asked = position, now_ns, asked

    def disconnected(self) -> None:
        self.subscribed_ns = self.ahead = self.resubscriptions = self.tries = self.due_ns = self.sequence = 0
        self.newest_sequence = self.top_order = 0

    def status(self) -> BookStatus:
        assert self.tracked is not None, "only books have a status"
        status = self.tracked.status()
        return structs.replace(status, reason=f"refused: {self.refused}") if self.refused else status
