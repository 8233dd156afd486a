"""A Binance-shaped feed for benches: valid 20-level depth diffs, made beforehand and sent as fast as they are read.

Every client of one run gets the very same frames, over a real socket, from a process of its own; the last book is
known, so that a client that was fast but wrong is found out. With a rate the frames are spread in time, and when each
one left is kept: `/sent` tells, on the monotonic clock, which all processes of a host share.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import select
import struct
import time
from typing import Any

from aiohttp import WSMsgType, web

SYMBOL, TICK, SNAPSHOT_ID = "BTCUSDT", 100, 1_000_000  # a tick of 0.01 is 100 units of 1e-4
LEVELS = 1000
BEGUN_MS = 1_784_800_000_000
SHOWN = 20  # levels a side of the last book that are told


def price_text(units: int) -> str:
    return f"{units // 10_000}.{units % 10_000:04d}0000"


def quantity_text(rng: random.Random) -> str:
    return f"{rng.randrange(0, 9)}.{rng.randrange(1, 10**5):05d}000"


class Diffs:
    """A book that walks; each diff changes ten levels a side near the top, some of them new, some removed.

    :param rate: a second, for the venue's own times in the diffs; 0: a thousand.
    """

    def __init__(self, count: int, rate: float = 0, seed: int = 7) -> None:
        rng = random.Random(seed)
        top = 60_000 * 10_000
        bids = {top - TICK * i: quantity_text(rng) for i in range(1, LEVELS + 1)}
        asks = {top + TICK * i: quantity_text(rng) for i in range(1, LEVELS + 1)}
        self.snapshot = {"lastUpdateId": SNAPSHOT_ID, "bids": self._levels(bids, -1), "asks": self._levels(asks, 1)}
        self.payloads: list[bytes] = []
        self.ids: list[int] = []
        last = SNAPSHOT_ID
        middle = top
        for n in range(count):
            middle += rng.choice((-TICK, 0, 0, TICK))
            changed: tuple[list[list[str]], list[list[str]]] = ([], [])
            for out, side, sign in ((changed[0], bids, -1), (changed[1], asks, 1)):
                crossed = [p for p in (middle + sign * -TICK * i for i in range(3)) if p in side]
                for price in crossed:  # what the walk passed over is gone
                    del side[price]
                    out.append([price_text(price), "0.00000000"])
                while len(out) < 10:
                    price = middle + sign * TICK * (1 + int(rng.expovariate(0.12)))
                    if any(price_text(price) == level[0] for level in out):
                        continue
                    if price in side and rng.random() < 0.25 and price != middle + sign * TICK:
                        del side[price]
                        out.append([price_text(price), "0.00000000"])
                    else:
                        side[price] = quantity_text(rng)
                        out.append([price_text(price), side[price]])
            first, last = last + 1, last + rng.randrange(1, 30)
            event = {
                "e": "depthUpdate",
                "E": BEGUN_MS + int(n * 1000 / (rate or 1000)),
                "s": SYMBOL,
                "U": first,
                "u": last,
            }
            event |= {"b": changed[0], "a": changed[1]}
            self.payloads.append(json.dumps(event, separators=(",", ":")).encode())
            self.ids.append(last)
        self.last_id = last
        self.top = {"bids": self._levels(bids, -1)[:SHOWN], "asks": self._levels(asks, 1)[:SHOWN]}
        self.best = [price_text(max(bids)), price_text(min(asks))]

    @staticmethod
    def _levels(side: dict[int, str], sign: int) -> list[list[str]]:
        return [[price_text(p), side[p]] for p in sorted(side, key=lambda p: sign * p)]

    def frames(self, combined: bool) -> list[bytes]:
        """WebSocket frames; the first ones alone, then a few hundred a blob."""
        blobs: list[bytes] = []
        blob = bytearray()
        for payload in self.payloads:
            blob += frame(payload, "btcusdt@depth@100ms" if combined else "")
            if len(blob) > 256 * 1024 or (not blobs and blob):
                blobs.append(bytes(blob))
                blob.clear()
        return [*blobs, bytes(blob)]


def frame(payload: bytes, stream: str) -> bytes:
    body = f'{{"stream":"{stream}","data":'.encode() + payload + b"}" if stream else payload
    return struct.pack("!BBH", 0x81, 126, len(body)) + body


def trade_frames(count: int) -> list[bytes]:
    """Trades in blobs, their ids from 1 on."""
    blobs: list[bytes] = []
    blob = bytearray()
    for n in range(1, count + 1):
        when = BEGUN_MS + n // 10
        trade = {"e": "trade", "E": when, "s": SYMBOL, "t": n, "p": price_text(600_000_000), "q": "0.00100000"}
        trade |= {"T": when, "m": bool(n % 2), "M": True}
        blob += frame(json.dumps(trade, separators=(",", ":")).encode(), "btcusdt@trade")
        if len(blob) > 256 * 1024 or n == count:
            blobs.append(bytes(blob))
            blob.clear()
    return blobs


def exchange_info() -> dict[str, Any]:
    filters = [
        {
            "filterType": "PRICE_FILTER",
            "minPrice": "0.01000000",
            "maxPrice": "1000000.00000000",
            "tickSize": "0.01000000",
        },
        {"filterType": "LOT_SIZE", "minQty": "0.00001000", "maxQty": "9000.00000000", "stepSize": "0.00001000"},
        {"filterType": "NOTIONAL", "minNotional": "5.00000000", "maxNotional": "9000000.00000000"},
    ]
    symbol = {"symbol": SYMBOL, "status": "TRADING", "baseAsset": "BTC", "quoteAsset": "USDT", "baseAssetPrecision": 8}
    symbol |= {"quotePrecision": 8, "quoteAssetPrecision": 8, "orderTypes": ["LIMIT", "MARKET"], "filters": filters}
    symbol |= {"isSpotTradingAllowed": True, "isMarginTradingAllowed": False, "permissions": ["SPOT"]}
    return {"timezone": "UTC", "serverTime": BEGUN_MS, "rateLimits": [], "symbols": [symbol]}


class Venue:
    """The feed's server: one client at a time.

    :param hold: after the first diff nothing more is sent until somebody asks for `/go`.
    """

    def __init__(self, diffs: Diffs, *, rate: float, hold: bool, trades: int) -> None:
        self._diffs = diffs
        self._rate = rate
        self._hold = hold
        self._blobs = {combined: diffs.frames(combined) for combined in (True, False)} if not rate else {}
        self._trades = trade_frames(trades)
        self._go = asyncio.Event()
        self._sent: dict[int, int] = {}

    def application(self) -> web.Application:
        app = web.Application()
        app.router.add_get("/api/v3/exchangeInfo", answer(exchange_info()))
        app.router.add_get("/api/v3/depth", answer(self._diffs.snapshot))
        app.router.add_get("/api/v3/time", answer({"serverTime": BEGUN_MS}))
        app.router.add_get("/api/v3/ping", answer({}))
        app.router.add_get("/go", self._on_go)
        app.router.add_get("/sent", self._on_sent)
        for path in ("/ws", "/ws/{name:.*}", "/stream", "/stream/{name:.*}"):
            app.router.add_get(path, self._stream)
        return app

    async def _on_go(self, _request: web.Request) -> web.Response:
        self._go.set()
        return web.json_response({"at_ns": time.monotonic_ns()})

    async def _on_sent(self, _request: web.Request) -> web.Response:
        """[[update id, when it was given to the kernel], ...]"""
        return web.json_response(list(self._sent.items()))

    async def _stream(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(compress=False)
        await socket.prepare(request)
        combined = request.path.startswith("/stream")
        sending: asyncio.Task[None] | None = None
        if "streams" in request.query:
            sending = asyncio.create_task(self._send(request, combined))
        async for message in socket:
            if message.type is WSMsgType.TEXT:
                asked = json.loads(message.data)
                await socket.send_str(json.dumps({"result": None, "id": asked.get("id")}))
                if asked.get("method") == "SUBSCRIBE" and sending is None:
                    sending = asyncio.create_task(self._send(request, combined))
        if sending is not None:
            sending.cancel()
        return socket

    async def _send(self, request: web.Request, combined: bool) -> None:
        transport = request.transport
        assert transport is not None
        if self._rate:
            stream = "btcusdt@depth@100ms" if combined else ""
            frames = [frame(payload, stream) for payload in self._diffs.payloads]
        else:
            frames = [*self._blobs[combined], *self._trades]
        transport.write(frames[0])
        await asyncio.sleep(0.5)  # every client has its snapshot by then: all updates that count are live ones
        if self._hold:
            await self._go.wait()
        if self._rate:
            self._sent.clear()
            # A descriptor of the thread's own: the connection's is somebody else's as soon as it is closed.
            await asyncio.to_thread(self._pace, os.dup(transport.get_extra_info("socket").fileno()), frames)
            return
        for blob in frames[1:]:
            transport.write(blob)
            while transport.get_write_buffer_size() > 512 * 1024:
                await asyncio.sleep(0.0005)

    def _pace(self, descriptor: int, frames: list[bytes]) -> None:
        """In a thread: an event loop's timers are a millisecond coarse."""
        begun = time.monotonic()
        room = select.poll()
        room.register(descriptor, select.POLLOUT)
        try:
            for n, (update_id, data) in enumerate(zip(self._diffs.ids[1:], frames[1:], strict=True)):
                time.sleep(max(0.0, begun + n / self._rate - time.monotonic()))
                left = memoryview(data)
                self._sent[update_id] = time.monotonic_ns()
                while left:
                    try:
                        left = left[os.write(descriptor, left) :]
                    except BlockingIOError:
                        room.poll(1000)
        except ConnectionError:
            return  # the client has gone
        finally:
            os.close(descriptor)


def answer(document: object) -> Any:
    body = json.dumps(document).encode()

    async def handler(_request: web.Request) -> web.Response:
        return web.Response(body=body, content_type="application/json", headers={"X-MBX-USED-WEIGHT-1M": "1"})

    return handler


async def serve(count: int, rate: float, hold: bool, trades: int) -> None:
    diffs = Diffs(count, rate)
    runner = web.AppRunner(Venue(diffs, rate=rate, hold=hold, trades=trades).application(), shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    ready = {
        "url": f"http://{host}:{port}",
        "stream": f"ws://{host}:{port}",
        "last_id": diffs.last_id,
        "best": diffs.best,
        "top": diffs.top,
    }
    print(json.dumps(ready), flush=True)
    parent = os.getppid()
    while os.getppid() == parent:  # a bench that was killed leaves nothing behind
        await asyncio.sleep(1)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, default=30_000)
    parser.add_argument("--rate", type=float, default=0, help="updates a second; 0: as fast as they are read")
    parser.add_argument("--hold", action="store_true", help="after the first update wait for /go")
    parser.add_argument("--trades", type=int, default=0, help="trades after the updates")
    options = parser.parse_args()
    asyncio.run(serve(options.count, options.rate, options.hold, options.trades))
