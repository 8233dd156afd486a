"""Bodies of orders, account and trades -> the model's records. What is not as it should be raises ServerFault.

Of a write that is an unknown outcome: the venue did answer, but not what became of the order.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from thespian_connector.drivers.trading import Fees, OrderKey, Page
from thespian_connector.model import Instrument, NewOrder, OrderStatus, OrderType, Side, TimeInForce, dec
from thespian_connector.model.decimals import ZERO
from thespian_connector.model.errors import ServerFault
from thespian_connector.model.private import BalanceReport, FillReport, OrderReport

from . import orders
from .errors import EXCHANGE
from .frames import time_ns

Whole = Annotated[int, Meta(ge=0, le=2**63 - 1)]

#: PENDING_CANCEL is documented as unused. A word that is not here is told as None with the word itself.
STATUSES: dict[str, OrderStatus] = {
    "PENDING_NEW": OrderStatus.PENDING_NEW,
    "NEW": OrderStatus.NEW,
    "PARTIALLY_FILLED": OrderStatus.PARTIALLY_FILLED,
    "FILLED": OrderStatus.FILLED,
    "CANCELED": OrderStatus.CANCELED,
    "PENDING_CANCEL": OrderStatus.PENDING_CANCEL,
    "REJECTED": OrderStatus.REJECTED,
    "EXPIRED": OrderStatus.EXPIRED,
    "EXPIRED_IN_MATCH": OrderStatus.EXPIRED,  # by self-trade prevention
}
TYPES: dict[str, OrderType] = {word: kind for kind, word in orders.TYPES.items()}
SIDES: dict[str, Side] = {side.value.upper(): side for side in Side}
TIMES_IN_FORCE: dict[str, TimeInForce] = {word.value.upper(): word for word in TimeInForce}
_WORD_CHARS_MAX = 100


class _Fill(Struct):
    price: str
    qty: str
    commission: str
    commissionAsset: str | None
    tradeId: Whole


class Row(Struct, kw_only=True):
    """An order in every answer: of placing (ACK, RESULT, FULL), canceling, amending (`qty`, `cumulativeQuoteQty`,
    `quoteOrderQty`), queries and listings. What an answer does not have is None."""

    symbol: Annotated[str, Meta(min_length=1)]
    orderId: Whole
    clientOrderId: str = ""
    origClientOrderId: str | None = None
    price: str | None = None
    stopPrice: str | None = None
    origQty: str | None = None
    qty: str | None = None
    executedQty: str | None = None
    cummulativeQuoteQty: str | None = None
    cumulativeQuoteQty: str | None = None
    origQuoteOrderQty: str | None = None
    quoteOrderQty: str | None = None
    status: str | None = None
    type: str | None = None
    side: str | None = None
    timeInForce: str | None = None
    time: Whole | None = None
    updateTime: Whole | None = None
    transactTime: Whole | None = None
    fills: list[_Fill] = []
    expiryReason: str | None = None


class _Amended(Struct):
    transactTime: Whole
    amendedOrder: Row


class _ListedRow(Struct):
    """A row of a listing: an order, or (of ``DELETE openOrders``) an order list with the reports of its orders."""

    orderReports: list[Row] | None = None


class _TradeRow(Struct):
    symbol: Annotated[str, Meta(min_length=1)]
    id: Whole
    orderId: Whole
    price: str
    qty: str
    commission: str
    commissionAsset: str | None
    time: Whole
    isBuyer: bool
    isMaker: bool


class _BalanceRow(Struct):
    asset: Annotated[str, Meta(min_length=1)]
    free: str
    locked: str


class _Account(Struct):
    balances: list[_BalanceRow]
    updateTime: Whole = 0


class _Rates(Struct):
    maker: str
    taker: str
    buyer: str
    seller: str


class _Commission(Struct):
    symbol: str
    standardCommission: _Rates
    specialCommission: _Rates | None = None
    taxCommission: _Rates | None = None


_row = msgspec.json.Decoder(Row)
_amended = msgspec.json.Decoder(_Amended)
_rows = msgspec.json.Decoder(list[msgspec.Raw])
_listed_row = msgspec.json.Decoder(_ListedRow)
_trades = msgspec.json.Decoder(list[_TradeRow])
_account = msgspec.json.Decoder(_Account)
_commission = msgspec.json.Decoder(_Commission)


@contextmanager
def reading(what: str) -> Iterator[None]:
    """Whatever is wrong with an answer becomes a ServerFault that says what it should have been."""
    try:
        yield
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise ServerFault(f"{EXCHANGE}: not {what}: {error}", exchange=EXCHANGE) from None


def amount(number: str | None, field: str) -> Decimal | None:
    """:raises ValueError: it is no number, or negative."""
    if number is None:
        return None
    value = dec(number, field)
    if value < ZERO:
        raise ValueError(f"{field}: negative")
    return value


def known_amount(number: str, field: str) -> Decimal:
    """:raises ValueError: it is no number, or negative."""
    value = amount(number, field)
    assert value is not None
    return value


def quote_filled(number: str | None) -> Decimal | None:
    """What was filled in quote; of old orders it may be negative, which says that the venue does not know."""
    value = None if number is None else dec(number, "filled_quote")
    return None if value is None or value < ZERO else value


def instant(stamp: int | None) -> int:
    """A time of the venue as nanoseconds; 0 where it is not told.

    :raises ValueError: it is no possible time.
    """
    when = time_ns(stamp or 0)
    if when is None:
        raise ValueError("an impossible time")
    return when


def order_report(row: Row, client_order_id: str, fills: tuple[FillReport, ...] = ()) -> OrderReport:
    """:raises ValueError: a number or a time that is none."""
    updated = row.transactTime if row.transactTime is not None else row.updateTime
    return OrderReport(
        native=row.symbol,
        client_order_id=client_order_id,
        order_id=str(row.orderId),
        status=STATUSES.get(row.status or ""),
        status_word=(row.status or "")[:_WORD_CHARS_MAX],
        side=SIDES.get(row.side or ""),
        type=TYPES.get(row.type or ""),
        time_in_force=TIMES_IN_FORCE.get(row.timeInForce or ""),
        price=amount(row.price, "price") or None,  # zero: it has none
        stop_price=amount(row.stopPrice, "stopPrice") or None,
        quantity=amount(row.origQty if row.qty is None else row.qty, "origQty") or None,
        quote_quantity=amount(
            row.origQuoteOrderQty if row.quoteOrderQty is None else row.quoteOrderQty, "origQuoteOrderQty"
        )
        or None,
        filled=amount(row.executedQty, "executedQty"),
        filled_quote=quote_filled(
            row.cummulativeQuoteQty if row.cumulativeQuoteQty is None else row.cumulativeQuoteQty
        ),
        fills=fills,
        reason=(row.expiryReason or "")[:_WORD_CHARS_MAX],
        created_ns=instant(row.time),
        time_ns=instant(updated if updated is not None else row.time),
    )


def placed(body: bytes, order: NewOrder, native: str | None) -> OrderReport:
    """The answer to a new order; `native` where the order's symbol is to be checked.

    A fill in it is one that the order took from the book as it came: never a maker's.
    """
    with reading("the report of a new order"):
        row = _row.decode(body)
        if row.clientOrderId != order.client_order_id or native not in (None, row.symbol):
            raise ValueError("it is about another order")
        fills = tuple(
            FillReport(
                native=row.symbol,
                execution_id=str(fill.tradeId),
                order_id=str(row.orderId),
                client_order_id=order.client_order_id,
                side=order.side,
                price=known_amount(fill.price, "price"),
                quantity=known_amount(fill.qty, "qty"),
                fee=dec(fill.commission, "commission"),
                fee_asset=fill.commissionAsset or "",
                maker=False,
                time_ns=instant(row.transactTime),
            )
            for fill in row.fills
        )
        return order_report(row, order.client_order_id, fills)


def parse_placed(body: bytes, order: NewOrder, instrument: Instrument) -> OrderReport:
    return placed(body, order, instrument.native)


def parse_canceled(body: bytes, key: OrderKey) -> OrderReport:
    """``clientOrderId`` is the cancel's id here, ``origClientOrderId`` the order's."""
    with reading("the report of a canceled order"):
        row = _row.decode(body)
        return order_report(_of(row, key, row.origClientOrderId), key.client_order_id)


def parse_amended(body: bytes, key: OrderKey) -> OrderReport:
    with reading("the report of an amended order"):
        answer = _amended.decode(body)
        row = answer.amendedOrder
        row.transactTime = answer.transactTime
        return order_report(_of(row, key, row.origClientOrderId or row.clientOrderId), key.client_order_id)


def parse_query(body: bytes, key: OrderKey) -> OrderReport:
    """An order that was canceled may be told under the cancel's id: the answer is still about `key`'s. Who asks by the
    venue's id alone is told by which client's id the venue knows it."""
    with reading("the report of an order"):
        row = _row.decode(body)
        if not key.client_order_id:
            return order_report(_of(row, key, None), row.clientOrderId or "")
        own = (key.client_order_id, orders.cancel_id(key.client_order_id))
        found = key.client_order_id if row.clientOrderId in own else row.clientOrderId
        return order_report(_of(row, key, found), key.client_order_id)


def _of(row: Row, key: OrderKey, client_order_id: str | None) -> Row:
    """:raises ValueError: `row` is about another order than `key`."""
    same = client_order_id == key.client_order_id if key.order_id is None else str(row.orderId) == key.order_id
    if row.symbol != key.native or not same:
        raise ValueError("it is about another order")
    return row


def parse_orders(body: bytes) -> Page:
    """A listing of open or of all orders, or what ``DELETE openOrders`` canceled.

    A canceled order of a listing may bear its cancel's id: `order_id` says which order it is.
    """
    with reading("a listing of orders"):
        rows: list[Row] = []
        raws = _rows.decode(body)
        for raw in raws:
            reports = _listed_row.decode(raw).orderReports
            rows += [_row.decode(raw)] if reports is None else reports
        found = [order_report(row, row.origClientOrderId or row.clientOrderId) for row in rows]
        return Page(orders=found, cursor=_next(len(raws), [row.orderId for row in rows]))


def parse_fills(body: bytes) -> Page:
    with reading("a listing of trades"):
        rows = _trades.decode(body)
        found = [
            FillReport(
                native=row.symbol,
                execution_id=str(row.id),
                order_id=str(row.orderId),
                client_order_id="",
                side=Side.BUY if row.isBuyer else Side.SELL,
                price=known_amount(row.price, "price"),
                quantity=known_amount(row.qty, "qty"),
                fee=dec(row.commission, "commission"),
                fee_asset=row.commissionAsset or "",
                maker=row.isMaker,
                time_ns=instant(row.time),
            )
            for row in rows
        ]
        return Page(fills=found, cursor=_next(len(rows), [row.id for row in rows]))


def _next(rows: int, ids: list[int]) -> str:
    """Where the next page begins; "" when this one was not full."""
    return str(max(ids) + 1) if ids and rows >= orders.PAGE_ROWS else ""


def parse_balances(body: bytes) -> list[BalanceReport]:
    with reading("an account"):
        account = _account.decode(body)
        when = instant(account.updateTime)
        return [
            BalanceReport(
                asset=row.asset,
                free=known_amount(row.free, "free"),
                locked=known_amount(row.locked, "locked"),
                time_ns=when,
            )
            for row in account.balances
        ]


def parse_fees(body: bytes, native: str) -> Fees:
    """Standard, special and tax commission together, each the role's rate and the dearer of buyer's and seller's.

    The discount for paying in BNB is left out: it ends with the BNB, and a fee may be over- but not underestimated.
    """
    with reading("the commission rates of a symbol"):
        answer = _commission.decode(body)
        if answer.symbol != native:
            raise ValueError("it is about another symbol")
        maker = taker = ZERO
        for rates in (answer.standardCommission, answer.specialCommission, answer.taxCommission):
            if rates is not None:
                side = max(dec(rates.buyer, "buyer"), dec(rates.seller, "seller"))
                maker += dec(rates.maker, "maker") + side
                taker += dec(rates.taker, "taker") + side
        return Fees(native=native, maker=dec(maker, "maker"), taker=dec(taker, "taker"))
