"""A Binance-shaped feed for benches: valid 20-level depth diffs, made beforehand and sent as fast as they are read.

Every client of one run gets the very same frames, over a real socket, from a process of its own; the last book is
known, so that a client that was fast but wrong is found out.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import struct
from typing import Any

from aiohttp import WSMsgType, web

SYMBOL, TICK, SNAPSHOT_ID = "BTCUSDT", 100, 1_000_000  # a tick of 0.01 is 100 units of 1e-4
LEVELS = 1000


def price_text(units: int) -> str:
    return f"{units // 10_000}.{units % 10_000:04d}0000"


def quantity_text(rng: random.Random) -> str:
    return f"{rng.randrange(0, 9)}.{rng.randrange(1, 10**5):05d}000"


class Diffs:
    """A book that walks; each diff changes ten levels a side near the top, some of them new, some removed."""

    def __init__(self, count: int, seed: int = 7) -> None:
        rng = random.Random(seed)
        top = 60_000 * 10_000
        bids = {top - TICK * i: quantity_text(rng) for i in range(1, LEVELS + 1)}
        asks = {top + TICK * i: quantity_text(rng) for i in range(1, LEVELS + 1)}
        self.snapshot = {"lastUpdateId": SNAPSHOT_ID, "bids": self._levels(bids, -1), "asks": self._levels(asks, 1)}
        self.payloads: list[bytes] = []
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
            event = {"e": "depthUpdate", "E": 1_784_800_000_000 + n, "s": SYMBOL, "U": first, "u": last}
            event |= {"b": changed[0], "a": changed[1]}
            self.payloads.append(json.dumps(event, separators=(",", ":")).encode())
        self.last_id = last
        self.best = [price_text(max(bids)), price_text(min(asks))]

    @staticmethod
    def _levels(side: dict[int, str], sign: int) -> list[list[str]]:
        return [[price_text(p), side[p]] for p in sorted(side, key=lambda p: sign * p)]

    def frames(self, combined: bool) -> list[bytes]:
        """WebSocket frames; the first ones alone, then a few hundred a blob."""
        blobs: list[bytes] = []
        blob = bytearray()
        for payload in self.payloads:
            body = b'{"stream":"btcusdt@depth@100ms","data":' + payload + b"}" if combined else payload
            blob += struct.pack("!BBH", 0x81, 126, len(body)) + body
            if len(blob) > 256 * 1024 or (not blobs and blob):
                blobs.append(bytes(blob))
                blob.clear()
        return [*blobs, bytes(blob)]


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
    return {"timezone": "UTC", "serverTime": 1_784_800_000_000, "rateLimits": [], "symbols": [symbol]}


def application(diffs: Diffs) -> web.Application:
    blobs = {combined: diffs.frames(combined) for combined in (True, False)}

    async def blast(request: web.Request, combined: bool) -> None:
        transport = request.transport
        assert transport is not None
        first, *others = blobs[combined]
        transport.write(first)
        await asyncio.sleep(0.5)  # every client has its snapshot by then: all updates that count are live ones
        for blob in others:
            transport.write(blob)
            while transport.get_write_buffer_size() > 512 * 1024:
                await asyncio.sleep(0.0005)

    async def stream(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(compress=False)
        await socket.prepare(request)
        combined = request.path.startswith("/stream")
        sending: asyncio.Task[None] | None = None
        if "streams" in request.query:
            sending = asyncio.create_task(blast(request, combined))
        async for message in socket:
            if message.type is WSMsgType.TEXT:
                asked = json.loads(message.data)
                await socket.send_str(json.dumps({"result": None, "id": asked.get("id")}))
                if asked.get("method") == "SUBSCRIBE" and sending is None:
                    sending = asyncio.create_task(blast(request, combined))
        if sending is not None:
            sending.cancel()
        return socket

    def answer(document: object) -> Any:
        body = json.dumps(document).encode()

        async def handler(_request: web.Request) -> web.Response:
            return web.Response(body=body, content_type="application/json", headers={"X-MBX-USED-WEIGHT-1M": "1"})

        return handler

    app = web.Application()
    app.router.add_get("/api/v3/exchangeInfo", answer(exchange_info()))
    app.router.add_get("/api/v3/depth", answer(diffs.snapshot))
    app.router.add_get("/api/v3/time", answer({"serverTime": 1_784_800_000_000}))
    app.router.add_get("/api/v3/ping", answer({}))
    for path in ("/ws", "/ws/{name:.*}", "/stream", "/stream/{name:.*}"):
        app.router.add_get(path, stream)
    return app


async def serve(count: int) -> None:
    diffs = Diffs(count)
    runner = web.AppRunner(application(diffs), shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    ready = {
        "url": f"http://{host}:{port}",
        "stream": f"ws://{host}:{port}",
        "last_id": diffs.last_id,
        "best": diffs.best,
    }
    print(json.dumps(ready), flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, default=30_000)
    asyncio.run(serve(parser.parse_args().count))
