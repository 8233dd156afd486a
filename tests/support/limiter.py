"""Starting, killing and judging processes that share one budget."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_TESTS = Path(__file__).resolve().parent.parent


class Clients:
    """Processes of `support.limiter_client`, all with the same options."""

    def __init__(self, **options: Any) -> None:
        self._options = {"limits": None, "query": "", "weight": 1, "threads": 2, **options}
        self.running: list[subprocess.Popen[str]] = []

    def start(self, **options: Any) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "support.limiter_client", json.dumps({**self._options, **options})]
        process = subprocess.Popen(command, cwd=_TESTS, stdout=subprocess.PIPE, text=True)
        self.running.append(process)
        return process

    def kill(self, process: subprocess.Popen[str]) -> None:
        process.kill()
        process.communicate()
        self.running.remove(process)

    def counts(self, timeout_s: float) -> list[dict[str, int]]:
        """Waits for all to end."""
        counts = []
        for process in self.running:
            out, _ = process.communicate(timeout=timeout_s)
            assert process.returncode == 0
            counts.append(json.loads(out))
        return counts


@contextmanager
def clients(**options: Any) -> Iterator[Clients]:
    started = Clients(**options)
    try:
        yield started
    finally:
        for process in started.running:
            process.kill()
            process.communicate()
