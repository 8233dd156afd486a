"""The mock venue's drivers: one whose books begin with a snapshot on the stream, one that fetches it over REST."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import ClassVar
from urllib.parse import urlencode, urlsplit

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
from thespian_connector.model.errors import (
    AuthError,
    Banned,
    ClockError,
    ConfigError,
    ExchangeError,
    InsufficientBalance,
    OrderNotFound,
    RateLimited,
    Rejected,
    ServerFault,
    UsageError,
)
from thespian_connector.model.wire import BookSnapshot, WireEvent, WireTicker, WireTrade

from . import protocol

USED_HEADER = "X-Mock-Used"
_REQUESTS = Limit(name="requests_1m", kind="requests", cap=6000, window_s=60, aligned=False, reported=True)
_CONNECTS = Limit(name="connects_1m", kind="connects", cap=60, window_s=60, aligned=False)
_SCHEMES = {"rest": ("http", "https"), "stream": ("ws", "wss")}
_CLIENT_ERRORS: dict[int, type[ExchangeError]] = {
    401: AuthError,
    402: InsufficientBalance,
    410: OrderNotFound,
    418: Banned,
    425: ClockError,
    429: RateLimited,
}
_STREAMS = {Channel.BOOK: ("book",), Channel.TRADE: ("trade",), Channel.TICKER: ("ticker", "top")}


class MockDriver(Driver):
    """The mock venue as it is by default: the stream brings each book's snapshot, ids step by one (as Bybit's)."""

    exchange: ClassVar[str] = protocol.EXCHANGE
    sequencing: ClassVar[Sequencing] = Sequencing.STEP
    snapshot_by_rest: ClassVar[bool] = False
    book_depths: ClassVar[tuple[int, ...]] = (protocol.DEPTH_MAX,)
    limits: ClassVar[tuple[Limit, ...]] = (_REQUESTS, _CONNECTS)
    stream_limits: ClassVar[StreamLimits] = StreamLimits(topics_max=1000, args_max=20, keepalive_s=10.0, silence_s=20.0)

    def endpoints(self, environment: Environment, urls: Mapping[str, str]) -> Endpoints:
        """The mock venue has no hosts: only PAPER, with the URLs of whatever serves its protocol."""
        if environment is not Environment.PAPER or not set(_SCHEMES) <= set(urls):
            raise ConfigError(
                f"mock: there is no {environment.value} host; set environment paper, urls.rest, urls.stream"
            )
        return Endpoints(**{key: _checked(key, url) for key, url in urls.items()})

    # -- REST

    def instruments_request(self) -> RestRequest:
        return RestRequest(method="GET", path="/instruments")

    def parse_instruments(self, body: bytes) -> list[Instrument]:
        listed = map(protocol.instrument, protocol.parsed(body, protocol.InstrumentsBody).instruments)
        return [instrument for instrument in listed if instrument is not None]

    def depth_request(self, native: str, depth: int) -> RestRequest:
        return _get("/depth", native=native, depth=_depth(depth))

    def parse_depth(self, native: str, depth: int, body: bytes) -> BookSnapshot:
        book = protocol.parsed(body, protocol.DepthBody)
        if book.native != native:
            raise protocol.not_a(f"book of {native}")
        return BookSnapshot(native, f"book.{native}", book.id, book.bids, book.asks, _depth(depth), book.time_ns)

    def trades_request(self, native: str, limit: int) -> RestRequest:
        return _get("/trades", native=native, limit=min(max(limit, 1), protocol.TRADES_MAX))

    def parse_trades(self, native: str, body: bytes) -> list[WireTrade]:
        answer = protocol.parsed(body, protocol.TradesBody)
        trades = [protocol.wire_trade(native, item) for item in answer.trades]
        known = [trade for trade in trades if trade is not None]
        if answer.native != native or len(known) < len(trades):
            raise protocol.not_a(f"tape of {native}")
        return known

    def ticker_request(self, native: str) -> RestRequest:
        return _get("/ticker", native=native)

    def parse_ticker(self, native: str, body: bytes) -> WireTicker:
        answer = protocol.parsed(body, protocol.TickerBody)
        ticker = protocol.wire_ticker(answer.native, f"ticker.{native}", answer)
        if ticker is None or ticker.native != native:
            raise protocol.not_a(f"ticker of {native}")
        return ticker

    def time_request(self) -> RestRequest:
        return RestRequest(method="GET", path="/time")

    def parse_time_ns(self, body: bytes) -> int:
        return protocol.parsed(body, protocol.TimeBody).time_ns

    def classify(self, status: int, headers: Mapping[str, str], body: bytes) -> ExchangeError | None:
        """By status alone; of a good answer only that it is JSON is asked."""
        if 200 <= status < 300:
            try:
                msgspec.json.decode(body, type=dict)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                return ServerFault("the answer is no document", exchange=self.exchange, status=status)
            return None
        kind = _CLIENT_ERRORS.get(status, Rejected) if 400 <= status < 500 else ServerFault
        pause = _number(headers, "Retry-After")
        return kind(f"HTTP {status}", exchange=self.exchange, status=status, retry_after_s=pause)

    def usage(self, headers: Mapping[str, str]) -> list[Usage]:
        used = _number(headers, USED_HEADER)
        return [] if used is None else [Usage(_REQUESTS.name, used)]

    # -- streams

    def stream_url(self, endpoints: Endpoints) -> str:
        return endpoints.stream

    def topics(self, channel: Channel, native: str, depth: int = 0) -> tuple[str, ...]:
        if channel is Channel.BOOK and depth not in (0, *self.book_depths):
            raise UsageError(f"mock: no book of depth {depth}; there is {protocol.DEPTH_MAX}")
        return tuple(f"{stream}.{native}" for stream in _STREAMS[channel])

    def freshness_topics(self, native: str) -> tuple[str, ...]:
        """The best prices repeat: see :meth:`thespian_connector.drivers.mock.venue.MockVenue.advance`."""
        return (f"top.{native}",)

    def subscribe(self, topics: Iterable[str], first_request_id: int) -> list[SubscribeFrame]:
        return self._frames("subscribe", topics, first_request_id)

    def unsubscribe(self, topics: Iterable[str], first_request_id: int) -> list[SubscribeFrame]:
        return self._frames("unsubscribe", topics, first_request_id)

    def decode(self, frame: bytes) -> WireEvent:
        return protocol.decode(frame)

    def keepalive_frame(self, request_id: int) -> str | None:
        return _text(protocol.Request(id=request_id, op="ping"))

    def _frames(self, op: str, topics: Iterable[str], first_request_id: int) -> list[SubscribeFrame]:
        unique, size = tuple(dict.fromkeys(topics)), self.stream_limits.args_max
        batches = [unique[start : start + size] for start in range(0, len(unique), size)]
        return [
            SubscribeFrame(number, batch, _text(protocol.Request(id=number, op=op, topics=list(batch))))
            for number, batch in enumerate(batches, first_request_id)
        ]


class MockRestSnapshotDriver(MockDriver):
    """The mock venue in Binance's manner: the stream has diffs only, and the snapshot they continue is on REST."""

    sequencing: ClassVar[Sequencing] = Sequencing.RANGE
    snapshot_by_rest: ClassVar[bool] = True

    def freshness_topics(self, native: str) -> tuple[str, ...]:  # noqa: ARG002 - the same for every instrument
        """None: a REST read must prove freshness."""
        return ()


def _checked(key: str, url: str) -> str:
    try:
        parts = urlsplit(url)
        fine = key in _SCHEMES and parts.scheme in _SCHEMES[key] and bool(parts.hostname)
    except ValueError:
        fine = False
    if not fine:
        raise ConfigError(f"mock: urls.{key} = {url!r} is no URL of the mock venue; it has rest (http) and stream (ws)")
    return url.rstrip("/")


def _get(path: str, **params: str | int) -> RestRequest:
    return RestRequest(method="GET", path=path, query=urlencode(params))


def _depth(depth: int) -> int:
    return min(depth, protocol.DEPTH_MAX) if depth > 0 else protocol.DEPTH_MAX


def _number(headers: Mapping[str, str], name: str) -> int | None:
    """The whole number in a header; None without one, or for nonsense."""
    value = next((value for key, value in headers.items() if key.lower() == name.lower()), "")
    return int(value) if value.isascii() and value.isdigit() and len(value) < 10 else None


def _text(request: protocol.Request) -> str:
    return msgspec.json.encode(request).decode()
