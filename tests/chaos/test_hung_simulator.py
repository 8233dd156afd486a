"""A simulator that spins: it runs, and its kernel accepts connections, but nobody answers them."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest
from support.paper import actors, healed
from support.system import System

from thespian_connector import Connector

#: Read by every interpreter at its start: how to make a process of ours spin on a signal.
SPINS = """
import signal, sys
def spin(*_):
    while True:
        pass
if "thespian_connector.simulator" in sys.orig_argv:
    signal.signal(signal.SIGUSR2, spin)
"""


def test_it_is_found_and_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sitecustomize.py").write_text(SPINS)
    with System() as system:
        system.environment["PYTHONPATH"] = str(tmp_path)
        system.start("--wait", "live", "--timeout", "120")
        monkeypatch.setenv("XDG_RUNTIME_DIR", str(system.directory))
        with Connector.attach(system.name) as connector:
            before = connector.status()
            rows = actors(before)
            begun = time.monotonic()
            os.kill(rows["simulator"]["pid"], signal.SIGUSR2)
            _, after = healed(connector, {"simulator": rows["simulator"]}, 120)
            print(f"\nsimulator spins: all LIVE again after {time.monotonic() - begun:.2f} s")
            assert actors(after)["simulator"]["restarts"] == 1
            assert after["system"]["control"] == before["system"]["control"]
            unchanged = {name for name, row in actors(after).items() if row["pid"] == rows[name]["pid"]}
            assert unchanged == set(rows) - {"simulator"}
