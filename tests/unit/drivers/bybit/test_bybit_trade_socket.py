"""Answers of Bybit's trade socket: whose they are, and what they leave unknown."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from support.bybit_account import trade_answer

from thespian_connector.drivers.bybit.trading import BybitTrading
from thespian_connector.drivers.trading import OrderKey, TradeAnswer
from thespian_connector.model import NewOrder, OrderType, Side, errors
from thespian_connector.model.private import OrderReport

TRADING = BybitTrading()
ID, LINK = "2290000000012345678", "erl-000001"
BUY = NewOrder(
    client_order_id=LINK, exchange="bybit", symbol="BTC/USDT", side=Side.BUY, type=OrderType.MARKET, quantity=Decimal(1)
)
KEY = OrderKey(native="BTCUSDT", client_order_id=LINK, order_id=ID)


def answered(frame: bytes, asked: NewOrder | OrderKey = BUY) -> list[TradeAnswer]:
    return list(TRADING.decode_trade(frame, {"r-1": asked, "r-2": asked}))


def one_error(frame: bytes) -> tuple[str, errors.ExchangeError]:
    answers = answered(frame)
    assert len(answers) == 1
    assert answers[0].report is None
    assert answers[0].error is not None
    return answers[0].request_id, answers[0].error


def test_accepted_is_all_that_an_answer_says() -> None:
    placed = OrderReport(native="", client_order_id=LINK, order_id=ID)
    canceled = OrderReport(native="BTCUSDT", client_order_id=LINK, order_id=ID)
    assert answered(trade_answer()) == [TradeAnswer(request_id="r-1", report=placed)]
    assert answered(trade_answer(op="order.cancel"), KEY) == [TradeAnswer(request_id="r-1", report=canceled)]


@pytest.mark.parametrize("data", [None, {}, {"orderId": ""}, {"orderId": ID, "orderLinkId": "erl-2"}, [], "x"])
def test_accepted_without_the_order_is_unknown(data: Any) -> None:
    request_id, error = one_error(trade_answer(data=data))
    assert (request_id, type(error), error.outcome_known) == ("r-1", errors.ServerFault, False)


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (10001, errors.Rejected),
        (10002, errors.ClockError),
        (10003, errors.RateLimited),  # too many sessions; over REST it is a bad key
        (10004, errors.AuthError),
        (10005, errors.AuthError),
        (10016, errors.ServerFault),
        (10019, errors.Maintenance),
        (10403, errors.RateLimited),
        (10404, errors.Rejected),
        (10429, errors.RateLimited),
        (20003, errors.RateLimited),
        (20006, errors.OutcomeUnknown),
        (110001, errors.OrderNotFound),
        (170139, errors.OrderNotFound),
        (170131, errors.InsufficientBalance),
        (170141, errors.OutcomeUnknown),
        (987654, errors.OutcomeUnknown),
    ],
)
def test_refusals_are_those_of_rest(code: int, kind: type[errors.ExchangeError]) -> None:
    request_id, error = one_error(trade_answer(code, "words"))
    assert (request_id, type(error), error.code, error.client_order_id) == ("r-1", kind, code, LINK)


def test_over_the_limit_says_how_long() -> None:
    _, error = one_error(trade_answer(10006, "Too many visits."))
    assert (type(error), error.retry_after_s) == (errors.RateLimited, 0.4)
    _, error = one_error(trade_answer(10006, "Too many visits.", header=None))
    assert error.retry_after_s == 1


def test_a_refusal_without_its_request_is_about_all_of_them() -> None:
    for code in (10005, 10010):
        for told in (None, ""):
            request_id, error = one_error(trade_answer(code, "no", reqId=told))
            assert (request_id, type(error)) == ("", errors.AuthError)
    old = b'{"success":false,"ret_msg":"Params Error","op":"order.create","conn_id":"c"}'
    request_id, error = one_error(old)
    assert (request_id, error.outcome_known) == ("", False)


@pytest.mark.parametrize(
    "frame",
    [
        b'{"retCode":0,"retMsg":"OK","op":"pong","data":["1711002002529"],"connId":"c"}',
        trade_answer(reqId="r-9"),
        trade_answer(10016, "late", reqId="r-9"),
        trade_answer(reqId=None),
        b"{}",
        b"",
        b"pong",
        b"[]",
    ],
)
def test_what_answers_nothing_that_is_pending(frame: bytes) -> None:
    assert answered(frame) == []


def test_a_login_is_accepted_without_an_order() -> None:
    for code in (0, 20001):  # 20001: it was logged in
        assert answered(trade_answer(code, op="auth", reqId="in")) == [TradeAnswer(request_id="in")]
    assert answered(trade_answer(op="auth", reqId=None)) == [TradeAnswer(request_id="")]


def test_a_login_is_refused_without_a_word_of_the_key() -> None:
    request_id, error = one_error(trade_answer(10004, "error sign! origin_string[1784KEY5000]", op="auth", reqId="in"))
    assert (request_id, type(error)) == ("in", errors.AuthError)
    assert "KEY" not in str(error)
    _, error = one_error(b'{"success":false,"ret_msg":"Params Error","op":"auth"}')
    assert type(error) is errors.AuthError


def test_keepalive_has_no_id() -> None:
    assert TRADING.trade_keepalive("r-3") == '{"op":"ping"}'
