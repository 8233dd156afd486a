"""The REST side of one venue in one process: the driver, the shared budget, the client."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from thespian_connector.drivers.registry import driver_for
from thespian_connector.limits import CLOCK_MEASURE_EVERY_S, INSTRUMENTS_REFRESH_S, MAINTENANCE_RETRY_S
from thespian_connector.model import Instrument
from thespian_connector.model.errors import ConnectorError, UnknownSymbol, shown
from thespian_connector.net.budget import Budget
from thespian_connector.net.clock import ClockOffset
from thespian_connector.net.market import MarketRest
from thespian_connector.net.rest import RestClient
from thespian_connector.orders.positions import Market

from .settings import ExchangeStart
from .threads import Worker

logger = logging.getLogger(__name__)

#: One REST question of an actor, its retries included.
REST_DEADLINE_S = 10.0


class Venue:
    """:param tap: gets every body of public REST answers: ("rest", url, body).

    :raises ConfigError: an endpoint that cannot be.
    """

    def __init__(self, start: ExchangeStart, tap: Callable[[str, str, bytes], None] | None = None) -> None:
        self.exchange = start.exchange
        self.driver = driver_for(start.exchange)
        self.endpoints = self.driver.endpoints(start.settings.environment, start.settings.urls)
        self.budget = Budget.for_venue(self.driver, self.endpoints.rest, Path(start.budget_dir))
        self.clock = ClockOffset()
        self.client = RestClient(
            self.driver, self.endpoints.rest, budget=self.budget, tap=tap, resync=self.measure_clock
        )
        self.rest = MarketRest(self.driver, self.client)
        self.instruments: dict[str, Instrument] = {}
        self._markets: dict[str, Market] = {}

    def load_instruments(self) -> None:
        """:raises ConnectorError: the venue does not say."""
        self.instruments = {one.symbol: one for one in self.rest.instruments(deadline_s=REST_DEADLINE_S)}
        self._markets = {one.native: Market(one.symbol, one.base, one.quote) for one in self.instruments.values()}

    def measure_clock(self) -> None:
        """:raises ConnectorError: the venue does not say."""
        self.rest.measure_clock(self.clock, deadline_s=REST_DEADLINE_S)

    def instrument(self, symbol: str) -> Instrument:
        """:raises UnknownSymbol: the venue lists no such instrument."""
        if not self.instruments:
            self.load_instruments()
        try:
            return self.instruments[symbol]
        except KeyError:
            raise UnknownSymbol(
                f"{self.exchange} has no instrument {shown(symbol)}; see: thespian-connector instruments"
            ) from None

    def market_of(self, native: str) -> Market:
        """What the venue's name of an instrument stands for; itself, where the venue does not list it (any more)."""
        found = self._markets.get(native)
        return found if found is not None else Market(native, "", "")

    def breakers(self) -> list[dict[str, Any]]:
        return [
            {"exchange": self.exchange, "surface": surface, "state": state}
            for surface, state in self.client.breakers().items()
        ]

    def limits(self) -> list[dict[str, Any]]:
        return [
            {
                "exchange": self.exchange,
                "limit": use.limit,
                "used": use.used,
                "cap": use.cap,
                "window_s": use.window_s,
                "paused_until_ns": use.paused_until_ns,
                "known": use.known,
            }
            for use in self.budget.used()
        ]

    def close(self) -> None:
        self.client.close()
        self.budget.close()


class Upkeep:
    """Keeps what a process knows of its venue fresh, on its worker. The venue may be away: then it is tried again
    soon, and nothing is lost.

    :param name: the actor's, for the log.
    :param instruments: keep them, too; else only the clock.
    """

    def __init__(self, name: str, venue: Venue, worker: Worker, *, instruments: bool = True) -> None:
        self._name = name
        self._venue = venue
        self._worker = worker
        self._running = False
        self._clock_due = 0.0
        self._instruments_due = 0.0 if instruments else float("inf")

    def tick(self, now: float) -> None:
        """To be called every `limits.MAINTENANCE_RETRY_S`; does nothing while nothing is due."""
        if not self._running and now >= min(self._instruments_due, self._clock_due):
            self._running = self._worker.submit(self._do)

    def doubt_clock(self) -> None:
        """The venue refused something that was signed: the next tick measures anew."""
        self._clock_due = 0.0

    def _do(self) -> None:
        now = time.monotonic()
        try:
            if now >= self._instruments_due:
                self._venue.load_instruments()
                self._instruments_due = now + INSTRUMENTS_REFRESH_S
            if now >= self._clock_due:
                self._venue.measure_clock()
                self._clock_due = now + CLOCK_MEASURE_EVERY_S
        except ConnectorError as error:
            logger.warning("%s: %s; tried again in %g s", self._name, error, MAINTENANCE_RETRY_S)
            later = now + MAINTENANCE_RETRY_S
            self._instruments_due = max(self._instruments_due, later)
            self._clock_due = max(self._clock_due, later)
        finally:
            self._running = False
