"""Registry: who runs where. Names are the convention ``exchange/<id>/<component>[/<shard>]``; patterns find them."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Any

from .base import BaseActor
from .messages import Address, Announce, Message, Reply, Request, pack, unpack


def entry(announced: Announce) -> dict[str, Any]:
    """What a client may know of a component."""
    return {
        "name": announced.name,
        "kind": announced.kind,
        "state": announced.state,
        "host": announced.host,
        "pid": announced.pid,
        "incarnation": announced.incarnation,
        "restarts": announced.restarts,
        "started_ns": announced.started_ns,
        "endpoint": announced.endpoint,
        "symbols": list(announced.symbols),
    }


class Registry(BaseActor):
    """Root tells it everything that supervisors announce, and all of it again after a restart."""

    kind = "registry"

    def __init__(self) -> None:
        super().__init__()
        self._known: dict[str, Announce] = {}

    def handle(self, message: Message, sender: Address) -> None:
        if isinstance(message, Announce):
            self._known[message.name] = message
        elif isinstance(message, Request) and message.operation == "resolve":
            pattern = unpack(message.body, dict[str, str]).get("pattern", "*")
            found = [entry(one) for name, one in sorted(self._known.items()) if fnmatchcase(name, pattern)]
            self.send(sender, Reply(self.context.root_incarnation, message.correlation, True, pack(found)))
        else:
            super().handle(message, sender)
