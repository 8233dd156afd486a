"""exchangeInfo: the instruments' rules and the venue's limits."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from thespian_connector.simulator.market import MarketSpec
from thespian_connector.simulator.venue import Venue

from .limits import rate_limits
from .spelling import padded

# Icebergs, trailing stops, pegs and order lists are allowed on no symbol here, so their fields are refused.
_ORDER_TYPES = ["LIMIT", "LIMIT_MAKER", "MARKET", "STOP_LOSS", "STOP_LOSS_LIMIT", "TAKE_PROFIT", "TAKE_PROFIT_LIMIT"]
STP_MODES = ("EXPIRE_TAKER", "EXPIRE_MAKER", "EXPIRE_BOTH", "DECREMENT", "TRANSFER")
STP_DEFAULT = "EXPIRE_MAKER"
AMENDS_MAX = 10
OPEN_ORDERS_MAX = 200
OPEN_STOPS_MAX = 5
NOTIONAL_MAX = Decimal(9_000_000)
#: PERCENT_PRICE_BY_SIDE: of the average price.
PRICE_UP, PRICE_DOWN = Decimal(5), Decimal("0.2")


def status(venue: Venue, native: str) -> str:
    """TRADING, or HALT while a maintenance stands: trading is off, market data goes on."""
    fault = venue.faults.matching(venue.name, ("rest", "trade"), symbol=native, kinds=("maintenance",))
    return "TRADING" if fault is None else "HALT"


def market_max_quantity(spec: MarketSpec) -> Decimal:
    """The most that one market order may have (MARKET_LOT_SIZE)."""
    return spec.max_quantity / 10


def filters(spec: MarketSpec) -> list[dict[str, Any]]:
    """The rules that orders are checked by."""
    lot = {"minQty": padded(spec.min_quantity), "maxQty": padded(spec.max_quantity)}
    return [
        {
            "filterType": "PRICE_FILTER",
            "minPrice": padded(spec.tick),
            "maxPrice": padded(spec.max_price),
            "tickSize": padded(spec.tick),
        },
        {"filterType": "LOT_SIZE", **lot, "stepSize": padded(spec.step)},
        {"filterType": "ICEBERG_PARTS", "limit": 100},
        {
            "filterType": "MARKET_LOT_SIZE",
            "minQty": "0.00000000",
            "maxQty": padded(market_max_quantity(spec)),
            "stepSize": "0.00000000",
        },
        {
            "filterType": "TRAILING_DELTA",
            "minTrailingAboveDelta": 10,
            "maxTrailingAboveDelta": 2000,
            "minTrailingBelowDelta": 10,
            "maxTrailingBelowDelta": 2000,
        },
        {
            "filterType": "PERCENT_PRICE_BY_SIDE",
            "bidMultiplierUp": str(PRICE_UP),
            "bidMultiplierDown": str(PRICE_DOWN),
            "askMultiplierUp": str(PRICE_UP),
            "askMultiplierDown": str(PRICE_DOWN),
            "avgPriceMins": 5,
        },
        {
            "filterType": "NOTIONAL",
            "minNotional": padded(spec.min_notional),
            "applyMinToMarket": True,
            "maxNotional": padded(NOTIONAL_MAX),
            "applyMaxToMarket": False,
            "avgPriceMins": 5,
        },
        {"filterType": "MAX_NUM_ORDERS", "maxNumOrders": OPEN_ORDERS_MAX},
        {"filterType": "MAX_NUM_ORDER_LISTS", "maxNumOrderLists": 20},
        {"filterType": "MAX_NUM_ALGO_ORDERS", "maxNumAlgoOrders": OPEN_STOPS_MAX},
        {"filterType": "MAX_NUM_ORDER_AMENDS", "maxNumOrderAmends": AMENDS_MAX},
    ]


def symbol_info(spec: MarketSpec, state: str, *, permission_sets: bool) -> dict[str, Any]:
    """One symbol of exchangeInfo."""
    return {
        "symbol": spec.native,
        "status": state,
        "baseAsset": spec.base,
        "baseAssetPrecision": 8,
        "quoteAsset": spec.quote,
        "quotePrecision": 8,
        "quoteAssetPrecision": 8,
        "baseCommissionPrecision": 8,
        "quoteCommissionPrecision": 8,
        "orderTypes": _ORDER_TYPES,
        "icebergAllowed": False,
        "ocoAllowed": False,
        "otoAllowed": False,
        "opoAllowed": False,
        "quoteOrderQtyMarketAllowed": True,
        "allowTrailingStop": False,
        "cancelReplaceAllowed": True,
        "amendAllowed": True,
        "pegInstructionsAllowed": False,
        "isSpotTradingAllowed": True,
        "isMarginTradingAllowed": False,
        "filters": filters(spec),
        # Always empty since permission sets took over.
        "permissions": [],
        "permissionSets": [["SPOT", "TRD_GRP_004"]] if permission_sets else [],
        "defaultSelfTradePreventionMode": STP_DEFAULT,
        "allowedSelfTradePreventionModes": list(STP_MODES),
    }


def exchange_info(
    venue: Venue, natives: list[str], server_time: int, *, permission_sets: bool, wanted_status: str | None
) -> dict[str, Any]:
    """The whole document for some symbols; `wanted_status` leaves out the others."""
    states = {native: status(venue, native) for native in natives}
    return {
        "timezone": "UTC",
        "serverTime": server_time,
        "rateLimits": rate_limits(venue),
        "exchangeFilters": [],
        "symbols": [
            symbol_info(venue.markets[native].spec, state, permission_sets=permission_sets)
            for native, state in states.items()
            if wanted_status in (None, state)
        ],
    }
