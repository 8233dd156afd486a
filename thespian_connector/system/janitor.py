"""The janitor: when the launcher is killed, somebody must take away the sockets and the secret that it would have.

A process of its own, because SIGKILL of the launcher ends everything below it within milliseconds. It is bound to
nobody's life, holds nothing, and sleeps until the launcher ends. After an orderly stop it has nothing to do.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import signal
import time

from thespian_connector.actors import process
from thespian_connector.limits import JANITOR_S_MAX

from .runtime import Runtime

_LOOK_S = 0.02


class Janitor:
    """The launcher's handle of it. `pidfd` becomes readable when it ends."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self.pid = 0
        self.pidfd: int | None = None

    def start(self) -> None:
        """Forks one (anew). Only from a process without threads."""
        if self.pidfd is not None:
            process.close_fd(self.pidfd)
        launcher = os.getpid()
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                _watch(self._runtime, launcher)
                code = 0
            finally:
                os._exit(code)  # nothing of the launcher's may run twice
        self.pid = pid
        self.pidfd = process.open_pidfd(pid)


def _watch(runtime: Runtime, launcher: int) -> None:
    process.set_title(runtime.name, "janitor")
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # a Ctrl-C is meant for the launcher, and it ends us
    end = os.pidfd_open(launcher)
    for name in os.listdir("/proc/self/fd"):
        if int(name) not in (end, 1, 2):
            with contextlib.suppress(OSError):  # the one that listed them
                os.close(int(name))
    if os.getppid() == launcher:
        poll = select.poll()
        poll.register(end, select.POLLIN)
        poll.poll()
    _sweep(runtime, launcher)


def _sweep(runtime: Runtime, launcher: int) -> None:
    """Takes the system's lock, which is free when its last process has ended, and clears; unless another has begun."""
    deadline = time.monotonic() + JANITOR_S_MAX
    while time.monotonic() < deadline:
        try:
            fd = os.open(runtime.pid_file, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return
        try:
            if os.read(fd, 32).strip() != str(launcher).encode():
                return
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            runtime.clear()
            return
        except BlockingIOError:
            time.sleep(_LOOK_S)
        finally:
            os.close(fd)
