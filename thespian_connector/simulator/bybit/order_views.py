"""Orders, fills and balances as Bybit spells them (v5 docs: "Get Open & Closed Orders", "Get Trade History",
"Websocket / Private / Order", "Execution", "Wallet"). Numbers are texts, an empty text is "none".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, NamedTuple

from thespian_connector.model.decimals import CONTEXT, ZERO, text
from thespian_connector.model.enums import OrderStatus, OrderType, Side, TimeInForce
from thespian_connector.simulator.orders import OrderFill, Reason, SelfTrade, SimOrder, Ticket
from thespian_connector.simulator.venue import Account

from .order_params import NewOrder

_MS = 1_000_000
_SELF_TRADE = {
    "None": SelfTrade.NONE,
    "CancelMaker": SelfTrade.EXPIRE_MAKER,
    "CancelTaker": SelfTrade.EXPIRE_TAKER,
    "CancelBoth": SelfTrade.EXPIRE_BOTH,
}
#: Why an order ended. What Bybit says of FOK and IOC orders without a fill is not documented; these are its enum's.
_REJECT_REASONS = {
    Reason.NONE: "EC_NoError",
    Reason.USER: "EC_PerCancelRequest",
    Reason.IOC: "EC_NoImmediateQtyToFill",
    Reason.FOK: "EC_NoEnoughQtyToFill",
    Reason.NO_LIQUIDITY: "EC_NoImmediateQtyToFill",
    Reason.SELF_TRADE: "EC_BySelfMatch",
    Reason.POST_ONLY: "EC_PostOnlyWillTakeLiquidity",
    Reason.FUNDS: "EC_Others",
}
#: The notional value of everything is told in dollars; a coin's price against USDT is taken for that.
_DOLLAR_PLACES = Decimal("0.00000001")


@dataclass(frozen=True, kw_only=True)
class SpotTicket(Ticket):
    """A ticket with what Bybit will echo of it.

    :param last_price: of the market's last trade when the order came; None before the first.
    """

    asked: NewOrder
    last_price: Decimal | None


def ticket(asked: NewOrder, link_id: str) -> SpotTicket:
    """The ticket of an order as asked for.

    A market order with a slippage tolerance is what Bybit makes of it: an IOC limit order at the worst price allowed.
    """
    trade = asked.market.last_trade()
    last_price = trade.price if trade else None
    price, in_quote = asked.price, asked.in_quote
    kind = OrderType.LIMIT
    if asked.time_in_force == "PostOnly":
        kind = OrderType.LIMIT_MAKER
    elif price is None and (asked.bound is None or in_quote):
        kind = OrderType.MARKET
    elif price is None:
        price = asked.bound
    times = {"GTC": TimeInForce.GTC, "PostOnly": TimeInForce.GTC, "IOC": TimeInForce.IOC, "FOK": TimeInForce.FOK}
    return SpotTicket(
        client_id=link_id,
        native=asked.market.spec.native,
        side=Side.BUY if asked.is_buy else Side.SELL,
        type=kind,
        quantity=None if in_quote else asked.quantity,
        quote_quantity=asked.quantity if in_quote else None,
        price=price,
        stop_price=asked.trigger_price,
        trigger_above=asked.trigger_price is not None and (last_price is None or asked.trigger_price > last_price),
        time_in_force=times[asked.time_in_force],
        self_trade=_SELF_TRADE[asked.smp_type],
        # "tpslOrder: the assets are occupied even if it is not triggered; StopOrder: only once it is" (Place Order).
        locks=asked.order_filter == "tpslOrder",
        venue_type=asked.order_type,
        asked=asked,
        last_price=last_price,
    )


def asked_of(order: SimOrder) -> NewOrder:
    """What was asked for when the order was placed."""
    assert isinstance(order.ticket, SpotTicket), "every order of this venue came by this front"
    return order.ticket.asked


_ENDS = {
    "Filled": OrderStatus.FILLED,
    "Rejected": OrderStatus.REJECTED,
    "Deactivated": OrderStatus.CANCELED,
    "PartiallyFilledCanceled": OrderStatus.CANCELED,
    "Cancelled": OrderStatus.CANCELED,
}


def status(order: SimOrder) -> str:
    """``orderStatus``. A market order by quote amount that left dust is PartiallyFilledCanceled, as at Bybit."""
    if order.open:
        if not order.working:
            return "Untriggered"
        return "PartiallyFilled" if order.filled else "New"
    if order.status is OrderStatus.FILLED:
        return "PartiallyFilledCanceled" if _dust(order) and order.is_buy else "Filled"
    if order.status is OrderStatus.REJECTED:
        return "Rejected"
    if not order.working:
        return "Deactivated"
    return "PartiallyFilledCanceled" if order.filled else "Cancelled"


def told(order: SimOrder) -> OrderStatus:
    """What the word of an order that has ended means: Bybit knows no EXPIRED, and dust is a cancelled rest."""
    return _ENDS.get(status(order), order.status)


def _dust(order: SimOrder) -> Decimal:
    """What a market order by quote amount has not spent."""
    amount = order.ticket.quote_quantity
    return ZERO if amount is None else amount - order.filled_quote


def _reject_reason(order: SimOrder) -> str:
    if order.open:
        return "EC_NoError"
    if order.filled and status(order) == "PartiallyFilledCanceled" and order.reason is not Reason.USER:
        return "EC_BySelfMatch" if order.reason is Reason.SELF_TRADE else "EC_CancelForNoFullFill"
    return _REJECT_REASONS[order.reason]


def _cancel_type(order: SimOrder) -> str:
    if order.open:
        return "UNKNOWN"
    return {Reason.USER: "CancelByUser", Reason.SELF_TRADE: "CancelBySmp"}.get(order.reason, "UNKNOWN")


def _fees(order: SimOrder) -> dict[str, str]:
    fees: dict[str, Decimal] = {}
    for fill in order.fills:
        fees[fill.fee_asset] = fees.get(fill.fee_asset, ZERO) + fill.fee
    return {coin: text(fee) for coin, fee in fees.items()}


def _or_empty(number: Decimal | None) -> str:
    return "" if number is None else text(number)


def _left(order: SimOrder) -> tuple[Decimal, Decimal]:
    """(``leavesQty``, ``leavesValue``). A cancelled order keeps what it had left; of a quote amount only value is."""
    if order.ticket.quote_quantity is not None:
        return ZERO, _dust(order)
    assert order.quantity is not None, "an order not by quote has a quantity"
    left = order.quantity - order.filled
    return left, ZERO if order.price is None else left * order.price


def order_item(order: SimOrder) -> dict[str, Any]:
    """What REST and the stream tell alike."""
    asked, fees = asked_of(order), _fees(order)
    left, left_value = _left(order)
    is_market = asked.order_type == "Market"
    quantity = asked.quantity if asked.in_quote else order.quantity
    assert quantity is not None, "an order not by quote has a quantity"
    average = CONTEXT.divide(order.filled_quote, order.filled) if order.filled else None
    assert isinstance(order.ticket, SpotTicket), "every order of this venue came by this front"
    return {
        "symbol": order.native,
        "orderId": str(order.order_id),
        "orderLinkId": order.client_id,
        "blockTradeId": "",
        "side": "Buy" if order.is_buy else "Sell",
        "positionIdx": 0,
        "orderStatus": status(order),
        "cancelType": _cancel_type(order),
        "rejectReason": _reject_reason(order),
        "timeInForce": asked.time_in_force,
        "isLeverage": "0",
        "price": "0" if is_market else _or_empty(order.price),
        "qty": text(quantity),
        "avgPrice": "" if average is None else text(CONTEXT.quantize(average, _DOLLAR_PLACES)),
        "leavesQty": text(left),
        "leavesValue": text(left_value),
        "cumExecQty": text(order.filled),
        "cumExecValue": text(order.filled_quote),
        "cumExecFee": text(sum((fill.fee for fill in order.fills), ZERO)),
        "cumFeeDetail": fees,
        "orderType": asked.order_type,
        "stopOrderType": _stop_type(order),
        "marketUnit": asked.market_unit,
        "triggerPrice": "0.0" if order.stop_price is None else text(order.stop_price),
        "takeProfit": "0.0",
        "stopLoss": "0.0",
        "lastPriceOnCreated": _or_empty(order.ticket.last_price),
        "reduceOnly": False,
        "closeOnTrigger": False,
        "smpType": asked.smp_type,
        "smpGroup": 0,
        "smpOrderId": "",
        "createdTime": str(order.created_ns // _MS),
        "updatedTime": str(order.updated_ns // _MS),
        "slippageTolerance": asked.slippage,
        "slippageToleranceType": asked.slippage_type or "UNKNOWN",
        "rpiTakerAccess": False,
        "rpiMatchedQty": "0",
    }


def _stop_type(order: SimOrder) -> str:
    return {"Order": "", "StopOrder": "Stop", "tpslOrder": "tpslOrder"}[asked_of(order).order_filter]


def pushed_order(order: SimOrder) -> dict[str, Any]:
    """An item of the order topic."""
    fees = _fees(order)
    return {"category": "spot", **order_item(order), "feeCurrency": next(iter(fees), "")}


def listed_order(order: SimOrder) -> dict[str, Any]:
    """An item of order/realtime and order/history."""
    item = order_item(order)
    return {**item, "basePrice": item["lastPriceOnCreated"], "extraFees": "", "tpLimitPrice": "", "slLimitPrice": ""}


class Booked(NamedTuple):
    """A fill as it was booked: its number, and what its order was like just after it; an amendment may follow.

    :param left: of the order's quantity.
    """

    number: int
    order: SimOrder
    fill: OrderFill
    quantity: Decimal
    price: Decimal | None
    left: Decimal


def fill_item(booked: Booked, fee_rate: Decimal) -> dict[str, Any]:
    """What execution/list and the execution topic tell alike. `seq` grows with the market's trades."""
    order, fill = booked.order, booked.fill
    asked = asked_of(order)
    return {
        "symbol": order.native,
        "orderId": str(order.order_id),
        "orderLinkId": order.client_id,
        "side": "Buy" if order.is_buy else "Sell",
        "orderPrice": "0" if asked.order_type == "Market" else _or_empty(booked.price),
        "orderQty": "0" if asked.in_quote else text(booked.quantity),
        "leavesQty": "0" if asked.in_quote else text(booked.left),
        "createType": "",
        "orderType": asked.order_type,
        "stopOrderType": _stop_type(order),
        "execFee": text(fill.fee),
        "feeCurrency": fill.fee_asset,
        "execId": fill.execution_id,
        "execPrice": text(fill.price),
        "execQty": text(fill.quantity),
        "execType": "Trade",
        "execValue": text(fill.price * fill.quantity),
        "execTime": str(fill.time_ns // _MS),
        "isMaker": fill.maker,
        "isLeverage": "0",
        "feeRate": text(fee_rate),
        "marketUnit": asked.market_unit,
        "seq": fill.trade_id,
        "extraFees": "",
    }


def fast_item(order: SimOrder, fill: OrderFill) -> dict[str, Any]:
    """An item of execution.fast: no fee, and no link id for a maker's fill."""
    return {
        "category": "spot",
        "symbol": order.native,
        "execId": fill.execution_id,
        "execPrice": text(fill.price),
        "execQty": text(fill.quantity),
        "orderId": str(order.order_id),
        "isMaker": fill.maker,
        "orderLinkId": "" if fill.maker else order.client_id,
        "side": "Buy" if order.is_buy else "Sell",
        "execTime": str(fill.time_ns // _MS),
        "seq": fill.trade_id,
    }


def wallet_item(account: Account, coins: Iterable[str], prices: Mapping[str, Decimal]) -> dict[str, Any]:
    """An account of wallet-balance and of the wallet topic, with these coins.

    :param prices: of each coin in dollars; the totals are of the whole account whatever `coins` names.
    """

    def total(coin: str) -> Decimal:
        return account.free.get(coin, ZERO) + account.locked.get(coin, ZERO)

    def dollars(coin: str) -> Decimal:
        return CONTEXT.quantize(total(coin) * prices.get(coin, ZERO), _DOLLAR_PLACES)

    everything = text(sum((dollars(coin) for coin in account.free), ZERO))
    return {
        "accountType": "UNIFIED",
        "accountIMRate": "0",
        "accountMMRate": "0",
        "accountLTV": "0",
        "totalEquity": everything,
        "totalWalletBalance": everything,
        "totalMarginBalance": everything,
        "totalAvailableBalance": everything,
        "totalPerpUPL": "0",
        "totalInitialMargin": "0",
        "totalMaintenanceMargin": "0",
        "coin": [
            {
                "coin": coin,
                "equity": text(total(coin)),
                "usdValue": text(dollars(coin)),
                "walletBalance": text(total(coin)),
                "locked": text(account.locked.get(coin, ZERO)),
                "free": "",
                "spotBorrow": "0",
                "borrowAmount": "0",
                "availableToWithdraw": "",
                "availableToBorrow": "",
                "accruedInterest": "0",
                "totalOrderIM": "0",
                "totalPositionIM": "0",
                "totalPositionMM": "0",
                "unrealisedPnl": "0",
                "cumRealisedPnl": "0",
                "bonus": "0",
                "spotHedgingQty": "0",
                "colRes": "0",
                "marginCollateral": True,
                "collateralSwitch": True,
            }
            for coin in coins
        ],
    }
