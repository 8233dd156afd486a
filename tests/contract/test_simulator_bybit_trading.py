"""The simulated Bybit takes orders as Bybit does, as a client with hand-signed requests sees it."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from support.bybit_front import Front
from support.bybit_trader import EXECUTIONS, REALTIME, SPOT, Trader, below, best, run

# What an order may hold.

_BAD: list[tuple[dict[str, str], int]] = [
    ({"category": "swap"}, 10001),
    ({"symbol": "btcusdt"}, 170121),
    ({"symbol": ""}, 170105),
    ({"side": "buy"}, 170117),
    ({"side": ""}, 170105),
    ({"orderType": "limit"}, 170116),
    ({"timeInForce": "GTX"}, 170115),
    ({"orderFilter": "OcoOrder"}, 170201),
    ({"orderFilter": "StopOrder"}, 170105),
    ({"price": ""}, 170105),
    ({"price": "59000.001"}, 170134),
    ({"price": "59000.100"}, 170134),
    ({"price": "5.9e4"}, 170130),
    ({"price": "-59000"}, 170130),
    ({"price": "1000000.01"}, 170132),
    ({"qty": ""}, 170105),
    ({"qty": "0"}, 170130),
    ({"qty": "0.0000001"}, 170137),
    ({"qty": "0.0100000"}, 170137),
    ({"qty": "80"}, 170381),
    ({"qty": "0.000001"}, 170140),
    ({"orderLinkId": "x" * 37}, 170130),
    ({"orderLinkId": "a b"}, 170130),
    ({"stopLoss": "50000"}, 170130),
    ({"isLeverage": "1"}, 176008),
    ({"orderType": "Market", "qty": "40"}, 170382),
    ({"orderType": "Market", "qty": "40", "side": "Sell"}, 170382),
    ({"orderType": "Market", "qty": "0.5"}, 170140),
    ({"orderType": "Market", "qty": "9000000"}, 170124),
    ({"orderType": "Market", "qty": "10.000000001"}, 170148),
    ({"orderType": "Market", "qty": "10", "marketUnit": "usdt"}, 170130),
    ({"orderType": "Market", "qty": "10", "slippageToleranceType": "Percent", "slippageTolerance": "11"}, 170130),
]


@pytest.mark.parametrize(("fields", "code"), _BAD)
def test_an_order_that_breaks_a_rule_is_refused_with_the_rules_code(fields: dict[str, str], code: int) -> None:
    async def scenario(front: Front, trader: Trader) -> None:
        price = below(front) if fields.get("orderType") != "Market" else ""
        if code == 170382 and fields.get("side") != "Sell":
            fields["marketUnit"] = "baseCoin"
        answer = await trader.create(**{"price": price, **fields})
        assert (answer["retCode"], answer["result"]) == (code, {}), answer
        assert front.venue.orders == []
        (row,) = front.venue.requests
        assert (row["executed"], row["answered"]) == (False, True)

    run(scenario, levels=20)


def test_a_number_that_is_no_text_is_refused() -> None:
    async def scenario(front: Front, trader: Trader) -> None:
        order = {**SPOT, "side": "Buy", "orderType": "Limit", "price": below(front)}
        for quantity in (0.01, 1, True, None, ["0.01"]):
            assert (await trader.post("/v5/order/create", **order, qty=quantity))["retCode"] in (10001, 170105)
        payload = "[1]"
        headers = trader.sign_headers(payload)
        assert (await trader.send("POST", "/v5/order/create", payload, headers))[1]["retCode"] == 10001

    run(scenario)


def test_funds_link_ids_and_the_number_of_open_orders_are_bounded() -> None:
    async def scenario(front: Front, trader: Trader) -> None:
        price = below(front)
        for _ in range(2):
            assert (await trader.create(price=price, qty="70", orderLinkId="dear"))["retCode"] in (0, 170141)
        assert (await trader.create(price=price, qty="70"))["retCode"] == 0
        assert (await trader.create(price=price, qty="70"))["retCode"] == 170131
        assert (await trader.create(price=price))["retCode"] == 0
        assert (await trader.create(price=price))["retCode"] == 170810
        assert len((await trader.post("/v5/order/cancel-all", **SPOT))["result"]["list"]) == 3
        # An id stays taken after its order's end.
        assert (await trader.create(price=price, orderLinkId="dear"))["retCode"] == 170141

    run(scenario, open_orders_max=3)


def test_a_price_beyond_the_band_is_refused_only_if_it_is_aggressive() -> None:
    async def scenario(front: Front, trader: Trader) -> None:
        limits = await trader.result("/v5/market/price-limit", **SPOT)
        over, under = (Decimal(limits[name]) for name in ("buyLmt", "sellLmt"))
        assert (await trader.create(price=str(over + 1)))["retCode"] == 170193
        assert (await trader.create(price=str(under - 1), side="Sell"))["retCode"] == 170194
        assert (await trader.create(price=str(under - 1000)))["retCode"] == 0

    run(scenario, price_band=1)


# What becomes of an order.


def test_a_limit_order_rests_with_its_funds_locked_until_it_is_cancelled() -> None:
    async def scenario(front: Front, trader: Trader) -> None:
        price = below(front)
        answer = await trader.create(price=price, orderLinkId="mine-1")
        assert list(answer["result"]) == ["orderId", "orderLinkId"]
        assert answer["result"]["orderLinkId"] == "mine-1"
        order_id = answer["result"]["orderId"]
        assert len(order_id) == 19
        assert order_id.isdigit()
        order = await trader.order(order_id)
        assert (order["orderStatus"], order["price"], order["qty"]) == ("New", price, "0.01")
        assert (order["leavesQty"], order["cumExecQty"], order["avgPrice"]) == ("0.01", "0", "")
        locked = (await trader.balances())["USDT"][1]
        assert Decimal(locked) == Decimal(price) * Decimal("0.01")
        cancelled = await trader.post("/v5/order/cancel", **SPOT, orderLinkId="mine-1")
        assert cancelled["result"] == {"orderId": order_id, "orderLinkId": "mine-1"}
        order = await trader.order(order_id)
        assert (order["orderStatus"], order["cancelType"], order["rejectReason"]) == (
            "Cancelled",
            "CancelByUser",
            "EC_PerCancelRequest",
        )
        assert order["leavesQty"] == "0.01", "what was left is told of a cancelled order too"
        assert (await trader.balances())["USDT"] == ("10000000", "0")
        again = await trader.post("/v5/order/cancel", **SPOT, orderId=order_id)
        assert again["retCode"] == 170213
        (truth,) = front.venue.orders
        assert truth.document()["status"] == "CANCELED"

    run(scenario)


def test_who_sends_no_link_id_gets_the_number_after_the_orders() -> None:
    async def scenario(front: Front, trader: Trader) -> None:
        ids = (await trader.create(price=below(front)))["result"]
        assert int(ids["orderLinkId"]) == int(ids["orderId"]) + 1
        assert ids["orderLinkId"] == front.venue.requests[-1]["client_order_id"]

    run(scenario)


def test_a_crossing_order_trades_at_the_makers_price_and_pays_its_fee_in_what_it_gets() -> None:
    async def scenario(front: Front, trader: Trader) -> None:
        ask = best(front, "ask")
        order_id = await trader.place(price=str(ask + 5), qty="0.000048")
        order = await trader.order(order_id)
        assert (order["orderStatus"], order["avgPrice"], order["cumExecQty"]) == ("Filled", str(ask), "0.000048")
        assert order["cumFeeDetail"] == {"BTC": "0.000000048"}
        (fill,) = (await trader.result(EXECUTIONS, **SPOT))["list"]
        assert (fill["execType"], fill["isMaker"], fill["feeRate"]) == ("Trade", False, "0.001")
        assert (fill["execFee"], fill["feeCurrency"], fill["execPrice"]) == ("0.000000048", "BTC", str(ask))
        assert (fill["leavesQty"], fill["orderQty"]) == ("0", "0.000048")
        balances = await trader.balances()
        btc, usdt = balances["BTC"], balances["USDT"]
        assert btc == ("100.000047952", "0")
        assert Decimal(usdt[0]) == 10_000_000 - ask * Decimal("0.000048")

    run(scenario)


def test_post_only_that_would_cross_is_accepted_and_then_rejected() -> None:
    async def scenario(front: Front, trader: Trader) -> None:
        order_id = await trader.place(price=str(best(front, "ask")), timeInForce="PostOnly")
        order = await trader.order(order_id)
        assert (order["orderStatus"], order["rejectReason"]) == ("Rejected", "EC_PostOnlyWillTakeLiquidity")
        resting = await trader.place(price=str(best(front, "bid")), timeInForce="PostOnly")
        assert (await trader.order(resting))["orderStatus"] == "New"

    run(scenario)


def test_ioc_and_fok_never_rest() -> None:
    async def scenario(front: Front, trader: Trader) -> None:
        ask, there = front.market.book.levels("ask", 1)[0]
        much = str(there + Decimal("0.5"))
        cases = [
            (
                {"timeInForce": "IOC", "price": str(ask), "qty": much},
                "PartiallyFilledCanceled",
                "EC_CancelForNoFullFill",
            ),
            ({"timeInForce": "IOC", "price": below(front)}, "Cancelled", "EC_NoImmediateQtyToFill"),
            ({"timeInForce": "FOK", "price": below(front)}, "Cancelled", "EC_NoEnoughQtyToFill"),
        ]
        for fields, status, reason in cases:
            order = await trader.order(await trader.place(**fields))
            assert (order["orderStatus"], order["rejectReason"]) == (status, reason)
        assert (await trader.result(REALTIME, **SPOT))["list"] == []
        assert (await trader.balances())["USDT"][1] == "0"

    run(scenario)


def test_a_market_buy_is_of_quote_unless_it_says_otherwise_and_leaves_dust() -> None:
    async def scenario(front: Front, trader: Trader) -> None:
        order = await trader.order(await trader.place(orderType="Market", qty="10"))
        assert (order["orderStatus"], order["rejectReason"]) == ("PartiallyFilledCanceled", "EC_CancelForNoFullFill")
        assert (order["qty"], order["leavesQty"], order["price"]) == ("10", "0", "0")
        assert (order["marketUnit"], order["timeInForce"]) == ("quoteCoin", "IOC")
        assert Decimal(order["cumExecValue"]) + Decimal(order["leavesValue"]) == 10
        by_base = await trader.place(orderType="Market", qty="0.001", marketUnit="baseCoin")
        assert (await trader.order(by_base))["cumExecQty"] == "0.001"
        sold = await trader.order(await trader.place(orderType="Market", qty="0.002", side="Sell"))
        assert (sold["orderStatus"], sold["marketUnit"], sold["cumExecQty"]) == ("Filled", "baseCoin", "0.002")
        assert list(sold["cumFeeDetail"]) == ["USDT"]

    run(scenario)


def test_a_slippage_tolerance_bounds_a_market_order() -> None:
    async def scenario(front: Front, trader: Trader) -> None:
        ask, there = front.market.book.levels("ask", 1)[0]
        within = sum(
            quantity for price, quantity in front.market.book.levels("ask") if price <= ask + front.market.spec.tick
        )
        order = await trader.order(
            await trader.place(
                orderType="Market",
                qty=str(within + 1),
                marketUnit="baseCoin",
                slippageToleranceType="TickSize",
                slippageTolerance="1",
            )
        )
        assert within > there or order["avgPrice"] == str(ask)
        assert (order["orderStatus"], Decimal(order["cumExecQty"])) == ("PartiallyFilledCanceled", within)
        assert (order["slippageTolerance"], order["orderType"]) == ("1", "Market")

    run(scenario)


def test_amending_sets_the_total_and_what_breaks_a_rule_changes_nothing() -> None:
    async def scenario(front: Front, trader: Trader) -> None:
        ask, there = front.market.book.levels("ask", 1)[0]
        order_id = await trader.place(price=str(ask), qty=str(there + Decimal("0.01")))
        partly = await trader.order(order_id)
        assert (partly["orderStatus"], partly["leavesQty"]) == ("PartiallyFilled", "0.01")

        async def amend(**fields: str) -> Any:
            return await trader.post("/v5/order/amend", **SPOT, orderId=order_id, **fields)

        assert (await amend(qty=str(there)))["retCode"] == 170313
        assert (await amend())["retCode"] == 10001
        assert (await amend(price=str(ask)))["retCode"] == 10001
        assert (await amend(price="0.005"))["retCode"] == 170134
        assert (await amend(qty=str(there + 100)))["retCode"] == 170381
        assert (await trader.order(order_id))["qty"] == partly["qty"]
        lower = below(front)
        answer = await amend(qty=str(there + Decimal("0.02")), price=lower)
        assert answer["result"]["orderId"] == order_id
        order = await trader.order(order_id)
        assert (order["leavesQty"], order["price"], order["orderStatus"]) == ("0.02", lower, "PartiallyFilled")
        locked = Decimal((await trader.balances())["USDT"][1])
        assert locked == Decimal("0.02") * Decimal(order["price"])
        unknown = await trader.post("/v5/order/amend", **SPOT, orderLinkId="nobody", qty="1")
        assert unknown["retCode"] == 170213

    run(scenario)


def test_a_stop_order_locks_when_it_is_triggered_and_needs_its_filter() -> None:
    async def scenario(front: Front, trader: Trader) -> None:
        trade = front.market.last_trade()
        assert trade is not None
        above = str(trade.price + 500)
        stop = {"orderFilter": "StopOrder", "triggerPrice": above, "price": above, "qty": "0.01"}
        waiting, deactivated = await trader.place(**stop), await trader.place(**stop)
        tpsl = await trader.place(**{**stop, "orderFilter": "tpslOrder", "qty": "0.02"})
        order = await trader.order(waiting)
        assert (order["orderStatus"], order["triggerPrice"], order["stopOrderType"]) == ("Untriggered", above, "Stop")
        assert Decimal((await trader.balances())["USDT"][1]) == Decimal("0.02") * Decimal(above), "the tpsl order's"
        assert (await trader.post("/v5/order/cancel", **SPOT, orderId=deactivated))["retCode"] == 170213
        gone = await trader.post("/v5/order/cancel", **SPOT, orderId=deactivated, orderFilter="StopOrder")
        assert gone["retCode"] == 0
        assert (await trader.order(deactivated))["orderStatus"] == "Deactivated"
        assert (await trader.post("/v5/order/cancel-all", **SPOT))["result"]["list"] == []
        listed = await trader.result(REALTIME, **SPOT, orderFilter="tpslOrder")
        assert [one["orderId"] for one in listed["list"]] == [tpsl]
        await trader.post("/v5/order/cancel-all", **SPOT, orderFilter="tpslOrder")
        # Somebody lifts the book up to the trigger.
        now_ns, ticks = front.venue.time_ns(), int(Decimal(above) / front.market.spec.tick)
        front.market.submit(False, 10, ticks, now_ns=now_ns)
        front.market.submit(True, 10**12, ticks, now_ns=now_ns, rest=False)
        front.market.commit(now_ns)
        order = await trader.order(waiting)
        assert (order["orderStatus"], order["leavesQty"]) == ("New", "0.01")
        assert Decimal((await trader.balances())["USDT"][1]) == Decimal("0.01") * Decimal(above)

    run(scenario)


@pytest.mark.parametrize(
    ("smp_type", "resting", "taking"),
    [
        ("CancelMaker", "Cancelled", "New"),
        ("CancelTaker", "New", "Cancelled"),
        ("CancelBoth", "Cancelled", "Cancelled"),
        ("None", "Filled", "Filled"),
    ],
)
def test_only_the_takers_word_counts_when_an_account_meets_itself(smp_type: str, resting: str, taking: str) -> None:
    async def scenario(front: Front, trader: Trader) -> None:
        price = str(best(front, "bid") + front.market.spec.tick)
        maker = await trader.place(side="Sell", price=price, smpType="CancelBoth")
        taker = await trader.place(price=price, smpType=smp_type)
        orders = [await trader.order(order_id) for order_id in (maker, taker)]
        assert [order["orderStatus"] for order in orders] == [resting, taking]
        for order in orders:
            if order["orderStatus"] == "Cancelled":
                assert (order["cancelType"], order["rejectReason"]) == ("CancelBySmp", "EC_BySelfMatch")

    run(scenario, walk=0)


def test_execution_ids_are_unique_over_all_symbols() -> None:
    async def scenario(front: Front, trader: Trader) -> None:
        for symbol in front.venue.markets:
            await trader.place(symbol=symbol, orderType="Market", qty="100")
        fills = (await trader.result(EXECUTIONS, category="spot"))["list"]
        assert {fill["symbol"] for fill in fills} == {"BTCUSDT", "ETHUSDT"}
        ids = {one: [int(fill["execId"]) for fill in fills if fill["symbol"] == one] for one in front.venue.markets}
        assert min(ids["ETHUSDT"]) - max(ids["BTCUSDT"]) > 10**8, "their ranges are far apart"
        assert {len(fill["execId"]) for fill in fills} == {19}
        public = (await trader.result("/v5/market/recent-trade", **SPOT))["list"]
        assert public[0]["execId"] in {fill["execId"] for fill in fills}

    run(scenario, symbols=("BTC/USDT", "ETH/USDT"))
