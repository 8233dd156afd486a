"""The parameters of order requests, checked as Bybit checks them (v5 docs: "Trade / Place Order", "Error Codes").

No order is touched here. What depends on the state of the account (balance, ids used, orders open) is the desk's.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from thespian_connector.model.decimals import CONTEXT, is_multiple, text
from thespian_connector.simulator.market import Market

from . import refusals as no
from .data import POST_ONLY_QUANTITY_TIMES, QUOTE_MAX, best_price, market_quantity_max, price_limits, quote_step
from .envelope import PARAMETER_ERROR, VenueError

TIMES_IN_FORCE = ("GTC", "IOC", "FOK", "PostOnly")
ORDER_FILTERS = ("Order", "tpslOrder", "StopOrder")
#: Known to cancel-all and to queries only; there are never any here.
LINKED_FILTERS = ("OcoOrder", "BidirectionalTpslOrder")
SMP_TYPES = ("None", "CancelMaker", "CancelTaker", "CancelBoth")
_LINK_ID = re.compile(r"[A-Za-z0-9_-]{1,36}")
_NUMBER = re.compile(r"\d{1,16}(\.\d{1,18})?")


@dataclass(frozen=True)
class NewOrder:
    """An order as asked for.

    :param quantity: in base, or in quote if `in_quote`.
    :param price: None for a market order.
    :param trigger_price: None for an order that is live at once.
    :param market_unit: as sent, empty for a limit order.
    :param bound: the worst price that a slippage tolerance allows a market order; None without one.
    """

    market: Market
    is_buy: bool
    order_type: str
    time_in_force: str
    quantity: Decimal
    in_quote: bool
    price: Decimal | None
    link_id: str
    order_filter: str
    trigger_price: Decimal | None
    smp_type: str
    market_unit: str
    slippage_type: str
    slippage: str
    bound: Decimal | None


@dataclass(frozen=True)
class Change:
    """What an amend asks for: the new total quantity, the new price, the new trigger price; None is "as it was"."""

    quantity: Decimal | None
    price: Decimal | None
    trigger_price: Decimal | None


class Fields:
    """The fields of a request.

    :raises VenueError: 10001 where a field has a type that it cannot have.
    """

    def __init__(self, document: object) -> None:
        if not isinstance(document, dict):
            raise VenueError(PARAMETER_ERROR, "params error: an object was expected")
        self._document: Mapping[str, Any] = document

    def text(self, name: str) -> str:
        """A text, empty if it was not sent. Numbers are texts at Bybit: a JSON number is refused."""
        value = self._document.get(name)
        if value is None:
            return ""
        if not isinstance(value, str):
            raise VenueError(PARAMETER_ERROR, f"params error: {name} must be a string")
        return value

    def one_of(self, name: str, choices: tuple[str, ...], code: int, default: str = "") -> str:
        """One of `choices`.

        :raises VenueError: 170105 if it is missing and there is no default, `code` for anything else.
        """
        value = self.text(name) or default
        if not value:
            raise no.refusal(no.EMPTY_PARAMETER, name)
        if value not in choices:
            raise no.refusal(code, name)
        return value

    def number(self, name: str) -> Decimal | None:
        """A plain positive decimal number; None if it was not sent.

        :raises VenueError: 170130 for anything else: an exponent, a sign, zero.
        """
        value = self.text(name)
        if not value:
            return None
        if not _NUMBER.fullmatch(value) or not Decimal(value):
            raise no.refusal(no.BAD_VALUE, name)
        return Decimal(value)

    def required(self, name: str) -> Decimal:
        """The same, and 170105 if it was not sent."""
        value = self.number(name)
        if value is None:
            raise no.refusal(no.EMPTY_PARAMETER, name)
        return value

    def whole(self, name: str) -> int:
        """A whole number, sent as one or as text; 0 if it was not sent.

        :raises VenueError: 10001 for anything else.
        """
        value = self._document.get(name)
        if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 4:
            value = int(value)
        if value in (None, ""):
            return 0
        if isinstance(value, bool) or not isinstance(value, int):
            raise VenueError(PARAMETER_ERROR, f"params error: {name} must be an integer")
        return value

    def link_id(self) -> str:
        """``orderLinkId``, empty if it was not sent."""
        value = self.text("orderLinkId")
        if value and not _LINK_ID.fullmatch(value):
            raise no.refusal(no.BAD_VALUE, "orderLinkId")
        return value

    def spot(self) -> None:
        """The category has to be ``spot``, the only one here."""
        if self.text("category") != "spot":
            raise VenueError(PARAMETER_ERROR, "params error: Category is invalid")

    def market(self, markets: Mapping[str, Market]) -> Market:
        """The market of ``symbol``."""
        symbol = self.text("symbol")
        if not symbol:
            raise no.refusal(no.EMPTY_PARAMETER, "symbol")
        if symbol not in markets:
            raise no.refusal(no.BAD_SYMBOL)
        return markets[symbol]

    def order_filter(self, *further: str) -> str:
        """Which orders a request is about; `further` kinds that this request knows, too."""
        return self.one_of("orderFilter", (*ORDER_FILTERS, *further), no.BAD_ORDER_FILTER, "Order")


def _decimals(value: Decimal) -> int:
    """How many digits stand after the point."""
    return len(format(value, "f").partition(".")[2])


def _on_grid(value: Decimal, step: Decimal, code: int, *, padded_refused: bool) -> Decimal:
    """Refuse what is no multiple of a step; and, if so set, more decimals than the step has, zeros or not."""
    if not is_multiple(value, step) or (padded_refused and _decimals(value) > _decimals(step.normalize(CONTEXT))):
        raise no.refusal(code)
    return value


@dataclass(frozen=True)
class Rules:
    """What the front's settings say of the checks.

    :param band: prices beyond price-limit are refused (170193, 170194).
    :param padded_refused: zeros beyond a step's decimals are too many decimals.
    """

    band: bool
    padded_refused: bool

    def new_order(self, fields: Fields, markets: Mapping[str, Market]) -> NewOrder:
        """An order to place.

        :raises VenueError: with the code of the first rule that it breaks.
        """
        fields.spot()
        market = fields.market(markets)
        is_buy = fields.one_of("side", ("Buy", "Sell"), no.BAD_SIDE) == "Buy"
        order_type = fields.one_of("orderType", ("Limit", "Market"), no.BAD_ORDER_TYPE)
        time_in_force = fields.one_of("timeInForce", TIMES_IN_FORCE, no.BAD_TIME_IN_FORCE, "GTC")
        order_filter, link_id = fields.order_filter(), fields.link_id()
        for name in ("takeProfit", "stopLoss"):
            if fields.text(name) not in ("", "0"):
                # Children of an order are not simulated; an order without the protection it asked for is none.
                raise no.refusal(no.BAD_VALUE, name)
        if fields.whole("isLeverage"):
            raise no.refusal(no.NO_MARGIN)
        is_market = order_type == "Market"
        unit = self._unit(fields, is_buy) if is_market else ""
        quantity = self._quantity(fields, market, unit)
        price = None if is_market else self._price(fields.required("price"), market)
        trigger_price = None
        if order_filter != "Order":
            trigger_price = self._price(fields.required("triggerPrice"), market)
        order = NewOrder(
            market=market,
            is_buy=is_buy,
            order_type=order_type,
            time_in_force="IOC" if is_market else time_in_force,
            quantity=quantity,
            in_quote=unit == "quoteCoin",
            price=price,
            link_id=link_id,
            order_filter=order_filter,
            trigger_price=trigger_price,
            smp_type=fields.one_of("smpType", SMP_TYPES, no.BAD_VALUE, "None"),
            market_unit=unit,
            slippage_type=fields.text("slippageToleranceType"),
            slippage=fields.text("slippageTolerance"),
            bound=_slippage_bound(fields, market, is_buy) if is_market and order_filter == "Order" else None,
        )
        self._check_size(order)
        if price is not None:
            self._check_band(market, price, is_buy=is_buy)
        return order

    def change(self, fields: Fields, market: Market) -> Change:
        """What to amend.

        :raises VenueError: 10001 if that is nothing, else with the code of the rule that it breaks.
        """
        quantity, price, trigger = fields.number("qty"), fields.number("price"), fields.number("triggerPrice")
        if quantity is None and price is None and trigger is None:
            raise VenueError(PARAMETER_ERROR, "params error: nothing to amend")
        if quantity is not None:
            padded = self.padded_refused
            _on_grid(quantity, market.spec.step, no.QUANTITY_DECIMALS, padded_refused=padded)
        return Change(
            quantity,
            None if price is None else self._price(price, market),
            None if trigger is None else self._price(trigger, market),
        )

    def amended(self, market: Market, *, is_buy: bool, post_only: bool, quantity: Decimal, price: Decimal) -> None:
        """Check an amended limit order as a new one of its size and price is checked."""
        _check_limit_size(market, quantity, price, post_only=post_only)
        self._check_band(market, price, is_buy=is_buy)

    @staticmethod
    def _unit(fields: Fields, is_buy: bool) -> str:
        """Without a word a market buy's quantity is in quote, a market sell's in base."""
        default = "quoteCoin" if is_buy else "baseCoin"
        return fields.one_of("marketUnit", ("baseCoin", "quoteCoin"), no.BAD_VALUE, default)

    def _quantity(self, fields: Fields, market: Market, unit: str) -> Decimal:
        quantity, padded = fields.required("qty"), self.padded_refused
        if unit == "quoteCoin":
            return _on_grid(quantity, quote_step(market.spec), no.AMOUNT_DECIMALS, padded_refused=padded)
        return _on_grid(quantity, market.spec.step, no.QUANTITY_DECIMALS, padded_refused=padded)

    def _price(self, price: Decimal, market: Market) -> Decimal:
        _on_grid(price, market.spec.tick, no.PRICE_DECIMALS, padded_refused=self.padded_refused)
        if price > market.spec.max_price:
            raise no.refusal(no.PRICE_TOO_HIGH)
        return price

    @staticmethod
    def _check_size(order: NewOrder) -> None:
        market, spec = order.market, order.market.spec
        if order.price is not None:
            _check_limit_size(market, order.quantity, order.price, post_only=order.time_in_force == "PostOnly")
        elif order.in_quote:
            if order.quantity > QUOTE_MAX:
                raise no.refusal(no.AMOUNT_TOO_LARGE)
            if order.quantity < spec.min_notional:
                raise no.refusal(no.VALUE_TOO_LOW)
        else:
            if order.quantity > market_quantity_max(spec):
                raise no.refusal(no.MARKET_QUANTITY_TOO_LARGE)
            price = best_price(market, is_buy=order.is_buy)
            if price is not None and order.quantity * price < spec.min_notional:
                raise no.refusal(no.VALUE_TOO_LOW)

    def _check_band(self, market: Market, price: Decimal, *, is_buy: bool) -> None:
        """A price too aggressive is refused; one far from the market on the passive side is not."""
        if not self.band:
            return
        highest, lowest = price_limits(market)
        if is_buy and highest and price > Decimal(highest):
            raise no.refusal(no.PRICE_ABOVE_BAND, highest)
        if not is_buy and lowest and price < Decimal(lowest):
            raise no.refusal(no.PRICE_BELOW_BAND, lowest)


def _check_limit_size(market: Market, quantity: Decimal, price: Decimal, *, post_only: bool) -> None:
    times = POST_ONLY_QUANTITY_TIMES if post_only else 1
    if quantity > market.spec.max_quantity * times:
        raise no.refusal(no.LIMIT_QUANTITY_TOO_LARGE)
    if quantity * price < market.spec.min_notional:
        raise no.refusal(no.VALUE_TOO_LOW)


def _slippage_bound(fields: Fields, market: Market, is_buy: bool) -> Decimal | None:
    """The worst price of a market order: its own tolerance around the best price, None without one.

    ``TickSize`` is 1 to 10000 ticks, ``Percent`` 0.01 to 10 with two decimals.
    """
    kind, tolerance = fields.text("slippageToleranceType"), fields.number("slippageTolerance")
    if not kind and tolerance is None:
        return None
    best = best_price(market, is_buy=is_buy)
    if kind == "TickSize":
        if tolerance is None or tolerance != int(tolerance) or not 1 <= tolerance <= 10_000:
            raise no.refusal(no.BAD_VALUE, "slippageTolerance")
        distance = tolerance * market.spec.tick
    elif kind == "Percent":
        if tolerance is None or not Decimal("0.01") <= tolerance <= 10 or tolerance * 100 != int(tolerance * 100):
            raise no.refusal(no.BAD_VALUE, "slippageTolerance")
        distance = (best or Decimal(0)) * tolerance / 100
    else:
        raise no.refusal(no.BAD_VALUE, "slippageToleranceType")
    if best is None:
        return None
    return best + distance if is_buy else best - distance


def echo(number: Decimal | None) -> str:
    """A number as orders show it; ``0`` for none."""
    return "0" if number is None else text(number)
