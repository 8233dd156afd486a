"""What an account holds, as the venue told it: on its stream, and in answers, which may be older."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal

from thespian_connector.model import Balance
from thespian_connector.model.private import BalanceReport

from .events import BalancesTold


class BalanceBook:
    """:param told: what was told of each asset last.
    :param told_at: asset -> the number of the fact that told of it last.
    :param count: how many facts about balances were folded in.
    """

    def __init__(
        self, told: Iterable[BalanceReport] = (), told_at: Mapping[str, int] | None = None, count: int = 0
    ) -> None:
        self._told = {one.asset: one for one in told}
        self.told_at = dict(told_at or {})
        self.count = count

    @property
    def told(self) -> tuple[BalanceReport, ...]:
        return tuple(self._told.values())

    def changed(self, event: BalancesTold) -> dict[str, BalanceReport | None]:
        """What the fact changes, by asset; None: nothing is left of it."""
        told: dict[str, BalanceReport | None] = {one.asset: one for one in event.balances}
        if event.asked_at is not None:
            told |= dict.fromkeys(asset for asset in self._told if asset not in told)
            told = {asset: one for asset, one in told.items() if self.told_at.get(asset, 0) <= event.asked_at}
        return {asset: one for asset, one in told.items() if _held(one) != _held(self._told.get(asset))}

    def tell(self, event: BalancesTold) -> None:
        changed = self.changed(event)
        if changed or event.asked_at is None:  # as many as are journaled, so that a replay counts the same
            self.count += 1
        for asset, told in changed.items():
            self.told_at[asset] = self.count
            if told is None:
                del self._told[asset]
            else:
                self._told[asset] = told

    def balances(self, exchange: str) -> list[Balance]:
        return [
            Balance(exchange=exchange, asset=asset, free=told.free, locked=told.locked)
            for asset, told in sorted(self._told.items())
        ]


def _held(told: BalanceReport | None) -> tuple[Decimal, Decimal] | None:
    return None if told is None else (told.free, told.locked)
