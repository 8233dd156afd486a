"""What every process of a system does first, and how processes are watched and ended: Linux's own calls.

PR_SET_PDEATHSIG makes the kernel kill a child whose parent died; a pidfd names a process that no other can be confused
with; a subreaper inherits the orphans below it; a timerfd ticks where Thespian's own wakeups get lost.
"""

from __future__ import annotations

import contextlib
import ctypes
import multiprocessing
import os
import resource
import select
import signal
import time
from collections.abc import Collection, Iterator
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_M_MMAP_THRESHOLD = -3
_M_ARENA_MAX = -8
_TFD_FLAGS = os.O_NONBLOCK | os.O_CLOEXEC

#: Exit code of a process whose handler or thread raised what nobody expected (BSD's EX_SOFTWARE).
EXIT_CRASHED = 70
#: Exit code of a process that found its parent gone.
EXIT_ORPHANED = 71

_libc = ctypes.CDLL(None, use_errno=True)
#: Descriptors of this process that a forked child must not keep: they are watched by number, and numbers are reused.
_private_fds: set[int] = set()


def _close_inherited() -> None:
    for fd in _private_fds:
        with contextlib.suppress(OSError):  # already closed by the fork's own clean-up
            os.close(fd)
    _private_fds.clear()


os.register_at_fork(after_in_child=_close_inherited)


def _check(result: int) -> int:
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result


def private_fd(fd: int) -> int:
    """Marks `fd` as not to survive a fork; returns it."""
    _private_fds.add(fd)
    return fd


@contextlib.contextmanager
def inherited(fds: Collection[int]) -> Iterator[None]:
    """What is forked within the block keeps these private descriptors."""
    _private_fds.difference_update(fds)
    try:
        yield
    finally:
        _private_fds.update(fds)


def close_fd(fd: int) -> None:
    """Closes a descriptor that :func:`private_fd` marked."""
    _private_fds.discard(fd)
    os.close(fd)


def die_with_parent(parent_pid: int | None = None) -> None:
    """The kernel kills this process when its parent dies; a parent that died meanwhile ends it now.

    :param parent_pid: who the parent must be; by default whom ``multiprocessing`` says forked us.
    """
    if parent_pid is None:
        parent = multiprocessing.parent_process()
        parent_pid = parent.pid if parent is not None else os.getppid()
    _check(_libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0))
    if os.getppid() != parent_pid:
        os._exit(EXIT_ORPHANED)


def default_fatal_signals() -> None:
    """A real segfault ends the process: a Python-level handler (Thespian sets one) would loop in it for ever."""
    for number in (signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGSYS):
        signal.signal(number, signal.SIG_DFL)


def become_subreaper() -> None:
    """Orphans below this process become its children, so that it hears of their ends and can find them all."""
    _check(_libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0))


def bound_heap(block_bytes_max: int, heaps_max: int) -> None:
    """Keeps freed memory from staying in this process, and in what it forks, as holes between what lives.

    glibc raises its threshold for blocks of the kernel's own with every such block that is freed, up to 32 MB
    (mallopt(3), M_MMAP_THRESHOLD), and gives up to eight heaps a core to threads (M_ARENA_MAX). Set, both stay. Other
    C libraries have nothing to set.
    """
    mallopt = getattr(_libc, "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, block_bytes_max)
        mallopt(_M_ARENA_MAX, heaps_max)


def raise_file_limit(wanted: int) -> None:
    """Lets this process, and what it forks, open `wanted` descriptors, or as many as the hard limit allows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < allowed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))


def set_title(system: str, name: str) -> None:
    """``thespian-connector SYSTEM NAME`` is what ``ps`` shows."""
    from setproctitle import setproctitle

    setproctitle(f"thespian-connector {system} {name}")


def title(pid: int) -> str:
    """What ``ps`` shows; "" when there is no such process."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().rstrip(b"\0").decode(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return ""


def open_pidfd(pid: int) -> int | None:
    """A descriptor that becomes readable when the process ends; None when it has already been reaped."""
    try:
        return private_fd(os.pidfd_open(pid))
    except ProcessLookupError:
        return None


def has_exited(pidfd: int) -> bool:
    """Whether the process has ended (it may still wait to be reaped)."""
    poll = select.poll()  # select() takes no descriptor above 1023
    poll.register(pidfd, select.POLLIN)
    return bool(poll.poll(0))


def kill(pidfd: int, number: int = signal.SIGKILL) -> None:
    """Signals exactly the process that was opened, never another that got its number."""
    with contextlib.suppress(ProcessLookupError):  # it is gone: what was wanted
        signal.pidfd_send_signal(pidfd, number)


def signal_pid(pid: int, number: int) -> None:
    """Signals a process that is known by number alone; one that has ended is left in peace."""
    pidfd = open_pidfd(pid)
    if pidfd is not None:
        kill(pidfd, number)
        close_fd(pidfd)


def _stat_fields(pid: int) -> list[str] | None:
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    return text.rpartition(")")[2].split()  # the name before may hold spaces and parentheses


def parents() -> dict[int, int]:
    """pid -> parent's pid of every process, zombies too."""
    found: dict[int, int] = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit() and (fields := _stat_fields(int(entry))) is not None:
            found[int(entry)] = int(fields[1])
    return found


def is_zombie(pid: int) -> bool:
    fields = _stat_fields(pid)
    return fields is not None and fields[0] == "Z"


def is_stopped(pid: int) -> bool:
    """Frozen by a signal (SIGSTOP) or a debugger."""
    fields = _stat_fields(pid)
    return fields is not None and fields[0] in ("T", "t")


def children(pid: int) -> list[int]:
    """Who was forked by the main thread of `pid` and still is its child, zombies too."""
    try:
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()]
    except (FileNotFoundError, ProcessLookupError):
        return []


def descendants(pid: int) -> list[int]:
    """Every process below `pid`, nearest first."""
    children: dict[int, list[int]] = {}
    for child, parent in parents().items():
        children.setdefault(parent, []).append(child)
    found, layer = [], children.get(pid, [])
    while layer:
        found += layer
        layer = [grandchild for child in layer for grandchild in children.get(child, [])]
    return found


def reap() -> Iterator[tuple[int, int]]:
    """(pid, wait status) of every child that has ended and was not yet waited for."""
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        yield pid, status


class _TimeSpec(ctypes.Structure):
    _fields_ = (("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long))


class _TimerSpec(ctypes.Structure):
    _fields_ = (("interval", _TimeSpec), ("value", _TimeSpec))


class Ticker:
    """A timerfd on the monotonic clock: readable every `every_s`. Ticks that were not read are one event."""

    def __init__(self, every_s: float) -> None:
        self.fd = private_fd(_check(_libc.timerfd_create(time.CLOCK_MONOTONIC, _TFD_FLAGS)))
        self._every_s = 0.0
        self.pace(every_s)

    def pace(self, every_s: float) -> None:
        """Every `every_s` from now on; what it does already is not begun anew."""
        if every_s == self._every_s:
            return
        self._every_s = every_s
        period = _time_spec(every_s)
        _set_timer(self.fd, _TimerSpec(period, period))

    def read(self) -> int:
        """Periods since the last read; 0 when woken for nothing (Thespian repeats watch messages)."""
        return _read_timer(self.fd)

    def close(self) -> None:
        close_fd(self.fd)


class Alarm:
    """A timerfd on the monotonic clock: readable once, after a while. Any thread may set it."""

    def __init__(self) -> None:
        self.fd = private_fd(_check(_libc.timerfd_create(time.CLOCK_MONOTONIC, _TFD_FLAGS)))

    def set(self, after_s: float) -> None:
        """In place of what it was set to; `after_s` is above 0."""
        _set_timer(self.fd, _TimerSpec(_time_spec(0.0), _time_spec(after_s)))

    def read(self) -> bool:
        """Whether it went off since the last read."""
        return _read_timer(self.fd) > 0


def _time_spec(seconds: float) -> _TimeSpec:
    return _TimeSpec(*divmod(round(seconds * 1e9), 1_000_000_000))


def _set_timer(fd: int, spec: _TimerSpec) -> None:
    _check(_libc.timerfd_settime(fd, 0, ctypes.byref(spec), None))


def _read_timer(fd: int) -> int:
    try:
        return int.from_bytes(os.read(fd, 8), "little")
    except BlockingIOError:
        return 0


def started_ns(pid: int) -> int | None:
    """When the process started, in nanoseconds since the epoch; None when there is none."""
    fields = _stat_fields(pid)
    if fields is None:
        return None
    since_boot_s = int(fields[19]) / os.sysconf("SC_CLK_TCK")
    return time.time_ns() - round((time.clock_gettime(time.CLOCK_BOOTTIME) - since_boot_s) * 1e9)


def socket_inodes(pid: int) -> list[str]:
    """The kernel's numbers of the sockets that the process holds."""
    found = []
    try:
        for entry in os.scandir(f"/proc/{pid}/fd"):
            with contextlib.suppress(FileNotFoundError):  # closed meanwhile
                target = os.readlink(entry.path)
                if target.startswith("socket:["):
                    found.append(target[8:-1])
    except (FileNotFoundError, PermissionError):  # gone meanwhile, or another user's
        return found
    return found
