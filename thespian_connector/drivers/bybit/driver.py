"""Bybit v5 spot, market half: what `net` needs to know of the venue."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import ClassVar
from urllib.parse import urlencode

import msgspec

from thespian_connector.drivers.base import (
    Driver,
    Endpoints,
    Limit,
    RestRequest,
    Sequencing,
    StreamLimits,
    SubscribeFrame,
    Usage,
)
from thespian_connector.model import Channel, Environment, Instrument
from thespian_connector.model.errors import ExchangeError, UsageError
from thespian_connector.model.wire import BookSnapshot, WireEvent, WireTicker, WireTrade

from . import endpoints as hosts
from . import errors, market, symbols
from .limits import BOOK_DEPTHS, DEPTH_MAX, LIMITS, STREAM_LIMITS, SUBSCRIBE_ARGS_MAX, TRADES_MAX

_CATEGORY = {"category": "spot"}


class BybitDriver(Driver):
    """Bybit's order book streams bring their own snapshot, and ``u`` steps by one from it.

    **One topic, two uses.** ``orderbook.1.SYM`` is a book of depth 1, the best prices of a ticker (spot tickers have
    none) and the proof of freshness, since it repeats after 3 s without change, with the same ``u``. `decode` always
    makes a ``BookSnapshot`` with ``limit=1`` of it, never a ``TopOfBook``: whoever reads the socket looks at its
    `stream`, feeds it to the book if that book was subscribed at depth 1, and to ticker and freshness in any case. Its
    ``u`` counts in a space of its own: compare it to a deeper book by `sequence` (Bybit's ``seq``), never by id.
    """

    exchange: ClassVar[str] = errors.EXCHANGE
    sequencing: ClassVar[Sequencing] = Sequencing.STEP
    snapshot_by_rest: ClassVar[bool] = False
    book_depths: ClassVar[tuple[int, ...]] = BOOK_DEPTHS
    limits: ClassVar[tuple[Limit, ...]] = LIMITS
    account_limit_codes: ClassVar[frozenset[int]] = errors.ACCOUNT_LIMIT_CODES
    stream_limits: ClassVar[StreamLimits] = STREAM_LIMITS

    def endpoints(self, environment: Environment, urls: Mapping[str, str]) -> Endpoints:
        """See :func:`thespian_connector.drivers.bybit.endpoints.endpoints`: ``ws`` is a key too."""
        return hosts.endpoints(environment, urls)

    # -- REST

    def instruments_request(self) -> RestRequest:
        return _get("/v5/market/instruments-info")

    def parse_instruments(self, body: bytes) -> list[Instrument]:
        return list(symbols.instruments(market.parse_listing(body)))

    def depth_request(self, native: str, depth: int) -> RestRequest:
        """A `depth` of 0 asks for the most, 1000. It is always sent: Bybit's default is one level."""
        return _get("/v5/market/orderbook", symbol=native, limit=_rest_depth(depth))

    def parse_depth(self, native: str, depth: int, body: bytes) -> BookSnapshot:
        """Its ids belong to the stream of 1000 levels: never mix it with a stream of 50 or 200."""
        return market.parse_depth(native, _rest_depth(depth), body)

    def trades_request(self, native: str, limit: int) -> RestRequest:
        return _get("/v5/market/recent-trade", symbol=native, limit=min(max(limit, 1), TRADES_MAX))

    def parse_trades(self, native: str, body: bytes) -> list[WireTrade]:
        return market.parse_trades(native, body)

    def ticker_request(self, native: str) -> RestRequest:
        return _get("/v5/market/tickers", symbol=native)

    def parse_ticker(self, native: str, body: bytes) -> WireTicker:
        return market.parse_ticker(native, body)

    def time_request(self) -> RestRequest:
        return RestRequest(method="GET", path="/v5/market/time")

    def parse_time_ns(self, body: bytes) -> int:
        return market.parse_time_ns(body)

    def classify(self, status: int, headers: Mapping[str, str], body: bytes) -> ExchangeError | None:
        return errors.classify(status, headers, body)

    def usage(self, headers: Mapping[str, str]) -> list[Usage]:  # noqa: ARG002 - the interface's signature
        """Nothing: Bybit's headers tell of an account's limits only, never of the IP's."""
        return []

    # -- streams

    def stream_url(self, endpoints: Endpoints) -> str:
        return hosts.stream_url(endpoints)

    def topics(self, channel: Channel, native: str, depth: int = 0) -> tuple[str, ...]:
        """A ticker needs two: the spot ticker has no bid and no ask, ``orderbook.1`` has nothing else."""
        if channel is Channel.TRADE:
            return (f"publicTrade.{native}",)
        if channel is Channel.TICKER:
            return (f"tickers.{native}", f"orderbook.1.{native}")
        depth = depth or BOOK_DEPTHS[-1]
        if depth not in BOOK_DEPTHS:
            raise UsageError(f"bybit: no book stream of depth {depth}; there are {', '.join(map(str, BOOK_DEPTHS))}")
        return (f"orderbook.{depth}.{native}",)

    def freshness_topics(self, native: str) -> tuple[str, ...]:
        """Pushed on change, and again after 3 s without one."""
        return (f"orderbook.1.{native}",)

    def subscribe(self, topics: Iterable[str], first_request_id: int) -> list[SubscribeFrame]:
        """Ten topics a frame, each topic once: Bybit does not answer a request whose topics it already streams.

        The text of all topics of a connection (`stream_limits.args_text_max`) is the caller's to keep.
        """
        return list(_requests("subscribe", topics, first_request_id))

    def unsubscribe(self, topics: Iterable[str], first_request_id: int) -> list[SubscribeFrame]:
        return list(_requests("unsubscribe", topics, first_request_id))

    def decode(self, frame: bytes) -> WireEvent:
        """See the class for ``orderbook.1``, and :mod:`thespian_connector.drivers.bybit.market` for the frames."""
        return market.decode(frame)

    def keepalive_frame(self, request_id: int) -> str | None:
        return _text({"req_id": str(request_id), "op": "ping"})


def _get(path: str, **params: str | int) -> RestRequest:
    """A public GET: never with a body, which Bybit answers with a ban's status (403)."""
    return RestRequest(method="GET", path=path, query=urlencode(_CATEGORY | params))


def _rest_depth(depth: int) -> int:
    return min(depth, DEPTH_MAX) if depth > 0 else DEPTH_MAX


def _requests(op: str, topics: Iterable[str], first_request_id: int) -> Iterator[SubscribeFrame]:
    unique = tuple(dict.fromkeys(topics))
    size = SUBSCRIBE_ARGS_MAX
    for number, start in enumerate(range(0, len(unique), size)):
        request_id, batch = first_request_id + number, unique[start : start + size]
        frame = _text({"req_id": str(request_id), "op": op, "args": batch})
        yield SubscribeFrame(request_id, batch, frame)


def _text(message: dict[str, object]) -> str:
    return msgspec.json.encode(message).decode()
