"""The replay pipeline and its command on small captures written here."""

from __future__ import annotations

import gzip
import json
import zlib
from pathlib import Path
from typing import Any

import pytest
from support.binance_samples import AGG_TRADE, DEPTH, TRADE, combined, listing

from thespian_connector.cli.main import main
from thespian_connector.drivers.registry import driver_for
from thespian_connector.limits import REPLAY_WARNINGS_MAX
from thespian_connector.net import capture
from thespian_connector.net.capture import CaptureLine
from thespian_connector.net.replay import Replay, ReplayBook

DEPTH_URL = "https://api.binance.com/api/v3/depth?symbol=BTCUSDT&limit=1000"
LISTING_URL = "https://api.binance.com/api/v3/exchangeInfo"
STREAM_URL = "wss://stream.binance.com:443/stream"


def diff(first: int, last: int, bids: Any = (), asks: Any = (), stream: str = "btcusdt@depth@100ms") -> tuple[str, Any]:
    data = DEPTH | {"U": first, "u": last, "b": list(bids), "a": list(asks)}
    return STREAM_URL, {"stream": stream, "data": data}


def snapshot(last: int, url: str = DEPTH_URL) -> tuple[str, Any]:
    return url, {"lastUpdateId": last, "bids": [["9.0", "1"], ["8", "1"]], "asks": [["10", "1"], ["11", "1"]]}


def _text(messages: list[tuple[str, Any]]) -> str:
    rows = [{"t": n, "kind": "ws" if u == STREAM_URL else "rest", "url": u, "data": d} for n, (u, d) in
            enumerate(messages, 1)]  # fmt: skip
    return "".join(json.dumps(row) + "\n" for row in rows)


def replayed(*messages: tuple[str, Any]) -> tuple[Replay, list[ReplayBook]]:
    replay = Replay(driver_for("binance"))
    for number, (url, data) in enumerate(messages, 1):
        payload = data if isinstance(data, bytes) else json.dumps(data).encode()
        replay.feed(CaptureLine(number, number, "ws" if url == STREAM_URL else "rest", url, payload))
    return replay, replay.results(dump=True)


GOOD = [diff(4, 5), snapshot(5), diff(6, 7, bids=[["9.50", "2.0"]]), diff(8, 8, asks=[["10", "0.000"]])]


def test_a_book_is_built_and_counted() -> None:
    trade = STREAM_URL, {"stream": "btcusdt@trade", "data": TRADE}
    replay, (book,) = replayed((LISTING_URL, json.loads(listing())), *GOOD, trade)
    assert replay.warnings == []
    assert (book.symbol, book.update_id, book.trust, book.bids, book.asks) == ("BTC/USDT", 8, "LIVE", 3, 1)
    assert (book.best_bid, book.best_ask, book.applied, book.ignored, book.trades) == ("9.5", "11", 2, 1, 1)
    assert book.levels
    assert book.levels.bids == [("9.5", "2"), ("9", "1"), ("8", "1")]


def test_without_a_listing_symbols_are_the_venues_and_it_may_come_last() -> None:
    assert replayed(*GOOD)[1][0].symbol == "BTCUSDT"
    assert replayed(*GOOD, (LISTING_URL, json.loads(listing())))[1][0].symbol == "BTC/USDT"


def test_updates_that_wait_join_their_snapshot_one_by_one() -> None:
    _, (book,) = replayed(diff(4, 5), diff(6, 7), diff(9, 9), diff(10, 10), snapshot(5))
    assert (book.gap_lines, book.trust, book.update_id) == ([3], "SUSPECT", 7)
    assert (book.applied, book.ignored) == (1, 3)


def test_a_crossed_book_says_why_it_is_not_believed() -> None:
    _, (book,) = replayed(*GOOD, diff(9, 9, bids=[["12", "1"]]), diff(10, 10))
    assert (book.trust, book.gaps, book.ignored) == ("SUSPECT", 0, 2)
    assert "crossed" in book.reason
    assert replayed(*GOOD)[1][0].reason == ""


def test_without_a_snapshot_nothing_is_applied() -> None:
    _, (book,) = replayed(diff(4, 5), diff(6, 7))
    assert (book.trust, book.applied, book.ignored, book.gaps) == ("SYNCING", 0, 2, 0)
    assert (book.bids, book.asks, book.best_bid, book.best_ask) == (0, 0, None, None)


def test_two_gaps_two_lines_and_updates_kept_for_the_snapshot_between() -> None:
    _, (book,) = replayed(
        diff(4, 5), snapshot(5), diff(7, 7), diff(8, 8, bids=[["9.1", "1"]]), snapshot(7), diff(9, 9), diff(11, 11)
    )
    assert book.gap_lines == [3, 7]
    assert (book.update_id, book.trust, book.gaps) == (9, "SUSPECT", 2)
    assert book.best_bid == "9.1", "the update behind the snapshot's id was not lost while the book was broken"
    assert (book.applied, book.ignored) == (2, 3)


def test_an_update_that_comes_twice_is_ignored() -> None:
    _, (book,) = replayed(*GOOD, GOOD[-1], GOOD[-2])
    assert (book.applied, book.ignored, book.gaps, book.trust) == (2, 3, 0, "LIVE")


def test_a_second_stream_of_a_symbol_is_left_out_and_said() -> None:
    replay, (book,) = replayed(*GOOD, diff(4, 8, stream="btcusdt@depth"), diff(9, 20, stream="btcusdt@depth"))
    assert (book.applied, book.ignored, book.update_id) == (2, 1, 8)
    assert len(replay.warnings) == 1
    assert replay.warnings[0].startswith("line 5: btcusdt@depth is left out")


def test_aggregate_trades_count_as_trades() -> None:
    _, (book,) = replayed((STREAM_URL, {"stream": "btcusdt@aggTrade", "data": AGG_TRADE}))
    assert (book.trades, book.applied, book.trust) == (1, 0, "SYNCING")


def test_answers_that_are_none_are_told_and_change_nothing() -> None:
    bad = [(DEPTH_URL, b"<html>403</html>"), (DEPTH_URL.replace("symbol=BTCUSDT&", ""), snapshot(9)[1]),
           (LISTING_URL, {"code": -1003, "msg": "x"}), ("https://[", {}), (STREAM_URL, b"not json")]  # fmt: skip
    replay, (book,) = replayed(*GOOD, *bad)
    assert (book.trust, book.update_id) == ("LIVE", 8)
    assert [words.split(":")[0] for words in replay.warnings] == [f"line {number}" for number in range(5, 10)]


def test_warnings_are_limited() -> None:
    replay, _ = replayed(*[(STREAM_URL, b"{")] * (REPLAY_WARNINGS_MAX + 7))
    assert (len(replay.warnings), replay.warnings_more) == (REPLAY_WARNINGS_MAX, 7)


def test_an_answer_without_a_limit_claims_no_more_than_the_venues_default() -> None:
    """100 levels of a side prove nothing about what is behind them."""
    side = [[str(1000 - n), "1"] for n in range(100)]
    body = {"lastUpdateId": 5, "bids": side, "asks": [["1001", "1"]]}
    replay, _ = replayed((DEPTH_URL.replace("&limit=1000", ""), body), diff(6, 6, bids=[["1", "1"]]))
    (symbol,) = replay._symbols.values()
    assert symbol.tracked.held() == (101, 1)
    assert symbol.tracked.certified() == (100, 1)


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, list[dict[str, Any]], str]:
    code = main(["replay", "--json", *words])
    out, err = capsys.readouterr()
    return code, [json.loads(line) for line in out.splitlines()], err


def test_compressed_or_not_is_told_by_the_content(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = _text(GOOD).encode()
    outputs = []
    for name, content in (("a.jsonl", text), ("a.jsonl.gz", gzip.compress(text)), ("b.jsonl", gzip.compress(text))):
        (tmp_path / name).write_bytes(content)
        outputs.append(run(capsys, "--exchange", "binance", str(tmp_path / name)))
    assert outputs[0][0] == 0
    assert outputs[0][1][0]["update_id"] == 8
    assert "levels" not in outputs[0][1][0]
    assert outputs[1] == outputs[0]
    assert outputs[2] == outputs[0]


@pytest.mark.parametrize("cut", [1, 10, 60])
def test_a_torn_last_line_is_a_warning(tmp_path: Path, capsys: pytest.CaptureFixture[str], cut: int) -> None:
    (tmp_path / "torn").write_text(_text(GOOD)[: -cut - 1])
    code, documents, err = run(capsys, "--exchange", "binance", str(tmp_path / "torn"))
    assert code == 0
    assert (documents[0]["update_id"], documents[0]["gaps"]) == (7, 0)
    assert "line 4" in err
    assert "warning" in err


def test_a_compressed_file_may_end_anywhere(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    messages = [*GOOD, *(diff(n, n, bids=[[f"1.{n % 97}", f"0.{n * 7919}"]]) for n in range(9, 400))]
    whole = gzip.compress(_text(messages).encode())
    for end in range(len(whole) // 2, len(whole), max(1, len(whole) // 20)):
        text = zlib.decompressobj(31).decompress(whole[:end])
        (tmp_path / "torn.gz").write_bytes(whole[:end])
        code, (document,), err = run(capsys, "--exchange", "binance", str(tmp_path / "torn.gz"))
        assert code == 0
        assert "warning" in err
        assert document["applied"] == max(0, text.count(b"\n") - 2), "every whole line counts"


def test_compressed_files_may_be_joined(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = _text(GOOD).splitlines(keepends=True)
    (tmp_path / "f").write_bytes(b"".join(gzip.compress(line.encode()) for line in lines))
    code, (document,), err = run(capsys, "--exchange", "binance", str(tmp_path / "f"))
    assert (code, document["update_id"], err) == (0, 8, "")


def test_a_line_beyond_the_limit_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(capture, "CAPTURE_LINE_BYTES_MAX", 100_000)
    (tmp_path / "f").write_text(_text(GOOD) + "x" * 300_000)
    code, _, err = run(capsys, "--exchange", "binance", str(tmp_path / "f"))
    assert code == 1
    assert "line 5" in err


def test_a_broken_line_amid_the_file_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = _text(GOOD).splitlines(keepends=True)
    for broken in ("not json\n", '{"t":1,"kind":"ws"}\n', '{"t":"1","kind":"ws","url":"","data":{}}\n', "\x00\xff\n"):
        (tmp_path / "f").write_text("".join([*lines[:2], broken, *lines[2:]]))
        code, documents, err = run(capsys, "--exchange", "binance", str(tmp_path / "f"))
        assert code == 1
        assert documents[-1]["error"]["type"] == "CaptureError"
        assert "line 3" in err.splitlines()[-1]


def test_files_that_are_no_captures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "empty").touch()
    (tmp_path / "garbled.gz").write_bytes(gzip.compress(_text(GOOD).encode())[:40] + b"\xff" * 400)
    (tmp_path / "other").write_text('{"t":1,"kind":"ws","url":"","data":{"topic":"tickers.X"}}\n')
    wrong = {"empty": 1, "garbled.gz": 1, "other": 1, "missing": 2, ".": 2}
    for name, expected in wrong.items():
        code, documents, err = run(capsys, "--exchange", "binance", str(tmp_path / name))
        assert code == expected, name
        assert documents[-1]["error"]["message"] in err.splitlines()[-1]
        assert str(tmp_path) in err.splitlines()[-1]


def test_an_unknown_exchange_is_told_the_choices(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, documents, _ = run(capsys, "--exchange", "kraken", str(tmp_path))
    assert code == 2
    assert documents[-1]["error"]["type"] == "UnknownExchange"
    assert "binance, bybit" in documents[-1]["error"]["message"]


def test_people_get_a_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "f").write_text(_text([*GOOD, diff(20, 20)]))
    assert main(["replay", "--exchange", "binance", str(tmp_path / "f"), "--dump-book"]) == 0
    out = capsys.readouterr().out
    assert "BTCUSDT" in out
    assert "SUSPECT" in out
    assert "1 (line 5)" in out
    assert "9.5" in out
    assert "{" not in out


def test_a_frame_is_read_the_same_in_a_capture_as_from_the_socket() -> None:
    assert driver_for("binance").decode(combined("btcusdt@trade", TRADE)) == driver_for("binance").decode(
        json.dumps({"stream": "btcusdt@trade", "data": TRADE}).encode()
    )
