"""One venue's market data over REST: the driver's requests and parsers over a `RestClient`."""

from __future__ import annotations

from collections.abc import Callable

from thespian_connector.drivers.base import Driver
from thespian_connector.model import Instrument
from thespian_connector.model.wire import BookSnapshot, WireTicker, WireTrade

from .budget import Budget, Priority
from .clock import ClockOffset, Sample
from .rest import RestClient


class MarketRest:
    """Thread-safe. Every call takes `deadline_s` (seconds from now) and raises what `RestClient.call` raises, and
    ServerFault for a good status with a body that the driver cannot read."""

    def __init__(self, driver: Driver, client: RestClient) -> None:
        self.driver = driver
        self.client = client
        #: Gets the body of each listing of instruments, which tells more than those.
        self.on_listing: Callable[[bytes], None] = lambda _body: None
        #: Budgets beside the venue's own that are told where its windows end, too.
        self.budgets: list[Budget] = []

    def instruments(self, *, deadline_s: float | None = None) -> list[Instrument]:
        """Also tells the shared budget the limits that the listing names."""
        body = self.client.call(self.driver.instruments_request(), deadline_s=deadline_s)
        self.client.budget.set_caps(self.driver.limits_of(body))
        self.on_listing(body)
        return self.driver.parse_instruments(body)

    def depth(
        self, native: str, depth: int, *, priority: Priority = Priority.DATA, deadline_s: float | None = None
    ) -> BookSnapshot:
        request = self.driver.depth_request(native, depth)
        return self.driver.parse_depth(
            native, depth, self.client.call(request, priority=priority, deadline_s=deadline_s)
        )

    def trades(self, native: str, limit: int, *, deadline_s: float | None = None) -> list[WireTrade]:
        """The newest `limit` trades, oldest first."""
        request = self.driver.trades_request(native, limit)
        return self.driver.parse_trades(native, self.client.call(request, deadline_s=deadline_s))

    def ticker(self, native: str, *, deadline_s: float | None = None) -> WireTicker:
        request = self.driver.ticker_request(native)
        return self.driver.parse_ticker(native, self.client.call(request, deadline_s=deadline_s))

    def time_ns(self, *, priority: Priority = Priority.DATA, deadline_s: float | None = None) -> int:
        """The venue's time. Never shared with another caller: a shared answer is older than it looks."""
        request = self.driver.time_request()
        return self.driver.parse_time_ns(
            self.client.call(request, priority=priority, deadline_s=deadline_s, share=False)
        )

    def measure_clock(self, clock: ClockOffset, *, deadline_s: float = 10.0) -> Sample:
        """Measures `clock` against this venue and tells the shared budget and `budgets`, whose windows end by the
        venue's clock.

        :raises ConnectorError: no sample succeeded.
        """
        sample = clock.measure(lambda: self.time_ns(priority=Priority.RECONCILE, deadline_s=deadline_s))
        for budget in (self.client.budget, *self.budgets):
            budget.set_venue_clock(sample.offset_ns, sample.round_trip_ns // 2 + 1_000_000)
        return sample
