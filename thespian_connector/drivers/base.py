"""What a driver is: one venue's protocol as pure functions. Bytes in, records out; no socket, no clock, no thread.

Every venue has the same skeleton, one module a concern::

    endpoints.py   hosts of production, testnet, demo; paper takes its URLs from the config
    symbols.py     instruments: the venue's listing -> model.Instrument
    market.py      requests and frames of market data -> model.wire records
    errors.py      (status, headers, body) -> the error tree
    limits.py      the venue's limits as data
    driver.py      the class that puts them together

The shells in `net` own sockets and time and ask the driver what to send and what an answer means.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from enum import Enum
from typing import ClassVar

from msgspec import Struct

from thespian_connector.model import Channel, Environment, Instrument
from thespian_connector.model.errors import ExchangeError
from thespian_connector.model.wire import BookSnapshot, WireEvent, WireTicker, WireTrade


class Sequencing(Enum):
    """How a venue numbers its book updates; `books.sequencer` has the rule of each."""

    #: Binance: an event spans ids U..u and follows when ``U <= last + 1``.
    RANGE = "range"
    #: Bybit: each message's u is the last one's plus one; a snapshot or ``u == 1`` starts anew.
    STEP = "step"


class Endpoints(Struct, frozen=True, kw_only=True):
    """Base URLs without a trailing slash. `ws_api` (Binance) and `private`, `trade` (Bybit) are "" where none."""

    rest: str
    stream: str
    ws_api: str = ""
    private: str = ""
    trade: str = ""


class Limit(Struct, frozen=True, kw_only=True):
    """One limit of the venue on an IP: `cap` units a window of `window_s`; `aligned` windows start on the clock's
    multiples (Binance), others roll (Bybit). `kind` is "weight", "requests" or "connects". `reported`: the headers of
    every answer tell how much of it is used (`Driver.usage`), so that one cheap request is enough to learn it."""

    name: str
    kind: str
    cap: int
    window_s: int
    aligned: bool
    reported: bool = False


class StreamLimits(Struct, frozen=True, kw_only=True):
    """What one market-data connection may do."""

    topics_max: int
    #: Topics in one subscribe request.
    args_max: int
    #: Characters of all topics of a connection together (0: no limit).
    args_text_max: int = 0
    #: Frames we may send in a second, control frames included (0: no limit).
    inbound_per_s: int = 0
    #: The venue cuts every connection after this long (0: it does not).
    lifetime_s: int = 0
    #: We must send `keepalive_frame` this often (0: never; the venue pings us).
    keepalive_s: float = 0.0
    #: Something, if only a ping or a pong, comes at least this often; a longer silence means a dead socket.
    silence_s: float = 30.0


class RestRequest(Struct, frozen=True, kw_only=True):
    """One HTTP request, already spelled as it goes on the wire: `query` is percent-encoded and never re-encoded.

    `weight` is its cost in units of the venue's "weight" limit (1 where the venue only counts requests).
    `idempotent` requests may be retried. `surface` names the breaker: "public", "private" or "orders". `headers` are
    those that the venue wants beside the transport's own (key, signature, content type); they are never logged.
    """

    method: str
    path: str
    query: str = ""
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()
    weight: int = 1
    idempotent: bool = True
    surface: str = "public"

    def __repr__(self) -> str:
        """Neither query, body nor headers: they may hold a key and a signature."""
        return f"RestRequest({self.method} {self.path}, weight {self.weight})"


class Usage(Struct, frozen=True):
    """What a response's headers say about one limit: `used` units of the window that is current at the venue."""

    limit: str
    used: int


class SubscribeFrame(Struct, frozen=True):
    """One frame to send, and the topics that it is about; the venue's Ack carries `request_id` (or 0)."""

    request_id: int
    topics: tuple[str, ...]
    frame: str


class Driver(ABC):
    """Market half of a venue's driver. Stateless: one instance may serve any number of sessions and threads."""

    exchange: ClassVar[str]
    sequencing: ClassVar[Sequencing]
    #: The book's first snapshot must be fetched over REST (Binance) rather than coming on the stream (Bybit).
    snapshot_by_rest: ClassVar[bool]
    #: Depths that a book subscription may ask for; the largest is what a caller gets who asks for none.
    book_depths: ClassVar[tuple[int, ...]]
    #: Public trades of one symbol are numbered without holes (Binance), so that missed ones can be counted.
    trade_ids_contiguous: ClassVar[bool] = False
    limits: ClassVar[tuple[Limit, ...]]
    #: Codes of a RateLimited that speaks of the account, not of the IP: other processes need not pause for it.
    account_limit_codes: ClassVar[frozenset[int]] = frozenset()
    stream_limits: ClassVar[StreamLimits]

    @abstractmethod
    def endpoints(self, environment: Environment, urls: Mapping[str, str]) -> Endpoints:
        """The hosts of `environment`; `urls` (keys as Endpoints' fields) override. PAPER has none of its own.

        :raises ConfigError: PAPER without `rest` and `stream`; a key that is no endpoint; a URL of the wrong scheme.
        """

    # -- REST

    @abstractmethod
    def instruments_request(self) -> RestRequest: ...

    @abstractmethod
    def parse_instruments(self, body: bytes) -> list[Instrument]:
        """Every instrument of the listing. One that cannot be understood is left out, never guessed.

        :raises ServerFault: the body is not a listing. (So do the other parsers when theirs is not.)
        """

    def limits_of(self, instruments_body: bytes) -> tuple[Limit, ...]:  # noqa: ARG002 - for venues that tell
        """The IP's limits as the listing tells them (Binance does); else the defaults, `limits`. Never raises."""
        return self.limits

    @abstractmethod
    def depth_request(self, native: str, depth: int) -> RestRequest:
        """`depth` is rounded up to what the venue serves, or down to the most it serves."""

    @abstractmethod
    def parse_depth(self, native: str, depth: int, body: bytes) -> BookSnapshot: ...

    @abstractmethod
    def trades_request(self, native: str, limit: int) -> RestRequest: ...

    @abstractmethod
    def parse_trades(self, native: str, body: bytes) -> list[WireTrade]:
        """Oldest first."""

    @abstractmethod
    def ticker_request(self, native: str) -> RestRequest: ...

    @abstractmethod
    def parse_ticker(self, native: str, body: bytes) -> WireTicker: ...

    @abstractmethod
    def time_request(self) -> RestRequest: ...

    @abstractmethod
    def parse_time_ns(self, body: bytes) -> int: ...

    @abstractmethod
    def classify(self, status: int, headers: Mapping[str, str], body: bytes) -> ExchangeError | None:
        """The error in an answer, None if there is none. Header names may be of any case. Never raises."""

    @abstractmethod
    def usage(self, headers: Mapping[str, str]) -> list[Usage]:
        """What the headers tell of the IP's limits; an unreadable header is left out."""

    # -- streams

    @abstractmethod
    def stream_url(self, endpoints: Endpoints) -> str:
        """The URL of a market-data connection on which topics are then subscribed by frames."""

    @abstractmethod
    def topics(self, channel: Channel, native: str, depth: int = 0) -> tuple[str, ...]:
        """The venue's stream names that carry `channel` (a ticker may need two).

        :raises UsageError: a depth that the venue does not stream; the message lists those it does.
        """

    @abstractmethod
    def freshness_topics(self, native: str) -> tuple[str, ...]:
        """Streams that repeat even in a quiet market and so prove freshness (Bybit); () where REST must (Binance)."""

    @abstractmethod
    def subscribe(self, topics: Iterable[str], first_request_id: int) -> list[SubscribeFrame]:
        """Frames, within the venue's batch limits, with consecutive request ids."""

    @abstractmethod
    def unsubscribe(self, topics: Iterable[str], first_request_id: int) -> list[SubscribeFrame]: ...

    @abstractmethod
    def decode(self, frame: bytes) -> WireEvent:
        """What a text frame says. Never raises: what is not understood is `Ignored` with the reason."""

    @abstractmethod
    def keepalive_frame(self, request_id: int) -> str | None:
        """The venue's own ping message; None where WebSocket pongs to its pings are enough."""
