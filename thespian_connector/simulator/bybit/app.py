"""The front: one server for REST and for the public stream."""

from __future__ import annotations

from collections.abc import AsyncIterator

from aiohttp import web

from thespian_connector.simulator.venue import Venue

from .gate import Gate, Handler
from .hub import Hub
from .rest import Rest
from .socket import PublicStream

PUBLIC_SPOT = "/v5/public/spot"
HOST = "127.0.0.1"


def make_app(venue: Venue) -> web.Application:
    """The application that answers as Bybit does, for the markets of `venue`."""
    hub, gate = Hub(venue), Gate(venue)
    rest, stream = Rest(venue, hub), PublicStream(venue, hub)

    async def public_spot(request: web.Request) -> web.StreamResponse:
        if not gate.admits_socket(request.remote or "", len(stream.sockets.open)):
            raise web.HTTPForbidden(text="too many connections")
        return await stream.serve(request)

    @web.middleware
    async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path == PUBLIC_SPOT:
            return await handler(request)

        async def answer(request: web.Request) -> web.StreamResponse:
            if request.method == "GET" and request.can_read_body:
                # "A GET request with a body gets 403" (v5 docs: "Integration Guidance").
                venue.usage.refused(403)
                return web.Response(status=403, text="<html><body>403 Forbidden</body></html>")
            try:
                return await handler(request)
            except (web.HTTPNotFound, web.HTTPMethodNotAllowed):
                return rest.not_found()

        return await gate.rest(request, answer)

    async def life(_app: web.Application) -> AsyncIterator[None]:
        yield
        hub.close()

    async def close_sockets(_app: web.Application) -> None:
        stream.sockets.close()

    app = web.Application(middlewares=[guard])
    app.router.add_get(PUBLIC_SPOT, public_spot)
    app.router.add_routes(rest.routes())
    app.on_shutdown.append(close_sockets)
    app.cleanup_ctx.append(life)
    return app


def urls(port: int) -> dict[str, str]:
    """Where the front listens, as the simulator's ready line tells it."""
    return {"rest": f"http://{HOST}:{port}", "ws": f"ws://{HOST}:{port}"}


def truth_stream(stream: str, native: str) -> str:
    """The name under which a stream's update ids are noted: ``orderbook.50`` for ``orderbook.50.BTCUSDT`` too."""
    return stream.removesuffix(f".{native}")
