"""What the order processes have kept, so that a start reads that, and not all that ever happened.

OrderState writes it beside its journal: after so many facts each order that they changed, as it stands then, and what
all add up to; with the number of the last fact of each stream that is in it. Orders that have ended are then forgotten
in memory, by OrderCommand too, and had again from there when somebody asks for one, or a late fact is about one.
Entries that a snapshot stands for are removed; orders that ended longer ago than ids must stay known, too.
"""

from __future__ import annotations

import heapq
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial

from thespian_connector import limits
from thespian_connector.model import Order
from thespian_connector.model.errors import ConnectorError, Fenced, StoreError
from thespian_connector.net.journal import JournalThread
from thespian_connector.orders.codec import decode
from thespian_connector.orders.desk import Changes, Desk
from thespian_connector.orders.events import Event
from thespian_connector.orders.kept import (
    Keep,
    KeptOrder,
    decode_account,
    decode_order,
    decode_shown,
    encode_kept,
    encode_shown,
)
from thespian_connector.orders.ledger import Ledger
from thespian_connector.orders.recovery import Recovery
from thespian_connector.storage import Journal, Page, Snapshot, Store

logger = logging.getLogger(__name__)

#: Has something done by the main thread.
Mail = Callable[[Callable[[], None]], None]

_NS = 1_000_000_000


def venue_stream(exchange: str) -> str:
    """OrderState's. The snapshots are of this stream."""
    return f"venue/{exchange}"


def commands_stream(exchange: str) -> str:
    """OrderCommand's."""
    return f"commands/{exchange}"


class KeptOrders(Keep):
    """Those of one exchange in a store."""

    def __init__(self, store: Store, exchange: str) -> None:
        self._store = store
        self._stream = venue_stream(exchange)

    def find(self, name: str) -> KeptOrder | None:
        body = self._store.page(self._stream, name)
        return None if body is None else decode_order(body)

    def newest(self, symbols: Sequence[str], most: int) -> list[Order]:
        return [decode_shown(body) for body in self._store.newest(self._stream, symbols, most)]


def read_commands(
    store: Store, exchange: str, new_ledger: Callable[[], Ledger], beat: Callable[[], None]
) -> tuple[Ledger, Recovery, int]:
    """OrderCommand's start: (what is known that is not in the snapshot, which commands have no answer, the number of
    the last entry).

    :raises StoreError: an entry, or the snapshot, is missing or is not what was written.
    """
    stream = commands_stream(exchange)
    while True:
        head = store.head(venue_stream(exchange))
        ledger, recovery = new_ledger(), Recovery(decode_account(head.body).unanswered if head is not None else ())
        last = head.covers.get(stream, 0) if head is not None else 0
        try:
            for entry in store.load(stream, last):
                event = decode(entry.body)
                ledger.apply(event)
                recovery.see(event)
                last = entry.sequence
                beat()
        except StoreError:
            newer = store.head(venue_stream(exchange))
            if newer is None or (head is not None and newer.covers == head.covers):
                raise
        else:
            return ledger, recovery, last


class Keeping:
    """OrderState's side. Of the main thread, but for `read`, and what it gives the journal's thread.

    :param retention_ns: how long an order that has ended stays known.
    :param now_ns: when this life began.
    """

    def __init__(self, store: Store, exchange: str, retention_ns: int, now_ns: int) -> None:
        self._store = store
        self._venue, self._commands = venue_stream(exchange), commands_stream(exchange)
        self._retention_ns = retention_ns
        self._began_ns = now_ns
        #: Facts that were folded in since the last snapshot was taken.
        self._facts = 0
        self._busy = False
        #: The number of the last fact of each stream that was folded in.
        self.last = {self._venue: 0, self._commands: 0}

    @property
    def venue(self) -> int:
        return self.last[self._venue]

    @property
    def commands(self) -> int:
        return self.last[self._commands]

    # -- at the start, on its thread

    def read(self, desk: Desk, journal: Journal, beat: Callable[[], None]) -> None:
        """The snapshot, and both streams from there on. A long way is kept in parts, so that it is gone once.

        :raises StoreError: an entry, or the snapshot, is missing or is not what was written.
        """
        head = self._store.head(self._venue)
        if head is not None:
            self.last |= head.covers
            desk.had(decode_account(head.body), map(decode_order, self._store.live(self._venue)))
        streams = [self._events(stream, after) for stream, after in self.last.items()]
        for _, stream, number, event in heapq.merge(*streams, key=lambda one: one[0]):
            desk.load([event])
            self.folded(stream, number)
            beat()
            if self._facts >= limits.SNAPSHOT_FACTS_READ:
                self._keep_now(desk, journal, event.time_ns, beat)
        if self._facts >= limits.SNAPSHOT_FACTS:
            self._keep_now(desk, journal, self._began_ns, beat)
        desk.loaded()

    def _keep_now(self, desk: Desk, journal: Journal, now_ns: int, beat: Callable[[], None]) -> None:
        journal.snapshot(snapshot_of(self._taken(desk, now_ns), self.last))
        desk.kept()
        while journal.prune(limits.ENTRIES_KEPT, limits.SNAPSHOT_FACTS_READ) == limits.SNAPSHOT_FACTS_READ:
            beat()

    def _events(self, stream: str, after: int) -> Iterator[tuple[int, str, int, Event]]:
        for entry in self._store.load(stream, after):
            event = decode(entry.body)
            yield event.time_ns, stream, entry.sequence, event

    # -- on the main thread

    def folded_venue(self, last: int, count: int) -> None:
        self.folded(self._venue, last, count)

    def folded_commands(self, last: int, count: int) -> None:
        self.folded(self._commands, last, count)

    def folded(self, stream: str, last: int, count: int = 1) -> None:
        self.last[stream] = last
        self._facts += count

    def keep(self, desk: Desk, journal: JournalThread, now_ns: int, mail: Mail) -> None:
        """If it is time: takes a snapshot, which the journal's thread writes, and tidies up."""
        if self._busy or self._facts < limits.SNAPSHOT_FACTS:
            return
        self._busy = True
        drop_ns = 0
        if now_ns - self._began_ns >= limits.DROP_AFTER_S * _NS:
            drop_ns = now_ns - self._retention_ns
            desk.ledger.drop(drop_ns)
        changes, covers = self._taken(desk, now_ns), dict(self.last)

        def write(held: Journal) -> None:
            try:
                held.snapshot(snapshot_of(changes, covers))
            except Fenced:
                raise
            except ConnectorError as error:
                logger.error("%s: no snapshot was written: %s; another follows", self._venue, error)
                mail(partial(self._kept, desk.not_kept))
            else:
                mail(partial(self._kept, desk.kept))
                journal.between(partial(self._tidy, journal, drop_ns, limits.PRUNES_A_SNAPSHOT_MAX))

        journal.between(write)

    def _taken(self, desk: Desk, now_ns: int) -> Changes:
        self._facts = 0
        return desk.changes(now_ns - int(limits.FILLS_UNSUMMED_S * _NS))

    def _kept(self, told: Callable[[], None]) -> None:
        self._busy = False
        told()

    # -- on the journal's thread

    def _tidy(self, journal: JournalThread, drop_ns: int, times: int, held: Journal) -> None:
        """A little at a time: what is to be journaled goes between."""
        try:
            removed = held.prune(limits.ENTRIES_KEPT, limits.PRUNE_ROWS_MAX)
            if drop_ns:
                removed += held.drop(drop_ns - int(limits.DROP_MARGIN_S * _NS), limits.PRUNE_ROWS_MAX)
        except Fenced:
            raise
        except ConnectorError as error:
            logger.warning("%s: %s; it is tidied up after the next snapshot", self._venue, error)
        else:
            if removed and times > 1:
                journal.between(partial(self._tidy, journal, drop_ns, times - 1))


def snapshot_of(changes: Changes, covers: Mapping[str, int]) -> Snapshot:
    """:param covers: stream -> the number of its last fact that is in it."""
    pages = [
        Page(
            key=one.kept.handle,
            names=one.kept.names(),
            live=one.live,
            group=one.order.symbol if one.order is not None else "",
            created_ns=one.order.created_ns if one.order is not None else one.updated_ns,
            updated_ns=one.updated_ns,
            body=encode_kept(one.kept),
            shown=encode_shown(one.order),
        )
        for one in changes.orders
    ]
    return Snapshot(dict(covers), encode_kept(changes.account), pages, changes.gone)
