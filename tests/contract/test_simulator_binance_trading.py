"""Order entry and account of the simulated Binance by REST, with requests signed by hand, against its documents."""

from __future__ import annotations

import asyncio
import time
from decimal import Decimal
from typing import Any

import aiohttp
import pytest
from support.binance_front import Front, eventually, with_front
from support.binance_signed import SignedClient, form, hmac_hex, limit

from thespian_connector.model.decimals import text

D = Decimal
FAR = "50000"
LOT = "0.001"


def run(check: Any, **options: Any) -> None:
    async def scenario(front: Front) -> None:
        await check(SignedClient(front))

    with_front(scenario, **{"walk": 0, **options})


def test_a_limit_order_rests_is_queried_and_cancelled() -> None:
    async def check(client: SignedClient) -> None:
        placed = await client.limit("BUY", LOT, FAR, newClientOrderId="mine-1")
        assert placed["status"] == "NEW"
        assert placed["fills"] == []
        assert (placed["clientOrderId"], placed["orderListId"]) == ("mine-1", -1)
        assert placed["cummulativeQuoteQty"] == "0.00000000"
        asked = await client.ok("GET", "order", symbol="BTCUSDT", origClientOrderId="mine-1")
        assert asked["orderId"] == placed["orderId"]
        assert (asked["isWorking"], asked["stopPrice"], asked["icebergQty"]) == (True, "0.00000000", "0.00000000")
        assert asked == (await client.ok("GET", "openOrders"))[0]
        balances = {row["asset"]: row for row in (await client.ok("GET", "account"))["balances"]}
        assert balances["USDT"]["locked"] == "50.00000000"
        gone = await client.ok("DELETE", "order", symbol="BTCUSDT", orderId=placed["orderId"], newClientOrderId="stop")
        assert (gone["status"], gone["origClientOrderId"], gone["clientOrderId"]) == ("CANCELED", "mine-1", "stop")
        assert await client.ok("GET", "openOrders", symbol="BTCUSDT") == []
        assert (await client.no("DELETE", "order", symbol="BTCUSDT", orderId=placed["orderId"]))[1] == -2011
        assert (await client.ok("GET", "order", symbol="BTCUSDT", origClientOrderId="mine-1"))["status"] == "CANCELED"
        assert [row["status"] for row in await client.ok("GET", "allOrders", symbol="BTCUSDT")] == ["CANCELED"]

    run(check)


def test_fills_fees_and_trades_agree_with_the_account() -> None:
    async def check(client: SignedClient) -> None:
        before = {row["asset"]: D(row["free"]) for row in (await client.ok("GET", "account"))["balances"]}
        order = await client.ok("POST", "order", symbol="BTCUSDT", side="BUY", type="MARKET", quantity="0.5")
        assert (order["status"], order["executedQty"]) == ("FILLED", "0.50000000")
        assert sum(D(fill["qty"]) for fill in order["fills"]) == D("0.5")
        assert sum(D(fill["qty"]) * D(fill["price"]) for fill in order["fills"]) == D(order["cummulativeQuoteQty"])
        fees = sum(D(fill["commission"]) for fill in order["fills"])
        assert {fill["commissionAsset"] for fill in order["fills"]} == {"BTC"}
        trades = await client.ok("GET", "myTrades", symbol="BTCUSDT", orderId=order["orderId"])
        assert [row["id"] for row in trades] == [fill["tradeId"] for fill in order["fills"]]
        assert {row["isMaker"] for row in trades} == {False}
        public = {row["id"] for row in await client.ok("GET", "myTrades", symbol="BTCUSDT", fromId=trades[0]["id"])}
        assert public == {row["id"] for row in trades}
        after = {row["asset"]: D(row["free"]) for row in (await client.ok("GET", "account"))["balances"]}
        assert after["BTC"] == before["BTC"] + D("0.5") - fees
        assert after["USDT"] == before["USDT"] - D(order["cummulativeQuoteQty"])
        truth = client.front.venue.orders[0].document()
        assert [fill["execution_id"] for fill in truth["fills"]] == [str(row["id"]) for row in trades]
        assert truth["filled_quote"] == text(D(order["cummulativeQuoteQty"]))

    run(check)


def test_answers_are_ack_result_or_full_by_type_and_wish() -> None:
    async def check(client: SignedClient) -> None:
        maker = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT_MAKER", "quantity": LOT, "price": FAR}
        ack = await client.ok("POST", "order", **maker)
        assert set(ack) == {"symbol", "orderId", "orderListId", "clientOrderId", "transactTime"}
        result = await client.ok("POST", "order", **maker, newOrderRespType="RESULT")
        assert "fills" not in result
        assert (result["status"], result["selfTradePreventionMode"]) == ("NEW", "EXPIRE_MAKER")
        assert "fills" in await client.ok("POST", "order", **maker, newOrderRespType="FULL")
        stop = {**maker, "type": "STOP_LOSS_LIMIT", "side": "SELL", "timeInForce": "GTC", "stopPrice": "55000"}
        waiting = await client.ok("POST", "order", **stop)
        assert "status" not in waiting
        asked = await client.ok("GET", "order", symbol="BTCUSDT", orderId=waiting["orderId"])
        assert (asked["isWorking"], asked["workingTime"], asked["stopPrice"]) == (False, -1, "55000.00000000")
        micro = await client.send("POST", "order", maker, headers={"X-MBX-TIME-UNIT": "MICROSECOND"})
        assert micro[1]["transactTime"] > 10**15

    run(check)


def test_what_cannot_fill_expires_with_http_200() -> None:
    async def check(client: SignedClient) -> None:
        for force, reason in (
            ("IOC", "UNFILLED_IOC_QUANTITY_EXPIRED"),
            ("FOK", "UNFILLED_FOK_ORDER_EXPIRED"),
        ):
            order = await client.limit("BUY", LOT, FAR, timeInForce=force)
            assert (order["status"], order["expiryReason"], order["executedQty"]) == ("EXPIRED", reason, "0.00000000")
        crossing = {**limit("BUY", LOT, client.best(False)), "type": "LIMIT_MAKER"}
        del crossing["timeInForce"]
        assert await client.no("POST", "order", **crossing) == (
            400,
            -2010,
            "Order would immediately match and take.",
        )
        spent = await client.ok("POST", "order", symbol="BTCUSDT", side="BUY", type="MARKET", quoteOrderQty="100")
        assert spent["status"] == "FILLED"
        assert D("99") < D(spent["cummulativeQuoteQty"]) <= 100
        assert spent["origQuoteOrderQty"] == "100.00000000"

    run(check)


REFUSED: list[tuple[dict[str, object], int, str]] = [
    ({"symbol": "NOPEUSDT"}, -1121, "Invalid symbol."),
    ({"symbol": ""}, -1105, "Parameter 'symbol' was empty."),
    ({"side": "HOLD"}, -1117, "Invalid side."),
    ({"type": "WISH"}, -1116, "Invalid orderType."),
    ({"timeInForce": "GTX"}, -1115, "Invalid timeInForce."),
    ({"quantity": "1e3"}, -1100, "Illegal characters found in parameter 'quantity'"),
    ({"quantity": "-1"}, -1100, "Illegal characters found in parameter 'quantity'"),
    ({"quantity": "0.000000001"}, -1111, "Parameter 'quantity' has too much precision."),
    ({"quantity": "0.00001500"}, -1013, "Filter failure: LOT_SIZE"),
    ({"quantity": "0"}, -1013, "Invalid quantity."),
    ({"price": "50000.001"}, -1013, "Filter failure: PRICE_FILTER"),
    ({"price": "5000"}, -1013, "Filter failure: PERCENT_PRICE_BY_SIDE"),
    ({"quantity": "0.00005"}, -1013, "Filter failure: NOTIONAL"),
    ({"quantity": "10000"}, -1013, "Filter failure: LOT_SIZE"),
    ({"newClientOrderId": "no spaces"}, -1100, "Illegal characters found in parameter 'newClientOrderId'"),
    ({"newClientOrderId": "x" * 37}, -1100, "Illegal characters found in parameter 'newClientOrderId'"),
    ({"stopPrice": "1"}, -1106, "Parameter 'stopPrice' sent when not required."),
    ({"surprise": "1"}, -1104, "Not all sent parameters were read; read '8' parameter(s) but was sent '9'."),
    (
        {"selfTradePreventionMode": "MAYBE"},
        -1013,
        "This symbol does not allow the specified self-trade prevention mode.",
    ),
    ({"icebergQty": "0.0005"}, -1013, "Iceberg orders are not supported for this symbol."),
    (
        {"side": "SELL", "quantity": "149", "price": "60000"},
        -2010,
        "Account has insufficient balance for requested action.",
    ),
]


def test_bad_orders_are_refused_in_binances_words() -> None:
    async def check(client: SignedClient) -> None:
        for changed, code, words in REFUSED:
            params = {**limit("BUY", LOT, FAR), **changed}
            status, told, said = await client.no("POST", "order", **params)
            assert (status, told) == (400, code), (changed, said)
            assert said.startswith(words), changed
        for name in ("symbol", "side", "type", "timeInForce", "quantity", "price"):
            params = limit("BUY", LOT, FAR)
            del params[name]
            assert await client.no("POST", "order", **params) == (
                400,
                -1102,
                f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed.",
            )
        both = {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "1", "quoteOrderQty": "5"}
        assert (await client.no("POST", "order", **both))[1] == -1130
        assert (await client.no("POST", "order", **{**both, "timeInForce": "GTC"}))[1] == -1106
        await client.limit("BUY", LOT, FAR, newClientOrderId="twice")
        assert (await client.no("POST", "order", **limit("BUY", LOT, FAR, newClientOrderId="twice")))[1:] == (
            -2010,
            "Duplicate order sent.",
        )
        assert len(client.front.venue.orders) == 1
        assert [row["executed"] for row in client.front.venue.requests].count(True) == 1

    run(check)


def test_the_signature_is_of_the_bytes_as_they_were_sent() -> None:
    async def check(client: SignedClient) -> None:
        query = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT"}
        body = {"timeInForce": "GTC", "quantity": LOT, "price": FAR}
        answer, document = await client.send("POST", "order", query, body=body)
        assert (answer.status, document["status"]) == (200, "NEW")
        # In the body alone, with an escape that a second encoding would spell otherwise, and the digest in capitals.
        sent = form({**query, **body, "timestamp": int(time.time() * 1000)}).replace("LIMIT", "LIM%49T")
        sent += f"&signature={hmac_hex(client.secret, sent).upper()}"
        headers = {"X-MBX-APIKEY": client.key, "Content-Type": "application/x-www-form-urlencoded"}
        async with client.front.http.post(f"{client.front.base}/api/v3/order", data=sent, headers=headers) as raw:
            assert raw.status == 200, await raw.text()
        # The query's value wins over the body's.
        answer, document = await client.send("POST", "order", {**query, "quantity": "0.002"}, body=body)
        assert document["origQty"] == "0.00200000"
        bad = [
            ({"signature": "0" * 64}, -1022),
            ({"signature": "ü"}, -1022),
            ({"timestamp": ""}, -1102),
        ]
        for stamped, code in bad:
            answer, document = await client.send("GET", "openOrders", **stamped)
            assert (answer.status, document["code"]) == (400, code)
        answer, document = await client.send("GET", "openOrders", sign=False)
        assert document["msg"] == "Mandatory parameter 'signature' was not sent, was empty/null, or malformed."
        for key, code in (("short", -2014), ("x" * 64, -2015)):
            answer, document = await client.send("GET", "account", headers={"X-MBX-APIKEY": key})
            assert (answer.status, document["code"]) == (401, code)
        assert client.front.venue.usage.auth_failures == 4

    run(check)


def test_what_is_not_percent_encoded_is_refused_even_if_it_is_signed_so() -> None:
    async def check(client: SignedClient) -> None:
        sent = f"symbol=１２３４５６&timestamp={int(time.time() * 1000)}"
        sent += f"&signature={hmac_hex(client.secret, sent)}"
        headers = {"X-MBX-APIKEY": client.key, "Content-Type": "application/x-www-form-urlencoded"}
        url = f"{client.front.base}/api/v3/openOrders"
        async with client.front.http.delete(url, data=sent.encode(), headers=headers) as raw:
            assert (raw.status, (await raw.json())["code"]) == (400, -1022)
        encoded = await client.no("GET", "openOrders", symbol="１２３４５６")
        assert encoded[1] == -1121

    run(check)


def test_the_gates_of_time() -> None:
    async def check(client: SignedClient) -> None:
        def now() -> int:
            return int(time.time() * 1000)

        for stamped, words in (
            ({"timestamp": now() - 6_000}, "Timestamp for this request is outside of the recvWindow."),
            ({"timestamp": now() - 6_000, "recvWindow": 60_000}, ""),
            ({"timestamp": (now() - 200) * 1_000, "recvWindow": "4000.346"}, ""),
            ({"timestamp": now() + 5_000}, "Timestamp for this request was 1000ms ahead of the server's time."),
            ({"timestamp": 1_400_000_000_000, "recvWindow": 60_000}, "Timestamp for this request is outside"),
            ({"recvWindow": 60_001}, "'recvWindow' must be less than 60000."),
        ):
            answer, document = await client.send("GET", "openOrders", **stamped)
            assert (document if words == "" else document["msg"]) == [] if not words else True
            if words:
                assert document["msg"].startswith(words)
                assert answer.status == 400
        fault = client.front.fault("clock_skew", skew_ms=-5_000, surface="rest")
        assert (await client.no("GET", "openOrders"))[1] == -1021
        server = await client.front.result("/api/v3/time")
        assert abs(server["serverTime"] - (now() - 5_000)) < 3_000
        client.front.world.faults.delete(fault)
        # Held up past its window, an order meets a later gate: not executed, and counted.
        client.front.fault("latency", latency_ms=2_200, surface="trade", count=1)
        answer, document = await client.send("POST", "order", limit("BUY", LOT, FAR), recvWindow=2_000)
        assert (answer.status, document["code"]) == (400, -1021)
        assert client.front.venue.orders == []
        counted = await client.ok("GET", "rateLimit/order")
        assert {row["interval"]: row["count"] for row in counted}["DAY"] == 1

    run(check)


def test_orders_are_counted_and_refused_at_the_limit() -> None:
    async def check(client: SignedClient) -> None:
        for number in range(3):
            answer, document = await client.send("POST", "order", limit("BUY", LOT, FAR))
            assert int(answer.headers["X-MBX-ORDER-COUNT-10S"]) in range(1, number + 2)
            assert answer.headers["X-MBX-ORDER-COUNT-1D"] == str(number + 1)
        answer, refusal = await client.send("POST", "order", limit("BUY", LOT, FAR))
        assert (answer.status, refusal["code"]) == (429, -1015)
        assert int(answer.headers["Retry-After"]) > 0
        # Cancels pass.
        await client.ok("DELETE", "order", symbol="BTCUSDT", orderId=document["orderId"])
        assert client.front.venue.usage.highest["orders"] == 3
        assert client.front.venue.usage.earned[429] == 1

    # The short window may turn while the test runs, so the long one is met.
    run(check, orders_day_limit=3)


def test_the_first_fill_of_an_order_takes_it_off_the_count() -> None:
    async def check(client: SignedClient) -> None:
        async def count() -> int:
            rows = await client.ok("GET", "rateLimit/order")
            return int(next(row["count"] for row in rows if row["interval"] == "DAY"))

        for number in range(6):
            await client.limit("BUY", LOT, client.best(True) + D("0.01") if number == 0 else FAR)
        assert await count() == 6
        await client.ok("POST", "order", symbol="BTCUSDT", side="BUY", type="MARKET", quantity="0.5")
        assert await count() == 6

        def filled() -> bool:
            client.front.step(5)
            return bool(client.front.venue.orders[0].fills)

        await eventually(filled, "the flow sells into the best bid")
        assert await count() == 1

    run(check)


def test_success_costs_no_weight_and_failure_does() -> None:
    async def check(client: SignedClient) -> None:
        async def used(method: str, path: str, **params: object) -> int:
            answer, _ = await client.send(method, path, params)
            return int(answer.headers["X-MBX-USED-WEIGHT"])

        start = await used("GET", "openOrders", symbol="BTCUSDT")
        assert await used("POST", "order", **limit("BUY", LOT, FAR, newClientOrderId="w")) == start
        assert await used("DELETE", "order", symbol="BTCUSDT", origClientOrderId="w") == start
        assert await used("DELETE", "order", symbol="BTCUSDT", origClientOrderId="w") == start + 1
        assert await used("GET", "order", symbol="BTCUSDT", origClientOrderId="w") == start + 5
        assert await used("GET", "openOrders") == start + 85
        assert await used("GET", "account") == start + 105
        assert await used("GET", "myTrades", symbol="BTCUSDT") == start + 125
        assert await used("GET", "myTrades", symbol="BTCUSDT", orderId=1) == start + 130

    run(check, weight_window_s=86_400)


def test_cancel_replace_tells_what_became_of_each_leg() -> None:
    async def check(client: SignedClient) -> None:
        async def replace(mode: str, target: object, **changed: object) -> tuple[int, Any]:
            params = {**limit("BUY", LOT, FAR), "cancelReplaceMode": mode, **changed}
            params["cancelOrderId" if isinstance(target, int) else "cancelOrigClientOrderId"] = target
            answer, document = await client.send("POST", "order/cancelReplace", params)
            return answer.status, document

        first = await client.limit("BUY", LOT, FAR, newClientOrderId="same")
        status, document = await replace("STOP_ON_FAILURE", first["orderId"], newClientOrderId="same")
        assert (status, document["cancelResult"], document["newOrderResult"]) == (200, "SUCCESS", "SUCCESS")
        assert document["newOrderResponse"]["clientOrderId"] == "same"
        assert document["cancelResponse"]["status"] == "CANCELED"
        for mode, result, wanted in (
            ("STOP_ON_FAILURE", "NOT_ATTEMPTED", (400, -2022)),
            ("ALLOW_FAILURE", "SUCCESS", (409, -2021)),
        ):
            status, document = await replace(mode, "unknown")
            assert (status, document["code"], document["data"]["newOrderResult"]) == (*wanted, result)
            assert document["data"]["cancelResponse"]["code"] == -2011
        too_much = {"quantity": "140", "price": "64000"}
        status, document = await replace("ALLOW_FAILURE", "unknown", side="SELL", **too_much)
        assert (status, document["code"], document["data"]["newOrderResponse"]["code"]) == (400, -2022, -2010)
        status, document = await replace("STOP_ON_FAILURE", "same", side="SELL", **too_much)
        assert (status, document["code"], document["data"]["cancelResult"]) == (409, -2021, "SUCCESS")
        status, document = await replace("STOP_ON_FAILURE", "x", quantity="0")
        assert (status, document["code"]) == (400, -1013)
        executed = [row["executed"] for row in client.front.venue.requests if row["op"] == "cancel_replace"]
        assert executed == [True, False, True, False, True, False]

    run(check)


def test_an_amendment_keeps_the_order_and_may_only_shrink_it() -> None:
    async def check(client: SignedClient) -> None:
        async def amend(quantity: str, **more: object) -> tuple[int, Any]:
            params = {"symbol": "BTCUSDT", "orderId": order["orderId"], "newQty": quantity, **more}
            answer, document = await client.send("PUT", "order/amend/keepPriority", params)
            return answer.status, document

        order = await client.limit("BUY", "0.01", FAR, newClientOrderId="a")
        status, document = await amend("0.005", newClientOrderId="a")
        amended = document["amendedOrder"]
        assert (status, amended["qty"], amended["clientOrderId"]) == (200, "0.00500000", "a")
        assert (amended["origClientOrderId"], amended["cumulativeQuoteQty"]) == ("a", "0.00000000")
        status, document = await amend("0.004")
        assert document["amendedOrder"]["clientOrderId"] != "a"
        assert document["amendedOrder"]["origClientOrderId"] == "a"
        assert (await client.no("GET", "order", symbol="BTCUSDT", origClientOrderId="a"))[1] == -2013
        for quantity, text_part in (("0.006", "quantity increase"), ("0.004", "change no state")):
            status, document = await amend(quantity)
            assert (status, document["code"]) == (400, -2038)
            assert text_part in document["msg"]
        balances = {row["asset"]: row for row in (await client.ok("GET", "account"))["balances"]}
        assert balances["USDT"]["locked"] == "200.00000000"
        for number in range(8):
            assert (await amend(f"0.00{39 - number}"))[0] == 200
        assert (await amend("0.001"))[1]["msg"] == "Filter failure: MAX_NUM_ORDER_AMENDS"

    run(check)


def test_both_ids_must_be_of_one_order_and_one_must_be_sent() -> None:
    async def check(client: SignedClient) -> None:
        order = await client.limit("BUY", LOT, FAR, newClientOrderId="right")
        wrong = {"symbol": "BTCUSDT", "orderId": order["orderId"], "origClientOrderId": "wrong"}
        for method in ("GET", "DELETE"):
            assert (await client.no(method, "order", **wrong))[1] == -2039
            assert (await client.no(method, "order", symbol="BTCUSDT"))[1] == -1102
        assert (await client.no("GET", "order", symbol="BTCUSDT", orderId=1))[1:] == (-2013, "Order does not exist.")
        restricted = {"symbol": "BTCUSDT", "orderId": order["orderId"], "cancelRestrictions": "ONLY_PARTIALLY_FILLED"}
        assert (await client.no("DELETE", "order", **restricted))[1:] == (
            -2011,
            "Order was not canceled due to cancel restrictions.",
        )
        await client.limit("BUY", LOT, FAR)
        gone = await client.ok("DELETE", "openOrders", symbol="BTCUSDT")
        assert [row["status"] for row in gone] == ["CANCELED"] * 2
        assert (await client.no("DELETE", "openOrders", symbol="BTCUSDT"))[1] == -2011

    run(check)


def test_windows_and_combinations_of_the_history() -> None:
    async def check(client: SignedClient) -> None:
        ids = [(await client.limit("BUY", LOT, FAR))["orderId"] for _ in range(5)]
        assert ids == list(range(ids[0], ids[0] + 5))

        async def listed(**params: object) -> list[int]:
            return [row["orderId"] for row in await client.ok("GET", "allOrders", symbol="BTCUSDT", **params)]

        assert await listed(limit=2) == ids[-2:]
        assert await listed(orderId=ids[1], limit=2) == ids[1:3]
        assert await listed(startTime=int(time.time() * 1000) + 60_000) == []
        assert (await client.no("GET", "allOrders", symbol="BTCUSDT", startTime=1, endTime=86_400_002))[1] == -1127
        assert (await client.no("GET", "myTrades", symbol="BTCUSDT", fromId=1, startTime=1))[1] == -1128

    run(check)


def test_other_private_endpoints() -> None:
    async def check(client: SignedClient) -> None:
        assert await client.ok("POST", "order/test", **limit("BUY", LOT, FAR)) == {}
        rates = await client.ok("POST", "order/test", **limit("BUY", LOT, FAR), computeCommissionRates="true")
        assert rates["standardCommission"]["maker"] == "0.00100000"
        assert client.front.venue.orders == []
        commission = await client.ok("GET", "account/commission", symbol="BTCUSDT")
        assert commission["discount"]["discountAsset"] == "BNB"
        filters = await client.ok("GET", "myFilters", symbol="BTCUSDT")
        assert "LOT_SIZE" in {row["filterType"] for row in filters["symbolFilters"]}
        answer, page = await client.send("POST", "userDataStream")
        assert (answer.status, answer.headers["Content-Type"].partition(";")[0]) == (410, "text/html")
        assert "410 Gone" in page

    run(check)


# Faults.


async def unanswered(client: SignedClient, **params: Any) -> None:
    with pytest.raises((TimeoutError, aiohttp.ClientError)):
        await asyncio.wait_for(client.send("POST", "order", params), 2)


def test_lost_answers_of_orders_that_were_and_were_not_executed() -> None:
    async def check(client: SignedClient) -> None:
        venue = client.front.venue
        cases: list[tuple[str, dict[str, Any], bool, int | None]] = [
            ("http_5xx", {"status": 503, "executed": True}, True, 503),
            ("http_5xx", {"status": 502, "executed": False}, False, 502),
            ("http_5xx", {"status": 500, "executed": True}, True, 500),
            ("http_5xx", {"status": 504}, False, 504),
            ("http_timeout", {"executed": True}, True, None),
            ("http_timeout", {"executed": False}, False, None),
            ("ack_lost", {}, True, None),
            ("http_429", {"retry_after_s": 3}, False, 429),
        ]
        for number, (kind, fields, executed, status) in enumerate(cases):
            fault = client.front.fault(kind, surface="trade", op="place", count=1, **fields)
            params = limit("BUY", LOT, FAR, newClientOrderId=f"n{number}")
            assert await client.ok("GET", "openOrders", symbol="BTCUSDT") is not None
            if status is None:
                await unanswered(client, **params)
            else:
                answer, document = await client.send("POST", "order", params)
                assert answer.status == status
                if status in (500, 504):
                    assert document["code"] == {500: -1006, 504: -1007}[status]
            row = venue.requests[-1]
            assert [row[name] for name in ("client_order_id", "fault", "executed", "answered")] == [
                f"n{number}",
                kind,
                executed,
                status is not None,
            ]
            asked = await client.send("GET", "order", {"symbol": "BTCUSDT", "origClientOrderId": f"n{number}"})
            assert asked[0].status == (200 if executed else 400)
            assert client.front.fired(fault) == 1
        assert [order.client_id for order in venue.orders] == ["n0", "n2", "n4", "n6"]

    run(check)


def test_a_ban_is_answered_418_and_every_request_during_it_is_told() -> None:
    async def check(client: SignedClient) -> None:
        client.front.fault("http_ban", surface="trade", retry_after_s=60)
        answer, document = await client.send("POST", "order", limit("BUY", LOT, FAR, newClientOrderId="b1"))
        assert (answer.status, document["code"]) == (418, -1003)
        assert answer.headers["Retry-After"] == "60"
        await client.send("DELETE", "order", {"symbol": "BTCUSDT", "origClientOrderId": "b2"})
        await client.send("GET", "account")
        rows = [(row["client_order_id"], row["executed"], row["fault"]) for row in client.front.venue.requests]
        assert rows == [("b1", False, "http_ban"), ("b2", False, "ban"), ("", False, "ban")]

    run(check)


def test_an_order_may_be_invisible_for_a_while() -> None:
    async def check(client: SignedClient) -> None:
        client.front.fault("visibility_delay", delay_ms=4_000, surface="trade")
        order = await client.limit("BUY", LOT, FAR, newClientOrderId="ghost")
        assert (await client.no("GET", "order", symbol="BTCUSDT", origClientOrderId="ghost"))[1] == -2013
        assert await client.ok("GET", "openOrders", symbol="BTCUSDT") == []

        async def seen() -> bool:
            answer, _ = await client.send("GET", "order", {"symbol": "BTCUSDT", "orderId": order["orderId"]})
            return answer.status == 200

        deadline = time.monotonic() + 60
        while not await seen():
            assert time.monotonic() < deadline
            await asyncio.sleep(0.1)  # asked without a pause it is the limits that answer

    run(check)


def test_maintenance_halts_trading_and_a_revoked_key_ends_everything() -> None:
    async def check(client: SignedClient) -> None:
        order = await client.limit("BUY", LOT, FAR)
        maintenance = client.front.fault("maintenance")
        assert (await client.no("POST", "order", **limit("BUY", LOT, FAR)))[1:] == (-2010, "Market is closed.")
        info = await client.front.result("/api/v3/exchangeInfo?symbol=BTCUSDT")
        assert info["symbols"][0]["status"] == "HALT"
        await client.ok("DELETE", "order", symbol="BTCUSDT", orderId=order["orderId"])
        client.front.world.faults.delete(maintenance)
        revoked = client.front.fault("key_revoked")
        for method, path in (("GET", "account"), ("POST", "order")):
            assert (await client.no(method, path, **limit("BUY", LOT, FAR)))[:2] == (401, -2015)
        client.front.world.faults.delete(revoked)
        await client.ok("GET", "account")

    run(check)


def test_the_flow_fills_a_resting_order_and_fees_are_the_makers() -> None:
    async def check(client: SignedClient) -> None:
        order = await client.limit("BUY", LOT, client.best(True) + D("0.01"))

        def filled() -> bool:
            client.front.step(5)
            return not client.front.venue.orders[0].open

        await eventually(filled, "the flow sells into the best bid")
        asked = await client.ok("GET", "order", symbol="BTCUSDT", orderId=order["orderId"])
        assert (asked["status"], asked["executedQty"]) == ("FILLED", "0.00100000")
        trades = await client.ok("GET", "myTrades", symbol="BTCUSDT")
        assert {(row["isMaker"], row["isBuyer"], row["commission"]) for row in trades} == {(True, True, "0.00000200")}

    run(check, maker_fee=0.002)


def test_a_get_with_a_body_does_not_pass_the_front_gate() -> None:
    async def check(client: SignedClient) -> None:
        answer, _ = await client.send("GET", "account", body={"a": "1"})
        assert answer.status == 403

    run(check)
