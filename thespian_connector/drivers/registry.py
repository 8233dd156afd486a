"""Drivers by exchange name. A venue's modules are loaded when it is first asked for."""

from __future__ import annotations

from functools import cache
from importlib import import_module

from thespian_connector.model.errors import UnknownExchange

from .base import Driver

_DRIVERS = {
    "binance": ("thespian_connector.drivers.binance.driver", "BinanceDriver"),
    "bybit": ("thespian_connector.drivers.bybit.driver", "BybitDriver"),
    "mock": ("thespian_connector.drivers.mock.driver", "MockDriver"),
}
#: The names that `driver_for` takes.
EXCHANGES: tuple[str, ...] = tuple(_DRIVERS)


@cache
def driver_for(exchange: str) -> Driver:
    """The driver of `exchange`. Drivers have no state: one instance serves all.

    :raises UnknownExchange: no such exchange; the message names the choices.
    """
    try:
        module, name = _DRIVERS[exchange]
    except KeyError:
        raise UnknownExchange(f"{exchange!r} is not an exchange; choose one of {', '.join(EXCHANGES)}") from None
    driver = getattr(import_module(module), name)()
    assert isinstance(driver, Driver)
    return driver
