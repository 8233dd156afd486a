"""What may be read of a tracked book: the reading half of :class:`TrackedBook`, which changes what is read here."""

from __future__ import annotations

from thespian_connector.model import BookStatus, Level, OrderBook, Trust

from .book import PriceBook
from .image import BookImage


class BookView:
    """A book and what is known about it. Times are nanoseconds since the epoch, as the owner passed them in.

    `trust` has held since `since_ns`, for `reason` (empty when LIVE); `span` counts the resyncs. `update_id` is the
    last update in the book, received at `received_time_ns`; `verified_at_ns` is when the venue last proved that
    nothing was missing.
    """

    def __init__(self, exchange: str, symbol: str, stream: str) -> None:
        self.exchange, self.symbol, self.stream = exchange, symbol, stream
        self.trust = Trust.SYNCING
        self.reason = "no snapshot yet"
        self.since_ns = 0
        self.span = 0
        self.update_id = 0
        self.received_time_ns = 0
        self.verified_at_ns = 0
        self.venue_time_ns = 0
        self._book = PriceBook()

    def best(self) -> tuple[Level | None, Level | None]:
        """The best certified bid and ask; (None, None) while SYNCING."""
        if self.trust is Trust.SYNCING:
            return None, None
        book = self._book
        return book.bids.best(book.scale), book.asks.best(book.scale)

    def certified(self) -> tuple[int, int]:
        """How many levels of each side are proved."""
        if self.trust is Trust.SYNCING:
            return 0, 0
        return self._book.bids.certified(), self._book.asks.certified()

    def held(self) -> tuple[int, int]:
        """How many levels of each side are kept, certified or not."""
        return self._book.bids.count(), self._book.asks.count()

    def all_levels(self) -> tuple[tuple[Level, ...], tuple[Level, ...]]:
        """Every level held, certified or not, whatever the trust: for diagnosis, not for trading."""
        return self._book.levels(certified=False)

    def status(self) -> BookStatus:
        return BookStatus(
            exchange=self.exchange,
            symbol=self.symbol,
            trust=self.trust,
            update_id=self.update_id,
            since_ns=self.since_ns,
            span=self.span,
            received_time_ns=self.received_time_ns,
            verified_at_ns=self.verified_at_ns,
            reason=self.reason,
        )

    def order_book(self, depth: int = 0) -> OrderBook:
        """The certified levels, `depth` a side (0: all); none while SYNCING."""
        bids, asks = ((), ()) if self.trust is Trust.SYNCING else self._book.levels(depth)
        return OrderBook(
            exchange=self.exchange,
            symbol=self.symbol,
            stream=self.stream,
            update_id=self.update_id,
            trust=self.trust,
            bids=bids,
            asks=asks,
            certified=self.certified(),
            since_ns=self.since_ns,
            span=self.span,
            verified_at_ns=self.verified_at_ns,
            venue_time_ns=self.venue_time_ns,
            received_time_ns=self.received_time_ns,
        )

    def image(self, depth: int = 0) -> BookImage:
        """As :meth:`order_book`, but the numbers stay text (canonical): cheap, for the bus."""
        bids, asks = ([], []) if self.trust is Trust.SYNCING else self._book.pairs(depth)
        return BookImage(
            exchange=self.exchange,
            symbol=self.symbol,
            stream=self.stream,
            update_id=self.update_id,
            trust=self.trust,
            bids=bids,
            asks=asks,
            certified=self.certified(),
            since_ns=self.since_ns,
            span=self.span,
            verified_at_ns=self.verified_at_ns,
            venue_time_ns=self.venue_time_ns,
            received_time_ns=self.received_time_ns,
        )
