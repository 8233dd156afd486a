"""ccxt and python-binance, as published, trade at the simulated Binance with nothing but its URLs changed.

What they say of orders, trades and balances must be what the judge says.
"""

from __future__ import annotations

import asyncio
import importlib
import time
import warnings
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from support.simulator import Simulator

from thespian_connector.model.decimals import text

D = Decimal
SYMBOL, NATIVE = "BTC/USDT", "BTCUSDT"
FAR = "50000"
LOT = "0.001"


def published(name: str) -> Any:
    """A client library; what it warns of at its import is not ours to mend."""
    pytest.importorskip(name.partition(".")[0])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return importlib.import_module(name)


ccxt = published("ccxt")
pro = published("ccxt.pro")
binance = published("binance")


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    with Simulator(seed=5, rate=20) as running:
        yield running


@pytest.fixture(autouse=True)
def nothing_open(simulator: Simulator) -> Iterator[None]:
    yield
    for row in simulator.truth("binance", "orders"):
        assert row["status"] not in ("NEW", "PARTIALLY_FILLED"), "a test leaves no order behind"


def settings(simulator: Simulator) -> dict[str, Any]:
    """What a user of ccxt has to say to trade at another host; Binance's other products have no host here."""
    urls, account = simulator.urls["binance"], simulator.truth("binance", "account")
    api = f"{urls['rest']}/api/v3"
    return {
        "apiKey": account["api_key"],
        "secret": account["secret"],
        "urls": {"api": {"public": api, "private": api, "v1": api, "ws": {"ws-api": {"spot": urls["ws_api"]}}}},
        "options": {
            "fetchMarkets": {"types": ["spot"]},
            "fetchCurrencies": False,
            "fetchMargins": False,
            "warnOnFetchOpenOrdersWithoutSymbol": False,
        },
    }


def truth_of(simulator: Simulator, order_id: object) -> Any:
    """What the judge says of an order of BTCUSDT."""
    return next(
        row
        for row in simulator.truth("binance", "orders")
        if row["order_id"] == str(order_id) and row["native"] == NATIVE
    )


def test_ccxt_places_asks_for_replaces_and_cancels(simulator: Simulator) -> None:
    exchange = ccxt.binance(settings(simulator))
    order = exchange.create_order(SYMBOL, "limit", "buy", float(LOT), float(FAR), {"clientOrderId": "ccxt-1"})
    assert (order["status"], order["clientOrderId"]) == ("open", "ccxt-1")
    assert [row["id"] for row in exchange.fetch_open_orders()] == [order["id"]]
    assert exchange.fetch_balance()["USDT"]["used"] == 50
    edited = exchange.edit_order(order["id"], SYMBOL, "limit", "buy", 0.002, float(FAR))
    assert exchange.fetch_order(order["id"], SYMBOL)["status"] == "canceled"
    assert exchange.fetch_order(edited["id"], SYMBOL)["amount"] == 0.002
    assert exchange.cancel_order(edited["id"], SYMBOL)["status"] == "canceled"
    with pytest.raises(ccxt.OrderNotFound):
        exchange.cancel_order(edited["id"], SYMBOL)
    placed = [
        exchange.create_order(SYMBOL, "limit", "buy", float(LOT), float(FAR), {"postOnly": True}),
        exchange.create_order(SYMBOL, "limit", "sell", float(LOT), 45_000, {"stopLossPrice": 46_000}),
    ]
    assert len(exchange.cancel_all_orders(SYMBOL)) == 2
    ended = {row["id"]: row["status"] for row in exchange.fetch_orders(SYMBOL)}
    assert [ended[order["id"]] for order in placed] == ["canceled"] * 2


def test_ccxt_books_fills_as_the_judge_does(simulator: Simulator) -> None:
    exchange = ccxt.binance(settings(simulator))
    order = exchange.create_order(SYMBOL, "market", "buy", 0.25)
    truth = truth_of(simulator, order["id"])
    assert (order["status"], order["filled"]) == ("closed", 0.25)
    assert text(D(str(order["cost"]))) == truth["filled_quote"]
    trades = exchange.fetch_my_trades(SYMBOL, params={"orderId": order["id"]})
    assert [trade["id"] for trade in trades] == [fill["execution_id"] for fill in truth["fills"]]
    assert [D(str(trade["fee"]["cost"])) for trade in trades] == [D(fill["fee"]) for fill in truth["fills"]]
    by_cost = exchange.create_market_buy_order_with_cost(SYMBOL, 500)
    assert by_cost["status"] == "closed"
    assert 499 < by_cost["cost"] <= 500
    balances = {row["asset"]: row for row in simulator.truth("binance", "balances")}
    assert exchange.fetch_balance()["BTC"]["free"] == float(balances["BTC"]["free"])


def test_ccxt_tells_refusals_apart(simulator: Simulator) -> None:
    exchange = ccxt.binance(settings(simulator))
    with pytest.raises(ccxt.InsufficientFunds):
        exchange.create_order(SYMBOL, "limit", "sell", 140, 64_000)
    with pytest.raises(ccxt.OrderImmediatelyFillable):
        exchange.create_order(SYMBOL, "limit", "buy", 0.001, 70_000, {"postOnly": True})
    with pytest.raises(ccxt.OrderNotFound):
        exchange.fetch_order("1", SYMBOL)
    exchange.secret = "wrong"
    with pytest.raises(ccxt.AuthenticationError):
        exchange.fetch_balance()


def test_ccxt_pro_watches_orders_and_trades_by_websocket(simulator: Simulator) -> None:
    async def scenario() -> None:
        exchange = pro.binance(settings(simulator))
        try:
            await exchange.load_markets()
            watching = asyncio.create_task(exchange.watch_orders(SYMBOL))
            while not exchange.clients or not any(
                client.subscriptions.get("spot") for client in exchange.clients.values()
            ):
                await asyncio.sleep(0.01)
            order = await exchange.create_order_ws(SYMBOL, "limit", "buy", float(LOT), float(FAR))
            seen = await watching
            assert [(row["id"], row["status"]) for row in seen] == [(order["id"], "open")]
            gone = asyncio.create_task(exchange.watch_orders(SYMBOL))
            await asyncio.sleep(0)
            await exchange.cancel_order_ws(order["id"], SYMBOL)
            assert (await gone)[-1]["status"] == "canceled"
            orders = await exchange.fetch_open_orders_ws(SYMBOL)
            assert orders == []
        finally:
            await exchange.close()

    asyncio.run(asyncio.wait_for(scenario(), 300))


def local_client(kind: Any, simulator: Simulator) -> Any:
    """A class of python-binance's with the simulator's URLs."""
    urls = simulator.urls["binance"]
    return type("Local", (kind,), {"API_URL": f"{urls['rest']}/api", "WS_API_URL": urls["ws_api"]})


def test_python_binance_trades_by_rest(simulator: Simulator) -> None:
    account = simulator.truth("binance", "account")
    # It takes an event loop even where it needs none, and leaves one of its own open.
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    client = local_client(binance.Client, simulator)(account["api_key"], account["secret"])
    try:
        order = client.order_limit_buy(symbol=NATIVE, quantity=LOT, price=FAR, newClientOrderId="pb-1")
        assert order["status"] == "NEW"
        assert client.get_order(symbol=NATIVE, origClientOrderId="pb-1")["orderId"] == order["orderId"]
        assert len(client.get_open_orders(symbol=NATIVE)) == 1
        assert client.cancel_order(symbol=NATIVE, orderId=order["orderId"])["status"] == "CANCELED"
        assert client.create_test_order(symbol=NATIVE, side="BUY", type="MARKET", quantity=LOT) == {}
        sold = client.order_market_sell(symbol=NATIVE, quantity="0.01")
        truth = truth_of(simulator, sold["orderId"])
        assert [str(fill["tradeId"]) for fill in sold["fills"]] == [fill["execution_id"] for fill in truth["fills"]]
        trades = client.get_my_trades(symbol=NATIVE, orderId=sold["orderId"])
        assert sum(D(row["qty"]) for row in trades) == D("0.01")
        assert client.get_asset_balance(asset="USDT")["locked"] == "0.00000000"
        exceptions = published("binance.exceptions")
        with pytest.raises(exceptions.BinanceAPIException) as refused:
            client.order_limit_buy(symbol=NATIVE, quantity="0.0000001", price=FAR)
        assert refused.value.code == -1013
    finally:
        client.close_connection()
        asyncio.set_event_loop(None)
        loop.close()


def test_python_binance_trades_and_listens_by_websocket(simulator: Simulator) -> None:
    account = simulator.truth("binance", "account")

    async def scenario() -> None:
        client = await local_client(binance.AsyncClient, simulator).create(account["api_key"], account["secret"])
        try:
            manager = binance.BinanceSocketManager(client)
            async with manager.user_socket() as events:
                order = await client.ws_create_order(
                    symbol=NATIVE, side="BUY", type="LIMIT", timeInForce="GTC", quantity=LOT, price=FAR
                )
                await client.ws_cancel_order(symbol=NATIVE, orderId=order["orderId"])
                told: list[str] = []
                deadline = time.monotonic() + 60
                while "CANCELED" not in told:
                    assert time.monotonic() < deadline
                    event = await asyncio.wait_for(events.recv(), 60)
                    if event is not None and event["e"] == "executionReport":
                        told.append(event["x"])
                assert told == ["NEW", "CANCELED"]
        finally:
            await client.close_connection()

    asyncio.run(asyncio.wait_for(scenario(), 300))
