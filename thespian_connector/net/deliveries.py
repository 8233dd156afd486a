"""Which of several connections brings which stream: one that another leaves behind is dead on that connection.

A connection may live, and one of its subscriptions not. With one connection only the venue can tell (`freshness`); with
two, each is the other's witness: what one brings the other must bring too, soon.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from thespian_connector import limits

from .line import Line

_NS: Final = 1_000_000_000


class _Doubt:
    """What speaks against one stream of one connection, since it last brought something at `heard_ns`."""

    __slots__ = ("asked_ns", "heard_ns", "judged_ns", "strikes")

    def __init__(self, heard_ns: int) -> None:
        self.heard_ns = self.judged_ns = heard_ns
        #: When another connection brought what this one still owes; 0: it owes nothing.
        self.asked_ns = 0
        self.strikes = 0


class Deliveries:
    """Pure; times in monotonic nanoseconds.

    A stream is dead on a connection that was left behind twice in a row: another brought something, and this one
    nothing for `grace_s` after it. Twice, because a message that was on its way while a connection subscribed comes on
    one only.
    """

    def __init__(self, topics: Iterable[str], grace_s: float) -> None:
        self._grace_ns = int(grace_s * _NS)
        #: Topic -> connection -> when it last brought something.
        self._heard: dict[str, dict[int, int]] = {topic: {} for topic in topics}
        self._doubts: dict[tuple[str, int], _Doubt] = {}

    def note(self, topic: str, line: int, now_ns: int) -> None:
        """Connection `line` brought something of `topic`."""
        heard = self._heard.get(topic)
        if heard is not None:
            heard[line] = now_ns

    def forget(self) -> None:
        """Connections came or went: nothing that was seen says anything about those that are left."""
        for heard in self._heard.values():
            heard.clear()
        self._doubts.clear()

    def dead(self, lines: Iterable[Line], now_ns: int) -> tuple[Line, str] | None:
        """A connection, and the subscribed topic of which it brings nothing while another does."""
        for topic, heard in self._heard.items():
            if not heard:
                continue
            for line in lines:
                since_ns = line.confirmed_ns.get(topic)
                if since_ns is None:
                    continue
                others_ns = max((at_ns for key, at_ns in heard.items() if key != line.key), default=0)
                mine_ns = max(heard.get(line.key, 0), since_ns)
                if self._left_behind((topic, line.key), mine_ns, others_ns, now_ns):
                    return line, topic
        return None

    def _left_behind(self, key: tuple[str, int], mine_ns: int, others_ns: int, now_ns: int) -> bool:
        doubt = self._doubts.get(key)
        if doubt is None or doubt.heard_ns != mine_ns:
            doubt = self._doubts[key] = _Doubt(mine_ns)
        if not doubt.asked_ns and others_ns > doubt.judged_ns:
            doubt.asked_ns = others_ns
        if doubt.asked_ns and now_ns - doubt.asked_ns >= self._grace_ns:
            doubt.strikes += 1
            doubt.asked_ns, doubt.judged_ns = 0, now_ns
        return doubt.strikes >= limits.DEAD_TOPIC_STRIKES
