"""A market's book as Binance streams it: one space of update ids, diffs gathered for 100 ms and for 1000 ms."""

from __future__ import annotations

from thespian_connector.simulator.history import History
from thespian_connector.simulator.market import Batch, Market
from thespian_connector.simulator.venue import Venue

from .hub import Hub
from .names import PARTIAL_DEPTHS, Stream
from .spelling import Speller

#: The name under which the ids are journaled: REST, diffs, partial books and bookTicker share them.
BOOK_IDS = "book"
#: The first id of a book; large, as live ones are, so that nobody keeps them in 32 bits.
FIRST_UPDATE_ID = 70_000_000_000


class Diffs:
    """The diffs of one speed: what changed since the last message, absolute, each level once."""

    def __init__(self, update_id: int) -> None:
        self._first = update_id + 1
        self._last = update_id
        self._levels: dict[tuple[bool, int], int] = {}

    def add(self, batch: Batch, update_id: int) -> None:
        """Take in a batch that ended at `update_id`."""
        for is_bid, price, _, after in batch.raw:
            self._levels[is_bid, price] = after
        self._last = update_id

    def take(self) -> tuple[int, int, list[tuple[int, int]], list[tuple[int, int]]] | None:
        """(U, u, bids, asks) in ticks and steps; None for an interval without an update. The next U is this u + 1."""
        if self._last < self._first:
            return None
        bids = [(price, total) for (is_bid, price), total in self._levels.items() if is_bid]
        asks = [(price, total) for (is_bid, price), total in self._levels.items() if not is_bid]
        taken = (self._first, self._last, sorted(bids, reverse=True), sorted(asks))
        self._first = self._last + 1
        self._levels.clear()
        return taken


class BookFeed:
    """One market's ids and book streams.

    ``{"e":"depthUpdate","E":1672515782136,"s":"BTCUSDT","U":157,"u":160,"b":[["0.0024","10"]],"a":[["0.0026","100"]]}``
    """

    def __init__(self, venue: Venue, market: Market, hub: Hub, speller: Speller) -> None:
        self._venue = venue
        self.market = market
        self._hub = hub
        self.speller = speller
        self.update_id = FIRST_UPDATE_ID
        self._diffs: dict[int, Diffs] = {}
        self._partial_ids: dict[str, int] = {}
        self._top: tuple[tuple[int, int], ...] = ()
        native = market.spec.native
        symbol = native.lower()
        self._book_ticker = Stream(f"{symbol}@bookTicker", "bookTicker", native)
        market.history.note(BOOK_IDS, self.update_id, market.batch_id)
        market.listeners.append(self._on_batch)
        hub.on_first.append(self._begin)
        hub.on_last.append(self._end)

    @property
    def history(self) -> History:
        return self.market.history

    def _begin(self, stream: Stream) -> None:
        if self._is_diff(stream) and stream.speed_ms not in self._diffs:
            self._diffs[stream.speed_ms] = Diffs(self.update_id)

    def _end(self, stream: Stream) -> None:
        self._partial_ids.pop(stream.name, None)
        if self._is_diff(stream) and not any(
            self._is_diff(other) and other.speed_ms == stream.speed_ms for other in self._hub.streams()
        ):
            del self._diffs[stream.speed_ms]

    def _is_diff(self, stream: Stream) -> bool:
        return stream.kind == "depth" and stream.native == self.market.spec.native and not stream.depth

    def _on_batch(self, batch: Batch) -> None:
        # Every change is an event of the engine and takes an id; the book is told at a batch's last one.
        self.update_id += max(1, len(batch.raw))
        self.history.note(BOOK_IDS, self.update_id, batch.batch_id)
        for diffs in self._diffs.values():
            diffs.add(batch, self.update_id)
        if self._hub.wanted(self._book_ticker.name):
            self._tell_top()

    def top(self) -> tuple[tuple[int, int], ...]:
        """The best bid and the best ask, as far as there are any."""
        return (*self.market.book.raw_levels(True, 1), *self.market.book.raw_levels(False, 1))

    def _tell_top(self) -> None:
        top = self.top()
        if top == self._top or len(top) < 2:
            return
        self._top = top
        (bid, bid_size), (ask, ask_size) = top
        say = self.speller
        text = (
            f'{{"u":{self.update_id},"s":"{self.market.spec.native}","b":"{say.price(bid)}","B":"{say.quantity(bid_size)}"'
            f',"a":"{say.price(ask)}","A":"{say.quantity(ask_size)}"}}'
        ).encode()
        self._hub.publish_same(self._book_ticker, text)

    def flush(self, speed_ms: int) -> None:
        """The interval of a speed is over: send what it brought."""
        streams = [
            stream
            for stream in self._hub.streams()
            if stream.kind == "depth" and stream.native == self.market.spec.native and stream.speed_ms == speed_ms
        ]
        diffs = self._diffs.get(speed_ms)
        taken = diffs.take() if diffs is not None else None
        for stream in streams:
            if stream.depth:
                self._tell_partial(stream)
            elif taken is not None:
                self._tell_diff(stream, *taken)

    def _tell_diff(
        self, stream: Stream, first: int, last: int, bids: list[tuple[int, int]], asks: list[tuple[int, int]]
    ) -> None:
        now_us = self._venue.now_ns("stream", stream.kind) // 1_000
        levels = f'"b":[{self.speller.levels(bids)}],"a":[{self.speller.levels(asks)}]}}'
        rest = f',"s":"{stream.native}","U":{first},"u":{last},{levels}'
        self._hub.publish(stream, lambda factor: f'{{"e":"depthUpdate","E":{now_us * factor // 1_000}{rest}'.encode())

    def _tell_partial(self, stream: Stream) -> None:
        if self._partial_ids.get(stream.name) == self.update_id:
            return
        self._partial_ids[stream.name] = self.update_id
        self._hub.publish_same(stream, self.snapshot(stream.depth))

    def snapshot(self, depth: int) -> bytes:
        """``{"lastUpdateId":160,"bids":[["0.0024","10"]],"asks":[["0.0026","100"]]}`` of now."""
        assert depth in PARTIAL_DEPTHS or depth > 0, "a snapshot has levels"
        bids = self.speller.levels(self.market.book.raw_levels(True, depth))
        asks = self.speller.levels(self.market.book.raw_levels(False, depth))
        return f'{{"lastUpdateId":{self.update_id},"bids":[{bids}],"asks":[{asks}]}}'.encode()

    def snapshot_before(self, depth: int, delay_ms: int) -> bytes:
        """The snapshot of a cache that lags: as the book was `delay_ms` ago, or as long ago as is remembered."""
        history = self.history
        batch_id = history.batch_at(self._venue.time_ns() - delay_ms * 1_000_000)
        update_id = history.id_at(BOOK_IDS, batch_id) or history.oldest_id(BOOK_IDS)
        assert update_id is not None, "a book has an id from its start"
        at = history.find(BOOK_IDS, update_id)
        sides = None if at is None else history.book_at(at)
        assert sides is not None, "the ids that are known are those of known books"
        spec = self.market.spec
        bids, asks = (
            self.speller.levels((int(price / spec.tick), int(size / spec.step)) for price, size in side[:depth])
            for side in sides
        )
        return f'{{"lastUpdateId":{update_id},"bids":[{bids}],"asks":[{asks}]}}'.encode()
