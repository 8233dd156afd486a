"""What we ask Binance for, byte by byte, and how it is signed."""

from __future__ import annotations

import json
from decimal import Decimal
from urllib.parse import parse_qsl

import msgspec
import pytest
from support.binance_trading_samples import API_KEY, AUTH, INSTRUMENT, KEY, KEY_BY_ID, ORDER, SIGNER, T_MS

from thespian_connector.drivers.base import RestRequest
from thespian_connector.drivers.binance.driver import BinanceDriver
from thespian_connector.drivers.binance.orders import cancel_id
from thespian_connector.drivers.binance.signing import payload
from thespian_connector.drivers.binance.trading import BinanceTrading
from thespian_connector.drivers.registry import trading_for
from thespian_connector.drivers.trading import AmendWay, OrderKey
from thespian_connector.model import Environment, NewOrder, Order, OrderStatus, OrderType, Side, TimeInForce
from thespian_connector.model.errors import ConfigError, InvalidOrder, UsageError

VENUE = BinanceTrading()
CANCEL_ID = cancel_id("tc-1")


def params(request: RestRequest) -> list[tuple[str, str]]:
    """The parameters of a request without those that every signed one has, after a check of these."""
    query, _, signature = request.query.partition("&signature=")
    assert signature == SIGNER.sign(query.encode())
    assert request.headers == (("X-MBX-APIKEY", API_KEY),)
    assert request.body == b""
    given = parse_qsl(query, keep_blank_values=True, strict_parsing=True)
    assert given[-2:] == [("recvWindow", "2000"), ("timestamp", str(T_MS))]
    return given[:-2]


def order(**changes: object) -> NewOrder:
    changed: NewOrder = msgspec.structs.replace(ORDER, **changes)
    return changed


MARKET = {"type": OrderType.MARKET, "price": None}


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (
            order(),
            "symbol=BTCUSDT&side=SELL&type=LIMIT&timeInForce=GTC&quantity=0.00847&price=23416.1",
        ),
        (
            order(side=Side.BUY, time_in_force=TimeInForce.IOC, quantity=Decimal("1E+2"), price=Decimal("1E-7")),
            "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=IOC&quantity=100&price=0.0000001",
        ),
        (
            order(time_in_force=TimeInForce.FOK, quantity=Decimal("2.500")),
            "symbol=BTCUSDT&side=SELL&type=LIMIT&timeInForce=FOK&quantity=2.5&price=23416.1",
        ),
        (
            order(type=OrderType.LIMIT_MAKER),
            "symbol=BTCUSDT&side=SELL&type=LIMIT_MAKER&quantity=0.00847&price=23416.1",
        ),
        (order(**MARKET), "symbol=BTCUSDT&side=SELL&type=MARKET&quantity=0.00847"),
        (
            order(**MARKET, quantity=None, quote_quantity=Decimal("100.50"), side=Side.BUY),
            "symbol=BTCUSDT&side=BUY&type=MARKET&quoteOrderQty=100.5",
        ),
        (
            order(type=OrderType.STOP_LIMIT, stop_price=Decimal("23420"), side=Side.BUY),
            "symbol=BTCUSDT&side=BUY&type=STOP_LOSS_LIMIT&timeInForce=GTC&quantity=0.00847&price=23416.1&stopPrice=23420",
        ),
    ],
)
def test_an_order_is_asked_for_with_just_what_its_type_takes(asked: NewOrder, expected: str) -> None:
    request = VENUE.place(asked, INSTRUMENT, AUTH)
    assert (request.method, request.path, request.weight) == ("POST", "/api/v3/order", 1)
    assert (request.surface, request.idempotent) == ("orders", False)
    assert params(request) == parse_qsl(f"{expected}&newClientOrderId=tc-1&newOrderRespType=FULL")
    assert request.query.startswith(expected)

    frame = json.loads(VENUE.place_frame("r7", asked, INSTRUMENT, AUTH))
    assert (frame["id"], frame["method"]) == ("r7", "order.place")
    signature = frame["params"].pop("signature")
    assert signature == SIGNER.sign(payload(frame["params"]))
    timing = {"apiKey": API_KEY, "recvWindow": 2000, "timestamp": T_MS}
    assert frame["params"] == dict(params(request)) | timing


@pytest.mark.parametrize(
    "asked",
    [
        order(client_order_id=""),
        order(client_order_id="a" * 37),
        order(client_order_id="a b"),
        order(client_order_id="ordre-\u00e9"),
        order(price=None),
        order(quantity=None),
        order(quantity=None, quote_quantity=Decimal(5)),
        order(quote_quantity=Decimal(5)),
        order(stop_price=Decimal(5)),
        order(type=OrderType.STOP_LIMIT),
        order(type=OrderType.LIMIT_MAKER, stop_price=Decimal(5)),
        order(type=OrderType.MARKET),
        order(**MARKET, quantity=None),
        order(**MARKET, quote_quantity=Decimal(5)),
        order(**MARKET, stop_price=Decimal(5)),
    ],
)
def test_an_order_that_cannot_be_is_refused_unsent(asked: NewOrder) -> None:
    for make in (
        lambda: VENUE.place(asked, INSTRUMENT, AUTH),
        lambda: VENUE.place_frame("1", asked, INSTRUMENT, AUTH),
        lambda: VENUE.cancel_replace(KEY, asked, INSTRUMENT, AUTH),
    ):
        with pytest.raises(InvalidOrder):
            make()


def test_a_symbol_that_is_not_ascii_is_percent_encoded_before_it_is_signed() -> None:
    instrument = msgspec.structs.replace(INSTRUMENT, native="这是测试币456")
    request = VENUE.place(ORDER, instrument, AUTH)
    assert request.query.isascii()
    assert params(request)[0] == ("symbol", "这是测试币456")


@pytest.mark.parametrize("order_id", ["", "x", "1&side=BUY", "-1", "1" * 20, "\u0661"])
def test_an_order_id_that_the_venue_never_gave_is_refused_unsent(order_id: str) -> None:
    key = OrderKey(native="BTCUSDT", client_order_id="tc-1", order_id=order_id)
    for make in (VENUE.cancel, VENUE.queries):
        with pytest.raises(UsageError):
            make(key, AUTH)


def test_a_cancel_names_the_order_by_the_venues_id_if_it_is_known() -> None:
    request = VENUE.cancel(KEY, AUTH)
    assert (request.method, request.path, request.weight) == ("DELETE", "/api/v3/order", 1)
    assert (request.surface, request.idempotent) == ("orders", False)
    expected = [("symbol", "BTCUSDT"), ("origClientOrderId", "tc-1"), ("newClientOrderId", CANCEL_ID)]
    assert params(request) == expected
    expected[1] = ("orderId", "12569099453")
    assert params(VENUE.cancel(KEY_BY_ID, AUTH)) == expected

    frame = json.loads(VENUE.cancel_frame("r8", KEY_BY_ID, AUTH))
    assert (frame["id"], frame["method"]) == ("r8", "order.cancel")
    assert frame["params"]["orderId"] == 12569099453
    signature = frame["params"].pop("signature")
    assert signature == SIGNER.sign(payload(frame["params"]))


def test_the_id_of_a_cancel_is_a_fit_one_of_its_own() -> None:
    ids = {cancel_id(own) for own in ("tc-1", "tc-2", "a" * 36)}
    assert len(ids) == 3
    for one in ids:
        VENUE.place(order(client_order_id=one), INSTRUMENT, AUTH)


def test_a_query_without_the_venues_id_looks_under_the_cancels_id_too() -> None:
    own, by_cancel = VENUE.queries(KEY, AUTH)
    assert params(own) == [("symbol", "BTCUSDT"), ("origClientOrderId", "tc-1")]
    assert params(by_cancel) == [("symbol", "BTCUSDT"), ("origClientOrderId", CANCEL_ID)]
    (only,) = VENUE.queries(KEY_BY_ID, AUTH)
    assert params(only) == [("symbol", "BTCUSDT"), ("orderId", "12569099453")]
    assert (only.method, only.path, only.weight) == ("GET", "/api/v3/order", 4)
    assert (only.surface, only.idempotent) == ("private", True)


def test_an_amendment_keeps_the_orders_id() -> None:
    request = VENUE.amend(KEY_BY_ID, Decimal("0.0050"), None, AUTH)
    assert (request.method, request.path, request.weight) == ("PUT", "/api/v3/order/amend/keepPriority", 4)
    assert not request.idempotent
    assert params(request) == [
        ("symbol", "BTCUSDT"),
        ("orderId", "12569099453"),
        ("newClientOrderId", "tc-1"),
        ("newQty", "0.005"),
    ]
    for quantity, price in ((None, None), (None, Decimal(5)), (Decimal(1), Decimal(5))):
        with pytest.raises(UsageError):
            VENUE.amend(KEY, quantity, price, AUTH)


@pytest.mark.parametrize(
    ("filled", "quantity", "price", "way"),
    [
        ("0", "0.5", None, AmendWay.IN_PLACE),
        ("0", "0.5", "100", AmendWay.IN_PLACE),
        ("0.4", "0.5", None, AmendWay.IN_PLACE),
        ("0", "1", "99", AmendWay.CANCEL_REPLACE),
        ("0", "2", None, AmendWay.CANCEL_REPLACE),
        ("0", None, "99", AmendWay.CANCEL_REPLACE),
        ("0.4", "0.5", "99", AmendWay.CANCEL_THEN_PLACE),
        ("0.4", "2", None, AmendWay.CANCEL_THEN_PLACE),
        ("0.4", "0.4", None, AmendWay.CANCEL_THEN_PLACE),
    ],
)
def test_only_less_of_an_order_is_amended_in_place(
    filled: str, quantity: str | None, price: str | None, way: AmendWay
) -> None:
    resting = Order(
        client_order_id="tc-1",
        exchange="binance",
        symbol="BTC/USDT",
        side=Side.BUY,
        type=OrderType.LIMIT,
        status=OrderStatus.NEW,
        price=Decimal(100),
        quantity=Decimal(1),
        filled=Decimal(filled),
    )
    told = (None if text is None else Decimal(text) for text in (quantity, price))
    assert VENUE.amend_way(resting, *told) is way


def test_a_cancel_replace_stops_at_the_first_failure_and_only_touches_an_unfilled_order() -> None:
    request = VENUE.cancel_replace(KEY_BY_ID, order(client_order_id="tc-2"), INSTRUMENT, AUTH)
    assert (request.method, request.path, request.weight) == ("POST", "/api/v3/order/cancelReplace", 1)
    assert not request.idempotent
    placing = params(VENUE.place(order(client_order_id="tc-2"), INSTRUMENT, AUTH))
    assert params(request) == [
        *placing,
        ("cancelReplaceMode", "STOP_ON_FAILURE"),
        ("cancelRestrictions", "ONLY_NEW"),
        ("cancelOrderId", "12569099453"),
        ("cancelNewClientOrderId", CANCEL_ID),
    ]
    assert ("cancelOrigClientOrderId", "tc-1") in params(VENUE.cancel_replace(KEY, ORDER, INSTRUMENT, AUTH))


def test_listings_and_the_account() -> None:
    (one,), (every,) = VENUE.open_orders("BTCUSDT", "", AUTH), VENUE.open_orders(None, "", AUTH)
    assert (one.path, one.weight, params(one)) == ("/api/v3/openOrders", 6, [("symbol", "BTCUSDT")])
    assert (every.weight, params(every)) == (80, [])
    assert VENUE.open_orders(None, "7", AUTH) == []

    since = T_MS - 1000
    first, later = VENUE.order_history("BTCUSDT", since, "", AUTH), VENUE.order_history("BTCUSDT", since, "78", AUTH)
    assert (first.path, first.weight) == ("/api/v3/allOrders", 20)
    assert params(first) == [("symbol", "BTCUSDT"), ("startTime", str(since)), ("limit", "1000")]
    assert params(later) == [("symbol", "BTCUSDT"), ("orderId", "78"), ("limit", "1000")]
    assert params(VENUE.order_history("BTCUSDT", 0, "", AUTH))[1] == ("startTime", "1483228800000")

    first, later = VENUE.fills("BTCUSDT", None, since, "", AUTH), VENUE.fills("BTCUSDT", None, since, "78", AUTH)
    assert (first.path, first.weight) == ("/api/v3/myTrades", 20)
    assert params(first) == [("symbol", "BTCUSDT"), ("startTime", str(since)), ("limit", "1000")]
    assert params(later) == [("symbol", "BTCUSDT"), ("fromId", "78"), ("limit", "1000")]
    first, later = VENUE.fills("BTCUSDT", "12", since, "", AUTH), VENUE.fills("BTCUSDT", "12", since, "78", AUTH)
    assert first.weight == later.weight == 5
    assert params(first) == [("symbol", "BTCUSDT"), ("orderId", "12"), ("limit", "1000")]
    assert params(later) == [("symbol", "BTCUSDT"), ("orderId", "12"), ("fromId", "78"), ("limit", "1000")]

    balances, fees = VENUE.balances(AUTH), VENUE.fees("BTCUSDT", AUTH)
    assert (balances.path, balances.weight) == ("/api/v3/account", 20)
    assert params(balances) == [("omitZeroBalances", "true")]
    assert (fees.path, fees.weight) == ("/api/v3/account/commission", 20)
    assert params(fees) == [("symbol", "BTCUSDT")]
    for request in (one, every, first, later, balances, fees):
        assert (request.method, request.surface, request.idempotent) == ("GET", "private", True)

    (all_of_them,) = VENUE.cancel_all("BTCUSDT", AUTH)
    assert (all_of_them.method, all_of_them.path) == ("DELETE", "/api/v3/openOrders")
    assert (all_of_them.surface, all_of_them.idempotent) == ("orders", False)
    assert params(all_of_them) == [("symbol", "BTCUSDT")]


def test_the_private_stream_and_the_trade_socket() -> None:
    hosts = BinanceDriver().endpoints(Environment.LIVE, {})
    assert VENUE.private_url(hosts) == VENUE.trade_url(hosts) == "wss://ws-api.binance.com:443/ws-api/v3"
    local = {"rest": "http://127.0.0.1:1", "stream": "ws://127.0.0.1:1"}
    paper = BinanceDriver().endpoints(Environment.PAPER, local)
    assert VENUE.trade_url(paper) is None
    with pytest.raises(ConfigError, match="ws_api is missing"):
        VENUE.private_url(paper)
    frame = json.loads(VENUE.private_login(1, AUTH))
    assert (frame["id"], frame["method"]) == (1, "userDataStream.subscribe.signature")
    signature = frame["params"].pop("signature")
    assert frame["params"] == {"apiKey": API_KEY, "recvWindow": 2000, "timestamp": T_MS}
    assert signature == SIGNER.sign(payload(frame["params"]))
    assert VENUE.private_subscribe(2) is None
    assert VENUE.private_keepalive(3) is None
    assert VENUE.trade_login("4", AUTH) is None
    assert VENUE.trade_keepalive("5") is None
    assert VENUE.private_limits.silence_s > 20


def test_it_is_the_registrys_driver() -> None:
    assert isinstance(trading_for("binance"), BinanceTrading)
    assert trading_for("binance") is trading_for("binance")
