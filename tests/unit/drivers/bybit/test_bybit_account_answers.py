"""Bybit's orders, executions and wallets as exact records, over REST."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from support.bybit_account import WALLET, envelope, execution, listing, order

from thespian_connector.drivers.bybit.trading import BybitTrading
from thespian_connector.drivers.trading import Fees, OrderKey
from thespian_connector.model import Instrument, InstrumentStatus, NewOrder, OrderStatus, OrderType, Side, TimeInForce
from thespian_connector.model.errors import ServerFault
from thespian_connector.model.private import BalanceReport, FillReport, OrderReport

TRADING = BybitTrading()
ID, LINK = "2290000000012345678", "erl-000001"
KEY = OrderKey(native="BTCUSDT", client_order_id=LINK)
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
    client_order_id=LINK, exchange="bybit", symbol="BTC/USDT", side=Side.BUY, type=OrderType.MARKET, quantity=Decimal(1)
)


def read(**changes: Any) -> OrderReport:
    page = TRADING.parse_orders(listing(order(**changes)))
    assert len(page.orders) == 1
    return page.orders[0]


# -- accept-acks


def test_an_ack_says_accepted_and_nothing_of_the_state() -> None:
    accepted = OrderReport(native="BTCUSDT", client_order_id=LINK, order_id=ID)
    assert accepted.status is None
    body = envelope({"orderId": ID, "orderLinkId": LINK})
    assert TRADING.parse_placed(body, BUY, BTC) == accepted
    assert TRADING.parse_canceled(body, KEY) == accepted
    assert TRADING.parse_amended(body, OrderKey(native="BTCUSDT", client_order_id=LINK, order_id=ID)) == accepted


def test_an_ack_without_our_id_is_still_about_our_order() -> None:
    assert TRADING.parse_canceled(envelope({"orderId": 229}), KEY).order_id == "229"


@pytest.mark.parametrize(
    "result",
    [
        {},
        {"orderId": "", "orderLinkId": LINK},
        {"orderId": None, "orderLinkId": LINK},
        {"orderId": ID, "orderLinkId": "erl-another"},
        {"orderLinkId": LINK},
        [],
        None,
    ],
)
def test_an_ack_of_nothing_leaves_the_outcome_unknown(result: Any) -> None:
    for parse in (
        lambda body: TRADING.parse_placed(body, BUY, BTC),
        lambda body: TRADING.parse_canceled(body, KEY),
        lambda body: TRADING.parse_amended(body, KEY),
    ):
        with pytest.raises(ServerFault) as caught:
            parse(envelope(result))
        assert not caught.value.outcome_known


def test_an_ack_of_another_order_is_none() -> None:
    with pytest.raises(ServerFault):
        TRADING.parse_canceled(envelope({"orderId": ID}), OrderKey(native="BTCUSDT", client_order_id="", order_id="7"))


# -- orders


def test_a_resting_limit_order() -> None:
    assert read() == OrderReport(
        native="BTCUSDT",
        client_order_id=LINK,
        order_id=ID,
        status=OrderStatus.NEW,
        status_word="New",
        side=Side.BUY,
        type=OrderType.LIMIT,
        time_in_force=TimeInForce.GTC,
        price=Decimal("64200.1"),
        quantity=Decimal("0.000078"),
        filled=Decimal(0),
        filled_quote=Decimal(0),
        created_ns=1784800000001_000_000,
        time_ns=1784800000002_000_000,
    )


@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("New", OrderStatus.NEW),
        ("PartiallyFilled", OrderStatus.PARTIALLY_FILLED),
        ("Filled", OrderStatus.FILLED),
        ("Cancelled", OrderStatus.CANCELED),
        ("PartiallyFilledCanceled", OrderStatus.CANCELED),
        ("Deactivated", OrderStatus.CANCELED),
        ("Rejected", OrderStatus.REJECTED),
        ("Untriggered", OrderStatus.NEW),
        ("Triggered", OrderStatus.NEW),
        ("SomethingNew", None),
        ("", None),
    ],
)
def test_status_words(word: str, status: OrderStatus | None) -> None:
    report = read(orderStatus=word)
    assert (report.status, report.status_word) == (status, word)


def test_a_post_only_order_that_would_have_crossed() -> None:
    report = read(orderStatus="Rejected", timeInForce="PostOnly", rejectReason="EC_PostOnlyWillTakeLiquidity")
    assert (report.status, report.type) == (OrderStatus.REJECTED, OrderType.LIMIT_MAKER)
    assert (report.reason, report.time_in_force) == ("EC_PostOnlyWillTakeLiquidity", TimeInForce.GTC)


def test_a_cancelled_order_is_done_though_something_is_left() -> None:
    report = read(orderStatus="Cancelled", cancelType="CancelByUser", rejectReason="EC_PerCancelRequest")
    assert (report.status, report.filled) == (OrderStatus.CANCELED, Decimal(0))
    assert report.reason == "EC_PerCancelRequest, CancelByUser"


def test_a_fill_told_again_by_a_cancel_that_came_too_late_says_nothing_new() -> None:
    filled = {"orderStatus": "Filled", "cumExecQty": "0.000078", "cumExecValue": "5.0076078"}
    again = filled | {"cancelType": "CancelByUser", "rejectReason": "EC_OrigClOrdIDDoesNotExist"}
    assert read(**filled) == read(**again)
    assert read(**filled).filled == Decimal("0.000078")


MARKET = {"orderType": "Market", "timeInForce": "IOC", "price": "0", "qty": "10.000000"}


def test_a_market_buy_by_quote_that_left_dust_is_cancelled_with_its_fill() -> None:
    report = read(
        **MARKET,
        marketUnit="quoteCoin",
        orderStatus="PartiallyFilledCanceled",
        rejectReason="EC_CancelForNoFullFill",
        leavesQty="0",
        leavesValue="0.01369",
        cumExecQty="0.000306",
        cumExecValue="9.98631",
    )
    assert (report.status, report.type, report.price) == (OrderStatus.CANCELED, OrderType.MARKET, None)
    assert (report.quantity, report.quote_quantity) == (None, Decimal(10))
    assert (report.filled, report.filled_quote) == (Decimal("0.000306"), Decimal("9.98631"))
    assert (report.reason, report.time_in_force) == ("EC_CancelForNoFullFill", TimeInForce.IOC)


@pytest.mark.parametrize(
    ("side", "unit", "by_quote"),
    [
        ("Buy", "baseCoin", False),
        ("Buy", "quoteCoin", True),
        ("Buy", "", True),
        ("Buy", None, True),
        ("Sell", "baseCoin", False),
        ("Sell", "quoteCoin", True),
        ("Sell", "", False),
    ],
)
def test_a_market_orders_quantity_is_in_its_own_unit(side: str, unit: str | None, by_quote: bool) -> None:
    report = read(**MARKET, side=side, marketUnit=unit)
    expected = (None, Decimal(10)) if by_quote else (Decimal(10), None)
    assert (report.quantity, report.quote_quantity) == expected


def test_a_limit_orders_quantity_is_base_whatever_a_unit_says() -> None:
    assert read(marketUnit="quoteCoin").quantity == Decimal("0.000078")


def test_a_stop_order_before_its_trigger() -> None:
    report = read(orderStatus="Untriggered", stopOrderType="Stop", triggerPrice="63000.50", cumExecQty="")
    assert (report.type, report.stop_price) == (OrderType.STOP_LIMIT, Decimal("63000.5"))
    assert (report.status, report.status_word, report.filled) == (OrderStatus.NEW, "Untriggered", None)
    assert read(**MARKET, triggerPrice="63000").type is None


def test_words_that_are_new_to_us_are_not_told() -> None:
    report = read(side="Both", orderType="Iceberg", timeInForce="RPI", orderStatus="Odd\nWord", cancelType="CancelByX")
    assert (report.side, report.type, report.time_in_force, report.status) == (None, None, None, None)
    assert (report.status_word, report.reason) == ("Odd Word", "CancelByX")


def test_ids_and_numbers_may_come_as_numbers_and_stay_exact() -> None:
    text = listing(order(cumExecQty="@"))
    exact = text.replace(b'"@"', b"0.1234567890123456789").replace(b'"2290000000012345678"', b"2290000000012345678")
    report = TRADING.parse_orders(exact).orders[0]
    assert (report.order_id, report.filled) == (ID, Decimal("0.1234567890123456789"))


@pytest.mark.parametrize("missing", [None, ""])
def test_what_is_empty_is_not_told(missing: str | None) -> None:
    empty = dict.fromkeys(
        ("cumExecQty", "cumExecValue", "price", "triggerPrice", "createdTime", "updatedTime"), missing
    )
    report = read(**empty, rejectReason=missing, cancelType=missing)
    assert (report.filled, report.filled_quote, report.price, report.created_ns) == (None, None, None, 0)
    assert report.reason == ""


# -- listings


def test_a_page_asks_for_the_next_one_of_its_own_listing() -> None:
    assert TRADING.parse_orders(listing(order(), cursor="a%3A1")).cursor == "a%3A1"
    assert TRADING.parse_orders(listing(order(orderStatus="Untriggered"), cursor="a%3A1")).cursor == "StopOrder a%3A1"
    for last in (listing(order()), listing(cursor="a%3A1"), envelope({"list": [], "nextPageCursor": None})):
        assert TRADING.parse_orders(last).cursor == ""
    assert TRADING.parse_fills(listing(execution(), cursor="a%3A1")).cursor == "a%3A1"
    assert TRADING.parse_fills(listing(cursor="a%3A1")).cursor == ""


def test_one_order_that_is_not_understood_hides_no_others() -> None:
    for body in (listing(order(), order(qty="many")), envelope({"category": "linear", "list": []}), envelope({})):
        with pytest.raises(ServerFault):
            TRADING.parse_orders(body)


def test_a_query_finds_its_order_or_nothing() -> None:
    known = OrderKey(native="BTCUSDT", client_order_id="ignored", order_id=ID)
    assert TRADING.parse_query(listing(order()), KEY) == read()
    assert TRADING.parse_query(listing(order(orderId="1", orderLinkId="x"), order()), known) == read()
    assert TRADING.parse_query(listing(), KEY) is None


def test_another_order_than_asked_for_does_not_prove_absence() -> None:
    with pytest.raises(ServerFault):
        TRADING.parse_query(listing(order(orderLinkId="erl-2")), KEY)


# -- fills

FILL = FillReport(
    native="BTCUSDT",
    execution_id="2290000000099999999",
    order_id=ID,
    client_order_id=LINK,
    side=Side.BUY,
    price=Decimal("64200.1"),
    quantity=Decimal("0.00005"),
    fee=Decimal("0.00000005"),
    fee_asset="BTC",
    maker=True,
    time_ns=1784800000003_000_000,
)


def test_fills_and_what_is_no_trade() -> None:
    page = TRADING.parse_fills(listing(execution(), execution(execType="CorporateAction", execPrice="")))
    assert page.fills == [FILL]


@pytest.mark.parametrize(
    "wrong", [{"execQty": "0"}, {"execQty": ""}, {"execPrice": "-1"}, {"side": "Both"}, {"execId": ""}, {"orderId": ""}]
)
def test_a_fill_is_whole_or_none(wrong: dict[str, str]) -> None:
    with pytest.raises(ServerFault):
        TRADING.parse_fills(listing(execution(**wrong)))


@pytest.mark.parametrize(
    ("side", "fee", "maker", "asset"),
    [
        ("Buy", "0.1", True, "BTC"),
        ("Buy", "0.1", False, "BTC"),
        ("Sell", "0.1", True, "USDT"),
        ("Sell", "0.1", False, "USDT"),
        ("Buy", "-0.1", True, "USDT"),
        ("Sell", "-0.1", True, "BTC"),
        ("Buy", "", False, "BTC"),
    ],
)
def test_the_coin_of_a_fee_that_bybit_does_not_tell(side: str, fee: str, maker: bool, asset: str) -> None:
    told = listing(execution(side=side, execFee=fee, isMaker=maker, feeCurrency=""))
    fill = TRADING.parse_fills(told).fills[0]
    assert fill.fee_asset == ""
    assert fill.fee == Decimal(fee or 0)
    assert TRADING.fee_asset(fill, BTC) == asset


def test_the_coin_of_a_fee_that_bybit_tells() -> None:
    fill = TRADING.parse_fills(listing(execution(feeCurrency="MNT"))).fills[0]
    assert TRADING.fee_asset(fill, BTC) == fill.fee_asset == "MNT"


# -- the account


def test_free_is_ours_and_not_locked() -> None:
    told_ns = 1784800000123_000_000
    assert TRADING.parse_balances(envelope({"list": [WALLET]})) == [
        BalanceReport(asset="USDT", free=Decimal("995.4923922"), locked=Decimal("5.0076078"), time_ns=told_ns),
        BalanceReport(asset="BTC", free=Decimal("0.3"), locked=Decimal(0), time_ns=told_ns),
        BalanceReport(asset="USDC", free=Decimal(0), locked=Decimal(0), time_ns=told_ns),
    ]


@pytest.mark.parametrize(
    "wallets", [[], [{"accountType": "FUND", "coin": []}], [{"coin": [{"coin": "BTC", "walletBalance": ""}]}], {}]
)
def test_no_wallet_is_not_an_empty_wallet(wallets: Any) -> None:
    with pytest.raises(ServerFault):
        TRADING.parse_balances(envelope({"list": wallets}))
    assert TRADING.parse_balances(envelope({"list": [{"accountType": "UNIFIED", "coin": []}]})) == []


def test_fee_rates() -> None:
    rates = [
        {"symbol": "ETHUSDT", "takerFeeRate": "0.002", "makerFeeRate": "0.002"},
        {"symbol": "BTCUSDT", "takerFeeRate": "0.0010", "makerFeeRate": "-0.0001"},
    ]
    fees = TRADING.parse_fees(envelope({"list": rates}), "BTCUSDT")
    assert fees == Fees(native="BTCUSDT", maker=Decimal("-0.0001"), taker=Decimal("0.001"))
    for body in (envelope({"list": rates[:1]}), envelope({"list": [rates[1] | {"takerFeeRate": ""}]})):
        with pytest.raises(ServerFault):
            TRADING.parse_fees(body, "BTCUSDT")


def test_a_body_with_an_error_code_is_not_parsed() -> None:
    body = json.loads(listing(order())) | {"retCode": 10016}
    with pytest.raises(ServerFault):
        TRADING.parse_orders(json.dumps(body).encode())


@pytest.mark.parametrize("name", ["", "a\nb", "\u202e1", "7" * 200, True, 1.5, None, []])
def test_an_id_that_is_none_names_no_order(name: Any) -> None:
    for parse, body in (
        (TRADING.parse_orders, listing(order(orderId=name))),
        (TRADING.parse_fills, listing(execution(execId=name))),
        (lambda body: TRADING.parse_canceled(body, KEY), envelope({"orderId": name})),
    ):
        with pytest.raises(ServerFault):
            parse(body)
