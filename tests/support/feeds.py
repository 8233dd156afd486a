"""What the feed tests share: a session over scripted servers, its events, and a REST that answers what it is told."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from types import TracebackType
from typing import Any, Self

from thespian_connector.drivers.base import Driver, Endpoints
from thespian_connector.drivers.binance.driver import BinanceDriver
from thespian_connector.drivers.bybit.driver import BybitDriver
from thespian_connector.model import Channel, Instrument, InstrumentStatus, OrderBook, Trust
from thespian_connector.model.wire import BookSnapshot
from thespian_connector.net.events import BookChanged, FeedEvent, FeedMarker, FeedTiming, Subscription
from thespian_connector.net.feed import FeedSession

from .stream_server import Peer, StreamServer
from .waiting import wait_until

BINANCE, BYBIT = BinanceDriver(), BybitDriver()

#: Short enough for tests, long enough for a busy machine; a test names the interval that it is about.
QUICK = FeedTiming(
    connect_s=60,
    reconnect_first_s=0.02,
    reconnect_max_s=0.2,
    ack_s=60,
    snapshot_quiet_s=0.1,
    snapshot_retry_first_s=0.02,
    snapshot_retry_max_s=0.1,
    refill_every_s=0.05,
    silence_check_s=30,
    silence_check_every_s=0.02,
    audit_s=1000,
    stale_rest_s=60,
    stale_stream_s=60,
    silent_reconnect_s=120,
    resubscribe_s=60,
    held_up_s=60,
    lag_stale_s=60,
    tick_s=0.02,
)


def instrument(exchange: str, symbol: str = "BTC/USDT") -> Instrument:
    base, quote = symbol.split("/")
    return Instrument(
        exchange=exchange,
        symbol=symbol,
        native=base + quote,
        base=base,
        quote=quote,
        status=InstrumentStatus.TRADING,
        tick_size=Decimal("0.01"),
        step_size=Decimal("0.00001"),
    )


class ScriptedRest:
    """`depth` takes the next answer that was put for the symbol; without one it waits until there is."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, int]] = []
        self.threads: set[int] = set()
        self._answers: dict[str, deque[BookSnapshot | Exception]] = {}
        self._change = threading.Condition()
        self._closed = False

    def put(self, native: str, *answers: BookSnapshot | Exception) -> None:
        with self._change:
            self._answers.setdefault(native, deque()).extend(answers)
            self._change.notify_all()

    def close(self) -> None:
        with self._change:
            self._closed = True
            self._change.notify_all()

    def depth(self, native: str, depth: int, *, deadline_s: float | None = None) -> BookSnapshot:
        with self._change:
            self.asked.append((native, depth))
            self.threads.add(threading.get_ident())
            self._change.wait_for(lambda: self._closed or self._answers.get(native))
            if self._closed:
                raise ConnectionAbortedError("the test is over")
            answer = self._answers[native].popleft()
        if isinstance(answer, Exception):
            raise answer
        return answer


class Feed:
    """A session with its server: ``with Feed(BINANCE, ["BTC/USDT"]) as feed: peer = feed.server.accept(); ...``"""

    def __init__(
        self,
        driver: Driver,
        symbols: Sequence[str] = ("BTC/USDT",),
        *,
        channels: Iterable[Channel] = (Channel.BOOK,),
        timing: FeedTiming = QUICK,
        on_event: Callable[[FeedEvent], None] | None = None,
        depth: int = 0,
        scripted_rest: bool = True,
        **keywords: Any,
    ) -> None:
        self.server = StreamServer()
        self.rest = ScriptedRest()
        self.events: list[FeedEvent] = []
        #: (symbol, trust, update id, best bid price, best ask price) at each BookChanged.
        self.books: list[tuple[str, Trust, int, Any, Any]] = []
        self.failures: list[BaseException] = []
        self._then = on_event
        self.threads_before = set(threading.enumerate())
        try:
            self.session = FeedSession(
                driver,
                Endpoints(rest="http://127.0.0.1:1", stream=self.server.url),
                {symbol: instrument(driver.exchange, symbol) for symbol in symbols},
                [Subscription(symbol, frozenset(channels), depth) for symbol in symbols],
                self._event,
                rest=self.rest if scripted_rest and driver.snapshot_by_rest else None,
                timing=timing,
                on_failure=self.failures.append,
                **keywords,
            )
        except BaseException:
            self.server.__exit__()
            raise

    def _event(self, event: FeedEvent) -> None:
        if isinstance(event, BookChanged):
            bid, ask = event.tracked.best()
            tracked = event.tracked
            prices = (bid and bid.price, ask and ask.price)
            self.books.append((event.symbol, tracked.trust, tracked.update_id, *prices))
        else:
            self.events.append(event)
        if self._then is not None:
            self._then(event)

    def __enter__(self) -> Self:
        self.session.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.rest.close()
        ended = self.session.stop(60)
        self.server.__exit__()
        if kind is None:
            assert ended, "stop() left a thread behind"
            left = {t for t in set(threading.enumerate()) - self.threads_before if t.name.startswith("feed")}
            assert not left, f"threads left behind: {left}"

    def book(self, symbol: str = "BTC/USDT") -> OrderBook:
        return self.session.book(symbol)

    def trust(self, symbol: str = "BTC/USDT") -> Trust:
        return self.session.book(symbol).trust

    def wait_trust(self, trust: Trust, symbol: str = "BTC/USDT", timeout_s: float = 60) -> OrderBook:
        wait_until(lambda: self.trust(symbol) is trust, timeout_s, f"{symbol} {trust}; {self.session.counters}")
        return self.book(symbol)

    def wait_update(self, update_id: int, symbol: str = "BTC/USDT") -> OrderBook:
        wait_until(lambda: self.book(symbol).update_id == update_id, 60, f"update {update_id}; {self.session.counters}")
        return self.book(symbol)

    def wait_count(self, name: str, least: int = 1, timeout_s: float = 60) -> None:
        wait_until(lambda: self.session.counters.get(name, 0) >= least, timeout_s, f"{name} >= {least}")

    def markers(self, what: str, symbol: str = "BTC/USDT") -> list[FeedMarker]:
        return [e for e in self.events if isinstance(e, FeedMarker) and e.what == what and e.symbol == symbol]


# -- Binance on the wire


def b_snapshot(update_id: int, *, bid: str = "100.00", ask: str = "101.00", native: str = "BTCUSDT") -> BookSnapshot:
    return BookSnapshot(native, "", update_id, [(bid, "1")], [(ask, "1")], 1000)


def b_diff(first: int, last: int, *, bids: Any = (), asks: Any = (), native: str = "BTCUSDT", time_ms: int = 0) -> Any:
    stream = f"{native.lower()}@depth@100ms"
    data = {"e": "depthUpdate", "E": time_ms, "s": native, "U": first, "u": last, "b": list(bids), "a": list(asks)}
    return {"stream": stream, "data": data}


def b_ack(peer: Peer, *, refuse: Callable[[list[str]], bool] = lambda topics: False) -> list[str]:
    """Answer the client's next request; returns its topics."""
    request = peer.expect()
    if refuse(request["params"]):
        peer.send({"error": {"code": 2, "msg": "Invalid request: invalid stream"}, "id": request["id"]})
    else:
        peer.send({"result": None, "id": request["id"]})
    return list(request["params"])


def b_live(feed: Feed, *, update_id: int = 10) -> Peer:
    """Connect, subscribe, snapshot, one update (`update_id + 1`): LIVE."""
    peer = feed.server.accept()
    b_ack(peer)
    feed.rest.put("BTCUSDT", b_snapshot(update_id))
    peer.send(b_diff(update_id + 1, update_id + 1, bids=[["100.50", "2"]]))
    book = feed.wait_trust(Trust.LIVE)
    assert book.update_id == update_id + 1
    return peer


# -- Bybit on the wire


def y_book(
    kind: str, u: int, *, bids: Any = (), asks: Any = (), seq: int = 0, depth: int = 50, time_ms: int = 0
) -> Any:
    data = {"s": "BTCUSDT", "b": list(bids), "a": list(asks), "u": u, "seq": seq or u * 10}
    return {"topic": f"orderbook.{depth}.BTCUSDT", "type": kind, "ts": time_ms, "data": data, "cts": time_ms}


def y_ack(peer: Peer, *, ok: bool = True, words: str = "") -> tuple[str, list[str]]:
    request = peer.expect()
    peer.send({"success": ok, "ret_msg": words, "conn_id": "c", "req_id": request["req_id"], "op": request["op"]})
    return request["op"], list(request["args"])


def y_live(feed: Feed) -> Peer:
    """Connect, subscribe, the stream's snapshot (u=7): LIVE."""
    peer = feed.server.accept()
    y_ack(peer)
    peer.send(y_book("snapshot", 7, bids=[["100", "1"]], asks=[["101", "1"]]))
    feed.wait_trust(Trust.LIVE)
    return peer
