"""From Binance's parameters of a new order to a ticket: mandatory and forbidden ones, and the filters.

Binance: "New order", "Filters". What fails here never reaches the engine: -11xx for parameters, -1013 for filters.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

from thespian_connector.model.decimals import is_multiple
from thespian_connector.model.enums import OrderType, Side, TimeInForce
from thespian_connector.simulator.market import Market, MarketSpec
from thespian_connector.simulator.orders import SelfTrade, Ticket
from thespian_connector.simulator.reach import reach

from .errors import ApiError, invalid, missing
from .info import NOTIONAL_MAX, PRICE_DOWN, PRICE_UP, STP_DEFAULT, STP_MODES, market_max_quantity
from .params import Params
from .tickers import average

#: Type -> (neutral type, mandatory parameters, parameters that it may not have).
_TYPES: dict[str, tuple[OrderType, tuple[str, ...], tuple[str, ...]]] = {
    "LIMIT": (OrderType.LIMIT, ("timeInForce", "quantity", "price"), ("stopPrice", "quoteOrderQty")),
    "MARKET": (OrderType.MARKET, (), ("timeInForce", "price", "stopPrice")),
    "LIMIT_MAKER": (OrderType.LIMIT_MAKER, ("quantity", "price"), ("timeInForce", "stopPrice", "quoteOrderQty")),
    "STOP_LOSS": (OrderType.MARKET, ("quantity", "stopPrice"), ("timeInForce", "price", "quoteOrderQty")),
    "TAKE_PROFIT": (OrderType.MARKET, ("quantity", "stopPrice"), ("timeInForce", "price", "quoteOrderQty")),
    "STOP_LOSS_LIMIT": (
        OrderType.STOP_LIMIT,
        ("timeInForce", "quantity", "price", "stopPrice"),
        ("quoteOrderQty",),
    ),
    "TAKE_PROFIT_LIMIT": (
        OrderType.STOP_LIMIT,
        ("timeInForce", "quantity", "price", "stopPrice"),
        ("quoteOrderQty",),
    ),
}
_FORCES = {"GTC": TimeInForce.GTC, "IOC": TimeInForce.IOC, "FOK": TimeInForce.FOK}
#: TRANSFER moves funds between accounts of a group; within one account it is DECREMENT.
_SELF_TRADES = {
    "NONE": SelfTrade.NONE,
    "EXPIRE_TAKER": SelfTrade.EXPIRE_TAKER,
    "EXPIRE_MAKER": SelfTrade.EXPIRE_MAKER,
    "EXPIRE_BOTH": SelfTrade.EXPIRE_BOTH,
    "DECREMENT": SelfTrade.DECREMENT,
    "TRANSFER": SelfTrade.DECREMENT,
}
#: What no symbol allows here (exchangeInfo says so), and the engine's words for it.
_NOT_ALLOWED = {
    "icebergQty": "Iceberg orders are not supported for this symbol.",
    "trailingDelta": "Trailing stop orders are not supported for this symbol.",
    "pegPriceType": "Pegged orders are not supported for this symbol.",
}
TICKET_PARAMS = (
    "symbol",
    "side",
    "type",
    "timeInForce",
    "quantity",
    "quoteOrderQty",
    "price",
    "newClientOrderId",
    "stopPrice",
    "strategyId",
    "strategyType",
    "newOrderRespType",
    "selfTradePreventionMode",
    *_NOT_ALLOWED,
)


def failure(name: str) -> ApiError:
    return ApiError(-1013, f"Filter failure: {name}")


def ticket_of(params: Params, market: Market, now_ms: int, new_client_id: Callable[[], str]) -> Ticket:
    """The ticket that the parameters spell, after every check that comes before the engine.

    :raises ApiError: the first that fails.
    """
    word_side = params.choice("side", ("BUY", "SELL"), ApiError(-1117, "Invalid side."))
    word = params.choice("type", _TYPES, ApiError(-1116, "Invalid orderType."))
    if word_side is None or word is None:
        raise missing("side" if word_side is None else "type")
    kind, mandatory, forbidden = _TYPES[word]
    for name in mandatory:
        if params.text(name) is None:
            raise missing(name)
    for name in forbidden:
        if params.raw(name) is not None:
            raise ApiError(-1106, f"Parameter '{name}' sent when not required.")
    force = params.choice("timeInForce", _FORCES, ApiError(-1115, "Invalid timeInForce."))
    numbers = _numbers(params, word)
    ticket = Ticket(
        client_id=params.client_id("newClientOrderId") or new_client_id(),
        native=market.spec.native,
        side=Side.BUY if word_side == "BUY" else Side.SELL,
        type=kind,
        quantity=numbers["quantity"],
        quote_quantity=numbers["quote_quantity"],
        price=numbers["price"],
        stop_price=numbers["stop_price"],
        trigger_above=(word_side == "BUY") == word.startswith("STOP_LOSS"),
        time_in_force=_FORCES[force] if force is not None else TimeInForce.GTC,
        self_trade=_self_trade(params),
        venue_type=word,
        venue_self_trade=params.raw("selfTradePreventionMode") or STP_DEFAULT,
    )
    for name, text in _NOT_ALLOWED.items():
        if params.text(name) is not None:
            raise ApiError(-1013, text)
    _filter(ticket, market, now_ms)
    return ticket


def _self_trade(params: Params) -> SelfTrade:
    refused = ApiError(-1013, "This symbol does not allow the specified self-trade prevention mode.")
    word = params.choice("selfTradePreventionMode", ("NONE", *STP_MODES), refused) or STP_DEFAULT
    return _SELF_TRADES[word]


def _numbers(params: Params, word: str) -> dict[str, Decimal | None]:
    numbers = {
        "quantity": params.decimal("quantity"),
        "quote_quantity": params.decimal("quoteOrderQty"),
        "price": params.decimal("price"),
        "stop_price": params.decimal("stopPrice"),
    }
    if word == "MARKET" and (numbers["quantity"] is None) == (numbers["quote_quantity"] is None):
        if numbers["quantity"] is None:
            raise missing("quantity")
        raise invalid("quoteOrderQty")
    for name, told in (("quantity", "quantity"), ("quote_quantity", "quoteOrderQty"), ("price", "price")):
        if numbers[name] == 0:
            raise ApiError(-1013, f"Invalid {told}.")
    return numbers


def _filter(ticket: Ticket, market: Market, now_ms: int) -> None:
    spec = market.spec
    for price in (ticket.price, ticket.stop_price):
        if price is not None and not (spec.tick <= price <= spec.max_price and is_multiple(price, spec.tick)):
            raise failure("PRICE_FILTER")
    mean = Decimal(average(market, now_ms)[0])
    if ticket.price is not None and mean and not PRICE_DOWN * mean <= ticket.price <= PRICE_UP * mean:
        raise failure("PERCENT_PRICE_BY_SIDE")
    quantity = ticket.quantity
    if quantity is None:
        quantity = _bought(ticket, market)
    if not (spec.min_quantity <= quantity <= spec.max_quantity and is_multiple(quantity, spec.step)):
        raise failure("LOT_SIZE")
    if ticket.type is OrderType.MARKET and quantity > market_max_quantity(spec):
        raise failure("MARKET_LOT_SIZE")
    worth = ticket.quote_quantity or (mean if ticket.price is None else ticket.price) * quantity
    if (worth and worth < spec.min_notional) or (ticket.price is not None and worth > NOTIONAL_MAX):
        raise failure("NOTIONAL")


def _bought(ticket: Ticket, market: Market) -> Decimal:
    """The quantity that a quote amount comes to: LOT_SIZE applies to it. Too little for one step is none of it."""
    spec: MarketSpec = market.spec
    assert ticket.quote_quantity is not None, "an order has one of the two quantities"
    budget = int(ticket.quote_quantity / (spec.tick * spec.step))
    found = reach(market.book, ticket.is_buy, None, budget=budget)
    # An empty book lets the order pass: it expires for want of liquidity.
    return found.steps * spec.step if found.steps or not found.short else spec.min_quantity
