"""What the account's coins are worth in dollars, for the totals of a wallet."""

from __future__ import annotations

from decimal import Decimal

from thespian_connector.simulator.venue import Venue

from .data import middle


def dollar_prices(venue: Venue) -> dict[str, Decimal]:
    """A price of each coin that has one: USDT is a dollar, others are worth what their USDT market says."""
    prices = {"USDT": Decimal(1)}
    for market in venue.markets.values():
        price = middle(market)
        if market.spec.quote == "USDT" and price is not None:
            prices[market.spec.base] = price
    return prices
