"""How an actor finds others: it asks Registry who matches a pattern, again and again.

Registry forgets who watches when it restarts, and stops writing to who is silent; asking is what renews it.
"""

from __future__ import annotations

from collections.abc import Callable

from thespian_connector.limits import MERGE_ASKED_MAX, WATCH_AGAIN_S, WATCH_EVERY_S

from .messages import Address, Announce, Found, Watch


class Watching:
    """:param incarnation: of who watches.
    :param send: (to, message) as an actor does.
    """

    def __init__(self, pattern: str, incarnation: int, send: Callable[[Address, Watch], None]) -> None:
        self.known: dict[str, Announce] = {}
        self._pattern = pattern
        self._incarnation = incarnation
        self._send = send
        self._registry: Announce | None = None
        self._due = 0.0
        self._unheard = 0

    def registry(self, registry: Announce, now: float) -> None:
        """Root says where Registry is."""
        self._registry = registry if registry.address is not None else None
        self._unheard = 0
        self._ask(now)

    def tick(self, now: float) -> None:
        if now >= self._due:
            self._ask(now)

    def _ask(self, now: float) -> None:
        self._due = now + WATCH_EVERY_S
        if self._registry is not None and self._unheard < MERGE_ASKED_MAX:
            self._unheard += 1
            self._send(self._registry.address, Watch(self._registry.incarnation, self._incarnation, self._pattern))

    def found(self, message: Found, now: float) -> bool:
        """Whether `known` is other than it was."""
        self._unheard = 0
        known = {one.name: one for one in message.components}
        if known == self.known:
            return False
        self.known = known
        # Asking is what lets Registry tell of further changes.
        self._due = min(self._due, now + WATCH_AGAIN_S)
        return True
