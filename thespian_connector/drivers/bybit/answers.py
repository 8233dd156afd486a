"""Bodies of Bybit's signed REST answers as `model.private` records. All raise ServerFault for what is none."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct

from thespian_connector.drivers.trading import Fees, OrderKey, Page
from thespian_connector.model.private import BalanceReport, OrderReport

from .envelope import BAD, MS, amount, fault, identity, known_identity, result, signed_amount
from .reports import UNTRIGGERED, FillItem, OrderItem, Wallet, balance_reports, fill_report, order_report
from .signing import CATEGORY

#: Before a page's cursor, when the page is of the conditional orders.
CONDITIONAL_CURSOR = "StopOrder "


class _Ack(Struct, rename="camel"):
    order_id: Any
    order_link_id: Any = ""


class _Orders(Struct, rename={"items": "list", "cursor": "nextPageCursor"}):
    items: list[OrderItem]
    cursor: str | None = ""
    category: str = CATEGORY


class _Fills(Struct, rename={"items": "list", "cursor": "nextPageCursor"}):
    items: list[FillItem]
    cursor: str | None = ""
    category: str = CATEGORY


class _Wallets(Struct, rename={"items": "list"}):
    items: list[Wallet]


class _Rate(Struct, rename="camel"):
    symbol: str
    maker_fee_rate: Any
    taker_fee_rate: Any


class _Rates(Struct, rename={"items": "list"}):
    items: list[_Rate]


def acknowledged(body: bytes, native: str, client_order_id: str, order_id: str | None = None) -> OrderReport:
    return _acknowledged(result(body, _Ack, "the venue's word on an order")[0], native, client_order_id, order_id)


def acknowledged_data(data: object, native: str, client_order_id: str, order_id: str | None = None) -> OrderReport:
    """The same, of the ``data`` of the trade socket."""
    try:
        ack = msgspec.convert(data, _Ack)
    except BAD:
        raise fault("the venue's word on an order") from None
    return _acknowledged(ack, native, client_order_id, order_id)


def _acknowledged(ack: _Ack, native: str, client_order_id: str, order_id: str | None) -> OrderReport:
    """Accepted, no more: what becomes of the order, the stream says. It must be about the order that was meant."""
    try:
        told, linked = known_identity(ack.order_id, "orderId"), identity(ack.order_link_id, "orderLinkId")
    except BAD:
        raise fault("the venue's word on an order") from None
    if (linked and client_order_id and linked != client_order_id) or (order_id and told != order_id):
        raise fault("about the order that was asked for")
    return OrderReport(native=native, client_order_id=client_order_id, order_id=told)


def orders(body: bytes) -> Page:
    listing = _orders(body)
    conditional = any(item.order_status == UNTRIGGERED for item in listing.items)
    prefix = CONDITIONAL_CURSOR if conditional else ""
    # A page without orders is the last, whatever cursor it has.
    cursor = prefix + listing.cursor if listing.cursor and listing.items else ""
    return Page(orders=_reports(listing), cursor=cursor)


def found(body: bytes, key: OrderKey) -> OrderReport | None:
    """The order of `key`, None if the list is empty. Other orders instead of it prove nothing: ServerFault."""
    reports = _reports(_orders(body))
    for report in reports:
        if report.order_id == key.order_id if key.order_id else report.client_order_id == key.client_order_id:
            return report
    if reports:
        raise fault("about the order that was asked for")
    return None


def _orders(body: bytes) -> _Orders:
    listing, _ = result(body, _Orders, "a list of orders")
    if listing.category != CATEGORY:
        raise fault("a list of spot orders")
    return listing


def _reports(listing: _Orders) -> list[OrderReport]:
    try:
        return [order_report(item) for item in listing.items]
    except BAD:
        raise fault("a list of orders") from None


def fills(body: bytes) -> Page:
    """As Bybit lists them, newest first; what is no trade is left out."""
    listing, _ = result(body, _Fills, "a list of executions")
    if listing.category != CATEGORY:
        raise fault("a list of spot executions")
    try:
        reports = [report for item in listing.items if (report := fill_report(item)) is not None]
    except BAD:
        raise fault("a list of executions") from None
    return Page(fills=reports, cursor=(listing.cursor or "") if listing.items else "")


def balances(body: bytes) -> list[BalanceReport]:
    """Every coin that is not zero, of the unified account."""
    wallets, told_ms = result(body, _Wallets, "a wallet")
    try:
        for wallet in wallets.items:
            if wallet.account_type == "UNIFIED":
                return balance_reports(wallet, told_ms * MS)
    except BAD:
        pass  # the wallet is none, which is what is raised
    # Of no wallet it does not follow that there is no money.
    raise fault("the wallet of a unified account")


def fees(body: bytes, native: str) -> Fees:
    rates, _ = result(body, _Rates, "a list of fee rates")
    for rate in rates.items:
        if rate.symbol == native:
            return _fees(rate)
    raise fault(f"the fee rate of {native}")


def _fees(rate: _Rate) -> Fees:
    """A taker pays; a maker may be paid (a rate below zero)."""
    try:
        maker, taker = signed_amount(rate.maker_fee_rate, "makerFeeRate"), amount(rate.taker_fee_rate, "takerFeeRate")
    except BAD:
        raise fault("a fee rate") from None
    if maker is None or taker is None:
        raise fault("a fee rate")
    return Fees(native=rate.symbol, maker=maker, taker=taker)
