"""The control port: the truth, the counts, the faults. Loopback only; no venue's client ever needs it."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import msgspec
from aiohttp import web

from thespian_connector.model.decimals import text

from .faults import FaultError
from .fronts import Front
from .history import Levels
from .market import Market
from .venue import Venue
from .world import World

#: A document of a fault. A larger body is refused.
BODY_BYTES_MAX = 64 * 1024


def _json(document: Any, status: int = 200) -> web.Response:
    return web.Response(body=msgspec.json.encode(document), status=status, content_type="application/json")


class _Problem(Exception):
    """A call that cannot be answered; the message says what and which choices there are."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def _side(levels: list[tuple[Decimal, Decimal]]) -> list[list[str]]:
    return [[text(price), text(quantity)] for price, quantity in levels]


class Control:
    """Answers the calls of INTERFACES, "Simulator"."""

    def __init__(self, world: World, fronts: Mapping[str, Front]) -> None:
        self._world = world
        self._fronts = fronts

    def make_app(self) -> web.Application:
        """The control port's application."""

        @web.middleware
        async def problems(request: web.Request, handler: Any) -> web.StreamResponse:
            try:
                answer: web.StreamResponse = await handler(request)
            except (_Problem, FaultError) as problem:
                return _json({"error": str(problem)}, getattr(problem, "status", 400))
            except web.HTTPException as problem:
                return _json({"error": f"{request.method} {request.path}: {problem.reason}"}, problem.status)
            return answer

        app = web.Application(middlewares=[problems], client_max_size=BODY_BYTES_MAX)
        app.router.add_get("/truth/{venue}/book/{native}", self._book)
        app.router.add_get("/truth/{venue}/{what}", self._truth)
        app.router.add_post("/pause", self._pause)
        app.router.add_post("/resume", self._resume)
        app.router.add_post("/faults", self._add_fault)
        app.router.add_get("/faults", self._list_faults)
        app.router.add_delete("/faults", self._delete_faults)
        app.router.add_delete("/faults/{fault_id}", self._delete_faults)
        return app

    def _venue(self, request: web.Request) -> Venue:
        name = request.match_info["venue"]
        if name not in self._world.venues:
            raise _Problem(404, f"venue: {name!r} is not one of {', '.join(self._world.venues)}")
        return self._world.venues[name]

    async def _truth(self, request: web.Request) -> web.Response:
        venue = self._venue(request)
        account, told = venue.account, self._fronts[venue.name].told
        documents = {
            "account": lambda: {"accounts": [account.document()], **account.document()},
            "orders": lambda: [{**order.document(), "status": told(order).value} for order in venue.orders],
            "balances": account.balances,
            "requests": lambda: list(venue.requests),
            "usage": venue.usage.document,
        }
        what = request.match_info["what"]
        if what not in documents:
            raise _Problem(404, f"truth: {what!r} is not one of {', '.join((*documents, 'book/<native>'))}")
        return _json(documents[what]())

    async def _book(self, request: web.Request) -> web.Response:
        venue = self._venue(request)
        native = request.match_info["native"]
        market = venue.markets.get(native)
        if market is None:
            raise _Problem(404, f"book: {native!r} is not one of {', '.join(venue.markets)}")
        front = self._fronts[venue.name]
        stream = request.query.get("stream")
        journaled = front.default_stream if stream is None else front.truth_stream(stream, native)
        asked = request.query.get("update_id")
        if asked is None:
            venue.look(native, journaled)
            update_id, sides = _book_now(market, journaled, named=stream is not None)
        elif asked.isdecimal():
            update_id, sides = int(asked), _book_then(market, journaled, int(asked))
        else:
            raise _Problem(400, f"update_id: {asked!r} must be an integer")
        return _json({"update_id": update_id, "bids": _side(sides[0]), "asks": _side(sides[1])})

    async def _pause(self, request: web.Request) -> web.Response:
        self._world.pause()
        return _json({"paused": True})

    async def _resume(self, request: web.Request) -> web.Response:
        self._world.resume()
        return _json({"paused": False})

    async def _add_fault(self, request: web.Request) -> web.Response:
        try:
            document = msgspec.json.decode(await request.read())
        except msgspec.DecodeError as error:
            raise _Problem(400, f"body: not JSON: {error}") from None
        if not isinstance(document, dict):
            raise _Problem(400, 'body: an object was expected, like {"venue":"binance","kind":"ws_drop"}')
        fault = self._world.faults.add(document)
        return _json({"id": fault.fault_id, "fired": fault.fired})

    async def _list_faults(self, request: web.Request) -> web.Response:
        return _json(self._world.faults.listing())

    async def _delete_faults(self, request: web.Request) -> web.Response:
        name = request.match_info.get("fault_id")
        if name is not None and (not name.isdecimal() or self._world.faults.get(int(name)) is None):
            raise _Problem(404, f"fault: there is none with the id {name!r}")
        return _json({"deleted": self._world.faults.delete(None if name is None else int(name))})


def _book_now(market: Market, journaled: str, *, named: bool) -> tuple[int, tuple[Levels, Levels]]:
    """The book at the newest update id of a stream. Without a stream's name also when nothing listens to any."""
    update_id = market.history.last_id(journaled)
    if update_id is None:
        if named:
            raise _Problem(404, f"stream: {journaled!r} has carried no update id of {market.spec.native} yet")
        return market.batch_id, (market.book.levels("bid"), market.book.levels("ask"))
    return update_id, _book_then(market, journaled, update_id)


def _book_then(market: Market, journaled: str, update_id: int) -> tuple[Levels, Levels]:
    batch_id = market.history.find(journaled, update_id)
    oldest = market.history.oldest_id(journaled)
    if batch_id is None:
        if oldest is not None and update_id < oldest:
            raise _Problem(410, f"update_id: {update_id} is no longer known; the oldest is {oldest}")
        raise _Problem(404, f"update_id: {update_id} never was one of {journaled!r} of {market.spec.native}")
    sides = market.levels_at(batch_id)
    if sides is None:
        raise _Problem(410, f"update_id: {update_id} is no longer known")
    return sides
