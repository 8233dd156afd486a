"""pybit and ccxt, as published, trade on the simulated Bybit with nothing but its URLs changed.

A deviation here is the simulator's or theirs; Bybit's own documentation decides which.
"""

from __future__ import annotations

import queue
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from support.simulator import Simulator

unified_trading = pytest.importorskip("pybit.unified_trading")
websocket_trading = pytest.importorskip("pybit._websocket_trading")
exceptions = pytest.importorskip("pybit.exceptions")
ccxt = pytest.importorskip("ccxt")

SPOT = {"category": "spot", "symbol": "BTCUSDT"}
PATIENCE_S = 30


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    with Simulator(seed=11, rate=0) as running:
        yield running


@pytest.fixture
def keys(simulator: Simulator) -> dict[str, str]:
    account = simulator.truth("bybit", "account")
    return {"api_key": account["api_key"], "api_secret": account["secret"]}


@pytest.fixture
def http(simulator: Simulator, keys: dict[str, str]) -> Iterator[Any]:
    session = unified_trading.HTTP(**keys)
    session.endpoint = simulator.urls["bybit"]["rest"]
    session.client.trust_env = False
    yield session
    session.client.close()


@pytest.fixture
def urls(simulator: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where pybit's sockets connect."""
    ws = simulator.urls["bybit"]["ws"]
    monkeypatch.setattr(unified_trading, "PRIVATE_WSS", f"{ws}/v5/private")
    monkeypatch.setattr(websocket_trading, "TRADE_WSS", f"{ws}/v5/trade")


def passive_price(http: Any) -> str:
    """A price that no seller is near."""
    book = http.get_orderbook(**SPOT)["result"]
    return str(Decimal(book["b"][0][0]) - 1000)


def test_pybit_places_amends_queries_and_cancels(http: Any, simulator: Simulator) -> None:
    price = passive_price(http)
    placed = http.place_order(**SPOT, side="Buy", orderType="Limit", qty="0.01", price=price, orderLinkId="py-1")
    order_id = placed["result"]["orderId"]
    http.amend_order(**SPOT, orderId=order_id, qty="0.02")
    (order,) = http.get_open_orders(**SPOT, orderLinkId="py-1")["result"]["list"]
    assert (order["orderId"], order["orderStatus"], order["qty"], order["price"]) == (order_id, "New", "0.02", price)
    with pytest.raises(exceptions.InvalidRequestError) as caught:
        http.place_order(**SPOT, side="Buy", orderType="Limit", qty="0.01", price=price, orderLinkId="py-1")
    assert caught.value.status_code == 170141
    http.cancel_order(**SPOT, orderId=order_id)
    (order,) = http.get_order_history(**SPOT, orderId=order_id)["result"]["list"]
    assert order["orderStatus"] == "Cancelled"
    http.place_order(**SPOT, side="Buy", orderType="Market", qty="50", marketUnit="quoteCoin", orderLinkId="py-2")
    fills = http.get_executions(**SPOT, orderLinkId="py-2")["result"]["list"]
    truth = next(one for one in simulator.truth("bybit", "orders") if one["client_order_id"] == "py-2")
    assert {fill["execId"] for fill in fills} == {fill["execution_id"] for fill in truth["fills"]}
    (account,) = http.get_wallet_balance(accountType="UNIFIED", coin="BTC")["result"]["list"]
    held = {balance["asset"]: balance for balance in simulator.truth("bybit", "balances")}
    assert account["coin"][0]["walletBalance"] == held["BTC"]["free"]
    assert http.get_fee_rates(**SPOT)["result"]["list"][0]["takerFeeRate"] == "0.001"
    assert http.get_api_key_information()["result"]["readOnly"] == 0
    assert http.get_account_info()["result"]["unifiedMarginStatus"] == 5
    assert http.cancel_all_orders(**SPOT)["result"] == {"list": [], "success": "1"}


@pytest.mark.usefixtures("urls")
def test_pybit_hears_of_its_orders_and_trades_by_socket(http: Any, keys: dict[str, str], simulator: Simulator) -> None:
    # pybit notes a subscription or a request only after it has sent it, and is lost when the answer is quicker: from no
    # real venue it is.
    for surface in ("private", "trade"):
        simulator.fault("bybit", "latency", surface=surface, latency_ms=200, seconds=3600)
    told: queue.Queue[Any] = queue.Queue()
    answers: queue.Queue[Any] = queue.Queue()
    # A second is what pybit gives its auth by default: too little for a busy machine.
    private = unified_trading.WebSocket(channel_type="private", testnet=False, private_auth_expire=30, **keys)
    trading = unified_trading.WebSocketTrading(testnet=False, private_auth_expire=30, **keys)
    try:
        private.order_stream(told.put)
        private.execution_stream(told.put)
        private.wallet_stream(told.put)
        trading.place_order(
            answers.put,
            **SPOT,
            side="Buy",
            orderType="Limit",
            qty="0.01",
            price=passive_price(http),
            orderLinkId="ws-1",
        )
        answer = answers.get(timeout=PATIENCE_S)
        assert (answer["retCode"], answer["data"]["orderLinkId"]) == (0, "ws-1")
        trading.amend_order(answers.put, **SPOT, orderLinkId="ws-1", qty="0.03")
        assert answers.get(timeout=PATIENCE_S)["retCode"] == 0
        trading.cancel_order(answers.put, **SPOT, orderLinkId="ws-1")
        assert answers.get(timeout=PATIENCE_S)["retCode"] == 0
        # Where the subscription was later than the first events, the last one is told all the same.
        while True:
            frame = told.get(timeout=PATIENCE_S)
            if frame["topic"] == "order" and frame["data"][0]["orderStatus"] == "Cancelled":
                break
        assert frame["data"][0]["qty"] == "0.03"
    finally:
        trading.exit()
        private.exit()


def test_ccxt_trades(simulator: Simulator, keys: dict[str, str]) -> None:
    rest = simulator.urls["bybit"]["rest"]
    exchange = ccxt.bybit(
        {
            "apiKey": keys["api_key"],
            "secret": keys["api_secret"],
            "urls": {"api": {"public": rest, "private": rest}},
        }
    )
    exchange.load_markets()
    symbol = "BTC/USDT"
    price = exchange.fetch_order_book(symbol, 1)["bids"][0][0] - 1000
    order = exchange.create_order(symbol, "limit", "buy", 0.01, price, {"clientOrderId": "cc-1"})
    (opened,) = exchange.fetch_open_orders(symbol)
    assert (opened["id"], opened["clientOrderId"], opened["status"]) == (order["id"], "cc-1", "open")
    assert (opened["price"], opened["amount"], opened["remaining"]) == (pytest.approx(price), 0.01, 0.01)
    exchange.edit_order(order["id"], symbol, "limit", "buy", 0.02, price)
    assert exchange.fetch_open_order(order["id"], symbol)["amount"] == 0.02
    exchange.create_order(symbol, "limit", "sell", 70, price * 3)
    with pytest.raises(ccxt.InsufficientFunds):
        exchange.create_order(symbol, "limit", "sell", 70, price * 3)
    with pytest.raises(ccxt.OrderNotFound):
        exchange.cancel_order("1", symbol)
    exchange.cancel_all_orders(symbol)
    assert exchange.fetch_open_orders(symbol) == []
    assert exchange.fetch_closed_order(order["id"], symbol)["status"] == "canceled"
    bought = exchange.create_order(symbol, "market", "buy", 0.001)
    trades = exchange.fetch_my_trades(symbol, params={"orderId": bought["id"]})
    assert sum(trade["amount"] for trade in trades) == pytest.approx(0.001)
    assert {(trade["takerOrMaker"], trade["fee"]["currency"]) for trade in trades} == {("taker", "BTC")}
    held = {balance["asset"]: balance for balance in simulator.truth("bybit", "balances")}
    assert exchange.fetch_balance()["BTC"]["free"] == pytest.approx(float(held["BTC"]["free"]))
