"""Who places orders on one simulator: each places a limit order far from the market, and cancels it.

Ours by a running system; the others are libraries in this process, which sign, send and read the answer, and journal
nothing. `place` returns an id for `cancel`; only `place` is timed.
"""

from __future__ import annotations

import asyncio
import importlib
import secrets
import time
import warnings
from typing import Any, Protocol

from thespian_connector import Connector
from thespian_connector.actors.settings import ExchangeSettings
from thespian_connector.model import NewOrder, Order, OrderType, Side, plain
from thespian_connector.model.decimals import dec
from thespian_connector.system.client import Client
from thespian_connector.system.runtime import Runtime

SYMBOL, NATIVE = "BTC/USDT", "BTCUSDT"
QUANTITY = "0.001"
#: Within what the venues take, and so low that it rests.
PRICE = "50000"
_TIMEOUT_S = 10.0


class Placer(Protocol):
    def place(self) -> str: ...

    def cancel(self, placed: str) -> None: ...

    def close(self) -> None: ...


def published(name: str) -> Any:
    """A library; what it warns of at its import is not ours to mend."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return importlib.import_module(name)


class Ours:
    """`Connector.place_order`: the order as the venue has it."""

    def __init__(self, system: str, exchange: str) -> None:
        self._connector = Connector.attach(system)
        self._exchange = exchange

    def place(self) -> str:
        order = self._connector.place_order(
            self._exchange, SYMBOL, side="buy", type="limit", quantity=QUANTITY, price=PRICE, timeout_s=_TIMEOUT_S
        )
        return order.client_order_id

    def cancel(self, placed: str) -> None:
        self._connector.cancel_order(self._exchange, placed, timeout_s=_TIMEOUT_S)

    def close(self) -> None:
        self._connector.close()


class OursToAck(Ours):
    """The same, to OrderCommand's answer: what the venue said to the request is durable."""

    def __init__(self, system: str, exchange: str) -> None:
        super().__init__(system, exchange)
        self._client = Client(Runtime(system))

    def place(self) -> str:
        order = NewOrder(
            client_order_id=f"tc-{secrets.token_hex(10)}",
            exchange=self._exchange,
            symbol=SYMBOL,
            side=Side.BUY,
            type=OrderType.LIMIT,
            quantity=dec(QUANTITY, "quantity"),
            price=dec(PRICE, "price"),
        )
        deadline_ns = time.monotonic_ns() + int(_TIMEOUT_S * 1e9)
        arguments = {"exchange": self._exchange, "order": plain(order), "deadline_mono_ns": deadline_ns}
        self._client.ask("place", arguments, Order, _TIMEOUT_S, component=f"exchange/{self._exchange}/order-command")
        return order.client_order_id


class Ccxt:
    """`create_order`, with the defaults that it is shipped with."""

    def __init__(self, exchange: str, rest: str, account: dict[str, str]) -> None:
        api = f"{rest}/api/v3" if exchange == "binance" else rest
        settings: dict[str, Any] = {
            "apiKey": account["api_key"],
            "secret": account["secret"],
            "enableRateLimit": False,  # it would wait 50 ms between two orders
            "urls": {"api": {"public": api, "private": api, "v1": api}},
            "options": {"fetchMarkets": {"types": ["spot"]}, "fetchCurrencies": False, "fetchMargins": False},
        }
        self._api = getattr(published("ccxt"), exchange)(settings)
        self._api.load_markets()

    def place(self) -> str:
        return str(self._api.create_order(SYMBOL, "limit", "buy", float(QUANTITY), float(PRICE))["id"])

    def cancel(self, placed: str) -> None:
        self._api.cancel_order(placed, SYMBOL)

    def close(self) -> None:
        self._api.session.close()


class PythonBinance:
    def __init__(self, rest: str, account: dict[str, str]) -> None:
        # It takes an event loop even where it needs none.
        self._loop = asyncio.new_event_loop()
        asyncio.set_event_loop(self._loop)
        client = published("binance").Client
        self._api = type("Local", (client,), {"API_URL": f"{rest}/api"})(account["api_key"], account["secret"])

    def place(self) -> str:
        order = self._api.create_order(
            symbol=NATIVE, side="BUY", type="LIMIT", timeInForce="GTC", quantity=QUANTITY, price=PRICE
        )
        return str(order["orderId"])

    def cancel(self, placed: str) -> None:
        self._api.cancel_order(symbol=NATIVE, orderId=placed)

    def close(self) -> None:
        self._api.close_connection()
        asyncio.set_event_loop(None)
        self._loop.close()


class Pybit:
    def __init__(self, rest: str, account: dict[str, str]) -> None:
        self._api = published("pybit.unified_trading").HTTP(api_key=account["api_key"], api_secret=account["secret"])
        self._api.endpoint = rest

    def place(self) -> str:
        placed = self._api.place_order(
            category="spot", symbol=NATIVE, side="Buy", orderType="Limit", qty=QUANTITY, price=PRICE
        )
        return str(placed["result"]["orderId"])

    def cancel(self, placed: str) -> None:
        self._api.cancel_order(category="spot", symbol=NATIVE, orderId=placed)

    def close(self) -> None:
        self._api.client.close()


class PybitToState(Pybit):
    """As a program must that wants to know whether the order is there: it asks for it."""

    def place(self) -> str:
        placed = super().place()
        while not self._api.get_open_orders(category="spot", orderId=placed)["result"]["list"]:
            pass
        return placed


def rest_url(system: str, exchange: str) -> str:
    return Client(Runtime(system)).ask("settings", {"exchange": exchange}, ExchangeSettings).urls["rest"]
