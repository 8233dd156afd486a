"""A simulator in a process of its own, on free ports, and its control port as methods: the judge of the tests."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import socket
import subprocess
import sys
from types import TracebackType
from typing import Any, Self

import requests


def kept_port() -> int:
    """A free port that stays free while nobody listens there: not one of those that the kernel gives to whoever asks
    for any, as all the other tests do."""
    chance = random.SystemRandom()
    while True:
        port = chance.randrange(10_000, 30_000)
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            return port


class Simulator:
    """``with Simulator(seed=1) as simulator: ...``; further keywords become command line options (``rate=50``), a tuple
    one for each of its items."""

    def __init__(self, seed: int = 1, **options: object) -> None:
        arguments = ["--seed", str(seed), "--json"]
        for port in ("binance_port", "bybit_port", "control_port"):
            options.setdefault(port, 0)
        for name, value in options.items():
            for each in value if isinstance(value, tuple) else (value,):
                arguments += [f"--{name.replace('_', '-')}", str(each)]
        self._arguments = arguments
        self._http = requests.Session()
        self._http.trust_env = False

    def __enter__(self) -> Self:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "thespian_connector.simulator", *self._arguments],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise AssertionError(f"the simulator did not start: exit code {self.process.wait(60)}")
        ready = json.loads(line)
        assert ready["ready"] is True
        self.urls: dict[str, dict[str, str]] = {"binance": ready["binance"], "bybit": ready["bybit"]}
        self.control: str = ready["control"]
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._http.close()
        self.process.send_signal(signal.SIGCONT)
        self.process.terminate()
        try:
            code = self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(60)
            raise AssertionError("the simulator did not end within 10 s of SIGTERM") from None
        finally:
            assert self.process.stdout is not None
            self.process.stdout.close()
        if kind is None:
            assert code == 0, f"the simulator ended with {code}"

    def _call(self, method: str, path: str, **keywords: Any) -> Any:
        answer = self._http.request(method, self.control + path, timeout=60, **keywords)
        answer.raise_for_status()
        return answer.json()

    def book(self, venue: str, native: str, stream: str | None = None, update_id: int | None = None) -> Any:
        """The whole true book; None when it is no longer known (410)."""
        params = {k: v for k, v in (("stream", stream), ("update_id", update_id)) if v is not None}
        answer = self._http.get(f"{self.control}/truth/{venue}/book/{native}", params=params, timeout=60)
        if answer.status_code == 410:
            return None
        answer.raise_for_status()
        return answer.json()

    def truth(self, venue: str, what: str) -> Any:
        """`what`: usage, account, orders, balances or requests."""
        return self._call("GET", f"/truth/{venue}/{what}")

    def fault(self, venue: str, kind: str, **fields: object) -> str:
        """Adds a fault; returns its id."""
        return str(self._call("POST", "/faults", json={"venue": venue, "kind": kind, **fields})["id"])

    def fired(self, fault_id: str) -> int:
        faults = self._call("GET", "/faults")
        listed = faults["faults"] if isinstance(faults, dict) else faults
        return next(int(fault["fired"]) for fault in listed if str(fault["id"]) == fault_id)

    def delete_fault(self, fault_id: str) -> None:
        self._call("DELETE", f"/faults/{fault_id}")

    def clear_faults(self) -> None:
        self._call("DELETE", "/faults")

    def pause(self) -> None:
        self._call("POST", "/pause")

    def resume(self) -> None:
        self._call("POST", "/resume")
