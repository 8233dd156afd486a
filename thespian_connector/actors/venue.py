"""The REST side of one venue in one process: the driver, the shared budget, the client."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from thespian_connector.drivers.registry import driver_for
from thespian_connector.model import Instrument
from thespian_connector.model.errors import UnknownSymbol
from thespian_connector.net.budget import Budget
from thespian_connector.net.market import MarketRest
from thespian_connector.net.rest import RestClient
from thespian_connector.orders.positions import Market

from .settings import ExchangeStart

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
        self.client = RestClient(self.driver, self.endpoints.rest, budget=self.budget, tap=tap)
        self.rest = MarketRest(self.driver, self.client)
        self.instruments: dict[str, Instrument] = {}
        self._markets: dict[str, Market] = {}

    def load_instruments(self) -> None:
        """:raises ConnectorError: the venue does not say."""
        self.instruments = {one.symbol: one for one in self.rest.instruments(deadline_s=REST_DEADLINE_S)}
        self._markets = {one.native: Market(one.symbol, one.base, one.quote) for one in self.instruments.values()}

    def instrument(self, symbol: str) -> Instrument:
        """:raises UnknownSymbol: the venue lists no such instrument."""
        if not self.instruments:
            self.load_instruments()
        try:
            return self.instruments[symbol]
        except KeyError:
            raise UnknownSymbol(
                f"{self.exchange} has no instrument {symbol!r}; see: thespian-connector instruments"
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
