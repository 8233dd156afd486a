"""The WebSocket API of the simulated Binance: orders, account and user events on one connection."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from decimal import Decimal
from typing import Any
from urllib.parse import quote

import aiohttp
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519
from support.binance_front import Front, eventually, with_front
from support.binance_signed import ApiSocket, SignedClient, api_socket, hmac_hex, limit
from yarl import URL

from thespian_connector.simulator.binance.auth import sorted_payload, without_signature

D = Decimal
FAR = "50000"
LOT = "0.001"
SECRET = "NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j"
KEY = "vmPUZE6mv9SD5VNHk4HlWFsOr6aKE2zvsw0MuIgwCIPy6utIco14y7Ju91duEh8A"


def run(check: Any, query: str = "", **options: Any) -> None:
    async def scenario(front: Front) -> None:
        client = SignedClient(front)
        async with api_socket(client, query) as socket:
            await check(client, socket)

    with_front(scenario, **{"walk": 0, **options})


def test_the_published_signatures_are_those_of_the_simulator() -> None:
    # WebSocket API general information, "SIGNED request security", and REST "SIGNED endpoint examples".
    order = {
        "symbol": "BTCUSDT",
        "side": "SELL",
        "type": "LIMIT",
        "timeInForce": "GTC",
        "quantity": "0.01000000",
        "price": "52000.00",
        "recvWindow": "100",
        "timestamp": "1645423376532",
        "apiKey": KEY,
        "signature": "x",
    }
    assert hmac_hex(SECRET, sorted_payload(order).decode()) == (
        "aa1b5712c094bc4e57c05a1a5c1fd8d88dcd628338ea863fec7b88e59fe2db24"
    )
    unicode = {**order, "symbol": "１２３４５６", "side": "BUY", "quantity": "1.00000000", "price": "0.10000000"}
    assert hmac_hex(SECRET, sorted_payload({**unicode, "recvWindow": "5000"}).decode()) == (
        "b33892ae8e687c939f4468c6268ddd4c40ac1af18ad19a064864c47bae0752cd"
    )
    query = "symbol=LTCBTC&side=BUY&type=LIMIT&timeInForce=GTC&signature=x"
    body = "quantity=1&price=0.1&recvWindow=5000&timestamp=1499827319559"
    assert hmac_hex(SECRET, without_signature(query) + without_signature(body)) == (
        "0fd168b8ddb4876a0358a8d14d0c9f3da0e9b20c5d52b2a00fcf7d1c602f9a77"
    )


def test_an_order_is_placed_asked_for_amended_and_cancelled() -> None:
    async def check(client: SignedClient, socket: ApiSocket) -> None:
        reply = await socket.ask("order.place", limit("BUY", "0.002", FAR, newClientOrderId="ws-1"))
        assert (reply["status"], reply["result"]["status"]) == (200, "NEW")
        kinds = [(row["rateLimitType"], row["interval"], row["count"]) for row in reply["rateLimits"]]
        assert [row[:2] for row in kinds[:2]] == [("ORDERS", "SECOND"), ("ORDERS", "DAY")]
        assert kinds[1][2] == 1
        assert kinds[2][:2] == ("REQUEST_WEIGHT", "MINUTE")
        order_id = reply["result"]["orderId"]
        asked = await socket.result("order.status", symbol="BTCUSDT", origClientOrderId="ws-1")
        assert asked == await client.ok("GET", "order", symbol="BTCUSDT", orderId=order_id)
        assert await socket.result("openOrders.status", symbol="BTCUSDT") == [asked]
        amended = await socket.result(
            "order.amend.keepPriority", symbol="BTCUSDT", orderId=order_id, newQty=LOT, newClientOrderId="ws-1"
        )
        assert amended["amendedOrder"]["qty"] == "0.00100000"
        gone = await socket.result("v3/order.cancel", symbol="BTCUSDT", origClientOrderId="ws-1")
        assert gone["status"] == "CANCELED"
        assert (await socket.error("order.cancel", symbol="BTCUSDT", origClientOrderId="ws-1"))[:2] == (400, -2011)
        account = await socket.result("account.status")
        assert {row["asset"] for row in account["balances"]} == set(client.front.venue.account.starting)
        assert await socket.result("order.test", **limit("BUY", LOT, FAR)) == {}
        paths = [row["path"] for row in client.front.venue.requests]
        assert paths == ["order.place", "order.amend.keepPriority", "order.cancel", "order.cancel", "order.test"]

    run(check)


def test_a_market_order_is_told_from_new_to_expired_and_then_the_balances() -> None:
    async def check(client: SignedClient, socket: ApiSocket) -> None:
        assert await socket.subscribe() == 0
        market = client.front.market
        for price in list(market.book.totals(is_bid=False)):
            for order in market.book.queue(False, price):
                market.book.cancel(order.order_id)
        best = market.book.best(True)
        assert best is not None
        for distance in (1, 2):
            market.submit(False, 200, best + distance, now_ns=client.front.venue.time_ns())
        market.commit(client.front.venue.time_ns())
        order = await socket.result(
            "order.place", symbol="BTCUSDT", side="BUY", type="MARKET", quantity="0.006", newClientOrderId="m"
        )
        assert (order["status"], order["executedQty"]) == ("EXPIRED", "0.00400000")
        events = [await socket.event() for _ in range(5)]
        told = [(event["x"], event["X"], event["w"], event["l"], event["z"]) for event in events[:4]]
        assert told == [
            ("NEW", "NEW", True, "0.00000000", "0.00000000"),
            ("TRADE", "PARTIALLY_FILLED", False, "0.00200000", "0.00200000"),
            ("TRADE", "PARTIALLY_FILLED", False, "0.00200000", "0.00400000"),
            ("EXPIRED", "EXPIRED", False, "0.00000000", "0.00400000"),
        ]
        trade, expired, position = events[1], events[3], events[4]
        assert (trade["n"], trade["N"], trade["m"], trade["M"]) == ("0.00000200", "BTC", False, True)
        assert (expired["n"], expired["N"], expired["t"], expired["eR"]) == ("0", None, -1, "INSUFFICIENT_LIQUIDITY")
        assert [event["t"] for event in events[1:3]] == [fill["tradeId"] for fill in order["fills"]]
        assert (trade["p"], trade["f"], trade["c"], trade["C"]) == ("0.00000000", "GTC", "m", "")
        executions = [event["I"] for event in events[:4]]
        assert executions == sorted(set(executions))
        assert position["e"] == "outboundAccountPosition"
        account = {row["asset"]: row["free"] for row in (await socket.result("account.status"))["balances"]}
        assert {row["a"]: row["f"] for row in position["B"]} == {asset: account[asset] for asset in ("USDT", "BTC")}

    run(check)


def test_cancels_amendments_and_replacements_tell_old_and_new_ids() -> None:
    async def check(client: SignedClient, socket: ApiSocket) -> None:
        await socket.subscribe()

        async def reports(count: int) -> list[tuple[str, str, str, str]]:
            found = []
            while len(found) < count:
                event = await socket.event()
                if event["e"] == "executionReport":
                    found.append((event["x"], event["X"], event["c"], event["C"]))
            return found

        # By REST: the stream is the account's, not the connection's.
        order = await client.limit("BUY", "0.002", FAR, newClientOrderId="one")
        await client.ok(
            "PUT",
            "order/amend/keepPriority",
            symbol="BTCUSDT",
            orderId=order["orderId"],
            newQty=LOT,
            newClientOrderId="two",
        )
        await client.ok(
            "POST",
            "order/cancelReplace",
            **limit("BUY", LOT, FAR, newClientOrderId="three"),
            cancelReplaceMode="STOP_ON_FAILURE",
            cancelOrigClientOrderId="two",
            cancelNewClientOrderId="gone",
        )
        assert await reports(4) == [
            ("NEW", "NEW", "one", ""),
            ("REPLACED", "NEW", "two", "one"),
            ("CANCELED", "CANCELED", "gone", "two"),
            ("NEW", "NEW", "three", ""),
        ]

    run(check)


def test_a_prevented_self_trade_is_told_of_both_orders() -> None:
    async def check(client: SignedClient, socket: ApiSocket) -> None:
        price = str(client.best(True) + D("0.01"))
        maker = await client.limit("BUY", LOT, price)
        await socket.subscribe()
        sell = await socket.result("order.place", **limit("SELL", LOT, price, selfTradePreventionMode="EXPIRE_BOTH"))
        assert (sell["status"], sell["preventedQuantity"]) == ("EXPIRED_IN_MATCH", "0.00100000")
        events = [await socket.event() for _ in range(3)]
        told = [
            (event["x"], event["X"], event["i"] == maker["orderId"], event["l"], event["pl"]) for event in events[1:]
        ]
        assert told == [
            ("TRADE_PREVENTION", "EXPIRED_IN_MATCH", True, "0.00000000", "0.00100000"),
            ("TRADE_PREVENTION", "EXPIRED_IN_MATCH", False, "0.00000000", "0.00100000"),
        ]
        assert events[1]["U"] == sell["orderId"]

    run(check)


def test_the_flow_hitting_a_resting_order_is_told() -> None:
    async def check(client: SignedClient, socket: ApiSocket) -> None:
        await socket.subscribe()
        await client.limit("BUY", LOT, client.best(True) + D("0.01"))

        def filled() -> bool:
            client.front.step(5)
            return not client.front.venue.orders[0].open

        await eventually(filled, "the flow sells into the best bid")
        events = [await socket.event() for _ in range(2)]
        while events[-1].get("X") != "FILLED":
            events.append(await socket.event())
        trades = [event for event in events if event.get("x") == "TRADE"]
        assert all(event["m"] for event in trades)
        assert sum(D(event["l"]) for event in trades) == D(LOT)

    run(check)


def test_subscriptions_are_one_an_account_and_end_with_a_word() -> None:
    async def check(client: SignedClient, socket: ApiSocket) -> None:
        assert (await socket.error("userDataStream.unsubscribe"))[:2] == (400, -2036)
        assert await socket.subscribe() == 0
        assert (await socket.error("userDataStream.subscribe.signature"))[:2] == (400, -2035)
        assert await socket.result("session.subscriptions") == [{"subscriptionId": 0}]
        reply = await socket.ask("userDataStream.unsubscribe", {"subscriptionId": 0}, sign=False)
        assert reply["result"] == {}
        assert (await socket.event())["e"] == "eventStreamTerminated"
        assert await socket.subscribe() == 1
        assert (await socket.error("userDataStream.subscribe"))[:2] == (401, -1002)
        assert (await socket.error("session.logon"))[1] == -4056
        for method in ("userDataStream.start", "nonsense"):
            assert (await socket.error(method))[1] == -1020

    run(check)


def test_requests_that_are_none_and_signatures_that_do_not_fit() -> None:
    async def check(client: SignedClient, socket: ApiSocket) -> None:
        for text in ("{", "[]", '{"id":1.5,"method":"time"}', '{"id":7,"params":{}}'):
            await socket.say(text)
            reply = await socket.next()
            assert (reply["status"], reply["error"]["code"]) == (400, -1135)
            assert reply["id"] == (7 if "7" in text else None)
        order = socket.signed(limit("BUY", LOT, FAR))
        for changed, code in (
            ({"signature": "0" * 64}, -1022),
            ({"quantity": 0.001}, -1022),
            ({"apiKey": "y" * 64}, -2015),
            ({"timestamp": 1}, -1021),
        ):
            reply = await socket.ask("order.place", {**order, **changed}, sign=False)
            assert reply["error"]["code"] == code, changed
            assert reply["id"] is not None
        # Decimals as text, numbers where they are whole: as they were printed, in any order.
        reversed_order = dict(reversed(socket.signed({**limit("BUY", LOT, FAR), "recvWindow": 6000}).items()))
        assert (await socket.ask("order.place", reversed_order, sign=False))["status"] == 200
        assert client.front.venue.usage.auth_failures == 3

    run(check)


def test_limits_are_told_unless_they_are_not_wanted_and_times_in_the_unit_that_is() -> None:
    async def check(client: SignedClient, socket: ApiSocket) -> None:
        reply = await socket.ask("time", sign=False)
        assert "rateLimits" not in reply
        assert reply["result"]["serverTime"] > 10**15
        assert "rateLimits" in await socket.ask("ping", {"returnRateLimits": True}, sign=False)
        await socket.subscribe()
        placed = await socket.result("order.place", **limit("BUY", LOT, FAR))
        event = await socket.event()
        assert placed["transactTime"] == event["T"]
        assert min(event["T"], event["E"], event["O"], event["W"]) > 10**15
        book = await socket.ask("depth", {"symbol": "BTCUSDT", "limit": 5}, sign=False)
        assert len(book["result"]["bids"]) == 5
        for method in ("exchangeInfo", "avgPrice", "ticker.book", "trades.recent"):
            assert (await socket.ask(method, {"symbol": "BTCUSDT"}, sign=False))["status"] == 200

    run(check, query="?returnRateLimits=false&timeUnit=MICROSECOND")


def test_weight_is_shared_with_rest_and_429_tells_until_when() -> None:
    async def check(client: SignedClient, socket: ApiSocket) -> None:
        await client.ok("GET", "openOrders")
        reply = await socket.ask("openOrders.status")
        assert reply["rateLimits"][0]["count"] == 2 + 80 + 80
        reply = await socket.ask("openOrders.status")
        error = reply["error"]
        assert (reply["status"], error["code"]) == (429, -1003)
        assert error["data"]["retryAfter"] > error["data"]["serverTime"] > 10**12

    run(check, weight_limit=200, weight_window_s=86_400)


class Ed25519:
    """The account's Ed25519 key."""

    def __init__(self, client: SignedClient) -> None:
        (key,) = [key for key in client.front.venue.account.keys if key.kind == "ed25519"]
        self.api_key = key.api_key
        private = serialization.load_pem_private_key(key.secret.encode(), None)
        assert isinstance(private, ed25519.Ed25519PrivateKey)
        self._private = private

    def sign(self, payload: str) -> str:
        return base64.b64encode(self._private.sign(payload.encode())).decode()

    def signed(self, **params: object) -> dict[str, object]:
        full = {"apiKey": self.api_key, "timestamp": int(time.time() * 1000), **params}
        return {**full, "signature": self.sign("&".join(f"{name}={full[name]}" for name in sorted(full)))}


def test_a_session_of_an_ed25519_key_needs_no_further_signature() -> None:
    async def check(client: SignedClient, socket: ApiSocket) -> None:
        key = Ed25519(client)
        stamped = {"timestamp": int(time.time() * 1000), "recvWindow": 60_000}
        assert (await socket.ask("order.place", {**limit("BUY", LOT, FAR), **stamped}, sign=False))["status"] == 401
        wrong = {**key.signed(), "signature": key.sign("something else")}
        assert (await socket.ask("session.logon", wrong, sign=False))["error"]["code"] == -1022
        status = (await socket.ask("session.logon", key.signed(), sign=False))["result"]
        assert status["apiKey"] == key.api_key
        assert status["authorizedSince"] >= status["connectedSince"] > 0
        assert (await socket.ask("userDataStream.subscribe", sign=False))["result"] == {"subscriptionId": 0}
        placed = await socket.ask("order.place", {**limit("BUY", LOT, FAR), **stamped}, sign=False)
        assert placed["status"] == 200
        assert (await socket.event())["i"] == placed["result"]["orderId"]
        unstamped = await socket.ask("order.place", limit("BUY", LOT, FAR), sign=False)
        assert unstamped["error"]["code"] == -1102
        # A request with a signature of its own is judged by that.
        assert (await socket.error("order.cancel", symbol="BTCUSDT", orderId=1))[1] == -2011
        assert (await socket.ask("session.status", sign=False))["result"]["userDataStream"] is True
        socket.events.clear()
        assert (await socket.ask("session.logout", sign=False))["result"]["apiKey"] is None
        kinds = [document["event"]["e"] for document in socket.events]
        assert kinds[-1] == "eventStreamTerminated"
        assert (await socket.ask("openOrders.status", stamped, sign=False))["status"] == 401

    run(check)


def test_rest_takes_an_ed25519_signature_in_base64() -> None:
    async def check(client: SignedClient, socket: ApiSocket) -> None:
        key = Ed25519(client)
        headers = {"X-MBX-APIKEY": key.api_key}
        query = f"timestamp={int(time.time() * 1000)}"
        for signature, status in ((key.sign(query), 200), (key.sign(query + "0"), 400)):
            url = URL(f"{client.front.base}/api/v3/account?{query}&signature={quote(signature, safe='')}", encoded=True)
            async with client.front.http.get(url, headers=headers) as answer:
                assert answer.status == status

    run(check)


# Faults.


async def silence(socket: ApiSocket, seconds: float = 0.2) -> None:
    """Nothing comes for a moment."""
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(socket.ws.receive(), seconds)


def test_lost_answers_of_orders() -> None:
    async def check(client: SignedClient, socket: ApiSocket) -> None:
        cases: list[tuple[str, dict[str, Any], bool, tuple[int, int] | None]] = [
            ("http_5xx", {"status": 504, "executed": True}, True, (504, -1007)),
            ("http_5xx", {"status": 500, "executed": False}, False, (500, -1006)),
            ("http_5xx", {"status": 502}, False, (502, -1000)),
            ("http_429", {"retry_after_s": 2}, False, (429, -1003)),
            ("http_timeout", {"executed": True}, True, None),
            ("http_timeout", {"executed": False}, False, None),
            ("ack_lost", {}, True, None),
        ]
        for number, (kind, fields, executed, answer) in enumerate(cases):
            client.front.fault(kind, surface="trade", op="order.place", **fields)
            params = limit("BUY", LOT, FAR, newClientOrderId=f"n{number}")
            if answer is not None:
                assert (await socket.error("order.place", **params))[:2] == answer
            else:
                await socket.say({"id": "lost", "method": "order.place", "params": socket.signed(params)})
                # Another request is answered all the same.
                assert (await socket.ask("time", sign=False))["status"] == 200
            asked = await socket.ask("order.status", {"symbol": "BTCUSDT", "origClientOrderId": f"n{number}"})
            assert (asked["status"] == 200) is executed
            row = client.front.venue.requests[-1]
            assert (row["executed"], row["answered"], row["fault"]) == (executed, answer is not None, kind)

    run(check)


def test_a_held_up_request_holds_up_no_other() -> None:
    async def check(client: SignedClient, socket: ApiSocket) -> None:
        client.front.fault("latency", surface="trade", op="place", latency_ms=300, count=1)
        await socket.say({"id": "slow", "method": "order.place", "params": socket.signed(limit("BUY", LOT, FAR))})
        await socket.say({"id": "fast", "method": "time"})
        assert [(await socket.next())["id"] for _ in range(2)] == ["fast", "slow"]

    run(check)


def test_a_request_is_done_even_if_who_sent_it_has_gone() -> None:
    async def check(client: SignedClient, socket: ApiSocket) -> None:
        client.front.fault("latency", surface="trade", op="place", latency_ms=200, count=1)
        await socket.say({"id": "late", "method": "order.place", "params": socket.signed(limit("BUY", LOT, FAR))})
        await eventually(lambda: client.front.venue.requests, "the venue has the request")
        await socket.ws.close()
        await eventually(lambda: client.front.venue.orders, "the order is placed")

    run(check)


def test_user_events_are_dropped_and_doubled() -> None:
    async def check(client: SignedClient, socket: ApiSocket) -> None:
        await socket.subscribe()
        client.front.fault("user_event_drop", op="NEW", count=1)
        client.front.fault("user_event_duplicate", op="CANCELED", count=1)
        order = await client.limit("BUY", LOT, FAR)
        await client.ok("DELETE", "order", symbol="BTCUSDT", orderId=order["orderId"])
        kinds = [event.get("x", event["e"]) for event in [await socket.event() for _ in range(4)]]
        assert kinds == ["outboundAccountPosition", "CANCELED", "CANCELED", "outboundAccountPosition"]

    run(check)


def test_a_drop_of_the_private_stream_hits_who_is_subscribed_and_one_of_trading_a_reply() -> None:
    async def check(client: SignedClient, socket: ApiSocket) -> None:
        async with api_socket(client) as listening:
            await listening.subscribe()
            assert (await socket.ask("time", sign=False))["status"] == 200
            client.front.fault("ws_drop", surface="private")
            assert await listening.closed() == 1006
            await socket.result("order.place", **limit("BUY", LOT, FAR))
            client.front.fault("ws_drop", surface="trade", op="order.place", count=1)
            params = limit("BUY", LOT, FAR, newClientOrderId="cut")
            await socket.say({"id": "cut", "method": "order.place", "params": socket.signed(params)})
            assert await socket.closed() == 1006
            assert client.front.venue.orders[-1].client_id == "cut"
        await eventually(lambda: client.front.venue.usage.sockets_open == 0, "both are gone")

    run(check)


@pytest.mark.parametrize(("form", "broken"), [("truncated", True), ("not_json", True), ("wrong_types", False)])
def test_malformed_events(form: str, broken: bool) -> None:
    async def check(client: SignedClient, socket: ApiSocket) -> None:
        await socket.subscribe()
        client.front.fault("ws_malformed", surface="private", form=form, count=1)
        await client.limit("BUY", LOT, FAR)
        message = await socket.ws.receive(timeout=60)
        if broken:
            with pytest.raises(ValueError):
                json.loads(message.data)
        else:
            assert isinstance(json.loads(message.data)["event"]["i"], list)
        assert (await socket.event())["e"] == "outboundAccountPosition"

    run(check)


def test_a_silent_connection_says_nothing_more() -> None:
    async def check(client: SignedClient, socket: ApiSocket) -> None:
        await socket.subscribe()
        client.front.fault("ws_silent", surface="private", count=1)
        await client.limit("BUY", LOT, FAR)
        await socket.say({"id": 1, "method": "time"})
        await silence(socket)

    run(check)


def test_a_shutdown_is_announced_and_then_the_connection_ends() -> None:
    async def check(client: SignedClient, socket: ApiSocket) -> None:
        await socket.subscribe()
        client.front.fault("server_shutdown", surface="private", lead_ms=50)
        assert (await socket.next())["event"]["e"] == "serverShutdown"
        assert await socket.closed() == 1001

    run(check)


def test_a_revoked_key_ends_the_stream_and_the_next_request_is_of_nobody() -> None:
    async def check(client: SignedClient, socket: ApiSocket) -> None:
        await socket.subscribe()
        client.front.fault("key_revoked")
        assert (await socket.event())["e"] == "eventStreamTerminated"
        reply = await socket.ask("order.place", limit("BUY", LOT, FAR))
        assert (reply["id"], reply["status"], reply["error"]["code"]) == (None, 401, -2015)
        assert client.front.venue.orders == []

    run(check)


def test_a_ban_closes_the_connection_and_refuses_the_next() -> None:
    async def check(client: SignedClient, socket: ApiSocket) -> None:
        client.front.fault("http_ban", surface="trade", retry_after_s=60)
        reply = await socket.ask("order.place", limit("BUY", LOT, FAR, newClientOrderId="b"))
        assert (reply["status"], reply["error"]["code"]) == (418, -1003)
        await socket.closed()
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            async with api_socket(client):
                pass
        assert refused.value.status == 418
        assert [(row["client_order_id"], row["executed"]) for row in client.front.venue.requests] == [("b", False)]

    run(check)


def test_pings_are_sent_and_a_missing_pong_ends_the_connection() -> None:
    async def check(front: Front) -> None:
        client = SignedClient(front)
        async with api_socket(client, autoping=False) as socket:
            ping = await socket.ws.receive(timeout=60)
            assert ping.type is aiohttp.WSMsgType.PING
            await socket.ws.ping(b"mine")
            pong = await socket.ws.receive(timeout=60)
            while pong.type is aiohttp.WSMsgType.PING:
                pong = await socket.ws.receive(timeout=60)
            assert pong.data == b"mine"
            while (message := await socket.ws.receive(timeout=60)).type is aiohttp.WSMsgType.PING:
                pass
            assert message.type is aiohttp.WSMsgType.CLOSE
        assert front.venue.usage.ws_dropped["no_pong"] == 1

    with_front(check, ping_interval_s=0.1, pong_timeout_s=4)
