"""Our account at a venue, in the processes that sign: the key, the account's limits, the signed requests."""

from __future__ import annotations

from collections.abc import Callable

from thespian_connector.drivers.registry import trading_for
from thespian_connector.net.account import AccountBudget
from thespian_connector.net.trading import TradeRest

from .keys import signer_for
from .settings import ExchangeStart
from .venue import Venue


def trade_rest(start: ExchangeStart, venue: Venue, on_sent: Callable[[], None] | None = None) -> TradeRest:
    """The account's limits are then those that the venue's listing of instruments tells.

    :param on_sent: called when a write is on its way.
    :raises ConfigError: the key is not where the config says.
    """
    trading = trading_for(start.exchange)
    signer = signer_for(start)
    account = AccountBudget.of(trading, signer, venue.budget.path.parent)
    venue.rest.on_listing = lambda body: account.set_caps(trading.account_limits_of(body))
    venue.rest.budgets = [account]
    return TradeRest(trading, venue.client, signer, venue.clock, account, on_sent=on_sent)
