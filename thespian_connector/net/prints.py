"""Trades and tickers, from the venue's records to the consumer: each once, the newest last."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from thespian_connector.model import Channel
from thespian_connector.model.wire import WireTicker, WireTrades

from . import records
from .events import FeedEvent, FeedMarker
from .records import Top
from .slot import Slot
from .tape import Told


class Prints:
    """Session's thread only.

    :param interrupted: the consumer wants no more of what is being read.
    """

    def __init__(
        self,
        exchange: str,
        slots: Mapping[str, Slot],
        on_event: Callable[[FeedEvent], None],
        count: Callable[[str, int], None],
        interrupted: Callable[[], bool],
    ) -> None:
        self._exchange = exchange
        self._slots = slots
        self._on_event = on_event
        self._count = count
        self._interrupted = interrupted

    def trades(self, event: WireTrades, line: int, now_ns: int, wall_ns: int) -> None:
        """Connection `line` brought `event`."""
        for wire in event.trades:
            slot = self._slots.get(wire.native)
            if slot is None or Channel.TRADE not in slot.channels:
                self._count("unexpected", 1)
                continue
            told = slot.tape.take(line, wire, now_ns)
            if not told:
                self._count("trades_repeated", 1)
                continue
            self.tell([(slot, one) for one in told], wall_ns)
            if self._interrupted():
                return

    def tell(self, trades: Iterable[tuple[Slot, Told]], wall_ns: int) -> None:
        """Hand trades over, and say what is missing before them."""
        for slot, (missed, wire) in trades:
            try:
                trade = records.trade(self._exchange, slot.symbol, wire, wall_ns)
            except ValueError:
                self._count("malformed", 1)
                continue
            if missed:
                self._count("trades_missed", missed)
                self._on_event(FeedMarker(symbol=slot.symbol, what="missed", missed=missed, detail="trades"))
            self._on_event(trade)
            if self._interrupted():
                return

    def ticker(self, event: WireTicker, wall_ns: int, *, shared: bool) -> None:
        """:param shared: of several connections, one may bring what another brought before."""
        slot = self._slots.get(event.native)
        if slot is None or Channel.TICKER not in slot.channels:
            self._count("unexpected", 1)
        elif shared and slot.ticker is not None and _seen(event, slot.ticker):
            self._count("tickers_repeated", 1)
        else:
            self._tell_ticker(slot, event, wall_ns)

    def top(self, slot: Slot, top: tuple[Top, Top], wall_ns: int) -> None:
        """Another best bid or ask, from a stream of its own."""
        if Channel.TICKER in slot.channels and top != slot.top:
            slot.top = top
            if slot.ticker is not None:
                self._tell_ticker(slot, slot.ticker, wall_ns)

    def _tell_ticker(self, slot: Slot, wire: WireTicker, wall_ns: int) -> None:
        try:
            ticker = records.ticker(self._exchange, slot.symbol, wire, slot.top, wall_ns)
        except ValueError:
            self._count("malformed", 1)
            return
        slot.ticker = wire
        self._on_event(ticker)


def _seen(event: WireTicker, last: WireTicker) -> bool:
    return event.venue_time_ns < last.venue_time_ns or event == last
