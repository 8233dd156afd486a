"""Recording a venue's feed in this process: the system's own driver, session and REST client, tapped."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from thespian_connector.actors.settings import ExchangeSettings, ExchangeStart
from thespian_connector.actors.venue import Venue
from thespian_connector.model import Channel
from thespian_connector.model.errors import UnknownExchange, UnknownSymbol, UsageError
from thespian_connector.net.capture import CaptureWriter
from thespian_connector.net.events import FeedEvent, Subscription
from thespian_connector.net.feed import FeedSession

from . import config
from .client import Client
from .runtime import Runtime


def record(
    exchange: str,
    symbols: Sequence[str],
    file: Path,
    *,
    channels: Sequence[Channel],
    seconds: float | None,
    system: str,
    config_file: Path | None,
    overrides: Sequence[str],
    overwrite: bool,
) -> dict[str, Any]:
    """Writes until `seconds` have passed (None: until Ctrl-C); returns what was written.

    What fails before the feed is asked for leaves no file; what was recorded until a later failure is kept.
    The venue's URLs are the config's when one is named, else those of the running system.

    :raises UsageError: the file exists, or cannot be written; `seconds` is not positive.
    :raises UnknownSymbol: the venue lists no such instrument.
    :raises NotRunning: no config was named, and no system runs.
    """
    if seconds is not None and not 0 < seconds <= threading.TIMEOUT_MAX:
        raise UsageError(f"--seconds {seconds:g}: take more than 0, or leave it out to record until Ctrl-C")
    settings = _settings(exchange, system, config_file, overrides)
    runtime = Runtime(system)
    runtime.create()
    start = ExchangeStart(exchange=exchange, settings=settings, budget_dir=str(runtime.budget_dir))
    with CaptureWriter(file, overwrite=overwrite) as writer:
        tape = _Tape(writer)
        with closing(Venue(start, tap=tape.tap)) as venue:
            venue.load_instruments()
            for symbol in symbols:
                if symbol not in venue.instruments:
                    raise UnknownSymbol(f"{exchange} has no instrument {symbol!r}; symbols are BASE/QUOTE")
            tape.begin()
            wanted = [Subscription(symbol, frozenset(channels), settings.depth) for symbol in symbols]
            books = _listen(venue, wanted, tape, seconds)
    return {"file": str(file), "frames": tape.counts["ws"], "answers": tape.counts["rest"], "books": books}


class _Tape:
    """What the venue says, kept back until it is known that there is something to record: then it is written."""

    def __init__(self, writer: CaptureWriter) -> None:
        self.counts = {"ws": 0, "rest": 0}
        self._writer = writer
        self._early: list[tuple[int, str, str, bytes]] = []
        self._begun = threading.Event()

    def tap(self, kind: str, url: str, payload: bytes) -> None:
        self.counts[kind] += 1
        if self._begun.is_set():
            self._writer.write(time.time_ns(), kind, url, payload)
        else:
            self._early.append((time.time_ns(), kind, url, payload))

    def begin(self) -> None:
        for line in self._early:
            self._writer.write(*line)
        self._early.clear()
        self._begun.set()


def _listen(venue: Venue, wanted: Sequence[Subscription], tape: _Tape, seconds: float | None) -> list[dict[str, str]]:
    """Runs the feed into `tape` for that long; returns how each book stood at the end. What ends the feed is raised."""
    failed: list[BaseException] = []
    ended = threading.Event()

    def on_failure(error: BaseException) -> None:
        failed.append(error)
        ended.set()

    session = FeedSession(
        venue.driver,
        venue.endpoints,
        venue.instruments,
        wanted,
        _ignore,
        rest=venue.rest,
        budget=venue.budget,
        tap=tape.tap,
        on_failure=on_failure,
    )
    session.start()
    try:
        ended.wait(seconds)
    except KeyboardInterrupt:
        pass  # that is how a recording without --seconds ends
    finally:
        standing = session.status()  # once stopped, every book is stale
        session.stop()
    if failed:
        raise failed[0]
    return [{"symbol": one.symbol, "trust": one.trust.value} for one in standing]


def _ignore(_event: FeedEvent) -> None:
    """The session keeps its books (that is what asks for snapshots); nobody else needs them."""


def _settings(exchange: str, system: str, config_file: Path | None, overrides: Sequence[str]) -> ExchangeSettings:
    if config_file is not None or overrides:
        exchanges = config.load(config_file, overrides, system).exchanges
        if exchange not in exchanges:
            raise UnknownExchange(f"the config has no exchange {exchange!r}; it has {', '.join(exchanges)}")
        return exchanges[exchange]
    with closing(Client(Runtime(system))) as client:
        return client.ask("settings", {"exchange": exchange}, ExchangeSettings)
