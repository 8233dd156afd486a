"""The log's file and its limit, without a system."""

from __future__ import annotations

import json
import logging
import logging.config
import os
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from thespian_connector.actors import logs
from thespian_connector.actors.log_output import FloodLimit, LineFile, Readable
from thespian_connector.limits import LOG_BURST_RECORDS, LOG_PROCESS_BURST_RECORDS, LOG_QUIET_S, LOG_RECORDS_A_S
from thespian_connector.model.errors import ConfigError


def record(message: str, *arguments: object, name: str = "tc.test") -> logging.LogRecord:
    return logging.LogRecord(name, logging.WARNING, "", 0, message, arguments, None)


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_a_flood_is_cut_short_and_counted(clock: Clock) -> None:
    limit = FloodLimit(clock)
    passed = sum(limit.filter(record("order %d late", number)) for number in range(500))
    assert passed == LOG_BURST_RECORDS
    assert limit.filter(record("something else"))
    clock.now += 1 / LOG_RECORDS_A_S
    after = record("order %d late", 500)
    assert limit.filter(after)
    assert after.suppressed == 500 - LOG_BURST_RECORDS
    assert (
        Readable("%(message)s").format(after) == f"order 500 late ({after.suppressed} more like this were suppressed)"
    )
    clock.now += 10
    again = record("order %d late", 501)
    assert limit.filter(again)
    assert not hasattr(again, "suppressed"), "told once"


def test_messages_that_are_all_different_are_limited_too(clock: Clock) -> None:
    limit = FloodLimit(clock)
    assert sum(limit.filter(record(f"message {number}")) for number in range(5000)) == LOG_PROCESS_BURST_RECORDS


def test_a_record_counts_once_for_all_handlers(clock: Clock) -> None:
    limit = FloodLimit(clock)
    for number in range(LOG_BURST_RECORDS):
        one = record("order %d late", number)
        assert limit.filter(one)
        assert limit.filter(one)


def test_what_does_not_come_again_is_told_with_another_record(clock: Clock) -> None:
    told: list[logging.LogRecord] = []
    limit = FloodLimit(clock)
    logger = logging.getLogger("tc.test.flood")
    handler = logging.Handler()
    handler.emit = told.append  # type: ignore[method-assign]  # what a handler is for
    handler.addFilter(limit)
    logger.addHandler(handler)
    try:
        for number in range(100):
            logger.warning("order %d late", number)
        clock.now += LOG_QUIET_S + 1
        logger.warning("something else")
    finally:
        logger.removeHandler(handler)
    counts = {one.getMessage(): getattr(one, "suppressed", 0) for one in told}
    assert counts["suppressed: order %d late"] == 100 - LOG_BURST_RECORDS
    assert "something else" in counts


@pytest.fixture
def configured(tmp_path: Path) -> Iterator[Callable[..., Path]]:
    """`logs.configure` with pytest's own handlers put back afterwards."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level

    def configure(override: str | None = None, path: Path | None = None) -> Path:
        over = None
        if override is not None:
            over = tmp_path / "logging.toml"
            over.write_text(override)
        log = path or tmp_path / "log.jsonl"
        logs.configure(log, "INFO", stderr=False, override=over)
        return log

    yield configure
    logging.captureWarnings(False)
    for handler in root.handlers:
        handler.close()
    root.handlers[:] = handlers
    root.setLevel(level)


def test_lines_are_json_of_python_json_logger_and_private(configured: Callable[..., Path]) -> None:
    os.umask(0o022)
    log = configured()
    logging.getLogger("tc.test").info("hello %s", "you", extra={"symbol": "BTC/USDT"})
    logging.getLogger("tc.test").debug("not that much")
    [line] = [json.loads(text) for text in log.read_text().splitlines()]
    assert (line["message"], line["symbol"], line["level"], line["logger"]) == (
        "hello you",
        "BTC/USDT",
        "INFO",
        "tc.test",
    )
    assert stat.S_IMODE(log.stat().st_mode) == 0o600
    assert type(logging.getLogger().handlers[0].formatter).__module__ == "pythonjsonlogger.json"


def test_a_file_laid_over_it_changes_levels_of_single_loggers(configured: Callable[..., Path]) -> None:
    log = configured('[loggers."tc.test.deep"]\nlevel = "DEBUG"\n[handlers.lines]\nlevel = "DEBUG"\n')
    logging.getLogger("tc.test.deep").debug("seen")
    logging.getLogger("tc.test.other").debug("unseen")
    assert [json.loads(text)["message"] for text in log.read_text().splitlines()] == ["seen"]
    logging.getLogger("tc.test.deep").setLevel(logging.NOTSET)


def test_the_example_in_the_repository_can_be_used(configured: Callable[..., Path]) -> None:
    example = Path(__file__).parents[3] / "config" / "logging.toml"
    log = configured(example.read_text())
    logging.getLogger("thespian_connector.net").debug("seen")
    assert "seen" in log.read_text()
    logging.getLogger("thespian_connector.net").setLevel(logging.NOTSET)


@pytest.mark.parametrize("text", ["level = ", '[root]\nlevel = "LOUD"\n', '[handlers.lines]\n"()" = "no.such.Class"\n'])
def test_a_bad_file_is_named(configured: Callable[..., Path], text: str) -> None:
    with pytest.raises(ConfigError, match=r"logging\.toml"):
        configured(text)


def test_a_log_that_cannot_be_written_is_named(configured: Callable[..., Path], tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"system\.log_file"):
        configured(path=tmp_path / "missing" / "log.jsonl")


WRITER = """
import json, logging, sys
from thespian_connector.actors.log_output import LineFile
path, name = sys.argv[1:]
handler = LineFile(path, bytes_max=20_000, kept=100)
for number in range(500):
    line = json.dumps({"name": name, "number": number, "filling": "x" * 100})
    handler.handle(logging.LogRecord("t", logging.INFO, "", 0, "%s", (line,), None))
handler.close()
"""


def test_several_processes_lose_nothing_when_the_file_is_moved_aside(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, str(path), name]) for name in "abc"]
    assert [writer.wait(60) for writer in writers] == [0, 0, 0]
    files = [path, *tmp_path.glob("log.jsonl.*")]
    files = [one for one in files if one.exists()]
    assert len(files) >= 4
    assert all(one.stat().st_size < 100_000 for one in files), "who has not noticed yet writes a little more"
    seen = [json.loads(text) for one in files for text in one.read_text().splitlines()]
    assert sorted((line["name"], line["number"]) for line in seen) == [(name, n) for name in "abc" for n in range(500)]


def test_no_more_files_are_kept_than_said(tmp_path: Path) -> None:
    handler = LineFile(str(tmp_path / "log"), bytes_max=100, kept=2)
    for number in range(50):
        handler.handle(record("line %d", number))
    handler.close()
    assert sorted(one.name for one in tmp_path.iterdir()) in (["log", "log.1", "log.2"], ["log.1", "log.2"])


def test_a_file_that_was_taken_away_is_made_anew(tmp_path: Path) -> None:
    handler = LineFile(str(tmp_path / "log"))
    handler.handle(record("one"))
    (tmp_path / "log").rename(tmp_path / "taken")
    handler.handle(record("two"))
    handler.close()
    assert (tmp_path / "log").read_text() == "two\n"
