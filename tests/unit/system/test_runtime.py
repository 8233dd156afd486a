"""The runtime directory."""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from thespian_connector.model.errors import ConfigError, ConnectorError, NotRunning, UsageError
from thespian_connector.system.runtime import Runtime, SystemFile


@pytest.fixture
def runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Runtime]:
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/tmp/tc-unit-" + str(os.getpid()) + tmp_path.name[-8:])
    made = Runtime("r")
    made.create()
    yield made
    made.clear()
    for entry in sorted(made.path.parent.parent.rglob("*"), reverse=True):
        entry.rmdir() if entry.is_dir() else entry.unlink()
    made.path.parent.parent.rmdir()


def test_only_its_owner_may_look_into_it(runtime: Runtime) -> None:
    runtime.make_secret()
    assert stat.S_IMODE(runtime.path.stat().st_mode) == 0o700
    assert stat.S_IMODE(runtime.secret_file.stat().st_mode) == 0o600
    runtime.path.chmod(0o755)
    runtime.create()
    assert stat.S_IMODE(runtime.path.stat().st_mode) == 0o700, "an open one is closed again"


def test_each_life_has_a_secret_of_its_own(runtime: Runtime) -> None:
    first = runtime.make_secret()
    second = runtime.make_secret()
    assert first != second
    assert runtime.read_secret() == second
    assert len(second) == 32


def test_a_path_too_long_for_sockets_is_refused_before_anything_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / ("x" * 90)))
    with pytest.raises(ConfigError, match="XDG_RUNTIME_DIR"):
        Runtime("r").create()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("place", ["relative", "./here"])
def test_a_relative_runtime_directory_is_refused(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", place)
    with pytest.raises(ConfigError, match="not absolute"):
        Runtime("r")


@pytest.mark.parametrize("place", ["/dev/null", "/proc"])
def test_a_runtime_directory_that_cannot_be(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", place)
    with pytest.raises(ConfigError, match="set XDG_RUNTIME_DIR to a directory"):
        Runtime("r").create()
    assert Runtime("r").launcher_pid() is None
    with pytest.raises(NotRunning):
        Runtime("r").read_system()
    with pytest.raises(NotRunning):
        Runtime("r").read_secret()


@pytest.mark.parametrize("name", ["../x", "budgets", "", "a b", "x" * 5000, "a\n"])
def test_a_name_that_no_system_can_have(name: str) -> None:
    with pytest.raises(UsageError, match="can be no system's name") as caught:
        Runtime(name)
    assert len(str(caught.value)) < 250


@pytest.mark.parametrize(("name", "words"), [("default", "start --detach"), ("foo", "start --detach --system foo")])
def test_whoever_finds_nothing_is_told_how_to_start_it(name: str, words: str) -> None:
    assert str(Runtime(name).not_running()).endswith(f"start it with: thespian-connector {words}")


def test_without_xdg_it_is_in_the_temporary_directory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    assert Runtime("r").path.parent.name == f"thespian-connector-{os.getuid()}"


def test_a_system_runs_once(runtime: Runtime) -> None:
    assert runtime.launcher_pid() is None
    runtime.lock()
    assert runtime.launcher_pid() == os.getpid()
    with pytest.raises(ConnectorError, match="runs already"):
        Runtime("r").lock()
    runtime.clear()
    assert runtime.launcher_pid() is None


def test_the_system_file_survives_a_round_trip(runtime: Runtime) -> None:
    with pytest.raises(NotRunning):
        runtime.read_system()
    system = SystemFile("r", 1, 2, "127.0.0.1", "127.0.0.1:3", 4, None, "local", {"admin": 5}, 6)
    runtime.write_system(system)
    assert runtime.read_system() == system


def test_what_a_launcher_printed_stays_unless_it_is_nothing(runtime: Runtime) -> None:
    runtime.output_file.write_text("Segmentation fault")
    runtime.drop_empty_output()
    assert runtime.output_file.read_text() == "Segmentation fault"
    runtime.output_file.write_text("")
    runtime.drop_empty_output()
    runtime.drop_empty_output()
    assert not runtime.output_file.exists()


def test_clear_takes_sockets_and_secrets_and_leaves_the_log(runtime: Runtime) -> None:
    runtime.make_secret()
    for what in ("key", "secret"):
        runtime.key_file("bybit", what).write_text("x")
    runtime.log_file.write_text("{}\n")
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(str(runtime.path / "md.sock"))
    runtime.clear()
    assert [entry.name for entry in runtime.path.iterdir()] == ["log.jsonl"]
