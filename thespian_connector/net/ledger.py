"""The small locked file that every process of a host shares for one venue and egress IP.

One record of fixed size, below a page, replaced whole under ``flock`` by one ``pwrite``: a process that is killed
leaves the record before or after its charge, and the kernel drops its lock. Whatever else may be in the file (torn, of
another version, of another boot) fails the checksum or the header, and the record is made anew, as unknown.
"""

from __future__ import annotations

import fcntl
import os
import stat
import struct
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from thespian_connector import limits as caps
from thespian_connector.drivers.base import Limit
from thespian_connector.model.errors import ConfigError, LimitExceeded

from .meter import NS, Meter
from .timebase import Timebase

MAGIC = b"TCBUDGET"
VERSION = 2
_HEADER = struct.Struct("<8sHHI16sqqqqqqq")
_CHECKSUM = struct.Struct("<I")
#: `State.error_ns` while nobody has measured the venue's clock.
UNMEASURED = -1
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def boot_id() -> bytes:
    """16 bytes that change with each boot; zeros where the kernel does not tell."""
    try:
        return bytes.fromhex(_BOOT_ID.read_text().strip().replace("-", ""))
    except (OSError, ValueError):
        return bytes(16)


class State:
    """The record, while its lock is held. Times are the host's monotonic ones unless they say otherwise."""

    def __init__(self, limits: tuple[Limit, ...]) -> None:
        self.meters = tuple(Meter(limit) for limit in limits)
        self.now_ns = 0
        self.reset()

    def reset(self) -> None:
        """Nothing is known."""
        #: The venue's time less `now_ns`; while `error_ns` is UNMEASURED, what the wall clock said when the record was
        #: made: a guess, but one that no later step of the wall clock moves.
        self.offset_ns = 0
        self.error_ns = UNMEASURED
        self.measured_ns = 0
        self.pause_ns = 0
        #: The same in wall time, which alone means something after a reboot.
        self.pause_wall_ns = 0
        #: Until when the answer to a probe is awaited.
        self.probe_ns = 0
        #: Whether the record must be written back.
        self.dirty = False
        for meter in self.meters:
            meter.forget()
            meter.cap = meter.limit.cap

    @property
    def slack_ns(self) -> int:
        """How far the estimate of the venue's time may be off by now."""
        if self.error_ns == UNMEASURED:
            return 3600 * NS
        return self.error_ns + (self.now_ns - self.measured_ns) * caps.BUDGET_DRIFT_PPM // 1_000_000

    def clock(self, meter: Meter) -> tuple[int, int]:
        """The time and slack that `meter` counts by."""
        return (self.now_ns + self.offset_ns, self.slack_ns) if meter.aligned else (self.now_ns, 0)


class Ledger:
    """`remake(state, existed)` fills a record that was made anew; `existed`: there was one, and it could not be read.

    :raises ConfigError: the file cannot be opened or locked there.
    """

    def __init__(
        self, path: Path, limits: tuple[Limit, ...], timebase: Timebase, remake: Callable[[State, bool], None]
    ) -> None:
        self.path = path
        self._time = timebase
        self._remake = remake
        self._state = State(limits)
        self._size = _HEADER.size + sum(meter.size for meter in self._state.meters) + _CHECKSUM.size
        assert self._size <= 4096, "one page, so that one write is never torn"
        # Caps may change under a record; what is counted, and over which windows, may not.
        layout = [(limit.name, limit.kind, limit.window_s, limit.aligned) for limit in limits]
        self._layout = zlib.crc32(repr(layout).encode())
        self._boot = boot_id()
        self._seen = False
        self._pid = os.getpid()
        self._mutex = threading.Lock()
        self._fd = self._open()

    def close(self) -> None:
        with self._mutex:
            if self._fd >= 0:
                os.close(self._fd)
                self._fd = -1

    @contextmanager
    def transaction(self) -> Iterator[State]:
        """The record, read under the lock, and written back if it is `dirty` and nothing was raised.

        :raises LimitExceeded: a process that does not go on holds the lock, or the record cannot be written: then
            nothing may be sent.
        """
        if os.getpid() != self._pid:
            self._after_fork()
        if not self._mutex.acquire(timeout=caps.BUDGET_LOCK_WAIT_S_MAX):
            raise self._refusal("another thread holds it")
        try:
            self._lock()
            try:
                state = self._read()
                yield state
                if state.dirty:
                    self._write(state)
            finally:
                fcntl.flock(self._fd, fcntl.LOCK_UN)
        finally:
            self._mutex.release()

    # -- file

    def _open(self) -> int:
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
            descriptor = os.open(self.path, flags, 0o600)
            mode = os.fstat(descriptor).st_mode
            if not stat.S_ISREG(mode):
                os.close(descriptor)
                raise ConfigError(f"the budget file {self.path} is no regular file; remove it")
            if stat.S_IMODE(mode) != 0o600:
                os.fchmod(descriptor, 0o600)
        except OSError as error:
            raise ConfigError(
                f"the budget file {self.path} cannot be opened: {error.strerror}; it needs a writable directory"
            ) from error
        return descriptor

    def _after_fork(self) -> None:
        """A forked child shares its parent's lock with it, and so would have none: it opens the file for itself."""
        self._mutex = threading.Lock()
        self._fd = self._open()  # the parent's descriptor stays the parent's
        self._pid = os.getpid()

    def _lock(self) -> None:
        # Real time even under a test's clock: the other process that holds the lock lives in real time.
        deadline = time.monotonic() + caps.BUDGET_LOCK_WAIT_S_MAX
        pause_s = 0.0002
        while True:
            if self._fd < 0:
                raise self._refusal("it was closed")
            try:
                fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    raise self._refusal("a process that does not go on holds its lock") from None
                time.sleep(pause_s)
                pause_s = min(2 * pause_s, 0.005)
                continue
            if os.fstat(self._fd).st_nlink:
                return
            # Removed or replaced under us: the others share the new one.
            os.close(self._fd)
            self._fd = -1
            self._fd = self._open()

    def _refusal(self, why: str) -> LimitExceeded:
        return LimitExceeded(
            f"the budget file {self.path} cannot be used ({why}), so nothing is sent", retry_after_s=1.0
        )

    # -- record

    def _read(self) -> State:
        state = self._state
        state.now_ns = self._time.now_ns()
        state.dirty = False
        record = os.pread(self._fd, self._size + 1, 0)
        boot = self._parse(record, state)
        if boot is None or boot != self._boot or state.now_ns < self._written_ns:
            pause_wall_ns = state.pause_wall_ns if boot is not None else 0
            state.reset()
            state.offset_ns = self._time.wall_ns() - state.now_ns
            if pause_wall_ns:  # the venue counts a ban through our reboot
                left_ns = min(pause_wall_ns - self._time.wall_ns(), int(caps.BUDGET_PAUSE_S_MAX * NS))
                state.pause_ns, state.pause_wall_ns = state.now_ns + left_ns, pause_wall_ns
            self._remake(state, self._seen or (bool(record) and boot is None))
            state.dirty = True
        self._seen = True
        return state

    def _parse(self, record: bytes, state: State) -> bytes | None:
        """Fills `state`; the boot id of the record, None if it is none of ours."""
        if len(record) != self._size:
            return None
        magic, version, size, layout, boot, *times = _HEADER.unpack_from(record)
        if (magic, version, size, layout) != (MAGIC, VERSION, self._size, self._layout):
            return None
        (checksum,) = _CHECKSUM.unpack_from(record, self._size - _CHECKSUM.size)
        if zlib.crc32(record[: -_CHECKSUM.size]) != checksum:
            return None
        self._written_ns, state.offset_ns, state.error_ns, state.measured_ns = times[:4]
        state.pause_ns, state.pause_wall_ns, state.probe_ns = times[4:]
        at = _HEADER.size
        for meter in state.meters:
            meter.load(record, at)
            at += meter.size
        return bytes(boot)

    def _write(self, state: State) -> None:
        record = bytearray(self._size)
        _HEADER.pack_into(
            record,
            0,
            MAGIC,
            VERSION,
            self._size,
            self._layout,
            self._boot,
            state.now_ns,
            state.offset_ns,
            state.error_ns,
            state.measured_ns,
            state.pause_ns,
            state.pause_wall_ns,
            state.probe_ns,
        )
        at = _HEADER.size
        for meter in state.meters:
            meter.store(record, at)
            at += meter.size
        _CHECKSUM.pack_into(record, at, zlib.crc32(memoryview(record)[:at]))
        try:
            if os.fstat(self._fd).st_size > self._size:
                os.ftruncate(self._fd, self._size)
            written = os.pwrite(self._fd, record, 0)
        except OSError as error:
            raise self._refusal(error.strerror or "it cannot be written") from error
        if written != self._size:
            raise self._refusal("the disk is full")
