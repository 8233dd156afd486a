from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from support.clocks import FakeTime

from thespian_connector.model.errors import (
    AnswerLost,
    CircuitOpen,
    DeadlineExceeded,
    NotSent,
    RateLimited,
    Rejected,
    ServerFault,
)
from thespian_connector.net.breaker import Breaker


@pytest.fixture
def clock() -> FakeTime:
    return FakeTime()


@pytest.fixture
def breaker(clock: FakeTime) -> Breaker:
    return Breaker("x REST", failures_max=3, reset_s=5.0, monotonic=clock.monotonic)


def fail(breaker: Breaker, error: BaseException | None = None, *, bypass: bool = False) -> None:
    error = error or AnswerLost("gone")
    with pytest.raises(type(error)) as caught, breaker.guard(bypass=bypass):
        raise error
    assert caught.value is error, "the error that trips it reaches the caller as what it was"


def succeed(breaker: Breaker, *, bypass: bool = False) -> None:
    with breaker.guard(bypass=bypass):
        pass


def trip(breaker: Breaker) -> None:
    for _ in range(3):
        fail(breaker)
    assert breaker.state == "open"


@pytest.mark.parametrize("error", [NotSent("x"), AnswerLost("x"), ServerFault("x")])
def test_transport_errors_in_a_row_open_it(breaker: Breaker, error: Exception) -> None:
    for _ in range(3):
        assert breaker.state == "closed"
        fail(breaker, error)
    assert breaker.state == "open"
    with pytest.raises(CircuitOpen, match=r"x REST: .* 5\.0 s"):
        succeed(breaker)
    with pytest.raises(CircuitOpen):
        breaker.check()


@pytest.mark.parametrize("answer", [Rejected("no"), RateLimited("slower")])
def test_an_answer_of_the_venue_speaks_for_it(breaker: Breaker, answer: Exception) -> None:
    for _ in range(5):
        fail(breaker)
        fail(breaker)
        fail(breaker, answer)
    assert breaker.state == "closed"


@pytest.mark.parametrize("error", [DeadlineExceeded("late"), ZeroDivisionError(), KeyboardInterrupt()])
def test_what_is_no_answer_at_all_changes_nothing(breaker: Breaker, error: BaseException) -> None:
    fail(breaker)
    fail(breaker)
    fail(breaker, error)
    assert breaker.state == "closed"
    fail(breaker)
    assert breaker.state == "open"


def test_it_reopens_on_the_monotonic_clock(breaker: Breaker, clock: FakeTime) -> None:
    trip(breaker)
    clock.wall_ns += 10**15
    with pytest.raises(CircuitOpen):
        succeed(breaker)
    clock.advance(5.0)
    succeed(breaker)
    assert breaker.state == "closed"


def test_half_open_lets_exactly_one_probe_through(breaker: Breaker, clock: FakeTime) -> None:
    trip(breaker)
    clock.advance(5.0)
    with breaker.guard():
        assert breaker.state == "half_open"
        for _ in range(3):
            with pytest.raises(CircuitOpen, match="finding out"):
                succeed(breaker)
    succeed(breaker)
    assert breaker.state == "closed"


def test_a_failed_probe_opens_it_for_as_long_again(breaker: Breaker, clock: FakeTime) -> None:
    trip(breaker)
    clock.advance(5.0)
    fail(breaker)
    assert breaker.state == "open"
    clock.advance(4.9)
    with pytest.raises(CircuitOpen):
        succeed(breaker)
    clock.advance(0.2)
    succeed(breaker)


def test_a_probe_that_was_never_sent_leaves_room_for_another(breaker: Breaker, clock: FakeTime) -> None:
    trip(breaker)
    clock.advance(5.0)
    fail(breaker, DeadlineExceeded("late"))
    assert breaker.state == "half_open"
    succeed(breaker)
    assert breaker.state == "closed"


def test_cancels_pass_an_open_breaker_and_do_not_decide_for_it(breaker: Breaker) -> None:
    trip(breaker)
    succeed(breaker, bypass=True)
    fail(breaker, bypass=True)
    assert breaker.state == "open"


def test_late_outcomes_of_earlier_calls_neither_close_nor_extend_it(breaker: Breaker, clock: FakeTime) -> None:
    with breaker.guard():
        trip(breaker)
    assert breaker.state == "open"
    clock.advance(5.0)
    with breaker.guard(), pytest.raises(AnswerLost), breaker.guard(bypass=True):
        raise AnswerLost("late")
    assert breaker.state == "closed"


def test_five_calls_are_inside_at_once() -> None:
    breaker = Breaker("x")
    together = threading.Barrier(5)

    def call(_: int) -> None:
        with breaker.guard():
            together.wait(60)  # all five are inside, or this breaks

    with ThreadPoolExecutor(5) as pool:
        list(pool.map(call, range(5)))
