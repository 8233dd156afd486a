"""Whatever happens in whatever order, a venue that counts for itself never counts more than its cap."""

from __future__ import annotations

import random
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.clocks import NS, FakeTime

from thespian_connector.drivers.base import Limit, Usage
from thespian_connector.net.budget import Budget, Grant, Priority, Probe

CAP = 100
MINUTE = Limit(name="weight_1m", kind="weight", cap=CAP, window_s=60, aligned=True, reported=True)
ROLLING = Limit(name="requests_5s", kind="requests", cap=CAP, window_s=5, aligned=False)

#: (what, a number from 0 to 1 that says how much, which of the two processes)
STEPS = st.lists(
    st.tuples(
        st.sampled_from(
            ["spend"] * 3
            + ["burst"] * 4
            + ["advance"] * 3
            + ["to_boundary"] * 2
            + ["bursts"] * 4
            + ["step_wall", "reopen", "measure", "correct", "spoil"]
        ),
        st.floats(0, 1),
        st.integers(0, 1),
    ),
    min_size=5,
    max_size=60,
)


class World:
    """Two processes on one host with one file, and the venue's own count of what reaches it."""

    def __init__(self, limit: Limit, directory: Path, ahead_s: float, seed: int) -> None:
        self.time = FakeTime(wall_s=1_800_000_000.0 + 60 * random.Random(seed).random())
        self.rng = random.Random(seed)
        #: The venue's clock less the host's monotonic one, and the wall clock's error beside it.
        self.venue_ns = self.time.wall_ns - self.time.now_ns + int(ahead_s * NS)
        self.limit = limit
        #: Whether the venue ever answers a question for its time.
        self.answers = True
        self.spoilt = False
        self.path = directory / "venue.budget"
        self.budgets = [self._open(), self._open()]
        self.windows: Counter[int] = Counter()
        self.arrivals: list[int] = []

    def _open(self) -> Budget:
        return Budget(self.path, [self.limit], timebase=self.time.timebase, rng=self.rng)

    def close(self) -> None:
        for budget in self.budgets:
            budget.close()

    def arrive(self, units: int) -> None:
        """A request reaches the venue, up to 0.2 s after it was charged."""
        arrival_ns = self.time.now_ns + self.rng.randrange(int(0.2 * NS))
        self.windows[(arrival_ns + self.venue_ns) // (60 * NS)] += units
        self.arrivals += [arrival_ns] * units

    def spend(self, how_much: float, who: int) -> None:
        units = 1 + int(how_much * 9)
        priority = self.rng.choice(list(Priority))
        if self.budgets[who].try_acquire(self.limit.kind, units, priority) == 0.0:
            self.arrive(units)
        elif self.limit.reported and self.answers:
            self.probe(who)

    def burst(self, how_much: float, who: int) -> None:
        while self.budgets[who].try_acquire(self.limit.kind, 1 + int(how_much * 4), Priority.CANCEL) == 0.0:
            self.arrive(1 + int(how_much * 4))

    def probe(self, who: int) -> None:
        budget = self.budgets[who]

        def send(grant: Grant) -> None:
            self.arrive(1)
            there_s = self.rng.uniform(0, 0.04)
            self.time.advance(there_s)
            now_ns = self.time.now_ns + self.venue_ns
            used = self.windows[now_ns // (60 * NS)]
            self.time.advance(self.rng.uniform(0, 0.04))
            budget.learn(grant, [Usage("weight_1m", used)], now_ns)

        answer = budget._attempt({self.limit.kind: 1}, Priority.DATA, Probe(1, send))
        if answer.probe:
            assert answer.grant is not None
            send(answer.grant)
        elif answer.grant is not None:
            self.arrive(1)

    def correct(self, how_much: float, who: int) -> None:
        budget = self.budgets[who]
        if budget.try_acquire(self.limit.kind, 1, Priority.CANCEL) == 0.0:
            self.arrive(1)
            grant = Grant(self.time.now_ns, {})
            now_ns = self.time.now_ns + self.venue_ns
            used = self.windows[now_ns // (60 * NS)]
            self.time.advance(how_much * 0.2)
            budget.correct(grant, [Usage("weight_1m", used)])

    def measure(self, how_much: float, who: int) -> None:
        error_ns = int(0.1 * NS)
        self.budgets[who].set_venue_clock(self.venue_ns + int((2 * how_much - 1) * error_ns), error_ns)

    def advance(self, how_much: float, who: int) -> None:
        self.time.advance(how_much**3 * 40 * (self.limit.window_s / 60 if who else 1))

    def to_boundary(self, how_much: float, who: int) -> None:
        """Shortly before, or after, the venue's next minute."""
        left_ns = 60 * NS - (self.time.now_ns + self.venue_ns) % (60 * NS)
        self.time.advance(max(0.0, left_ns / NS + 1.6 * (how_much - 0.5)))

    def bursts(self, how_much: float, who: int) -> None:
        """The worst that callers can do: all at the end of a window, and all again at the beginning of the next."""
        if self.limit.aligned:
            self.to_boundary(0.5 - how_much / 8, who)
        self.burst(0.0, who)
        self.time.advance((0.0 if self.limit.aligned else self.limit.window_s) + self.rng.uniform(0.0, 0.3))
        self.burst(0.0, 1 - who)

    def step_wall(self, how_much: float, who: int) -> None:
        self.time.wall_ns += int((how_much - 0.5) * (7200 if who else 90) * NS)

    def reopen(self, how_much: float, who: int) -> None:
        self.budgets[who].close()
        self.budgets[who] = self._open()

    def spoil(self, how_much: float, who: int) -> None:
        """Once, and only where the venue tells us afterwards: without a header a lost file is a guess.
        A new file lends the slice of cancels, and the probe; so that of the old one must still be there."""
        now_ns = self.time.now_ns + self.venue_ns
        if self.limit.reported and not self.spoilt and self.windows[now_ns // (60 * NS)] <= CAP * 95 // 100:
            self.spoilt = True
            record = bytearray(self.path.read_bytes())
            record[int(how_much * (len(record) - 1))] ^= 0x55
            self.path.write_bytes(record)


def play(
    limit: Limit, steps: list[tuple[str, float, int]], ahead_s: float, seed: int, *, answers: bool = True
) -> World:
    with tempfile.TemporaryDirectory() as directory:
        world = World(limit, Path(directory), ahead_s, seed)
        try:
            world.answers = answers
            if limit.reported and answers:
                world.probe(0)
            else:
                world.time.advance(2.2 * limit.window_s)  # what a new file assumes has passed
            for what, how_much, who in steps:
                action: Any = getattr(world, what)
                action(how_much, who)
        finally:
            world.close()
    return world


@settings(max_examples=150, deadline=None)
@given(STEPS, st.floats(-120, 120), st.integers(0, 2**16))
def test_in_aligned_windows(steps: list[tuple[str, float, int]], ahead_s: float, seed: int) -> None:
    world = play(MINUTE, steps, ahead_s, seed)
    assert max(world.windows.values(), default=0) <= CAP


@settings(max_examples=150, deadline=None)
@given(STEPS, st.floats(-120, 120), st.integers(0, 2**16))
def test_in_aligned_windows_of_a_clock_that_nobody_knows(
    steps: list[tuple[str, float, int]], ahead_s: float, seed: int
) -> None:
    blind = [step for step in steps if step[0] not in ("measure", "spoil", "step_wall", "correct")]
    world = play(MINUTE, blind, ahead_s, seed, answers=False)
    assert max(world.windows.values(), default=0) <= CAP


@settings(max_examples=150, deadline=None)
@given(STEPS, st.integers(0, 2**16))
def test_in_rolling_windows(steps: list[tuple[str, float, int]], seed: int) -> None:
    arrivals = sorted(play(ROLLING, steps, 0.0, seed).arrivals)
    for first, last in zip(arrivals, arrivals[CAP:], strict=False):
        assert last - first >= 5 * NS, "more than the cap within one window"


@pytest.mark.parametrize("lost_after_s", [0.0, 1.0, 4.9])
def test_a_file_lost_after_data_spent_its_whole_share_still_keeps_a_rolling_window_within_its_cap(
    tmp_path: Path, lost_after_s: float
) -> None:
    world = World(ROLLING, tmp_path, 0.0, 1)
    world.time.advance(6)
    for again in range(2):
        while world.budgets[0].try_acquire("requests") == 0.0:
            world.arrive(1)
        if not again:
            world.time.advance(lost_after_s)
            world.close()
            world.path.unlink()
            world.budgets = [world._open()]
    world.close()
    assert 80 < len(world.arrivals) <= CAP
