"""The order path tortured: many clients trade on both venues of one system while a part of it dies, or a venue fails.

A :class:`Rig` is a simulator and a system over it; :class:`Traffic` is what one cell's clients ask of it and what they
were told; a cell (:mod:`.torture_cells`) strikes in the midst; :mod:`.torture_judge` says what is wrong afterwards.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from types import TracebackType
from typing import Any, Self

from thespian_connector import Connector
from thespian_connector.model import Order
from thespian_connector.model.errors import ConnectorError, NotRunning, Refused, UsageError

from .simulator import Simulator
from .system import System
from .waiting import wait_until

VENUES = ("binance", "bybit")
SYMBOL, NATIVE = "BTC/USDT", "BTCUSDT"
#: Any machine: it says "it comes", not how soon.
PATIENCE_S = 60.0
#: Under way at the moment of the strike, at least.
IN_FLIGHT_MIN = 20
CLIENTS_A_VENUE = 16
_LATENCY_MS = 800
#: The simulated venues refuse nobody for asking often: what our own budgets let through is what is tortured.
_TUNE = (
    "binance.orders_10s_limit=300",
    "binance.weight_limit=1000000",
    "bybit.requests_max=100000",
    "bybit.create_max=1000",
    "bybit.amend_max=1000",
    "bybit.cancel_max=1000",
    "bybit.query_max=1000",
)


@dataclass
class Command:
    """One call of a client and what became of it. Times are monotonic seconds.

    `outcome`: "ok"; "unknown" (an error that does not say); "refused" (an error that says that nothing was done).
    """

    venue: str
    op: str
    handle: str
    asked: float
    deadline: float
    ended: float = 0.0
    outcome: str = ""
    error: ConnectorError | None = None
    order: Order | None = None

    @property
    def taken(self) -> bool:
        """It got further than us: not declined before anything was sent."""
        return not isinstance(self.error, Refused | NotRunning | UsageError)


class Rig:
    """``with Rig() as rig: ...``; the environment names the system's runtime directory meanwhile."""

    def __init__(self, seed: int = 1, rate: int = 10) -> None:
        self.seed = seed
        #: Fault that is no more -> how often it came.
        self._fired: dict[str, int] = {}
        self.simulator = Simulator(seed=seed, rate=rate, tune=_TUNE, symbols=SYMBOL)

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            stack.enter_context(self.simulator)
            self.system = System(*self._overrides())
            stack.enter_context(self.system)
            for venue in VENUES:
                account = self.simulator.truth(venue, "account")
                self.system.environment[f"TORTURE_{venue.upper()}_KEY"] = account["api_key"]
                self.system.environment[f"TORTURE_{venue.upper()}_SECRET"] = account["secret"]
            self._before = os.environ.get("XDG_RUNTIME_DIR")
            os.environ["XDG_RUNTIME_DIR"] = str(self.system.directory)
            stack.callback(self._restore)
            self.start("--wait", "live")
            self.connector = Connector.attach(self.system.name)
            stack.callback(self.connector.close)
            wait_until(self.trades, PATIENCE_S, "orders are taken")
            self._stack = stack.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._stack.__exit__(kind, error, tb)

    def _restore(self) -> None:
        if self._before is None:
            del os.environ["XDG_RUNTIME_DIR"]
        else:
            os.environ["XDG_RUNTIME_DIR"] = self._before

    def _overrides(self) -> Iterator[str]:
        for venue in VENUES:
            for name, url in self.simulator.urls[venue].items():
                yield f"exchanges.{venue}.urls.{name}={url}"
            yield f"exchanges.{venue}.api_key=env:TORTURE_{venue.upper()}_KEY"
            yield f"exchanges.{venue}.api_secret=env:TORTURE_{venue.upper()}_SECRET"
            yield f'exchanges.{venue}.symbols=["{SYMBOL}"]'
            yield f'exchanges.{venue}.channels=["book"]'
            yield f"exchanges.{venue}.depth=50"

    # -- the system

    def start(self, *words: str) -> float:
        """Seconds until Root answered."""
        return self.system.start(*words, "--timeout", "90")

    def trades(self) -> bool:
        """Whether the processes of the orders have read their journals."""
        with contextlib.suppress(ConnectorError):
            return len(self.connector.orders()) >= 0 and bool(self.connector.balances())
        return False

    def pid(self, name: str) -> int:
        """0: it does not run."""
        with contextlib.suppress(ConnectorError):
            rows = self.connector.status()["actors"]
            return next((row["pid"] for row in rows if row["name"] == name and row["state"] == "running"), 0)
        return 0

    def kill(self, *names: str) -> dict[str, int]:
        """SIGKILLs them all at once; their pids."""
        found = {name: wait_until(lambda name=name: self.pid(name), PATIENCE_S, f"{name} runs") for name in names}
        for pid in found.values():
            os.kill(pid, signal.SIGKILL)
        return found

    def replaced(self, old: dict[str, int]) -> None:
        for name, pid in old.items():
            wait_until(lambda name=name, pid=pid: self.pid(name) not in (0, pid), PATIENCE_S, f"{name} is replaced")

    # -- the venues

    def fault(self, kind: str, **terms: Any) -> list[str]:
        """At both venues."""
        return [self.simulator.fault(venue, kind, **terms) for venue in VENUES]

    def no_fault(self, ids: list[str]) -> None:
        for one in ids:
            self._fired[one] = self.simulator.fired(one)
            self.simulator.delete_fault(one)

    def fired(self, ids: list[str]) -> int:
        """How often they came, all together."""
        return sum(self._fired[one] if one in self._fired else self.simulator.fired(one) for one in ids)

    def in_the_air(self) -> int:
        """Writes that the venues have and have not answered."""
        since_ns = time.time_ns() - 10_000_000_000
        rows = [row for venue in VENUES for row in self.simulator.truth(venue, "requests")]
        return sum(not row["answered"] and row["time_ns"] > since_ns for row in rows)


@dataclass
class Strike:
    """What was under way when it struck, and how long a restart took, where the cell is about one. `faults`: ids of
    those that the cell is about; `fired`: how often they came."""

    in_flight: int = 0
    in_the_air: int = 0
    begun: float = 0.0
    start_s: float | None = None
    restart_s: float | None = None
    faults: list[str] = field(default_factory=list)
    fired: int = 0


@dataclass
class Traffic:
    """One cell's clients. `commands`: how many are to get further than us."""

    rig: Rig
    name: str
    commands: int
    timeout_s: float
    done: list[Command] = field(default_factory=list)
    failures: list[BaseException] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.strike = Strike()
        #: What every client order id begins with.
        self._tag = f"t{zlib.crc32(self.name.encode()):08x}"
        self._under_way: set[int] = set()
        self._slow: list[str] = []
        self._lock = threading.Lock()
        self._sides: dict[str, str] = {}
        self._ending = threading.Event()
        #: Cleared: clients begin nothing new.
        self.go = threading.Event()
        self.go.set()
        self._bids = {venue: Decimal(self.rig.simulator.book(venue, NATIVE)["bids"][0][0]) for venue in VENUES}

    def run(self, strike: Callable[[Rig, Traffic], None]) -> None:
        """Until all is asked and answered, the strike in the midst."""
        threads = [
            threading.Thread(target=self._client, args=(venue, number), daemon=True)
            for venue in VENUES
            for number in range(CLIENTS_A_VENUE)
        ]
        for thread in threads:
            thread.start()
        try:
            self._until(int(self.commands * 0.3))
            self._brace()
            strike(self.rig, self)
            self.ease()
            self._until(max(self.commands, self.taken + self.commands // 4))
        finally:
            self._ending.set()
            self.go.set()
            for thread in threads:
                thread.join(self.timeout_s + PATIENCE_S)
        if self.failures:
            raise self.failures[0]
        self.strike.fired = self.rig.fired(self.strike.faults)

    def _until(self, taken: int) -> None:
        wait_until(lambda: self.taken >= taken or self.failures, 4 * PATIENCE_S, f"{taken} commands are done")

    def _brace(self) -> None:
        """Some answers are lost, so that orders are in doubt; then requests stay in the air."""
        for kind in ("http_5xx", "http_timeout"):
            for executed in (True, False):
                self.rig.fault(kind, executed=executed, op="place", count=2)
        self._slow = self.rig.fault("latency", surface="trade", latency_ms=_LATENCY_MS, seconds=60)
        with contextlib.suppress(AssertionError):  # what there was is printed, and judged
            wait_until(self._enough, 20.0, "enough is in flight")
        self.strike.in_the_air = self.rig.in_the_air()
        self.struck()

    def ease(self) -> None:
        """Requests do not stay in the air any longer than the venues need."""
        self.rig.no_fault(self._slow)
        self._slow = []

    def _enough(self) -> bool:
        return len(self._under_way) >= IN_FLIGHT_MIN + 4 and self.rig.in_the_air() >= IN_FLIGHT_MIN

    def struck(self) -> None:
        """Now it strikes."""
        self.strike.begun = time.monotonic()
        self.strike.in_flight = len(self._under_way)

    @property
    def taken(self) -> int:
        with self._lock:
            return sum(command.taken for command in self.done)

    # -- a client

    def _client(self, venue: str, number: int) -> None:
        chance = random.Random(f"{self.rig.seed}/{self.name}/{venue}/{number}")
        mine: list[str] = []
        count = 0
        try:
            while not self._ending.is_set():
                self.go.wait()
                count += 1
                command, call = self._next(venue, chance, mine, f"{self._tag}-{venue[:2]}{number}-{count}")
                self._do(command, call)
                if command.op == "rest" and command.outcome != "refused":
                    mine.append(command.handle)
                if not command.taken:
                    self._ending.wait(0.2)
        except BaseException as error:  # noqa: BLE001 - told by `run`
            self.failures.append(error)

    def _next(
        self, venue: str, chance: random.Random, mine: list[str], name: str
    ) -> tuple[Command, Callable[[], Order]]:
        asked = time.monotonic()
        op = chance.choices(("rest", "cross", "cancel", "amend"), (40, 15, 28, 17))[0]
        if op in ("cancel", "amend") and not mine:
            op = "rest"
        connector, terms = self.rig.connector, {"timeout_s": self.timeout_s}
        deadline = asked + self.timeout_s
        if op == "cancel":
            handle = mine.pop(chance.randrange(len(mine)))
            command = Command(venue, op, handle, asked, deadline)
            return command, lambda: connector.cancel_order(venue, handle, **terms)
        if op == "amend":
            handle = chance.choice(mine)
            command = Command(venue, op, handle, asked, deadline)
            change = self._change(venue, chance, self._sides[handle])
            return command, lambda: connector.amend_order(venue, handle, **change, **terms)
        order = self._order(venue, chance, op)
        self._sides[name] = order["side"]
        command = Command(venue, op, name, asked, deadline)
        return command, lambda: connector.place_order(venue, SYMBOL, client_order_id=name, **order, **terms)

    def _price(self, venue: str, side: str, share: float) -> str:
        """So far from the market: above 0 it rests, below it crosses."""
        factor = 1 - share if side == "buy" else 1 + share
        return str((self._bids[venue] * Decimal(f"{factor:.3f}")).quantize(Decimal(1)))

    def _order(self, venue: str, chance: random.Random, op: str) -> dict[str, Any]:
        side, quantity = chance.choice(("buy", "sell")), f"0.00{chance.randrange(2, 9)}"
        if op == "cross" and chance.random() < 0.3:
            return {"side": side, "type": "market", "quantity": quantity}
        price = self._price(venue, side, _away(chance) if op == "rest" else -0.01)
        return {"side": side, "type": "limit", "quantity": quantity, "price": price}

    def _change(self, venue: str, chance: random.Random, side: str) -> dict[str, str]:
        if chance.random() < 0.4:
            return {"price": self._price(venue, side, _away(chance))}
        return {"quantity": f"0.00{chance.randrange(1, 10)}"}

    def _do(self, command: Command, call: Callable[[], Order]) -> None:
        with self._lock:
            self._under_way.add(id(command))
        try:
            command.order = call()
            command.outcome = "ok"
        except ConnectorError as error:
            command.error = error
            command.outcome = "refused" if error.outcome_known else "unknown"
        command.ended = time.monotonic()
        with self._lock:
            self._under_way.discard(id(command))
            self.done.append(command)


def _away(chance: random.Random) -> float:
    return chance.uniform(0.02, 0.04)
