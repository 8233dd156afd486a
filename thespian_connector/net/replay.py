"""A capture through the same code that live traffic takes: driver, sequencer, book. No socket, no clock: time is the
capture's. What comes out is the same in every run.

A REST book takes its updates one by one also where live code would join a snapshot with all that waited for it, so that
a gap among those is reported with the line of the update that showed it.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable
from urllib.parse import parse_qs, urlsplit

from msgspec import UNSET, Struct, UnsetType

from thespian_connector.books.states import Outcome
from thespian_connector.books.tracked import TrackedBook
from thespian_connector.drivers.base import Driver
from thespian_connector.limits import BOOK_BUFFER_DIFFS_MAX, REPLAY_WARNINGS_MAX
from thespian_connector.model import Trust, text
from thespian_connector.model.errors import ServerFault
from thespian_connector.model.wire import BookDiff, BookSnapshot, Ignored, WireTrades

from .capture import CaptureLine

Pairs = list[tuple[str, str]]


class ReplayLevels(Struct, frozen=True):
    """Every level held, (price, quantity), best first."""

    bids: Pairs
    asks: Pairs


class ReplayBook(Struct, frozen=True, kw_only=True):
    """What a capture made of one symbol. `bids`, `asks`: how many levels are held, certified or not. `applied` and
    `ignored` count messages of the depth stream; `gap_lines` are the lines (from 1) that showed an update missing.
    `reason`: why the book is not LIVE, "" if it is."""

    symbol: str
    update_id: int
    trust: Trust
    bids: int
    asks: int
    best_bid: str | None
    best_ask: str | None
    applied: int
    ignored: int
    gaps: int
    gap_lines: list[int]
    trades: int
    reason: str
    levels: ReplayLevels | UnsetType = UNSET


class _Symbol:
    """One instrument's book while the capture runs. What is never applied is ignored, such as what still waits."""

    def __init__(self, driver: Driver, native: str) -> None:
        self.native = native
        self.driver = driver
        self.stream = ""
        self.depth_messages = self.snapshots_applied = self.trades = 0
        self.gap_lines: list[int] = []
        #: Updates that wait for a snapshot, with their lines.
        self.waiting: deque[tuple[int, BookDiff]] = deque(maxlen=BOOK_BUFFER_DIFFS_MAX)
        self.tracked = TrackedBook(
            driver.exchange,
            native,
            "",
            sequencing=driver.sequencing.value,
            snapshot_by_rest=driver.snapshot_by_rest,
            depth=driver.book_depths[-1],
        )

    def on_diff(self, line: int, diff: BookDiff, now_ns: int) -> None:
        self.depth_messages += 1
        if self.driver.snapshot_by_rest and not self.tracked.joined:
            self.waiting.append((line, diff))
        else:
            self._take(line, diff, now_ns)

    def _take(self, line: int, diff: BookDiff, now_ns: int) -> None:
        if self.tracked.on_diff(diff, now_ns) is Outcome.GAP:
            self.gap_lines.append(line)

    def on_stream_snapshot(self, line: int, snapshot: BookSnapshot, now_ns: int) -> None:
        self.depth_messages += 1
        outcome = self.tracked.on_snapshot(snapshot, now_ns)
        self.snapshots_applied += outcome is Outcome.APPLIED
        if outcome is Outcome.GAP:
            self.gap_lines.append(line)

    def on_rest_snapshot(self, snapshot: BookSnapshot, now_ns: int) -> None:
        self.tracked.on_snapshot(snapshot, now_ns)
        while self.waiting and self.tracked.joined:
            line, diff = self.waiting.popleft()
            self._take(line, diff, now_ns)

    def result(self, symbol: str, dump: bool) -> ReplayBook:
        tracked = self.tracked
        applied = tracked.counts.applied + self.snapshots_applied
        bids, asks = tracked.all_levels()
        levels: ReplayLevels | UnsetType = UNSET
        if dump:
            sides = [[(text(level.price), text(level.quantity)) for level in side] for side in (bids, asks)]
            levels = ReplayLevels(*sides)
        return ReplayBook(
            symbol=symbol,
            update_id=tracked.update_id,
            trust=tracked.trust,
            bids=len(bids),
            asks=len(asks),
            best_bid=text(bids[0].price) if bids else None,
            best_ask=text(asks[0].price) if asks else None,
            applied=applied,
            ignored=self.depth_messages - applied,
            gaps=len(self.gap_lines),
            gap_lines=self.gap_lines,
            trades=self.trades,
            reason="" if tracked.trust is Trust.LIVE else tracked.reason,
            levels=levels,
        )


class Replay:
    """Feed it the lines of a capture in their order, then ask for `results`."""

    def __init__(self, driver: Driver) -> None:
        self.driver = driver
        #: What a reader of the results should know; at most REPLAY_WARNINGS_MAX, `warnings_more` are not shown.
        self.warnings: list[str] = []
        self.warnings_more = 0
        #: Frames that meant nothing to the driver, by its reason.
        self.ignored: Counter[str] = Counter()
        self._symbols: dict[str, _Symbol] = {}
        self._names: dict[str, str] = {}
        self._other_streams: set[str] = set()
        self._listing_path = driver.instruments_request().path
        self._depth_path = driver.depth_request("X", 1).path

    def feed_all(self, lines: Iterable[CaptureLine]) -> None:
        for line in lines:
            self.feed(line)

    def feed(self, line: CaptureLine) -> None:
        """Take one line. One that says nothing of books or trades changes nothing."""
        if line.kind == "ws":
            self._on_frame(line)
        elif line.kind == "rest":
            self._on_answer(line)

    def results(self, *, dump: bool = False) -> list[ReplayBook]:
        """One a symbol, in the order of their first appearance. `dump` adds the levels."""
        return [symbol.result(self._names.get(native, native), dump) for native, symbol in self._symbols.items()]

    def _on_frame(self, line: CaptureLine) -> None:
        event = self.driver.decode(line.payload)
        if isinstance(event, BookDiff):
            symbol = self._symbol(event.native)
            if self._is_its_stream(line, symbol, event.stream):
                symbol.on_diff(line.number, event, line.t)
        elif isinstance(event, BookSnapshot):
            symbol = self._symbol(event.native)
            if self._is_its_stream(line, symbol, event.stream):
                symbol.on_stream_snapshot(line.number, event, line.t)
        elif isinstance(event, WireTrades):
            for trade in event.trades:
                self._symbol(trade.native).trades += 1
        elif isinstance(event, Ignored):
            self.ignored[event.reason] += 1
            if event.reason.startswith(("malformed", "not ")):
                self._warn(f"line {line.number}: a frame was ignored: {event.reason}")

    def _on_answer(self, line: CaptureLine) -> None:
        try:
            url = urlsplit(line.url)
            fields = parse_qs(url.query)
        except ValueError:
            self._warn(f"line {line.number}: {line.url[:100]!r} is no URL")
            return
        try:
            if url.path.endswith(self._listing_path):
                for instrument in self.driver.parse_instruments(line.payload):
                    self._names[instrument.native] = instrument.symbol
            elif url.path.endswith(self._depth_path) and self.driver.snapshot_by_rest:
                native = fields.get("symbol", [""])[0]
                if not native:
                    self._warn(f"line {line.number}: a depth answer whose URL names no symbol")
                    return
                # Without a limit the venue's default was served; 1 claims no more than the answer shows.
                asked = fields.get("limit", ["1"])[0]
                depth = int(asked) if asked.isascii() and asked.isdigit() and len(asked) < 10 else 1
                snapshot = self.driver.parse_depth(native, depth, line.payload)
                self._symbol(native).on_rest_snapshot(snapshot, line.t)
        except ServerFault as error:
            self._warn(f"line {line.number}: an answer was ignored: {error}")

    def _symbol(self, native: str) -> _Symbol:
        symbol = self._symbols.get(native)
        if symbol is None:
            symbol = self._symbols[native] = _Symbol(self.driver, native)
        return symbol

    def _is_its_stream(self, line: CaptureLine, symbol: _Symbol, stream: str) -> bool:
        """Streams of different speed or depth number and cut their updates differently: the first one is the book."""
        if not symbol.stream:
            symbol.stream = symbol.tracked.stream = stream
        if symbol.stream == stream:
            return True
        if stream not in self._other_streams:
            self._other_streams.add(stream)
            self._warn(f"line {line.number}: {stream} is left out; the book of {symbol.native} is {symbol.stream}'s")
        return False

    def _warn(self, words: str) -> None:
        if len(self.warnings) < REPLAY_WARNINGS_MAX:
            self.warnings.append(words)
        else:
            self.warnings_more += 1
