"""The limits of one account (orders a second, a day), kept like the IP's budget, in a file of its own."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Self

from thespian_connector.drivers.signing import Signer
from thespian_connector.drivers.trading import TradingDriver

from .budget import Budget
from .ledger import State


class AccountBudget(Budget):
    """A new file counts nothing as spent: past an account's limit the venue refuses the one order, and bans nobody.
    (Binance: "429 ... but with -1015: that is account-level"; Bybit: 10006, wait for the reset.)"""

    @classmethod
    def of(cls, trading: TradingDriver, signer: Signer, directory: Path) -> Self:
        """Shared by every process of the user that uses the key; the file's name tells nothing of it."""
        who = hashlib.sha256(f"{trading.exchange}|{signer.api_key}".encode()).hexdigest()[:16]
        path = directory / f"{trading.exchange}-account-{who}.budget"
        return cls(path, trading.account_limits, exchange=trading.exchange)

    @staticmethod
    def _remake(state: State, existed: bool) -> None:
        """Nothing is assumed."""
