"""Checks that a driver keeps its word. Run them on your own, in a test::

    from thespian_connector.drivers.conformance import Samples, check_driver

    def test_my_driver_conforms():
        check_driver(MyDriver(), Samples(native="BTCUSDT", frames=(...), instruments=b"...", depth=b"...", ...))

`check_driver` runs all of them; each is also a function of its own, so that a failure can be looked at alone. They need
no network, take no time from a clock and try the same inputs in the same order in every run. A broken promise raises
:class:`AssertionError` with the input that broke it.

What is checked is what `net` relies on: whatever bytes come, `decode` and `classify` answer; what does not parse is
never a wrong record; a batch is never larger than the venue takes; an endpoint is never guessed.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import TypeVar

from msgspec import Struct

from thespian_connector.model import Channel, Environment
from thespian_connector.model.errors import (
    ConfigError,
    ConnectorError,
    ExchangeError,
    RateLimited,
    ServerFault,
    UsageError,
)
from thespian_connector.model.wire import Ack, Ignored

from ._mutations import NONSENSE, damaged, respelled
from ._records import INT_MAX, check_event, check_parsed
from .base import Driver, RestRequest, SubscribeFrame

__all__ = [
    "Samples",
    "check_classify",
    "check_constants",
    "check_damaged_frames",
    "check_driver",
    "check_endpoints",
    "check_event",
    "check_frames",
    "check_rest",
    "check_subscribe",
    "check_topics",
]

_T = TypeVar("_T")

#: `Ignored.reason` is a label of a counter: a driver has a few of them, each a short word.
REASONS_MAX = 16


class Samples(Struct, frozen=True, kw_only=True):
    """What the venue really sends: captured is better than written by hand.

    `native` is the instrument that every sample is about. `frames` are text frames of the market-data stream, of
    each kind that `decode` understands. The bodies are good answers to the requests of the same name.
    """

    native: str
    frames: tuple[bytes, ...]
    instruments: bytes
    depth: bytes
    trades: bytes
    ticker: bytes
    time: bytes
    #: The venue's acceptance of a subscribe frame of ours.
    accepted: Callable[[SubscribeFrame], bytes]
    #: The venue's refusal of one.
    refused: Callable[[SubscribeFrame], bytes]
    #: (status, headers, body) of error answers, and the error that each must become.
    errors: tuple[tuple[int, dict[str, str], bytes, type[ExchangeError]], ...] = ()


def check_driver(driver: Driver, samples: Samples) -> int:
    """Every check. Returns how many inputs were tried."""
    check_constants(driver)
    check_endpoints(driver)
    check_topics(driver, samples.native)
    check_subscribe(driver, samples)
    tried = check_frames(driver, samples.frames)
    tried += check_damaged_frames(driver, samples.frames)
    tried += check_rest(driver, samples)
    tried += check_classify(driver, samples)
    return tried


def check_constants(driver: Driver) -> None:
    """The class's own data is usable."""
    assert driver.exchange
    assert driver.exchange == driver.exchange.lower(), f"exchange {driver.exchange!r} must be lower case"
    assert driver.book_depths == tuple(sorted(set(driver.book_depths))), "book_depths must ascend"
    assert driver.book_depths
    assert driver.book_depths[0] > 0
    names = [limit.name for limit in driver.limits]
    assert len(names) == len(set(names)), f"limits of one name: {names}"
    for limit in driver.limits:
        assert limit.kind in ("weight", "requests", "connects"), limit
        assert limit.cap > 0, limit
        assert limit.window_s > 0, limit
    stream = driver.stream_limits
    assert min(stream.topics_max, stream.args_max) > 0, stream
    assert stream.silence_s > stream.keepalive_s, "a socket would be called dead before its keepalive was due"
    keepalive = driver.keepalive_frame(7)
    assert (keepalive is None) == (stream.keepalive_s == 0), "keepalive_s and keepalive_frame contradict each other"


def check_endpoints(driver: Driver) -> None:
    """Hosts are known or refused, never guessed; `urls` override; a wrong or unencrypted URL is a ConfigError."""
    good = {"rest": "http://127.0.0.1:8001", "stream": "ws://127.0.0.1:8002"}
    paper = driver.endpoints(Environment.PAPER, good)
    assert paper.rest == good["rest"], paper
    assert paper.stream == good["stream"], paper
    slashed = driver.endpoints(Environment.PAPER, {key: url + "/" for key, url in good.items()})
    assert slashed == paper, "a trailing slash of a URL must be taken off"
    assert driver.stream_url(paper).startswith(good["stream"]), driver.stream_url(paper)
    for key, url in good.items():
        _raises(ConfigError, partial(driver.endpoints, Environment.PAPER, {key: url}))
    wrong = [{"rest": good["stream"]}, {"stream": good["rest"]}, {"rest": "ftp://x"}, {"stream": "x"}]
    wrong += [{"rest": "http://"}, {"stream": "ws://[::1"}, {"rset": good["rest"]}]
    for urls in wrong:
        _raises(ConfigError, partial(driver.endpoints, Environment.PAPER, good | urls))
    for environment in (Environment.LIVE, Environment.TESTNET, Environment.DEMO):
        try:
            hosts = driver.endpoints(environment, {})
        except ConfigError:
            continue  # a venue need not have every environment, but it must say so
        for url in (hosts.rest, hosts.stream, hosts.ws_api, hosts.private, hosts.trade):
            assert not url.endswith("/"), url
            assert not url or url.startswith(("https://", "wss://")), f"{environment}: {url} is not encrypted"
        other = driver.endpoints(environment, {"rest": "https://other.example"})
        assert other.rest == "https://other.example", other
        assert other.stream == hosts.stream, "overriding one host must leave the others"
        for urls in ({"rest": "http://other.example"}, {"stream": "ws://other.example"}):
            _raises(ConfigError, partial(driver.endpoints, environment, urls))


def check_topics(driver: Driver, native: str) -> None:
    """Each channel has topics; a depth that is not streamed is refused, saying which are."""
    for channel in Channel:
        topics = driver.topics(channel, native)
        assert topics, channel
        assert len(topics) == len(set(topics)), topics
    for depth in driver.book_depths:
        assert len(driver.topics(Channel.BOOK, native, depth)) == 1, depth
    assert driver.topics(Channel.BOOK, native) == driver.topics(Channel.BOOK, native, driver.book_depths[-1])
    for depth in (-1, 10**9):
        error = _raises(UsageError, partial(driver.topics, Channel.BOOK, native, depth))
        assert str(driver.book_depths[-1]) in str(error), f"{error} must say which depths there are"
    fresh = driver.freshness_topics(native)
    assert len(fresh) == len(set(fresh)), fresh


def check_subscribe(driver: Driver, samples: Samples) -> None:
    """Batches respect `stream_limits`, ids count up, no topic is lost or doubled, and acks are understood."""
    size = driver.stream_limits.args_max
    for make in (driver.subscribe, driver.unsubscribe):
        assert make([], 1) == []
        for count in sorted({1, size, size + 1, min(3 * size + 1, driver.stream_limits.topics_max)}):
            topics = [topic for number in range(count) for topic in driver.topics(Channel.TRADE, f"T{number}")]
            frames = make(topics, 41)
            ids = [frame.request_id for frame in frames]
            assert ids == list(range(41, 41 + len(frames))), f"request ids {ids} do not count up from 41"
            sent = [topic for frame in frames for topic in frame.topics]
            assert sent == topics, f"{topics} became {sent}"
            for frame in frames:
                assert 0 < len(frame.topics) <= size, f"{len(frame.topics)} topics in one request"
                json.loads(frame.frame)
                assert all(topic in frame.frame for topic in frame.topics), frame
        topic = driver.topics(Channel.TRADE, samples.native)[0]
        assert [frame.topics for frame in make([topic, topic], 1)] == [(topic,)], "a topic asked for twice"
    for first in (1, 99, 2**31):
        frame = driver.subscribe(driver.topics(Channel.TRADE, samples.native), first)[0]
        for answer, ok in ((samples.accepted(frame), True), (samples.refused(frame), False)):
            ack = driver.decode(answer)
            assert isinstance(ack, Ack), f"{answer!r} became {ack!r}"
            assert ack.ok is ok, f"{answer!r} became {ack!r}"
            assert ack.request_id in (first, 0), f"{answer!r} became {ack!r}"


def check_frames(driver: Driver, frames: Iterable[bytes]) -> int:
    """Every frame means something, the same thing each time, in whatever order the venue spells its keys."""
    tried = 0
    for frame in frames:
        event = driver.decode(frame)
        assert not isinstance(event, Ignored), f"{frame[:300]!r} was ignored: {event.reason}"
        check_event(event)
        for other in (frame, *respelled(frame)):
            again = driver.decode(other)
            assert again == event, f"{other[:300]!r} became {again!r}, not {event!r}"
            tried += 1
    return tried


def check_damaged_frames(driver: Driver, frames: Iterable[bytes]) -> int:
    """`decode` answers whatever comes, with a record that is well formed, or with one of a few reasons."""
    reasons = set()
    tried = 0
    for frame in frames:
        for broken in damaged(frame):
            tried += 1
            event = _answer(partial(driver.decode, broken), "decode", broken)
            check_event(event)
            if isinstance(event, Ignored):
                reasons.add(event.reason)
    assert len(reasons) <= REASONS_MAX, f"reasons to ignore are labels of a counter, these are too many: {reasons}"
    return tried


def check_rest(driver: Driver, samples: Samples) -> int:
    """Requests are spelled for the wire; good bodies parse to what they say, damaged ones raise ServerFault only."""
    native = samples.native
    for request in (*_requests(driver, native), driver.instruments_request(), driver.time_request()):
        _request(request)
    for request in _requests(driver, "A&B=C D"):
        _request(request)
        assert "A&B=C" not in request.query, f"{request.query!r} is not percent-encoded"

    instruments = driver.parse_instruments(samples.instruments)
    assert native in [instrument.native for instrument in instruments], f"{native} is not in the sample listing"
    depth = driver.parse_depth(native, driver.book_depths[-1], samples.depth)
    assert max(len(depth.bids), len(depth.asks)) <= depth.limit, "more levels than were asked for"
    trades = driver.parse_trades(native, samples.trades)
    times = [trade.venue_time_ns for trade in trades]
    assert times == sorted(times), "trades must be oldest first"
    parsers: tuple[tuple[Callable[[bytes], object], bytes], ...] = (
        (driver.parse_instruments, samples.instruments),
        (lambda body: driver.parse_depth(native, 5, body), samples.depth),
        (lambda body: driver.parse_trades(native, body), samples.trades),
        (lambda body: driver.parse_ticker(native, body), samples.ticker),
        (driver.parse_time_ns, samples.time),
    )
    tried = 0
    for parse, body in parsers:
        good = parse(body)
        check_parsed(native, driver.exchange, good)
        for other in respelled(body):
            assert parse(other) == good, f"{other[:300]!r} was read as something else"
        for broken in damaged(body):
            tried += 1
            try:
                check_parsed(native, driver.exchange, parse(broken))
            except ServerFault:
                continue
            except Exception as error:
                raise AssertionError(f"parsing {broken[:300]!r} raised {error!r}") from error
    return tried


def check_classify(driver: Driver, samples: Samples) -> int:
    """`classify` and `usage` answer whatever comes; a status that is not 2xx is always an error of the tree."""
    good = (samples.instruments, samples.depth, samples.trades, samples.ticker, samples.time)
    for body in good:
        assert driver.classify(200, {}, body) is None, f"{body[:300]!r} is a good answer"
    for status, error_headers, body, kind in samples.errors:
        error = driver.classify(status, error_headers, body)
        assert type(error) is kind, f"HTTP {status} {body[:300]!r} became {error!r}, not {kind.__name__}"
    for status in (500, 502, 503, 504):
        error = driver.classify(status, {}, b"<html>Bad Gateway</html>")
        assert error is not None
        assert not error.outcome_known, f"HTTP {status} does not say whether the request was executed"
    bodies = [*NONSENSE, *(broken for _, _, body, _ in samples.errors if _is_json(body) for broken in damaged(body))]
    tried = 0
    for body in bodies:
        for status in (100, 200, 204, 302, 400, 401, 403, 404, 408, 418, 429, 451, 500, 503, 599):
            tried += 1
            error = _answer(partial(driver.classify, status, {}, body), "classify", body)
            if error is None:
                assert 200 <= status < 300, f"HTTP {status} is no good answer"
                continue
            assert isinstance(error, ExchangeError), error
            assert error.exchange == driver.exchange, f"{error!r} does not say whose it is"
    for value in ("", "-1", "9" * 400, "x", "1.5", "Wed, 21 Oct 2026 07:28:00 GMT", "\u0663"):
        for headers in _every_header(samples, value):
            for status in (200, 403, 418, 429):
                error = driver.classify(status, headers, b"{}")
                assert error is None or (error.retry_after_s or 0.0) >= 0.0, error
            for used in driver.usage(headers):
                assert used.limit in [limit.name for limit in driver.limits], f"{used} is about no limit of the driver"
                assert 0 <= used.used <= INT_MAX, used
    _check_header_case(driver)
    return tried


def _check_header_case(driver: Driver) -> None:
    lower, upper = driver.classify(429, {"retry-after": "7"}, b""), driver.classify(429, {"RETRY-AFTER": "7"}, b"")
    for error in (lower, upper):
        assert isinstance(error, RateLimited), f"HTTP 429 became {error!r}"
        assert error.retry_after_s == 7, f"Retry-After 7 became {error.retry_after_s}"


def _every_header(samples: Samples, value: str) -> Iterator[dict[str, str]]:
    names = {"Retry-After", *(name for _, headers, _, _ in samples.errors for name in headers)}
    for name in sorted(names):
        yield {name: value}


def _answer(call: Callable[[], _T], what: str, data: bytes) -> _T:
    try:
        return call()
    except Exception as error:
        raise AssertionError(f"{what} raised {error!r} on {data[:300]!r}") from error


def _raises(kind: type[ConnectorError], call: Callable[[], object]) -> ConnectorError:
    try:
        result = call()
    except kind as error:
        return error
    raise AssertionError(f"{result!r}, where {kind.__name__} was due")


def _requests(driver: Driver, native: str) -> list[RestRequest]:
    depths = [driver.depth_request(native, depth) for depth in (0, 1, 7, driver.book_depths[-1], 10**9)]
    return [
        *depths,
        driver.trades_request(native, 1),
        driver.trades_request(native, 10**9),
        driver.ticker_request(native),
    ]


def _request(request: RestRequest) -> None:
    assert request.method == "GET", request
    assert request.path.startswith("/"), request
    assert "?" not in request.path, request
    assert request.query.isascii(), request
    assert not set(request.query) & set(' "<>#'), f"{request.query!r} is not percent-encoded"
    assert not request.body, "a GET has no body"
    assert request.weight >= 1, request
    assert request.idempotent, "a read may be retried"
    assert request.surface == "public", request


def _is_json(body: bytes) -> bool:
    try:
        return isinstance(json.loads(body), dict)
    except (ValueError, RecursionError):
        return False
