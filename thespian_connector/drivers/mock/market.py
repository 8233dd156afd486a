"""One instrument of the mock venue: its true book, its tape, its day."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from decimal import Decimal

from thespian_connector.model import Level, Side, text
from thespian_connector.model.decimals import ZERO

from .protocol import DEPTH_MAX, TRADES_MAX, TickerBody, TradeItem

#: The first id of every book. Not near 1, which on venues like Bybit means that the service has restarted.
FIRST_ID = 1000

#: One change of a book: side, price, the new absolute quantity.
Change = tuple[Side, Decimal, Decimal]


class MockMarket:
    """Exact Decimals; nothing is checked but that prices are positive: a test may want a crossed book."""

    def __init__(self, symbol: str, tick_size: Decimal, step_size: Decimal) -> None:
        self.symbol = symbol
        self.base, _, self.quote = symbol.partition("/")
        if not (self.base and self.quote):
            raise ValueError(f"symbol: {symbol!r} is not like 'BTC/USDT'")
        self.native = f"{self.base}-{self.quote}"
        self.tick_size = tick_size
        self.step_size = step_size
        self.update_id = FIRST_ID
        self.sides: dict[Side, dict[Decimal, Decimal]] = {Side.BUY: {}, Side.SELL: {}}
        self.tape: deque[TradeItem] = deque(maxlen=TRADES_MAX)
        self._trades = 0
        self._open = self._high = self._low = self._last = ZERO
        self._volume = self._quote_volume = ZERO

    def apply(self, changes: Iterable[Change]) -> dict[Side, list[tuple[str, str]]]:
        """One update of the book. Returns its levels as the diff spells them; the update has the next id.

        :raises ValueError: a level that cannot be, or one too many; the book is as it was.
        """
        spelled: dict[Side, list[tuple[str, str]]] = {Side.BUY: [], Side.SELL: []}
        after = {side: levels.copy() for side, levels in self.sides.items()}
        for side, price, quantity in changes:
            if price <= 0 or quantity < 0:
                raise ValueError(f"a level of {text(price)} with {text(quantity)} cannot be")
            if quantity:
                after[side][price] = quantity
            else:
                after[side].pop(price, None)
            spelled[side].append((text(price), text(quantity)))
        if max(map(len, after.values())) > DEPTH_MAX:
            raise ValueError(f"a side of the mock venue has {DEPTH_MAX} levels at most")
        self.sides = after
        self.update_id += 1
        return spelled

    def levels(self, side: Side, depth: int = 0) -> tuple[Level, ...]:
        """The true levels of a side, best first; `depth` 0 is all."""
        ordered = sorted(self.sides[side].items(), reverse=side is Side.BUY)
        return tuple(Level(*level) for level in (ordered[:depth] if depth else ordered))

    def wire(self, side: Side, depth: int = DEPTH_MAX) -> list[tuple[str, str]]:
        return [(text(level.price), text(level.quantity)) for level in self.levels(side, depth)]

    def best(self, side: Side) -> tuple[str, str] | None:
        return next(iter(self.wire(side, 1)), None)

    def trade(self, aggressor: Side, price: Decimal, quantity: Decimal, time_ns: int) -> TradeItem:
        """Prints one trade on the tape; the book is not touched."""
        if price <= 0 or quantity <= 0:
            raise ValueError(f"a trade of {text(quantity)} at {text(price)} cannot be")
        self._trades += 1
        if self._trades == 1:
            self._open = self._high = self._low = price
        self._last, self._high, self._low = price, max(self._high, price), min(self._low, price)
        self._volume += quantity
        self._quote_volume += quantity * price
        item = TradeItem(
            id=str(self._trades), price=text(price), quantity=text(quantity), side=aggressor, time_ns=time_ns
        )
        self.tape.append(item)
        return item

    @property
    def last(self) -> Decimal:
        """The price of the last trade, zero before the first."""
        return self._last

    def ticker(self, time_ns: int) -> TickerBody | None:
        """None before the first trade. The day is the venue's whole life."""
        if not self._trades:
            return None
        bid, ask = self.best(Side.BUY), self.best(Side.SELL)
        return TickerBody(
            last=text(self._last),
            time_ns=time_ns,
            bid=bid and bid[0],
            bid_quantity=bid and bid[1],
            ask=ask and ask[0],
            ask_quantity=ask and ask[1],
            open=text(self._open),
            high=text(self._high),
            low=text(self._low),
            volume=text(self._volume),
            quote_volume=text(self._quote_volume),
        )
