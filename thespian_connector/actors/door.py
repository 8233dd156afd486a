"""A socket of a component's own, for programs on this host that do not want to wait for two actors' event loops.

What comes is a Request and what goes is a Reply, as through Root, one at a time on a connection; each connection has a
thread, which may carry out what it was asked. The socket lies in the runtime directory, which is the user's alone. A
connection is to one life of the component, and ends with it: so who waits knows at once.
"""

from __future__ import annotations

import contextlib
import logging
import queue
import socket
import threading
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NamedTuple

import msgspec

from thespian_connector.limits import DOOR_CONNECTIONS_MAX, DOOR_IDLE_S_MAX, MESSAGE_BYTES_MAX

from .messages import Reply, Request, pack, unpack

logger = logging.getLogger(__name__)

#: Called once, on any thread.
Answer = Callable[[Reply], None]


class Guest(NamedTuple):
    """Who asked at the door, where an actor's code has the address of who asked."""

    answer: Answer


def door_path(runtime_dir: Path, component: str) -> Path:
    return runtime_dir / f"{component.replace('/', '-')}.sock"


class Door:
    """:param handle: called on a connection's thread with a request and who gets the answer.
    :param on_failure: an unexpected exception, and what was asked: this process must not go on.
    """

    def __init__(
        self,
        path: Path,
        handle: Callable[[Request, Answer], None],
        *,
        on_failure: Callable[[BaseException, Request | None], None],
    ) -> None:
        """Opens it. Only for the one life that may: another's socket of the same path is lost to it."""
        self._path = path
        self._handle = handle
        self._on_failure = on_failure
        self._guests = threading.BoundedSemaphore(DOOR_CONNECTIONS_MAX)
        path.unlink(missing_ok=True)
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(str(path))
        self._listener.listen(DOOR_CONNECTIONS_MAX)
        threading.Thread(target=self._welcome, name="door", daemon=True).start()

    def close(self) -> None:
        """Nobody comes in any more; who is in is served to the end of the process."""
        self._path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # wakes the thread that waits in it
        self._listener.close()

    def _welcome(self) -> None:
        while True:
            try:
                guest, _ = self._listener.accept()
            except OSError:
                return  # it was closed
            if not self._guests.acquire(blocking=False):
                guest.close()  # it asks Root instead
                continue
            threading.Thread(target=self._serve, args=(guest,), name="guest", daemon=True).start()

    def _serve(self, guest: socket.socket) -> None:
        asked: Request | None = None
        try:
            with Connection(guest.detach()) as connection:
                while connection.poll(DOOR_IDLE_S_MAX):
                    asked = unpack(connection.recv_bytes(MESSAGE_BYTES_MAX), Request)
                    replies: queue.SimpleQueue[Reply] = queue.SimpleQueue()
                    self._handle(asked, replies.put)
                    connection.send_bytes(pack(replies.get()))
        except (EOFError, OSError, msgspec.MsgspecError) as error:
            logger.debug("a connection to the door ended: %s", error)
        except BaseException as error:  # noqa: BLE001 - whatever it was: the owner ends the process
            self._on_failure(error, asked)
        finally:
            self._guests.release()
