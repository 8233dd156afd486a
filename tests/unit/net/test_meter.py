from __future__ import annotations

import pytest

from thespian_connector.drivers.base import Limit
from thespian_connector.net.meter import NS, Knowledge, Meter

MINUTE = Limit(name="weight_1m", kind="weight", cap=100, window_s=60, aligned=True)
ROLLING = Limit(name="requests_5s", kind="requests", cap=100, window_s=5, aligned=False)


def at(seconds: float) -> int:
    return round(seconds * NS)


def test_an_aligned_window_is_empty_again_after_the_minute_and_its_guard() -> None:
    meter = Meter(MINUTE)
    meter.charge(100, at(630))
    assert meter.wait_ns(1, 100, at(640)) == at(660.5) - at(640)
    assert meter.wait_ns(1, 100, at(660.4)) > 0, "by the venue's clock it may still be the old minute"
    assert meter.wait_ns(1, 100, at(660.5)) == 0
    assert meter.used(at(660.5)) == 0


def test_a_request_near_the_boundary_is_charged_to_both_minutes() -> None:
    meter = Meter(MINUTE)
    meter.charge(60, at(659.8))
    assert meter.used(at(630)) == 60
    assert meter.used(at(690)) == 60
    assert meter.wait_ns(50, 100, at(661)) == at(720.5) - at(661)


def test_a_doubtful_clock_widens_the_guard_to_half_a_window_at_most() -> None:
    meter = Meter(MINUTE)
    meter.charge(10, at(640), slack_ns=at(10_000))
    assert [meter.used(at(second)) for second in (570, 630, 690, 750)] == [0, 10, 10, 0]


def test_a_rolling_window_lets_go_only_when_the_whole_window_has_passed() -> None:
    meter = Meter(ROLLING)
    meter.charge(100, at(1000))
    assert meter.wait_ns(1, 100, at(1005)) > 0
    wait_ns = meter.wait_ns(1, 100, at(1000))
    assert at(5) <= wait_ns <= at(5.4)
    assert meter.wait_ns(1, 100, at(1000) + wait_ns) == 0


def test_a_rolling_window_waits_for_as_many_old_units_as_it_needs() -> None:
    meter = Meter(ROLLING)
    for second in range(4):
        meter.charge(25, at(1000 + second))
    one, thirty = meter.wait_ns(1, 100, at(1004)), meter.wait_ns(30, 100, at(1004))
    assert one < at(1.5) < at(2) < thirty < at(2.5)


def test_windows_of_connects_are_taken_for_rolling_whatever_the_driver_says() -> None:
    meter = Meter(Limit(name="connects_5m", kind="connects", cap=300, window_s=300, aligned=True))
    meter.charge(300, at(299))
    assert meter.wait_ns(1, 300, at(301)) > at(290)


def test_a_header_raises_the_count_and_never_lowers_it() -> None:
    meter = Meter(MINUTE)
    meter.charge(10, at(630))
    meter.raise_to(70, at(630), at(631))
    assert meter.used(at(631)) == 70
    meter.raise_to(20, at(630), at(632))
    assert meter.used(at(632)) == 70


@pytest.mark.parametrize(("sent_s", "answered_s"), [(659.0, 661.0), (659.0, 659.8), (660.2, 661.0)])
def test_a_header_that_may_be_of_the_minute_before_is_ignored(sent_s: float, answered_s: float) -> None:
    meter = Meter(MINUTE)
    meter.charge(1, at(sent_s))
    before = meter.used(at(690))
    meter.raise_to(90, at(sent_s), at(answered_s))
    assert meter.used(at(690)) == before


def test_what_was_granted_while_nothing_was_known_is_added_to_what_the_header_told() -> None:
    meter = Meter(MINUTE)
    meter.assume(95, Knowledge.UNKNOWN, at(630), at(5))
    meter.charge(3, at(630))
    meter.learn(40, at(631))
    assert meter.used(at(631)) == 43
    assert meter.knowledge is Knowledge.COUNTED


def test_an_assumption_ends_when_the_window_it_was_about_has_passed() -> None:
    meter = Meter(ROLLING)
    meter.assume(80, Knowledge.ASSUMED, at(10), at(10))
    meter.expire(at(15), at(15))
    assert meter.knowledge is Knowledge.ASSUMED
    meter.expire(at(15.6), at(15.6))
    assert meter.knowledge is Knowledge.COUNTED
    assert meter.used(at(15.6)) == 0


def test_unknown_ends_unlearnt_with_only_what_was_granted_since() -> None:
    meter = Meter(MINUTE)
    meter.assume(95, Knowledge.UNKNOWN, at(630), at(5))
    meter.charge(3, at(640))
    meter.expire(at(5 + 62), at(692))
    assert (meter.knowledge, meter.used(at(692))) == (Knowledge.COUNTED, 3)


def test_when_the_venues_clock_turns_out_different_the_recent_charges_move_to_the_present_window() -> None:
    meter = Meter(MINUTE)
    meter.charge(30, at(659))
    meter.charge(20, at(665))
    meter.shift(at(665), at(640), 0, 0)  # both were in one window of the venue
    assert meter.used(at(640)) == 50
    assert meter.wait_ns(51, 100, at(640)) > 0


def test_what_is_assumed_to_be_spent_is_not_spent_twice_after_a_step_of_the_clock() -> None:
    meter = Meter(MINUTE)
    meter.assume(50, Knowledge.ASSUMED, at(650), at(9), slack_ns=at(10_000))  # one of two windows, nobody knows which
    meter.charge(3, at(650), slack_ns=at(10_000))
    meter.charge(4, at(650))
    meter.shift(at(651), at(656), 0, 0)
    assert 57 <= meter.used(at(656)) <= 60
    assert meter.wait_ns(1, 100, at(656)) == 0
    meter.shift(at(656), at(651), 0, 0)
    assert 57 <= meter.used(at(651)) <= 60


def test_a_small_correction_of_the_clock_moves_nothing() -> None:
    meter = Meter(MINUTE)
    meter.charge(30, at(630))
    meter.shift(at(665), at(665.2), 0, 0)
    assert meter.used(at(665.2)) == 0


def test_a_record_keeps_everything() -> None:
    meter, again = Meter(ROLLING), Meter(ROLLING)
    meter.assume(80, Knowledge.ASSUMED, at(10), at(9))
    meter.charge(7, at(12))
    buffer = bytearray(meter.size + 8)
    meter.store(buffer, 8)
    again.load(buffer, 8)
    assert (again.knowledge, again.since_ns, again.newest, again.counts) == (
        meter.knowledge,
        meter.since_ns,
        meter.newest,
        meter.counts,
    )


def test_counts_saturate_instead_of_overflowing_the_record() -> None:
    meter = Meter(MINUTE)
    meter.charge(2**32 - 1, at(630))
    meter.charge(5, at(630))
    meter.store(bytearray(meter.size), 0)
    assert meter.used(at(630)) == 2**32 - 1
