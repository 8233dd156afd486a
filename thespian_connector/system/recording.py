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
    counts = {"ws": 0, "rest": 0}
    early: list[tuple[int, str, str, bytes]] = []
    begun = threading.Event()
    failed: list[BaseException] = []
    ended = threading.Event()

    def on_failure(error: BaseException) -> None:
        failed.append(error)
        ended.set()

    with CaptureWriter(file, overwrite=overwrite) as writer:

        def tap(kind: str, url: str, payload: bytes) -> None:
            counts[kind] += 1
            if begun.is_set():
                writer.write(time.time_ns(), kind, url, payload)
            else:
                early.append((time.time_ns(), kind, url, payload))

        with closing(Venue(start, tap=tap)) as venue:
            venue.load_instruments()
            for symbol in symbols:
                if symbol not in venue.instruments:
                    raise UnknownSymbol(f"{exchange} has no instrument {symbol!r}; symbols are BASE/QUOTE")
            for line in early:
                writer.write(*line)
            begun.set()
            session = FeedSession(
                venue.driver,
                venue.endpoints,
                venue.instruments,
                [Subscription(symbol, frozenset(channels), settings.depth) for symbol in symbols],
                _ignore,
                rest=venue.rest,
                budget=venue.budget,
                tap=tap,
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
            books = [{"symbol": one.symbol, "trust": one.trust.value} for one in standing]
    return {"file": str(file), "frames": counts["ws"], "answers": counts["rest"], "books": books}


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
