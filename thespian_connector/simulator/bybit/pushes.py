"""What the private stream tells: orders, fills and balances, as groups of frames that leave some time after the engine.

Everything that one call of the desk (or one batch of the flow) did is a group. A frame is worded when the thing
happens, so that a state that lasted for a moment is told as it was, and sent when the group's time has come. Groups
leave in the order in which they were made; inside one, Bybit promises no order among topics.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

import msgspec

from thespian_connector.simulator.orders import OrderEvent, SimOrder
from thespian_connector.simulator.sockets import Message
from thespian_connector.simulator.venue import Account

from .order_views import asked_of, fast_item, fill_item, pushed_order, wallet_item
from .prices import dollar_prices
from .settings import FEE_RATE, USER_ID
from .trading import Trading

_AT_ONCE = ("IOC", "FOK")


class Listener(Protocol):
    """A private socket, as the pushes know it."""

    def listens(self, kind: str) -> list[str]:
        """The topics of a kind that its client asked for."""

    def publish(self, message: Message) -> None:
        """Send a frame, through whatever faults stand."""


@dataclass
class _Group:
    """The items of one call. An order's state that a later one of the same fill run replaces is not told."""

    orders: list[tuple[SimOrder, bool, dict[str, Any]]] = field(default_factory=list)
    fills: list[dict[str, Any]] = field(default_factory=list)
    fast: list[dict[str, Any]] = field(default_factory=list)
    wallet: dict[str, Any] | None = None

    def add_order(self, order: SimOrder, item: dict[str, Any], *, of_fill: bool) -> None:
        if of_fill and self.orders and self.orders[-1][0] is order and self.orders[-1][1]:
            self.orders[-1] = (order, True, item)
        else:
            self.orders.append((order, of_fill, item))

    def frames(self) -> list[tuple[str, str, list[dict[str, Any]]]]:
        """(kind, symbol, items) of each frame, in the order of sending."""
        frames: list[tuple[str, str, list[dict[str, Any]]]] = []
        for kind, items in (("execution.fast", self.fast), ("execution", self.fills)):
            symbols = dict.fromkeys(item["symbol"] for item in items)
            frames += [(kind, symbol, [item for item in items if item["symbol"] == symbol]) for symbol in symbols]
        frames += [("order", item["symbol"], [item]) for _order, _of_fill, item in self.orders]
        if self.wallet is not None:
            frames.append(("wallet", "", [self.wallet]))
        return frames


class Pushes:
    """Words the desk's events and sends them to the private sockets.

    :param listeners: the sockets that are open now.
    """

    def __init__(self, trading: Trading, listeners: Callable[[], list[Any]]) -> None:
        self._venue = trading.venue
        self._trading = trading
        self._listeners: Callable[[], list[Listener]] = listeners
        self._group: _Group | None = None
        self._waiting: deque[_Group] = deque()
        self._timers: set[asyncio.TimerHandle] = set()
        self._number = 0
        trading.desk.on_order.append(self._on_order)
        trading.desk.on_balances.append(self._on_balances)
        trading.on_race.append(self._on_race)

    def close(self) -> None:
        """The server ends: no timer stays behind."""
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()
        self._waiting.clear()

    def _on_order(self, event: OrderEvent) -> None:
        order, group = event.order, self._open_group()
        if event.fill is not None:
            item = fill_item(self._trading.fills[-1], FEE_RATE)
            group.fills.append({"category": "spot", **item})
            group.fast.append(fast_item(order, event.fill))
        if event.what == "triggered":
            group.add_order(order, {**pushed_order(order), "orderStatus": "Triggered"}, of_fill=False)
        if asked_of(order).time_in_force in _AT_ONCE and order.open and order.working:
            # Of an order that cannot rest only the end is told.
            return
        group.add_order(order, pushed_order(order), of_fill=event.fill is not None)

    def _on_race(self, order: SimOrder) -> None:
        item = {**pushed_order(order), "cancelType": "CancelByUser", "rejectReason": "EC_OrigClOrdIDDoesNotExist"}
        self._open_group().add_order(order, item, of_fill=False)

    def _on_balances(self, account: Account, assets: list[str]) -> None:
        group = self._open_group()
        before = [] if group.wallet is None else [coin["coin"] for coin in group.wallet["coin"]]
        coins = dict.fromkeys((*before, *assets))
        group.wallet = wallet_item(account, coins, dollar_prices(self._venue))

    def _open_group(self) -> _Group:
        if self._group is None:
            self._group = _Group()
            self._waiting.append(self._group)
            loop = asyncio.get_running_loop()
            loop.call_soon(self._close_group)
            delay_s = self._venue.setting("push_delay_ms") / 1000

            def send() -> None:
                self._timers.discard(timer)
                self._send(self._waiting.popleft())

            timer = loop.call_later(delay_s, send)
            self._timers.add(timer)
        return self._group

    def _close_group(self) -> None:
        self._group = None

    def _send(self, group: _Group) -> None:
        frames = group.frames()
        if not self._venue.setting("reverse_pushes"):
            kinds = ("order", "execution.fast", "execution", "wallet")
            frames.sort(key=lambda frame: kinds.index(frame[0]))
        else:
            frames.sort(key=lambda frame: ("wallet", "execution", "execution.fast", "order").index(frame[0]))
        now_ms = self._venue.now_ms("private")
        self._number += 1
        for kind, symbol, items in frames:
            if self._venue.take("private", "user_event_drop", op=kind, symbol=symbol) is not None:
                continue
            twice = self._venue.take("private", "user_event_duplicate", op=kind, symbol=symbol) is not None
            # Order and execution frames of one match have one id, the wallet's comes after it.
            number = self._number + (kind == "wallet")
            self._publish(kind, symbol, items, f"{USER_ID}-20000-{number}", now_ms, times=1 + twice)
        self._number += 1

    def _publish(
        self, kind: str, symbol: str, items: list[dict[str, Any]], frame_id: str, now_ms: int, *, times: int
    ) -> None:
        messages: dict[str, Message] = {}
        for listener in self._listeners():
            for topic in listener.listens(kind):
                message = messages.get(topic)
                if message is None:
                    head = {} if kind == "execution.fast" else {"id": frame_id}
                    document = {**head, "topic": topic, "creationTime": now_ms, "data": items}
                    message = messages[topic] = Message(msgspec.json.encode(document), kind, symbol)
                for _ in range(times):
                    listener.publish(message)
