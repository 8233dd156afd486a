"""The private socket of the simulated Bybit: what it tells of orders, fills and balances, and how that goes wrong."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import aiohttp
import pytest
from support.bybit_front import Front, eventually
from support.bybit_trader import SPOT, Frames, Trader, below, best, run

ORDER_KEYS = (
    "category symbol orderId orderLinkId blockTradeId side positionIdx orderStatus cancelType rejectReason timeInForce"
    " isLeverage price qty avgPrice leavesQty leavesValue cumExecQty cumExecValue cumExecFee orderType stopOrderType"
    " triggerPrice takeProfit stopLoss lastPriceOnCreated reduceOnly closeOnTrigger smpType smpGroup smpOrderId"
    " marketUnit createdTime updatedTime feeCurrency slippageTolerance slippageToleranceType cumFeeDetail"
    " rpiTakerAccess rpiMatchedQty"
)
EXECUTION_KEYS = (
    "category symbol orderId orderLinkId side orderPrice orderQty leavesQty orderType execId execPrice execQty"
    " execValue execFee feeCurrency feeRate execType execTime isMaker isLeverage seq marketUnit stopOrderType extraFees"
)
FAST_KEYS = "category symbol execId execPrice execQty orderId isMaker orderLinkId side execTime seq"


def of_order(order_id: str, status: str) -> Any:
    """Whether a frame tells that an order has a status."""
    return lambda frame: (
        frame["topic"].startswith("order")
        and any(item["orderId"] == order_id and item["orderStatus"] == status for item in frame["data"])
    )


def hit(front: Front, price: str, quantity: str) -> None:
    """Somebody sells down to a price."""
    spec, now_ns = front.market.spec, front.venue.time_ns()
    ticks = int(Decimal(price) / spec.tick)
    above = sum(size for level, size in front.market.book.raw_levels(True) if level > ticks)
    steps = above + int(Decimal(quantity) / spec.step)
    front.market.submit(False, steps, ticks, now_ns=now_ns, rest=False)
    front.market.commit(now_ns)


def test_nothing_is_told_before_auth_or_without_being_asked_for() -> None:
    async def scenario(front: Front, trader: Trader) -> None:
        async with front.http.ws_connect(f"{front.base}/v5/private") as ws:
            frames = Frames(ws)
            early = await frames.ask({"op": "subscribe", "args": ["order"]})
            assert (early["success"], early["ret_msg"]) == (False, "Request not authorized")
            for wrong in (trader.auth(ahead_ms=-1_000), {"op": "auth", "args": [trader.key, 9999999999999, "0"]}):
                refused = await frames.ask(wrong)
                assert (refused["success"], refused["ret_msg"], refused["op"]) == (False, "Params Error", "auth")
            assert front.venue.usage.auth_failures == 2
            granted = await frames.ask(trader.auth())
            assert granted == {"success": True, "ret_msg": "", "op": "auth", "conn_id": granted["conn_id"]}
            pong = await frames.ask({"req_id": "x", "op": "ping"})
            assert (list(pong), pong["op"]) == (["req_id", "op", "args", "conn_id"], "pong")
            order_id = await trader.place(price=below(front))
            async with trader.private("order") as other:
                await trader.post("/v5/order/cancel", **SPOT, orderId=order_id)
                await other.until(of_order(order_id, "Cancelled"))
                assert len(other.seen) == 1, "what was before the subscription is not told"
            assert await frames.quiet() == []

    run(scenario, push_delay_ms=0)


def test_an_orders_life_is_told_on_every_topic_with_every_field() -> None:
    async def scenario(front: Front, trader: Trader) -> None:
        async with trader.private("order", "execution", "execution.fast", "wallet") as frames:
            price = str(best(front, "bid") + front.market.spec.tick)
            order_id = await trader.place(price=price, orderLinkId="life")
            hit(front, price, "0.004")
            await frames.until(of_order(order_id, "PartiallyFilled"))
            hit(front, price, "0.006")
            await frames.until(of_order(order_id, "Filled"))
            await frames.until(lambda f: f["topic"] == "wallet" and f["data"][0]["coin"][-1]["locked"] == "0")
            await frames.quiet()
            orders = frames.of("order")
            assert [order["orderStatus"] for order in orders] == ["New", "PartiallyFilled", "Filled"]
            assert [order["cumExecQty"] for order in orders] == ["0", "0.004", "0.01"]
            assert all(set(order) == set(ORDER_KEYS.split()) for order in orders)
            fills, fast = frames.of("execution"), frames.of("execution.fast")
            assert [(fill["execQty"], fill["leavesQty"]) for fill in fills] == [("0.004", "0.006"), ("0.006", "0")]
            assert all(set(EXECUTION_KEYS.split()) <= set(fill) for fill in fills)
            assert [set(one) for one in fast] == [set(FAST_KEYS.split())] * 2
            assert {fill["isMaker"] for fill in fills} == {True}
            assert {(one["orderLinkId"], one["isMaker"]) for one in fast} == {("", True)}
            assert [one["execId"] for one in fast] == [fill["execId"] for fill in fills]
            last = [frame for frame in frames.seen if frame["topic"] == "wallet"][-1]["data"][0]
            coins = {coin["coin"]: coin["walletBalance"] for coin in last["coin"]}
            assert coins["BTC"] == "100.00999", "the fee is taken from what was bought"
            assert "ETH" not in coins, "only what changed is told"
            ids = {frame["topic"]: frame.get("id") for frame in frames.seen}
            assert ids["order"] == ids["execution"] != ids["wallet"]
            assert ids["execution.fast"] is None

    run(scenario)


def test_what_cannot_rest_is_told_once_at_its_end() -> None:
    async def scenario(front: Front, trader: Trader) -> None:
        async with trader.private("order.spot") as frames:
            bought = await trader.place(orderType="Market", qty="1000")
            await frames.until(of_order(bought, "PartiallyFilledCanceled"))
            crossing = await trader.place(price=str(best(front, "ask")), timeInForce="PostOnly")
            await frames.until(of_order(crossing, "Rejected"))
            assert [item["orderId"] for item in frames.of("order.spot")] == [bought, crossing]

    run(scenario)


def test_a_stop_order_is_told_untriggered_triggered_and_new() -> None:
    async def scenario(front: Front, trader: Trader) -> None:
        async with trader.private("order") as frames:
            trade = front.market.last_trade()
            assert trade is not None
            trigger = str(trade.price - 50)
            stop = {"orderFilter": "StopOrder", "triggerPrice": trigger, "price": str(trade.price - 500)}
            order_id = await trader.place(**stop)
            front.market.submit(True, 1, int(Decimal(trigger) / front.market.spec.tick), now_ns=front.venue.time_ns())
            hit(front, trigger, "0.000001")
            await frames.until(of_order(order_id, "New"))
            assert [item["orderStatus"] for item in frames.of("order")] == ["Untriggered", "Triggered", "New"]

    run(scenario)


def test_the_ack_comes_first_unless_it_is_told_to_be_late() -> None:
    async def late_ack(front: Front, trader: Trader) -> None:
        async with trader.private("order") as frames, trader.trade() as trade:
            arg = {**SPOT, "side": "Buy", "orderType": "Limit", "price": below(front), "qty": "0.01"}
            await trade.ws.send_json(
                {"op": "order.create", "header": {"X-BAPI-TIMESTAMP": str(front.venue.now_ms())}, "args": [arg]}
            )
            await frames.until(lambda frame: frame["topic"] == "order")
            with pytest.raises(TimeoutError):
                await trade.ws.receive(timeout=0.05)

    async def late_push(front: Front, trader: Trader) -> None:
        async with trader.private("order") as frames:
            await trader.place(price=below(front))
            assert await frames.quiet() == []

    run(late_ack, ack_delay_ms=60_000, push_delay_ms=0)
    run(late_push, push_delay_ms=60_000)


@pytest.mark.parametrize(
    ("setting", "topics"), [(0, ["order", "execution", "wallet"]), (1, ["wallet", "execution", "order"])]
)
def test_topics_come_in_no_promised_order(setting: int, topics: list[str]) -> None:
    async def scenario(front: Front, trader: Trader) -> None:
        async with trader.private("order", "execution", "wallet") as frames:
            await trader.place(orderType="Market", qty="1000")
            await frames.until(lambda frame: frame["topic"] == topics[-1])
            assert [frame["topic"] for frame in frames.seen] == topics

    run(scenario, reverse_pushes=setting)


def test_a_cancel_that_lost_its_race_is_refused_by_a_second_push_of_filled() -> None:
    async def scenario(front: Front, trader: Trader) -> None:
        async with trader.private("order", "execution") as frames:
            ask = str(best(front, "ask"))
            order_id = await trader.place(price=ask, qty="0.000048")
            assert (await trader.post("/v5/order/cancel", **SPOT, orderId=order_id))["retCode"] == 0
            await frames.until(lambda frame: frame["data"][0].get("cancelType") == "CancelByUser")
            filled = [item for item in frames.of("order") if item["orderStatus"] == "Filled"]
            assert [item["rejectReason"] for item in filled] == ["EC_NoError", "EC_OrigClOrdIDDoesNotExist"]
            assert filled[0]["cumExecQty"] == filled[1]["cumExecQty"]
            assert len(frames.of("execution")) == 1

    run(scenario, race_window_ms=60_000)


def test_events_may_be_dropped_or_come_twice() -> None:
    async def scenario(front: Front, trader: Trader) -> None:
        async with trader.private("order", "wallet") as frames:
            front.fault("user_event_drop", op="order")
            lost = await trader.place(price=below(front))
            front.fault("user_event_duplicate", op="order")
            twice = await trader.place(price=below(front))
            last = await trader.place(price=below(front))
            await frames.until(of_order(last, "New"))
            assert [item["orderId"] for item in frames.of("order")] == [twice, twice, last]
            assert (await trader.order(lost))["orderStatus"] == "New"

    run(scenario)


@pytest.mark.parametrize("kind", ["ws_drop", "server_shutdown", "key_revoked"])
def test_the_connection_may_end(kind: str) -> None:
    async def scenario(front: Front, trader: Trader) -> None:
        async with trader.private("order") as frames:
            front.fault(kind, surface="private", **({"lead_ms": 0} if kind == "server_shutdown" else {}))
            message = await frames.ws.receive(timeout=60)
            assert message.type in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR)
        await eventually(lambda: front.venue.usage.ws_dropped[kind] == 1, "the end is counted")
        if kind == "key_revoked":
            async with front.http.ws_connect(f"{front.base}/v5/private") as ws:
                assert (await Frames(ws).ask(trader.auth()))["success"] is False

    run(scenario)


def test_the_connection_may_fall_silent_and_still_pong_or_tell_what_is_no_json() -> None:
    async def scenario(front: Front, trader: Trader) -> None:
        async with trader.private("order") as frames:
            front.fault("ws_malformed", surface="private", form="not_json")
            await trader.place(price=below(front))
            assert (await frames.ws.receive_str(timeout=60)).startswith("<html>")
            front.fault("ws_silent", surface="private")
            await trader.place(price=below(front))
            await trader.place(price=below(front))
            async with trader.private("order") as witness:
                last = await trader.place(price=below(front))
                await witness.until(of_order(last, "New"))
            assert await frames.quiet() == []

    run(scenario)


def test_an_idle_connection_ends_at_the_time_that_it_asked_for() -> None:
    async def scenario(front: Front, trader: Trader) -> None:
        async with front.http.ws_connect(f"{front.base}/v5/private?max_active_time=10m") as ws:
            message = await ws.receive(timeout=60)
            assert message.type in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED)

    run(scenario, idle_s=0.05)
