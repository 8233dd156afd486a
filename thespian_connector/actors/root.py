"""Root: says what should run where, talks to HostAgents only, and answers clients.

A client's request goes through Root to the component that knows, and its answer back. Root keeps count of what each
component still owes it: one that hangs must not silence Root towards the others.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from thespian_connector.limits import ORDERS_UNANSWERED_MAX, REQUESTS_UNANSWERED_MAX
from thespian_connector.model.errors import (
    ConfigError,
    ConnectorError,
    DeadlineExceeded,
    Refused,
    UnknownExchange,
    UnknownSymbol,
    UsageError,
    shown,
)

from .component import Arguments, unanswered
from .messages import (
    Address,
    Announce,
    Found,
    Heard,
    HostUp,
    Message,
    Reply,
    Request,
    RunExchange,
    failure,
    pack,
    unpack,
)
from .passed_on import PassedOn, Unanswered
from .policy import ChildSpec, State
from .registry import entry
from .settings import AggregatorStart, ExchangeSettings, ExchangeStart, Settings, StoreSettings
from .status import Gather, document
from .supervisor import Supervisor
from .tally import Tally

logger = logging.getLogger(__name__)

REGISTRY = "thespian_connector.actors.registry.Registry"
AGGREGATOR = "thespian_connector.actors.aggregator.Aggregator"

#: How long `status` waits for a component before it goes without it.
_STATUS_S_MAX = 0.5
_GATEWAY_OPERATIONS = ("ticker", "trades", "instruments", "clock")
#: What takes an account at the exchange, and which of its components answers.
_ACCOUNT_OPERATIONS = {
    "place": "order-command",
    "cancel": "order-command",
    "amend": "order-command",
    "cancel_all": "order-command",
    "order": "order-state",
    "settled": "order-state",
    "orders": "order-state",
    "balances": "order-state",
    "positions": "order-state",
    "fees": "gateway",
}
_MERGED_OPERATIONS = ("merged_book", "best")
_REPORTING_KINDS = ("Gateway", "MarketData", "Aggregator", "OrderCommand", "OrderState", "UserData")
#: Who is not Root's own child and yet asks Registry for others.
_WATCHING_KINDS = ("OrderState",)
#: How many requests each may have under way, where it is not the usual number.
_UNANSWERED_MAX = {"OrderCommand": ORDERS_UNANSWERED_MAX, "OrderState": ORDERS_UNANSWERED_MAX}


class Root(Supervisor):
    kind = "root"
    watches_launcher = True

    def __init__(self) -> None:
        super().__init__()
        self._known: dict[str, Announce] = {}
        self._hosts: dict[str, HostUp] = {}
        self._unanswered = Unanswered()
        self._gather: Gather | None = None
        self.settings: Settings

    # -- what runs where

    def begin(self, body: bytes) -> tuple[ChildSpec, ...]:
        self.settings = unpack(body, Settings)
        self._tally = Tally(Path(self.context.runtime_dir) / "root.restarts")
        socket = Path(self.context.runtime_dir) / "aggregator.sock"
        start = AggregatorStart(endpoint=f"ipc://{socket}", lock_path=str(socket.with_suffix(".lock")))
        return (
            ChildSpec("registry", REGISTRY),
            ChildSpec("aggregator", AGGREGATOR, pack(start), endpoint=start.endpoint),
        )

    def child_context(self) -> Any:
        context = self.context
        return type(context)(
            context.system, context.host, context.runtime_dir, context.launcher_pid, self.myAddress, self.incarnation
        )

    def announce(self, message: Announce) -> None:
        self._on_announce(message)

    def child_ready(self, name: str, address: Address, incarnation: int) -> None:
        """Registry is told everything; the others where Registry is, and ask it themselves."""
        if name == "registry":
            self.news.renew()
            self.send(address, Found(incarnation, tuple(self._known.values())))
            self._tell_children(self._known["registry"])
        elif (registry := self._known.get("registry")) is not None:
            self.send(address, _for(incarnation, registry))

    def send_news(self, news: Iterable[Announce]) -> None:
        """Root's own are for Registry, while there is one."""
        registry = self._known.get("registry")
        for message in news:
            if registry is not None and registry.address is not None:
                self.send(registry.address, _for(registry.incarnation, message))

    def _tell_children(self, registry: Announce) -> None:
        for name, child in self._processes.items():
            if name != "registry" and self.supervision.children[name].state is State.RUNNING:
                self.send(child.address, _for(child.incarnation, registry))
        for one in self._known.values():
            self._introduce(one)

    def _introduce(self, message: Announce) -> None:
        """Where Registry is, to who looks for others by it."""
        registry = self._known.get("registry")
        if registry is not None and message.kind in _WATCHING_KINDS and message.address is not None:
            self.send(message.address, _for(message.incarnation, registry))

    def _on_host_up(self, message: HostUp) -> None:
        self._hosts[message.host] = message
        for name, known in list(self._known.items()):
            if name.startswith("exchange/") and known.host == message.host and known.state == "running":
                self._on_announce(_gone(known))  # it died with the HostAgent before this one
        budget_dir = str(Path(self.context.runtime_dir).parent / "budgets")
        for exchange, settings in self._enabled().items():
            start = ExchangeStart(
                exchange=exchange,
                settings=settings,
                budget_dir=budget_dir,
                store=self._store(),
                orders=self.settings.orders,
            )
            self.send(message.address, RunExchange(message.incarnation, exchange, pack(start)))

    def _store(self) -> StoreSettings:
        store = self.settings.store
        if store.url != "sqlite":
            return store
        return replace(store, url=f"sqlite:///{Path(self.context.runtime_dir) / 'state.db'}")

    def _on_announce(self, message: Announce) -> None:
        self._known[message.name] = message = replace(message, restarts=self._tally.restarts(message))
        if message.state != "running":  # what is below it dies with it
            for name, below in self._known.items():
                if name.startswith(message.name + "/"):
                    self._known[name] = _gone(below)
        registry = self._known.get("registry")
        if registry is not None and registry.address is not None and message.name != "registry":
            self.send_news(self.news.put(message))
        self._introduce(message)
        self._fail_requests_of(message)

    # -- messages

    def handle(self, message: Message, sender: Address) -> None:
        if isinstance(message, Announce):
            self._on_announce(message)
            self.send(sender, Heard(0))
        elif isinstance(message, HostUp):
            self._on_host_up(message)
        elif isinstance(message, Request):
            try:
                self._on_request(message, sender)
            except ConnectorError as error:
                self.send(sender, failure(message.correlation, error))
        elif isinstance(message, Reply):
            self._on_reply(message)
        else:
            super().handle(message, sender)

    def is_busy(self) -> bool:
        return super().is_busy() or self._gather is not None or bool(self._unanswered)

    def tick(self, now: float) -> None:
        self._expire(now)
        super().tick(now)

    def _on_request(self, message: Request, client: Address) -> None:
        arguments = unpack(message.body, Arguments) if message.body else {}
        operation = message.operation
        if operation == "ping":
            books = sum(len(one.symbols) for one in self._enabled().values())
            self._answer(client, message, {"pid": os.getpid(), "incarnation": self.incarnation, "books": books})
        elif operation == "components":
            self._answer(client, message, [entry(one) for one in self._known.values()])
        elif operation == "status":
            self._status(message, client)
        elif operation == "exchanges":
            self._answer(client, message, {name: one.symbols for name, one in self._enabled().items()})
        elif operation == "accounts":
            self._answer(client, message, [name for name, one in self._enabled().items() if one.trades])
        elif operation == "settings":
            self._answer(client, message, self._exchange_settings(arguments))
        elif operation == "resolve":
            self._pass_on(message, client, "registry")
        else:
            self._pass_on(message, client, self._component_for(operation, arguments))

    def _answer(self, client: Address, message: Request, result: Any) -> None:
        self.send(client, Reply(0, message.correlation, True, pack(result)))

    def _exchange_settings(self, arguments: Arguments) -> ExchangeSettings:
        exchange = str(arguments.get("exchange", ""))
        enabled = self._enabled()
        if exchange not in enabled:
            known = ", ".join(enabled) or "no exchange"
            raise UnknownExchange(f"this system does not run {shown(exchange)}; it runs {known}")
        return enabled[exchange]

    def _enabled(self) -> dict[str, ExchangeSettings]:
        return {name: one for name, one in self.settings.exchanges.items() if one.enabled}

    def _component_for(self, operation: str, arguments: Arguments) -> str:
        if operation in _MERGED_OPERATIONS:
            self._check_carried(str(arguments.get("symbol", "")))
            return "aggregator"
        settings = self._exchange_settings(arguments)
        exchange, symbol = str(arguments["exchange"]), str(arguments.get("symbol", ""))
        if operation in _GATEWAY_OPERATIONS:
            return f"exchange/{exchange}/gateway"
        if operation in _ACCOUNT_OPERATIONS:
            if not (settings.api_key and settings.api_secret):
                raise ConfigError(
                    f"{exchange}: this system has no key of an account there; name one in the config:"
                    f" exchanges.{exchange}.api_key and api_secret"
                )
            return f"exchange/{exchange}/{_ACCOUNT_OPERATIONS[operation]}"
        if operation != "order_book":
            raise UsageError(f"no operation {operation!r}")
        if symbol not in settings.symbols:
            raise UnknownSymbol(
                f"{exchange} does not carry {shown(symbol)} here; it carries {', '.join(settings.symbols)}"
                f" (config: exchanges.{exchange}.symbols)"
            )
        return f"exchange/{exchange}/market-data/{settings.symbols.index(symbol) // settings.shard_symbols}"

    def _check_carried(self, symbol: str) -> None:
        carried = dict.fromkeys(known for one in self._enabled().values() for known in one.symbols)
        if symbol not in carried:
            raise UnknownSymbol(
                f"no exchange of this system carries {shown(symbol)}; they carry {', '.join(carried) or 'nothing'}"
                " (config: exchanges.*.symbols)"
            )

    def _pass_on(self, message: Request, client: Address, component: str) -> str:
        announced = self._known.get(component)
        if announced is None or announced.address is None:
            state = announced.state if announced is not None else "starting"
            raise Refused(f"{component} is {state}; ask again in a moment")
        deadline = time.monotonic() + message.timeout_s
        correlation = self._unanswered.add(
            PassedOn(client, message.correlation, component, announced.incarnation, deadline),
            _UNANSWERED_MAX.get(announced.kind, REQUESTS_UNANSWERED_MAX),
        )
        self.set_pace()
        self.send(
            announced.address,
            Request(announced.incarnation, correlation, message.operation, message.body, message.timeout_s),
        )
        return correlation

    def _on_reply(self, message: Reply) -> None:
        asked = self._unanswered.answered(message.correlation)
        if asked is None:
            return
        if asked.client is None:
            self._gathered(asked.component, message.body if message.ok else b"")
        elif not asked.expired:
            self.send(asked.client, Reply(0, asked.correlation, message.ok, message.body))

    def _refuse(self, asked: PassedOn, error: ConnectorError) -> None:
        self.send(asked.client, failure(asked.correlation, unanswered(asked.component, error)))

    def _expire(self, now: float) -> None:
        for asked in self._unanswered.expire(now):
            if asked.client is not None:
                self._refuse(asked, DeadlineExceeded(f"{asked.component} did not answer in time"))
        if self._gather is not None and now > self._gather.deadline:
            self._finish_status()

    def _fail_requests_of(self, message: Announce) -> None:
        """What a life that has ended will never answer is answered now."""
        running = message.incarnation if message.address is not None else None
        for asked in self._unanswered.ended(message.name, running):
            if asked.client is None:
                self._gathered(asked.component, b"")
            elif not asked.expired:
                self._refuse(asked, Refused(f"{asked.component} ended while it worked on it; ask again in a moment"))

    # -- status

    def _status(self, message: Request, client: Address) -> None:
        if self._gather is not None:
            self._gather.clients.append((client, message.correlation))
            return
        self._gather = Gather(time.monotonic() + _STATUS_S_MAX, [(client, message.correlation)])
        for name, announced in self._known.items():
            if announced.kind not in _REPORTING_KINDS:
                continue
            try:
                self._pass_on(Request(0, "", "status", b"", _STATUS_S_MAX), None, name)
            except Refused:
                continue  # it is shown without what only it knows
            self._gather.waiting.add(name)
        if not self._gather.waiting:
            self._finish_status()

    def _gathered(self, component: str, body: bytes) -> None:
        if self._gather is None:
            return
        if body:
            self._gather.parts[component] = unpack(body, dict[str, Any])
        self._gather.waiting.discard(component)
        if not self._gather.waiting:
            self._finish_status()

    def _finish_status(self) -> None:
        gather, self._gather = self._gather, None
        assert gather is not None
        body = pack(document(self.child_context(), self.started_ns, self._known, self._hosts, gather.parts))
        for client, correlation in gather.clients:
            self.send(client, Reply(0, correlation, True, body))


def _for(incarnation: int, message: Announce) -> Announce:
    return replace(message, target=incarnation)


def _gone(message: Announce) -> Announce:
    return replace(message, state="restarting", address=None)
