"""What a Connector asks for an order, and what it makes of answers that are late, lost, or only acknowledgements."""

from __future__ import annotations

import time
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace

from thespian_connector import (
    Connector,
    FeeRates,
    Fill,
    Order,
    OrderStatus,
    OrderType,
    Position,
    Side,
    account_api,
    limits,
)
from thespian_connector.actors.settings import OrderSettings
from thespian_connector.model.errors import (
    AnswerLost,
    ConnectorError,
    DeadlineExceeded,
    DuplicateClientOrderId,
    Interrupted,
    InvalidOrder,
    LimitExceeded,
    NotRunning,
    OrderNotFound,
    OutcomeUnknown,
    Refused,
    Rejected,
    ServerFault,
    UsageError,
)
from thespian_connector.system.recent import Recent
from thespian_connector.system.runtime import SystemFile

SYSTEM = SystemFile("r", 1, 9, "127.0.0.1", "x", 1, None, "local", {}, 0, orders=OrderSettings(prefix="mine"))
Answer = Callable[[dict[str, Any]], Any]


class FakeClient:
    """Each operation's answers, in turn, the last again and again: a value, an error to raise, or a function."""

    system = SYSTEM
    running = True

    def __init__(self, **answers: list[Any]) -> None:
        self.answers = answers
        self.asked: list[tuple[str, dict[str, Any]]] = []

    def ask(
        self, operation: str, arguments: dict[str, Any], kind: object, timeout_s: float = 5.0, component: str = ""
    ) -> Any:
        self.asked.append((operation, arguments))
        waiting = self.answers[operation]
        answer = waiting.pop(0) if len(waiting) > 1 else waiting[0]
        if callable(answer):
            answer = answer(arguments)
        if isinstance(answer, ConnectorError):
            raise answer
        return answer

    def close(self) -> None: ...

    def of(self, operation: str) -> list[dict[str, Any]]:
        return [arguments for name, arguments in self.asked if name == operation]


def order(status: OrderStatus = OrderStatus.NEW, name: str = "a", **more: Any) -> Order:
    terms: dict[str, Any] = {"quantity": Decimal("0.01"), "price": Decimal(60000), "updated_ns": 2**62} | more
    return Order(
        client_order_id=name,
        exchange="bybit",
        symbol="BTC/USDT",
        side=Side.BUY,
        type=OrderType.LIMIT,
        status=status,
        **terms,
    )


def connector(**answers: list[Any]) -> tuple[Connector, FakeClient]:
    client = FakeClient(**answers)
    made = Connector("r")
    made._client = client  # type: ignore[assignment]  # the system's side is played
    return made, client


def place(made: Connector, **more: Any) -> Order:
    terms: dict[str, Any] = {"side": "buy", "type": "limit", "quantity": "0.01", "price": 60000} | more
    return made.place_order("bybit", "BTC/USDT", **terms)


def placed(arguments: dict[str, Any]) -> Order:
    return order(name=arguments["order"]["client_order_id"])


# -- place


def test_the_id_is_made_before_anybody_is_asked_and_money_is_exact() -> None:
    made, client = connector(place=[placed])
    begun = time.monotonic_ns()
    told = place(made, quantity=Decimal("0.010"), timeout_s=3, time_in_force="GTC")
    [asked] = client.of("place")
    assert told.client_order_id == asked["order"]["client_order_id"]
    assert told.client_order_id.startswith("mine-")
    assert asked["order"]["quantity"] == "0.01"
    assert asked["order"]["price"] == "60000"
    assert (asked["order"]["side"], asked["order"]["type"]) == ("buy", "limit")
    assert 2.9e9 < asked["deadline_mono_ns"] - begun < 60e9


def test_ids_differ() -> None:
    made, _ = connector(place=[placed])
    assert place(made).client_order_id != place(made).client_order_id


@pytest.mark.parametrize("field", ["quantity", "price", "stop_price", "quote_quantity"])
def test_a_float_is_no_money(field: str) -> None:
    made, client = connector(place=[placed])
    with pytest.raises(TypeError, match=rf"^{field}: a float is not money"):
        place(made, **{field: 0.1})
    assert not client.asked


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("side", "long"),
        ("type", "iceberg"),
        ("time_in_force", "day"),
        ("quantity", "much"),
        ("client_order_id", "a b"),
        ("timeout_s", 0),
        ("timeout_s", 61),
        ("timeout_s", "5"),
    ],
)
def test_what_cannot_be_names_its_field(field: str, value: Any) -> None:
    made, client = connector(place=[placed])
    with pytest.raises(UsageError, match=rf"^{field}: "):
        place(made, **{field: value})
    assert not client.asked


@pytest.mark.parametrize("lost", [Interrupted("it ended"), NotRunning("restarting"), Refused("it is starting")])
def test_a_lost_question_is_put_again_under_the_same_id(lost: ConnectorError) -> None:
    made, client = connector(place=[lost, lost, placed])
    told = place(made)
    first, *others = client.of("place")
    assert len(others) == 2
    assert others == [first] * 2, "the same id, terms and deadline"
    assert told.client_order_id == first["order"]["client_order_id"]


def test_never_answered_is_unknown_and_says_which_order() -> None:
    made, client = connector(place=[Interrupted("it ended")])
    with pytest.raises(OutcomeUnknown) as caught:
        place(made, client_order_id="mine-1", timeout_s=0.1)
    assert caught.value.client_order_id == "mine-1"
    assert {one["order"]["client_order_id"] for one in client.of("place")} == {"mine-1"}
    assert caught.value.exit_code == 5


def test_never_taken_is_refused_and_known() -> None:
    made, _ = connector(place=[Refused("bybit's order-command is starting")])
    with pytest.raises(Refused, match="is starting") as caught:
        place(made, client_order_id="mine-1", timeout_s=0.1)
    assert caught.value.outcome_known
    assert caught.value.client_order_id == "mine-1"


def test_a_system_that_is_not_there_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    made, client = connector(place=[NotRunning("no system")])
    monkeypatch.setattr(FakeClient, "running", False)
    with pytest.raises(NotRunning):
        place(made)
    assert len(client.asked) == 1


@pytest.mark.parametrize(
    "error", [DuplicateClientOrderId("taken"), OrderNotFound("gone"), DeadlineExceeded("not sent")]
)
def test_an_error_of_the_order_is_the_last_word(error: ConnectorError) -> None:
    made, client = connector(place=[error])
    with pytest.raises(type(error)) as caught:
        place(made, client_order_id="mine-1")
    assert caught.value.client_order_id == "mine-1"
    assert len(client.asked) == 1


@pytest.mark.parametrize("error", [AnswerLost("HTTP 502"), ServerFault("HTTP 502"), OutcomeUnknown("-1007")])
def test_an_error_that_leaves_it_open_names_the_order_and_where_to_look(error: ConnectorError) -> None:
    made, client = connector(place=[error])
    with pytest.raises(OutcomeUnknown) as caught:
        place(made)
    name = client.of("place")[0]["order"]["client_order_id"]
    assert caught.value.client_order_id == name
    assert f"order show {name}" in str(caught.value)
    assert str(error) in str(caught.value)
    assert (caught.value.retry, caught.value.exit_code) == ("never", 5)


def test_an_acknowledgement_is_followed_to_the_venue_s_word() -> None:
    pending, new = order(OrderStatus.PENDING_NEW), order(order_id="7")
    made, client = connector(place=[pending], settled=[Refused("restarting"), OrderNotFound("not yet"), new])
    assert place(made, client_order_id="a") == new
    assert [name for name, _ in client.asked] == ["place", "settled", "settled", "settled"]


def test_an_order_that_was_there_before_is_as_orderstate_knows_it() -> None:
    """OrderCommand hears of no stream: of an older order it knows its own requests only."""
    before, since = order(updated_ns=1), order(OrderStatus.CANCELED, updated_ns=2)
    made, _ = connector(place=[before], settled=[since])
    assert place(made, client_order_id="a") == since


def test_fills_that_are_still_under_way_are_waited_for() -> None:
    one = Fill(
        execution_id="1",
        price=Decimal(1),
        quantity=Decimal("0.01"),
        fee=Decimal(0),
        fee_asset="",
        time_ns=1,
        maker=False,
    )
    without = order(OrderStatus.FILLED, filled=Decimal("0.01"))
    whole = order(OrderStatus.FILLED, filled=Decimal("0.01"), fills=(one,))
    made, _ = connector(place=[order(OrderStatus.PENDING_NEW)], settled=[without, without, whole])
    assert place(made, client_order_id="a") == whole


def test_an_order_that_does_not_rest_is_followed_to_its_end() -> None:
    ended = order(OrderStatus.EXPIRED)
    made, _ = connector(place=[order(OrderStatus.PENDING_NEW)], settled=[order(), ended])
    assert place(made, client_order_id="a", time_in_force="ioc") == ended


def test_an_order_that_stays_unknown_is_an_error() -> None:
    made, _ = connector(place=[order(OrderStatus.UNKNOWN)], settled=[order(OrderStatus.UNKNOWN)])
    with pytest.raises(OutcomeUnknown) as caught:
        place(made, client_order_id="a", timeout_s=0.1)
    assert caught.value.client_order_id == "a"


def test_an_order_that_the_venue_refuses_later_is_refused() -> None:
    refused = order(OrderStatus.REJECTED, reason="EC_InsufficientBalance")
    made, _ = connector(place=[order(OrderStatus.PENDING_NEW)], settled=[refused])
    with pytest.raises(Rejected, match="EC_InsufficientBalance") as caught:
        place(made, client_order_id="a")
    assert caught.value.client_order_id == "a"


def test_an_acknowledged_order_that_nobody_tells_more_of_is_pending() -> None:
    pending = order(OrderStatus.PENDING_NEW, order_id="17")
    made, _ = connector(place=[pending], settled=[NotRunning("restarting")])
    assert place(made, client_order_id="a", timeout_s=0.1) == pending


def test_an_order_that_no_venue_has_told_of_is_not_placed() -> None:
    meant = order(OrderStatus.PENDING_NEW)
    made, _ = connector(place=[order(OrderStatus.UNKNOWN)], settled=[meant])
    with pytest.raises(OutcomeUnknown) as caught:
        place(made, client_order_id="a", timeout_s=0.1)
    assert caught.value.client_order_id == "a"


# -- cancel, amend


def test_a_cancel_is_followed_to_the_end_of_the_order() -> None:
    ended = order(OrderStatus.CANCELED)
    made, client = connector(cancel=[Interrupted("it ended"), order()], settled=[order(), ended])
    assert made.cancel_order("bybit", "a") == ended
    assert [one["client_order_id"] for one in client.of("cancel")] == ["a", "a"]


@pytest.mark.parametrize("then", [OrderNotFound("gone"), DeadlineExceeded("too late"), LimitExceeded("full")])
def test_a_cancel_that_was_perhaps_done_is_not_told_to_be_refused(then: ConnectorError) -> None:
    made, _ = connector(cancel=[Interrupted("it ended"), then])
    with pytest.raises(OutcomeUnknown, match="it ended") as caught:
        made.cancel_order("bybit", "a", timeout_s=0.1)
    assert caught.value.client_order_id == "a"


def test_a_place_that_was_perhaps_done_is_not_told_to_be_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    made, _ = connector(place=[NotRunning("it ended"), LimitExceeded("full")])
    with pytest.raises(OutcomeUnknown):
        place(made, client_order_id="a", timeout_s=0.1)

    def ends(_: object) -> ConnectorError:
        monkeypatch.setattr(FakeClient, "running", False)
        return NotRunning("all of it ended")

    made, _ = connector(place=[ends])
    with pytest.raises(OutcomeUnknown):
        place(made, client_order_id="a", timeout_s=0.1)


@pytest.mark.parametrize("seen", [order(), NotRunning("restarting")])
def test_a_cancel_whose_end_nobody_tells_is_unknown(seen: Any) -> None:
    made, _ = connector(cancel=[order()], settled=[seen], amend=[order()])
    with pytest.raises(OutcomeUnknown):
        made.cancel_order("bybit", "a", timeout_s=0.1)
    with pytest.raises(OutcomeUnknown):
        made.amend_order("bybit", "a", price=1, timeout_s=0.1)


def test_an_amendment_is_followed_to_its_terms() -> None:
    amended = order(quantity=Decimal("0.02"))
    made, client = connector(amend=[order(OrderStatus.PENDING_NEW)], settled=[order(), amended])
    assert made.amend_order("bybit", "a", quantity="0.020") == amended
    [asked] = client.of("amend")
    assert (asked["quantity"], asked["price"]) == ("0.02", None)


def test_an_amendment_that_may_have_been_made_is_looked_for_not_repeated() -> None:
    amended = order(price=Decimal(1))
    made, client = connector(amend=[Interrupted("it ended")], settled=[order(), amended])
    assert made.amend_order("bybit", "a", price=1) == amended
    assert len(client.of("amend")) == 1
    made, _ = connector(amend=[Interrupted("it ended")], settled=[order()])
    with pytest.raises(OutcomeUnknown):
        made.amend_order("bybit", "a", price=1, timeout_s=0.1)


def test_an_amendment_in_floats() -> None:
    made, _ = connector()
    with pytest.raises(TypeError, match=r"^price: "):
        made.amend_order("bybit", "a", price=1.5)
    with pytest.raises(InvalidOrder, match=r"^quantity: "):
        made.amend_order("bybit", "a", quantity="x")


def test_cancel_all_leaves_what_is_not_ours() -> None:
    def cancel(arguments: dict[str, Any]) -> Any:
        name = arguments["client_order_id"]
        return OrderNotFound("not ours") if name == "theirs" else order(OrderStatus.CANCELED, name)

    made, client = connector(orders=[[order(name=name) for name in ("a", "theirs", "b")]], cancel=[cancel])
    assert [one.client_order_id for one in made.cancel_all("bybit")] == ["a", "b"]
    assert not client.of("cancel_all")


def test_cancel_all_of_everybody() -> None:
    def cancel(arguments: dict[str, Any]) -> Any:
        name = arguments["client_order_id"]
        return OrderNotFound("not ours") if name == "theirs" else order(OrderStatus.CANCELED, name)

    ended = order(OrderStatus.CANCELED, "theirs")
    made, client = connector(
        orders=[[order(name="a"), order(name="theirs")]], cancel=[cancel], cancel_all=[["BTC/USDT"]], settled=[ended]
    )
    assert made.cancel_all("bybit", foreign=True) == [order(OrderStatus.CANCELED, "a"), ended]
    assert len(client.of("cancel_all")) == 1


def test_cancel_all_tries_all_before_it_fails() -> None:
    failing = [AnswerLost("gone"), order(OrderStatus.CANCELED)]
    made, client = connector(orders=[[order(name="a"), order(name="b")]], cancel=failing)
    with pytest.raises(OutcomeUnknown, match="gone") as caught:
        made.cancel_all("bybit")
    assert caught.value.client_order_id in ("a", "b")
    assert len(client.of("cancel")) == 2


@pytest.mark.parametrize("lost", [False, True])
def test_an_amendment_of_an_order_that_ended_instead_is_no_success(lost: bool) -> None:
    gone = order(OrderStatus.CANCELED, reason="canceled for an amendment")
    made, _ = connector(amend=[OutcomeUnknown("who knows") if lost else gone], settled=[gone])
    with pytest.raises(
        Rejected, match="has ended as CANCELED and was not changed: canceled for an amendment"
    ) as caught:
        made.amend_order("bybit", "a", price="60001")
    assert caught.value.client_order_id == "a"
    filled = order(OrderStatus.FILLED, price=Decimal(60001))
    made, _ = connector(amend=[filled])
    assert made.amend_order("bybit", "a", price="60001") == filled, "it was changed, and then it was filled"


def test_a_cancel_that_came_too_late_tells_the_fills() -> None:
    told = order(OrderStatus.FILLED, filled=Decimal("0.01"))
    fill = Fill(
        execution_id="1",
        price=Decimal(60000),
        quantity=Decimal("0.01"),
        fee=Decimal(0),
        fee_asset="USDT",
        time_ns=1,
        maker=True,
    )
    whole = replace(told, fills=(fill,))
    made, _ = connector(cancel=[told], settled=[told, whole])
    assert made.cancel_order("bybit", "a") == whole


# -- questions


def test_an_order_is_looked_for_at_every_exchange() -> None:
    found = order()
    made, client = connector(accounts=[["binance", "bybit"]], order=[OrderNotFound("none"), found])
    assert made.order("a") == found
    assert [one["exchange"] for one in client.of("order")] == ["binance", "bybit"]


@pytest.mark.parametrize("name", [None, "", 7, "x" * 65])
def test_what_is_no_id_is_not_asked_for(name: Any) -> None:
    made, client = connector(accounts=[["binance"]])
    for call in (made.order, lambda it: made.cancel_order("binance", it), lambda it: made.amend_order("binance", it)):
        with pytest.raises(InvalidOrder, match="client_order_id"):
            call(name)
    assert client.asked == []


def test_an_order_of_another_is_found_under_the_id_that_it_has() -> None:
    found = order(name="web:1/a.b")
    made, _ = connector(accounts=[["binance"]], order=[found])
    assert made.order("web:1/a.b") == found


def test_an_id_that_two_exchanges_know_must_be_told_apart() -> None:
    answers = [order(), replace(order(), exchange="binance")]
    made, client = connector(accounts=[["bybit", "binance"]], order=[*answers, answers[1]])
    with pytest.raises(UsageError, match="bybit and binance each have an order a; say which"):
        made.order("a")
    assert made.order("a", "binance") == answers[1]
    assert [one["exchange"] for one in client.of("order")] == ["bybit", "binance", "binance"]


def test_an_order_is_not_said_to_be_missing_while_somebody_cannot_tell() -> None:
    made, _ = connector(accounts=[["binance", "bybit"]], order=[Refused("restarting"), OrderNotFound("none")])
    with pytest.raises(Refused) as caught:
        made.order("a")
    assert caught.value.client_order_id == "a"
    made, _ = connector(accounts=[["binance", "bybit"]], order=[OrderNotFound("none")])
    with pytest.raises(OrderNotFound):
        made.order("a")


def test_orders_of_all_exchanges_are_in_their_order_of_time() -> None:
    first, second, third = (order(name=str(at), created_ns=at) for at in (1, 2, 3))
    made, client = connector(accounts=[["binance", "bybit"]], orders=[[first, third], [second]])
    assert made.orders(open_only=True) == [first, second, third]
    assert all(one["open_only"] for one in client.of("orders"))


def test_without_an_account_the_key_is_asked_for() -> None:
    made, _ = connector(accounts=[[]])
    with pytest.raises(UsageError, match=r"exchanges\.<id>\.api_key"):
        made.balances()


def position(unrealized: Decimal | None = None) -> Position:
    return Position(
        exchange="bybit",
        symbol="BTC/USDT",
        quantity=Decimal(1),
        avg_cost=Decimal(90),
        realized_pnl=Decimal(0),
        unrealized_pnl=unrealized,
        fees={},
    )


def test_positions_are_valued_at_the_middle_of_the_live_book(monkeypatch: pytest.MonkeyPatch) -> None:
    made, client = connector(accounts=[["bybit"]], positions=[[position()], [position(Decimal("10.5"))]])
    monkeypatch.setattr(Connector, "_mark", lambda *_: Decimal("100.5"))
    assert made.positions() == [position(Decimal("10.5"))]
    assert client.of("positions")[-1]["marks"] == {"BTC/USDT": "100.5"}


def test_the_mark_is_the_ticker_s_where_no_book_is_live() -> None:
    from thespian_connector import Ticker

    quoted: dict[str, Any] = dict.fromkeys(("open", "high", "low", "volume", "quote_volume"))
    ticker = Ticker(
        exchange="bybit",
        symbol="BTC/USDT",
        last=Decimal(1),
        bid=Decimal(100),
        ask=Decimal(101),
        venue_time_ns=1,
        received_time_ns=1,
        **quoted,
    )
    made, _ = connector(order_book=[Refused("restarting")], ticker=[ticker])
    assert made._mark("bybit", "BTC/USDT") == Decimal("100.5")
    made, _ = connector(order_book=[Refused("restarting")], ticker=[Refused("restarting")])
    assert made._mark("bybit", "BTC/USDT") is None


def test_fees_of_what_is_carried_or_asked_for() -> None:
    rates = [FeeRates(exchange="bybit", symbol="BTC/USDT", maker=Decimal("0.001"), taker=Decimal("0.001"))]
    made, client = connector(exchanges=[{"bybit": ["BTC/USDT", "ETH/USDT"]}], fees=[rates])
    assert made.fees("bybit") == rates
    made.fees("bybit", ["XRP/USDT"])
    assert [one["symbols"] for one in client.of("fees")] == [["BTC/USDT", "ETH/USDT"], ["XRP/USDT"]]


# -- streams


def test_private_channels_come_from_order_state() -> None:
    def resolve(arguments: dict[str, Any]) -> list[dict[str, Any]]:
        name = arguments["pattern"]
        return [{"name": name, "endpoint": f"ipc://{name}", "symbols": []}]

    made, _ = connector(
        exchanges=[{"binance": ["BTC/USDT"], "bybit": ["BTC/USDT"]}], accounts=[["bybit"]], resolve=[resolve]
    )
    endpoints, topics = made._sources("BTC/USDT", ("order", "fill", "balance"), ())
    assert list(endpoints) == ["exchange/bybit/order-state"]
    assert topics == ["order|bybit|BTC/USDT", "fill|bybit|BTC/USDT", "balance|bybit|BTC", "balance|bybit|USDT"]


# -- what commands told is not untold


def filled(updated_ns: int, status: OrderStatus = OrderStatus.FILLED) -> Order:
    return order(status, updated_ns=updated_ns, order_id="7", filled=Decimal(0))


def test_who_placed_an_order_is_not_told_less_of_it_afterwards() -> None:
    late = time.time_ns() + 10**12
    stale, fresh = filled(late - 1, OrderStatus.NEW), filled(late)
    made, client = connector(
        accounts=[["bybit"]], place=[fresh], order=[stale, fresh], settled=[stale, stale, fresh], orders=[[fresh]]
    )
    place(made, client_order_id="a", type="market", price=None)
    client.asked.clear()
    assert made.order("a") == fresh
    assert [name for name, _ in client.asked if name != "accounts"] == ["order", "settled", "settled", "settled"]
    client.asked.clear()
    assert made.order("a") == fresh
    assert [name for name, _ in client.asked if name != "accounts"] == ["order"], "once it has caught up it is believed"


@pytest.mark.parametrize("listing", ["orders", "positions"])
def test_nor_by_a_listing(listing: str) -> None:
    late = time.time_ns() + 10**12
    fresh = filled(late)
    told: list[Any] = [OrderNotFound("not yet")]
    made, client = connector(
        accounts=[["bybit"]],
        place=[fresh],
        order=told,
        settled=[OrderNotFound("no"), fresh],
        orders=[[]],
        positions=[[]],
    )
    place(made, client_order_id="a", type="market", price=None)
    client.asked.clear()
    getattr(made, listing)()
    asked = [name for name, _ in client.asked if name != "accounts"]
    assert asked == ["order", "settled", "settled", listing]
    client.asked.clear()
    getattr(made, listing)()
    assert [name for name, _ in client.asked if name != "accounts"] == [listing]


def test_a_query_side_that_does_not_catch_up_is_said_to_be_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(account_api, "ORDER_CATCH_UP_S", 0.05)
    late = time.time_ns() + 10**12
    stale = filled(late - 1, OrderStatus.NEW)
    made, _ = connector(accounts=[["bybit"]], place=[filled(late)], order=[stale], settled=[stale])
    place(made, client_order_id="a", type="market", price=None)
    with pytest.raises(Refused, match="has not heard yet what became of a"):
        made.order("a")
    assert made.order("a") == stale, "it is said once"


def test_of_how_many_it_is_known_is_bounded() -> None:
    recent = Recent()
    for number in range(limits.ORDERS_RECENT_MAX + 5):
        recent.told(order(name=f"n{number}", updated_ns=5))
    assert len(recent.of("bybit")) == limits.ORDERS_RECENT_MAX
    assert recent.told_ns("bybit", "n4") == 0
    assert recent.told_ns("bybit", "n5") == 5
    assert recent.of("binance") == []
