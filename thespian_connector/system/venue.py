"""The simulator as a child of the launcher: started for paper exchanges without URLs, and again when it dies."""

from __future__ import annotations

import json
import logging
import os
import select
import subprocess
import sys
import time
from typing import Any
from urllib.parse import urlsplit

from msgspec import structs

from thespian_connector.actors import process
from thespian_connector.actors.settings import ExchangeSettings, Settings, SimulatorSettings
from thespian_connector.model import Environment
from thespian_connector.model.errors import ConnectorError

logger = logging.getLogger(__name__)

_READY_S_MAX = 15.0
_LINE_BYTES_MAX = 65536


def needs_simulator(one: ExchangeSettings) -> bool:
    return one.enabled and one.environment is Environment.PAPER and not one.urls


class Simulator:
    """The process, and the URLs that it serves; a new life gets the same ports."""

    def __init__(self, settings: SimulatorSettings, system: str) -> None:
        self._settings = settings
        self._system = system
        self._ports: dict[str, int] = {}
        self.urls: dict[str, dict[str, str]] = {}
        self.control = ""
        self.pid = 0
        self.pidfd: int | None = None
        self.restarts = -1

    def start(self) -> None:
        """:raises ConnectorError: it does not come up; the message has its last words."""
        arguments = ["--seed", str(self._settings.seed), "--json"]
        if self._settings.rate is not None:
            arguments += ["--rate", f"{self._settings.rate:g}"]
        ports = {"binance": 0, "bybit": 0, "control": self._settings.control_port} | self._ports
        for name, port in ports.items():
            arguments += [f"--{name}-port", str(port)]
        launcher_pid = os.getpid()
        child = subprocess.Popen(  # noqa: S603 - our own interpreter and module
            [sys.executable, "-m", "thespian_connector.simulator", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            preexec_fn=lambda: process.die_with_parent(launcher_pid),  # noqa: PLW1509 - the launcher has one thread
        )
        self.pid = child.pid
        self.pidfd = process.open_pidfd(child.pid)
        assert child.stdout is not None
        try:
            self._read_ready(child.stdout.fileno())
        finally:
            child.stdout.close()
            child.returncode = 0  # the launcher reaps its children itself
        self.restarts += 1

    def kill(self) -> None:
        if self.pidfd is not None:
            process.kill(self.pidfd)

    def _read_ready(self, fd: int) -> None:
        line, deadline = b"", time.monotonic() + _READY_S_MAX
        while b"\n" not in line:
            left = deadline - time.monotonic()
            readable = select.select([fd], [], [], max(0.0, left))[0]
            chunk = os.read(fd, _LINE_BYTES_MAX) if readable else b""
            if not chunk:
                self.kill()
                raise ConnectorError("the simulator did not start; try: thespian-connector simulate --json")
            line += chunk
        ready: dict[str, Any] = json.loads(line)
        if "error" in ready:
            self.kill()
            words = str(ready["error"]["message"]).replace("--control-port", "simulator.control_port")
            raise ConnectorError(f"the simulator did not start: {words}")
        self.urls = {venue: urls for venue, urls in ready.items() if isinstance(urls, dict)}
        self.control = str(ready["control"])
        self._ports = {
            "binance": _port(self.urls["binance"]["rest"]),
            "bybit": _port(self.urls["bybit"]["rest"]),
            "control": _port(self.control),
        }

    def fill_in(self, settings: Settings) -> Settings:
        """`settings` with this simulator's URLs wherever a paper exchange names none."""
        exchanges = {}
        for exchange, one in settings.exchanges.items():
            if needs_simulator(one) and exchange in self.urls:
                exchanges[exchange] = structs.replace(one, urls=self.urls[exchange])
            else:
                exchanges[exchange] = one
        return structs.replace(settings, exchanges=exchanges)


def _port(url: str) -> int:
    return urlsplit(url).port or 0
