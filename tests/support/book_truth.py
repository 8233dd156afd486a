"""A venue's book as plain dicts of Decimals, its whole history, and the messages that a venue would make of it.

It shares no code with the package's books: it is what they are compared with.
"""

from __future__ import annotations

import random
from decimal import Decimal

from thespian_connector.model.wire import BookDiff, BookSnapshot

Side = dict[Decimal, Decimal]
SPELLINGS = ("{:f}", "{:.8f}")


class Truth:
    """Ids count up by one; `at[id]` is the whole (bids, asks) then."""

    def __init__(
        self, rng: random.Random, *, first_id: int = 1000, levels: int = 12, walk: float = 0.3, spread: int = 14
    ) -> None:
        self.rng = rng
        self.walk = walk
        self.spread = spread
        self.id = first_id
        self.mid = 10_000
        self.bids: Side = {}
        self.asks: Side = {}
        for _ in range(levels):
            self._change()
        self.at: dict[int, tuple[Side, Side]] = {self.id: (dict(self.bids), dict(self.asks))}

    def _price(self, tick: int) -> Decimal:
        return Decimal(tick).scaleb(-2)

    def _change(self) -> None:
        rng = self.rng
        if rng.random() < self.walk:
            self.mid += rng.choice((-3, -1, 1, 3)) if rng.random() < 0.5 else rng.choice((1, 2))
            edge = self._price(self.mid)
            self.bids = {p: q for p, q in self.bids.items() if p < edge}
            self.asks = {p: q for p, q in self.asks.items() if p > edge}
        for side, sign in ((self.bids, -1), (self.asks, 1)):
            for _ in range(rng.randint(1, 3)):
                price = self._price(self.mid + sign * rng.randint(1, self.spread))
                if rng.random() < 0.35:
                    side.pop(price, None)
                else:
                    side[price] = Decimal(rng.randint(1, 99999)).scaleb(-rng.choice((0, 3, 5)))
            if not side:
                side[self._price(self.mid + sign)] = Decimal(1)

    def step(self, count: int = 1) -> None:
        for _ in range(count):
            self._change()
            self.id += 1
            self.at[self.id] = (dict(self.bids), dict(self.asks))

    def best_first(self, update_id: int) -> tuple[list[tuple[Decimal, Decimal]], list[tuple[Decimal, Decimal]]]:
        bids, asks = self.at[update_id]
        return sorted(bids.items(), reverse=True), sorted(asks.items())

    def snapshot(self, update_id: int, limit: int) -> BookSnapshot:
        bids, asks = self.best_first(update_id)
        spell = self.rng.choice(SPELLINGS)
        return BookSnapshot("X", "x", update_id, _wire(bids[:limit], spell), _wire(asks[:limit], spell), limit)

    def diff(self, first_id: int, last_id: int, depth: int = 0) -> BookDiff:
        """What changed from `first_id` to `last_id`, quantities as at `last_id`; of the best `depth` only, if given."""
        sides = []
        spell = self.rng.choice(SPELLINGS)
        for side in (0, 1):
            touched: set[Decimal] = set()
            for update_id in range(first_id, last_id + 1):
                before, after = self._cut(update_id - 1, side, depth), self._cut(update_id, side, depth)
                touched |= {p for p in before.keys() | after.keys() if before.get(p) != after.get(p)}
            now = self._cut(last_id, side, depth)
            levels = [(p, now.get(p, Decimal(0))) for p in touched]
            self.rng.shuffle(levels)
            sides.append(_wire(levels, spell))
        return BookDiff("X", "x", first_id, last_id, sides[0], sides[1])

    def _cut(self, update_id: int, side: int, depth: int) -> Side:
        levels = self.best_first(update_id)[side]
        return dict(levels[:depth] if depth else levels)


def _wire(levels: list[tuple[Decimal, Decimal]], spell: str) -> list[tuple[str, str]]:
    return [(spell.format(p), spell.format(q)) for p, q in levels]


def disturbed(rng: random.Random, messages: list[BookDiff], rate: float) -> list[BookDiff]:
    """`messages` with some lost, some repeated, some late."""
    out: list[BookDiff] = []
    late: list[BookDiff] = []
    for message in messages:
        fate = rng.random()
        if fate < rate:
            continue
        out.append(message)
        if fate < 2 * rate:
            out.append(message)
        elif fate < 3 * rate:
            late.append(out.pop())
        elif late:
            out.append(late.pop())
    return out + late
