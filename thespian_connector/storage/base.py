"""What a store is. Bodies are bytes to it; `orders.codec` says what they mean."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from typing import NamedTuple


class Durability(StrEnum):
    """What an appended entry survives."""

    #: Nothing: it lives in its writer.
    NONE = "none"
    #: The end of any process, SIGKILL included.
    PROCESS = "process"
    #: The loss of power, too: synced to the disk before `append` returns.
    POWER = "power"


class Entry(NamedTuple):
    """`sequence` counts from 1, without holes."""

    sequence: int
    body: bytes


class Page(NamedTuple):
    """One record of a snapshot, which a later one may replace. It is found by its `names`, of which a later one has no
    fewer. `group` and `created_ns` say where it stands in a listing, which tells what it is `shown` as, if that is
    anything; one that is not `live` may be dropped by `updated_ns`."""

    key: str
    names: Sequence[str]
    live: bool
    group: str
    created_ns: int
    updated_ns: int
    body: bytes
    shown: bytes = b""


class Snapshot(NamedTuple):
    """What stands for the entries up to a number of each stream in `covers`: `body`, and the pages of this snapshot and
    of those before it; `gone` are keys of pages that are no more."""

    covers: Mapping[str, int]
    body: bytes
    pages: Sequence[Page] = ()
    gone: Sequence[str] = ()


class Head(NamedTuple):
    """Of the newest snapshot."""

    covers: Mapping[str, int]
    body: bytes


class Journal(ABC):
    """One stream, held by its one writer. Used from one thread at a time."""

    @abstractmethod
    def append(self, bodies: Sequence[bytes], time_ns: int) -> int:
        """All of them or none; durable when it returns. Returns the last sequence number.

        :raises Fenced: another writer took the stream over.
        :raises StoreError: the store does not take it (disk full, gone); nothing was appended.
        """

    @abstractmethod
    def snapshot(self, snapshot: Snapshot) -> None:
        """All of it or nothing, in place of the stream's last one; durable when it returns.

        :raises Fenced, StoreError: as `append` does.
        """

    @abstractmethod
    def prune(self, keep: int, most: int) -> int:
        """Removes the oldest entries that the snapshot stands for, but its last `keep` of each stream, and at most
        `most`. Returns how many; none without a snapshot.

        :raises Fenced, StoreError: as `append` does.
        """

    @abstractmethod
    def drop(self, before_ns: int, most: int) -> int:
        """Removes pages, at most `most`, that are not live and were last changed before then. Returns how many.

        :raises Fenced, StoreError: as `append` does.
        """

    @abstractmethod
    def close(self) -> None:
        """Lets the stream go; another may open it."""


class Store(ABC):
    durability: Durability
    #: For people: no password in it.
    name: str

    @abstractmethod
    def open(self, stream: str) -> Journal:
        """Takes the stream for writing.

        :raises StoreError: another process holds it; the message says which.
        """

    @abstractmethod
    def load(self, stream: str, after: int = 0) -> Iterator[Entry]:
        """Entries with a sequence number above `after`, oldest first.

        :raises StoreError: an entry is missing or is not what was written; nothing is skipped.
        """

    @abstractmethod
    def head(self, stream: str) -> Head | None:
        """Of the snapshot that the stream's writer made last; None: it never did.

        :raises StoreError: it is not what was written.
        """

    @abstractmethod
    def live(self, stream: str) -> Iterator[bytes]:
        """The live pages.

        :raises StoreError: one is not what was written.
        """

    @abstractmethod
    def page(self, stream: str, name: str) -> bytes | None:
        """The page that has the name. From any thread.

        :raises StoreError: it is not what was written.
        """

    @abstractmethod
    def newest(self, stream: str, groups: Sequence[str], most: int) -> list[bytes]:
        """What the `most` pages of these groups (none: of all) are shown as that were created last; there may be more.

        :raises StoreError: one is not what was written.
        """

    @abstractmethod
    def close(self) -> None: ...
