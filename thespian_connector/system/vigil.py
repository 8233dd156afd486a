"""The launcher's watch over what no supervisor watches: Root and HostAgent must beat, the admin must not be stopped.

A beat is a touched file, so that the launcher needs no message and cannot be held up by one. What matters is that the
time of the file changes, not what it is: a step of the wall clock looks like nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path

from thespian_connector.actors import process
from thespian_connector.limits import TOP_SILENT_S_MAX

#: A check later than this says that the launcher itself was stopped: nobody else is to blame.
_LATE_S = 3.0


class Vigil:
    """:param beats: name -> the file that it touches.

    :param watched: name -> pid of processes that must not be stopped.
    """

    def __init__(
        self,
        beats: Mapping[str, Path],
        watched: Mapping[str, int],
        monotonic: Callable[[], float] = time.monotonic,
        is_stopped: Callable[[int], bool] = process.is_stopped,
    ) -> None:
        self._beats = beats
        self._watched = watched
        self._monotonic = monotonic
        self._is_stopped = is_stopped
        self._times: dict[str, int] = {}
        self._last_check = monotonic()
        self._proved = dict.fromkeys((*beats, *watched), self._last_check)

    def silent(self) -> str | None:
        """The name of one that has been silent, or stopped, for too long."""
        now = self._monotonic()
        late = now - self._last_check > _LATE_S
        self._last_check = now
        for name, path in self._beats.items():
            touched = path.stat().st_mtime_ns if path.exists() else 0
            if touched != self._times.get(name) or late:
                self._times[name] = touched
                self._proved[name] = now
        for name, pid in self._watched.items():
            if late or not self._is_stopped(pid):
                self._proved[name] = now
        return next((name for name, proved in self._proved.items() if now - proved > TOP_SILENT_S_MAX), None)
