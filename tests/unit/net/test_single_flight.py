from __future__ import annotations

import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor

import pytest
from support.waiting import wait_until

from thespian_connector.model.errors import AnswerLost, DeadlineExceeded, NotSent, Rejected
from thespian_connector.net.single_flight import SingleFlight

SOON = 30.0


class Question:
    """Blocks until answered; counts how often it was asked."""

    def __init__(self) -> None:
        self.asked = 0
        self.answers: list[bytes | BaseException] = []
        self._answered = threading.Condition()

    def __call__(self) -> bytes:
        with self._answered:
            self.asked += 1
            assert self._answered.wait_for(lambda: bool(self.answers), SOON)
            answer = self.answers.pop(0)
        if isinstance(answer, BaseException):
            raise answer
        return answer

    def answer(self, what: bytes | BaseException) -> None:
        with self._answered:
            self.answers.append(what)
            self._answered.notify()


class Joined:
    """The clock of the flights: who joins one looks at it once, before waiting, so that its looks count them."""

    def __init__(self) -> None:
        self.count = 0
        self._lock = threading.Lock()

    def __call__(self) -> float:
        with self._lock:
            self.count += 1
        return time.monotonic()


@pytest.fixture
def joined() -> Joined:
    return Joined()


@pytest.fixture
def flights(joined: Joined) -> SingleFlight[bytes]:
    return SingleFlight(joined)


def ask(
    pool: ThreadPoolExecutor, flights: SingleFlight[bytes], question: Question, key: str = "k", seconds: float = SOON
) -> Future[bytes]:
    return pool.submit(flights.do, key, question, time.monotonic() + seconds)


def test_equal_questions_in_the_air_are_one(flights: SingleFlight[bytes], joined: Joined) -> None:
    question, other = Question(), Question()
    with ThreadPoolExecutor(5) as pool:
        asked = [ask(pool, flights, question) for _ in range(4)]
        apart = ask(pool, flights, other, key="another")
        wait_until(lambda: question.asked == 1 and other.asked == 1, 60, "both leaders ask")
        wait_until(lambda: joined.count == 3, 60, "the others have joined")
        question.answer(b"same")
        other.answer(b"other")
        assert [future.result(SOON) for future in asked] == [b"same"] * 4
        assert apart.result(SOON) == b"other"
    assert question.asked == 1


def test_the_next_question_is_asked_anew(flights: SingleFlight[bytes]) -> None:
    question = Question()
    for answer in (b"1", b"2"):
        question.answer(answer)
        assert flights.do("k", question, time.monotonic() + SOON) == answer


def test_all_get_the_error_each_its_own(flights: SingleFlight[bytes], joined: Joined) -> None:
    question = Question()
    original = Rejected("no such symbol", exchange="binance", code=-1121)
    with ThreadPoolExecutor(3) as pool:
        asked = [ask(pool, flights, question) for _ in range(3)]
        wait_until(lambda: question.asked == 1, 60, "the leader asks")
        wait_until(lambda: joined.count == 2, 60, "the others have joined")
        question.answer(original)
        errors = [future.exception(SOON) for future in asked]
    assert question.asked == 1
    assert {(type(e), str(e), e.code) for e in errors if isinstance(e, Rejected)} == {
        (Rejected, "no such symbol", -1121)
    }
    assert len({id(error) for error in errors}) == 3


def test_each_waits_until_its_own_deadline(flights: SingleFlight[bytes]) -> None:
    question = Question()
    with ThreadPoolExecutor(2) as pool:
        patient = ask(pool, flights, question)
        wait_until(lambda: question.asked == 1, 60, "the leader asks")
        with pytest.raises(AnswerLost, match="not answered in time"):
            flights.do("k", question, time.monotonic() + 0.05)
        question.answer(b"late")
        assert patient.result(SOON) == b"late"


@pytest.mark.parametrize("end", [DeadlineExceeded("leader's"), NotSent("leader's"), ZeroDivisionError("leader's")])
def test_who_has_more_time_asks_again_when_the_first_had_too_little(
    flights: SingleFlight[bytes], joined: Joined, end: BaseException
) -> None:
    question = Question()
    with ThreadPoolExecutor(2) as pool:
        hasty = ask(pool, flights, question, seconds=5)
        wait_until(lambda: question.asked == 1, 60, "the leader asks")
        patient = ask(pool, flights, question, seconds=SOON)
        wait_until(lambda: joined.count == 1, 60, "the patient one has joined")
        question.answer(end)
        assert hasty.exception(SOON) is end
        wait_until(lambda: question.asked == 2, 60, "the patient one asks for itself")
        question.answer(b"got it")
        assert patient.result(SOON) == b"got it"
