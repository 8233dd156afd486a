"""Captures of real traffic, replayed, against a second computation of the same books: plain JSON, a dict of Decimals a
side, the venues' own recipes; no line of it is ours."""

from __future__ import annotations

import json
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from thespian_connector.cli.main import main
from thespian_connector.drivers.registry import driver_for
from thespian_connector.model.wire import BookDiff, Ignored, TopOfBook, WireTrades
from thespian_connector.net.capture import CaptureReader
from thespian_connector.net.replay import Replay, ReplayBook

DATA = Path(__file__).parents[3] / "shared" / "data"
BINANCE = DATA / "binance_us_2021.jsonl"
BYBIT = DATA / "bybit_spot_2024.jsonl"
pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason=f"the captures are not there ({DATA})")

Side = dict[Decimal, Decimal]


class Recomputed:
    """One symbol's book by the official recipe, and the line of each update that went into it."""

    def __init__(self) -> None:
        self.bids: Side = {}
        self.asks: Side = {}
        self.last: int | None = None
        self.waiting: list[tuple[int, dict[str, Any]]] = []
        self.applied: list[int] = []
        self.ignored = self.trades = 0

    def start(self, last: int, bids: list[list[str]], asks: list[list[str]]) -> None:
        self.bids, self.asks, self.last = {}, {}, last
        for side, levels in ((self.bids, bids), (self.asks, asks)):
            _set(side, levels)
        waiting, self.waiting = self.waiting, []
        for line, event in waiting:
            self.update(line, event)

    def update(self, line: int, event: dict[str, Any]) -> None:
        if self.last is None:
            self.waiting.append((line, event))
        elif event["u"] <= self.last:
            self.ignored += 1
        else:
            assert event["U"] <= self.last + 1, f"line {line}: the capture itself has a gap"
            _set(self.bids, event["b"])
            _set(self.asks, event["a"])
            self.last = event["u"]
            self.applied.append(line)


def _set(side: Side, levels: list[list[str]]) -> None:
    for price, quantity in levels:
        if Decimal(quantity) == 0:
            side.pop(Decimal(price), None)
        else:
            side[Decimal(price)] = Decimal(quantity)


def _spell(number: Decimal) -> str:
    whole, point, digits = f"{number:f}".partition(".")
    digits = digits.rstrip("0")
    return f"{whole}.{digits}" if point and digits else whole


def _listed(book: Recomputed) -> dict[str, list[list[str]]]:
    bids = [[_spell(price), _spell(book.bids[price])] for price in sorted(book.bids, reverse=True)]
    return {"bids": bids, "asks": [[_spell(price), _spell(book.asks[price])] for price in sorted(book.asks)]}


def _binance() -> tuple[dict[str, Recomputed], dict[str, str]]:
    books: dict[str, Recomputed] = {}
    names: dict[str, str] = {}
    for number, text in enumerate(BINANCE.read_text().splitlines(), 1):
        line = json.loads(text)
        data = line["data"]
        if line["kind"] == "rest" and "symbols" in data:
            names = {row["symbol"]: f"{row['baseAsset']}/{row['quoteAsset']}" for row in data["symbols"]}
        elif line["kind"] == "rest":
            native = line["url"].split("symbol=")[1].split("&")[0]
            books.setdefault(native, Recomputed()).start(data["lastUpdateId"], data["bids"], data["asks"])
        elif data["data"].get("e") == "depthUpdate":
            books.setdefault(data["data"]["s"], Recomputed()).update(number, data["data"])
        elif data["data"].get("e") == "aggTrade":
            books.setdefault(data["data"]["s"], Recomputed()).trades += 1
    return books, names


def _bybit() -> Recomputed:
    book = Recomputed()
    for number, text in enumerate(BYBIT.read_text().splitlines(), 1):
        message = json.loads(text)["data"]
        data = message["data"]
        if message["type"] == "snapshot":
            book.start(data["u"], data["b"], data["a"])
        else:
            book.update(number, {"U": data["u"], "u": data["u"], "b": data["b"], "a": data["a"]})
    return book


def _replayed(exchange: str, path: Path) -> dict[str, ReplayBook]:
    replay = Replay(driver_for(exchange))
    replay.feed_all(CaptureReader(path))
    assert replay.warnings == []
    return {book.symbol: book for book in replay.results(dump=True)}


def test_every_frame_of_the_binance_capture_is_understood() -> None:
    driver = driver_for("binance")
    kinds: Counter[str] = Counter()
    for line in CaptureReader(BINANCE):
        if line.kind == "ws":
            event = driver.decode(line.payload)
            kinds[event.reason if isinstance(event, Ignored) else type(event).__name__] += 1
    assert kinds == {BookDiff.__name__: 336, TopOfBook.__name__: 128, WireTrades.__name__: 11, "event not used": 5}


def test_its_instruments_and_limits_are_read() -> None:
    driver = driver_for("binance")
    listing = next(iter(CaptureReader(BINANCE))).payload
    found = {instrument.native: instrument for instrument in driver.parse_instruments(listing)}
    assert found.keys() == {"ZRXUSDT", "OMGBUSD", "COMPUSDT", "CRVUSDT"}
    assert found["CRVUSDT"].tick_size == Decimal("0.001")
    assert found["CRVUSDT"].step_size == Decimal("0.1")
    assert found["CRVUSDT"].market_step_size is None
    assert {(limit.kind, limit.cap) for limit in driver.limits_of(listing)} == {
        ("weight", 1200), ("requests", 6100), ("connects", 300)
    }  # fmt: skip


def test_the_binance_books_are_the_recomputed_ones_level_by_level(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["replay", "--exchange", "binance", str(BINANCE), "--dump-book", "--json"]) == 0
    documents = {row["symbol"]: row for row in map(json.loads, capsys.readouterr().out.splitlines())}
    books, names = _binance()
    assert documents.keys() == {names[native] for native in books}
    for native, book in books.items():
        document = documents[names[native]]
        levels = _listed(book)
        assert document["levels"] == levels
        assert document == {
            "symbol": names[native],
            "update_id": book.last,
            "trust": "LIVE",
            "bids": len(book.bids),
            "asks": len(book.asks),
            "best_bid": levels["bids"][0][0],
            "best_ask": levels["asks"][0][0],
            "applied": len(book.applied),
            "ignored": book.ignored,
            "gaps": 0,
            "gap_lines": [],
            "trades": book.trades,
            "reason": "",
            "levels": levels,
        }
    assert sum(len(book.applied) + book.ignored for book in books.values()) == 336


def test_the_bybit_book_is_the_recomputed_one_level_by_level() -> None:
    book = _bybit()
    replayed = _replayed("bybit", BYBIT)
    assert replayed.keys() == {"BTCUSDT"}, "the capture holds no instrument to unify the name with"
    result = replayed["BTCUSDT"]
    levels = _listed(book)
    assert not isinstance(result.levels, type(None))
    assert [list(level) for level in result.levels.bids] == levels["bids"]
    assert [list(level) for level in result.levels.asks] == levels["asks"]
    assert (result.update_id, result.trust, result.gaps) == (book.last, "LIVE", 0)
    assert (result.applied, result.ignored) == (2, 0)


def test_a_missing_update_is_reported_with_the_line_of_the_one_that_should_have_followed_it() -> None:
    lines = list(CaptureReader(BINANCE))
    books, names = _binance()
    tried = 0
    for native, book in books.items():
        count = len(book.applied)
        for position in sorted({0, 1, count // 3, count // 2, count - 2}):
            missing, successor = book.applied[position : position + 2]
            replay = Replay(driver_for("binance"))
            replay.feed_all(line for line in lines if line.number != missing)
            results = {result.symbol: result for result in replay.results()}
            broken = results.pop(names[native])
            assert broken.gap_lines == [successor], f"{native} without line {missing}"
            assert (broken.gaps, broken.trust) == (1, "SUSPECT")
            assert broken.applied == position, "later updates are ignored until a snapshot"
            assert broken.ignored == book.ignored + count - position - 1
            assert {(result.gaps, result.trust) for result in results.values()} == {(0, "LIVE")}, "only this book"
            tried += 1
    assert tried >= 16


def test_a_later_snapshot_ends_the_gap() -> None:
    lines = list(CaptureReader(BINANCE))
    books, names = _binance()
    book = books["COMPUSDT"]
    missing, successor = book.applied[10:12]
    snapshot = next(line for line in lines if "symbol=COMPUSDT" in line.url)
    # A snapshot of the end of the capture, as the venue would have answered then.
    later = json.dumps({"lastUpdateId": book.last, **_listed(book)}).encode()
    replay = Replay(driver_for("binance"))
    for line in lines:
        if line.number != missing:
            replay.feed(line)
    replay.feed(type(snapshot)(len(lines) + 1, lines[-1].t, "rest", snapshot.url, later))
    result = next(result for result in replay.results(dump=True) if result.symbol == names["COMPUSDT"])
    assert (result.gap_lines, result.trust, result.update_id) == ([successor], "LIVE", book.last)
    assert not isinstance(result.levels, type(None))
    assert [list(level) for level in result.levels.bids] == _listed(book)["bids"]
