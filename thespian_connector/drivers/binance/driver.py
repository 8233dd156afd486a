"""Binance Spot, market data: the modules beside this one put together as a `Driver`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import ClassVar

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

from . import endpoints, errors, frames, market, symbols
from .limits import LIMITS, PARAMS_PER_FRAME_MAX, STREAM_LIMITS, limits_of, usage


class BinanceDriver(Driver):
    """Binance Spot. A book is a REST snapshot and the diffs of one stream that continue it."""

    exchange: ClassVar[str] = errors.EXCHANGE
    sequencing: ClassVar[Sequencing] = Sequencing.RANGE
    snapshot_by_rest: ClassVar[bool] = True
    trade_ids_contiguous: ClassVar[bool] = True
    book_depths: ClassVar[tuple[int, ...]] = (100, 500, market.DEPTH_DEFAULT)
    limits: ClassVar[tuple[Limit, ...]] = LIMITS
    account_limit_codes: ClassVar[frozenset[int]] = frozenset((-1015,))
    stream_limits: ClassVar[StreamLimits] = STREAM_LIMITS

    def endpoints(self, environment: Environment, urls: Mapping[str, str]) -> Endpoints:
        return endpoints.endpoints(environment, urls)

    def instruments_request(self) -> RestRequest:
        return market.instruments_request()

    def parse_instruments(self, body: bytes) -> list[Instrument]:
        return symbols.parse_instruments(body)

    def limits_of(self, instruments_body: bytes) -> tuple[Limit, ...]:
        return limits_of(instruments_body)

    def depth_request(self, native: str, depth: int) -> RestRequest:
        return market.depth_request(native, depth)

    def parse_depth(self, native: str, depth: int, body: bytes) -> BookSnapshot:
        return market.parse_depth(native, depth, body)

    def trades_request(self, native: str, limit: int) -> RestRequest:
        return market.trades_request(native, limit)

    def parse_trades(self, native: str, body: bytes) -> list[WireTrade]:
        return market.parse_trades(native, body)

    def ticker_request(self, native: str) -> RestRequest:
        return market.ticker_request(native)

    def parse_ticker(self, native: str, body: bytes) -> WireTicker:
        return market.parse_ticker(native, body)

    def time_request(self) -> RestRequest:
        return market.time_request()

    def parse_time_ns(self, body: bytes) -> int:
        return market.parse_time_ns(body)

    def classify(self, status: int, headers: Mapping[str, str], body: bytes) -> ExchangeError | None:
        return errors.classify(status, headers, body)

    def usage(self, headers: Mapping[str, str]) -> list[Usage]:
        return usage(headers)

    def stream_url(self, endpoints: Endpoints) -> str:
        """Combined mode, in which every payload comes with its stream's name."""
        return f"{endpoints.stream}/stream"

    def topics(self, channel: Channel, native: str, depth: int = 0) -> tuple[str, ...]:
        """One stream a channel. The diff stream is the same for every depth; how deep the book is, its snapshot says.

        :raises UsageError: a depth below 0 or beyond the deepest snapshot that a book is built on.
        """
        if not 0 <= depth <= self.book_depths[-1]:
            raise UsageError(
                f"{self.exchange}: a book of depth {depth} is not served; choose one of "
                f"{', '.join(map(str, self.book_depths))} (0: the deepest)"
            )
        name = symbols.stream_name(native)
        suffix = {Channel.BOOK: market.DEPTH_STREAM, Channel.TRADE: "trade", Channel.TICKER: "ticker"}[channel]
        return (f"{name}@{suffix}",)

    def freshness_topics(self, native: str) -> tuple[str, ...]:  # noqa: ARG002 - the same for every instrument
        """None: a quiet symbol sends nothing at all, so a REST read must prove freshness."""
        return ()

    def subscribe(self, topics: Iterable[str], first_request_id: int) -> list[SubscribeFrame]:
        return _frames("SUBSCRIBE", topics, first_request_id)

    def unsubscribe(self, topics: Iterable[str], first_request_id: int) -> list[SubscribeFrame]:
        return _frames("UNSUBSCRIBE", topics, first_request_id)

    def decode(self, frame: bytes) -> WireEvent:
        return frames.decode(frame)

    def keepalive_frame(self, request_id: int) -> str | None:  # noqa: ARG002 - none is ever needed
        """None: the venue pings every 20 s, and pongs of the WebSocket layer answer it."""
        return None


def _frames(method: str, topics: Iterable[str], first_request_id: int) -> list[SubscribeFrame]:
    """As few frames as may be (each counts against five a second); ids are small positive integers, because some
    fleets refuse text, and the documentation calls them unsigned."""
    unique = tuple(dict.fromkeys(topics))
    size = PARAMS_PER_FRAME_MAX
    frames_ = []
    for number, start in enumerate(range(0, len(unique), size), first_request_id):
        batch = unique[start : start + size]
        text = msgspec.json.encode({"method": method, "params": batch, "id": number}).decode()
        frames_.append(SubscribeFrame(number, batch, text))
    return frames_
