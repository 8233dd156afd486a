"""The trade socket of the simulated Bybit, as a raw client sees it."""

from __future__ import annotations

from typing import Any

import aiohttp
import pytest
from support.bybit_front import PATIENCE_S, Front, eventually
from support.bybit_trader import Trader, below, order_request, run

LIMIT: dict[str, Any] = {"side": "Buy", "orderType": "Limit", "qty": "0.01"}


def test_orders_are_created_amended_and_cancelled_with_the_limits_in_the_header() -> None:
    async def scenario(front: Front, trader: Trader) -> None:
        async with trader.trade() as trade:
            made = await trade.order("order.create", "r-1", **LIMIT, price=below(front), orderLinkId="mine")
            keys = ["reqId", "retCode", "retMsg", "op", "data", "retExtInfo", "header", "connId"]
            assert list(made) == keys
            assert (made["reqId"], made["retCode"], made["retMsg"], made["op"]) == ("r-1", 0, "OK", "order.create")
            assert made["data"]["orderLinkId"] == "mine"
            header = made["header"]
            assert (header["X-Bapi-Limit"], header["X-Bapi-Limit-Status"]) == ("20", "19")
            assert set(header) == {
                "X-Bapi-Limit",
                "X-Bapi-Limit-Status",
                "X-Bapi-Limit-Reset-Timestamp",
                "Traceid",
                "Timenow",
            }
            order_id = made["data"]["orderId"]
            amended = await trade.order("order.amend", "r-2", orderId=order_id, qty="0.02")
            assert (amended["retCode"], amended["header"]["X-Bapi-Limit"]) == (0, "10")
            assert (await trader.order(order_id))["qty"] == "0.02"
            cancelled = await trade.order("order.cancel", orderLinkId="mine")
            assert (cancelled["data"]["orderId"], "reqId" in cancelled) == (order_id, False)
            gone = await trade.order("order.cancel", "r-4", orderLinkId="mine")
            assert (gone["retCode"], gone["data"]) == (170213, {})
        assert [(row["op"], row["executed"]) for row in front.venue.requests] == [
            ("place", True),
            ("amend", True),
            ("cancel", True),
            ("cancel", False),
        ]

    run(scenario)


def test_the_socket_has_codes_of_its_own() -> None:
    async def scenario(front: Front, trader: Trader) -> None:
        async with front.http.ws_connect(f"{front.base}/v5/trade") as ws:

            async def code(request: object) -> tuple[int, str]:
                await ws.send_json(request)
                answer = await ws.receive_json(timeout=PATIENCE_S)
                return answer["retCode"], answer["op"]

            order = order_request("order.create", **LIMIT, price=below(front))
            assert await code(order) == (10005, "order.create")
            assert await code({"op": "auth", "args": [trader.key, 9999999999999, "00"]}) == (10004, "auth")
            assert await code(trader.auth(ahead_ms=-1)) == (10001, "auth")
            assert await code({"op": "ping"}) == (0, "pong")
            assert await code(trader.auth()) == (0, "auth")
            assert await code(trader.auth()) == (20001, "auth")
            assert await code({**order, "op": "order.replace"}) == (10404, "order.replace")
            assert await code({**order, "args": [{**order["args"][0], "category": "linear"}]}) == (
                10404,
                "order.create",
            )
            assert await code({**order, "args": order["args"] * 2}) == (10001, "order.create")
            assert await code({**order, "header": {}}) == (10001, "order.create")
            assert await code({**order, "reqId": "x" * 37}) == (10001, "order.create")
            assert await code([]) == (10001, "")
            late = order_request("order.create", ahead_ms=-6_000, **LIMIT, price=below(front))
            assert await code(late) == (10002, "order.create")
            late["header"]["X-BAPI-RECV-WINDOW"] = "9000"
            assert await code(late) == (0, "order.create")
            early = order_request("order.create", "early", ahead_ms=2_000, **LIMIT, price=below(front))
            assert await code(early) == (10002, "order.create")
            assert await code({**order, "reqId": "early"}) == (20006, "order.create")
        assert front.venue.usage.auth_failures == 2

    run(scenario)


def test_rest_and_the_socket_share_an_accounts_rates_and_sessions_are_bounded() -> None:
    async def scenario(front: Front, trader: Trader) -> None:
        async with trader.trade() as trade:
            await trader.place(price=below(front))
            answer = await trade.order("order.create", **LIMIT, price=below(front))
            assert (answer["retCode"], answer["header"]["X-Bapi-Limit-Status"]) == (10006, "0")
            async with front.http.ws_connect(f"{front.base}/v5/trade") as ws:
                await ws.send_json(trader.auth())
                assert (await ws.receive_json(timeout=PATIENCE_S))["retCode"] == 10003
            front.venue.settings["trade_requests_max"] = 1
            assert (await trade.order("order.cancel", orderLinkId="x"))["retCode"] == 10403

    run(scenario, create_max=1, trade_sessions_max=1)


@pytest.mark.parametrize(("kind", "code"), [("http_5xx", 10016), ("http_429", 10429), ("maintenance", 170151)])
def test_an_injected_fault_has_the_sockets_own_word(kind: str, code: int) -> None:
    async def scenario(front: Front, trader: Trader) -> None:
        async with trader.trade() as trade:
            front.fault(kind, surface="trade")
            assert (await trade.order("order.create", **LIMIT, price=below(front)))["retCode"] == code
            assert front.venue.orders == []

    run(scenario)


def test_the_venues_clock_may_be_wrong_on_the_socket_alone() -> None:
    async def scenario(front: Front, trader: Trader) -> None:
        async with trader.trade() as trade:
            front.fault("clock_skew", skew_ms=-3_000, surface="trade")
            assert (await trade.order("order.create", **LIMIT, price=below(front)))["retCode"] == 10002
            assert (await trader.create(price=below(front)))["retCode"] == 0

    run(scenario)


def test_an_ack_may_be_lost_or_the_socket_drop_with_it_though_the_order_stands() -> None:
    async def scenario(front: Front, trader: Trader) -> None:
        async with trader.trade() as trade:
            front.fault("ack_lost", surface="trade")
            await trade.ws.send_json(order_request("order.create", "lost", **LIMIT, price=below(front)))
            await eventually(lambda: len(front.venue.orders) == 1, "the order")
            assert (await trade.ask({"op": "ping"}))["op"] == "pong"
            front.fault("ws_drop", surface="trade", op="create")
            await trade.ws.send_json(order_request("order.create", "dropped", **LIMIT, price=below(front)))
            message = await trade.ws.receive(timeout=PATIENCE_S)
            assert message.type in (aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR)
        assert len(front.venue.orders) == 2
        assert front.venue.requests[0]["answered"] is False

    run(scenario)


def test_answers_come_in_no_promised_order() -> None:
    async def scenario(front: Front, trader: Trader) -> None:
        async with trader.trade() as trade:
            front.fault("latency", latency_ms=1_000, count=1, surface="trade", op="create")
            await trade.ws.send_json(order_request("order.create", "slow", **LIMIT, price=below(front)))
            await trade.ws.send_json(order_request("order.create", "quick", **LIMIT, price=below(front)))
            answers = [await trade.ws.receive_json(timeout=PATIENCE_S) for _ in range(2)]
            assert [answer["reqId"] for answer in answers] == ["quick", "slow"]

    run(scenario)


def test_a_restart_refuses_what_comes_and_then_ends_the_connection() -> None:
    async def scenario(front: Front, trader: Trader) -> None:
        async with trader.trade() as trade:
            front.fault("server_shutdown", surface="trade", lead_ms=4_000)
            assert (await trade.order("order.create", **LIMIT, price=below(front)))["retCode"] == 10019
            message = await trade.ws.receive(timeout=PATIENCE_S)
            assert message.type is aiohttp.WSMsgType.CLOSE
            assert front.venue.orders == []

    run(scenario)


def test_a_revoked_key_ends_the_connection() -> None:
    async def scenario(front: Front, trader: Trader) -> None:
        async with trader.trade() as trade:
            front.fault("key_revoked")
            assert (await trade.ws.receive(timeout=PATIENCE_S)).type is aiohttp.WSMsgType.CLOSE

    run(scenario)
