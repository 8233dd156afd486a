"""Whatever Bybit sends, the trading half answers with a well-formed record, or with a ServerFault."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.bybit_account import WALLET, envelope, execution, frame, listing, order, trade_answer

from thespian_connector.drivers._mutations import damaged, respelled
from thespian_connector.drivers.bybit.trading import BybitTrading
from thespian_connector.drivers.trading import OrderKey
from thespian_connector.model import Instrument, InstrumentStatus, NewOrder, OrderType, Side
from thespian_connector.model.decimals import text
from thespian_connector.model.errors import ExchangeError, ServerFault
from thespian_connector.model.private import BalanceReport, FillReport, OrderReport
from thespian_connector.model.wire import Ignored

TRADING = BybitTrading()
BTC = Instrument(
    exchange="bybit",
    symbol="BTC/USDT",
    native="BTCUSDT",
    base="BTC",
    quote="USDT",
    status=InstrumentStatus.TRADING,
    tick_size=Decimal("0.1"),
    step_size=Decimal("0.000001"),
)
BUY = NewOrder(
    client_order_id="erl-000001",
    exchange="bybit",
    symbol="BTC/USDT",
    side=Side.BUY,
    type=OrderType.MARKET,
    quantity=Decimal(1),
)
KEY = OrderKey(native="BTCUSDT", client_order_id="erl-000001")
PENDING: dict[str, NewOrder | OrderKey] = {"r-1": BUY, "r-2": KEY}

PRIVATE_FRAMES = (
    frame("order.spot", order(), order(orderStatus="Untriggered", triggerPrice="63000")),
    frame("execution.spot", execution(), execution(execType="CorporateAction")),
    frame("wallet", WALLET),
    b'{"success":true,"ret_msg":"","op":"auth","conn_id":"c","req_id":"7"}',
    b'{"req_id":"x","op":"pong","args":["1675418560633"],"conn_id":"c"}',
)
TRADE_FRAMES = (
    trade_answer(),
    trade_answer(10006, "Too many visits."),
    trade_answer(op="auth"),
    b'{"success":false,"ret_msg":"Params Error","op":"order.create","conn_id":"c"}',
)
ACK = envelope({"orderId": "2290000000012345678", "orderLinkId": "erl-000001"})
RATE = {"symbol": "BTCUSDT", "takerFeeRate": "0.001", "makerFeeRate": "-0.0001"}
PARSERS: dict[str, tuple[Callable[[bytes], object], bytes]] = {
    "placed": (lambda body: TRADING.parse_placed(body, BUY, BTC), ACK),
    "canceled": (lambda body: TRADING.parse_canceled(body, KEY), ACK),
    "amended": (lambda body: TRADING.parse_amended(body, KEY), ACK),
    "query": (lambda body: TRADING.parse_query(body, KEY), listing(order())),
    "orders": (TRADING.parse_orders, listing(order(), order(orderId="7"), cursor="a%3A1")),
    "fills": (TRADING.parse_fills, listing(execution(), execution(execId="7"), cursor="a%3A1")),
    "balances": (TRADING.parse_balances, envelope({"list": [WALLET]})),
    "fees": (lambda body: TRADING.parse_fees(body, "BTCUSDT"), envelope({"list": [RATE]})),
}
SPELLED = ("price", "stop_price", "quantity", "quote_quantity", "filled", "filled_quote", "fee", "free", "locked")


def check_private(message: bytes) -> set[str]:
    """The reasons to ignore that are in it."""
    reasons = set()
    for event in TRADING.decode_private(message):
        if isinstance(event, Ignored):
            reasons.add(event.reason)
        check_record(event)
    return reasons


def check_record(event: object) -> None:
    if isinstance(event, OrderReport | FillReport):
        assert event.order_id
        assert event.order_id.isprintable()
        assert 0 <= event.time_ns < 2**63
    if isinstance(event, OrderReport | FillReport | BalanceReport):
        for field in SPELLED:
            number = getattr(event, field, None)
            assert number is None or len(text(number)) < 120, field


def check_trade(message: bytes) -> None:
    for answer in TRADING.decode_trade(message, PENDING):
        assert answer.request_id in PENDING or answer.request_id == "" or b"auth" in message
        assert answer.report is None or answer.error is None
        assert answer.error is None or isinstance(answer.error, ExchangeError)


@pytest.mark.parametrize("message", PRIVATE_FRAMES)
def test_damaged_private_frames(message: bytes) -> None:
    reasons = set[str]().union(*(check_private(broken) for broken in damaged(message)))
    assert reasons <= {"json", "malformed", "topic", "control", "category", "not a trade"}


@pytest.mark.parametrize("message", PRIVATE_FRAMES)
def test_respelled_private_frames(message: bytes) -> None:
    for other in respelled(message):
        assert TRADING.decode_private(other) == TRADING.decode_private(message)


@pytest.mark.parametrize("message", TRADE_FRAMES)
def test_damaged_trade_frames(message: bytes) -> None:
    for broken in damaged(message):
        check_trade(broken)


@pytest.mark.parametrize("name", PARSERS)
def test_damaged_bodies_raise_server_fault_only(name: str) -> None:
    parse, body = PARSERS[name]
    for other in respelled(body):
        assert parse(other) == parse(body)
    for broken in damaged(body):
        try:
            parse(broken)
        except ServerFault:
            continue


VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=40)
    | st.decimals(allow_nan=False).map(str)
    | st.sampled_from(["", "Filled", "Market", "quoteCoin", "Trade", "1e-70", "0.0", "-0", "9" * 40, "UNIFIED"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


def changes_of(item: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.dictionaries(st.sampled_from(sorted(item)), VALUES, max_size=6).map(lambda changes: item | changes)


@given(st.lists(changes_of(order()), max_size=2), st.lists(changes_of(execution()), max_size=2))
def test_orders_and_fills_with_any_values(orders: list[dict[str, Any]], fills: list[dict[str, Any]]) -> None:
    check_private(frame("order.spot", *orders))
    check_private(frame("execution.spot", *fills))
    for parse, body in ((TRADING.parse_orders, listing(*orders)), (TRADING.parse_fills, listing(*fills))):
        try:
            page = parse(body)
        except ServerFault:
            continue
        for record in (*page.orders, *page.fills):
            check_record(record)


@given(st.dictionaries(st.sampled_from(["topic", "data", "op", "success", "req_id", "creationTime"]), VALUES))
def test_private_frames_of_any_values(message: dict[str, Any]) -> None:
    check_private(json.dumps(message).encode())


@given(st.dictionaries(st.sampled_from(["reqId", "retCode", "op", "retMsg", "data", "header", "success"]), VALUES))
def test_trade_frames_of_any_values(message: dict[str, Any]) -> None:
    check_trade(json.dumps(json.loads(trade_answer()) | message).encode())


@given(st.binary(max_size=200))
def test_any_bytes(message: bytes) -> None:
    check_private(message)
    check_trade(message)
