"""The venues' fronts, under one shape."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from aiohttp import web

from thespian_connector.model import OrderStatus

from . import binance, bybit
from .orders import SimOrder
from .venue import Venue


@dataclass(frozen=True)
class Front:
    """A venue's front.

    :param truth_stream: the name under which the update ids of a stream of a symbol are journaled.
    :param default_stream: the stream whose ids the truth tells when none is named: that of REST's book.
    :param told: an order's status as the venue's own word for it means: what ends an order unfilled is one venue's
        EXPIRED and another's CANCELED.
    """

    make_app: Callable[[Venue], web.Application]
    urls: Callable[[int], dict[str, str]]
    settings: Mapping[str, int | float]
    truth_stream: Callable[[str, str], str]
    default_stream: str
    told: Callable[[SimOrder], OrderStatus]


FRONTS: Mapping[str, Front] = {
    "binance": Front(
        binance.make_app, binance.urls, binance.SETTINGS, binance.truth_stream, binance.BOOK_IDS, binance.told
    ),
    "bybit": Front(bybit.make_app, bybit.urls, bybit.SETTINGS, bybit.truth_stream, "orderbook.1000", bybit.told),
}
