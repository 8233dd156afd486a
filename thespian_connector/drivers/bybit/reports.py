"""Bybit's orders, executions and wallets as `model.private` records; the same objects come over REST and the stream.

An order's amounts are absolute and cumulative, so that one that comes twice (a cancel that lost its race tells the
fill again, with the reason ``EC_OrigClOrdIDDoesNotExist``) says nothing new. Fees are not read from orders, where they
are a number without a coin (``cumExecFee``) or sums by coin (``cumFeeDetail``), but from executions.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from msgspec import Struct

from thespian_connector.model import Instrument, OrderStatus, OrderType, Side, TimeInForce, dec
from thespian_connector.model.decimals import CONTEXT, ZERO
from thespian_connector.model.private import BalanceReport, FillReport, OrderReport

from .envelope import amount, identity, known_identity, positive, signed_amount, time_ns
from .errors import printable

SIDES = {"Buy": Side.BUY, "Sell": Side.SELL}
#: The word of an order that is in the listing of conditional ones.
UNTRIGGERED = "Untriggered"
#: ``PartiallyFilledCanceled`` has one L; it exists on spot only. ``Untriggered`` rests as a condition, ``Triggered``
#: is about to rest as an order: both were accepted and neither has ended, as FIX has it of a stop order (New).
STATUSES = {
    "New": OrderStatus.NEW,
    UNTRIGGERED: OrderStatus.NEW,
    "Triggered": OrderStatus.NEW,
    "PartiallyFilled": OrderStatus.PARTIALLY_FILLED,
    "Filled": OrderStatus.FILLED,
    "Cancelled": OrderStatus.CANCELED,
    "PartiallyFilledCanceled": OrderStatus.CANCELED,
    "Deactivated": OrderStatus.CANCELED,
    "Rejected": OrderStatus.REJECTED,
}
_TIMES_IN_FORCE = {
    "GTC": TimeInForce.GTC,
    "PostOnly": TimeInForce.GTC,
    "IOC": TimeInForce.IOC,
    "FOK": TimeInForce.FOK,
}
_NO_REASON = ("EC_NoError", "UNKNOWN")
#: The only execution type that is a fill; a corporate action, say, moves coins but trades nothing.
TRADE = "Trade"


class OrderItem(Struct, rename="camel"):
    symbol: str
    order_id: Any
    order_status: str
    order_link_id: Any = ""
    side: str | None = ""
    order_type: str | None = ""
    time_in_force: str | None = ""
    market_unit: str | None = ""
    price: Any = ""
    trigger_price: Any = ""
    qty: Any = ""
    cum_exec_qty: Any = ""
    cum_exec_value: Any = ""
    reject_reason: str | None = ""
    cancel_type: str | None = ""
    created_time: Any = ""
    updated_time: Any = ""


class FillItem(Struct, rename="camel"):
    symbol: str
    exec_id: Any
    order_id: Any
    side: str
    exec_price: Any
    exec_qty: Any
    exec_type: str
    order_link_id: Any = ""
    exec_fee: Any = ""
    fee_currency: str | None = ""
    exec_time: Any = ""
    is_maker: bool = False


class _Coin(Struct, rename="camel"):
    coin: str
    wallet_balance: Any
    locked: Any = ""
    spot_borrow: Any = ""


class Wallet(Struct, rename="camel"):
    coin: list[_Coin]
    account_type: str = "UNIFIED"


def order_report(item: OrderItem) -> OrderReport:
    """**Status.** A market order by quote amount usually cannot spend its last cents and ends as
    ``PartiallyFilledCanceled`` with the reason ``EC_CancelForNoFullFill``. That is CANCELED here, with what it filled,
    like any order whose rest was cancelled: the same word and reason may come when the book was too thin, the message
    does not hold the lot size that tells the two apart, and FILLED would claim a trade that was perhaps not made. Who
    needs to know compares ``quote_quantity - filled_quote`` to one step's worth. What Bybit itself calls ``Filled`` is
    FILLED, whatever it says is left.

    **Quantity** is in the order's own unit: a market order's ``qty`` is an amount of quote if its ``marketUnit`` says
    so; where that is empty, Bybit's default holds: buys by quote, sells by base.

    :raises ValueError, TypeError: it has no id, or a number is none.
    """
    side, market, limit = SIDES.get(item.side or ""), item.order_type == "Market", item.order_type == "Limit"
    status = STATUSES.get(item.order_status)
    stop_price = positive(item.trigger_price, "triggerPrice")
    quantity = positive(item.qty, "qty")
    by_quote = market and (item.market_unit == "quoteCoin" or (not item.market_unit and side is Side.BUY))
    return OrderReport(
        native=item.symbol,
        client_order_id=identity(item.order_link_id, "orderLinkId"),
        order_id=known_identity(item.order_id, "orderId"),
        status=status,
        status_word=printable(item.order_status),
        side=side,
        type=_type(item, stop_price) if market or limit else None,
        time_in_force=_TIMES_IN_FORCE.get(item.time_in_force or ""),
        price=positive(item.price, "price") if limit else None,
        stop_price=stop_price,
        quantity=None if by_quote else quantity,
        quote_quantity=quantity if by_quote else None,
        filled=amount(item.cum_exec_qty, "cumExecQty"),
        filled_quote=amount(item.cum_exec_value, "cumExecValue"),
        reason="" if status is not None and not _failed(status) else _reason(item),
        created_ns=time_ns(item.created_time),
        time_ns=time_ns(item.updated_time),
    )


def _type(item: OrderItem, stop_price: Decimal | None) -> OrderType | None:
    """None for a market order with a condition, which is no type of ours."""
    if item.order_type == "Market":
        return OrderType.MARKET if stop_price is None else None
    if stop_price is not None:
        return OrderType.STOP_LIMIT
    return OrderType.LIMIT_MAKER if item.time_in_force == "PostOnly" else OrderType.LIMIT


def _failed(status: OrderStatus) -> bool:
    return status.terminal and status is not OrderStatus.FILLED


def _reason(item: OrderItem) -> str:
    words = [word for word in (item.reject_reason, item.cancel_type) if word and word not in _NO_REASON]
    return printable(", ".join(words))


def fill_report(item: FillItem) -> FillReport | None:
    """None for an execution that is no trade. `fee_asset` is "" where Bybit leaves ``feeCurrency`` empty; what it is
    then, `fee_asset` says.

    :raises ValueError, TypeError: it has no id or no side, or a number is none.
    """
    if item.exec_type != TRADE:
        return None
    price, quantity = positive(item.exec_price, "execPrice"), positive(item.exec_qty, "execQty")
    if price is None or quantity is None or item.side not in SIDES:
        raise ValueError("a trade without price, quantity or side")
    return FillReport(
        native=item.symbol,
        execution_id=known_identity(item.exec_id, "execId"),
        order_id=known_identity(item.order_id, "orderId"),
        client_order_id=identity(item.order_link_id, "orderLinkId"),
        side=SIDES[item.side],
        price=price,
        quantity=quantity,
        fee=signed_amount(item.exec_fee, "execFee") or ZERO,
        fee_asset=identity(item.fee_currency or "", "feeCurrency"),
        maker=item.is_maker,
        time_ns=time_ns(item.exec_time),
    )


def fee_asset(fill: FillReport, instrument: Instrument) -> str:
    """The coin of a fill's fee. Where it is not told: the coin that was received; a rebate (a maker's negative fee)
    is in the coin that was given (Bybit v5, "Spot Fee Currency Instruction")."""
    if fill.fee_asset:
        return fill.fee_asset
    rebate = fill.maker and fill.fee < 0
    return instrument.base if (fill.side is Side.BUY) is not rebate else instrument.quote


def balance_reports(wallet: Wallet, told_ns: int) -> list[BalanceReport]:
    """What is our own: ``walletBalance`` holds since 2025-09 what spot trading borrowed, so ``spotBorrow`` is taken
    off; `free` is below zero for a coin that is owed. ``free`` and ``availableToWithdraw`` are dead fields.

    :raises ValueError, TypeError: a coin without a name, or a number is none.
    """
    reports = []
    for coin in wallet.coin:
        balance = signed_amount(coin.wallet_balance, "walletBalance")
        if balance is None:
            raise ValueError("a coin without a balance")
        locked = amount(coin.locked, "locked") or ZERO
        taken = CONTEXT.add(locked, amount(coin.spot_borrow, "spotBorrow") or ZERO)
        free = dec(CONTEXT.subtract(balance, taken), "free")
        reports.append(
            BalanceReport(asset=known_identity(coin.coin, "coin"), free=free, locked=locked, time_ns=told_ns)
        )
    return reports
