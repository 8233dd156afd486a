"""Bybit's private stream: its control frames, and what its data says."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest
from support.bybit_account import WALLET, execution, frame, listing, order

from thespian_connector.drivers.bybit.trading import BybitTrading
from thespian_connector.model import OrderStatus
from thespian_connector.model.private import BalanceReport, FillReport, OrderReport, PrivateEvent
from thespian_connector.model.wire import Ack, Ignored, Pong

TRADING = BybitTrading()


def decoded(text: bytes) -> list[PrivateEvent]:
    return list(TRADING.decode_private(text))


def test_it_subscribes_each_topic_in_one_form_and_no_fast_fills() -> None:
    text = TRADING.private_subscribe(8)
    assert text is not None
    assert json.loads(text) == {"req_id": "8", "op": "subscribe", "args": ["order.spot", "execution.spot", "wallet"]}


def test_keepalive() -> None:
    assert TRADING.private_keepalive(9) == '{"req_id":"9","op":"ping"}'
    assert TRADING.private_limits.keepalive_s == 20
    assert TRADING.private_limits.silence_s > 20


@pytest.mark.parametrize(
    ("text", "event"),
    [
        (b'{"success":true,"ret_msg":"","op":"auth","conn_id":"c"}', Ack(0, True, "")),
        (b'{"success":true,"ret_msg":"","op":"auth","conn_id":"c","req_id":"7"}', Ack(7, True, "")),
        (b'{"success":false,"ret_msg":"Params Error","op":"auth","conn_id":"c"}', Ack(0, False, "Params Error")),
        (b'{"success":true,"ret_msg":"","op":"subscribe","conn_id":"c","req_id":"8"}', Ack(8, True, "")),
        (b'{"success":false,"ret_msg":"Request not authorized","op":""}', Ack(0, False, "Request not authorized")),
        (b'{"req_id":"x","op":"pong","args":["1675418560633"],"conn_id":"c"}', Pong()),
        (b'{"success":true,"ret_msg":"pong","conn_id":"c","op":"ping"}', Pong()),
        (b'{"op":"something"}', Ignored("control")),
        (b'{"topic":"dcp.spot","data":[]}', Ignored("topic")),
        (b'{"topic":"execution.fast.spot","data":[]}', Ignored("topic")),
        (b'{"topic":"order.linear","data":[]}', Ignored("topic")),
        (b'{"topic":"order.spot","data":{}}', Ignored("malformed")),
        (b'{"topic":"order.spot","data":[7]}', Ignored("malformed")),
        (b"[]", Ignored("malformed")),
        (b"pong", Ignored("json")),
    ],
)
def test_frames_of_one_event(text: bytes, event: PrivateEvent) -> None:
    assert decoded(text) == [event]


def test_a_refused_login_does_not_repeat_what_was_signed() -> None:
    text = b'{"success":false,"ret_msg":"error sign! origin_string[1784KEY5000]","op":"auth"}'
    assert decoded(text) == [Ack(0, False, "")]


@pytest.mark.parametrize("topic", ["order", "order.spot"])
def test_an_order_is_the_same_on_the_stream_as_in_a_listing(topic: str) -> None:
    done = order(orderStatus="Filled", cumExecQty="0.000078")
    events = decoded(frame(topic, order(), done))
    assert events == [TRADING.parse_orders(listing(one)).orders[0] for one in (order(), done)]
    assert [event.status for event in events if isinstance(event, OrderReport)] == [
        OrderStatus.NEW,
        OrderStatus.FILLED,
    ]


def test_fills_of_several_orders_in_one_frame() -> None:
    other = execution(execId="7", orderId="9", orderLinkId="", feeCurrency="")
    dividend = execution(execType="CorporateAction")
    events = decoded(frame("execution.spot", execution(), other, dividend))
    assert events == [*TRADING.parse_fills(listing(execution(), other)).fills, Ignored("not a trade")]
    assert [type(event) for event in events[:2]] == [FillReport, FillReport]


def test_another_category_with_the_same_symbol_is_none_of_ours() -> None:
    without = {key: value for key, value in order().items() if key != "category"}
    assert decoded(frame("order", order(category="linear"), without)) == [Ignored("category"), Ignored("category")]
    assert decoded(frame("execution", execution(category="linear"))) == [Ignored("category")]


def test_an_item_that_is_not_understood_does_not_hide_the_next() -> None:
    events = decoded(frame("order.spot", order(qty="many"), order()))
    assert [type(event) for event in events] == [Ignored, OrderReport]


def test_a_wallet_tells_the_coins_that_it_names() -> None:
    pushed = WALLET | {"coin": WALLET["coin"][:1]}
    told = BalanceReport(
        asset="USDT", free=Decimal("995.4923922"), locked=Decimal("5.0076078"), time_ns=1784800000010_000_000
    )
    assert decoded(frame("wallet", pushed)) == [told]
    assert decoded(frame("wallet", pushed | {"accountType": "FUND"})) == [Ignored("category")]


def test_no_data_is_no_event() -> None:
    assert decoded(frame("order.spot")) == []
