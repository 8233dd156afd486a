"""The launcher's watch over what no supervisor watches: who beats, who is stopped, whose socket is looked after.

None of it is a message of Thespian's, so that the launcher cannot be held up by one. A beat is a touched file; that its
time changes matters, not what it is, so that a step of the wall clock looks like nothing.
"""

from __future__ import annotations

import errno
import os
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

#: A check later than this says that the launcher itself was stopped: nobody else is to blame.
_LATE_S = 3.0


@dataclass
class Watch:
    """`proof` says, at each look, whether `name` has shown since the last one that it lives."""

    name: str
    proof: Callable[[], bool]
    limit_s: float
    proved: float = field(default=0.0, init=False)


class Beat:
    """Proof: the file has another time than at the last look."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._time = 0

    def __call__(self) -> bool:
        touched = self._path.stat().st_mtime_ns if self._path.exists() else 0
        changed, self._time = touched != self._time, touched
        return changed


class Knock:
    """Proof: a connection on which nothing is said is closed, as one of Thespian's event loops does at once.

    The kernel accepts for a process that spins or is stopped, but only the process itself can close. Non-blocking: a
    look takes what has happened since the one before.
    """

    def __init__(self, address: tuple[str, int]) -> None:
        self._address = address
        self._socket: socket.socket | None = None
        self._said = False

    def __call__(self) -> bool:
        try:
            closed = self._closed()
        except ConnectionError:
            closed = True  # a reset is an answer, and a port where nobody listens is not a hung process
        except BlockingIOError:
            return False
        if closed:
            self.close()
        return closed

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _closed(self) -> bool:
        if self._socket is None:
            self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            self._socket.setblocking(False)
            self._said = False
            code = self._socket.connect_ex(self._address)
            if code not in (0, errno.EINPROGRESS):
                raise ConnectionError(code, os.strerror(code))
        if not self._said:
            try:
                self._socket.shutdown(socket.SHUT_WR)
            except OSError as error:
                if error.errno == errno.ENOTCONN and not self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
                    return False  # still connecting: its queue is full
                raise ConnectionError(error.errno, error.strerror) from error
            self._said = True
        return not self._socket.recv(1)


class Vigil:
    """:param watches: several may have one name; the first that is overdue is told."""

    def __init__(self, watches: Sequence[Watch], monotonic: Callable[[], float] = time.monotonic) -> None:
        self._watches = watches
        self._monotonic = monotonic
        self._last_check = monotonic()
        for watch in watches:
            watch.proved = self._last_check

    def silent(self) -> list[str]:
        """The names of those that have not proved that they live for too long; each is told once in its limit."""
        now = self._monotonic()
        late = now - self._last_check > _LATE_S
        self._last_check = now
        overdue = []
        for watch in self._watches:
            if watch.proof() or late:
                watch.proved = now
            elif now - watch.proved > watch.limit_s:
                watch.proved = now
                overdue.append(watch.name)
        return list(dict.fromkeys(overdue))

    def close(self) -> None:
        for watch in self._watches:
            if isinstance(watch.proof, Knock):
                watch.proof.close()
