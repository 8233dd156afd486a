"""What orders do to balances, exactly: lock, release, settle. Nothing is ever below zero."""

from __future__ import annotations

from decimal import ROUND_DOWN, Decimal

from thespian_connector.model.decimals import ZERO

from .market import MarketSpec
from .orders import Refusal, Refused, SimOrder
from .venue import Account


class Ledger:
    """The books of one account.

    :param fee_step: fees are rounded down to a multiple of it; venues do not say how they round.
    """

    def __init__(self, account: Account, *, maker_fee: Decimal, taker_fee: Decimal, fee_step: Decimal) -> None:
        self.account = account
        self.maker_fee = maker_fee
        self.taker_fee = taker_fee
        self._fee_step = fee_step
        #: Assets whose free or locked amount has changed since this was last taken, in that order.
        self.changed: dict[str, None] = {}

    def _move(self, asset: str, *, free: Decimal = ZERO, locked: Decimal = ZERO) -> None:
        account = self.account
        account.free[asset] = account.free.get(asset, ZERO) + free
        account.locked[asset] = account.locked.get(asset, ZERO) + locked
        assert account.free[asset] >= 0, "what is spent was free"
        assert account.locked[asset] >= 0, "what is released was locked"
        self.changed[asset] = None

    def free(self, asset: str) -> Decimal:
        """What may be locked."""
        return self.account.free.get(asset, ZERO)

    def lock(self, order: SimOrder, spec: MarketSpec, amount: Decimal) -> None:
        """Set `amount` aside for an order (a negative one gives some back).

        :raises Refused: FUNDS.
        """
        asset = spec.quote if order.is_buy else spec.base
        if amount > self.free(asset):
            raise Refused(Refusal.FUNDS)
        if amount:
            order.locked += amount
            self._move(asset, free=-amount, locked=amount)

    def release(self, order: SimOrder, spec: MarketSpec) -> None:
        """Give back whatever is still set aside for an order that has ended."""
        if order.locked:
            amount, order.locked = order.locked, ZERO
            self._move(spec.quote if order.is_buy else spec.base, free=amount, locked=-amount)

    def settle(
        self, order: SimOrder, spec: MarketSpec, price: Decimal, quantity: Decimal, *, maker: bool
    ) -> tuple[Decimal, str]:
        """Pay for and receive one fill; (fee, its asset). The fee is taken from what is received."""
        cost = price * quantity
        if order.is_buy:
            paid, received, paid_asset, asset = cost, quantity, spec.quote, spec.base
            # Locked at the limit: what the fill was cheaper by is free again.
            unlocked = cost if order.price is None else order.price * quantity
        else:
            paid, received, paid_asset, asset = quantity, cost, spec.base, spec.quote
            unlocked = quantity
        fee = (received * (self.maker_fee if maker else self.taker_fee)).quantize(self._fee_step, ROUND_DOWN)
        order.locked -= unlocked
        assert order.locked >= 0, "a fill is paid from what the order has locked"
        self._move(paid_asset, free=unlocked - paid, locked=-unlocked)
        self._move(asset, free=received - fee)
        return fee, asset
