"""An in-memory venue: no socket, no thread, no clock of its own. Everything that happens, a test makes happen."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qs

import msgspec

from thespian_connector.drivers.base import RestRequest
from thespian_connector.model import Level, Side, dec, text
from thespian_connector.model.private import BalanceReport, FillReport, OrderReport

from . import flow
from .driver import USED_HEADER, MockDriver, MockRestSnapshotDriver
from .market import Change, MockMarket
from .protocol import (
    BookFrame,
    DepthBody,
    InstrumentItem,
    InstrumentsBody,
    Request,
    TimeBody,
    TopFrame,
    TradeFrame,
    TradesBody,
    instrument,
)
from .service import MockAnswer, MockService, framed
from .session import MockSession
from .trading import ACCOUNT_TOPIC

NS = 1_000_000_000
#: The best prices are repeated by the first `advance` this long after they were last sent.
TOP_REPEAT_NS = 1 * NS
#: Requests that `requests` remembers; older ones are forgotten.
REQUESTS_MAX = 10_000

Number = str | int | Decimal


class MockVenue:
    """The mock venue. Symbols are ours (``BTC/USDT``); its own names have a dash (``BTC-USDT``, see `native`).

    `snapshot_by_rest` picks the manner of Binance (the book's snapshot is on REST) instead of Bybit's (on the stream);
    `driver` is the driver that fits. Equal calls in equal order give equal frames, byte by byte.
    """

    def __init__(
        self,
        symbols: Sequence[str] = ("BTC/USDT",),
        *,
        seed: int = 0,
        tick_size: Number = "0.01",
        step_size: Number = "0.0001",
        start_ns: int = 1_700_000_000 * NS,
        snapshot_by_rest: bool = False,
    ) -> None:
        tick, step = dec(tick_size, "tick_size"), dec(step_size, "step_size")
        self.driver: MockDriver = MockRestSnapshotDriver() if snapshot_by_rest else MockDriver()
        self.time_ns = start_ns
        self.sessions: list[MockSession] = []
        self.requests: deque[RestRequest] = deque(maxlen=REQUESTS_MAX)
        self._markets = {symbol: MockMarket(symbol, tick, step) for symbol in symbols}
        self._by_native = {market.native: market for market in self._markets.values()}
        self._random = flow.SplitMix64(seed)
        self._middles: dict[str, Decimal] = {}
        self._top_sent_ns = dict.fromkeys(self._markets, start_ns)
        self._lost = dict.fromkeys(self._markets, 0)
        self._failures: deque[MockAnswer] = deque()
        self._refusals: deque[str] = deque()
        self._silent = False
        self._used = 0
        listed = {market.native: instrument(msgspec.to_builtins(_listed(market))) for market in self._markets.values()}
        self._service = MockService(self._by_native, {name: one for name, one in listed.items() if one}, self)

    # -- what a client does

    def connect(self) -> MockSession:
        """A new market-data connection."""
        session = MockSession(self._on_request)
        self.sessions.append(session)
        return session

    def request(self, request: RestRequest) -> MockAnswer:
        """Answers a REST request of the driver."""
        self.requests.append(request)
        self._used += 1
        if self._failures:
            return self._failures.popleft()
        if self._service.serves(request.path):
            status, body = self._service.answer(request)
            return MockAnswer(status, {USED_HEADER: str(self._used)}, body)
        query = {key: values[-1] for key, values in parse_qs(request.query).items()}
        serve = self._routes().get(request.path)
        if serve is None or request.method != "GET":
            return _error(404, "no such path")
        market = self._by_native.get(query.get("native", ""))
        if market is None and request.path not in ("/instruments", "/time"):
            return _error(400, "no such instrument")
        found = serve(market, query)
        if found is None:
            return _error(404, "no trade yet")
        return MockAnswer(200, {USED_HEADER: str(self._used)}, _json(found))

    # -- what a test makes happen

    def set_level(self, symbol: str, side: Side | str, price: Number, quantity: Number) -> int:
        """A level now has `quantity` (0: it is gone). One update; returns its id."""
        return self.set_levels(symbol, [(side, price, quantity)])

    def set_levels(self, symbol: str, levels: Sequence[tuple[Side | str, Number, Number]]) -> int:
        """Several levels in one update; returns its id.

        :raises ValueError: a price that is not positive, a negative quantity, no such side.
        """
        changes = [
            (Side.of(side, "side"), dec(price, "price"), dec(amount, "quantity")) for side, price, amount in levels
        ]
        return self._update(self._market(symbol), changes)

    def fill(self, symbol: str, middle: Number, levels: int = 20) -> int:
        """A seeded book around `middle`, one tick a level; the start of `run`. One update; returns its id."""
        market, self._middles[symbol] = self._market(symbol), dec(middle, "middle")
        return self._update(market, flow.initial(market, self._random, self._middles[symbol], levels))

    def run(self, updates: int, every_ns: int = 1_000_000) -> None:
        """A seeded flow: `updates` book updates over the symbols that were filled, every eighth with a trade.

        :raises ValueError: no symbol was filled.
        """
        symbols = sorted(self._middles)
        if not symbols:
            raise ValueError("fill a symbol first: there is no price to start from")
        for _ in range(updates):
            self.advance(every_ns)
            symbol = symbols[self._random.below(len(symbols))]
            market = self._markets[symbol]
            self._middles[symbol], changes = flow.step(market, self._random, self._middles[symbol])
            self._update(market, changes)
            aggressor = (Side.BUY, Side.SELL)[self._random.below(2)]
            resting = market.levels(Side.SELL if aggressor is Side.BUY else Side.BUY, 1)
            if resting and self._random.below(8) == 0:
                self.trade(symbol, aggressor, resting[0].price, market.step_size)

    def trade(self, symbol: str, aggressor: Side | str, price: Number, quantity: Number) -> str:
        """Prints a trade, and the ticker it changes; the book stays as it is. Returns the trade's id."""
        market = self._market(symbol)
        side = Side.of(aggressor, "aggressor")
        number = self.print_trade(market, side, dec(price, "price"), dec(quantity, "quantity"))
        self._service.desk.on_market(market)
        return number

    def print_trade(self, market: MockMarket, aggressor: Side, price: Decimal, quantity: Decimal) -> str:
        """Of the desk: a trade is printed, of which it knows already."""
        item = market.trade(aggressor, price, quantity, self.time_ns)
        self._publish(f"trade.{market.native}", TradeFrame(stream=f"trade.{market.native}", trades=[item]))
        ticker = market.ticker(self.time_ns)
        assert ticker is not None, "there was a trade"
        ticker.stream, ticker.kind = f"ticker.{market.native}", "ticker"
        self._publish(ticker.stream, ticker)
        return item.id

    def take(self, market: MockMarket, changes: list[Change]) -> None:
        """Of the desk: an order of ours used up levels of the book."""
        self._update(market, changes)

    def tell(self, record: OrderReport | FillReport | BalanceReport) -> None:
        """Of the desk: something of our account changed."""
        name = {OrderReport: "order", FillReport: "fill", BalanceReport: "balance"}[type(record)]
        self._publish(ACCOUNT_TOPIC, {"stream": ACCOUNT_TOPIC, name: record})

    def deposit(self, asset: str, quantity: Number) -> None:
        """Our account has more of an asset; less, if `quantity` is negative. It begins with nothing.

        :raises ValueError: less than nothing would be free.
        """
        self._service.desk.deposit(asset, dec(quantity, "quantity"))

    def advance(self, duration_ns: int) -> None:
        """Lets time pass. Best prices that were last sent `TOP_REPEAT_NS` ago are sent again: proof of freshness."""
        self.time_ns += duration_ns
        for symbol, sent_ns in self._top_sent_ns.items():
            if self.time_ns - sent_ns >= TOP_REPEAT_NS:
                self._send_top(self._markets[symbol])

    # -- faults

    def lose_frames(self, symbol: str, count: int = 1) -> None:
        """The next `count` updates of this book happen and are never sent: a gap."""
        self._lost[self._market(symbol).symbol] += count

    def send_raw(self, frame: bytes) -> None:
        """Sends any bytes to every connection."""
        for session in self.sessions:
            session.deliver(frame)

    def silence(self, silent: bool = True) -> None:
        """While silent, connections stay open and nothing at all is sent on them; what happens meanwhile is lost."""
        self._silent = silent

    def fail_requests(
        self, status: int, count: int = 1, headers: Mapping[str, str] | None = None, body: bytes = b""
    ) -> None:
        """The next `count` REST requests get this answer."""
        self._failures.extend([MockAnswer(status, dict(headers or {}), body)] * count)

    def lose_answers(self, count: int = 1) -> None:
        """The next `count` requests of orders and account are carried out, and answered by a gateway's 504."""
        self._service.answers_lost += count

    def refuse_subscribe(self, message: str = "refused", count: int = 1) -> None:
        """The next `count` subscribe requests are refused as a whole."""
        self._refusals.extend([message] * count)

    def announce_shutdown(self) -> None:
        """Tells every connection that the venue will close it; `drop_sessions` does."""
        self._reply_all({"shutdown": True})

    def drop_sessions(self) -> None:
        """Closes every connection."""
        for session in self.sessions:
            session.close()
        self.sessions.clear()

    # -- the truth

    def native(self, symbol: str) -> str:
        return self._market(symbol).native

    def update_id(self, symbol: str) -> int:
        """The id of the last update of the book, whether or not it was sent."""
        return self._market(symbol).update_id

    def book(self, symbol: str) -> tuple[tuple[Level, ...], tuple[Level, ...]]:
        """The true (bids, asks), best first, whole."""
        market = self._market(symbol)
        return market.levels(Side.BUY), market.levels(Side.SELL)

    # -- inside

    def _market(self, symbol: str) -> MockMarket:
        try:
            return self._markets[symbol]
        except KeyError:
            raise ValueError(f"symbol: the mock venue has {', '.join(self._markets)}, not {symbol!r}") from None

    def _update(self, market: MockMarket, changes: Sequence[Change]) -> int:
        before = market.best(Side.BUY), market.best(Side.SELL)
        spelled = market.apply(changes)
        if self._lost[market.symbol]:
            self._lost[market.symbol] -= 1
        else:
            self._publish(
                f"book.{market.native}", self._book_frame(market, "diff", spelled[Side.BUY], spelled[Side.SELL])
            )
        if before != (market.best(Side.BUY), market.best(Side.SELL)):
            self._send_top(market)
        update_id = market.update_id
        self._service.desk.on_market(market)  # which may go on to take levels of it
        return update_id

    def _book_frame(
        self, market: MockMarket, kind: str, bids: list[tuple[str, str]], asks: list[tuple[str, str]]
    ) -> BookFrame:
        stream = f"book.{market.native}"
        return BookFrame(stream=stream, kind=kind, id=market.update_id, time_ns=self.time_ns, bids=bids, asks=asks)

    def _send_top(self, market: MockMarket) -> None:
        self._top_sent_ns[market.symbol] = self.time_ns
        self._publish(f"top.{market.native}", self._top(market))

    def _top(self, market: MockMarket) -> TopFrame:
        bid, ask = market.best(Side.BUY), market.best(Side.SELL)
        return TopFrame(stream=f"top.{market.native}", id=market.update_id, time_ns=self.time_ns, bid=bid, ask=ask)

    def _publish(self, topic: str, frame: Any) -> None:
        if self._silent:
            return
        encoded = _json(frame)
        for session in self.sessions:
            if topic in session.topics:
                session.deliver(encoded)

    def _reply_all(self, message: Any) -> None:
        if not self._silent:
            self.send_raw(_json(message))

    def _on_request(self, session: MockSession, request: Request) -> None:
        if self._silent:
            return
        if request.op == "ping":
            session.deliver(_json({"pong": request.id}))
            return
        if request.op == "request":
            answer = self.request(framed(request))
            body = msgspec.Raw(answer.body or b"null")
            session.deliver(_json({"answer": str(request.id), "status": answer.status, "body": body}))
            return
        problem = self._problem(session, request)
        session.deliver(_json({"reply": request.id, "ok": not problem, "message": problem}))
        if problem:
            return
        if request.op == "login":
            session.logged_in = True
            return
        if request.op == "unsubscribe":
            session.topics.difference_update(request.topics)
            return
        for topic in dict.fromkeys(request.topics):
            session.topics.add(topic)
            self._first(session, topic)

    def _problem(self, session: MockSession, request: Request) -> str:
        """Why a request is refused as a whole; "" when it is not."""
        if request.op == "login":
            return self._service.problem(request.headers)
        if request.op not in ("subscribe", "unsubscribe"):
            return f"no such op: {request.op}"
        if len(request.topics) > self.driver.stream_limits.args_max:
            return f"more than {self.driver.stream_limits.args_max} topics"
        for topic in request.topics:
            channel, _, native = topic.partition(".")
            if topic == ACCOUNT_TOPIC and session.logged_in:
                continue
            if channel not in ("book", "top", "trade", "ticker") or native not in self._by_native:
                return f"no such topic: {topic}"
        return self._refusals.popleft() if self._refusals and request.op == "subscribe" else ""

    def _first(self, session: MockSession, topic: str) -> None:
        """What a subscription begins with: a book's snapshot (where the stream has it), the best prices."""
        if topic == ACCOUNT_TOPIC:
            return
        channel, _, native = topic.partition(".")
        market = self._by_native[native]
        if channel == "book" and not self.driver.snapshot_by_rest:
            frame = self._book_frame(market, "snapshot", market.wire(Side.BUY), market.wire(Side.SELL))
            session.deliver(_json(frame))
        elif channel == "top":
            session.deliver(_json(self._top(market)))

    def _routes(self) -> dict[str, Callable[[Any, dict[str, str]], Any]]:
        return {
            "/instruments": lambda _market, _query: InstrumentsBody([_listed(m) for m in self._markets.values()]),
            "/depth": self._depth,
            "/trades": lambda market, query: TradesBody(
                native=market.native, trades=list(market.tape)[-int(query["limit"]) :]
            ),
            "/ticker": self._ticker,
            "/time": lambda _market, _query: TimeBody(self.time_ns),
        }

    def _depth(self, market: MockMarket, query: dict[str, str]) -> DepthBody:
        bids, asks = (market.wire(side, int(query["depth"])) for side in (Side.BUY, Side.SELL))
        return DepthBody(native=market.native, id=market.update_id, time_ns=self.time_ns, bids=bids, asks=asks)

    def _ticker(self, market: MockMarket, _query: dict[str, str]) -> Any:
        ticker = market.ticker(self.time_ns)
        if ticker is not None:
            ticker.native = market.native
        return ticker


def _listed(market: MockMarket) -> InstrumentItem:
    return InstrumentItem(
        native=market.native,
        base=market.base,
        quote=market.quote,
        tick_size=text(market.tick_size),
        step_size=text(market.step_size),
    )


def _error(status: int, words: str) -> MockAnswer:
    return MockAnswer(status, {}, _json({"error": words}))


def _json(value: Any) -> bytes:
    return msgspec.json.encode(value)
