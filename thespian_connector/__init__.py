"""Reliable exchange connectivity for trading engines: Binance Spot and Bybit v5 Spot, supervised, exact, one API.

    from thespian_connector import Connector

    with Connector.start("config/paper.toml") as c:
        print(c.order_book("binance", "BTC/USDT", depth=5))

`Connector` is loaded when first asked for, so that a program that only wants the model or a driver pays for no more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .model import *  # noqa: F403 - the model's names are the public API
from .model import __all__ as _model_names

if TYPE_CHECKING:
    from .connector import Connector

__all__ = ["Connector", *_model_names]  # noqa: PLE0604 - both parts are names


def __getattr__(name: str) -> Any:
    if name == "Connector":
        from .connector import Connector

        return Connector
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
