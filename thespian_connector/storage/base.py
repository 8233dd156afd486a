"""What a store is. Bodies are bytes to it; `orders.codec` says what they mean."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
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


class Journal(ABC):
    """One stream, held by its one writer. Used from one thread at a time."""

    @abstractmethod
    def append(self, bodies: Sequence[bytes], time_ns: int) -> int:
        """All of them or none; durable when it returns. Returns the last sequence number.

        :raises Fenced: another writer took the stream over.
        :raises StoreError: the store does not take it (disk full, gone); nothing was appended.
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
    def close(self) -> None: ...
