"""One instrument on one venue: its rules, its book, its tape, and the batches that its listeners publish."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cached_property
from typing import NamedTuple

from .candles import DAY_MS, Bar, Candles
from .engine import Execution, MatchingBook, RawChange
from .history import History

#: Trades kept for the venues' recent and historical trades. Older ones are dropped.
TAPE_MAX = 5_000


@dataclass(frozen=True, slots=True)
class MarketSpec:
    """The rules of an instrument. `tick` and `step` are the price and quantity grids."""

    base: str
    quote: str
    native: str
    tick: Decimal
    step: Decimal
    min_quantity: Decimal
    max_quantity: Decimal
    min_notional: Decimal
    max_price: Decimal
    #: Levels a side that the flow keeps: more than the venue ever serves.
    ladder_levels: int

    @property
    def symbol(self) -> str:
        """The unified name, ``BASE/QUOTE``."""
        return f"{self.base}/{self.quote}"


class SimTrade(NamedTuple):
    """One trade. `taker_id` is the aggressor's order: trades of one taker at one price make one aggregate trade."""

    trade_id: int
    price: Decimal
    quantity: Decimal
    taker_side: str
    time_ns: int
    taker_id: int
    maker_id: int


@dataclass
class Batch:
    """What one engine batch did. `raw` holds (is a bid, ticks, steps before, steps after); `changes` is the same as
    the venues tell it: (``"bid"`` or ``"ask"``, price, absolute quantity, 0 for a level that is gone)."""

    batch_id: int
    time_ns: int
    raw: list[RawChange]
    trades: list[SimTrade]
    spec: MarketSpec

    @cached_property
    def changes(self) -> list[tuple[str, Decimal, Decimal]]:
        tick, step = self.spec.tick, self.spec.step
        return [("bid" if is_bid else "ask", price * tick, after * step) for is_bid, price, _, after in self.raw]


@dataclass
class Market:
    """`batch_id` counts engine batches from 1; the venue's own update ids are the front's business (`history.note`).

    Orders go through :meth:`submit`, cancels through ``book.cancel``; :meth:`commit` publishes what they did.
    """

    spec: MarketSpec
    #: Trades are numbered from here without holes.
    first_trade_id: int = 1
    book: MatchingBook = field(init=False)
    history: History = field(init=False)
    candles: Candles = field(init=False, default_factory=Candles)
    tape: deque[SimTrade] = field(init=False, default_factory=lambda: deque(maxlen=TAPE_MAX))
    batch_id: int = field(init=False, default=0)
    last_batch_ns: int = field(init=False, default=0)
    listeners: list[Callable[[Batch], None]] = field(init=False, default_factory=list)
    #: Told after every listener; they may trade in turn, which makes the next batch.
    followers: list[Callable[[Batch], None]] = field(init=False, default_factory=list)
    _trades: list[SimTrade] = field(init=False, default_factory=list)
    _next_trade_id: int = field(init=False)

    def __post_init__(self) -> None:
        self.book = MatchingBook(self.spec.tick, self.spec.step)
        self.history = History(self.book)
        self._next_trade_id = self.first_trade_id

    def submit(
        self,
        is_buy: bool,
        quantity: int,
        price: int | None = None,
        *,
        now_ns: int,
        owner: str = "",
        rest: bool = True,
    ) -> Execution:
        """An order in ticks and steps (see :meth:`MatchingBook.submit`); its trades go onto the tape."""
        execution = self.book.submit(is_buy, quantity, price, owner=owner, rest=rest)
        tick, step = self.spec.tick, self.spec.step
        for fill in execution.fills:
            trade = SimTrade(
                self._next_trade_id,
                fill.price * tick,
                fill.quantity * step,
                "buy" if is_buy else "sell",
                now_ns,
                execution.order_id,
                fill.maker.order_id,
            )
            self._next_trade_id += 1
            self._trades.append(trade)
            self.tape.append(trade)
            self.candles.add(now_ns // 1_000_000, trade.trade_id, trade.price, trade.quantity, is_buy)
        return execution

    def commit(self, now_ns: int) -> Batch | None:
        """Close the batch, journal it and tell the listeners; None if nothing happened since the last one."""
        raw = self.book.drain()
        trades, self._trades = self._trades, []
        if not raw and not trades:
            return None
        self.batch_id += 1
        self.last_batch_ns = now_ns
        batch = Batch(self.batch_id, now_ns, raw, trades, self.spec)
        self.history.append(self.batch_id, now_ns, raw)
        for listener in self.listeners:
            listener(batch)
        for follower in self.followers:
            follower(batch)
        return batch

    def levels_at(self, batch_id: int) -> tuple[list[tuple[Decimal, Decimal]], list[tuple[Decimal, Decimal]]] | None:
        """The whole true (bids, asks) right after a batch; None if it is no longer, or not yet, known."""
        return self.history.book_at(batch_id)

    def day(self, now_ms: int) -> Bar | None:
        """The rolling 24 hours as one bar; None without a trade."""
        return self.candles.since(now_ms - DAY_MS)

    def last_trade(self) -> SimTrade | None:
        """The newest trade."""
        return self.tape[-1] if self.tape else None
