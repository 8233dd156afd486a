"""What actors say to each other: small, with a constant spelling, their content as msgpack bytes.

Thespian calls ``str(message)`` several times a hop, logging or not, so the spelling is the class's name. Every message
names the incarnation it is meant for (`target`, 0: whichever): a dead actor's port may be another's by now.
"""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from msgspec import Struct

from thespian_connector.model.errors import ConnectorError

#: Thespian's address objects have no type worth naming: they compare, they do not hash.
Address = Any

T = TypeVar("T")
_encoder = msgspec.msgpack.Encoder()


def pack(value: Any) -> bytes:
    """`value` (records, containers) as the bytes that travel in a message."""
    return _encoder.encode(value)


def unpack(body: bytes, kind: type[T]) -> T:
    """:raises msgspec.ValidationError: the bytes are no `kind`."""
    return msgspec.msgpack.decode(body, type=kind)


class Message(Struct, frozen=True):
    """Base: `target` is the incarnation that may read it."""

    target: int

    def __repr__(self) -> str:
        return type(self).__name__

    __str__ = __repr__


class Context(Struct, frozen=True):
    """Where an actor finds itself. It is passed down from parent to child."""

    system: str
    host: str
    runtime_dir: str
    launcher_pid: int
    root: Address = None
    root_incarnation: int = 0


def beat_file(context: Context, name: str) -> Path:
    """What an actor without a parent of ours touches so that the launcher sees that it lives."""
    return Path(context.runtime_dir) / f"{name.replace('/', '-')}.beat"


class Start(Message, frozen=True):
    """The first message: who you are. `target` becomes the actor's incarnation; `body` is its settings."""

    name: str
    parent_incarnation: int
    context: Context
    body: bytes = b""


class Started(Message, frozen=True):
    """The answer to Start, when the actor is ready for work."""

    source: int
    pid: int


class Stop(Message, frozen=True):
    """End in order: threads joined, children first. A supervisor kills who does not within its grace."""


class Stopping(Message, frozen=True):
    """The answer to Stop: heard; the process ends when everything below it has."""


class Probe(Message, frozen=True):
    nonce: int


class ThreadAge(Struct, frozen=True):
    """How long ago a thread last showed that it lives, and how long it may be silent, in nanoseconds."""

    name: str
    age_ns: int
    limit_ns: int


class ProbeReply(Message, frozen=True):
    source: int
    nonce: int
    threads: tuple[ThreadAge, ...] = ()


class Request(Message, frozen=True):
    """A question, from a client through Root to the component that knows. `body`: the arguments as a map."""

    correlation: str
    operation: str
    body: bytes = b""
    timeout_s: float = 5.0
    #: The incarnation that the answer is for; 0: Root's.
    asker: int = 0


class Reply(Message, frozen=True):
    """The answer: `body` is the result, or, when not `ok`, the pickled ConnectorError."""

    correlation: str
    ok: bool
    body: bytes = b""


def failure(correlation: str, error: ConnectorError, target: int = 0) -> Reply:
    """The answer that is an error."""
    return Reply(target, correlation, False, pickle.dumps(error))


class Announce(Message, frozen=True):
    """A supervisor says how one of its children stands. `state`: starting, running, restarting, stopped."""

    name: str
    kind: str
    state: str
    address: Address
    incarnation: int
    pid: int
    restarts: int
    started_ns: int
    host: str
    endpoint: str = ""
    symbols: tuple[str, ...] = ()


class Heard(Message, frozen=True):
    """The answer to an Announce: the next may come."""


class Watch(Message, frozen=True):
    """Asks Registry who matches `pattern`, now and at each change. Repeated, it renews what Registry may send."""

    asker: int
    pattern: str


class Found(Message, frozen=True):
    """Registry's answer to Watch: everybody who matches, as last announced. To a new Registry, from Root: everybody."""

    components: tuple[Announce, ...]


class HostUp(Message, frozen=True):
    """A HostAgent reports to Root for work."""

    host: str
    address: Address
    incarnation: int
    pid: int


class RunExchange(Message, frozen=True):
    """Root tells a HostAgent to run an exchange; told again, it does nothing more. `body`: ExchangeSettings."""

    exchange: str
    body: bytes


class FactsWanted(Message, frozen=True):
    """OrderState asks a source of facts for what comes after number `after`; asked again, it renews the question."""

    asker: int
    after: int


class Facts(Message, frozen=True):
    """The answer, when there is something: facts from number `first` on, as `orders.codec` spells them."""

    source: int
    first: int
    bodies: tuple[bytes, ...]
