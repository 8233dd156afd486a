"""What Binance's answers about orders and the account say, to the last field."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from support import binance_trading_samples as samples
from support.binance_samples import compact, error, listing
from support.binance_trading_samples import INSTRUMENT, KEY, KEY_BY_ID, ORDER, T_NS

from thespian_connector.drivers._mutations import damaged, respelled
from thespian_connector.drivers.base import Limit, Usage
from thespian_connector.drivers.binance.errors import classify
from thespian_connector.drivers.binance.orders import PAGE_ROWS, cancel_id
from thespian_connector.drivers.binance.trading import BinanceTrading
from thespian_connector.drivers.trading import Fees, Page, Replaced
from thespian_connector.model import OrderStatus, OrderType, Side, TimeInForce, errors
from thespian_connector.model.private import BalanceReport, FillReport, OrderReport

VENUE = BinanceTrading()
MS = 1_000_000
PLACED = OrderReport(
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
    time_ns=T_NS,
)


def changed(**changes: Any) -> OrderReport:
    return msgspec.structs.replace(PLACED, **changes)


def parsed(body: dict[str, Any]) -> OrderReport:
    return VENUE.parse_placed(compact(body), ORDER, INSTRUMENT)


def test_an_order_that_rests() -> None:
    assert parsed(samples.RESULT) == PLACED


def test_an_ack_says_nothing_of_the_orders_state() -> None:
    assert parsed(samples.ACK) == OrderReport(
        native="BTCUSDT", client_order_id="tc-1", order_id="12569099453", time_ns=T_NS
    )


def test_fills_of_an_order_that_met_the_book() -> None:
    common: dict[str, Any] = {
        "native": "BTCUSDT",
        "order_id": "12569099453",
        "client_order_id": "tc-1",
        "side": Side.SELL,
        "fee_asset": "USDT",
        "maker": False,
        "time_ns": T_NS,
    }
    fills = tuple(
        FillReport(execution_id=number, price=Decimal(price), quantity=Decimal(quantity), fee=Decimal(fee), **common)
        for number, price, quantity, fee in (
            ("1650422481", "23416.5", "0.00212", "0.04964298"),
            ("1650422482", "23416.1", "0.00635", "0.14869224"),
        )
    )
    assert parsed(samples.FULL) == changed(
        status=OrderStatus.FILLED,
        status_word="FILLED",
        filled=Decimal("0.00847"),
        filled_quote=Decimal("198.335215"),
        fills=fills,
    )


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"status": "EXPIRED_IN_MATCH"}, {"status": OrderStatus.EXPIRED, "status_word": "EXPIRED_IN_MATCH"}),
        ({"status": "PENDING_NEW"}, {"status": OrderStatus.PENDING_NEW, "status_word": "PENDING_NEW"}),
        ({"status": "SUSPENDED_NEXT_YEAR"}, {"status": None, "status_word": "SUSPENDED_NEXT_YEAR"}),
        (
            {
                "type": "MARKET",
                "price": "0.00000000",
                "origQty": "0.00000000",
                "origQuoteOrderQty": "100.000000",
                "status": "EXPIRED",
                "expiryReason": "INSUFFICIENT_LIQUIDITY",
            },
            {
                "type": OrderType.MARKET,
                "price": None,
                "quantity": None,
                "quote_quantity": Decimal(100),
                "status": OrderStatus.EXPIRED,
                "status_word": "EXPIRED",
                "reason": "INSUFFICIENT_LIQUIDITY",
            },
        ),
        (
            {"type": "STOP_LOSS_LIMIT", "stopPrice": "23410.00000000"},
            {"type": OrderType.STOP_LIMIT, "stop_price": Decimal(23410)},
        ),
        ({"type": "TAKE_PROFIT_LIMIT", "timeInForce": "GTD"}, {"type": None, "time_in_force": None}),
        ({"transactTime": samples.T_MS * 1000 + 5}, {"time_ns": T_NS + 5000}),
    ],
)
def test_states_and_types_of_an_order(changes: dict[str, Any], expected: dict[str, Any]) -> None:
    assert parsed(samples.RESULT | changes) == changed(**expected)


@pytest.mark.parametrize(
    "changes",
    [
        {"clientOrderId": "tc-2"},
        {"symbol": "ETHUSDT"},
        {"executedQty": "-1"},
        {"executedQty": 0.5},
        {"price": "NaN"},
        {"orderId": -1},
        {"fills": [{"price": "1", "qty": "1"}]},
    ],
)
def test_an_answer_that_is_not_about_our_order_is_an_unknown_outcome(changes: dict[str, Any]) -> None:
    with pytest.raises(errors.ServerFault) as caught:
        parsed(samples.RESULT | changes)
    assert not caught.value.outcome_known


def test_a_canceled_order_is_told_under_its_own_id() -> None:
    expected = changed(
        status=OrderStatus.CANCELED,
        status_word="CANCELED",
        filled=Decimal("0.001"),
        filled_quote=Decimal("23.4161"),
    )
    for key in (KEY, KEY_BY_ID):
        assert VENUE.parse_canceled(compact(samples.CANCELED), key) == expected
    for other in ({"origClientOrderId": "tc-2"}, {"symbol": "ETHUSDT"}):
        with pytest.raises(errors.ServerFault):
            VENUE.parse_canceled(compact(samples.CANCELED | other), KEY)
    with pytest.raises(errors.ServerFault):
        VENUE.parse_canceled(compact(samples.CANCELED | {"orderId": 7}), KEY_BY_ID)


def test_an_amended_order() -> None:
    assert VENUE.parse_amended(compact(samples.AMENDED), KEY) == changed(
        quantity=Decimal("0.005"),
        filled=Decimal("0.001"),
        filled_quote=Decimal("23.4161"),
        status=OrderStatus.PARTIALLY_FILLED,
        status_word="PARTIALLY_FILLED",
        time_ns=T_NS + 7 * MS,
    )


QUERIED = changed(
    status=OrderStatus.PARTIALLY_FILLED,
    status_word="PARTIALLY_FILLED",
    filled=Decimal("0.001"),
    filled_quote=None,
    created_ns=T_NS,
    time_ns=T_NS + 5 * MS,
)


def test_an_order_that_is_asked_for() -> None:
    """A negative quote amount is the venue's way to say that it does not know."""
    assert VENUE.parse_query(compact(samples.QUERIED), KEY) == QUERIED
    canceled = samples.QUERIED | {"clientOrderId": cancel_id("tc-1")}
    assert VENUE.parse_query(compact(canceled), KEY) == QUERIED
    foreign = samples.QUERIED | {"clientOrderId": "a-cancel-of-the-web-page"}
    assert VENUE.parse_query(compact(foreign), KEY_BY_ID) == QUERIED
    nameless = msgspec.structs.replace(KEY_BY_ID, client_order_id="")
    assert VENUE.parse_query(compact(foreign), nameless) == msgspec.structs.replace(
        QUERIED, client_order_id="a-cancel-of-the-web-page"
    )
    with pytest.raises(errors.ServerFault):
        VENUE.parse_query(compact(foreign), KEY)


def test_listings_of_orders() -> None:
    other = samples.QUERIED | {"orderId": 12569099454, "clientOrderId": "tc-2"}
    assert VENUE.parse_orders(compact([samples.QUERIED, other])) == Page(
        orders=[QUERIED, msgspec.structs.replace(QUERIED, order_id="12569099454", client_order_id="tc-2")]
    )
    assert VENUE.parse_orders(b"[]") == Page()
    full = [samples.QUERIED | {"orderId": number} for number in range(PAGE_ROWS)]
    assert VENUE.parse_orders(compact(full)).cursor == str(PAGE_ROWS)


def test_what_a_cancel_of_everything_canceled() -> None:
    """The answer mixes orders and order lists, whose orders are within."""
    listed = {"orderListId": 1929, "contingencyType": "OCO", "orderReports": [samples.CANCELED | {"orderId": 20}]}
    page = VENUE.parse_orders(compact([samples.CANCELED, listed]))
    told = [(order.order_id, order.client_order_id, order.status) for order in page.orders]
    assert told == [("12569099453", "tc-1", OrderStatus.CANCELED), ("20", "tc-1", OrderStatus.CANCELED)]


def test_our_trades() -> None:
    fill = FillReport(
        native="BTCUSDT",
        execution_id="1650422481",
        order_id="12569099453",
        client_order_id="",
        side=Side.SELL,
        price=Decimal("23416.5"),
        quantity=Decimal("0.00212"),
        fee=Decimal("0.00000212"),
        fee_asset="BNB",
        maker=True,
        time_ns=T_NS,
    )
    assert VENUE.parse_fills(compact([samples.TRADE])) == Page(fills=[fill])
    bought = VENUE.parse_fills(compact([samples.TRADE | {"isBuyer": True}]))
    assert bought.fills[0].side is Side.BUY
    full = [samples.TRADE | {"id": 7 + number} for number in range(PAGE_ROWS)]
    assert VENUE.parse_fills(compact(full)).cursor == str(7 + PAGE_ROWS)


def test_the_account() -> None:
    assert VENUE.parse_balances(compact(samples.ACCOUNT)) == [
        BalanceReport(asset="BTC", free=Decimal("1.5"), locked=Decimal("0.00847"), time_ns=T_NS),
        BalanceReport(asset="这是测试币456", free=Decimal(0), locked=Decimal(3), time_ns=T_NS),
    ]


def test_fees_are_all_commissions_of_the_dearer_side() -> None:
    expected = Fees(native="BTCUSDT", maker=Decimal("0.001104"), taker=Decimal("0.002105"))
    assert VENUE.parse_fees(compact(samples.COMMISSION), "BTCUSDT") == expected
    alone = {name: samples.COMMISSION[name] for name in ("symbol", "standardCommission")}
    assert VENUE.parse_fees(compact(alone), "BTCUSDT").maker == Decimal("0.0011")
    with pytest.raises(errors.ServerFault):
        VENUE.parse_fees(compact(samples.COMMISSION), "ETHUSDT")


# -- cancel-replace

NEW_ORDER = msgspec.structs.replace(ORDER, client_order_id="tc-2")
NEW_RESULT = samples.RESULT | {"clientOrderId": "tc-2", "orderId": 9}
BOTH = {
    "cancelResult": "SUCCESS",
    "newOrderResult": "SUCCESS",
    "cancelResponse": samples.CANCELED,
    "newOrderResponse": NEW_RESULT,
}


def replaced(answer: bytes | errors.ExchangeError) -> Replaced:
    return VENUE.parse_replaced(answer, KEY, NEW_ORDER, INSTRUMENT)


def failed(status: int, code: int, **halves: Any) -> errors.ExchangeError:
    """What becomes of an answer that is no success, on its way through `classify`."""
    body = compact({"code": code, "msg": "Order cancel-replace failed.", "data": BOTH | halves})
    answer = classify(status, {}, body)
    assert answer is not None
    return answer


def test_both_halves_of_a_cancel_replace_happened() -> None:
    result = replaced(compact(BOTH))
    assert result.canceled is not None
    assert (result.canceled.client_order_id, result.canceled.status) == ("tc-1", OrderStatus.CANCELED)
    assert result.placed == changed(client_order_id="tc-2", order_id="9")
    assert result.cancel_error is result.place_error is None


def test_nothing_happened_because_the_old_order_is_no_longer_unfilled() -> None:
    refusal = {"code": -2011, "msg": "Order was not canceled due to cancel restrictions."}
    result = replaced(
        failed(
            400,
            -2022,
            cancelResult="FAILURE",
            newOrderResult="NOT_ATTEMPTED",
            cancelResponse=refusal,
            newOrderResponse=None,
        )
    )
    assert (result.canceled, result.placed, result.place_error) == (None, None, None)
    assert type(result.cancel_error) is errors.Rejected
    assert result.cancel_error.code == -2011


def test_the_old_order_is_gone_and_the_new_one_refused() -> None:
    refusal = {"code": -2010, "msg": "Account has insufficient balance for requested action."}
    result = replaced(failed(409, -2021, newOrderResult="FAILURE", newOrderResponse=refusal))
    assert result.canceled is not None
    assert (result.placed, result.cancel_error) == (None, None)
    assert type(result.place_error) is errors.InsufficientBalance


def test_the_old_order_was_gone_and_the_new_one_is_there() -> None:
    refusal = {"code": -2011, "msg": "Unknown order sent."}
    result = replaced(failed(409, -2021, cancelResult="FAILURE", cancelResponse=refusal))
    assert type(result.cancel_error) is errors.OrderNotFound
    assert result.placed is not None
    assert (result.canceled, result.place_error) == (None, None)


@pytest.mark.parametrize("half", [{"newOrderResult": "PERHAPS"}, {"newOrderResponse": None}])
def test_a_half_that_cannot_be_read_is_unknown_and_the_other_is_told(half: dict[str, Any]) -> None:
    result = replaced(compact(BOTH | half))
    assert result.canceled is not None
    assert result.placed is None
    assert type(result.place_error) is errors.ServerFault


def test_an_error_about_the_whole_request_is_raised() -> None:
    for status, body in ((429, error(-1015, "Too many new orders.")), (504, error(-1007, "Timeout.")), (502, b"")):
        answer = classify(status, {}, body)
        assert answer is not None
        with pytest.raises(type(answer)) as caught:
            replaced(answer)
        assert caught.value is answer
    with pytest.raises(errors.OutcomeUnknown):
        replaced(classify(409, {}, error(-2021, "without data")) or b"")
    with pytest.raises(errors.ServerFault):
        replaced(b"{}")


# -- limits and errors


def test_the_accounts_limits_are_what_the_listing_tells() -> None:
    assert VENUE.account_limits_of(listing()) == (
        Limit(name="place_10s", kind="place", cap=100, window_s=10, aligned=True),
    )
    assert VENUE.account_limits_of(b"<html>") == VENUE.account_limits
    assert VENUE.account_limits_of(listing(rateLimits=[])) == VENUE.account_limits
    headers = {"X-MBX-ORDER-COUNT-10S": "3", "x-mbx-order-count-1d": "17", "x-mbx-used-weight-1m": "5"}
    assert VENUE.account_usage(headers) == [Usage("place_10s", 3), Usage("place_1d", 17)]
    assert VENUE.account_usage({"X-MBX-ORDER-COUNT-10S": "many"}) == []


@pytest.mark.parametrize(
    ("status", "code", "msg", "kind"),
    [
        (400, -2010, "This account may not place or cancel orders.", errors.AuthError),
        (400, -2011, "This action is disabled on this account.", errors.AuthError),
        (400, -2010, "Order would immediately match and take.", errors.Rejected),
        (400, -2010, "Order would trigger immediately.", errors.Rejected),
        (400, -2026, "Order was archived.", errors.OrderNotFound),
        (400, -2038, "Order amend rejected.", errors.Rejected),
        (400, -2039, "Client order ID is not correct for this order ID.", errors.Rejected),
        (400, -1111, "Parameter 'quantity' has too much precision.", errors.Rejected),
        (400, -1001, "Internal error; unable to process your request.", errors.ServerFault),
    ],
)
def test_refusals_of_orders(status: int, code: int, msg: str, kind: type[errors.ExchangeError]) -> None:
    answer = classify(status, {}, error(code, msg))
    assert type(answer) is kind
    assert answer.code == code
    assert answer.data == b""


# -- whatever comes

PARSERS: tuple[tuple[Callable[[bytes], object], Any], ...] = (
    (lambda body: VENUE.parse_placed(body, ORDER, INSTRUMENT), samples.FULL),
    (lambda body: VENUE.parse_canceled(body, KEY), samples.CANCELED),
    (lambda body: VENUE.parse_amended(body, KEY_BY_ID), samples.AMENDED),
    (lambda body: VENUE.parse_query(body, KEY), samples.QUERIED),
    (VENUE.parse_orders, [samples.QUERIED, {"orderReports": [samples.CANCELED]}]),
    (VENUE.parse_fills, [samples.TRADE]),
    (VENUE.parse_balances, samples.ACCOUNT),
    (lambda body: VENUE.parse_fees(body, "BTCUSDT"), samples.COMMISSION),
    (replaced, BOTH),
)


@pytest.mark.parametrize(("parse", "sample"), PARSERS)
def test_a_damaged_answer_is_read_exactly_or_is_a_server_fault(parse: Callable[[bytes], object], sample: Any) -> None:
    body = compact(sample)
    good = parse(body)
    for other in respelled(body):
        assert parse(other) == good
    for broken in damaged(body):
        with suppress(errors.ServerFault):
            parse(broken)
