"""Commands on standard input: each line is answered once, with its id, and a bad one says where it is bad."""

from __future__ import annotations

import json
import threading
from decimal import Decimal
from typing import Any

import pytest

from thespian_connector.cli._batch import Batch
from thespian_connector.model import Order, OrderStatus, OrderType, Side
from thespian_connector.model.errors import InvalidOrder, OrderNotFound, OutcomeUnknown, Refused, UsageError

PLACE = {"op": "place", "exchange": "bybit", "symbol": "BTC/USDT", "side": "buy", "quantity": "0.01", "price": "60000"}


class FakeConnector:
    """Answers at once, but for names that wait for their event."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str, str, dict[str, Any]]] = []
        self.waits: dict[str, threading.Event] = {}
        self.fails: dict[str, Exception] = {}
        #: Where orders are known to be.
        self.at: dict[str, list[str]] = {}

    def accounts(self) -> list[str]:
        return ["binance", "bybit"]

    def _done(self, what: str, exchange: str, name: str, status: OrderStatus, fields: dict[str, Any]) -> Order:
        if name in self.waits:
            assert self.waits[name].wait(60)
        self.calls.append((what, exchange, name, fields))
        if name in self.fails:
            raise self.fails[name]
        return Order(
            client_order_id=name,
            exchange=exchange,
            symbol="BTC/USDT",
            side=Side.BUY,
            type=OrderType.LIMIT,
            status=status,
            quantity=Decimal("0.01"),
        )

    def place_order(self, exchange: str, symbol: str, *, client_order_id: str = "made", **fields: Any) -> Order:
        return self._done("place", exchange, client_order_id, OrderStatus.NEW, {"symbol": symbol, **fields})

    def cancel_order(self, exchange: str, client_order_id: str, **fields: Any) -> Order:
        if exchange == "binance":
            raise OrderNotFound("not here")
        return self._done("cancel", exchange, client_order_id, OrderStatus.CANCELED, fields)

    def amend_order(self, exchange: str, client_order_id: str, **fields: Any) -> Order:
        return self._done("amend", exchange, client_order_id, OrderStatus.NEW, fields)

    def order(self, client_order_id: str, exchange: str | None = None) -> Order:
        places = [exchange] if exchange is not None else self.at.get(client_order_id, ["bybit"])
        if len(places) != 1:
            raise UsageError(f"{places} have it")
        return self._done("show", places[0], client_order_id, OrderStatus.NEW, {})


def run(connector: FakeConnector, *lines: Any) -> tuple[int, list[dict[str, Any]]]:
    shown: list[dict[str, Any]] = []
    batch = Batch(connector, shown.append)  # type: ignore[arg-type]  # the system's side is played
    code = batch.run(line if isinstance(line, bytes) else json.dumps(line).encode() for line in lines)
    return code, shown


def test_a_place_is_what_its_fields_say() -> None:
    connector = FakeConnector()
    terms = {"type": "stop_limit", "stop_price": 61000, "tif": "ioc", "timeout": 2.5, "client_order_id": "a"}
    code, [answer] = run(connector, {"id": "x", **PLACE, **terms})
    [(what, exchange, name, fields)] = connector.calls
    assert (code, what, exchange, name) == (0, "place", "bybit", "a")
    assert fields == {
        "symbol": "BTC/USDT",
        "side": "buy",
        "quantity": "0.01",
        "price": "60000",
        "type": "stop_limit",
        "stop_price": 61000,
        "time_in_force": "ioc",
        "timeout_s": 2.5,
    }
    assert (answer["id"], answer["client_order_id"], answer["outcome_known"]) == ("x", "a", True)


def test_a_cancel_finds_the_exchange_and_without_an_id_the_line_is_named() -> None:
    connector = FakeConnector()
    code, answers = run(connector, b"\n", {"op": "cancel", "client_order_id": "a"})
    assert (code, [one["id"] for one in answers]) == (0, [2])
    assert connector.calls[-1] == ("cancel", "bybit", "a", {})


def test_an_order_that_no_exchange_tells_of_is_tried_at_each() -> None:
    connector = FakeConnector()
    connector.fails["a"] = OrderNotFound("not yet")
    run(connector, {"op": "cancel", "client_order_id": "a"})
    assert [call[:2] for call in connector.calls] == [("show", "bybit"), ("cancel", "bybit")]


def test_an_id_that_two_exchanges_know_is_not_guessed() -> None:
    connector = FakeConnector()
    connector.at["a"] = ["binance", "bybit"]
    code, [answer] = run(connector, {"op": "cancel", "client_order_id": "a"})
    assert (code, answer["error"]["type"], connector.calls) == (1, "UsageError", [])
    code, [answer] = run(connector, {"op": "cancel", "client_order_id": "a", "exchange": "bybit"})
    assert (code, answer["status"]) == (0, "CANCELED")
    code, [answer] = run(connector, {"op": "show", "client_order_id": "a", "exchange": "binance"})
    assert (code, answer["exchange"]) == (0, "binance")


def test_the_quick_are_answered_before_the_slow() -> None:
    connector = FakeConnector()
    connector.waits["slow"] = threading.Event()
    shown: list[dict[str, Any]] = []

    def show(document: dict[str, Any]) -> None:
        shown.append(document)
        connector.waits["slow"].set()

    lines = [{"id": name, **PLACE, "client_order_id": name} for name in ("slow", "quick")]
    Batch(connector, show).run(json.dumps(line).encode() for line in lines)  # type: ignore[arg-type]  # played
    assert [one["id"] for one in shown] == ["quick", "slow"]


def test_commands_of_one_order_keep_their_order() -> None:
    connector = FakeConnector()
    connector.waits["a"] = threading.Event()
    threading.Timer(0.05, connector.waits["a"].set).start()
    lines = [{"id": 1, **PLACE, "client_order_id": "a"}, {"id": 2, "op": "amend", "client_order_id": "a", "price": "1"}]
    lines.append({"id": 3, "op": "show", "client_order_id": "a"})
    _, answers = run(connector, *lines)
    assert [call[0] for call in connector.calls] == ["place", "show", "amend", "show"], "an amend looks where it is"
    assert [one["id"] for one in answers] == [1, 2, 3]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b"{", "line 1: not JSON"),
        (b"[]", "line 1: not a JSON object"),
        ({}, "line 1: op: None is not one of place, cancel, amend, show"),
        ({"op": "buy"}, "line 1: op: 'buy'"),
        ({**PLACE, "symbol": None}, "line 1: symbol: place needs it"),
        ({**PLACE, "prize": "1"}, "line 1: prize: place has no such field"),
        ({**PLACE, "price": 60000.1}, "line 1: price: a float is no money"),
        ({**PLACE, "side": 1}, "line 1: side: a string is meant"),
        ({**PLACE, "timeout": "5"}, "line 1: timeout: a number of seconds"),
        ({**PLACE, "tif": "ioc", "time_in_force": "gtc"}, "line 1: time_in_force: tif is the same"),
        ({**PLACE, "quantity": True}, "line 1: quantity: a number is meant"),
        ({"op": "amend", "price": "1"}, "line 1: client_order_id: amend needs it"),
    ],
)
def test_a_bad_line_is_answered_and_the_others_go_on(line: Any, words: str) -> None:
    connector = FakeConnector()
    code, answers = run(connector, line, {"id": "good", **PLACE})
    [bad] = [one for one in answers if "error" in one]
    assert bad["error"]["message"].startswith(words)
    assert bad["error"]["type"] in ("InvalidOrder", "UsageError")
    assert bad["id"] == 1
    assert code == 1
    assert [one["id"] for one in answers if "error" not in one] == ["good"]


def test_errors_are_answers_and_the_worst_is_the_exit_code() -> None:
    connector = FakeConnector()
    connector.fails = {
        "a": Refused("no", client_order_id="a"),
        "b": OutcomeUnknown("who knows", client_order_id="b"),
        "c": InvalidOrder("price: no", client_order_id="c"),
    }
    code, answers = run(connector, *({"id": name, **PLACE, "client_order_id": name} for name in "abc"))
    errors = {one["id"]: one["error"] for one in answers}
    assert code == 5
    assert errors["a"]["outcome_known"]
    assert not errors["b"]["outcome_known"]
    assert errors["b"]["client_order_id"] == "b"
    assert errors["c"]["message"] == "line 3: price: no"


def test_when_nobody_reads_the_answers_no_more_is_done() -> None:
    connector = FakeConnector()

    def show(_document: dict[str, Any]) -> None:
        raise BrokenPipeError

    def lines() -> Any:
        yield json.dumps({**PLACE, "client_order_id": "first"}).encode()
        while not connector.calls:
            threading.Event().wait(0.01)
        for number in range(1000):
            yield json.dumps({**PLACE, "client_order_id": str(number)}).encode()

    with pytest.raises(BrokenPipeError):
        Batch(connector, show).run(lines())  # type: ignore[arg-type]  # the system's side is played
    assert len(connector.calls) < 1000
