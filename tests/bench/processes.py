"""What the kernel says of processes: memory, descriptors, threads, processor time."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple


class Memory(NamedTuple):
    """Kilobytes. `pss`: pages shared with others are divided among them, so that the sum over processes is true."""

    rss: int
    pss: int


def memory(pid: int) -> Memory | None:
    """None: it has ended."""
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii")
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return None
    fields = dict(line.split(":", 1) for line in text.splitlines()[1:])
    return Memory(int(fields["Rss"].split()[0]), int(fields["Pss"].split()[0]))


def descriptors(pid: int) -> int:
    try:
        return len(os.listdir(f"/proc/{pid}/fd"))
    except (FileNotFoundError, ProcessLookupError):
        return 0


def threads(pid: int) -> int:
    return len(_tasks(pid))


def cpu_ns(pid: int) -> int:
    """Time on a core of all its threads that live, from the scheduler: to the nanosecond, not in ticks of 10 ms."""
    total = 0
    for task in _tasks(pid):
        try:
            total += int(Path(f"/proc/{pid}/task/{task}/schedstat").read_text(encoding="ascii").split()[0])
        except (FileNotFoundError, ProcessLookupError):
            continue
    return total


def alive(pid: int) -> bool:
    """It runs: neither gone nor a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def _tasks(pid: int) -> list[str]:
    try:
        return os.listdir(f"/proc/{pid}/task")
    except (FileNotFoundError, ProcessLookupError):
        return []
