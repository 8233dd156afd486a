"""The conformance checks find each way of breaking a driver's word, and say which input did it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
import pytest

from thespian_connector.drivers import conformance
from thespian_connector.drivers.base import Endpoints, RestRequest, StreamLimits, SubscribeFrame, Usage
from thespian_connector.drivers.conformance import Samples
from thespian_connector.drivers.mock import MockDriver, MockVenue
from thespian_connector.drivers.mock.protocol import DepthBody, parsed
from thespian_connector.model import Channel, Environment, Instrument
from thespian_connector.model.errors import ConfigError, ExchangeError, Rejected
from thespian_connector.model.wire import Ack, BookDiff, BookSnapshot, Ignored, WireEvent, WireTrade

STREAM = MockDriver.stream_limits


def samples() -> Samples:
    venue = MockVenue(seed=1)
    driver, session = venue.driver, venue.connect()
    venue.fill("BTC/USDT", "100", levels=3)
    for frame in driver.subscribe(driver.topics(Channel.BOOK, "BTC-USDT"), 1):
        session.send(frame.frame)
    venue.run(2)
    venue.trade("BTC/USDT", "buy", "100", "1")
    venue.trade("BTC/USDT", "buy", "100", "1")
    frames = {type(driver.decode(frame)): frame for frame in session.frames()}
    return Samples(
        native="BTC-USDT",
        frames=(frames[BookSnapshot], frames[BookDiff]),
        instruments=venue.request(driver.instruments_request()).body,
        depth=venue.request(driver.depth_request("BTC-USDT", 5)).body,
        trades=venue.request(driver.trades_request("BTC-USDT", 5)).body,
        ticker=venue.request(driver.ticker_request("BTC-USDT")).body,
        time=venue.request(driver.time_request()).body,
        accepted=lambda frame: b'{"reply":%d,"ok":true}' % frame.request_id,
        refused=lambda frame: b'{"reply":%d,"ok":false}' % frame.request_id,
        errors=((400, {}, b'{"error":"no"}', Rejected),),
    )


class RaisesOnNoise(MockDriver):
    def decode(self, frame: bytes) -> WireEvent:
        json.loads(frame)
        return super().decode(frame)


class TrustsEveryNumber(MockDriver):
    def decode(self, frame: bytes) -> WireEvent:
        event = super().decode(frame)
        return BookDiff("N", "s", -1, -1, [], []) if isinstance(event, Ignored) else event


class LetsLevelsThrough(MockDriver):
    def decode(self, frame: bytes) -> WireEvent:
        event = super().decode(frame)
        if isinstance(event, BookSnapshot):
            event.bids = [[price, quantity] for price, quantity in event.bids]  # type: ignore[misc] # that is the fault
        return event


class DependsOnKeyOrder(MockDriver):
    def decode(self, frame: bytes) -> WireEvent:
        return super().decode(frame) if frame.startswith(b'{"stream"') else Ignored("json")


class PutsFramesInReasons(MockDriver):
    def decode(self, frame: bytes) -> WireEvent:
        event = super().decode(frame)
        return Ignored(f"bad {len(frame)}") if isinstance(event, Ignored) else event


class TakesRefusalsForAcks(MockDriver):
    def decode(self, frame: bytes) -> WireEvent:
        event = super().decode(frame)
        return Ack(event.request_id, True) if isinstance(event, Ack) else event


class SendsOneBatch(MockDriver):
    def subscribe(self, topics: Iterable[str], first_request_id: int) -> list[SubscribeFrame]:
        unique = tuple(topics)
        return [SubscribeFrame(first_request_id, unique, json.dumps(unique))] if unique else []


class ReusesIds(MockDriver):
    def subscribe(self, topics: Iterable[str], first_request_id: int) -> list[SubscribeFrame]:
        frames = super().subscribe(topics, first_request_id)
        return [msgspec.structs.replace(frame, request_id=first_request_id) for frame in frames]


class GuessesHosts(MockDriver):
    def endpoints(self, environment: Environment, urls: Mapping[str, str]) -> Endpoints:
        try:
            return super().endpoints(environment, urls)
        except ConfigError:
            return Endpoints(rest="https://guess.example", stream="wss://guess.example")


class TakesAnyDepth(MockDriver):
    def topics(self, channel: Channel, native: str, depth: int = 0) -> tuple[str, ...]:
        return super().topics(channel, native)


class ForgetsToEncode(MockDriver):
    def ticker_request(self, native: str) -> RestRequest:
        return RestRequest(method="GET", path="/ticker", query=f"native={native}")


class SendsABody(MockDriver):
    def time_request(self) -> RestRequest:
        return RestRequest(method="GET", path="/time", body=b"{}")


class TradesNewestFirst(MockDriver):
    def parse_trades(self, native: str, body: bytes) -> list[WireTrade]:
        return super().parse_trades(native, body)[::-1]


class LeaksItsParser(MockDriver):
    def parse_instruments(self, body: bytes) -> list[Instrument]:
        msgspec.json.decode(body)
        return super().parse_instruments(body)


class BelievesAnotherBook(MockDriver):
    def parse_depth(self, native: str, depth: int, body: bytes) -> BookSnapshot:
        return super().parse_depth(parsed(body, DepthBody).native, depth, body)


class RaisesInClassify(MockDriver):
    def classify(self, status: int, headers: Mapping[str, str], body: bytes) -> ExchangeError | None:
        if status == 400:
            json.loads(body)
        return super().classify(status, headers, body)


class MissesErrors(MockDriver):
    def classify(self, status: int, headers: Mapping[str, str], body: bytes) -> ExchangeError | None:
        return None if status == 302 else super().classify(status, headers, body)


class KnowsTooMuch(MockDriver):
    def classify(self, status: int, headers: Mapping[str, str], body: bytes) -> ExchangeError | None:
        return Rejected("no", exchange="mock") if status == 502 else super().classify(status, headers, body)


class ReadsHeadersByCase(MockDriver):
    def classify(self, status: int, headers: Mapping[str, str], body: bytes) -> ExchangeError | None:
        return super().classify(status, {k: v for k, v in headers.items() if k == "Retry-After"}, body)


class InventsLimits(MockDriver):
    def usage(self, headers: Mapping[str, str]) -> list[Usage]:
        return [Usage("weight", 1)]


class PingsTooRarely(MockDriver):
    stream_limits = StreamLimits(topics_max=10, args_max=5, keepalive_s=30.0, silence_s=20.0)


class NeverPings(MockDriver):
    def keepalive_frame(self, request_id: int) -> str | None:
        return None


def test_a_good_driver_passes() -> None:
    assert conformance.check_driver(MockDriver(), samples()) > 1_000


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        (RaisesOnNoise, "decode raised"),
        (TrustsEveryNumber, "63 bits"),
        (LetsLevelsThrough, "is no pair"),
        (DependsOnKeyOrder, "became Ignored"),
        (PutsFramesInReasons, "too many"),
        (TakesRefusalsForAcks, "became Ack"),
        (SendsOneBatch, "topics in one request"),
        (ReusesIds, "do not count up"),
        (GuessesHosts, "where ConfigError was due"),
        (TakesAnyDepth, "where UsageError was due"),
        (ForgetsToEncode, "not percent-encoded"),
        (SendsABody, "no body"),
        (TradesNewestFirst, "oldest first"),
        (LeaksItsParser, "raised"),
        (BelievesAnotherBook, "was asked for"),
        (RaisesInClassify, "classify raised"),
        (MissesErrors, "no good answer"),
        (KnowsTooMuch, "does not say whether"),
        (ReadsHeadersByCase, "Retry-After"),
        (InventsLimits, "no limit of the driver"),
        (PingsTooRarely, "before its keepalive"),
        (NeverPings, "contradict"),
    ],
)
def test_a_broken_promise_is_found(broken: type[MockDriver], words: str) -> None:
    with pytest.raises(AssertionError, match=words):
        conformance.check_driver(broken(), samples())


def test_a_sample_that_means_nothing_is_no_proof() -> None:
    with pytest.raises(AssertionError, match="was ignored: kind"):
        conformance.check_frames(MockDriver(), [b"{}"])


@pytest.mark.parametrize(
    "event",
    [
        BookSnapshot("", "s", 1, [], [], 5),
        BookSnapshot("N", "s", 1, [], [], 0),
        BookDiff("N", "s", 5, 4, [], []),
        BookDiff("N", "s", 2**63, 2**63, [], []),
        BookDiff("N", "s", 1, 1, [("1",)], []),  # type: ignore[list-item] # that is the fault
        BookDiff("N", "s", 1, 1, [], [(1, 2)]),  # type: ignore[list-item] # that is the fault
        Ack(-1, True),
        Ignored(""),
        Ignored("x" * 41),
        Ignored("a\nb"),
    ],
)
def test_records_that_are_not_well_formed(event: Any) -> None:
    with pytest.raises(AssertionError):
        conformance.check_event(event)
