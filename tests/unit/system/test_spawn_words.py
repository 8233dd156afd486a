"""What starting and ending a system tell when they cannot."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest

from thespian_connector.model.errors import NotRunning
from thespian_connector.system import spawn
from thespian_connector.system.client import Client


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


def test_whoever_stops_nothing_is_not_told_to_start_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    with pytest.raises(NotRunning, match="no system 'mine' is running") as caught:
        spawn.stop("mine")
    assert "start" not in str(caught.value)
