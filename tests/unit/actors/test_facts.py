"""Facts on their way: none left out, none twice, through another life of either side."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from thespian_connector import limits
from thespian_connector.actors.facts import FactsSink, FactsSource
from thespian_connector.actors.messages import Announce, Facts, FactsWanted


def announced(incarnation: int, address: str | None = "there") -> Announce:
    return Announce(0, "exchange/x/user-data", "UserData", "running", address, incarnation, 1, 0, 0, "local")


def bodies(first: int, last: int) -> list[bytes]:
    return [str(number).encode() for number in range(first, last + 1)]


class Pair:
    """A source and a sink whose messages the test carries."""

    def __init__(self, load_after: Callable[[int], list[bytes]] | None = None, *, anew: bool = False) -> None:
        self.questions: list[FactsWanted] = []
        self.answers: list[Facts] = []
        self.source = FactsSource(7, lambda _, message: self.answers.append(message), load_after)
        self.sink = FactsSink(1, lambda _, message: self.questions.append(message), 0, anew=anew)
        self.got: list[bytes] = []

    def carry(self, now: float = 0) -> list[int]:
        """Until nobody says anything more; what was missing before each message."""
        missing = []
        while self.questions or self.answers:
            if self.questions:
                self.source.want(self.questions.pop(0), "back")
            else:
                message = self.answers.pop(0)
                lost = self.sink.take(message)
                assert lost is not None
                missing.append(lost)
                self.got += message.bodies[max(0, -lost) :]
                self.sink.taken(message.first + len(message.bodies) - 1, now)
        return missing


def test_they_come_as_they_are_added() -> None:
    pair = Pair()
    pair.sink.found(announced(7), 0)
    pair.carry()
    pair.source.add(1, bodies(1, 2))
    pair.carry()
    pair.source.add(3, bodies(3, 3))
    assert pair.carry() == [0]
    assert pair.got == bodies(1, 3)
    assert len(pair.questions) == 0, "its last question waits there"


def test_many_come_in_several_messages() -> None:
    pair = Pair()
    pair.source.add(1, bodies(1, 2 * limits.FACTS_A_MESSAGE_MAX + 1))
    pair.sink.found(announced(7), 0)
    assert pair.carry() == [0, 0, 0]
    assert len(pair.got) == 2 * limits.FACTS_A_MESSAGE_MAX + 1


def test_older_ones_come_from_where_they_are_kept() -> None:
    kept = bodies(1, 9)
    pair = Pair(lambda after: kept[after:])
    pair.source.begin(9)
    pair.sink.found(announced(7), 0)
    pair.carry()
    pair.source.add(10, bodies(10, 10))
    pair.carry()
    assert pair.got == bodies(1, 10)


def test_what_is_lost_is_missed_and_the_rest_comes() -> None:
    pair = Pair()
    pair.source.add(1, bodies(1, limits.FACTS_KEPT_MAX))
    pair.source.add(limits.FACTS_KEPT_MAX + 1, bodies(1, 3))
    pair.sink.found(announced(7), 0)
    assert pair.carry()[0] == 3
    assert len(pair.got) == limits.FACTS_KEPT_MAX


def test_what_is_had_for_good_is_forgotten() -> None:
    pair = Pair()
    pair.source.add(1, bodies(1, 5))
    pair.source.forget(3)
    pair.sink.found(announced(7), 0)
    assert pair.carry() == [3]
    assert pair.got == bodies(4, 5)
    pair.source.forget(99)
    pair.source.add(6, bodies(6, 6))
    assert pair.carry() == [0]


def test_a_question_is_asked_again_unless_the_answer_is_being_dealt_with() -> None:
    pair = Pair()
    pair.sink.found(announced(7), 100)
    pair.sink.tick(100 + limits.FACTS_ASK_AGAIN_S - 0.1)
    assert len(pair.questions) == 1
    pair.sink.tick(100 + limits.FACTS_ASK_AGAIN_S)
    assert len(pair.questions) == 2
    assert pair.sink.take(Facts(1, 7, 1, (b"1",))) == 0
    pair.sink.tick(900)
    assert len(pair.questions) == 2
    assert pair.sink.take(Facts(1, 7, 1, (b"1",))) is None, "the same again, while the first is dealt with"
    pair.sink.failed()
    pair.sink.tick(900)
    assert pair.questions[-1].after == 0


def test_what_was_had_before_is_not_taken_twice() -> None:
    pair = Pair()
    pair.sink.found(announced(7), 0)
    late = Facts(1, 7, 1, (b"1",))
    assert pair.sink.take(late) == 0
    pair.sink.taken(1, 0)
    assert pair.sink.take(late) == -1
    pair.sink.taken(1, 0)
    assert pair.questions[-1].after == 1


def test_what_was_had_from_elsewhere_is_not_had_twice_and_nothing_stops() -> None:
    pair = Pair()
    pair.sink.found(announced(7), 0)
    pair.carry()
    pair.source.add(1, bodies(1, 2))
    pair.got += pair.sink.fresh(1, bodies(1, 1))
    assert pair.carry() == [-1]
    pair.source.add(3, bodies(3, 4))
    pair.got += pair.sink.fresh(2, bodies(2, 5))
    assert pair.carry() == [-3]
    pair.source.add(5, bodies(5, 6))
    pair.carry()
    assert pair.got == bodies(1, 6)
    assert pair.sink.fresh(4, bodies(4, 6)) == []


def test_another_life_is_asked_at_once_and_counts_anew_or_goes_on() -> None:
    for anew, after in ((True, 0), (False, 1)):
        pair = Pair(anew=anew)
        assert pair.sink.found(announced(7), 0)
        assert not pair.sink.found(announced(7), 1), "it is the same"
        pair.sink.take(Facts(1, 7, 1, (b"1",)))
        pair.sink.taken(1, 2)
        assert pair.sink.found(announced(8), 3)
        assert (pair.questions[-1].target, pair.questions[-1].after) == (8, after)
        assert pair.sink.take(Facts(1, 7, 2, (b"2",))) is None, "the dead one's"


def test_nobody_is_not_asked() -> None:
    pair = Pair()
    assert not pair.sink.found(None, 0)
    pair.sink.tick(100)
    assert pair.questions == []
    pair.sink.found(announced(7), 0)
    assert pair.sink.found(announced(7, address=None), 1), "it is gone"
    count: Any = len(pair.questions)
    pair.sink.tick(200)
    assert len(pair.questions) == count
