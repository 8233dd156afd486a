from __future__ import annotations

from collections.abc import Callable, Iterable

import pytest
from support.clocks import NS, FakeTime

from thespian_connector.model.errors import AnswerLost
from thespian_connector.net.clock import ClockOffset

MS = 1_000_000


def venue(time: FakeTime, ways_ms: Iterable[tuple[float, float]], ahead_ms: float) -> Callable[[], int]:
    """A venue whose clock is ahead of the wall clock; its answers take the given milliseconds to and fro."""
    ways = iter(ways_ms)

    def fetch() -> int:
        there, back = next(ways)
        time.advance(there / 1000)
        stamp = time.wall_ns + int(ahead_ms * MS)
        time.advance(back / 1000)
        return stamp

    return fetch


def test_the_shortest_round_trip_counts() -> None:
    time = FakeTime()
    clock = ClockOffset(time.timebase)
    best = clock.measure(venue(time, [(5, 300), (1, 1), (80, 2), (40, 40), (3, 9)], ahead_ms=700))
    assert best.round_trip_ns == 2 * MS
    assert clock.now_ns() == time.wall_ns + 700 * MS - 1 * MS


def test_it_is_rather_behind_than_ahead_whichever_way_was_the_slow_one() -> None:
    for there, back in ((90.0, 1.0), (1.0, 90.0)):
        time = FakeTime()
        clock = ClockOffset(time.timebase)
        clock.measure(venue(time, [(there, back)] * 5, ahead_ms=0))
        behind_ms = (time.wall_ns - clock.now_ns()) / MS
        assert 0 <= behind_ms <= 91


def test_steps_of_the_wall_clock_do_not_move_it() -> None:
    time = FakeTime()
    clock = ClockOffset(time.timebase)
    clock.measure(venue(time, [(1, 1)] * 5, ahead_ms=0))
    before = clock.now_ms()
    time.wall_ns -= 3600 * NS
    time.now_ns += 5 * MS
    assert clock.now_ms() == before + 5


def test_a_new_measurement_follows_a_step_of_the_venues_clock() -> None:
    time = FakeTime()
    clock = ClockOffset(time.timebase)
    clock.measure(venue(time, [(0, 0)] * 5, ahead_ms=0))
    clock.measure(venue(time, [(10, 10)] * 5, ahead_ms=-5000))
    assert clock.now_ns() == time.wall_ns - 5000 * MS - 10 * MS


def test_before_any_measurement_it_is_the_wall_clock() -> None:
    time = FakeTime()
    clock = ClockOffset(time.timebase)
    assert (clock.now_ns(), clock.sample, clock.age_s) == (time.wall_ns, None, None)


def test_failed_samples_are_left_out_and_if_all_fail_the_old_measurement_stays() -> None:
    time = FakeTime()
    clock = ClockOffset(time.timebase)
    answers = venue(time, [(1, 1)] * 5, ahead_ms=50)
    calls = iter([True, False, True, False, False])

    def flaky() -> int:
        if next(calls):
            raise AnswerLost("lost")
        return answers()

    kept = clock.measure(flaky)
    time.advance(7)

    def dead() -> int:
        raise AnswerLost("dead")

    with pytest.raises(AnswerLost, match="dead"):
        clock.measure(dead)
    assert clock.sample == kept
    assert clock.age_s == pytest.approx(7.0, abs=0.1)
