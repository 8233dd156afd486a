"""What REST and the trade socket do alike around an order operation: the account's rates, and the late answer."""

from __future__ import annotations

import asyncio
from typing import Any

from thespian_connector.simulator.venue import Venue

from . import refusals as no
from .rates import Budget, Rates
from .trading import OPERATIONS, Trading

_NEUTRAL = {"create": "place", "cancel-all": "cancel_all"}


def neutral(operation: str) -> str:
    """The name of an operation that no venue owns."""
    return _NEUTRAL.get(operation, operation)


class Entry:
    """The door to :class:`Trading`."""

    def __init__(self, venue: Venue, trading: Trading) -> None:
        self._venue = venue
        self._trading = trading
        self.rates = Rates(venue)

    def charge(self, operation: str) -> Budget:
        """Ask the rolling second of an operation for one call."""
        return self.rates.charge(f"order/{operation}", OPERATIONS[operation])

    def check_flood(self) -> None:
        """The trade socket's limit of one IP.

        :raises VenueError: 10403.
        """
        if not self.rates.charge("trade", "trade_requests_max").admitted:
            raise no.refusal(no.TOO_MANY_FROM_IP)

    def run(self, operation: str, document: object, budget: Budget, hidden_ms: int) -> dict[str, Any]:
        """Do it.

        :raises VenueError: 10006 if the budget did not allow it, or whatever :meth:`Trading.run` refuses.
        """
        if not budget.admitted:
            raise no.refusal(no.TOO_MANY_VISITS)
        return self._trading.run(operation, document, hidden_ms)

    async def ack_delay(self) -> None:
        """Let the answer be as late as the setting says; the pushes may overtake it."""
        delay_ms = self._venue.setting("ack_delay_ms")
        if delay_ms:
            await asyncio.sleep(delay_ms / 1000)
