"""What a supervisor decides, as a pure machine: events and the time in, actions out. No process, no clock.

The rules are Erlang/OTP's (`supervisor`): child specs, a strategy, an intensity and a period. Ours on top:

- a replacement is spawned only when the old process is *gone*, not when somebody says that it exits;
- a child that does not start, or answer a probe, or whose thread stands still, is killed;
- restarts back off: the first of a period is immediate, each further one waits twice as long;
- a supervisor that was itself late (stopped, starved) discards the misses of that time.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from .messages import ThreadAge


class Restart(StrEnum):
    #: Always restarted.
    PERMANENT = "permanent"
    #: Restarted unless it ended in order.
    TRANSIENT = "transient"
    #: Never restarted.
    TEMPORARY = "temporary"


class Strategy(StrEnum):
    ONE_FOR_ONE = "one_for_one"
    ONE_FOR_ALL = "one_for_all"
    #: The failed child and those that were specified after it.
    REST_FOR_ONE = "rest_for_one"


class State(StrEnum):
    """STARTING: spawned, no Started yet. ENDING: told or killed, process still there. WAITING: backs off."""

    STOPPED = "stopped"
    STARTING = "starting"
    RUNNING = "running"
    ENDING = "ending"
    WAITING = "restarting"


@dataclass(frozen=True)
class ChildSpec:
    """One child: `actor` is the dotted path of its class, `body` the settings in its Start message."""

    name: str
    actor: str
    body: bytes = b""
    restart: Restart = Restart.PERMANENT
    endpoint: str = ""
    symbols: tuple[str, ...] = ()


@dataclass(frozen=True)
class Timing:
    """Seconds. A frozen child is found within `probe_every_s + probe_timeout_s` and two ticks."""

    intensity: int = 5
    period_s: float = 10.0
    backoff_s: float = 0.2
    backoff_max_s: float = 2.0
    start_timeout_s: float = 10.0
    probe_every_s: float = 2.5
    probe_timeout_s: float = 3.0
    #: An end in order that takes longer becomes a kill.
    grace_s: float = 3.0
    #: A tick later than this says that the supervisor itself was late.
    late_s: float = 2.5


@dataclass(frozen=True)
class Spawn:
    name: str


@dataclass(frozen=True)
class Kill:
    name: str
    reason: str


@dataclass(frozen=True)
class Terminate:
    """Ask the child to end in order."""

    name: str


@dataclass(frozen=True)
class SendProbe:
    name: str
    nonce: int


@dataclass(frozen=True)
class Escalate:
    """Restarting does not help: the supervisor ends and its parent decides."""

    reason: str


@dataclass(frozen=True)
class AllStopped:
    """The answer to :meth:`Supervision.stop`."""


Action = Spawn | Kill | Terminate | SendProbe | Escalate | AllStopped


@dataclass
class _Child:
    spec: ChildSpec
    state: State = State.STOPPED
    since: float = 0.0
    restarts: int = 0
    #: It is to be spawned again when it is gone.
    again: bool = True
    killed: bool = False
    #: It ends because it failed, not for a sibling's sake.
    failed: bool = False
    nonce: int = 0
    #: When the unanswered probe went out.
    asked: float | None = None
    answered: float = 0.0


@dataclass
class Supervision:
    """The machine of one supervisor. Every method returns what the shell has to do, in order."""

    specs: tuple[ChildSpec, ...]
    strategy: Strategy = Strategy.ONE_FOR_ONE
    timing: Timing = field(default_factory=Timing)

    def __post_init__(self) -> None:
        names = [spec.name for spec in self.specs]
        assert len(set(names)) == len(names), "each child has a name of its own"
        self.children = {spec.name: _Child(spec) for spec in self.specs}
        self._failures: list[float] = []
        self._last_tick: float | None = None
        self._stopping = False

    @property
    def in_transition(self) -> bool:
        """A child comes, goes, or waits to be spawned: time matters more than when all run."""
        return any(child.state not in (State.RUNNING, State.STOPPED) for child in self.children.values())

    def start(self, now: float) -> list[Action]:
        return [self._spawn(child, now) for child in self.children.values()]

    def add(self, spec: ChildSpec, now: float) -> list[Action]:
        """A child that is known already is left as it is."""
        if spec.name in self.children or self._stopping:
            return []
        self.children[spec.name] = _Child(spec)
        return [self._spawn(self.children[spec.name], now)]

    def stop(self, now: float) -> list[Action]:
        """Ends every child in order, the last first; :class:`AllStopped` follows when all are gone."""
        self._stopping = True
        actions: list[Action] = []
        for child in reversed(self.children.values()):
            child.again = False
            actions += self._end(child, now)
        return actions + self._all_stopped()

    def on_started(self, name: str, now: float) -> list[Action]:
        child = self.children[name]
        if child.state is State.STARTING:
            child.state, child.since = State.RUNNING, now
            child.asked, child.answered = None, now
        return []

    def on_probe_reply(self, name: str, nonce: int, threads: tuple[ThreadAge, ...], now: float) -> list[Action]:
        child = self.children[name]
        if child.state is not State.RUNNING or nonce != child.nonce:
            return []
        child.asked, child.answered = None, now
        for thread in threads:
            if thread.age_ns > thread.limit_ns:
                return self._kill(child, f"its thread {thread.name} stands still for {thread.age_ns / 1e9:.1f} s", now)
        return []

    def on_gone(self, name: str, in_order: bool, now: float) -> list[Action]:
        """The process no longer exists. `in_order`: it ended by itself with exit code 0."""
        child = self.children[name]
        expected = child.state is State.ENDING and not child.failed
        child.state, child.since = State.STOPPED, now
        if self._stopping:
            return self._all_stopped()
        if expected:  # ended for a sibling's sake
            return self._respawn_group(now)
        restart = child.spec.restart
        if restart is Restart.TEMPORARY or (restart is Restart.TRANSIENT and in_order):
            child.again = False
            return self._respawn_group(now)
        self._failures = [moment for moment in self._failures if now - moment < self.timing.period_s] + [now]
        if len(self._failures) > self.timing.intensity:
            self._stopping = True
            return [
                Escalate(f"{name} and its siblings ended {len(self._failures)} times in {self.timing.period_s:g} s")
            ]
        child.restarts += 1
        actions: list[Action] = []
        for sibling in reversed(self._affected(child)):
            if sibling is not child:
                sibling.again = sibling.again and sibling.spec.restart is not Restart.TEMPORARY
                actions += self._end(sibling, now)
        child.state = State.WAITING
        return actions + self._respawn_group(now)

    def on_tick(self, now: float) -> list[Action]:
        """To be called once a second at least, and several times while `in_transition`."""
        late = self._last_tick is not None and now - self._last_tick > self.timing.late_s
        self._last_tick = now
        actions: list[Action] = []
        for child in self.children.values():
            if late:
                self._forgive(child, now)
            actions += self._check(child, now)
        return actions + self._respawn_group(now)

    # -- parts

    def _forgive(self, child: _Child, now: float) -> None:
        child.since = max(child.since, now) if child.state in (State.STARTING, State.ENDING) else child.since
        if child.asked is not None:
            child.asked = now

    def _check(self, child: _Child, now: float) -> list[Action]:
        timing = self.timing
        if child.state is State.STARTING and now - child.since > timing.start_timeout_s:
            return self._kill(child, f"it did not start within {timing.start_timeout_s:g} s", now)
        if child.state is State.ENDING and not child.killed and now - child.since > timing.grace_s:
            child.killed = True
            return [Kill(child.spec.name, f"it did not end within {timing.grace_s:g} s")]
        if child.state is not State.RUNNING:
            return []
        if child.asked is not None:
            if now - child.asked > timing.probe_timeout_s:
                return self._kill(child, f"it did not answer for {now - child.asked:.1f} s", now)
        elif now - child.answered >= timing.probe_every_s:
            child.nonce, child.asked = child.nonce + 1, now
            return [SendProbe(child.spec.name, child.nonce)]
        return []

    def _spawn(self, child: _Child, now: float) -> Action:
        child.state, child.since, child.asked = State.STARTING, now, None
        child.killed = child.failed = False
        return Spawn(child.spec.name)

    def _kill(self, child: _Child, reason: str, now: float) -> list[Action]:
        child.state, child.since, child.killed, child.failed = State.ENDING, now, True, True
        return [Kill(child.spec.name, reason)]

    def _end(self, child: _Child, now: float) -> list[Action]:
        if child.state is State.WAITING:
            child.state = State.STOPPED
        if child.state not in (State.STARTING, State.RUNNING):
            return []
        starting = child.state is State.STARTING
        child.state, child.since, child.killed, child.failed = State.ENDING, now, starting, False
        return [Kill(child.spec.name, "its start is called off")] if starting else [Terminate(child.spec.name)]

    def _affected(self, failed: _Child) -> list[_Child]:
        everyone = list(self.children.values())
        if self.strategy is Strategy.ONE_FOR_ONE:
            return [failed]
        if self.strategy is Strategy.ONE_FOR_ALL:
            return everyone
        return everyone[everyone.index(failed) :]

    def _respawn_group(self, now: float) -> list[Action]:
        """Spawns who waits, in the order of the specs, once nobody is still ending and the back-off has passed."""
        if self._stopping:
            return []
        together = self.strategy is not Strategy.ONE_FOR_ONE
        if together and any(child.state is State.ENDING for child in self.children.values()):
            return []
        failures = [moment for moment in self._failures if now - moment < self.timing.period_s]
        wait = 0.0
        if len(failures) > 1:
            wait = min(self.timing.backoff_s * 2 ** (len(failures) - 2), self.timing.backoff_max_s)
        due = [child for child in self.children.values() if child.state is State.WAITING and now - child.since >= wait]
        if due and together:
            due = [child for child in self.children.values() if child.state in (State.WAITING, State.STOPPED)]
        return [self._spawn(child, now) for child in due if child.again]

    def _all_stopped(self) -> list[Action]:
        if all(child.state in (State.STOPPED, State.WAITING) for child in self.children.values()):
            return [AllStopped()]
        return []
