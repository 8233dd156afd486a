"""What Root passed on: each life of a component owes so many answers at most, whoever still waits for them."""

from __future__ import annotations

import pytest

from thespian_connector.actors.passed_on import PassedOn, Unanswered
from thespian_connector.model.errors import Busy

FEED = "exchange/binance/market-data/0"


def request(number: int = 0, incarnation: int = 7, component: str = FEED) -> PassedOn:
    return PassedOn("a client", f"their-{number}", component, incarnation, deadline=10.0 + number)


def test_who_owes_too_much_is_asked_no_more_and_others_are() -> None:
    unanswered = Unanswered()
    given = [unanswered.add(request(number), 3) for number in range(3)]
    with pytest.raises(Busy, match=f"{FEED} still owes 3 answers"):
        unanswered.add(request(3), 3)
    unanswered.add(request(incarnation=8, component="registry"), 3)
    answered = unanswered.answered(given[1])
    assert answered is not None
    assert answered.correlation == "their-1"
    unanswered.add(request(3), 3)


def test_what_expired_is_still_owed() -> None:
    unanswered = Unanswered()
    [correlation] = [unanswered.add(request(), 1)]
    assert unanswered
    assert unanswered.expire(10.0) == []
    assert [one.correlation for one in unanswered.expire(10.1)] == ["their-0"]
    assert unanswered.expire(10.2) == [], "it is told once"
    assert not unanswered, "nobody waits"
    with pytest.raises(Busy):
        unanswered.add(request(1), 1)
    late = unanswered.answered(correlation)
    assert late is not None
    assert late.expired
    unanswered.add(request(1), 1)


def test_a_life_that_ended_owes_nothing() -> None:
    unanswered = Unanswered()
    first = unanswered.add(request(0, incarnation=7), 2)
    unanswered.add(request(1, incarnation=7), 2)
    unanswered.add(request(2, incarnation=9), 2)
    assert [one.correlation for one in unanswered.ended(FEED, 9)] == ["their-0", "their-1"]
    assert unanswered.answered(first) is None, "it was answered for it"
    assert unanswered.ended("another", None) == []
    assert [one.correlation for one in unanswered.ended(FEED, None)] == ["their-2"]
    assert not unanswered
