"""A system of its own, by the command line, in a runtime directory of its own; whatever happens, nothing is left."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from .simulator import Simulator
from .waiting import wait_until


def cmdline(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").strip().decode(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return ""


def zombie(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


class System:
    """``with System("exchanges.binance.depth=50") as system: system.start(); system.json("status")``."""

    def __init__(self, *overrides: str, config: Path | None = None) -> None:
        self.name = f"t{uuid.uuid4().hex[:8]}"
        self._overrides = [word for override in overrides for word in ("--set", override)]
        self._config = ["--config", str(config)] if config is not None else []
        # Not pytest's own directory: socket paths are short.
        self.directory = Path(tempfile.mkdtemp(prefix="tc-", dir="/tmp"))
        self.environment = {**os.environ, "XDG_RUNTIME_DIR": str(self.directory)}
        self.runtime = self.directory / "thespian-connector" / self.name
        self._seen: set[int] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        if kind is not None and (self.runtime / "log.jsonl").exists():
            print((self.runtime / "log.jsonl").read_text()[-6000:])
        for pid in self.pids():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        with contextlib.suppress(AssertionError):
            wait_until(lambda: not self.pids(), 60, "nothing is left")
        shutil.rmtree(self.directory, ignore_errors=True)

    # -- the command line

    def run(self, *words: str, timeout_s: float = 300) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "thespian_connector", "--system", self.name, *words]
        return subprocess.run(command, env=self.environment, capture_output=True, text=True, timeout=timeout_s)

    def start(self, *words: str) -> float:
        """``start --detach``; returns how long it took."""
        begun = time.monotonic()
        done = self.run("start", "--detach", *self._config, *self._overrides, *words)
        took = time.monotonic() - begun
        assert done.returncode == 0, done.stderr + self.log()
        self.pids()
        return took

    def foreground(self, *words: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "thespian_connector", "--system", self.name, "start", *self._config]
        return subprocess.Popen(
            [*command, *self._overrides, *words], env=self.environment, stderr=subprocess.PIPE, text=True
        )

    def json(self, *words: str) -> Any:
        done = self.run(*words, "--json")
        assert done.returncode == 0, done.stderr + self.log()
        return json.loads(done.stdout.splitlines()[-1])

    def log(self) -> str:
        try:
            return (self.runtime / "log.jsonl").read_text()[-4000:]
        except FileNotFoundError:
            return ""

    # -- the processes

    def pids(self) -> dict[int, str]:
        """pid -> name of every process of the system that runs: by title, and the simulator by its parent."""
        head = f"thespian-connector {self.name} "
        found: dict[int, str] = {}
        for entry in os.listdir("/proc"):
            if entry.isdigit() and (line := cmdline(int(entry))).startswith(head) and not zombie(int(entry)):
                found[int(entry)] = line.removeprefix(head)
        self._seen.update(found)
        launchers = {pid for pid, name in found.items() if name == "launcher"}
        for entry in os.listdir("/proc"):
            if not entry.isdigit() or "thespian_connector.simulator" not in cmdline(int(entry)):
                continue
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                parent = int(Path(f"/proc/{entry}/stat").read_text().rpartition(")")[2].split()[1])
                if (parent in launchers or int(entry) in self._seen) and not zombie(int(entry)):
                    found[int(entry)] = "simulator"
                    self._seen.add(int(entry))
        return found

    def pid(self, name: str) -> int:
        return next(pid for pid, other in self.pids().items() if other == name)

    def sockets(self) -> list[str]:
        return [entry.name for entry in self.runtime.iterdir() if entry.is_socket()] if self.runtime.is_dir() else []

    def gone(self, timeout_s: float) -> float:
        """Seconds until no process of the system is left."""
        begun = time.monotonic()
        wait_until(lambda: not self.pids(), timeout_s, f"no process of {self.name} is left: {self.pids()}", 0.01)
        return time.monotonic() - begun


def traded_at(simulator: Simulator) -> tuple[list[str], dict[str, str]]:
    """(settings, environment variables): a system with accounts at a simulator that is not its own."""
    overrides, keys = [], {}
    for exchange, urls in simulator.urls.items():
        overrides += [f"exchanges.{exchange}.urls.{name}={url}" for name, url in urls.items()]
        account = simulator.truth(exchange, "account")
        for setting, value in (("api_key", account["api_key"]), ("api_secret", account["secret"])):
            variable = f"TC_{exchange}_{setting}".upper()
            overrides.append(f"exchanges.{exchange}.{setting}=env:{variable}")
            keys[variable] = value
    return overrides, keys
