"""What the lives of one component tell each other about commands that crashed their handler."""

from __future__ import annotations

from pathlib import Path

import pytest

from thespian_connector.actors.messages import Context, Request, pack
from thespian_connector.actors.poison import CrashMemory, crash_file, identity
from thespian_connector.limits import COMMAND_CRASHES_MAX, COMMAND_CRASHES_REMEMBERED_MAX, COMMAND_SHOWN_CHARS_MAX


def command(operation: str = "trades", correlation: str = "1", **arguments: object) -> Request:
    return Request(7, correlation, operation, pack(arguments), 3.0)


def test_a_repeated_command_is_the_same_and_another_is_not() -> None:
    first = identity(command(symbol="BTC/USDT", limit=5, deadline_mono_ns=1))
    assert identity(command(limit=5, symbol="BTC/USDT", correlation="2", deadline_mono_ns=2)) == first
    others = [
        command(symbol="BTC/USDT", limit=6),
        command("ticker", symbol="BTC/USDT", limit=5),
        Request(7, "1", "trades", b"\xc1 no msgpack"),
        Request(7, "1", "trades"),
    ]
    assert len({first, *map(identity, others)}) == 5


def test_each_life_remembers_those_before_it(tmp_path: Path) -> None:
    file = tmp_path / "x.crashes"
    for life in range(COMMAND_CRASHES_MAX):
        memory = CrashMemory(file)
        assert memory.refusal("gateway", command(limit="x")) is None, f"life {life} tries it"
        memory.note(command(limit="x"))
    memory = CrashMemory(file)
    refusal = memory.refusal("gateway", command(limit="x"))
    assert refusal is not None
    assert str(refusal).startswith('gateway refuses trades {"limit":"x"}: it crashed its handler 2 times.')
    assert memory.refusal("gateway", command(limit=5)) is None


def test_the_oldest_crashes_are_forgotten(tmp_path: Path) -> None:
    file = tmp_path / "x.crashes"
    memory = CrashMemory(file)
    for limit in [*["old"] * COMMAND_CRASHES_MAX, *range(COMMAND_CRASHES_REMEMBERED_MAX - 1), "new", "new"]:
        memory.note(command(limit=limit))
    memory = CrashMemory(file)
    assert memory.refusal("x", command(limit="old")) is None
    assert memory.refusal("x", command(limit="new")) is not None
    assert len(file.read_text().splitlines()) == COMMAND_CRASHES_REMEMBERED_MAX


def test_a_long_command_is_cut_in_the_error_and_one_without_readable_arguments_is_named(tmp_path: Path) -> None:
    memory = CrashMemory(tmp_path / "x.crashes")
    unreadable = Request(7, "1", "trades", b"\xc1")
    for one in [command(limit="y" * 5000), unreadable] * COMMAND_CRASHES_MAX:
        memory.note(one)
    memory = CrashMemory(tmp_path / "x.crashes")
    assert len(str(memory.refusal("x", command(limit="y" * 5000)))) < COMMAND_SHOWN_CHARS_MAX + 300
    assert "refuses trades (arguments that cannot be read)" in str(memory.refusal("x", unreadable))


def test_what_cannot_be_written_hides_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    CrashMemory(tmp_path / "gone" / "x.crashes").note(command())
    assert "cannot be remembered" in caplog.text


def test_each_component_has_a_file_of_its_own(tmp_path: Path) -> None:
    context = Context("s", "local", str(tmp_path), 1)
    names = ["exchange/binance/gateway", "exchange/binance/market-data/0", "exchange/binance", "root"]
    files = {crash_file(context, name) for name in names}
    assert len(files) == 4
    assert {file.parent for file in files} == {tmp_path}
