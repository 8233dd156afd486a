"""What binds a detached launcher to whoever starts it, until the start is done: a pipe.

The starter holds the writing end and sends one byte when the system is ready. However the starter ends before that
(even by SIGKILL), the launcher reads the end of the file, and stops: nothing half-started is left.
"""

from __future__ import annotations

import os
from types import TracebackType
from typing import Self

from thespian_connector.actors import process

_DONE = b"d"


class Leash:
    """The starter's side; `reading` is what the launcher inherits."""

    def __enter__(self) -> Self:
        self.reading, self._writing = os.pipe()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        os.close(self._writing)
        os.close(self.reading)

    def let_go(self) -> None:
        """The start is done: from now on the launcher goes on alone."""
        os.write(self._writing, _DONE)  # we hold the reading end, too: no SIGPIPE if the launcher has just ended


def take(reading: int) -> int:
    """In the launcher: the end that it inherited, kept from what it forks."""
    os.set_inheritable(reading, False)
    return process.private_fd(reading)


def was_let_go(reading: int) -> bool:
    """Reads and closes the end, which is readable: whether the start is done; False: its starter has ended."""
    done = os.read(reading, 1) == _DONE
    process.close_fd(reading)
    return done
