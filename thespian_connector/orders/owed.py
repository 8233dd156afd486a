"""Which balances the private stream owes: something moved them, and the stream has not told of them since.

Both are dated by the venue's clock, so that word that came just before, or of another asset, settles nothing. What the
stream tells is absolute: word as new as the latest move settles all of that asset's moves.
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

from thespian_connector.model import OrderStatus, Side
from thespian_connector.model.private import BalanceReport, FillReport, OrderReport

from .positions import Market


class _Debt(Struct):
    """`moved_ns`: the venue's time of the latest move. `since_ns`: when it was first known that word is wanting."""

    moved_ns: int
    since_ns: int


class OwedBalances:
    def __init__(self) -> None:
        self._debts: dict[str, _Debt] = {}
        #: The venue's time of the stream's latest word, by asset.
        self._told_ns: dict[str, int] = {}

    def order(self, report: OrderReport, side: Side | None, market: Market, now_ns: int) -> None:
        """An order was taken, changed or ended, which moves what is locked for it; of an unknown side: of both."""
        locks = {Side.BUY: [market.quote], Side.SELL: [market.base], None: [market.base, market.quote]}
        if report.status is not OrderStatus.REJECTED:
            self._moved(locks[side], report.time_ns, now_ns)
        for fill in report.fills:
            self.fill(fill, market, now_ns)

    def fill(self, fill: FillReport, market: Market, now_ns: int) -> None:
        assets = {market.base, market.quote, fill.fee_asset or market.quote}
        self._moved(sorted(assets), fill.time_ns, now_ns)

    def _moved(self, assets: Iterable[str], at_ns: int, now_ns: int) -> None:
        for asset in assets:
            if at_ns <= self._told_ns.get(asset, 0):
                continue
            debt = self._debts.setdefault(asset, _Debt(at_ns, now_ns))
            debt.moved_ns = max(debt.moved_ns, at_ns)

    def told(self, balances: Iterable[BalanceReport], now_ns: int) -> None:
        """By the stream."""
        for one in balances:
            self._told_ns[one.asset] = max(one.time_ns, self._told_ns.get(one.asset, 0))
            debt = self._debts.get(one.asset)
            if debt is None:
                continue
            if one.time_ns >= debt.moved_ns:
                del self._debts[one.asset]
            else:
                debt.since_ns = now_ns  # it goes on telling: it has only not come to the latest yet

    def forgive(self, before_ns: int) -> None:
        """A listing told all balances: what has been owed since before then is in it."""
        self._debts = {asset: debt for asset, debt in self._debts.items() if debt.since_ns > before_ns}

    def since_ns(self) -> int | None:
        """Since when the oldest word is owed; None: nothing is."""
        return min((debt.since_ns for debt in self._debts.values()), default=None)
