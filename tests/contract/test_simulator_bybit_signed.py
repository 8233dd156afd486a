"""Who may send signed requests to the simulated Bybit, and what they are told of orders and account."""

from __future__ import annotations

import json
from decimal import Decimal

from support.bybit_front import Front
from support.bybit_trader import EXECUTIONS, HISTORY, REALTIME, SPOT, Trader, below, run

# Who may send.


def test_the_gate_refuses_by_key_clock_and_signature() -> None:
    async def scenario(front: Front, trader: Trader) -> None:
        async def code(**changed: str) -> tuple[int, str]:
            headers = {**trader.sign_headers("accountType=UNIFIED"), **changed}
            path = "/v5/account/wallet-balance"
            _, answer = await trader.send("GET", path, "accountType=UNIFIED", headers)
            return answer["retCode"], answer["retMsg"]

        assert (await code())[0] == 0
        assert await code(**{"X-BAPI-API-KEY": ""}) == (10001, "apiKey is missing")
        assert (await code(**{"X-BAPI-API-KEY": "XYZ"}))[0] == 10003
        assert (await code(**{"X-BAPI-SIGN": "00"}))[0] == 10004
        late = trader.sign_headers("accountType=UNIFIED", ahead_ms=-6_000)
        told = await code(**late)
        assert told[0] == 10002
        assert f"req_timestamp[{late['X-BAPI-TIMESTAMP']}],server_timestamp[" in told[1]
        assert told[1].endswith("recv_window[5000]")
        assert (await code(**trader.sign_headers("accountType=UNIFIED", ahead_ms=-6_000, window="9000")))[0] == 0
        assert (await code(**trader.sign_headers("accountType=UNIFIED", ahead_ms=2_000, window="9000")))[0] == 10002
        assert front.venue.usage.auth_failures == 2

    run(scenario)


def test_the_raw_query_and_the_raw_body_are_what_is_signed() -> None:
    async def scenario(front: Front, trader: Trader) -> None:
        path, query = "/v5/account/wallet-balance", "coin=BTC%2CUSDT&accountType=UNIFIED"
        assert (await trader.get(path, query))["retCode"] == 0
        decoded = trader.sign_headers(query.replace("%2C", ","))
        assert (await trader.send("GET", path, query, decoded))[1]["retCode"] == 10004
        body = json.dumps({**SPOT, "side": "Buy", "orderType": "Limit", "qty": "0.01", "price": below(front)}, indent=1)
        for sent, code in ((body, 0), (body + " ", 10004)):
            assert (await trader.send("POST", "/v5/order/create", sent, trader.sign_headers(body)))[1][
                "retCode"
            ] == code

    run(scenario)


def test_a_get_with_a_body_is_403_and_a_key_that_only_reads_may_not_trade() -> None:
    async def scenario(front: Front, trader: Trader) -> None:
        url = front.base + "/v5/account/info"
        async with front.http.get(url, data=b"{}", headers=trader.sign_headers("")) as answer:
            assert answer.status == 403
        assert (await trader.create(price=below(front)))["retCode"] == 10005
        assert (await trader.result("/v5/user/query-api"))["readOnly"] == 1
        assert (await trader.result("/v5/account/info"))["unifiedMarginStatus"] == 5

    run(scenario, read_only=1)


def test_a_request_without_a_key_may_be_401_null() -> None:
    async def scenario(front: Front, trader: Trader) -> None:
        assert await trader.send("GET", REALTIME, "category=spot", {}) == (401, None)

    run(scenario, missing_key_401=1)


def test_each_endpoint_has_a_rolling_second_of_its_own_and_tells_what_is_left() -> None:
    async def scenario(front: Front, trader: Trader) -> None:
        price = below(front)
        assert (await trader.create(price=price))["retCode"] == 0
        assert (trader.headers["X-Bapi-Limit"], trader.headers["X-Bapi-Limit-Status"]) == ("2", "1")
        await trader.create(price=price)
        refused = await trader.create(price=price)
        assert refused["retCode"] == 10006
        assert trader.headers["X-Bapi-Limit-Status"] == "0"
        wait_ms = int(trader.headers["X-Bapi-Limit-Reset-Timestamp"]) - refused["time"]
        assert 0 < wait_ms <= 1_001
        assert (await trader.post("/v5/order/cancel-all", **SPOT))["retCode"] == 0
        assert len(front.venue.orders) == 2
        clock = front.venue.monotonic_ns
        front.venue.monotonic_ns = lambda: clock() + 1_000_000_000
        assert (await trader.create(price=price))["retCode"] == 0

    run(scenario, create_max=2)


# What may be asked.


def test_lists_are_newest_first_in_pages_whose_cursor_is_sent_on_as_it_came() -> None:
    async def scenario(front: Front, trader: Trader) -> None:
        placed = [await trader.place(price=below(front, str(100 + number))) for number in range(5)]
        query = "category=spot&symbol=BTCUSDT&limit=2"
        pages, cursor = [], ""
        for _ in range(4):
            answer = await trader.get(REALTIME, query + (f"&cursor={cursor}" if cursor else ""))
            assert answer["retCode"] == 0
            pages.append([order["orderId"] for order in answer["result"]["list"]])
            cursor = answer["result"]["nextPageCursor"] or cursor
            assert "%3A" in cursor
        assert pages == [placed[:-3:-1], placed[2:0:-1], placed[:1], []]
        twice = cursor.replace("%", "%25")
        assert (await trader.get(REALTIME, f"{query}&cursor={twice}"))["retCode"] == 10001

    run(scenario)


def test_ids_come_before_filters_and_closed_orders_are_found_until_the_service_restarts() -> None:
    async def scenario(front: Front, trader: Trader) -> None:
        price = below(front)
        first, second = await trader.place(price=price, orderLinkId="one"), await trader.place(price=price)
        await trader.post("/v5/order/cancel", **SPOT, orderId=first)

        async def ids(path: str, **params: str) -> list[str]:
            return [order["orderId"] for order in (await trader.result(path, category="spot", **params))["list"]]

        assert await ids(REALTIME, symbol="BTCUSDT") == [second]
        assert await ids(REALTIME, symbol="ETHUSDT") == []
        assert await ids(REALTIME, symbol="BTCUSDT", openOnly="1") == [first]
        assert await ids(REALTIME, symbol="ETHUSDT", orderId=second, orderLinkId="one") == [second]
        assert await ids(REALTIME, orderLinkId="one") == [first]
        assert await ids(HISTORY) == [first]
        assert await ids(HISTORY, orderStatus="Filled") == []
        assert await ids(HISTORY, orderId=second) == []
        front.fault("ws_restart")
        assert await ids(REALTIME, orderLinkId="one") == []
        assert await ids(REALTIME, orderId=second) == [second]
        assert await ids(HISTORY, orderLinkId="one") == [first]
        for params in (
            {"limit": "51"},
            {"cursor": "x"},
            {"openOnly": "yes"},
            {"startTime": "1", "endTime": "604800002"},
        ):
            path = HISTORY if "startTime" in params else REALTIME
            assert (await trader.get(path, **{**SPOT, **params}))["retCode"] == 10001
        assert (await trader.get(REALTIME, category="spot", symbol="NOPE"))["retCode"] == 170121

    run(scenario, symbols=("BTC/USDT", "ETH/USDT"))


def test_history_may_lag_and_a_new_order_may_be_hidden() -> None:
    async def scenario(front: Front, trader: Trader) -> None:
        front.fault("visibility_delay", delay_ms=60_000)
        hidden = await trader.place(price=below(front))
        assert (await trader.result(REALTIME, **SPOT, orderId=hidden))["list"] == []
        filled = await trader.place(orderType="Market", qty="10")
        assert (await trader.result(HISTORY, **SPOT, orderId=filled))["list"] == []
        assert (await trader.result(EXECUTIONS, **SPOT))["list"] == []
        assert (await trader.order(filled))["cumExecQty"] != "0"
        front.venue.settings["history_lag_ms"] = 0
        fills = (await trader.result(EXECUTIONS, **SPOT, orderId=filled))["list"]
        assert {fill["orderId"] for fill in fills} == {filled}

    run(scenario, history_lag_ms=60_000)


def test_history_forgets_what_was_never_filled_after_a_day_and_lists_a_week_at_a_time() -> None:
    async def scenario(front: Front, trader: Trader) -> None:
        unfilled = await trader.place(price=below(front), timeInForce="IOC")
        filled = await trader.place(orderType="Market", qty="10")

        async def ids(**params: object) -> list[str]:
            return [order["orderId"] for order in (await trader.result(HISTORY, **SPOT, **params))["list"]]

        def age(hours: int) -> None:
            for order in front.venue.orders:
                order.created_ns -= hours * 3_600_000_000_000
                order.updated_ns -= hours * 3_600_000_000_000

        assert await ids() == [filled, unfilled]
        age(25)
        assert await ids() == [filled]
        age(7 * 24)
        assert await ids() == []
        created_ms = front.venue.orders[1].created_ns // 1_000_000
        assert await ids(startTime=created_ms) == await ids(endTime=created_ms) == await ids(orderId=filled) == [filled]

    run(scenario)


def test_the_account_tells_its_coins_and_rates() -> None:
    async def scenario(front: Front, trader: Trader) -> None:
        front.venue.account.free["DOGE"] = Decimal(0)
        assert "DOGE" not in await trader.balances()
        asked = await trader.result("/v5/account/wallet-balance", accountType="UNIFIED", coin="DOGE,BTC")
        assert [coin["coin"] for coin in asked["list"][0]["coin"]] == ["DOGE", "BTC"]
        assert (await trader.get("/v5/account/wallet-balance", accountType="SPOT"))["retCode"] == 10001
        rates = await trader.result("/v5/account/fee-rate", category="spot", symbol="BTCUSDT")
        assert rates["list"] == [
            {"symbol": "BTCUSDT", "baseCoin": "", "takerFeeRate": "0.001", "makerFeeRate": "0.001"}
        ]

    run(scenario)
