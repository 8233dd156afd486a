"""What wakes a launcher that somebody stopped: it watches everybody else, so that Root and HostAgent watch it."""

from __future__ import annotations

import logging
import signal
from collections.abc import Callable

from thespian_connector.limits import LAUNCHER_STOPPED_S_MAX

from . import process

logger = logging.getLogger(__name__)

_LOOK_EVERY_S = 1.0


class Nudge:
    """:param pid: the launcher. Killing it would end the system: it is only told to go on (SIGCONT)."""

    def __init__(
        self,
        pid: int,
        is_stopped: Callable[[int], bool] = process.is_stopped,
        signal_process: Callable[[int, int], None] = process.signal_pid,
    ) -> None:
        self._pid = pid
        self._is_stopped = is_stopped
        self._signal = signal_process
        self._looked = float("-inf")
        self._since: float | None = None

    def look(self, now: float) -> None:
        """To be called at every tick; `now` is monotonic seconds."""
        if now - self._looked < _LOOK_EVERY_S:
            return
        late = now - self._looked > 3 * _LOOK_EVERY_S  # we were stopped ourselves, perhaps both of us on purpose
        self._looked = now
        if not self._is_stopped(self._pid):
            self._since = None
        elif self._since is None or late:
            self._since = now
        elif now - self._since >= LAUNCHER_STOPPED_S_MAX:
            self._since = None
            logger.error("the launcher (pid %d) is stopped; it is told to go on", self._pid)
            self._signal(self._pid, signal.SIGCONT)
