"""The restart policy, with a clock that the test moves."""

from __future__ import annotations

import pytest

from thespian_connector.actors.messages import ThreadAge
from thespian_connector.actors.policy import (
    AllStopped,
    ChildSpec,
    Escalate,
    Kill,
    Restart,
    SendProbe,
    Spawn,
    State,
    Strategy,
    Supervision,
    Terminate,
    Timing,
)

TIMING = Timing()


def machine(
    *names: str, strategy: Strategy = Strategy.ONE_FOR_ONE, restart: Restart = Restart.PERMANENT
) -> Supervision:
    """A supervision whose children all run at time 0."""
    supervision = Supervision(tuple(ChildSpec(name, "toy", restart=restart) for name in names), strategy)
    assert supervision.start(0.0) == [Spawn(name) for name in names]
    for name in names:
        supervision.on_started(name, 0.0)
    return supervision


def test_a_child_that_is_gone_is_spawned_anew_at_once() -> None:
    supervision = machine("a", "b")
    assert supervision.on_gone("a", False, 1.0) == [Spawn("a")]
    assert supervision.children["a"].restarts == 1
    assert supervision.children["b"].state is State.RUNNING


def test_while_a_child_comes_or_goes_time_matters() -> None:
    supervision = machine("a", "b")
    assert not supervision.in_transition
    supervision.on_gone("a", False, 1.0)
    assert supervision.in_transition, "it starts"
    supervision.on_started("a", 1.1)
    assert not supervision.in_transition
    supervision.on_gone("b", False, 1.2)
    assert supervision.children["b"].state is State.WAITING
    assert supervision.in_transition, "it backs off"


def test_restarts_within_a_period_back_off_and_the_wait_doubles() -> None:
    supervision = machine("a")
    now, waits = 0.0, []
    for _ in range(4):
        now += 0.01
        actions = supervision.on_gone("a", False, now)
        begun = now
        while not actions:
            now += 0.05
            actions = supervision.on_tick(now)
        assert actions == [Spawn("a")]
        waits.append(round(now - begun, 2))
        supervision.on_started("a", now)
    assert waits == [0.0, 0.2, 0.4, 0.8]


def test_more_restarts_than_the_intensity_escalate() -> None:
    supervision = machine("a")
    for failure in range(TIMING.intensity):
        actions = supervision.on_gone("a", False, failure * 0.001)
        assert not any(isinstance(action, Escalate) for action in actions)
        supervision.children["a"].state = State.RUNNING
    [escalation] = supervision.on_gone("a", False, 0.1)
    assert isinstance(escalation, Escalate)
    assert supervision.on_tick(100.0) == []


def test_failures_older_than_the_period_are_forgotten() -> None:
    supervision = machine("a")
    for failure in range(20):
        now = failure * TIMING.period_s
        assert supervision.on_gone("a", False, now) == [Spawn("a")]
        supervision.on_started("a", now)


def test_one_for_all_ends_the_others_first_and_spawns_all_in_order_when_they_are_gone() -> None:
    supervision = machine("a", "b", "c", strategy=Strategy.ONE_FOR_ALL)
    assert supervision.on_gone("c", False, 1.0) == [Terminate("b"), Terminate("a")]
    assert supervision.on_gone("b", True, 1.1) == []
    assert supervision.on_gone("a", True, 1.2) == [Spawn("a"), Spawn("b"), Spawn("c")]


def test_rest_for_one_spares_those_before() -> None:
    supervision = machine("a", "b", "c", strategy=Strategy.REST_FOR_ONE)
    assert supervision.on_gone("b", False, 1.0) == [Terminate("c")]
    assert supervision.on_gone("c", True, 1.1) == [Spawn("b"), Spawn("c")]
    assert supervision.children["a"].state is State.RUNNING


def test_a_sibling_that_does_not_end_in_its_grace_is_killed_and_counts_as_no_failure() -> None:
    supervision = machine("a", "b", strategy=Strategy.ONE_FOR_ALL)
    assert supervision.on_gone("a", False, 0.0) == [Terminate("b")]
    kills = []
    for step in range(1, 40):
        kills += supervision.on_tick(step * 0.1)
    assert [action.name for action in kills if isinstance(action, Kill)] == ["b"]
    assert supervision.on_gone("b", False, 4.0) == [Spawn("a"), Spawn("b")]
    assert supervision.children["b"].restarts == 0


@pytest.mark.parametrize(
    ("restart", "in_order", "respawned"),
    [
        (Restart.PERMANENT, True, True),
        (Restart.TRANSIENT, True, False),
        (Restart.TRANSIENT, False, True),
        (Restart.TEMPORARY, False, False),
        (Restart.TEMPORARY, True, False),
    ],
)
def test_what_restart_means(restart: Restart, in_order: bool, respawned: bool) -> None:
    supervision = machine("a", restart=restart)
    assert supervision.on_gone("a", in_order, 1.0) == ([Spawn("a")] if respawned else [])
    if not respawned:
        assert supervision.on_tick(60.0) == []


def test_a_silent_child_is_probed_and_killed() -> None:
    supervision = machine("a")
    sent, killed, now = None, None, 0.0
    while killed is None and now < 20:
        now = round(now + 0.25, 2)
        for action in supervision.on_tick(now):
            if isinstance(action, SendProbe):
                sent = now
            elif isinstance(action, Kill):
                killed = now
    assert sent == TIMING.probe_every_s
    assert killed is not None
    assert killed <= TIMING.probe_every_s + TIMING.probe_timeout_s + 0.25
    assert supervision.on_tick(now + 0.25) == [], "killed once"
    assert supervision.on_gone("a", False, now + 0.3) == [Spawn("a")]


def test_a_child_that_answers_lives() -> None:
    supervision = machine("a")
    for step in range(400):
        for action in supervision.on_tick(step * 0.25):
            assert isinstance(action, SendProbe)
            assert supervision.on_probe_reply("a", action.nonce, (), step * 0.25 + 0.1) == []


def test_an_answer_to_an_older_probe_is_none() -> None:
    supervision = machine("a")
    probe = next(action for step in range(20) for action in supervision.on_tick(step * 0.25))
    assert isinstance(probe, SendProbe)
    supervision.on_probe_reply("a", probe.nonce - 1, (), 2.5)
    assert any(isinstance(action, Kill) for step in range(20, 60) for action in supervision.on_tick(step * 0.25))


def test_a_stale_thread_is_a_hung_child() -> None:
    supervision = machine("a")
    probe = next(action for step in range(20) for action in supervision.on_tick(step * 0.25))
    assert isinstance(probe, SendProbe)
    [kill] = supervision.on_probe_reply("a", probe.nonce, (ThreadAge("feed", 6, 5),), 2.5)
    assert isinstance(kill, Kill)
    assert "feed" in kill.reason


def test_a_late_supervisor_discards_the_miss() -> None:
    """It was stopped itself while the probe was out: the child's answer waits in the queue behind this tick."""
    supervision = machine("a")
    probe = next(action for step in range(20) for action in supervision.on_tick(step * 0.25))
    assert isinstance(probe, SendProbe)
    assert supervision.on_tick(100.0) == []
    assert supervision.on_probe_reply("a", probe.nonce, (), 100.1) == []
    assert supervision.children["a"].state is State.RUNNING


def test_a_start_that_hangs_is_killed() -> None:
    supervision = Supervision((ChildSpec("a", "toy"),))
    supervision.start(0.0)
    kills = [(step, action) for step in range(60) for action in supervision.on_tick(step * 0.25)]
    [(step, kill)] = kills
    assert isinstance(kill, Kill)
    assert step * 0.25 == pytest.approx(TIMING.start_timeout_s, abs=0.5)


def test_stop_ends_everyone_last_first_and_says_when_all_are_gone() -> None:
    supervision = machine("a", "b")
    assert supervision.stop(1.0) == [Terminate("b"), Terminate("a")]
    assert supervision.on_gone("b", True, 1.1) == []
    assert supervision.on_gone("a", True, 1.2) == [AllStopped()]


def test_stop_with_no_children_is_done_at_once() -> None:
    assert Supervision(()).stop(0.0) == [AllStopped()]


def test_a_child_added_twice_is_one() -> None:
    supervision = machine("a")
    assert supervision.add(ChildSpec("b", "toy"), 1.0) == [Spawn("b")]
    assert supervision.add(ChildSpec("b", "toy"), 1.1) == []
