"""Drivers by exchange name. A venue's modules are loaded when it is first asked for."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING

from thespian_connector.model.errors import UnknownExchange, shown

from .base import Driver

if TYPE_CHECKING:
    from .trading import TradingDriver

_DRIVERS = {
    "binance": ("thespian_connector.drivers.binance.driver", "BinanceDriver"),
    "bybit": ("thespian_connector.drivers.bybit.driver", "BybitDriver"),
    "mock": ("thespian_connector.drivers.mock.driver", "MockDriver"),
}
_TRADING = {
    "binance": ("thespian_connector.drivers.binance.trading", "BinanceTrading"),
    "bybit": ("thespian_connector.drivers.bybit.trading", "BybitTrading"),
    "mock": ("thespian_connector.drivers.mock.trading", "MockTrading"),
}
#: The names that `driver_for` and `trading_for` take.
EXCHANGES: tuple[str, ...] = tuple(_DRIVERS)
#: Those that a system can run: the mock has no venue to connect to, it is for tests in memory.
VENUES: tuple[str, ...] = tuple(name for name in EXCHANGES if name != "mock")


@cache
def driver_for(exchange: str) -> Driver:
    """The driver of `exchange`, its market half. Drivers have no state: one instance serves all.

    :raises UnknownExchange: no such exchange; the message names the choices.
    """
    driver = _made(_DRIVERS, exchange)
    assert isinstance(driver, Driver)
    return driver


@cache
def trading_for(exchange: str) -> TradingDriver:
    """The trading half of the driver of `exchange`.

    :raises UnknownExchange: no such exchange; the message names the choices.
    """
    from .trading import TradingDriver

    driver = _made(_TRADING, exchange)
    assert isinstance(driver, TradingDriver)
    return driver


def _made(known: dict[str, tuple[str, str]], exchange: str) -> object:
    try:
        module, name = known[exchange]
    except KeyError:
        raise UnknownExchange(f"{shown(exchange)} is not an exchange; choose one of {', '.join(EXCHANGES)}") from None
    return getattr(import_module(module), name)()
