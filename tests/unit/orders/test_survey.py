"""What is asked of a venue, and what its answers make of the orders. No socket, no clock."""

from __future__ import annotations

import itertools
from decimal import Decimal
from typing import Any

import pytest
from support.feeds import instrument
from support.orders import NATIVE, SECOND, SYMBOL, answered, cancel_intended, fill, intended, report, reported

from thespian_connector import limits
from thespian_connector.model import OrderStatus
from thespian_connector.model.private import BalanceReport
from thespian_connector.orders.desk import Desk
from thespian_connector.orders.events import BalancesTold, Event, Executed, Operation, VenueEvent
from thespian_connector.orders.survey import Answer, Question, Survey

BEGIN = 1_000 * SECOND


class Talk:
    """A survey whose questions the test answers, at times that the test says (seconds after the begin)."""

    def __init__(self, *events: Event, connected: bool = True) -> None:
        self.desk = Desk("binance", lambda told, _: told.fee_asset)
        self.desk.load(events)
        self.desk.loaded()
        self.desk.learn([instrument("binance", SYMBOL)])
        self.survey = Survey(self.desk, (SYMBOL,), 10 * SECOND, BEGIN)
        self.survey.connected = connected
        self.journaled: list[VenueEvent] = []

    def ask(self, at: float = 0, listings: bool = False) -> dict[str, Question]:
        """By their keys. Without `listings` those between the rounds are answered as it is known already."""
        questions = self.survey.questions(BEGIN + int(at * SECOND))
        for question in questions:
            if question.key[:1] == ("open_orders",) and len(question.key) == 2 and not listings:
                self.tell(question, at, orders=[report(name, at=1) for name in question.expected])
                questions = [one for one in questions if one is not question]
        return {" ".join(one.key): one for one in questions}

    def tell(self, question: Question, at: float = 0, **told: Any) -> None:
        now_ns = BEGIN + int(at * SECOND)
        answer = Answer(asked_ns=now_ns, now_ns=now_ns, **told)
        self.journal(*self.survey.answered(question, answer, now_ns), at=at)

    def journal(self, *events: VenueEvent, at: float = 0) -> None:
        new = self.desk.sift(events)
        self.journaled += new
        self.hear(*new, at=at)

    def hear(self, *events: Event, at: float = 0) -> None:
        self.desk.fold(events)
        self.survey.folded(events, BEGIN + int(at * SECOND))

    def quiet(self, at: float = 0) -> None:
        """Answers a whole round: nothing is there."""
        for question in self.ask(at).values():
            self.tell(question, at)

    def status(self, name: str = "a") -> OrderStatus:
        order = self.desk.order(name)
        assert order is not None
        return order.status


def open_order(name: str = "a", **more: Any) -> tuple[Event, Event]:
    return intended(name, at=BEGIN - 60 * SECOND), answered(name, report(name, **more), at=BEGIN - 59 * SECOND)


def test_a_life_begins_with_everything() -> None:
    talk = Talk()
    questions = talk.ask()
    assert list(questions) == ["open_orders", "balances", f"fills {NATIVE}"]
    since_ms = questions[f"fills {NATIVE}"].arguments["since_ms"]
    assert since_ms == (BEGIN // 10**6) - 1000 * limits.FILLS_MARGIN_S, "nothing is known: since this life began"
    assert talk.ask(1) == {}, "one of each is in the air"


def test_rounds_come_again_and_sooner_without_a_stream() -> None:
    for connected, every_s in ((True, limits.SURVEY_EVERY_S), (False, limits.SURVEY_BLIND_EVERY_S)):
        talk = Talk(connected=connected)
        talk.quiet()
        assert talk.ask(every_s - 1) == {}
        assert list(talk.ask(every_s)) == ["open_orders", "balances"], "nothing is traded: no fills to list"


def test_a_stream_that_begins_asks_for_everything_even_what_is_in_the_air() -> None:
    talk = Talk()
    before = talk.ask()
    talk.survey.everything()
    assert talk.ask(1) == {}
    for question in before.values():
        talk.tell(question, 2)
    assert list(talk.ask(2)) == ["open_orders", "balances", f"fills {NATIVE}"], "the answers were older than the stream"


def test_an_order_that_a_listing_lacks_is_asked_for_and_only_that_word_counts() -> None:
    talk = Talk(*open_order())
    questions = talk.ask()
    assert questions["open_orders"].expected == ("a",)
    talk.tell(questions["open_orders"])
    assert talk.status() is OrderStatus.NEW
    single = talk.ask(0.1)["order a"]
    assert single.arguments["key"] == {
        "native": NATIVE,
        "client_order_id": "a",
        "order_id": "id-a",
        "conditional": False,
    }
    talk.tell(single, 1, orders=[report(status=OrderStatus.CANCELED, at=BEGIN)])
    assert talk.status() is OrderStatus.CANCELED


def test_open_orders_are_listed_between_the_rounds() -> None:
    """What the stream left out of a resting order is found sooner than by the next round."""
    talk = Talk(*open_order())
    questions = talk.ask()
    for question in questions.values():
        talk.tell(question, orders=[report()] if question.key[0] == "open_orders" else [])
    assert talk.ask(limits.SURVEY_OPEN_EVERY_S - 1, listings=True) == {}
    listing = talk.ask(limits.SURVEY_OPEN_EVERY_S, listings=True)
    assert list(listing) == [f"open_orders {NATIVE}"]
    question = listing[f"open_orders {NATIVE}"]
    assert (question.arguments, question.expected) == ({"native": NATIVE}, ("a",))
    talk.tell(question, 11)
    assert list(talk.ask(11)) == ["order a"], "it is gone from there"
    quiet = Talk()
    quiet.quiet()
    assert quiet.ask(limits.SURVEY_OPEN_EVERY_S, listings=True) == {}, "nothing is open"


def test_orders_of_many_symbols_are_listed_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "SURVEY_SYMBOLS_MAX", 0)
    talk = Talk(*open_order())
    for question in talk.ask().values():
        talk.tell(question, orders=[report()] if question.key[0] == "open_orders" else [])
    assert list(talk.ask(limits.SURVEY_OPEN_EVERY_S, listings=True)) == ["open_orders"]


def test_an_order_that_is_not_found_anywhere_stays_as_it_was() -> None:
    talk = Talk(*open_order())
    for question in talk.ask().values():
        talk.tell(question)
    at, tries = 0.0, 0
    while at < limits.SURVEY_EVERY_S - 1:
        for question in talk.ask(at).values():
            tries += 1
            talk.tell(question, at)
        at += 0.25
    assert talk.status() is OrderStatus.NEW
    assert tries == limits.SURVEY_TRIES_MAX
    assert talk.journaled == []


def test_what_the_stream_ended_meanwhile_is_not_asked_for() -> None:
    talk = Talk(*open_order())
    listing = talk.ask()["open_orders"]
    talk.journal(reported(report(status=OrderStatus.CANCELED, at=BEGIN), BEGIN))
    talk.tell(listing, 1)
    assert "order a" not in talk.ask(1)


def test_nor_what_it_ended_just_before_the_question() -> None:
    talk = Talk(*open_order())
    talk.tell(talk.ask()["open_orders"])
    talk.journal(reported(report(status=OrderStatus.CANCELED, at=BEGIN), BEGIN))
    assert "order a" not in talk.ask(1)


def test_an_order_that_no_intent_names_is_adopted() -> None:
    talk = Talk()
    talk.tell(talk.ask()["open_orders"], orders=[report("web_1"), report("", order_id="4711")])
    assert {order.client_order_id for order in talk.desk.orders(open_only=True, symbol=None, most=9)} == {
        "web_1",
        "4711",
    }
    assert {event.source for event in talk.journaled if hasattr(event, "source")} == {"open_orders"}


def test_listings_that_repeat_are_not_journaled() -> None:
    talk = Talk()
    balances = [BalanceReport(asset="BTC", free=Decimal(1), locked=Decimal(0), time_ns=BEGIN)]
    order, execution = report("web_1", OrderStatus.PARTIALLY_FILLED, "1"), fill("web_1", client_order_id="")
    for number in range(3):
        at = number * limits.SURVEY_EVERY_S
        questions = talk.ask(at)
        talk.tell(questions["open_orders"], at, orders=[order])
        later = [BalanceReport(asset="BTC", free=Decimal(1), locked=Decimal(0), time_ns=BEGIN + number)]
        talk.tell(questions["balances"], at, balances=later)
        talk.tell(questions[f"fills {NATIVE}"], at, fills=[execution])
        if number == 0:
            told = len(talk.journaled)
    assert told == len(talk.journaled) == 3
    assert [one.free for one in talk.desk.balances()] == [balances[0].free]


def told(talk: Talk, at: float, *assets: str, amount: str = "7") -> None:
    """By the stream."""
    balances = [BalanceReport(asset=one, free=Decimal(amount), locked=Decimal(0), time_ns=_at(at)) for one in assets]
    talk.journal(BalancesTold(balances=tuple(balances), time_ns=_at(at)), at=at)


def _at(at: float) -> int:
    return BEGIN + int(at * SECOND)


def placed(talk: Talk, at: float, name: str = "a") -> None:
    talk.hear(intended(name, at=_at(at)), answered(name, report(name, at=_at(at)), at=_at(at)), at=at)


def traded(talk: Talk, at: float) -> None:
    """As a listing of fills tells, not the stream."""
    talk.journal(Executed(fill=fill(at=_at(at), fee_asset="BNB"), source="query", time_ns=_at(at)), at=at)


@pytest.mark.parametrize(
    ("heard", "assets", "asked"),
    [
        (None, (), True),
        (10, ("USDT",), False),  # the very moment
        (10.5, ("USDT",), False),
        (9.9, ("USDT", "BTC"), True),  # just before: of something else
        (10.5, ("BTC",), True),  # of another asset
    ],
)
def test_what_an_order_locks_is_asked_for_where_the_stream_does_not_tell_it(
    heard: float | None, assets: tuple[str, ...], asked: bool
) -> None:
    talk = Talk()
    talk.quiet()
    if heard is not None and heard < 10:
        told(talk, heard, *assets)
    placed(talk, 10)
    if heard is not None and heard >= 10:
        told(talk, heard, *assets)
    assert talk.ask(10.9) == {}
    assert list(talk.ask(11.1)) == (["balances"] if asked else [])
    assert "balances" in talk.ask(limits.SURVEY_EVERY_S) or asked, "a round asks in any case"


def test_word_that_came_before_the_fill_was_known_settles_it_if_the_venue_said_it_later() -> None:
    talk = Talk()
    talk.quiet()
    placed(talk, 10)
    told(talk, 10.4, "BTC", "USDT", "BNB")
    talk.hear(Executed(fill=fill(at=_at(10.2), fee_asset="BNB"), source="stream", time_ns=_at(10.5)), at=10.5)
    assert talk.ask(30) == {}


def test_word_that_comes_later_and_is_older_settles_nothing() -> None:
    talk = Talk()
    talk.quiet()
    placed(talk, 10)
    told(talk, 9.9, "USDT")  # folded now
    assert talk.ask(10.5) == {}
    assert list(talk.ask(11.1)) == ["balances"]


def test_what_a_fill_moves_is_owed_asset_by_asset() -> None:
    for left_out in ("BTC", "USDT", "BNB"):
        talk = Talk()
        talk.quiet()
        placed(talk, 10)
        traded(talk, 10.1)
        told(talk, 10.2, *({"BTC", "USDT", "BNB"} - {left_out}))
        assert list(talk.ask(11.2)) == ["balances"], left_out


def test_a_refused_order_moves_nothing() -> None:
    talk = Talk()
    talk.quiet()
    refused = report(status=OrderStatus.REJECTED, at=_at(10))
    talk.hear(intended(at=_at(10)), answered(told=refused, at=_at(10)), at=10)
    assert talk.ask(30) == {}


def test_a_stream_that_goes_on_telling_is_not_asked_after() -> None:
    """What is owed at any moment of a busy account was only just moved."""
    talk = Talk()
    talk.quiet()
    at = 10.0
    for number in range(40):
        placed(talk, at, f"n{number}")
        told(talk, at - 0.1, "USDT")
        assert talk.ask(at) == {}
        at += 0.25


def test_a_listing_that_may_be_late_is_asked_for_again_and_not_too_often() -> None:
    """Asked a second after the move it may not hold the move yet; and a stream that never tells costs little."""
    talk = Talk()
    talk.quiet()
    placed(talk, 10)
    times = []
    at = 10.0
    while at < limits.SURVEY_EVERY_S - 1:
        for question in talk.ask(at).values():
            times.append(at)
            talk.tell(question, at)
        at += 0.25
    assert times == [11, 11 + limits.BALANCES_EVERY_S]


def test_while_the_stream_tells_nothing_balances_are_asked_for_again_and_again() -> None:
    talk = Talk()
    talk.quiet()
    times = []
    for quarter in range(40, 160):
        at = quarter / 4
        placed(talk, at, f"n{quarter}")
        for question in talk.ask(at).values():
            times.append(at)
            talk.tell(question, at)
    assert {later - sooner for sooner, later in itertools.pairwise(times)} == {limits.BALANCES_EVERY_S}
    assert len(times) == 6


def test_an_asset_that_a_whole_listing_lacks_is_gone() -> None:
    talk = Talk()
    balance = BalanceReport(asset="BTC", free=Decimal(1), locked=Decimal(0), time_ns=BEGIN)
    talk.tell(talk.ask()["balances"], balances=[balance])
    questions = talk.ask(limits.SURVEY_EVERY_S)
    talk.tell(questions["balances"], limits.SURVEY_EVERY_S)
    assert talk.desk.balances() == []
    assert len(talk.journaled) == 2


def test_fills_are_listed_since_the_newest_known_less_a_margin() -> None:
    talk = Talk(*open_order())
    talk.quiet()
    newest = fill(at=BEGIN + 5 * SECOND)
    talk.journal(reported(report(status=OrderStatus.PARTIALLY_FILLED, filled="1", at=BEGIN), BEGIN))
    talk.journal(Executed(fill=newest, source="stream", time_ns=newest.time_ns))
    question = talk.ask(limits.SURVEY_EVERY_S)[f"fills {NATIVE}"]
    assert question.arguments["since_ms"] == (newest.time_ns - int(limits.FILLS_MARGIN_S * SECOND)) // 10**6


def test_fills_that_an_order_lacks_are_asked_for_by_the_order() -> None:
    talk = Talk(*open_order())
    talk.quiet()
    talk.journal(reported(report(status=OrderStatus.FILLED, filled="2", at=BEGIN), BEGIN))
    question = talk.ask(1 + limits.RECONCILE_QUIET_S)["order_fills a"]
    assert question.operation == "fills"
    assert question.arguments == {"native": NATIVE, "order_id": "id-a"}
    talk.tell(question, 3, fills=[fill(number=1), fill(number=2)])
    order = talk.desk.order("a")
    assert order is not None
    assert [one.execution_id for one in order.fills] == ["1", "2"]
    # What the stream left out of an order it left out of balances, too.
    assert list(talk.ask(5)) == ["balances"]


def test_fills_of_an_order_that_nobody_named_are_followed_up() -> None:
    talk = Talk()
    talk.tell(talk.ask()[f"fills {NATIVE}"], fills=[fill("b", client_order_id="")])
    assert talk.desk.order("b") is None
    question = talk.ask(2)["foreign " + NATIVE + " id-b"]
    assert question.arguments["key"] == {"native": NATIVE, "client_order_id": "", "order_id": "id-b"}
    talk.tell(question, 2, orders=[report("b", OrderStatus.FILLED, "1")])
    order = talk.desk.order("b")
    assert order is not None
    assert len(order.fills) == 1


def test_who_is_never_found_is_given_up_until_the_next_gap() -> None:
    talk = Talk()
    talk.tell(talk.ask()[f"fills {NATIVE}"], fills=[fill("b", client_order_id="")])

    def asked(begin: float) -> int:
        count, at = 0, begin
        while at < begin + 40:
            for key, question in talk.ask(at).items():
                count += key.startswith("foreign")
                talk.tell(question, at)
            at += 0.5
        return count

    assert asked(1) == limits.SURVEY_TRIES_MAX
    assert asked(41) == 0
    talk.survey.everything()
    assert asked(121) == limits.SURVEY_TRIES_MAX


def test_an_unknown_order_ends_only_when_it_provably_never_arrived() -> None:
    lost = answered(at=BEGIN, known=False)
    talk = Talk(intended(at=BEGIN), lost)
    talk.quiet()
    # Until 5 s (deadline) + 2 s (window) + 10 s (engine) + the margin nothing that is not found proves anything.
    bound_s = 17 + limits.RECONCILE_MARGIN_S
    at = 0.0
    while at <= bound_s:
        for question in talk.ask(at).values():
            talk.tell(question, at)
        assert talk.status() is OrderStatus.UNKNOWN
        at += 0.25
    while at <= bound_s + 0.5 + limits.RECONCILE_AGAIN_S:
        for question in talk.ask(at).values():
            talk.tell(question, at)
        at += 0.25
    assert talk.status() is OrderStatus.REJECTED
    order = talk.desk.order("a")
    assert order is not None
    assert order.reason == "never_reached_venue"


def test_an_unknown_order_that_is_found_is_what_the_venue_says() -> None:
    talk = Talk(intended(at=BEGIN), answered(at=BEGIN, known=False))
    question = talk.ask(0.1)["order a"]
    assert question.arguments["key"]["order_id"] is None
    talk.tell(question, 0.2, orders=[report(at=BEGIN)])
    assert talk.status() is OrderStatus.NEW


def test_a_question_that_fails_is_put_again_later_each_time() -> None:
    talk = Talk()
    times, at = [], 0.0
    while at < 30:
        for key, question in talk.ask(at).items():
            if key == "balances":
                times.append(at)
                talk.survey.failed(question, BEGIN + int(at * SECOND))
            else:
                talk.tell(question, at)
        at += 0.25
    pauses = [round(later - sooner, 2) for sooner, later in itertools.pairwise(times)]
    assert pauses[:5] == [0.5, 1, 2, 4, 8]
    assert max(pauses) <= limits.SURVEY_RETRY_MAX_S


def test_few_questions_are_in_the_air_and_listings_go_first() -> None:
    orders = [event for number in range(10) for event in (intended(f"u{number}", at=BEGIN), _lost(f"u{number}"))]
    talk = Talk(*orders)
    first = talk.ask()
    assert len(first) == limits.INQUIRIES_IN_AIR_MAX
    assert list(first)[:3] == ["open_orders", "balances", f"fills {NATIVE}"]
    assert talk.ask(0.1) == {}
    for question in first.values():
        talk.tell(question, 0.2)
    assert len(talk.ask(0.3)) == limits.INQUIRIES_IN_AIR_MAX


def _lost(name: str) -> Event:
    return answered(name, at=BEGIN, known=False)


def test_a_late_answer_to_what_was_given_up_says_nothing() -> None:
    talk = Talk()
    question = talk.ask()["open_orders"]
    talk.survey.failed(question, BEGIN)
    talk.tell(question, 1, orders=[report("web_1")])
    assert talk.journaled == []


def test_a_cancel_that_was_only_taken_is_asked_about_when_the_stream_is_quiet() -> None:
    taken = answered(told=report(status=None), operation=Operation.CANCEL, at=BEGIN, operation_id="c1")
    talk = Talk(*open_order(), cancel_intended(at=BEGIN), taken)
    assert talk.status() is OrderStatus.PENDING_CANCEL
    listing = report(at=BEGIN - 59 * SECOND)
    for question in talk.ask().values():
        talk.tell(question, 0, orders=[listing] if question.key[0] == "open_orders" else [])
    question = talk.ask(1 + limits.RECONCILE_QUIET_S)["order a"]
    talk.tell(question, 3, orders=[report(status=OrderStatus.CANCELED, at=BEGIN)])
    assert talk.status() is OrderStatus.CANCELED


def test_an_order_whose_symbol_is_not_known_yet_is_asked_for_when_it_is() -> None:
    desk = Desk("binance", lambda told, _: told.fee_asset)
    desk.load([intended(at=BEGIN), answered(at=BEGIN, known=False)])
    desk.loaded()
    survey = Survey(desk, (SYMBOL,), 10 * SECOND, BEGIN)
    assert [one.key for one in survey.questions(BEGIN)] == [("open_orders",), ("balances",)]
    desk.learn([instrument("binance", SYMBOL)])
    assert ("order", "a") in [one.key for one in survey.questions(BEGIN + SECOND)]


def test_it_says_when_something_is_due() -> None:
    talk = Talk(intended(at=BEGIN), answered(at=BEGIN, known=False))
    assert talk.survey.wait_s(BEGIN) == 0
    talk.quiet()
    now_ns = BEGIN + SECOND // 100
    assert 0 < talk.survey.wait_s(now_ns) <= limits.RECONCILE_FIRST_S
