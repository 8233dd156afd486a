"""Questions about orders that wait, and questions to Gateway that are on their way."""

from __future__ import annotations

import time
from typing import Any

import pytest
from support.feeds import instrument
from support.orders import SYMBOL, answered, cancel_intended, intended, report, reported

from thespian_connector import limits
from thespian_connector.actors.component import result_of
from thespian_connector.actors.inquiries import Inquiries
from thespian_connector.actors.messages import Announce, Reply, Request, failure, pack, unpack
from thespian_connector.actors.parked import Parked
from thespian_connector.model import Order, OrderStatus
from thespian_connector.model.errors import AuthError, OrderNotFound, Refused
from thespian_connector.orders.desk import Desk
from thespian_connector.orders.survey import Answer, Question


class Desked:
    def __init__(self) -> None:
        self.desk = Desk("binance", lambda told, _: told.fee_asset)
        self.desk.learn([instrument("binance", SYMBOL)])
        self.sent: list[Reply] = []
        self.parked = Parked(lambda _, reply: self.sent.append(reply))

    def ask(self, operation: str, name: str = "a", for_s: float = 60, **arguments: Any) -> None:
        arguments |= {"client_order_id": name, "deadline_mono_ns": time.monotonic_ns() + int(for_s * 1e9)}
        self.parked.ask(Request(5, "c", operation), 3, "client", arguments, self.desk)

    def fold(self, *events: Any) -> None:
        self.parked.look(self.desk.fold(events).orders, self.desk)

    def answer(self) -> OrderStatus:
        [reply] = self.sent
        assert (reply.target, reply.correlation) == (3, "c")
        return unpack(result_of(reply), Order).status


def test_a_known_order_is_told_at_once() -> None:
    it = Desked()
    it.fold(intended())
    it.ask("order")
    assert it.answer() is OrderStatus.PENDING_NEW


def test_an_order_that_is_just_being_made_is_waited_for() -> None:
    it = Desked()
    it.ask("order")
    assert it.sent == []
    it.fold(intended("b"))
    assert it.sent == []
    it.fold(intended())
    assert it.answer() is OrderStatus.PENDING_NEW
    assert not it.parked


def test_nobody_knows_it_when_the_wait_is_over() -> None:
    it = Desked()
    it.ask("order")
    it.parked.expire(time.monotonic(), it.desk)
    assert it.sent == []
    it.parked.expire(time.monotonic() + limits.ORDER_UNHEARD_S, it.desk)
    with pytest.raises(OrderNotFound, match="'a'"):
        result_of(it.sent[0])


def test_settled_waits_until_the_venue_has_said_how_it_stands() -> None:
    it = Desked()
    it.fold(intended(), answered(known=False))
    it.ask("settled")
    it.fold(answered("b", known=False))
    assert it.sent == []
    it.fold(reported(report()))
    assert it.answer() is OrderStatus.NEW


def test_settled_tells_what_is_known_when_its_time_is_over() -> None:
    it = Desked()
    it.fold(intended(), answered(known=False))
    it.ask("settled", for_s=5)
    it.parked.expire(time.monotonic() + 6, it.desk)
    assert it.answer() is OrderStatus.UNKNOWN


def test_settled_may_wait_for_a_change_too() -> None:
    it = Desked()
    it.fold(intended(), answered(told=report()), cancel_intended())
    it.ask("settled")
    assert it.answer() is OrderStatus.PENDING_CANCEL
    it.sent.clear()
    it.ask("settled", changes=True)
    assert it.sent == []
    it.fold(reported(report(status=OrderStatus.CANCELED)))
    assert it.answer() is OrderStatus.CANCELED


def test_too_many_are_refused() -> None:
    it = Desked()
    for _ in range(limits.ORDERS_PARKED_MAX):
        it.ask("order")
    with pytest.raises(Refused, match="wait already"):
        it.ask("order")


def gateway(incarnation: int, address: str | None = "there") -> Announce:
    return Announce(0, "exchange/x/gateway", "Gateway", "running", address, incarnation, 1, 0, 0, "local")


QUESTION = Question(key=("balances",), operation="balances", arguments={})


class Asked:
    def __init__(self) -> None:
        self.sent: list[Request] = []
        self.inquiries = Inquiries(3, lambda _, request: self.sent.append(request))
        self.inquiries.gateway(gateway(7))

    def reply(self, result: Any, request: Request | None = None) -> Reply:
        request = request or self.sent[-1]
        return Reply(3, request.correlation, True, pack(result))


def test_an_answer_finds_its_question_and_tells_the_venues_time() -> None:
    it = Asked()
    it.inquiries.ask(QUESTION, 0)
    assert (it.sent[0].operation, it.sent[0].asker, it.sent[0].target) == ("balances", 3, 7)
    ahead_ns = 90 * 10**9
    taken = it.inquiries.answered(it.reply(Answer(asked_ns=1, now_ns=time.time_ns() + ahead_ns)))
    assert taken.question == QUESTION
    assert taken.answer is not None
    assert abs(it.inquiries.now_ns() - time.time_ns() - ahead_ns) < 10**10
    again = it.inquiries.answered(it.reply(Answer(asked_ns=1, now_ns=1)))
    assert (again.question, again.answer) == (None, None)


def test_an_error_is_told_with_its_question() -> None:
    it = Asked()
    it.inquiries.ask(QUESTION, 0)
    taken = it.inquiries.answered(failure(it.sent[0].correlation, AuthError("no"), 3))
    assert taken.question == QUESTION
    assert isinstance(taken.error, AuthError)


def test_what_nobody_answers_is_given_up() -> None:
    it = Asked()
    it.inquiries.ask(QUESTION, 100)
    assert it.inquiries.overdue(100 + limits.INQUIRY_S_MAX) == []
    assert it.inquiries.overdue(101 + limits.INQUIRY_S_MAX) == [QUESTION]
    assert it.inquiries.overdue(102 + limits.INQUIRY_S_MAX) == []


def test_another_life_never_answers_what_the_last_one_was_asked() -> None:
    it = Asked()
    it.inquiries.ask(QUESTION, 0)
    it.inquiries.instruments(0)
    assert it.inquiries.gateway(gateway(7)) == []
    assert it.inquiries.gateway(gateway(8)) == [QUESTION]
    it.inquiries.instruments(0.1)
    assert it.sent[-1].operation == "instruments", "they are asked for anew"
    assert it.inquiries.gateway(None) == []
    assert not it.inquiries.ready


def test_instruments_are_asked_for_now_and_then() -> None:
    it = Asked()
    now = time.monotonic()
    it.inquiries.instruments(now)
    it.inquiries.instruments(now + 1)
    assert len(it.sent) == 1
    taken = it.inquiries.answered(it.reply([instrument("binance", SYMBOL)]))
    assert taken.instruments is not None
    assert [one.symbol for one in taken.instruments] == [SYMBOL]
    it.inquiries.instruments(now + limits.INSTRUMENTS_REFRESH_S - 5)
    assert len(it.sent) == 1
    it.inquiries.instruments(now + limits.INSTRUMENTS_REFRESH_S + 5)
    assert len(it.sent) == 2


def test_instruments_that_were_not_told_are_asked_for_soon() -> None:
    it = Asked()
    now = time.monotonic()
    it.inquiries.instruments(now)
    it.inquiries.answered(failure(it.sent[0].correlation, Refused("later"), 3))
    it.inquiries.instruments(now + limits.MAINTENANCE_RETRY_S + 1)
    assert len(it.sent) == 2
