"""A start that is ended while it waits leaves nothing, however it is ended."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest
from support.system import System
from support.waiting import wait_until


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGKILL], ids=lambda one: one.name)
def test_a_start_that_is_ended_leaves_nothing(number: signal.Signals) -> None:
    unreachable = "exchanges.binance.urls={rest='http://127.0.0.1:9',stream='ws://127.0.0.1:9'}"
    with System(unreachable, "exchanges.bybit.enabled=false") as system:
        words = ["--set", unreachable, "--set", "exchanges.bybit.enabled=false", "--system", system.name]
        command = [sys.executable, "-m", "thespian_connector", *words, "start", "--detach", "--wait", "live"]
        outer = signal.signal(signal.SIGHUP, signal.SIG_DFL)  # the tests may run under nohup, which is minded
        starter = subprocess.Popen(command, env=system.environment, stderr=subprocess.PIPE, text=True)
        signal.signal(signal.SIGHUP, outer)
        wait_until(lambda: "root" in system.pids().values(), 60, "the system is up, and never LIVE")
        starter.send_signal(number)
        _, said = starter.communicate(timeout=60)
        if number == signal.SIGKILL:
            system.gone(60)
        assert not system.pids()
        assert starter.returncode == (-number if number == signal.SIGKILL else 130)
        assert "Traceback" not in said
