"""Where log lines go, and how many: one file for all processes, moved aside when it is large; floods are cut short."""

from __future__ import annotations

import fcntl
import logging
import os
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from thespian_connector.limits import (
    LOG_BURST_RECORDS,
    LOG_BYTES_MAX,
    LOG_FILES_KEPT,
    LOG_KEYS_MAX,
    LOG_PROCESS_BURST_RECORDS,
    LOG_PROCESS_RECORDS_A_S,
    LOG_QUIET_S,
    LOG_RECORDS_A_S,
)


class LineFile(logging.Handler):
    """Appends each record by one ``write``, so that the lines of several processes do not mix.

    :param bytes_max: a file that has grown past it becomes ``<filename>.1``, that one ``.2``, and so on; whoever
        notices first moves them, and the others open the new file at their next record.
    :param kept: how many such older files there are at most.
    """

    def __init__(self, filename: str, bytes_max: int = LOG_BYTES_MAX, kept: int = LOG_FILES_KEPT) -> None:
        super().__init__()
        self._path = Path(filename)
        self._bytes_max = bytes_max
        self._kept = kept
        self._fd = -1
        self._opened_by = 0
        self._identity = (0, 0)
        self._reopen()  # what cannot be written is said at start

    def emit(self, record: logging.LogRecord) -> None:
        try:
            line = (self.format(record) + "\n").encode(errors="replace")
            if self._opened_by != os.getpid() or self._on_disk() != self._identity:
                self._reopen()
            os.write(self._fd, line)
            if os.fstat(self._fd).st_size > self._bytes_max:
                self._move_aside()
        except Exception:  # noqa: BLE001 - as logging's own handlers: a log that cannot be written stops nobody
            self.handleError(record)

    def close(self) -> None:
        self._close()
        super().close()

    def _on_disk(self) -> tuple[int, int]:
        try:
            found = os.stat(self._path)
        except FileNotFoundError:
            return (0, 0)
        return found.st_dev, found.st_ino

    def _reopen(self) -> None:
        """A forked process gets a descriptor of its own: the lock in :meth:`_move_aside` is the descriptor's."""
        self._close()
        self._fd = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._opened_by = os.getpid()
        found = os.fstat(self._fd)
        self._identity = (found.st_dev, found.st_ino)

    def _close(self) -> None:
        """Thespian closes descriptors in what it forks: the number may be somebody else's by now."""
        fd, self._fd = self._fd, -1
        try:
            found = os.fstat(fd)
        except OSError:
            return
        if (found.st_dev, found.st_ino) == self._identity:
            os.close(fd)

    def _move_aside(self) -> None:
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return  # another process is at it
        if self._on_disk() == self._identity:
            for number in range(self._kept - 1, 0, -1):
                older = self._numbered(number)
                if older.exists():
                    older.replace(self._numbered(number + 1))
            if self._kept:
                self._path.replace(self._numbered(1))
            else:
                self._path.unlink()
        self._reopen()

    def _numbered(self, number: int) -> Path:
        return self._path.with_name(f"{self._path.name}.{number}")


class Readable(logging.Formatter):
    """For people: one line, and how many like it were not shown."""

    def format(self, record: logging.LogRecord) -> str:
        text = super().format(record)
        suppressed = getattr(record, "suppressed", 0)
        return f"{text} ({suppressed} more like this were suppressed)" if suppressed else text


@dataclass
class _Bucket:
    """A token bucket: `tokens` records may pass now; what did not pass is counted."""

    tokens: float
    seen: float
    suppressed: int = 0

    def take(self, now: float, burst: float, rate: float) -> bool:
        self.tokens = min(burst, self.tokens + (now - self.seen) * rate)
        self.seen = now
        if self.tokens < 1:
            return False
        self.tokens -= 1
        return True


_Key = tuple[str, int, str]


class FloodLimit(logging.Filter):
    """Lets LOG_BURST_RECORDS of one message (logger, level, text before its arguments) pass at once and
    LOG_RECORDS_A_S after that, and so for the whole process. The next one that passes says how many did not
    (`suppressed`); when none follows, any other record of the process brings the number along.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._monotonic = monotonic
        self._buckets: OrderedDict[_Key, _Bucket] = OrderedDict()
        self._process = _Bucket(LOG_PROCESS_BURST_RECORDS, monotonic())
        self._new_lock()
        os.register_at_fork(after_in_child=self._new_lock)

    def _new_lock(self) -> None:
        self._lock = threading.Lock()

    def filter(self, record: logging.LogRecord) -> bool:
        """Each record is judged once, however many handlers it comes to."""
        decided: bool | None = getattr(record, "_passes", None)
        if decided is not None:
            return decided
        with self._lock:
            now = self._monotonic()
            passes = self._judge(record, now)
            owed = self._owed(now) if passes else []
        record._passes = passes
        for told in owed:
            logging.getLogger(told.name).handle(told)
        return passes

    def _judge(self, record: logging.LogRecord, now: float) -> bool:
        key = (record.name, record.levelno, str(record.msg))
        bucket = self._buckets.get(key)
        if bucket is None:
            bucket = self._buckets[key] = _Bucket(LOG_BURST_RECORDS, now)
            if len(self._buckets) > LOG_KEYS_MAX:
                self._buckets.popitem(last=False)
        self._buckets.move_to_end(key)
        if not bucket.take(now, LOG_BURST_RECORDS, LOG_RECORDS_A_S) or not self._process.take(
            now, LOG_PROCESS_BURST_RECORDS, LOG_PROCESS_RECORDS_A_S
        ):
            bucket.suppressed += 1
            return False
        if bucket.suppressed:
            record.suppressed, bucket.suppressed = bucket.suppressed, 0
        return True

    def _owed(self, now: float) -> list[logging.LogRecord]:
        """What was suppressed and did not come again."""
        told = []
        for (name, level, text), bucket in self._buckets.items():
            if bucket.suppressed and now - bucket.seen > LOG_QUIET_S:
                record = logging.LogRecord(name, level, "", 0, "suppressed: %s", (text,), None)
                record.suppressed, record._passes = bucket.suppressed, True
                bucket.suppressed = 0
                told.append(record)
        return told
