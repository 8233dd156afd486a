"""Where a snapshot meets the updates of its stream, and where two proofs of one book become one that reaches on."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

from thespian_connector.model.wire import BookDiff, BookSnapshot, WireLevels

from .book import PriceBook
from .sequencer import Sequencer, Verdict
from .side import BookSide


class Joined(Struct):
    """A book at `update_id`; `book` is None when the snapshot does not join.

    `applied` updates were put on top of the snapshot; `useless` of the first ones can join no later snapshot either
    (if the book is None). `followed`: the stream was seen to reach back to the snapshot. `malformed`: what was wrong.
    """

    book: PriceBook | None
    update_id: int
    venue_time_ns: int = 0
    applied: int = 0
    useless: int = 0
    followed: bool = False
    malformed: str = ""


def join(snapshot: BookSnapshot, diffs: Iterable[BookDiff], sequencer: Sequencer) -> Joined:
    """The book of `snapshot` and the later ones of `diffs`, which are in the order of their ids.

    Binance: updates with ``u <= lastUpdateId`` are dropped; the first one left must have ``U <= lastUpdateId + 1``.
    If not, the snapshot is too old: it came from a cache that lags the stream.
    """
    book = PriceBook()
    joined = Joined(book=book, update_id=snapshot.update_id, venue_time_ns=snapshot.venue_time_ns)
    try:
        book.replace(snapshot.bids, snapshot.asks)
    except ValueError as error:
        return Joined(book=None, update_id=snapshot.update_id, malformed=f"malformed snapshot: {error}")
    bind(book, snapshot)
    sequencer.start(snapshot.update_id)
    for position, diff in enumerate(diffs):
        verdict = sequencer.check(diff.first_id, diff.last_id)
        if verdict is Verdict.GAP:
            return Joined(book=None, update_id=snapshot.update_id, applied=joined.applied, useless=position)
        joined.followed = True
        if verdict is Verdict.STALE:
            continue
        try:
            book.apply(diff.bids, diff.asks)
        except ValueError as error:
            return Joined(
                book=None, update_id=snapshot.update_id, useless=position + 1, malformed=f"malformed update: {error}"
            )
        joined.applied += 1
        joined.update_id, joined.venue_time_ns = diff.last_id, diff.venue_time_ns
    return joined


def bind(book: PriceBook, snapshot: BookSnapshot) -> None:
    """Set how far a fresh snapshot proves each side: to its worst level, or wholly if it has fewer than were asked."""
    _bind_side(book.bids, snapshot.bids, snapshot.limit)
    _bind_side(book.asks, snapshot.asks, snapshot.limit)


def _bind_side(side: BookSide, levels: WireLevels, limit: int) -> None:
    side.bound = side.keys[0] if side.keys and len(levels) >= limit else None


def unite(fresh: PriceBook, old: PriceBook) -> None:
    """Give `fresh` what `old`, the same book at the same update, knows beyond fresh's bounds. `old` is used up.

    Each proves its side from its bound up to the best price, so that together they prove it from the lower bound.
    """
    scale = max(fresh.scale, old.scale)
    fresh.widen(scale)
    old.widen(scale)
    bids_beyond, asks_beyond = _beyond(fresh.bids, old.bids, scale), _beyond(fresh.asks, old.asks, scale)
    fresh.apply(bids_beyond, asks_beyond)
    for side, other in ((fresh.bids, old.bids), (fresh.asks, old.asks)):
        if side.bound is not None:
            side.bound = None if other.bound is None else min(side.bound, other.bound)


def _beyond(fresh: BookSide, old: BookSide, scale: int) -> WireLevels:
    return [] if fresh.bound is None else old.pairs_beyond(fresh.bound, scale)
