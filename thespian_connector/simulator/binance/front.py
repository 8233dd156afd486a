"""The Binance front put together: what the simulator's main and control port need of it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from aiohttp import web

from thespian_connector.simulator.venue import Venue

from .books import BOOK_IDS
from .feeds import Feeds
from .limits import IpLimits
from .names import book_streams, parse
from .private import PrivateDoor
from .rest import Rest
from .streams import StreamServer
from .ws_api import WsApi


def make_app(venue: Venue) -> web.Application:
    """One application for REST, streams and the WebSocket API; its task runs from start-up to clean-up.

    :param venue: with all of this front's SETTINGS among its settings.
    """
    feeds = Feeds(venue)
    limits = IpLimits(venue)
    door = PrivateDoor(venue)
    rest = Rest(venue, feeds, limits, door)
    ws_api = WsApi(venue, feeds, limits, door)
    streams = StreamServer(venue, feeds, limits, ws_api.tick)
    app = web.Application()
    app.router.add_get("/ws", streams.handle)
    app.router.add_get("/ws/{names:.*}", streams.handle)
    app.router.add_get("/stream", streams.handle)
    app.router.add_get("/ws-api/v3", ws_api.handle)
    app.router.add_route("*", "/{path:.*}", rest.handle)

    async def run(app: web.Application) -> AsyncIterator[None]:
        pulse = asyncio.create_task(streams.run(), name="binance streams")
        yield
        pulse.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await pulse

    async def close(app: web.Application) -> None:
        await ws_api.close()
        await streams.close()

    app.cleanup_ctx.append(run)
    app.on_shutdown.append(close)
    return app


def urls(port: int) -> dict[str, str]:
    """Where a client finds it; `ws_api` is the WebSocket API's place."""
    return {
        "rest": f"http://127.0.0.1:{port}",
        "stream": f"ws://127.0.0.1:{port}",
        "ws_api": f"ws://127.0.0.1:{port}/ws-api/v3",
    }


def stream_names(venue: Venue, native: str) -> list[str]:
    """The streams whose update ids the truth can be asked by; all share one sequence."""
    return book_streams(native)


def truth_stream(stream: str, native: str) -> str:
    """The name under which a stream's update ids are journaled; the stream's own if it carries none."""
    known = parse(stream, (native,))
    return stream if known is None or known.kind not in ("depth", "bookTicker") else BOOK_IDS
