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
    _print_tables({"system": system, "actors": [], "books": [], "limits": limits, "breakers": []})
    lines = capsys.readouterr().out.splitlines()
    [counted] = [line for line in lines if " a " in line]
    [assumed] = [line for line in lines if " b " in line]
    assert " 7/10" in counted
    assert "assumed" not in counted
    assert "~7/10 assumed" in assumed
