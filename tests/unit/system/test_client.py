"""A question to a running system, and what becomes of it when the one who was asked has ended."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from thespian_connector.actors.messages import Reply, Request, pack
from thespian_connector.model.errors import DeadlineExceeded, NotRunning
from thespian_connector.system import contexts
from thespian_connector.system.client import Client
from thespian_connector.system.runtime import Runtime, SystemFile

FIRST = SystemFile("r", 1, 9, "127.0.0.1", "127.0.0.1:9", 1000, None, "local", {}, 0)


class Scripted:
    """Thespian's side: what each wait for an answer brings; the last one again and again."""

    def __init__(self, *waits: Callable[[], Reply | None]) -> None:
        self.waits = list(waits)
        self.asked: list[Request] = []

    def ask(self, _root: object, request: Request, timeout_s: float) -> Reply | None:
        self.asked.append(request)
        return self.listen(timeout_s)

    def listen(self, timeout_s: float) -> Reply | None:
        assert timeout_s < 1, "it looks around several times a second"
        return (self.waits.pop(0) if len(self.waits) > 1 else self.waits[0])()

    def answer(self) -> Reply:
        return Reply(0, self.asked[-1].correlation, True, pack({"books": 4}))

    def answer_to_an_older_question(self) -> Reply:
        return Reply(0, "older", True, pack({"books": 1}))


def nothing() -> None:
    return None


@pytest.fixture
def runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Runtime:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    runtime = Runtime("r")
    runtime.path.mkdir(parents=True)
    runtime.write_system(FIRST)
    return runtime


def ask(runtime: Runtime, scripted: Scripted, monkeypatch: pytest.MonkeyPatch, timeout_s: float) -> dict[str, int]:
    @contextlib.contextmanager
    def private(_system: SystemFile, _runtime: Runtime) -> Iterator[Scripted]:
        yield scripted

    monkeypatch.setattr(contexts, "private", private)
    monkeypatch.setattr(Runtime, "launcher_pid", lambda _: 1)
    return Client(runtime).ask("ping", {}, dict[str, int], timeout_s)


def test_an_answer_is_waited_for_and_others_are_passed_over(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    scripted = Scripted(nothing, lambda: scripted.answer_to_an_older_question(), nothing, lambda: scripted.answer())
    assert ask(runtime, scripted, monkeypatch, 60) == {"books": 4}
    assert len(scripted.asked) == 1


def test_a_restart_of_the_system_ends_the_wait(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    def renew() -> None:
        runtime.write_system(msgspec.structs.replace(FIRST, root_incarnation=2000))

    with pytest.raises(NotRunning, match="restarting; ask again"):
        ask(runtime, Scripted(nothing, renew), monkeypatch, 60)


def test_the_end_of_the_system_ends_the_wait(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(NotRunning):
        ask(runtime, Scripted(nothing, lambda: runtime.system_file.unlink(missing_ok=True)), monkeypatch, 60)


def test_a_restart_of_the_host_agent_alone_does_not(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    def renew() -> None:
        runtime.write_system(msgspec.structs.replace(FIRST, processes={"hostagent/local": 77}))

    scripted = Scripted(nothing, renew, nothing, lambda: scripted.answer())
    assert ask(runtime, scripted, monkeypatch, 60) == {"books": 4}


def test_a_system_that_is_silent_is_late(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DeadlineExceeded, match="did not answer ping"):
        ask(runtime, Scripted(nothing), monkeypatch, 0.05)
