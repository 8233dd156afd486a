"""What waits for descriptors in a turn of Thespian's loop: `selectors`, as far as it uses it, at a third of the cost.

It makes a selector for every turn, registers everything, waits once and throws it away; a message takes three to eight
turns. An epoll is for the opposite: a descriptor of the kernel's and a call for each one watched. One poll(2) does.
"""

from __future__ import annotations

import errno
import math
import os
import select
from typing import NamedTuple

EVENT_READ = 1
EVENT_WRITE = 2

_MASKS = {EVENT_READ: select.POLLIN, EVENT_WRITE: select.POLLOUT}


class Ready(NamedTuple):
    """What of a selector's key is looked at."""

    fd: int


class DefaultSelector:
    """For one wait. An error or an end of a descriptor counts as whatever was waited for."""

    def __init__(self) -> None:
        self._masks: dict[int, int] = {}

    def register(self, fd: int, event: int) -> None:
        """:raises OSError: EBADF, a number that is no descriptor."""
        if fd < 0:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        self._masks[fd] = self._masks.get(fd, 0) | _MASKS[event]

    def select(self, timeout_s: float | None) -> list[tuple[Ready, int]]:
        """(descriptor, events) of those that are ready within `timeout_s` (None: for ever).

        :raises OSError: EBADF, one of them is closed.
        """
        poll = select.poll()
        for fd, mask in self._masks.items():
            poll.register(fd, mask)
        found = poll.poll(None if timeout_s is None else math.ceil(max(0.0, timeout_s) * 1000))
        ready = []
        for fd, got in found:
            if got & select.POLLNVAL:
                raise OSError(errno.EBADF, os.strerror(errno.EBADF))
            wanted, broken = self._masks[fd], got & ~(select.POLLIN | select.POLLOUT)
            events = sum(event for event, mask in _MASKS.items() if wanted & mask and (got & mask or broken))
            ready.append((Ready(fd), events))
        return ready

    def close(self) -> None:
        """Nothing is held."""
