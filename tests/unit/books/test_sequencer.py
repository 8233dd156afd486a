import pytest

from thespian_connector.books import RangeSequencer, StepSequencer, Verdict, sequencer_for

APPLY, STALE, GAP = Verdict.APPLY, Verdict.STALE, Verdict.GAP


@pytest.mark.parametrize(
    ("first", "last", "verdict"),
    [
        (90, 99, STALE),
        (95, 100, STALE),
        (95, 101, APPLY),  # overlaps the snapshot
        (101, 101, APPLY),  # an event ended exactly on the snapshot's id: this one starts behind it
        (100, 110, APPLY),
        (102, 110, GAP),
    ],
)
def test_binance_events_around_a_snapshot_of_id_100(first: int, last: int, verdict: Verdict) -> None:
    sequencer = RangeSequencer()
    sequencer.start(100)
    assert sequencer.check(first, last) is verdict
    assert sequencer.last_id == (last if verdict is APPLY else 100)


@pytest.mark.parametrize(
    ("first", "last", "verdict"),
    [(100, 100, STALE), (101, 101, APPLY), (102, 102, GAP), (99, 99, STALE), (100, 101, GAP)],
)
def test_bybit_steps_after_a_snapshot_of_u_100(first: int, last: int, verdict: Verdict) -> None:
    sequencer = StepSequencer()
    sequencer.start(100)
    assert sequencer.check(first, last) is verdict
    assert sequencer.last_id == (last if verdict is APPLY else 100)


@pytest.mark.parametrize("kind", ["range", "step"])
def test_nothing_follows_before_the_start_and_after_a_reset(kind: str) -> None:
    sequencer = sequencer_for(kind)
    assert sequencer.check(0, 0) is GAP
    sequencer.start(5)
    assert sequencer.check(6, 6) is APPLY
    sequencer.reset()
    assert sequencer.check(7, 7) is GAP


def test_an_unknown_kind_is_named() -> None:
    with pytest.raises(ValueError, match="range, step"):
        sequencer_for("other")
