"""Connector: the one object that a program needs.

    from thespian_connector import Connector

    with Connector.start("config/paper.toml") as c:
        book = c.order_book("binance", "BTC/USDT", depth=5)
        for event in c.stream("BTC/USDT", channels=("book",), exchanges=("binance",)):
            ...
        order = c.place_order("bybit", "BTC/USDT", side="buy", type="limit", quantity="0.01", price="60000")

Calls are thread-safe and blocking; each is answered by the process that knows, or fails with an error of
:mod:`thespian_connector.model.errors`. Starting or attaching patches Thespian in this process (it then talks only to
holders of the system's secret); a program that minds gets the same answers from the command line's ``--json``.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from .model import BestPrices, Channel, Instrument, MergedBook, OrderBook, Ticker, Trade
from .model.errors import Refused, UnknownChannel, UnknownExchange, UnknownSymbol, UsageError, shown
from .system.client import Client
from .system.config import system_name
from .system.recent import Recent
from .system.runtime import Runtime
from .trading_api import TradingCalls

if TYPE_CHECKING:
    from .bus.events import BusEvent

#: Of all exchanges together.
_MERGED_CHANNELS = ("merged", "best")
#: Of our account.
_PRIVATE_CHANNELS = ("order", "fill", "balance")
#: What may be streamed: the venues' channels, a book's trust alone, the merged ones, our account's.
_CHANNELS = (*(channel.value for channel in Channel), "status", *_MERGED_CHANNELS, *_PRIVATE_CHANNELS)
_START_S = 30.0
_ASK_S = 5.0
#: REST answers of a venue, with our retries.
_REST_S = 15.0
#: Far more than any venue's book has.
_DEPTH_MAX = 1_000_000


class Connector(TradingCalls):
    """Made by :meth:`start` or :meth:`attach`."""

    def __init__(self, system: str, *, owned: bool = False) -> None:
        self.system = system
        self._owned = owned
        self._client = Client(Runtime(system))
        self._recent = Recent()

    # -- life

    @classmethod
    def start(
        cls,
        config: str | Path | None = None,
        *,
        system: str | None = None,
        overrides: Sequence[str] = (),
        wait_live: bool = True,
        timeout_s: float = _START_S,
    ) -> Self:
        """Starts a system (in processes of its own) that ends with the ``with`` block, or with this process.

        :param config: a TOML file; None: both venues on the simulator.
        :param system: its name; by default TC_SYSTEM or "default".
        :param overrides: like the command line's ``--set``: ``"exchanges.bybit.depth=50"``.
        :param wait_live: return when every configured book is LIVE, not only when the system answers.
        :raises ConfigError: the config cannot be; it says file, key and fix.
        :raises ConnectorError: not ready within `timeout_s`; nothing is left running.
        """
        from .system import spawn

        name = system_name(system)
        path = Path(config) if config is not None else None
        spawn.start_detached(name, path, overrides, timeout_s=timeout_s, wait_live=wait_live, owner_pid=os.getpid())
        return cls(name, owned=True)

    @classmethod
    def attach(cls, system: str | None = None) -> Self:
        """A Connector to a running system.

        :raises NotRunning: there is none of that name.
        """
        connector = cls(system_name(system))
        try:
            connector.ping()
        except BaseException:
            connector.close()
            raise
        return connector

    def stop(self) -> None:
        """Ends the system, whoever started it; returns when all of it is gone.

        :raises NotRunning: it has ended already.
        """
        from .system import spawn

        self._owned = False
        self.close()
        spawn.stop(self.system)

    def close(self) -> None:
        """Lets go of the system, which goes on running. The ``with`` block does it, too."""
        self._client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._owned:
            self.stop()
        else:
            self.close()

    # -- questions

    def ping(self) -> dict[str, int]:
        """Root's pid and incarnation.

        :raises NotRunning: nobody answers.
        """
        return self._client.ask("ping", {}, dict[str, int], _ASK_S)

    def status(self) -> dict[str, Any]:
        """Every process, book, breaker and limit of the system, as ``status --json`` prints it."""
        document = self._client.ask("status", {}, dict[str, Any], _ASK_S)
        system = self._client.system
        for row in document["actors"]:
            row["restarts"] += system.restarts_of(row["name"])
        head = {
            "name": system.name,
            "state": "running",
            "admin_port": system.admin_port,
            "host": system.host,
            "control": system.control,
            "restarts": system.restarts,
        }
        return {"system": head, **document}

    def order_book(self, exchange: str, symbol: str, depth: int = 0) -> OrderBook:
        """The certified levels of the live book, `depth` a side (0: all of them), with its trust.

        :raises UnknownExchange, UnknownSymbol: the system does not run or carry it.
        :raises Refused: its process is just (re)starting.
        """
        check_depth(depth)
        arguments = {"exchange": exchange, "symbol": symbol, "depth": depth}
        return self._client.ask("order_book", arguments, OrderBook, _ASK_S)

    def merged_book(self, symbol: str, depth: int = 0) -> MergedBook:
        """The LIVE books of every exchange that carries `symbol` as one; `excluded` names the others and their trust.

        :param depth: levels a side; 0: all that every LIVE exchange's book proves. What is deeper than what the feeds
            publish (`publish_depth`) is asked from them; one that does not answer within two seconds is left out.
        :raises UnknownSymbol: no exchange of this system carries it.
        :raises Refused: the aggregator is just (re)starting.
        """
        check_depth(depth)
        return self._client.ask("merged_book", {"symbol": symbol, "depth": depth}, MergedBook, _ASK_S)

    def best(self, symbol: str) -> BestPrices:
        """The best bid and ask over the LIVE exchanges, and who quotes them.

        :raises UnknownSymbol: no exchange of this system carries it.
        """
        return self._client.ask("best", {"symbol": symbol}, BestPrices, _ASK_S)

    def ticker(self, exchange: str, symbol: str) -> Ticker:
        """The venue's ticker now, asked over REST."""
        return self._client.ask("ticker", {"exchange": exchange, "symbol": symbol}, Ticker, _REST_S)

    def trades(self, exchange: str, symbol: str, limit: int = 100) -> list[Trade]:
        """The newest public trades, oldest first, asked over REST."""
        arguments = {"exchange": exchange, "symbol": symbol, "limit": limit}
        return self._client.ask("trades", arguments, list[Trade], _REST_S)

    def instruments(self, exchange: str, symbols: Sequence[str] = ()) -> list[Instrument]:
        """Every instrument of the venue, or those named."""
        arguments = {"exchange": exchange, "symbols": list(symbols)}
        return self._client.ask("instruments", arguments, list[Instrument], _REST_S)

    def exchanges(self) -> dict[str, list[str]]:
        """What the system runs: exchange -> the symbols that it carries there."""
        return self._client.ask("exchanges", {}, dict[str, list[str]], _ASK_S)

    def components(self, pattern: str = "*") -> list[dict[str, Any]]:
        """Who runs where: names that match `pattern` (``exchange/*/market-data/*``), with their place on the bus."""
        return self._client.ask("resolve", {"pattern": pattern}, list[dict[str, Any]], _ASK_S)

    # -- streams

    def stream(
        self,
        symbol: str,
        channels: Sequence[str | Channel] = (Channel.BOOK,),
        exchanges: Sequence[str] = (),
    ) -> Iterator[BusEvent]:
        """Events of `symbol` as they come, beginning with the last known; it ends only with the caller's ``break``.

        Books may be conflated to the newest; of trades each comes, or a marker says how many were missed. A feed that
        falls silent, is restarted, or has a gap says so with a marker, whatever the channels.

        :param channels: book, trade, ticker, or status: a book's trust without its levels; of our account order, fill,
            or balance (of the symbol's two assets); of all exchanges together merged or best, whose events have the
            exchange ``*``.
        :param exchanges: none: all that carry the symbol.
        :raises UnknownChannel, UnknownExchange, UnknownSymbol: nothing to subscribe.
        """
        from .system.stream import events

        return events(*self._sources(symbol, channels, exchanges))

    def astream(
        self,
        symbol: str,
        channels: Sequence[str | Channel] = (Channel.BOOK,),
        exchanges: Sequence[str] = (),
    ) -> AsyncIterator[BusEvent]:
        """:meth:`stream` for asyncio: it waits on the socket's descriptor, no thread is used."""
        from .system.stream import async_events

        return async_events(*self._sources(symbol, channels, exchanges))

    def _sources(
        self, symbol: str, channels: Sequence[str | Channel], exchanges: Sequence[str]
    ) -> tuple[dict[str, str], list[str]]:
        """(name -> endpoint of the publishers of it, topics)."""
        kinds = [channel_name(channel) for channel in channels]
        if not kinds:
            raise UnknownChannel(f"name at least one channel of {', '.join(_CHANNELS)}")
        carried = self.exchanges()
        self._check_exchanges(exchanges, carried)
        wanted = [name for name in exchanges or carried if symbol in carried[name]]
        if not wanted:
            carriers = ", ".join(f"{name} {' '.join(carried[name])}" for name in exchanges or carried)
            raise UnknownSymbol(f"{shown(symbol)} is not carried here; there is: {carriers or 'nothing'}")
        merged = [kind for kind in kinds if kind in _MERGED_CHANNELS]
        if merged and exchanges:
            raise UsageError(
                f"channel {merged[0]} is of all exchanges; leave the exchanges out, or take book or ticker"
            )
        endpoints: dict[str, str] = {}
        topics: list[str] = []
        public = [kind for kind in kinds if kind not in (*_MERGED_CHANNELS, *_PRIVATE_CHANNELS)]
        for one in self.components("exchange/*/market-data/*") if public else ():
            exchange = str(one["name"]).split("/")[1]
            if symbol in one["symbols"] and exchange in wanted:
                endpoints[str(one["name"])] = str(one["endpoint"])
                topics += [f"{kind}|{exchange}|{symbol}" for kind in (*public, "marker")]
        for one in self.components("aggregator") if merged else ():
            endpoints["aggregator"] = str(one["endpoint"])
            topics += [f"{kind}|*|{symbol}" for kind in merged]
        private = [kind for kind in kinds if kind in _PRIVATE_CHANNELS]
        for exchange in self._accounts_of(wanted) if private else ():
            for one in self.components(f"exchange/{exchange}/order-state"):
                endpoints[str(one["name"])] = str(one["endpoint"])
                topics += [topic for kind in private for topic in _private_topics(kind, exchange, symbol)]
        if not endpoints:
            raise Refused(f"the publishers of {symbol} are just starting; ask again in a moment")
        return endpoints, topics

    @staticmethod
    def _check_exchanges(exchanges: Iterable[str], running: Iterable[str]) -> None:
        for exchange in exchanges:
            if exchange not in running:
                raise UnknownExchange(
                    f"this system does not run {shown(exchange)}; it runs {', '.join(running) or 'none'}"
                )


def _private_topics(kind: str, exchange: str, symbol: str) -> list[str]:
    """Balances are published by asset."""
    return [f"{kind}|{exchange}|{name}" for name in (symbol.split("/") if kind == "balance" else (symbol,))]


def check_depth(depth: int) -> None:
    """:raises UsageError: no book has so many levels; known without asking anybody."""
    if type(depth) is not int:
        raise UsageError(f"depth: {shown(depth)} is no whole number; take 0 for all levels, or 1 to {_DEPTH_MAX}")
    if not 0 <= depth <= _DEPTH_MAX:
        levels = depth if abs(depth) < _DEPTH_MAX**2 else "so many"
        raise UsageError(f"depth: {levels} levels cannot be shown; take 0 for all, or 1 to {_DEPTH_MAX}")


def channel_name(value: str | Channel) -> str:
    """The channel that is meant.

    :raises UnknownChannel: there is none; known without asking anybody.
    """
    if value.lower() not in _CHANNELS:
        raise UnknownChannel(f"channel: {shown(value)} is not one of {', '.join(_CHANNELS)}")
    return value.lower()
