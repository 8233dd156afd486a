"""The launcher's watch over Root, HostAgent and the admin, with a clock that the test moves."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from thespian_connector.limits import TOP_SILENT_S_MAX
from thespian_connector.system.vigil import Vigil


class World:
    def __init__(self, directory: Path) -> None:
        self.now = 0.0
        self.stopped: set[int] = set()
        self.root = directory / "root.beat"
        self._beats = 0
        self.vigil = Vigil({"root": self.root}, {"admin": 7}, lambda: self.now, lambda pid: pid in self.stopped)

    def second(self, beat: bool = True) -> str | None:
        self.now += 1.0
        if beat:
            self._beats += 1
            self.root.touch()
            os.utime(self.root, ns=(self._beats, self._beats))
        return self.vigil.silent()


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def seconds_to_verdict(world: World, **keywords: bool) -> tuple[int, str]:
    for second in range(1, 20):
        verdict = world.second(**keywords)
        if verdict is not None:
            return second, verdict
    raise AssertionError("nobody was found silent")


def test_who_beats_lives(world: World) -> None:
    assert [world.second() for _ in range(60)] == [None] * 60


def test_who_falls_silent_is_named(world: World) -> None:
    world.second()
    took, name = seconds_to_verdict(world, beat=False)
    assert name == "root"
    assert TOP_SILENT_S_MAX <= took <= TOP_SILENT_S_MAX + 2


def test_who_never_beats_is_named_too(world: World) -> None:
    assert seconds_to_verdict(world, beat=False)[1] == "root"


def test_a_stopped_admin_is_named(world: World) -> None:
    world.second()
    world.stopped.add(7)
    assert seconds_to_verdict(world)[1] == "admin"


def test_an_admin_stopped_for_a_moment_is_not(world: World) -> None:
    for _ in range(10):
        world.stopped.add(7)
        assert world.second() is None
        world.stopped.clear()
        assert world.second() is None


def test_a_launcher_that_was_stopped_itself_blames_nobody(world: World) -> None:
    world.second()
    world.now += 100
    assert world.vigil.silent() is None
    assert world.second(beat=False) is None
