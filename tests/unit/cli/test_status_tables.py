"""What people see of a status."""

from __future__ import annotations

from typing import Any

import pytest

from thespian_connector.cli.system import _print_tables


def test_a_count_that_is_assumed_is_marked(capsys: pytest.CaptureFixture[str]) -> None:
    def limit(name: str, known: str) -> dict[str, Any]:
        return {"exchange": "binance", "limit": name, "used": 7, "cap": 10, "window_s": 60, "known": known}

    system = {"name": "mine", "state": "running", "admin_port": 1, "control": None}
    limits = [limit("a", "counted"), limit("b", "assumed")]
    _print_tables({"system": system, "actors": [], "books": [], "limits": limits, "accounts": [], "breakers": []})
    lines = capsys.readouterr().out.splitlines()
    [counted] = [line for line in lines if " a " in line]
    [assumed] = [line for line in lines if " b " in line]
    assert " 7/10" in counted
    assert "assumed" not in counted
    assert "~7/10 assumed" in assumed


def test_how_an_account_is_heard_of(capsys: pytest.CaptureFixture[str]) -> None:
    system = {"name": "mine", "state": "running", "admin_port": 1, "control": None}
    refused = {
        "exchange": "binance",
        "ready": True,
        "stream": "the venue refuses the login: -2015",
        "in_doubt": 2,
        "durability": "power",
    }
    unread = {"exchange": "bybit", "ready": False, "why_not": "entry 7 is not what was written"}
    _print_tables(
        {"system": system, "actors": [], "books": [], "limits": [], "accounts": [refused, unread], "breakers": []}
    )
    lines = capsys.readouterr().out.splitlines()
    [binance] = [line for line in lines if " binance " in line]
    [bybit] = [line for line in lines if " bybit " in line]
    assert binance.split() == ["binance", "ready", "the", "venue", "refuses", "the", "login:", "-2015", "2", "power"]
    assert "entry 7 is not what was written" in bybit
