from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.clocks import FakeTime

from thespian_connector.net.pacing import Pacer


def pacer(time: FakeTime, calls: int, period_s: float = 1.0) -> Pacer:
    return Pacer(calls, period_s, monotonic=time.monotonic, sleep=time.sleep)


@given(st.integers(1, 20), st.sampled_from([0.5, 1.0, 10.0]), st.lists(st.floats(0, 1.5), min_size=30, max_size=60))
def test_no_period_ever_holds_more_than_its_calls(calls: int, period_s: float, gaps: list[float]) -> None:
    time = FakeTime()
    paced = pacer(time, calls, period_s)
    times = []
    for gap in gaps:
        time.advance(gap * period_s / calls)
        if paced.try_call():
            times.append(time.monotonic())
        else:
            paced.wait()
            times.append(time.monotonic())
    for i, start in enumerate(times):
        assert sum(1 for t in times[i:] if t < start + period_s) <= calls


def test_the_first_call_need_not_wait_and_the_second_does() -> None:
    time = FakeTime()
    paced = pacer(time, 5)
    assert paced.ready_in() == 0.0
    assert paced.try_call()
    assert not paced.try_call()
    assert paced.ready_in() == pytest.approx(0.25)
    paced.wait()
    assert sum(time.slept) == pytest.approx(0.25, abs=0.01)


def test_asking_when_costs_nothing() -> None:
    time = FakeTime()
    paced = pacer(time, 5)
    for _ in range(100):
        assert paced.ready_in() == 0.0
    assert paced.try_call()


@pytest.mark.parametrize(("calls", "period_s"), [(0, 1.0), (5, 0.0), (5, -1.0)])
def test_nonsense_is_refused(calls: int, period_s: float) -> None:
    with pytest.raises(ValueError, match="cannot be paced"):
        Pacer(calls, period_s)
