"""What may go wrong with an order at the simulated Bybit, and that the judge knows it."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from support.bybit_front import Front, eventually
from support.bybit_trader import REALTIME, SPOT, Trader, below, order_request, run


@pytest.mark.parametrize("executed", [True, False])
def test_an_answer_may_be_5xx_whether_the_order_was_placed_or_not(executed: bool) -> None:
    async def scenario(front: Front, trader: Trader) -> None:
        front.fault("http_5xx", surface="trade", status=504, executed=executed)
        body = {**SPOT, "side": "Buy", "orderType": "Limit", "qty": "0.01", "price": below(front), "orderLinkId": "u"}
        payload = json.dumps(body)
        status, _ = await trader.send("POST", "/v5/order/create", payload, trader.sign_headers(payload))
        assert status == 504
        found = (await trader.result(REALTIME, category="spot", orderLinkId="u"))["list"]
        assert len(found) == executed
        (row,) = front.venue.requests
        assert (row["client_order_id"], row["executed"], row["status"], row["fault"]) == (
            "u",
            executed,
            504,
            "http_5xx",
        )

    run(scenario)


def test_a_server_error_may_also_be_a_code_with_http_200_though_the_order_stands() -> None:
    async def scenario(front: Front, trader: Trader) -> None:
        front.fault("http_5xx", executed=True)
        answer = await trader.create(price=below(front), orderLinkId="u")
        assert (answer["retCode"], answer["result"]) == (10016, {})
        assert len((await trader.result(REALTIME, category="spot", orderLinkId="u"))["list"]) == 1
        async with trader.trade() as trade:
            front.fault("http_5xx", surface="trade", executed=True)
            limit: dict[str, Any] = {"side": "Buy", "orderType": "Limit", "qty": "0.01", "price": below(front)}
            assert (await trade.ask(order_request("order.create", **limit)))["retCode"] == 10016
        assert len(front.venue.orders) == 2

    run(scenario, server_error_code=10016)


@pytest.mark.parametrize("kind", ["ack_lost", "http_timeout"])
def test_an_answer_may_never_come(kind: str) -> None:
    async def scenario(front: Front, trader: Trader) -> None:
        front.fault(kind, surface="rest", op="create", **({"executed": True} if kind == "http_timeout" else {}))
        asked = asyncio.create_task(trader.create(price=below(front), orderLinkId="u"))
        await eventually(lambda: front.venue.orders, "the order")
        (found,) = (await trader.result(REALTIME, category="spot", orderLinkId="u"))["list"]
        assert found["orderStatus"] == "New"
        assert not asked.done()
        assert [row["answered"] for row in front.venue.requests] == [False]
        asked.cancel()

    run(scenario)


def test_maintenance_stops_new_orders_and_a_revoked_key_everything() -> None:
    async def scenario(front: Front, trader: Trader) -> None:
        resting = await trader.place(price=below(front))
        front.fault("maintenance")
        assert (await trader.create(price=below(front)))["retCode"] == 170151
        assert (await trader.result("/v5/market/tickers", **SPOT))["list"]
        assert (await trader.post("/v5/order/cancel", **SPOT, orderId=resting))["retCode"] == 0
        front.world.faults.delete()
        front.fault("key_revoked")
        assert (await trader.create(price=below(front)))["retCode"] == 10003
        assert (await trader.get(REALTIME, **SPOT))["retCode"] == 10003

    run(scenario)


def test_the_venues_clock_may_be_wrong_for_orders() -> None:
    async def scenario(front: Front, trader: Trader) -> None:
        front.fault("clock_skew", skew_ms=-3_000, surface="rest")
        answer = await trader.create(price=below(front))
        assert answer["retCode"] == 10002
        assert front.venue.orders == []

    run(scenario)
