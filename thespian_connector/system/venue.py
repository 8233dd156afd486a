"""The simulator as a child of the launcher: started for paper exchanges without URLs, and again when it dies.

Its listening sockets are the launcher's: a new life has the same ports, nobody else can take them meanwhile, and who
connects between two lives waits for the second instead of being refused.
"""

from __future__ import annotations

import json
import logging
import os
import select
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
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
    """The process, and the URLs that it serves; a new life serves the same ones."""

    def __init__(self, settings: SimulatorSettings, system: str) -> None:
        self._settings = settings
        self._system = system
        self._sockets: dict[str, int] = {}
        self.urls: dict[str, dict[str, str]] = {}
        self.control = ""
        self.pid = 0
        self.pidfd: int | None = None

    def start(self) -> None:
        """:raises ConnectorError: it does not come up; the message has its last words."""
        if not self._sockets:
            self._sockets = _listening({"binance": 0, "bybit": 0, "control": self._settings.control_port})
        arguments = ["--seed", str(self._settings.seed), "--json", "--listen-on", json.dumps(self._sockets)]
        arguments += ["--title", f"thespian-connector {self._system} simulator"]
        if self._settings.rate is not None:
            arguments += ["--rate", f"{self._settings.rate:g}"]
        launcher_pid = os.getpid()
        with process.inherited(self._sockets.values()):
            child = subprocess.Popen(  # noqa: S603 - our own interpreter and module
                [sys.executable, "-m", "thespian_connector.simulator", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                pass_fds=tuple(self._sockets.values()),
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

    @property
    def control_address(self) -> tuple[str, int]:
        url = urlsplit(self.control)
        return url.hostname or "", url.port or 0

    def kill(self) -> None:
        if self.pidfd is not None:
            process.kill(self.pidfd)

    def close(self) -> None:
        """Gives up the ports."""
        for fd in self._sockets.values():
            process.close_fd(fd)
        self._sockets.clear()

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
            raise ConnectorError(f"the simulator did not start: {ready['error']['message']}")
        self.urls = {venue: urls for venue, urls in ready.items() if isinstance(urls, dict)}
        self.control = str(ready["control"])

    def fill_in(self, settings: Settings) -> Settings:
        """`settings` with this simulator's URLs wherever a paper exchange names none."""
        exchanges = {}
        for exchange, one in settings.exchanges.items():
            if needs_simulator(one) and exchange in self.urls:
                exchanges[exchange] = structs.replace(one, urls=self.urls[exchange])
            else:
                exchanges[exchange] = one
        return structs.replace(settings, exchanges=exchanges)


def _listening(ports: Mapping[str, int]) -> dict[str, int]:
    """Name -> a descriptor that listens on loopback, at the port asked for (0: any).

    :raises ConnectorError: a port is taken.
    """
    opened: dict[str, int] = {}
    for name, port in ports.items():
        try:
            opened[name] = process.private_fd(socket.create_server(("127.0.0.1", port)).detach())
        except OSError as error:
            for fd in opened.values():
                process.close_fd(fd)
            raise ConnectorError(
                f"the simulator did not start: simulator.{name}_port {port}: {error.strerror or error};"
                " choose another port, or 0 for a free one"
            ) from None
    return opened
