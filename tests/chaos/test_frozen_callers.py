"""Programs that attach, ask, and then stand still: the system does not notice."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest
from support.paper import actors, all_run
from support.system import System
from support.waiting import wait_until

from thespian_connector import Connector
from thespian_connector.actors import process

UNREACHABLE = (
    "exchanges.binance.urls.rest=http://127.0.0.1:9",
    "exchanges.binance.urls.stream=ws://127.0.0.1:9",
    "exchanges.bybit.enabled=false",
)
#: More than the messages that Thespian lets one actor have under way to others, as shipped (20).
THREADS = 30

#: Each thread asks, and the program stops itself while the answers are on their way.
CALLER = f"""
import os, signal, sys, threading, time
from thespian_connector import Connector
from thespian_connector.model.errors import ConnectorError
connector = Connector.attach(sys.argv[1])
ready = threading.Barrier({THREADS} + 1)
def ask():
    ready.wait()
    try:
        connector.status()
    except ConnectorError:
        pass
for _ in range({THREADS}):
    threading.Thread(target=ask, daemon=True).start()
print("attached", flush=True)
sys.stdin.readline()
ready.wait()
time.sleep(0.3)
os.kill(os.getpid(), signal.SIGSTOP)
"""


def test_callers_that_stand_still_silence_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    with System(*UNREACHABLE) as system:
        system.start()
        monkeypatch.setenv("XDG_RUNTIME_DIR", str(system.directory))
        with Connector.attach(system.name) as connector:
            wait_until(lambda: all_run(connector), 60, "all run")
            before = {name: row["pid"] for name, row in actors(connector.status()).items()}
            callers = [
                subprocess.Popen(
                    [sys.executable, "-c", CALLER, system.name],
                    env=system.environment,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    text=True,
                )
                for _ in range(2)
            ]
            try:
                for caller in callers:
                    assert caller.stdout is not None
                    assert caller.stdout.readline() == "attached\n"
                # Root waits half a second for a gateway that is silent, and answers when the callers stand still.
                os.kill(before["exchange/binance/gateway"], signal.SIGSTOP)
                for caller in callers:
                    assert caller.stdin is not None
                    caller.stdin.write("go\n")
                    caller.stdin.flush()
                for caller in callers:
                    wait_until(lambda pid=caller.pid: process.is_stopped(pid), 60, "it stands still")
                os.kill(before["exchange/binance/gateway"], signal.SIGCONT)
                slowest = 0.0
                until = time.monotonic() + 8  # longer than a supervisor waits for an answer to its probe
                while time.monotonic() < until:
                    begun = time.monotonic()
                    after = {name: row["pid"] for name, row in actors(connector.status()).items()}
                    slowest = max(slowest, time.monotonic() - begun)
                    assert after == before
            finally:
                for caller in callers:
                    os.kill(caller.pid, signal.SIGKILL)
                    caller.wait(60)
                    for stream in (caller.stdin, caller.stdout):
                        assert stream is not None
                        stream.close()
            print(f"\nstatus beside {len(callers) * THREADS} frozen questions: at most {slowest * 1000:.0f} ms")
