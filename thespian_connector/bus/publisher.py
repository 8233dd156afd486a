"""The writing end: one process's books, trades and events, for any number of readers.

Order and loss: ZeroMQ hands messages of one publisher to a reader in order; to a reader that does not keep up it drops
the newest. The publisher neither waits for readers nor knows them. Each topic's messages are numbered, and every
`BUS_BEAT_NS` a beat tells all last numbers: what a reader lacks then, it knows.
"""

from __future__ import annotations

import fcntl
import os
import stat
import time
from collections.abc import Callable
from pathlib import Path

import zmq
from msgspec import Struct

from thespian_connector.limits import BUS_BEAT_NS, BUS_MESSAGES_QUEUED_MAX, BUS_SUBSCRIPTIONS_A_POLL_MAX
from thespian_connector.model.errors import ConfigError, Refused

from .codec import BEAT, STATE_KINDS, encode, pack, topic_of
from .context import close_socket, open_socket
from .events import BusHeader

_IPC = "ipc://"
#: How much sooner than due a beat may be sent.
_EARLY_NS = BUS_BEAT_NS // 10


class _Topic:
    __slots__ = ("keeps_last", "last", "name", "sequence")

    def __init__(self, name: bytes, keeps_last: bool) -> None:
        self.name = name
        self.keeps_last = keeps_last
        self.sequence = 0
        self.last: bytes | None = None


class Publisher:
    """Binds `endpoint` (``ipc://`` path or ``tcp://``) and publishes. For one thread; nothing in it blocks.

    :param incarnation: grows with every restart of what publishes here: readers tell old from new by it.
    :param lock_path: a file locked while the publisher lives, because two processes can bind one ipc path and the
        older one would fall silent without an error.
    :param wall_ns: the clock for messages' `sent_ns`.
    :raises Refused: another process holds the lock.
    :raises ConfigError: a socket directory that others may write to, or an endpoint that cannot be bound.
    """

    def __init__(
        self, endpoint: str, *, incarnation: int, lock_path: Path, wall_ns: Callable[[], int] = time.time_ns
    ) -> None:
        self.endpoint = endpoint
        self.incarnation = incarnation
        self._wall_ns = wall_ns
        self._topics: dict[tuple[str, str, str], _Topic] = {}
        self._beat_due_ns = 0
        self._beats = 0
        self._path = Path(endpoint.removeprefix(_IPC)) if endpoint.startswith(_IPC) else None
        self._lock = _locked(lock_path)
        try:
            self._socket = self._bind()
        except BaseException:
            os.close(self._lock)
            raise
        # The method below pyzmq's conveniences (routing ids, type checks), which cost three times the sending itself.
        # It never blocks: for a reader whose queue is full the message is dropped, for that reader alone.
        self._send = super(zmq.Socket, self._socket).send
        self.closed = False

    def _bind(self) -> zmq.Socket[bytes]:
        if self._path is not None:
            _private_directory(self._path.parent)
            self._path.unlink(missing_ok=True)  # a killed predecessor's; the lock says that it is dead
        socket = open_socket(zmq.XPUB)
        try:
            socket.linger = 0
            socket.sndhwm = BUS_MESSAGES_QUEUED_MAX
            # A reader that subscribes what others (or itself before) subscribed wants the last value all the same.
            socket.setsockopt(zmq.XPUB_VERBOSE, 1)
            socket.bind(self.endpoint)
        except zmq.ZMQError as error:
            close_socket(socket)
            raise ConfigError(f"bus: cannot bind {self.endpoint}: {error}") from error
        return socket

    def publish(self, kind: str, exchange: str, symbol: str, payload: Struct) -> int:
        """Send one record (or a `BookImage`, which reads as an `OrderBook`); its sequence number.

        :raises ValueError: an unknown kind or a name with ``|``.
        """
        key = kind, exchange, symbol
        topic = self._topics.get(key)
        if topic is None:
            topic = self._topics[key] = _Topic(topic_of(kind, exchange, symbol).encode(), kind in STATE_KINDS)
        topic.sequence += 1
        header = BusHeader(self.incarnation, topic.sequence, self._wall_ns())
        message = pack(topic.name, header, encode(payload))
        if topic.keeps_last:
            topic.last = message
        self._send(message)
        return topic.sequence

    def beat(self, now_ns: int) -> bool:
        """Tell every topic's last number, if a beat is due; call it at least every `BUS_BEAT_NS`. Whether one was sent.

        `now_ns` is any clock, but always the same one. A beat may be a little early, so that for who calls just so
        often no call comes a hair before the time.
        """
        if self._beats and self._beat_due_ns - BUS_BEAT_NS <= now_ns < self._beat_due_ns - _EARLY_NS:
            return False
        self._beat_due_ns = now_ns + BUS_BEAT_NS
        self._beats += 1
        numbers = {topic.name.decode(): topic.sequence for topic in self._topics.values()}
        self._send(pack(BEAT, BusHeader(self.incarnation, self._beats, self._wall_ns()), encode(numbers)))
        return True

    def poll(self) -> int:
        """Send the last value of what readers have subscribed since; how many subscriptions there were.

        Readers that have the value already know it by its number.
        """
        for served in range(BUS_SUBSCRIPTIONS_A_POLL_MAX):
            try:
                message = self._socket.recv(zmq.NOBLOCK)
            except zmq.Again:
                return served
            if message[:1] == b"\x01":
                prefix = message[1:]
                for topic in self._topics.values():
                    if topic.last is not None and topic.name.startswith(prefix):
                        self._send(topic.last)
        return BUS_SUBSCRIPTIONS_A_POLL_MAX

    def close(self) -> None:
        """Free socket, path and lock. Calling it again does nothing."""
        if self.closed:
            return
        self.closed = True
        close_socket(self._socket)
        if self._path is not None:
            self._path.unlink(missing_ok=True)
        os.close(self._lock)

    def __enter__(self) -> Publisher:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _locked(path: Path) -> int:
    """A descriptor that holds the lock. The file stays: unlinking it would let two processes lock two files."""
    _private_directory(path.parent)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise Refused(f"bus: another process publishes here, it holds {path}") from None
    return descriptor


def _private_directory(path: Path) -> None:
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = path.stat()
    if found.st_uid != os.getuid() or found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise ConfigError(f"bus: {path} may be written to by others; chmod 0700 it or name another directory")
