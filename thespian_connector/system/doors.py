"""Asking a component of this host at its door (:mod:`..actors.door`), over connections that are kept."""

from __future__ import annotations

import os
import socket
import threading
import time
from multiprocessing.connection import Connection
from pathlib import Path

from thespian_connector.actors.component import unanswered
from thespian_connector.actors.door import door_path
from thespian_connector.actors.messages import Reply, Request, pack, unpack
from thespian_connector.limits import CONTEXTS_KEPT_MAX, DOOR_IDLE_S_MAX, MESSAGE_BYTES_MAX
from thespian_connector.model.errors import DeadlineExceeded, Refused

#: Well before the other side hangs up.
_KEPT_S_MAX = DOOR_IDLE_S_MAX / 2


class Doors:
    """Thread-safe."""

    def __init__(self, runtime_dir: Path) -> None:
        self._directory = runtime_dir
        self._lock = threading.Lock()
        #: (when it was last used, to whom), the longest unused first.
        self._kept: list[tuple[float, str, Connection[bytes, bytes]]] = []
        self._pid = os.getpid()

    def close(self) -> None:
        with self._lock:
            self._drop(float("inf"))

    def ask(self, component: str, request: Request, deadline: float) -> Reply | None:
        """None: it has no door here, and was not asked.

        :raises Interrupted, Refused: it has ended meanwhile.
        :raises DeadlineExceeded: no answer by the deadline, monotonic seconds.
        """
        connection = self._take(component) or self._connect(component, deadline)
        if connection is None:
            return None
        try:
            connection.send_bytes(pack(request))
            if not connection.poll(max(0.0, deadline - time.monotonic())):
                raise DeadlineExceeded(f"{component} did not answer {request.operation} within {request.timeout_s:g} s")
            reply = unpack(connection.recv_bytes(MESSAGE_BYTES_MAX), Reply)
        except (EOFError, OSError):
            connection.close()
            words = f"{component} ended while it worked on it; ask again in a moment"
            raise unanswered(component, Refused(words)) from None
        except BaseException:
            connection.close()  # the answer may still come
            raise
        self._keep(component, connection)
        return reply

    def _connect(self, component: str, deadline: float) -> Connection[bytes, bytes] | None:
        door = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            door.settimeout(max(0.001, deadline - time.monotonic()))
            door.connect(str(door_path(self._directory, component)))
            door.settimeout(None)
        except OSError:
            door.close()
            return None
        return Connection(door.detach())

    def _take(self, component: str) -> Connection[bytes, bytes] | None:
        with self._lock:
            if self._pid != os.getpid():  # a fork: they are its parent's
                self._drop(float("inf"))
                self._pid = os.getpid()
            self._drop(time.monotonic() - _KEPT_S_MAX)
            for one in [one for one in reversed(self._kept) if one[1] == component]:
                self._kept.remove(one)
                connection = one[2]
                if not connection.poll(0):  # else it was hung up
                    return connection
                connection.close()
        return None

    def _keep(self, component: str, connection: Connection) -> None:
        with self._lock:
            self._kept.append((time.monotonic(), component, connection))
            if len(self._kept) > CONTEXTS_KEPT_MAX:
                self._kept.pop(0)[2].close()

    def _drop(self, unused_since: float) -> None:
        while self._kept and self._kept[0][0] < unused_since:
            self._kept.pop(0)[2].close()
