"""The front: one server for REST and for the three WebSockets."""

from __future__ import annotations

from collections.abc import AsyncIterator, Container

from aiohttp import web
from aiohttp.typedefs import Middleware

from thespian_connector.simulator.faults import Fault
from thespian_connector.simulator.venue import Venue

from .entry import Entry
from .gate import Gate, Handler
from .hub import Hub
from .private_rest import PrivateRest
from .private_socket import PrivateStream
from .pushes import Pushes
from .rest import Rest
from .socket import PublicStream
from .trade_socket import TradeStream
from .trading import Trading

PUBLIC_SPOT, PRIVATE, TRADE = "/v5/public/spot", "/v5/private", "/v5/trade"
HOST = "127.0.0.1"


def make_app(venue: Venue) -> web.Application:
    """The application that answers as Bybit does, for the markets of `venue`."""
    hub, gate = Hub(venue), Gate(venue)
    rest, stream = Rest(venue, hub), PublicStream(venue, hub)
    trading = Trading(venue)
    entry = Entry(venue, trading)
    private, trade = PrivateStream(venue), TradeStream(venue, entry)
    pushes = Pushes(trading, private.open)
    endpoints: dict[str, PublicStream | PrivateStream | TradeStream] = {
        PUBLIC_SPOT: stream,
        PRIVATE: private,
        TRADE: trade,
    }

    async def socket(request: web.Request) -> web.StreamResponse:
        endpoint = endpoints[request.path]
        if not gate.admits_socket(request.remote or "", len(endpoint.sockets.open)):
            raise web.HTTPForbidden(text="too many connections")
        return await endpoint.serve(request)

    def on_fault(fault: Fault) -> None:
        if fault.venue == venue.name and fault.kind in ("ws_restart", "server_shutdown"):
            trading.restart()

    venue.faults.listeners.append(on_fault)

    async def life(_app: web.Application) -> AsyncIterator[None]:
        yield
        hub.close()
        pushes.close()

    async def close_sockets(_app: web.Application) -> None:
        for endpoint in endpoints.values():
            endpoint.sockets.close()

    app = web.Application(middlewares=[_guard(venue, gate, rest, endpoints)])
    for path in endpoints:
        app.router.add_get(path, socket)
    app.router.add_routes(rest.routes())
    app.router.add_routes(PrivateRest(venue, gate, trading, entry).routes())
    app.on_shutdown.append(close_sockets)
    app.cleanup_ctx.append(life)
    return app


def _guard(venue: Venue, gate: Gate, rest: Rest, sockets: Container[str]) -> Middleware:
    """What stands before every REST handler; the paths of `sockets` pass."""

    @web.middleware
    async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path in sockets:
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
            except ConnectionResetError:  # the client went away in the midst of its request: nobody hears the answer
                return web.Response(status=400)

        return await gate.rest(request, answer)

    return guard


def urls(port: int) -> dict[str, str]:
    """Where the front listens, as the simulator's ready line tells it."""
    return {"rest": f"http://{HOST}:{port}", "ws": f"ws://{HOST}:{port}"}


def truth_stream(stream: str, native: str) -> str:
    """The name under which a stream's update ids are noted: ``orderbook.50`` for ``orderbook.50.BTCUSDT`` too."""
    return stream.removesuffix(f".{native}")
