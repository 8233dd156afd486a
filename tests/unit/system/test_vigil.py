"""The launcher's watch over what no supervisor watches, with a clock that the test moves."""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from support.waiting import wait_until

from thespian_connector.actors.nudge import Nudge
from thespian_connector.limits import LAUNCHER_STOPPED_S_MAX, TOP_SILENT_S_MAX
from thespian_connector.system.vigil import Beat, Knock, Vigil, Watch


class World:
    def __init__(self, directory: Path) -> None:
        self.now = 0.0
        self.stopped = False
        self.root = directory / "root.beat"
        self._beats = 0
        watches = [
            Watch("root", Beat(self.root), TOP_SILENT_S_MAX),
            Watch("admin", lambda: not self.stopped, TOP_SILENT_S_MAX),
        ]
        self.vigil = Vigil(watches, lambda: self.now)

    def second(self, beat: bool = True) -> list[str]:
        self.now += 1.0
        if beat:
            self._beats += 1
            self.root.touch()
            os.utime(self.root, ns=(self._beats, self._beats))
        return self.vigil.silent()


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def seconds_to_verdict(world: World, **keywords: bool) -> tuple[int, list[str]]:
    for second in range(1, 20):
        verdict = world.second(**keywords)
        if verdict:
            return second, verdict
    raise AssertionError("nobody was found silent")


def test_who_beats_lives(world: World) -> None:
    assert [world.second() for _ in range(60)] == [[]] * 60


def test_who_falls_silent_is_named(world: World) -> None:
    world.second()
    took, names = seconds_to_verdict(world, beat=False)
    assert names == ["root"]
    assert TOP_SILENT_S_MAX <= took <= TOP_SILENT_S_MAX + 2


def test_who_never_beats_is_named_too(world: World) -> None:
    assert seconds_to_verdict(world, beat=False)[1] == ["root"]


def test_a_stopped_admin_is_named(world: World) -> None:
    world.second()
    world.stopped = True
    assert seconds_to_verdict(world)[1] == ["admin"]


def test_all_who_hang_are_named_once_in_their_limit(world: World) -> None:
    world.stopped = True
    assert seconds_to_verdict(world, beat=False)[1] == ["root", "admin"]
    assert world.second(beat=False) == [], "what replaces them gets the same time"


def test_an_admin_stopped_for_a_moment_is_not(world: World) -> None:
    for _ in range(10):
        world.stopped = True
        assert world.second() == []
        world.stopped = False
        assert world.second() == []


def test_a_launcher_that_was_stopped_itself_blames_nobody(world: World) -> None:
    world.second()
    world.now += 100
    assert world.vigil.silent() == []
    assert world.second(beat=False) == []


def test_a_knock_is_answered_by_who_looks_after_his_socket_only() -> None:
    """The kernel's accepting is no answer."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        knock = Knock(server.getsockname())
        assert not any(knock() for _ in range(50))
        answering = threading.Thread(target=lambda: server.accept()[0].close())
        answering.start()
        wait_until(knock, 60, "closing it is")
        answering.join()
        knock.close()
        again = Knock(server.getsockname())
        assert not any(again() for _ in range(50)), "each knock wants an answer of its own"
        again.close()


def test_where_nobody_listens_nobody_hangs() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = server.getsockname()
    knock = Knock(address)
    wait_until(knock, 60, "refused: the end of a process is seen otherwise")


@pytest.fixture
def nudge() -> tuple[Nudge, set[int], list[tuple[int, int]]]:
    stopped: set[int] = set()
    sent: list[tuple[int, int]] = []
    return Nudge(7, lambda pid: pid in stopped, lambda pid, number: sent.append((pid, number))), stopped, sent


def looks(look: Callable[[float], None], first: int, last: int) -> None:
    for tick in range(first * 4, last * 4):
        look(tick / 4)


def test_a_stopped_launcher_is_told_to_go_on(nudge: tuple[Nudge, set[int], list[tuple[int, int]]]) -> None:
    one, stopped, sent = nudge
    looks(one.look, 0, 10)
    assert sent == []
    stopped.add(7)
    looks(one.look, 10, 10 + int(LAUNCHER_STOPPED_S_MAX))
    assert sent == [], "a debugger may stop it for a moment"
    looks(one.look, 10 + int(LAUNCHER_STOPPED_S_MAX), 15)
    assert sent == [(7, signal.SIGCONT)]


def test_when_both_were_stopped_it_has_time_to_go_on_by_itself(
    nudge: tuple[Nudge, set[int], list[tuple[int, int]]],
) -> None:
    one, stopped, sent = nudge
    looks(one.look, 0, 5)
    stopped.add(7)
    looks(one.look, 5, 6)
    one.look(100.0)
    assert sent == []
