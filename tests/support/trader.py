"""Orders in a running paper system, asked through Root as a client does, and held to the simulator's own record."""

from __future__ import annotations

import contextlib
import time
import uuid
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any, Self

import requests

from thespian_connector import Connector, plain
from thespian_connector.bus.events import BusEvent
from thespian_connector.bus.subscriber import Subscriber
from thespian_connector.model import Balance, NewOrder, Order, OrderType, Position, Side, TimeInForce
from thespian_connector.model.errors import ConnectorError, OrderNotFound
from thespian_connector.system.client import Client
from thespian_connector.system.runtime import Runtime

from .system import System
from .waiting import wait_until

#: Any machine: it says "it comes", not how soon.
PATIENCE_S = 60.0
SYMBOL = "BTC/USDT"


def new_id() -> str:
    return f"tc-{uuid.uuid4().hex[:16]}"


class Trader:
    """One exchange of `system`. The environment must name the system's runtime directory."""

    def __init__(self, system: System, exchange: str) -> None:
        self.system = system
        self.exchange = exchange
        self._client = Client(Runtime(system.name))
        self._connector = Connector.attach(system.name)
        self.control = str(self._connector.status()["system"]["control"])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connector.close()
        self._client.close()

    # -- asking

    def ask(self, operation: str, kind: Any, timeout_s: float = PATIENCE_S, **arguments: Any) -> Any:
        return self._client.ask(operation, {"exchange": self.exchange, **arguments}, kind, timeout_s)

    def _command(self, operation: str, timeout_s: float = 20.0, **arguments: Any) -> Order:
        deadline = time.monotonic_ns() + int(timeout_s * 1e9)
        answer = self.ask(operation, Order, deadline_mono_ns=deadline, **arguments)
        assert isinstance(answer, Order)
        return answer

    def place(self, order: NewOrder, timeout_s: float = 20.0) -> Order:
        return self._command("place", timeout_s, order=order)

    def cancel(self, name: str) -> Order:
        return self._command("cancel", client_order_id=name)

    def amend(self, name: str, **terms: str) -> Order:
        return self._command("amend", client_order_id=name, **terms)

    def order(self, name: str) -> Order:
        answer = self.ask("order", Order, client_order_id=name)
        assert isinstance(answer, Order)
        return answer

    def settled(self, name: str, *, changes: bool = True) -> Order:
        """What became of it, once that is known."""
        deadline = time.monotonic_ns() + int(PATIENCE_S * 1e9)
        answer = self.ask(
            "settled", Order, client_order_id=name, changes=changes, deadline_mono_ns=deadline, timeout_s=PATIENCE_S + 5
        )
        assert isinstance(answer, Order)
        return answer

    def settled_again(self, name: str) -> Order:
        """As `settled`, through ends of whoever is asked."""

        def answered() -> Order | None:
            with contextlib.suppress(ConnectorError):
                return self.settled(name)
            return None

        return wait_until(answered, 2 * PATIENCE_S, f"{name} is settled")

    def known(self, name: str) -> bool:
        """Whether anybody has heard of it."""

        def answered() -> tuple[bool] | None:
            try:
                self.order(name)
            except OrderNotFound:
                return (False,)
            except ConnectorError:
                return None
            return (True,)

        [known] = wait_until(answered, PATIENCE_S, "somebody says") or (False,)
        return known

    def insist_on_status(self) -> dict[str, Any]:
        def answered() -> dict[str, Any]:
            with contextlib.suppress(ConnectorError):
                return self._connector.status()
            return {}

        return wait_until(answered, PATIENCE_S, "status is answered")

    def insist(self, operation: str, kind: Any, **arguments: Any) -> Any:
        """Asks again while nobody is there to answer."""

        def answered() -> Any:
            with contextlib.suppress(ConnectorError):
                return (self.ask(operation, kind, 5.0, **arguments),)
            return ()

        [answer] = wait_until(answered, PATIENCE_S, f"{operation} is answered")
        return answer

    def balances(self) -> dict[str, tuple[str, str]]:
        """Of what there is any."""
        rows = [plain(one) for one in self.ask("balances", list[Balance])]
        return {
            row["asset"]: (row["free"], row["locked"]) for row in rows if (row["free"], row["locked"]) != ("0", "0")
        }

    def positions(self, **marks: str) -> dict[str, Position]:
        found = self.ask("positions", list[Position], marks=marks)
        return {one.symbol: one for one in found}

    @contextlib.contextmanager
    def events(self, *kinds: str) -> Iterator[Callable[[], list[BusEvent]]]:
        """What is published of our account: call it for everything so far."""
        name = f"exchange/{self.exchange}/order-state"
        [one] = self._connector.components(name)
        topics = [f"{kind}|{self.exchange}|" for kind in kinds]
        got: list[BusEvent] = []
        with Subscriber({name: str(one["endpoint"])}, topics) as subscriber:

            def so_far() -> list[BusEvent]:
                got.extend(subscriber.poll(10))
                return got

            yield so_far

    # -- orders as they are wanted

    def price(self, share: str) -> Decimal:
        """The best bid times `share`, on any venue's grid."""

        def bid() -> Decimal | None:
            with contextlib.suppress(ConnectorError):
                bids = self._connector.order_book(self.exchange, SYMBOL, depth=1).bids
                return bids[0].price if bids else None
            return None

        return (wait_until(bid, PATIENCE_S, "a bid") * Decimal(share)).quantize(Decimal("1"))

    def limit(self, share: str = "0.95", quantity: str = "0.01", side: Side = Side.BUY) -> NewOrder:
        return NewOrder(
            client_order_id=new_id(),
            exchange=self.exchange,
            symbol=SYMBOL,
            side=side,
            type=OrderType.LIMIT,
            quantity=Decimal(quantity),
            price=self.price(share),
            time_in_force=TimeInForce.GTC,
        )

    # -- the simulator's record

    def truth(self, what: str) -> Any:
        answer = requests.get(f"{self.control}/truth/{self.exchange}/{what}", timeout=60)
        answer.raise_for_status()
        return answer.json()

    def fault(self, kind: str, **terms: Any) -> None:
        body = {"venue": self.exchange, "kind": kind, **terms}
        requests.post(f"{self.control}/faults", json=body, timeout=60).raise_for_status()

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Nobody else trades meanwhile."""
        requests.post(f"{self.control}/pause", timeout=60).raise_for_status()
        try:
            yield
        finally:
            requests.post(f"{self.control}/resume", timeout=60).raise_for_status()

    def best_ask(self) -> tuple[Decimal, Decimal]:
        """Price and quantity, by the venue's own book."""
        price, quantity = self.truth(f"book/{SYMBOL.replace('/', '')}")["asks"][0]
        return Decimal(price), Decimal(quantity)

    def clear_faults(self) -> None:
        requests.delete(f"{self.control}/faults", timeout=60).raise_for_status()

    def wrong_orders(self) -> list[str]:
        """Where our orders are not the venue's, one by one. One that another took the place of is told with that one:
        its fills are among that one's."""
        ours = {row["order_id"]: row for row in map(plain, self.ask("orders", list[Order]))}
        fills = {fill["execution_id"] for row in ours.values() for fill in row["fills"]}
        wrong = []
        for true in self.truth("orders"):
            mine = ours.get(true["order_id"])
            if mine is None:
                told = all(fill["execution_id"] in fills for fill in true["fills"])
                if true["status"] not in {"CANCELED", "REJECTED", "EXPIRED"} or not told:
                    wrong.append(f"{true['client_order_id']} is missing")
                continue
            wrong += [f"{true['client_order_id']}: {what}" for what in _differences(mine, true)]
        return wrong

    def wrong_balances(self) -> list[str]:
        true = {row["asset"]: (row["free"], row["locked"]) for row in self.truth("balances")}
        true = {asset: amounts for asset, amounts in true.items() if amounts != ("0", "0")}
        ours = self.balances()
        return [
            f"{asset}: {ours.get(asset)} != {amounts}" for asset, amounts in true.items() if ours.get(asset) != amounts
        ]

    def all_right(self) -> None:
        """Waits until orders, fills and balances are the venue's."""

        def right() -> bool:
            try:
                self.wrong = self.wrong_orders() + self.wrong_balances()
            except ConnectorError as error:
                self.wrong = [str(error)]
            return not self.wrong

        try:
            wait_until(right, PATIENCE_S, "orders and balances are the venue's", 0.1)
        except AssertionError:
            raise AssertionError(self.wrong) from None


def _differences(mine: dict[str, Any], true: dict[str, Any]) -> list[str]:
    """Not the quantity: of an order that took the place of another it is the whole chain's."""
    found = [
        f"{term} {mine[term]} != {true[term]}"
        for term in ("side", "type", "price", "status")
        if mine[term] != true[term]
    ]
    fills = {fill["execution_id"]: (fill["price"], fill["quantity"], fill["fee"]) for fill in mine["fills"]}
    found += [
        f"fill {fill['execution_id']} {fills.get(fill['execution_id'])}"
        for fill in true["fills"]
        if fills.get(fill["execution_id"]) != (fill["price"], fill["quantity"], fill["fee"])
    ]
    return found
