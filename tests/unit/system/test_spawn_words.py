"""What starting and ending a system tell when they cannot."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any, cast

import pytest

from thespian_connector.model.errors import ConnectorError, DeadlineExceeded, NotRunning
from thespian_connector.system import spawn
from thespian_connector.system.client import Client
from thespian_connector.system.runtime import Runtime, SystemFile


class Asked:
    """Answers like a system one of whose books cannot become LIVE."""

    def ask(self, operation: str, _arguments: object, _kind: object, timeout_s: float) -> Any:
        del timeout_s
        books = [
            {"exchange": "bybit", "symbol": "BTC/USDT", "trust": "LIVE", "reason": ""},
            {"exchange": "bybit", "symbol": "NO/SUCH", "trust": "SYNCING", "reason": "the venue lists no such"},
            {"exchange": "binance", "symbol": "BTC/USDT", "trust": "SYNCING", "reason": ""},
        ]
        return {"books": len(books)} if operation == "ping" else {"books": books}


def test_what_is_waited_for_is_told_with_its_reason() -> None:
    why = spawn._not_ready(cast(Client, Asked()), wait_live=True)
    assert why == "not LIVE: bybit NO/SUCH SYNCING (the venue lists no such), binance BTC/USDT SYNCING"


@pytest.mark.parametrize("operation", ["status", "ping"])
def test_who_does_not_answer_in_time_is_asked_again(operation: str) -> None:
    """On a busy machine any question may be answered too late: that is no reason to end what was started."""

    class Late(Asked):
        def ask(self, asked: str, *arguments: Any, **keywords: Any) -> Any:
            if asked == operation:
                raise DeadlineExceeded("no answer within 1 s")
            return super().ask(asked, *arguments, **keywords)

    assert spawn._not_ready(cast(Client, Late()), wait_live=True) == spawn._SILENT


def test_whoever_stops_nothing_is_not_told_to_start_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    with pytest.raises(NotRunning, match="no system 'mine' is running") as caught:
        spawn.stop("mine")
    assert "start" not in str(caught.value)


@pytest.mark.parametrize("ready", [False, True])
def test_of_two_starts_at_once_the_second_is_told_that_the_system_runs(
    ready: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether its own launcher has found that out, or not yet: then the other's system answers."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setattr(spawn, "_not_ready", lambda *_: "" if ready else "it does not answer yet")
    runtime = Runtime("mine")
    runtime.path.mkdir(parents=True)
    first = Runtime("mine")
    first.lock()
    first.write_system(SystemFile("mine", os.getpid(), 2, "127.0.0.1", "127.0.0.1:3", 4, None, "local", {}, 6))
    child = subprocess.Popen([sys.executable, "-c", "raise SystemExit(1)"])
    try:
        with pytest.raises(ConnectorError, match=r"^the system 'mine' runs already; stop it first"):
            spawn._wait_ready(runtime, child, 60.0, False, lambda _: None)
    finally:
        child.wait()
        first.clear()
