"""The seeded order flow: adds, cancels, market orders and a fair price that walks.

One sequence of events for all venues, in a time of its own: which market an event is for, and what it does, depends on
the seed and on the books alone, never on the clock or on how the process was scheduled. The fair prices are shared, so
the venues' books overlap as real ones do, and ETH/BTC is the quotient of the other two.

The makers keep every book deep: what the walk eats on one side grows again at its far end, and what it leaves behind on
the other is filled up to the new price, so that a price that was the edge of a snapshot is soon the middle of the book.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from decimal import Decimal

from .market import Batch, Market

#: The fair prices are integers of this many to the quote's unit.
ATOMS = 10**8
_STARTING_FAIR = {"BTC": 60_000 * ATOMS, "ETH": 3_000 * ATOMS, "USDT": ATOMS}
#: How far the walk goes before it is turned round, in parts per thousand of the starting price.
BAND_PERMILLE = 50
#: A leg of the walk goes one way for so long (seconds of the flow's time).
LEG_S = (45.0, 120.0)
#: Mean distance of neighbouring levels in ticks, of a freshly laid ladder.
GAP_TICKS_MAX = 3
#: How far from the price makers may be for each level that a side shall have: twice the widest ladder.
REACH_TICKS_A_LEVEL = 2 * GAP_TICKS_MAX
#: Of what the walk runs over, so many levels trade; the makers pull the rest.
SWEPT_LEVELS_MAX = 3
#: An order of the flow is worth so much and up to a hundred times more, in USDT.
ORDER_WORTH_USDT = 50
#: ETH moves at this part of BTC's pace in ticks.
_PACE_PERCENT = {"BTC": 100, "ETH": 25}


class FairPrices:
    """What BTC and ETH are worth in USDT, walking in legs.

    :param levels_a_second: how many levels of BTC/USDT the price passes in a second of the flow's time. 0: it stands.
    """

    def __init__(self, rng: random.Random, levels_a_second: int) -> None:
        self._rng = rng
        self._values = dict(_STARTING_FAIR)
        # A ladder's mean gap is two ticks of 0.01 USDT.
        tick_atoms = ATOMS // 100
        mean_gap = (1 + GAP_TICKS_MAX) // 2
        self._pace = {
            asset: levels_a_second * mean_gap * tick_atoms * percent // 100 for asset, percent in _PACE_PERCENT.items()
        }
        self._direction = dict.fromkeys(self._pace, 1)
        self._leg_left_us = dict.fromkeys(self._pace, 0)

    def advance(self, elapsed_us: int) -> None:
        """Let `elapsed_us` of the flow's time pass."""
        for asset, pace in self._pace.items():
            if self._leg_left_us[asset] <= 0:
                self._begin_leg(asset)
            self._leg_left_us[asset] -= elapsed_us
            self._values[asset] += self._direction[asset] * pace * elapsed_us // 1_000_000

    def _begin_leg(self, asset: str) -> None:
        start = _STARTING_FAIR[asset]
        permille_off = (self._values[asset] - start) * 1_000 // start
        # The further from the start, the likelier the way back; at the band's edge it is certain.
        up = self._rng.randrange(2 * BAND_PERMILLE) >= BAND_PERMILLE + permille_off
        self._direction[asset] = 1 if up else -1
        self._leg_left_us[asset] = int(self._rng.uniform(*LEG_S) * 1_000_000)

    def of(self, base: str, quote: str) -> int:
        """The fair price of `base` in `quote`, in atoms."""
        return self._values[base] * ATOMS // self._values[quote]


class Maker:
    """What one market's simulated participants do.

    :param worth_atoms: what a unit of the base asset is worth in USDT, in atoms: it sizes the orders.
    """

    def __init__(self, market: Market, rng: random.Random, worth_atoms: int) -> None:
        self._market = market
        self._book = market.book
        self._rng = rng
        self._levels = market.spec.ladder_levels
        self._tick_atoms = int(market.spec.tick * ATOMS)
        assert self._tick_atoms > 0, "a tick is a multiple of an atom"
        lot = Decimal(ORDER_WORTH_USDT * ATOMS) / worth_atoms
        self._unit = max(1, int(max(market.spec.min_quantity, lot) / market.spec.step))
        self._half_spread = 2

    def lay_out(self, fair_atoms: int) -> None:
        """Fill an empty book around a fair price."""
        centre = fair_atoms // self._tick_atoms
        for is_buy in (True, False):
            price = centre
            ladder = []
            for _ in range(self._levels):
                price += -self._gap() if is_buy else self._gap()
                ladder.append((price, self._quantity()))
            assert ladder[-1][0] > 0, "the ladder must end above zero: choose a finer tick or fewer levels"
            self._book.seed(is_buy, reversed(ladder) if is_buy else ladder)

    def act(self, fair_atoms: int, now_ns: int) -> Batch | None:
        """One event: follow the fair price, then do one of the usual things."""
        centre = fair_atoms // self._tick_atoms
        for is_bid in (True, False):
            self._yield_to(is_bid, centre, now_ns)
        for is_bid in (True, False):
            self._keep(is_bid, centre)
        kind = self._rng.random()
        if kind < 0.45:
            self._add(centre)
        elif kind < 0.75:
            self._cancel_near()
        elif kind < 0.88:
            self._take(now_ns)
        else:
            self._change_deep()
        return self._market.commit(now_ns)

    def _gap(self) -> int:
        return self._rng.randint(1, GAP_TICKS_MAX)

    def _quantity(self) -> int:
        return int(self._unit * (1 + 100 * self._rng.random() ** 3))

    def _yield_to(self, is_bid: bool, centre: int, now_ns: int) -> None:
        """Clear the side that the fair price ran over: the makers pull most of it, a taker eats what is left."""
        crossed = self._book.prices_within(is_bid, centre)
        if not crossed:
            return
        if is_bid:
            crossed.reverse()
        for price in crossed[SWEPT_LEVELS_MAX:]:
            self._pull(is_bid, price)
        left = sum(self._book.total(is_bid, price) for price in self._book.prices_within(is_bid, centre))
        if left:
            self._market.submit(not is_bid, left, centre, now_ns=now_ns, rest=False)

    def _pull(self, is_bid: bool, price: int) -> None:
        for order in self._book.queue(is_bid, price):
            if not order.owner:
                self._book.cancel(order.order_id)

    def _keep(self, is_bid: bool, centre: int) -> None:
        """Quote up to the fair price, and keep the side as deep as it shall be at its far end.

        Whoever rests further away than makers ever do is no end of theirs: an owner's order may be anywhere.
        """
        away = -1 if is_bid else 1
        best = self._book.best(is_bid)
        touch = centre + away * self._half_spread
        reach = touch + away * self._levels * REACH_TICKS_A_LEVEL
        if best is None or (best - reach) * away > 0:
            best = touch
            self._rest(is_bid, best)
        while (touch - best) * away < 0:
            # Step from the old best towards the price, never past the touch.
            best = max(best - away * self._gap(), touch) if not is_bid else min(best + self._gap(), touch)
            self._rest(is_bid, best)
        while (near := self._book.count_within(is_bid, reach)) < self._levels:
            end = self._book.price_at(is_bid, near - 1) if near else touch
            further = end + away * self._gap()
            if further <= 0 or (further - reach) * away > 0:
                break
            self._rest(is_bid, further)
        surplus = near - self._levels - self._levels // 50
        for index in range(near - 1, near - 1 - surplus, -1):
            self._pull(is_bid, self._book.price_at(is_bid, index))

    def _rest(self, is_bid: bool, price: int) -> None:
        self._book.submit(is_bid, self._quantity(), price)

    def _add(self, centre: int) -> None:
        is_bid = self._rng.random() < 0.5
        distance = 1 + int(self._rng.expovariate(0.1))
        price = max(1, centre - distance if is_bid else centre + distance)
        self._rest(is_bid, price)

    def _cancel_near(self) -> None:
        is_bid = self._rng.random() < 0.5
        index = min(int(self._rng.expovariate(0.1)), self._book.count(is_bid) - 1)
        self._cancel_at(is_bid, index)

    def _cancel_at(self, is_bid: bool, index: int) -> None:
        order = self._book.queue(is_bid, self._book.price_at(is_bid, index))[-1]
        if not order.owner:
            self._book.cancel(order.order_id)

    def _change_deep(self) -> None:
        is_bid = self._rng.random() < 0.5
        index = self._rng.randrange(self._book.count(is_bid))
        if self._rng.random() < 0.5:
            self._cancel_at(is_bid, index)
        else:
            self._rest(is_bid, self._book.price_at(is_bid, index))

    def _take(self, now_ns: int) -> None:
        is_buy = self._rng.random() < 0.5
        levels = self._book.raw_levels(not is_buy, 3)
        swept = self._rng.choice((1, 1, 1, 2, 3))
        quantity = sum(steps for _, steps in levels[: swept - 1]) + 1
        quantity += int((levels[min(swept, len(levels)) - 1][1] - 1) * self._rng.random())
        self._market.submit(is_buy, quantity, now_ns=now_ns)


class Flow:
    """The events of all markets, one after the other.

    :param venues: the markets of each venue.
    :param rate: events a second and venue, on the average.
    :param walk: see :class:`FairPrices`.
    """

    def __init__(self, venues: Iterable[Sequence[Market]], *, seed: int, rate: Decimal, walk: int) -> None:
        self._rng = random.Random(f"flow/{seed}")
        self._fair = FairPrices(random.Random(f"fair/{seed}"), walk)
        self._markets = [list(markets) for markets in venues]
        self._makers = {
            id(market): Maker(
                market, random.Random(f"{seed}/{number}/{market.spec.native}"), self._fair.of(market.spec.base, "USDT")
            )
            for number, markets in enumerate(self._markets)
            for market in markets
        }
        self._events_a_second = float(rate) * len(self._markets)
        #: When the next event is due, microseconds of the flow's time since its start.
        self.due_us = 0
        self.events = 0
        for markets in self._markets:
            for market in markets:
                self._makers[id(market)].lay_out(self._fair.of(market.spec.base, market.spec.quote))

    @property
    def moving(self) -> bool:
        """Whether there is anything to do at all."""
        return self._events_a_second > 0

    def step(self, now_ns: int) -> Batch | None:
        """The next event, whatever the clock says; its batch (None if it came to nothing)."""
        elapsed_us = 1 + int(self._rng.expovariate(self._events_a_second) * 1_000_000)
        self.due_us += elapsed_us
        self.events += 1
        self._fair.advance(elapsed_us)
        market = self._rng.choice(self._rng.choice(self._markets))
        spec = market.spec
        return self._makers[id(market)].act(self._fair.of(spec.base, spec.quote), now_ns)
