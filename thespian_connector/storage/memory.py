"""A store that lives in its writer and dies with it."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence

from thespian_connector.model.errors import StoreError

from .base import Durability, Entry, Journal, Store


class MemoryStore(Store):
    durability = Durability.NONE
    name = "memory"

    def __init__(self) -> None:
        self._streams: dict[str, list[bytes]] = {}
        self._held: set[str] = set()

    def open(self, stream: str) -> Journal:
        if stream in self._held:
            raise StoreError(f"memory: {stream} has a writer already")
        self._held.add(stream)
        return _MemoryJournal(self._streams.setdefault(stream, []), lambda: self._held.discard(stream))

    def load(self, stream: str, after: int = 0) -> Iterator[Entry]:
        bodies = self._streams.get(stream, [])
        for sequence in itertools.count(after + 1):
            if sequence > len(bodies):
                return
            yield Entry(sequence, bodies[sequence - 1])

    def close(self) -> None:
        self._held.clear()


class _MemoryJournal(Journal):
    def __init__(self, bodies: list[bytes], release: Callable[[], None]) -> None:
        self._bodies = bodies
        self._release = release

    def append(self, bodies: Sequence[bytes], time_ns: int) -> int:  # noqa: ARG002 - only files show times
        self._bodies.extend(bodies)
        return len(self._bodies)

    def close(self) -> None:
        self._release()
