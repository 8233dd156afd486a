"""The user data stream and orders over the WebSocket API: what each frame says, and that none is ever too much."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import binance_trading_samples as samples
from support.binance_samples import compact
from support.binance_trading_samples import KEY, ORDER, PRIVATE_EVENTS, T_NS, event

from thespian_connector.drivers._mutations import damaged, respelled
from thespian_connector.drivers.binance.trading import BinanceTrading
from thespian_connector.drivers.trading import OrderKey, TradeAnswer
from thespian_connector.limits import FRAME_BYTES_MAX
from thespian_connector.model import NewOrder, OrderStatus, OrderType, Side, TimeInForce, errors
from thespian_connector.model.private import BalanceReport, FillReport, OrderReport, PrivateEvent, StreamEnded
from thespian_connector.model.wire import Ack, Ignored, ServerShutdown

VENUE = BinanceTrading()
MS = 1_000_000
NEW = OrderReport(
    native="BTCUSDT",
    client_order_id="tc-1",
    order_id="12569099453",
    status=OrderStatus.NEW,
    status_word="NEW",
    side=Side.SELL,
    type=OrderType.LIMIT,
    time_in_force=TimeInForce.GTC,
    price=Decimal("23416.1"),
    quantity=Decimal("0.00847"),
    filled=Decimal(0),
    filled_quote=Decimal(0),
    created_ns=T_NS,
    time_ns=T_NS,
)


def changed(**changes: Any) -> OrderReport:
    return msgspec.structs.replace(NEW, **changes)


def decoded(body: dict[str, Any]) -> list[PrivateEvent]:
    return list(VENUE.decode_private(compact(event(body))))


def test_a_new_order() -> None:
    assert decoded(samples.NEW_EXECUTION) == [NEW]


def test_a_trade_is_a_fill_and_the_orders_new_state() -> None:
    fill = FillReport(
        native="BTCUSDT",
        execution_id="1650422481",
        order_id="12569099453",
        client_order_id="tc-1",
        side=Side.SELL,
        price=Decimal("23416.5"),
        quantity=Decimal("0.00212"),
        fee=Decimal("0.04964298"),
        fee_asset="USDT",
        maker=True,
        time_ns=T_NS + 3 * MS,
    )
    order = changed(
        status=OrderStatus.PARTIALLY_FILLED,
        status_word="PARTIALLY_FILLED",
        filled=Decimal("0.00212"),
        filled_quote=Decimal("49.64298"),
        time_ns=T_NS + 3 * MS,
    )
    assert decoded(samples.TRADE_EXECUTION) == [fill, order]


@pytest.mark.parametrize(
    ("execution", "expected"),
    [
        (samples.CANCELED_EXECUTION, {"status": OrderStatus.CANCELED, "status_word": "CANCELED"}),
        (samples.REPLACED_EXECUTION, {"quantity": Decimal("0.005")}),
        (samples.REPLACED_EXECUTION | {"c": "random", "x": "REPLACED"}, {"quantity": Decimal("0.005")}),
        (samples.PREVENTED_EXECUTION, {"status": OrderStatus.EXPIRED, "status_word": "EXPIRED_IN_MATCH"}),
        (
            samples.EXPIRED_EXECUTION,
            {
                "type": OrderType.MARKET,
                "price": None,
                "quantity": Decimal(6),
                "filled": Decimal(4),
                "filled_quote": Decimal(80),
                "status": OrderStatus.EXPIRED,
                "status_word": "EXPIRED",
                "reason": "INSUFFICIENT_LIQUIDITY",
            },
        ),
        (
            samples.NEW_EXECUTION | {"x": "REJECTED", "X": "REJECTED", "r": "INSUFFICIENT_BALANCES"},
            {"status": OrderStatus.REJECTED, "status_word": "REJECTED", "reason": "INSUFFICIENT_BALANCES"},
        ),
        (samples.NEW_EXECUTION | {"X": "TOMORROWS_WORD"}, {"status": None, "status_word": "TOMORROWS_WORD"}),
        (samples.NEW_EXECUTION | {"x": "TOMORROWS_WORD", "Z": "-1.0"}, {"filled_quote": None}),
        (
            samples.NEW_EXECUTION | {"o": "MARKET", "p": "0.0", "q": "0.0", "Q": "100.00"},
            {"type": OrderType.MARKET, "price": None, "quantity": None, "quote_quantity": Decimal(100)},
        ),
        (
            samples.NEW_EXECUTION | {"o": "STOP_LOSS_LIMIT", "P": "23410.0", "w": False},
            {"type": OrderType.STOP_LIMIT, "stop_price": Decimal(23410)},
        ),
    ],
)
def test_what_becomes_of_an_order_is_told_under_its_own_id_and_is_no_fill(
    execution: dict[str, Any], expected: dict[str, Any]
) -> None:
    assert decoded(execution) == [changed(**expected)]


@pytest.mark.parametrize("changes", [{"t": -1}, {"l": None}, {"S": "HOLD"}, {"L": "-1"}, {"T": -1}, {"i": None}])
def test_a_trade_that_cannot_be_counted_is_not_half_told(changes: dict[str, Any]) -> None:
    assert decoded(samples.TRADE_EXECUTION | changes) == [Ignored("malformed executionReport")]


def test_balances() -> None:
    assert decoded(samples.POSITION) == [
        BalanceReport(asset="BTC", free=Decimal("1.5"), locked=Decimal("0.00847"), time_ns=T_NS + MS),
        BalanceReport(asset="USDT", free=Decimal(10000), locked=Decimal(0), time_ns=T_NS + MS),
    ]
    delta = {"e": "balanceUpdate", "E": samples.T_MS, "a": "BTC", "d": "100.00000000", "T": samples.T_MS}
    assert decoded(delta) == [Ignored("event not used")]


def test_answers_and_ends() -> None:
    def told(message: dict[str, Any]) -> list[PrivateEvent]:
        return list(VENUE.decode_private(compact(message)))

    assert told({"id": 7, "status": 200, "result": {"subscriptionId": 0}, "rateLimits": []}) == [Ack(7, True)]
    refused = {"code": -1022, "msg": "Signature for this request is not valid."}
    assert told({"id": 7, "status": 400, "error": refused}) == [Ack(7, False, f"{refused['msg']} (code -1022)")]
    twice = {"code": -2035, "msg": "User Data Stream subscription already active."}
    (ack,) = told({"id": 8, "status": 400, "error": twice})
    assert isinstance(ack, Ack)
    assert ack.ok
    revoked = {"code": -2015, "msg": "Invalid API-key, IP, or permissions for action."}
    (ended,) = told({"id": None, "status": 401, "error": revoked})
    assert ended == StreamEnded(f"{revoked['msg']} (code -2015)")
    (ack,) = told({"id": 9, "status": 401, "error": revoked})
    assert isinstance(ack, Ack)
    assert (ack.request_id, ack.ok) == (9, False)
    (ended,) = told(event({"e": "eventStreamTerminated", "E": 1}))
    assert isinstance(ended, StreamEnded)
    assert told({"event": {"e": "serverShutdown", "E": 1}}) == [ServerShutdown()]


# -- orders over the WebSocket API

PENDING: dict[str, NewOrder | OrderKey] = {"r1": ORDER, "r2": KEY, "3": KEY}


def answered(message: dict[str, Any]) -> list[TradeAnswer]:
    return list(VENUE.decode_trade(compact(message), PENDING))


def test_an_answer_goes_to_the_request_of_its_id() -> None:
    (placed,) = answered({"id": "r1", "status": 200, "result": samples.FULL, "rateLimits": []})
    assert placed.request_id == "r1"
    assert placed.report is not None
    assert placed.error is None
    assert (placed.report.status, len(placed.report.fills)) == (OrderStatus.FILLED, 2)
    for request_id in ("r2", 3):
        (canceled,) = answered({"id": request_id, "status": 200, "result": samples.CANCELED})
        assert canceled.request_id == str(request_id)
        assert canceled.report is not None
        assert (canceled.report.client_order_id, canceled.report.status) == ("tc-1", OrderStatus.CANCELED)


def test_what_answers_nobody_is_no_answer() -> None:
    assert answered({"id": "r9", "status": 200, "result": samples.FULL}) == []
    assert answered({"id": None, "status": 200, "result": {}}) == []
    assert answered(event(samples.NEW_EXECUTION)) == []


@pytest.mark.parametrize(
    ("status", "code", "msg", "kind"),
    [
        (400, -2010, "Account has insufficient balance for requested action.", errors.InsufficientBalance),
        (400, -2011, "Unknown order sent.", errors.OrderNotFound),
        (400, -1021, "Timestamp for this request is outside of the recvWindow.", errors.ClockError),
        (429, -1015, "Too many new orders.", errors.RateLimited),
        (500, -1006, "An unexpected response was received from the message bus.", errors.OutcomeUnknown),
        (504, -1007, "Timeout waiting for response from backend server.", errors.OutcomeUnknown),
        (503, -1008, "Server is currently overloaded.", errors.ServerFault),
    ],
)
def test_a_refusal(status: int, code: int, msg: str, kind: type[errors.ExchangeError]) -> None:
    (answer,) = answered({"id": "r1", "status": status, "error": {"code": code, "msg": msg}})
    assert answer.report is None
    assert type(answer.error) is kind
    assert (answer.error.code, answer.error.status) == (code, status)


def test_a_ban_says_when_it_ends() -> None:
    data = {"serverTime": samples.T_MS, "retryAfter": samples.T_MS + 42_000}
    banned = {"code": -1003, "msg": "Way too many requests; IP banned until 17.", "data": data}
    (answer,) = answered({"id": "r1", "status": 418, "error": banned})
    assert type(answer.error) is errors.Banned
    assert answer.error.retry_after_s == 42


def test_a_revoked_key_answers_to_no_request_in_particular() -> None:
    error = {"code": -2015, "msg": "Invalid API-key, IP, or permissions for action."}
    (answer,) = answered({"id": None, "status": 401, "error": error})
    assert answer.request_id == ""
    assert type(answer.error) is errors.AuthError


@pytest.mark.parametrize("result", [{}, samples.RESULT | {"clientOrderId": "tc-9"}, None, "ok"])
def test_a_success_that_cannot_be_read_is_an_unknown_outcome(result: Any) -> None:
    (answer,) = answered({"id": "r1", "status": 200, "result": result})
    assert type(answer.error) is errors.ServerFault
    assert not answer.error.outcome_known


def test_a_failure_that_cannot_be_read_is_judged_by_its_status() -> None:
    for status, kind in ((500, errors.ServerFault), (400, errors.ServerFault), (403, errors.Banned)):
        (answer,) = answered({"id": "r1", "status": status})
        assert type(answer.error) is kind


# -- whatever comes

ANSWERS = (
    {"id": "r1", "status": 200, "result": samples.FULL},
    {"id": "r2", "status": 200, "result": samples.CANCELED},
    {"id": "r1", "status": 400, "error": {"code": -2010, "msg": "no", "data": {"serverTime": 1, "retryAfter": 2}}},
)
FRAMES = tuple(map(compact, (*PRIVATE_EVENTS, *ANSWERS)))


def check(frame: bytes) -> None:
    for one in VENUE.decode_private(frame):
        assert isinstance(one, PrivateEvent)
        assert msgspec.msgpack.encode(one)
    for answer in VENUE.decode_trade(frame, PENDING):
        assert (answer.report is None) != (answer.error is None)


def test_damaged_frames_are_answered_all_the_same() -> None:
    reasons = set()
    for frame in FRAMES:
        for broken in damaged(frame):
            check(broken)
            reasons |= {one.reason for one in VENUE.decode_private(broken) if isinstance(one, Ignored)}
        for other in respelled(frame):
            assert VENUE.decode_private(other) == VENUE.decode_private(frame)
    assert len(reasons) <= 16, reasons
    check(b"[" * (FRAME_BYTES_MAX + 1))


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.sampled_from(["0", "1.5"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=4),
    max_leaves=8,
)


@given(st.sampled_from((samples.TRADE_EXECUTION, samples.POSITION)), st.data())
def test_events_of_any_content(body: dict[str, Any], data: st.DataObject) -> None:
    keys = data.draw(st.lists(st.sampled_from(sorted(body)), max_size=4, unique=True))
    check(compact(event(body | {key: data.draw(_JSON) for key in keys})))


@given(st.sampled_from(ANSWERS), st.data())
def test_answers_of_any_content(body: dict[str, Any], data: st.DataObject) -> None:
    keys = data.draw(st.lists(st.sampled_from(sorted(body)), max_size=2, unique=True))
    check(compact(body | {key: data.draw(_JSON) for key in keys}))


@given(st.sampled_from(FRAMES), st.data())
def test_frames_with_bytes_in_any_place(frame: bytes, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(frame)))
    check(frame[:at] + data.draw(st.binary(max_size=8)) + frame[at + data.draw(st.integers(0, 8)) :])
