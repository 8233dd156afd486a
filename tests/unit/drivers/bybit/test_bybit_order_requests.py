"""What we ask of Bybit: every order as its exact body, every query as its exact query string."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from thespian_connector.drivers.base import RestRequest
from thespian_connector.drivers.bybit.endpoints import endpoints
from thespian_connector.drivers.bybit.trading import BybitTrading
from thespian_connector.drivers.signing import signer_of
from thespian_connector.drivers.trading import AmendWay, Auth, OrderKey
from thespian_connector.model import (
    Environment,
    Instrument,
    InstrumentStatus,
    NewOrder,
    Order,
    OrderStatus,
    OrderType,
    Side,
    TimeInForce,
)
from thespian_connector.model.errors import InvalidOrder, UsageError

TRADING = BybitTrading()
AUTH = Auth(signer_of("KEY", "secret"), 1784800000000, 2000)
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
KEY = OrderKey(native="BTCUSDT", client_order_id="erl-1")
KNOWN = OrderKey(native="BTCUSDT", client_order_id="erl-1", order_id="229")
CONDITIONAL = OrderKey(native="BTCUSDT", client_order_id="erl-1", conditional=True)


def new(kind: OrderType, **terms: Any) -> NewOrder:
    terms = {"side": Side.BUY} | terms
    return NewOrder(client_order_id="erl-1", exchange="bybit", symbol="BTC/USDT", type=kind, **terms)


def asked(requests: list[RestRequest]) -> list[str]:
    for request in requests:
        assert (request.method, request.body, request.idempotent, request.surface) == ("GET", b"", True, "private")
    return [f"{request.path}?{request.query}" for request in requests]


def written(request: RestRequest) -> tuple[str, str]:
    assert (request.method, request.query, request.idempotent, request.surface) == ("POST", "", False, "orders")
    return request.path, request.body.decode()


HEAD = '{"category":"spot","symbol":"BTCUSDT"'
TERMS = {"quantity": Decimal("0.001"), "price": Decimal("60000.1")}
STOP = TERMS | {"stop_price": Decimal("59000")}


@pytest.mark.parametrize(
    ("order", "body"),
    [
        (
            new(OrderType.LIMIT, **TERMS),
            ',"side":"Buy","orderType":"Limit","qty":"0.001","price":"60000.1","timeInForce":"GTC"',
        ),
        (
            new(OrderType.LIMIT, **TERMS, time_in_force=TimeInForce.IOC, side=Side.SELL),
            ',"side":"Sell","orderType":"Limit","qty":"0.001","price":"60000.1","timeInForce":"IOC"',
        ),
        (
            new(OrderType.LIMIT, **TERMS, time_in_force=TimeInForce.FOK),
            ',"side":"Buy","orderType":"Limit","qty":"0.001","price":"60000.1","timeInForce":"FOK"',
        ),
        (
            new(OrderType.LIMIT_MAKER, **TERMS),
            ',"side":"Buy","orderType":"Limit","qty":"0.001","price":"60000.1","timeInForce":"PostOnly"',
        ),
        (
            new(OrderType.STOP_LIMIT, **STOP),
            ',"side":"Buy","orderType":"Limit","qty":"0.001","price":"60000.1","timeInForce":"GTC"'
            ',"triggerPrice":"59000","orderFilter":"StopOrder"',
        ),
        (
            new(OrderType.STOP_LIMIT, **STOP, time_in_force=TimeInForce.IOC),
            ',"side":"Buy","orderType":"Limit","qty":"0.001","price":"60000.1","timeInForce":"IOC"'
            ',"triggerPrice":"59000","orderFilter":"StopOrder"',
        ),
        (
            new(OrderType.MARKET, quantity=Decimal("0.002")),
            ',"side":"Buy","orderType":"Market","qty":"0.002","marketUnit":"baseCoin"',
        ),
        (
            new(OrderType.MARKET, quantity=Decimal("0.002"), side=Side.SELL),
            ',"side":"Sell","orderType":"Market","qty":"0.002","marketUnit":"baseCoin"',
        ),
        (
            new(OrderType.MARKET, quote_quantity=Decimal("10")),
            ',"side":"Buy","orderType":"Market","qty":"10","marketUnit":"quoteCoin"',
        ),
        (
            new(OrderType.MARKET, quote_quantity=Decimal("10"), side=Side.SELL),
            ',"side":"Sell","orderType":"Market","qty":"10","marketUnit":"quoteCoin"',
        ),
    ],
)
def test_an_order_is_this_body_on_both_ways(order: NewOrder, body: str) -> None:
    whole = HEAD + body + ',"orderLinkId":"erl-1"}'
    assert written(TRADING.place(order, BTC, AUTH)) == ("/v5/order/create", whole)
    assert TRADING.place_frame("r-1", order, BTC, AUTH) == (
        '{"reqId":"r-1","header":{"X-BAPI-TIMESTAMP":"1784800000000","X-BAPI-RECV-WINDOW":"2000"},"op":"order.create",'
        f'"args":[{whole}]}}'
    )


@pytest.mark.parametrize(
    ("quantity", "spelled"), [("1E+3", "1000"), ("1E-7", "0.0000001"), ("0.5000", "0.5"), ("10.0", "10")]
)
def test_numbers_have_no_exponent_and_no_padding(quantity: str, spelled: str) -> None:
    order = new(OrderType.LIMIT, quantity=Decimal(quantity), price=Decimal("1E+4"))
    sent = msgspec.json.decode(TRADING.place(order, BTC, AUTH).body)
    assert (sent["qty"], sent["price"]) == (spelled, "10000")


@pytest.mark.parametrize(
    "order",
    [
        new(OrderType.LIMIT, price=Decimal(1)),
        new(OrderType.LIMIT, quantity=Decimal(1)),
        new(OrderType.STOP_LIMIT, **TERMS),
        new(OrderType.MARKET),
        new(OrderType.MARKET, quantity=Decimal(1), quote_quantity=Decimal(1)),
    ],
)
def test_an_order_that_lacks_a_part_is_not_spelled(order: NewOrder) -> None:
    with pytest.raises(InvalidOrder):
        TRADING.place(order, BTC, AUTH)


def test_a_cancel_names_the_order_once_and_where_to_look() -> None:
    path = "/v5/order/cancel"
    assert written(TRADING.cancel(KEY, AUTH)) == (path, HEAD + ',"orderLinkId":"erl-1"}')
    assert written(TRADING.cancel(KNOWN, AUTH)) == (path, HEAD + ',"orderId":"229"}')
    assert written(TRADING.cancel(CONDITIONAL, AUTH)) == (
        path,
        HEAD + ',"orderLinkId":"erl-1","orderFilter":"StopOrder"}',
    )
    assert TRADING.cancel_frame("r-2", KNOWN, AUTH).endswith(
        ',"op":"order.cancel","args":[{"category":"spot","symbol":"BTCUSDT","orderId":"229"}]}'
    )


def test_an_amendment_tells_what_changes_only() -> None:
    path = "/v5/order/amend"
    both = TRADING.amend(KNOWN, Decimal("0.50"), Decimal("61000"), AUTH)
    assert written(both) == (path, HEAD + ',"orderId":"229","qty":"0.5","price":"61000"}')
    assert written(TRADING.amend(KEY, None, Decimal(1), AUTH)) == (path, HEAD + ',"orderLinkId":"erl-1","price":"1"}')
    with pytest.raises(UsageError):
        TRADING.amend(KEY, None, None, AUTH)


def test_bybit_amends_in_place() -> None:
    order = Order(
        client_order_id="erl-1",
        exchange="bybit",
        symbol="BTC/USDT",
        side=Side.BUY,
        type=OrderType.STOP_LIMIT,
        status=OrderStatus.PARTIALLY_FILLED,
    )
    assert TRADING.amend_way(order, Decimal(1), None) is AmendWay.IN_PLACE


def test_cancel_all_asks_for_every_kind_of_order_of_one_symbol() -> None:
    sent = [written(request) for request in TRADING.cancel_all("BTCUSDT", AUTH)]
    kinds = ("Order", "StopOrder", "tpslOrder", "OcoOrder", "BidirectionalTpslOrder")
    assert sent == [("/v5/order/cancel-all", HEAD + f',"orderFilter":"{kind}"}}') for kind in kinds]


def test_cancel_all_without_a_symbol_would_empty_the_account() -> None:
    with pytest.raises(UsageError):
        TRADING.cancel_all("", AUTH)


def test_an_order_is_looked_for_in_realtime_then_in_history() -> None:
    tail = "?category=spot&symbol=BTCUSDT&orderLinkId=erl-1"
    assert asked(TRADING.queries(KEY, AUTH)) == ["/v5/order/realtime" + tail, "/v5/order/history" + tail]
    assert asked(TRADING.queries(KNOWN, AUTH))[0] == "/v5/order/realtime?category=spot&symbol=BTCUSDT&orderId=229"
    assert asked(TRADING.queries(CONDITIONAL, AUTH)) == [
        "/v5/order/realtime" + tail,
        "/v5/order/realtime" + tail + "&orderFilter=StopOrder",
        "/v5/order/history" + tail,
        "/v5/order/history" + tail + "&orderFilter=StopOrder",
    ]


def test_open_orders_are_two_listings_and_a_cursor_pages_its_own() -> None:
    head = "/v5/order/realtime?category=spot&symbol=BTCUSDT&openOnly=0&limit=50&orderFilter="
    assert asked(TRADING.open_orders("BTCUSDT", "", AUTH)) == [head + "Order", head + "StopOrder"]
    assert asked(TRADING.open_orders("BTCUSDT", "a%3A1", AUTH)) == [head + "Order&cursor=a%3A1"]
    assert asked(TRADING.open_orders("BTCUSDT", "StopOrder a%3A1", AUTH)) == [head + "StopOrder&cursor=a%3A1"]
    everywhere = "/v5/order/realtime?category=spot&openOnly=0&limit=50&orderFilter=Order"
    assert asked(TRADING.open_orders(None, "", AUTH))[0] == everywhere


def test_history_and_fills_reach_back_seven_days_at_most() -> None:
    week = 7 * 24 * 3600 * 1000
    for since, start in ((AUTH.time_ms - 1000, AUTH.time_ms - 1000), (0, AUTH.time_ms - week)):
        assert asked([TRADING.order_history("BTCUSDT", since, "c%3D", AUTH)]) == [
            f"/v5/order/history?category=spot&symbol=BTCUSDT&startTime={start}&limit=50&cursor=c%3D"
        ]
        assert asked([TRADING.fills("BTCUSDT", None, since, "", AUTH)]) == [
            f"/v5/execution/list?category=spot&symbol=BTCUSDT&limit=100&startTime={start}"
        ]


def test_account_queries() -> None:
    assert asked([TRADING.balances(AUTH)]) == ["/v5/account/wallet-balance?accountType=UNIFIED"]
    assert asked([TRADING.fees("BTCUSDT", AUTH)]) == ["/v5/account/fee-rate?category=spot&symbol=BTCUSDT"]


def test_names_are_percent_encoded() -> None:
    assert TRADING.fees("A&B=C D", AUTH).query == "category=spot&symbol=A%26B%3DC+D"


def test_sockets_have_paths_and_demo_has_no_trade_socket() -> None:
    live, demo = endpoints(Environment.LIVE, {}), endpoints(Environment.DEMO, {})
    assert TRADING.private_url(live) == "wss://stream.bybit.com/v5/private"
    assert TRADING.trade_url(live) == "wss://stream.bybit.com/v5/trade"
    assert TRADING.private_url(demo) == "wss://stream-demo.bybit.com/v5/private"
    assert TRADING.trade_url(demo) is None


def test_an_accounts_limits_by_kind() -> None:
    assert [(limit.kind, limit.cap, limit.window_s) for limit in TRADING.account_limits] == [
        ("place", 20, 1),
        ("amend", 10, 1),
        ("cancel", 20, 1),
        ("query", 50, 1),
    ]


@pytest.mark.parametrize(
    ("cap", "rest", "usage"),
    [
        ("10", "3", [("amend_1s", 7)]),
        ("50", "49", [("query_1s", 1)]),
        ("50", "60", [("query_1s", 0)]),
        ("20", "3", []),  # a create's or a cancel's, who knows
        ("7", "3", []),
        ("10", "", []),
        ("10", "-1", []),
        ("\u0661\u0660", "1", []),
        ("", "", []),
    ],
)
def test_headers_tell_usage_where_they_say_of_what(cap: str, rest: str, usage: list[tuple[str, int]]) -> None:
    headers = {"X-Bapi-Limit": cap, "x-bapi-limit-status": rest, "X-Bapi-Limit-Reset-Timestamp": "1784800000000"}
    assert [(one.limit, one.used) for one in TRADING.account_usage(headers)] == usage
