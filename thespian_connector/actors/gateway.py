"""Gateway: REST reads of one venue, on a thread of its own: instruments, tickers, trades, the venue's clock."""

from __future__ import annotations

import logging
import time
from typing import Any

from thespian_connector.limits import (
    CLOCK_MEASURE_EVERY_S,
    INSTRUMENTS_REFRESH_S,
    MAINTENANCE_RETRY_S,
    TRADES_ASKED_MAX,
)
from thespian_connector.model import Instrument, Ticker, Trade
from thespian_connector.model.errors import ConnectorError, UsageError
from thespian_connector.net import records
from thespian_connector.net.clock import ClockOffset

from .component import Arguments, Component
from .messages import unpack
from .settings import ExchangeStart
from .venue import REST_DEADLINE_S, Venue

logger = logging.getLogger(__name__)


class Gateway(Component):
    kind = "gateway"
    tick_s = MAINTENANCE_RETRY_S

    def started(self, body: bytes) -> None:
        self.venue = Venue(unpack(body, ExchangeStart))
        self.clock = ClockOffset()
        self._instruments_due = self._clock_due = 0.0
        self._maintaining = False
        self.slow = {
            "instruments": self.instruments,
            "ticker": self.ticker,
            "trades": self.trades,
            "clock": self.measured_clock,
        }
        self.start_worker("rest")
        self.tick(time.monotonic())

    def tick(self, now: float) -> None:
        if not self._maintaining and now >= min(self._instruments_due, self._clock_due):
            self._maintaining = self.worker.submit(self._maintain)

    def stopping(self) -> None:
        self.worker.stop(timeout_s=1.0)
        self.venue.close()

    # -- on the worker

    def _maintain(self) -> None:
        """Refreshes what grows old. The venue may be away: then it is tried again soon, and nothing is lost."""
        now = time.monotonic()
        try:
            if now >= self._instruments_due:
                self.venue.load_instruments()
                self._instruments_due = now + INSTRUMENTS_REFRESH_S
            if now >= self._clock_due:
                self.venue.rest.measure_clock(self.clock, deadline_s=REST_DEADLINE_S)
                self._clock_due = now + CLOCK_MEASURE_EVERY_S
        except ConnectorError as error:
            logger.warning("%s: %s; tried again in %g s", self.name, error, MAINTENANCE_RETRY_S)
            later = now + MAINTENANCE_RETRY_S
            self._instruments_due = max(self._instruments_due, later)
            self._clock_due = max(self._clock_due, later)
        finally:
            self._maintaining = False

    def instruments(self, arguments: Arguments) -> list[Instrument]:
        """Every instrument of the venue, or those of `symbols`."""
        wanted = arguments.get("symbols")
        if wanted:
            return [self.venue.instrument(symbol) for symbol in wanted]
        if not self.venue.instruments:
            self.venue.load_instruments()
        return list(self.venue.instruments.values())

    def ticker(self, arguments: Arguments) -> Ticker:
        instrument = self.venue.instrument(str(arguments["symbol"]))
        wire = self.venue.rest.ticker(instrument.native, deadline_s=REST_DEADLINE_S)
        return records.ticker(self.venue.exchange, instrument.symbol, wire, (None, None), time.time_ns())

    def trades(self, arguments: Arguments) -> list[Trade]:
        limit = int(arguments.get("limit", 100))
        if not 1 <= limit <= TRADES_ASKED_MAX:
            raise UsageError(f"limit: {limit} trades cannot be asked for; take 1 to {TRADES_ASKED_MAX}")
        instrument = self.venue.instrument(str(arguments["symbol"]))
        wires = self.venue.rest.trades(instrument.native, limit, deadline_s=REST_DEADLINE_S)
        now_ns = time.time_ns()
        return [records.trade(self.venue.exchange, instrument.symbol, wire, now_ns) for wire in wires]

    def measured_clock(self, arguments: Arguments) -> dict[str, Any]:
        del arguments
        sample = self.clock.sample
        if sample is None:
            sample = self.venue.rest.measure_clock(self.clock, deadline_s=REST_DEADLINE_S)
        return {
            "exchange": self.venue.exchange,
            "offset_ns": self.clock.now_ns() - time.time_ns(),
            "round_trip_ns": sample.round_trip_ns,
            "age_s": self.clock.age_s,
        }

    # -- quick

    def status(self, arguments: Arguments) -> dict[str, Any]:
        return super().status(arguments) | {"breakers": self.venue.breakers(), "limits": self.venue.limits()}
