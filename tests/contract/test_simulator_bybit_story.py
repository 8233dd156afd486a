"""Whatever an account does, what the private stream told adds up to what is true, and so does what REST lists."""

from __future__ import annotations

import random
from typing import Any

import pytest
from support.bybit_front import Front
from support.bybit_trader import EXECUTIONS, HISTORY, REALTIME, SPOT, Trader, best, run

STEPS = 150
FINAL = ("Filled", "Cancelled", "Rejected", "PartiallyFilledCanceled", "Deactivated")


async def trade_at_random(front: Front, trader: Trader, dice: random.Random) -> None:
    """Orders near the market of every kind, amended and cancelled, while others trade too."""
    tick, placed = front.market.spec.tick, ["none"]
    for number in range(STEPS):
        front.step(dice.randrange(8))
        price = str(best(front, dice.choice(["bid", "ask"])) + dice.randrange(-6, 7) * tick)
        kind = dice.choice(
            ["GTC", "GTC", "GTC", "IOC", "FOK", "PostOnly", "market", "stop", "amend", "cancel", "cancel"]
        )
        order = {
            "side": dice.choice(["Buy", "Sell"]),
            "qty": f"0.{dice.randrange(1, 400):03}",
            "orderLinkId": f"s-{number}",
        }
        if kind in ("amend", "cancel"):
            change = {"qty": order["qty"]} if kind == "amend" else {}
            await trader.post(f"/v5/order/{kind}", **SPOT, orderId=dice.choice(placed[-8:]), **change)
            continue
        if kind == "market":
            unit = dice.choice(["baseCoin", "quoteCoin"])
            order |= {"orderType": "Market", "marketUnit": unit} | ({"qty": "777"} if unit == "quoteCoin" else {})
        elif kind == "stop":
            order |= {"orderFilter": "StopOrder", "triggerPrice": price, "price": price}
        else:
            order |= {
                "price": price,
                "timeInForce": kind,
                "smpType": dice.choice(["None", "CancelMaker", "CancelBoth"]),
            }
        answer = await trader.create(**order)
        if answer["retCode"] == 0:
            placed.append(answer["result"]["orderId"])


async def everything(trader: Trader, path: str, **params: str) -> list[Any]:
    """Every page of a list."""
    items: list[Any] = []
    query, cursor = "&".join(f"{name}={value}" for name, value in {**SPOT, **params}.items()), ""
    while True:
        result = (await trader.get(path, query + cursor))["result"]
        if not result["list"]:
            return items
        items += result["list"]
        cursor = f"&cursor={result['nextPageCursor']}"


@pytest.mark.parametrize("seed", [1, 2])
def test_the_stream_and_the_lists_add_up_to_the_truth(seed: int) -> None:
    async def scenario(front: Front, trader: Trader) -> None:
        async with trader.private("order", "execution", "wallet") as frames:
            await trade_at_random(front, trader, random.Random(seed))
            marker = await trader.place(side="Buy", price="1", qty="1", timeInForce="IOC")
            await frames.until(
                lambda frame: frame["topic"] == "order" and any(one["orderId"] == marker for one in frame["data"])
            )
            await frames.quiet()
        truth = {str(order.order_id): order for order in front.venue.orders}
        assert len({order.status for order in truth.values()}) >= 4, "the dice made a varied story"

        told: dict[str, Any] = {}
        for item in frames.of("order"):
            before = told.get(item["orderId"])
            assert before is None or before["orderStatus"] not in FINAL or before["orderStatus"] == item["orderStatus"]
            told[item["orderId"]] = item
        opened = await everything(trader, REALTIME)
        closed = await everything(trader, HISTORY)
        listed = {order["orderId"]: order for order in opened + closed}
        assert set(told) == set(truth) == set(listed)
        assert len(listed) == len(opened) + len(closed)
        assert all((order["orderStatus"] in FINAL) == (order in closed) for order in listed.values())
        for order_id, item in told.items():
            for name in ("orderStatus", "cumExecQty", "cumExecValue", "leavesQty", "qty", "cumFeeDetail"):
                assert item[name] == listed[order_id][name], (name, item)

        fills = [
            (item["orderId"], item["execId"], item["execQty"], item["leavesQty"]) for item in frames.of("execution")
        ]
        booked = await everything(trader, EXECUTIONS)
        assert sorted(fills) == sorted(
            (one["orderId"], one["execId"], one["execQty"], one["leavesQty"]) for one in booked
        )
        assert len(fills) == sum(len(order.fills) for order in truth.values())

        wallet = {coin["coin"]: coin for item in frames.of("wallet") for coin in item["coin"]}
        balances = await trader.balances()
        for coin, last in wallet.items():
            assert (last["walletBalance"], last["locked"]) == balances[coin]

    run(scenario, create_max=10_000, amend_max=10_000, cancel_max=10_000, requests_max=10_000, query_max=10_000)
