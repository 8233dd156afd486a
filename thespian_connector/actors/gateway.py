"""Gateway: REST reads of one venue: instruments, tickers, trades, its clock; on a thread of its own those that are
signed, of our account there."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import msgspec

from thespian_connector.drivers.trading import OrderKey
from thespian_connector.limits import MAINTENANCE_RETRY_S, PRIVATE_READ_S_MAX, TRADES_ASKED_MAX
from thespian_connector.model import FeeRates, Instrument, Ticker, Trade
from thespian_connector.model.errors import ConfigError, UsageError
from thespian_connector.net import records
from thespian_connector.net.trading import TradeRest
from thespian_connector.orders.survey import Answer

from .account import trade_rest
from .component import Arguments, Component
from .messages import Address, Message, Request, ThreadAge, unpack
from .settings import ExchangeStart
from .threads import Worker
from .venue import REST_DEADLINE_S, Upkeep, Venue

#: A signed read: what it asks for, and until when (monotonic seconds).
Read = Callable[[TradeRest, Arguments, float], dict[str, Any]]


class Gateway(Component):
    kind = "gateway"
    tick_s = MAINTENANCE_RETRY_S

    def started(self, body: bytes) -> None:
        self.start = unpack(body, ExchangeStart)
        self.venue = Venue(self.start)
        self.clock = self.venue.clock
        self.slow = {
            "instruments": self.instruments,
            "ticker": self.ticker,
            "trades": self.trades,
            "clock": self.measured_clock,
        }
        self.reads: dict[str, Read] = {
            "query_order": _query_order,
            "open_orders": _open_orders,
            "order_history": _order_history,
            "fills": _fills,
            "balances": _balances,
        }
        self.start_worker("rest")
        self.private = Worker("private", self.worker_limit_s)
        self.private.start()
        self._trade: TradeRest | None = None
        self.upkeep = Upkeep(self.name, self.venue, self.worker)
        self.tick(time.monotonic())

    def thread_ages(self) -> tuple[ThreadAge, ...]:
        return (*super().thread_ages(), self.private.age())

    def tick(self, now: float) -> None:
        self.upkeep.tick(now)

    def stopping(self) -> None:
        self.worker.stop(timeout_s=1.0)
        self.private.stop(timeout_s=1.0)
        self.venue.close()

    def handle(self, message: Message, sender: Address) -> None:
        if isinstance(message, Request) and message.operation == "fees":
            self.submit(self.fees, message, sender, self.private)
        elif isinstance(message, Request) and message.operation in self.reads:
            read = self.reads[message.operation]
            self.submit(lambda arguments: self._signed(read, arguments), message, sender, self.private)
        else:
            super().handle(message, sender)

    # -- on the private worker

    def _account(self) -> TradeRest:
        """:raises ConfigError: there are no keys, or they cannot be read.
        :raises ConnectorError: the venue's clock cannot be measured, without which nothing can be signed.
        """
        if not self.start.trades:
            raise ConfigError(
                f"{self.venue.exchange}: this system has no key of an account there; name one in the config:"
                f" exchanges.{self.venue.exchange}.api_key and api_secret"
            )
        if self._trade is None:
            self._trade = trade_rest(self.start, self.venue)
        if self.clock.sample is None:
            self.venue.measure_clock()
        return self._trade

    def _signed(self, read: Read, arguments: Arguments) -> Answer:
        """What the venue tells, and when it was asked, by its own clock."""
        trade = self._account()
        asked_ns = self.clock.now_ns()
        told = read(trade, arguments, time.monotonic() + PRIVATE_READ_S_MAX)
        return Answer(asked_ns=asked_ns, now_ns=self.clock.now_ns(), **told)

    def fees(self, arguments: Arguments) -> list[FeeRates]:
        """Our rates for each of `symbols`; for those that the system carries, where none are named."""
        trade = self._account()
        rates = []
        for symbol in arguments.get("symbols") or self.start.settings.symbols:
            instrument = self.venue.instrument(str(symbol))
            told = trade.fees(instrument.native, time.monotonic() + PRIVATE_READ_S_MAX)
            rates.append(
                FeeRates(exchange=self.venue.exchange, symbol=instrument.symbol, maker=told.maker, taker=told.taker)
            )
            self.private.beat()
        return rates

    # -- on the worker

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


def _query_order(trade: TradeRest, arguments: Arguments, deadline: float) -> dict[str, Any]:
    """`key`: an OrderKey. No order: the venue knows none of that name, now."""
    found = trade.query(msgspec.convert(arguments["key"], OrderKey), deadline)
    return {"orders": [] if found is None else [found]}


def _open_orders(trade: TradeRest, arguments: Arguments, deadline: float) -> dict[str, Any]:
    """Of `native`; None: of every symbol."""
    return {"orders": trade.open_orders(arguments.get("native"), deadline)}


def _order_history(trade: TradeRest, arguments: Arguments, deadline: float) -> dict[str, Any]:
    return {"orders": trade.order_history(arguments["native"], arguments["since_ms"], deadline)}


def _fills(trade: TradeRest, arguments: Arguments, deadline: float) -> dict[str, Any]:
    """Of `native` since `since_ms`, or of `order_id`."""
    fills = trade.fills(arguments["native"], arguments.get("order_id"), arguments.get("since_ms", 0), deadline)
    return {"fills": fills}


def _balances(trade: TradeRest, arguments: Arguments, deadline: float) -> dict[str, Any]:
    del arguments
    return {"balances": trade.balances(deadline)}
