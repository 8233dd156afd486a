"""Registry: who runs where. Names are the convention ``exchange/<id>/<component>[/<shard>]``; patterns find them."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from thespian_connector.limits import WATCH_NOTICES_UNANSWERED_MAX

from .base import BaseActor
from .messages import Address, Announce, Found, Heard, Message, Reply, Request, Watch, pack, unpack


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


@dataclass
class _Watcher:
    """Who wants to know of changes, and how many notices went out since it last asked."""

    address: Address
    incarnation: int
    pattern: str
    notices: int = 0


class Registry(BaseActor):
    """Root tells it everything that supervisors announce, and all of it again after a restart.

    Watchers are told of changes while they keep asking: one that hangs or has died is not written to for long. They are
    not answered before Root has told everything: half of it would look like the end of the other half.
    """

    kind = "registry"

    def __init__(self) -> None:
        super().__init__()
        self._known: dict[str, Announce] = {}
        self._watchers: dict[int, _Watcher] = {}
        self._told = False

    def handle(self, message: Message, sender: Address) -> None:
        if isinstance(message, Announce):
            self._known[message.name] = message
            self.send(sender, Heard(self.context.root_incarnation))
            self._tell_watchers(message.name)
        elif isinstance(message, Watch):
            watcher = _Watcher(sender, message.asker, message.pattern)
            self._watchers[message.asker] = watcher
            self._tell(watcher)
        elif isinstance(message, Found):
            # What was announced meanwhile is newer.
            self._known = {one.name: one for one in message.components} | self._known
            self._told = True
            for watcher in self._watchers.values():
                self._tell(watcher)
        elif isinstance(message, Request) and message.operation == "resolve":
            pattern = unpack(message.body, dict[str, str]).get("pattern", "*")
            found = [entry(one) for one in self._matching(pattern)]
            self.send(sender, Reply(self.context.root_incarnation, message.correlation, True, pack(found)))
        else:
            super().handle(message, sender)

    def _matching(self, pattern: str) -> list[Announce]:
        return [one for name, one in sorted(self._known.items()) if fnmatchcase(name, pattern)]

    def _tell_watchers(self, name: str) -> None:
        for watcher in list(self._watchers.values()):
            if not fnmatchcase(name, watcher.pattern):
                continue
            if watcher.notices >= WATCH_NOTICES_UNANSWERED_MAX:
                del self._watchers[watcher.incarnation]  # the answer to its next question brings it all
                continue
            watcher.notices += 1
            self._tell(watcher)

    def _tell(self, watcher: _Watcher) -> None:
        if self._told:
            self.send(watcher.address, Found(watcher.incarnation, tuple(self._matching(watcher.pattern))))
