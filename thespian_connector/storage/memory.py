"""A store that lives in its writer and dies with it."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence

from thespian_connector.model.errors import StoreError

from .base import Durability, Entry, Head, Journal, Page, Snapshot, Store


class _Stream:
    def __init__(self) -> None:
        #: Entries have been removed up to this number.
        self.removed = 0
        self.bodies: list[bytes] = []
        self.head: Head | None = None
        self.pages: dict[str, Page] = {}
        #: A page's name -> its key.
        self.names: dict[str, str] = {}


class MemoryStore(Store):
    durability = Durability.NONE
    name = "memory"

    def __init__(self) -> None:
        self._streams: dict[str, _Stream] = {}
        self._held: set[str] = set()

    def open(self, stream: str) -> Journal:
        if stream in self._held:
            raise StoreError(f"memory: {stream} has a writer already")
        self._held.add(stream)
        self._of(stream)
        return _MemoryJournal(stream, self._streams, lambda: self._held.discard(stream))

    def load(self, stream: str, after: int = 0) -> Iterator[Entry]:
        one = self._of(stream)
        if after < one.removed:
            raise StoreError(f"memory: {stream} lacks entry {after + 1}")
        for sequence in itertools.count(after + 1):
            if sequence > one.removed + len(one.bodies):
                return
            yield Entry(sequence, one.bodies[sequence - one.removed - 1])

    def head(self, stream: str) -> Head | None:
        return self._of(stream).head

    def live(self, stream: str) -> Iterator[bytes]:
        return (page.body for page in list(self._of(stream).pages.values()) if page.live)

    def page(self, stream: str, name: str) -> bytes | None:
        one = self._of(stream)
        return one.pages[one.names[name]].body if name in one.names else None

    def newest(self, stream: str, groups: Sequence[str], most: int) -> list[bytes]:
        pages = [page for page in self._of(stream).pages.values() if page.shown]
        pages = [page for page in pages if not groups or page.group in groups]
        pages.sort(key=lambda page: (page.created_ns, page.key), reverse=True)
        return [page.shown for page in pages[:most]]

    def close(self) -> None:
        self._held.clear()

    def _of(self, stream: str) -> _Stream:
        return self._streams.setdefault(stream, _Stream())


class _MemoryJournal(Journal):
    def __init__(self, stream: str, streams: dict[str, _Stream], release: Callable[[], None]) -> None:
        self._mine = streams[stream]
        self._streams = streams
        self._release = release

    def append(self, bodies: Sequence[bytes], time_ns: int) -> int:  # noqa: ARG002 - only files show times
        self._mine.bodies.extend(bodies)
        return self._mine.removed + len(self._mine.bodies)

    def snapshot(self, snapshot: Snapshot) -> None:
        mine = self._mine
        for key in snapshot.gone:
            self._remove(key)
        for page in snapshot.pages:
            mine.pages[page.key] = page
            mine.names.update(dict.fromkeys(page.names, page.key))
        mine.head = Head(dict(snapshot.covers), snapshot.body)

    def prune(self, keep: int, most: int) -> int:
        removed = 0
        for stream, until in (self._mine.head.covers if self._mine.head is not None else {}).items():
            one = self._streams.get(stream)
            if one is not None:
                count = max(0, min(until - keep - one.removed, most - removed, len(one.bodies)))
                del one.bodies[:count]
                one.removed += count
                removed += count
        return removed

    def drop(self, before_ns: int, most: int) -> int:
        old = [page.key for page in self._mine.pages.values() if not page.live and page.updated_ns < before_ns][:most]
        for key in old:
            self._remove(key)
        return len(old)

    def _remove(self, key: str) -> None:
        self._mine.pages.pop(key, None)
        for name in [name for name, of in self._mine.names.items() if of == key]:
            del self._mine.names[name]

    def close(self) -> None:
        self._release()
