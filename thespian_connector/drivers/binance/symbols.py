"""exchangeInfo -> instruments, and how names are spelled on the streams."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec

from thespian_connector.model import Instrument, InstrumentStatus, dec
from thespian_connector.model.decimals import ZERO
from thespian_connector.model.errors import ServerFault

from .errors import EXCHANGE

#: BREAK has no market data at all, HALT has. A word that is not here is UNKNOWN: data yes, orders no.
_STATUSES = {
    "TRADING": InstrumentStatus.TRADING,
    "CANCEL_ONLY": InstrumentStatus.CANCEL_ONLY,
    "HALT": InstrumentStatus.HALTED,
    "BREAK": InstrumentStatus.HALTED,
    "END_OF_DAY": InstrumentStatus.HALTED,
}
#: Decimal places beyond this are no asset's.
_PRECISION_MAX = 30
#: They separate streams, or the halves of our own names.
_FORBIDDEN = frozenset('/@"\\ \t\r\n')


class _Listing(msgspec.Struct):
    symbols: list[msgspec.Raw]


class _Symbol(msgspec.Struct):
    symbol: str
    baseAsset: str
    quoteAsset: str
    status: str = ""
    filters: list[dict[str, Any]] = []
    baseAssetPrecision: int | None = None
    quotePrecision: int | None = None
    quoteAssetPrecision: int | None = None
    quoteOrderQtyMarketAllowed: bool = False
    isSpotTradingAllowed: bool = True


_listing = msgspec.json.Decoder(_Listing)
_symbol = msgspec.json.Decoder(_Symbol)


def stream_name(native: str) -> str:
    """`native` as streams spell it: lower case, ASCII letters only (symbols may be any UTF-8)."""
    return native.lower() if native.isascii() else native.encode().lower().decode()


def parse_instruments(body: bytes) -> list[Instrument]:
    """Every instrument of an exchangeInfo answer that can be understood.

    :raises ServerFault: the body is no exchangeInfo.
    """
    try:
        rows = _listing.decode(body).symbols
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise ServerFault(f"{EXCHANGE}: not an exchangeInfo: {error}", exchange=EXCHANGE) from None
    return [instrument for row in rows if (instrument := _parse(row)) is not None]


def _parse(row: msgspec.Raw) -> Instrument | None:
    try:
        return _instrument(_symbol.decode(row))
    except (msgspec.DecodeError, UnicodeError, RecursionError, ValueError, TypeError):
        return None  # a row we do not understand is left out, never guessed


def _instrument(row: _Symbol) -> Instrument | None:
    if any(not name or _FORBIDDEN.intersection(name) for name in (row.symbol, row.baseAsset, row.quoteAsset)):
        return None
    filters = {f["filterType"]: f for f in row.filters if isinstance(f.get("filterType"), str)}
    price, lot, market = (filters.get(name, {}) for name in ("PRICE_FILTER", "LOT_SIZE", "MARKET_LOT_SIZE"))
    quote_places = row.quotePrecision if row.quoteAssetPrecision is None else row.quoteAssetPrecision
    tick = _positive(price, "tickSize") or _grid(quote_places)
    step = _positive(lot, "stepSize") or _grid(row.baseAssetPrecision)
    if tick is None or step is None:
        return None
    min_notional, max_notional, to_market = _notional(filters)
    status = _STATUSES.get(row.status, InstrumentStatus.UNKNOWN)
    if status is InstrumentStatus.TRADING and not row.isSpotTradingAllowed:
        status = InstrumentStatus.HALTED
    return Instrument(
        exchange=EXCHANGE,
        symbol=f"{row.baseAsset}/{row.quoteAsset}",
        native=row.symbol,
        base=row.baseAsset,
        quote=row.quoteAsset,
        status=status,
        tick_size=tick,
        step_size=step,
        min_price=_positive(price, "minPrice"),
        max_price=_positive(price, "maxPrice"),
        min_quantity=_positive(lot, "minQty"),
        max_quantity=_positive(lot, "maxQty"),
        market_min_quantity=_positive(market, "minQty"),
        market_max_quantity=_positive(market, "maxQty"),
        market_step_size=_positive(market, "stepSize"),
        quote_step_size=_grid(quote_places) if row.quoteOrderQtyMarketAllowed else None,
        min_notional=min_notional,
        max_notional=max_notional,
        min_notional_applies_to_market=to_market,
        max_open_orders=_count(filters.get("MAX_NUM_ORDERS", {}), "maxNumOrders"),
    )


def _notional(filters: dict[str, dict[str, Any]]) -> tuple[Decimal | None, Decimal | None, bool]:
    """NOTIONAL replaced MIN_NOTIONAL; where a symbol still has both, the stricter minimum counts."""
    newer, older = filters.get("NOTIONAL", {}), filters.get("MIN_NOTIONAL", {})
    low, low_older = _positive(newer, "minNotional"), _positive(older, "minNotional")
    high = _positive(newer, "maxNotional")
    if low_older is not None and (low is None or low_older > low):
        return low_older, high, older.get("applyToMarket") is not False
    return low, high, newer.get("applyMinToMarket") is not False


def _positive(row: dict[str, Any], field: str) -> Decimal | None:
    """The field's number; None where it is absent or zero, which both mean that the venue does not check it.

    :raises ValueError: it is no number, or negative.  :raises TypeError: it is a JSON float: no exact number.
    """
    if field not in row:
        return None
    number = dec(row[field], field)
    if number < ZERO:
        raise ValueError(f"{field}: negative")
    return number or None


def _grid(places: int | None) -> Decimal | None:
    """The finest step that an asset of that many decimal places has (more digits are refused with -1111)."""
    if places is None or not 0 <= places <= _PRECISION_MAX:
        return None
    return dec(Decimal(1).scaleb(-places))


def _count(row: dict[str, Any], field: str) -> int | None:
    value = row.get(field)
    return value if type(value) is int and value > 0 else None
