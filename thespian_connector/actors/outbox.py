"""News for one peer, by name: what it has not acknowledged is limited, and only the newest of each name waits.

A peer that hangs would otherwise fill the sender's queue, and the sender would fall silent towards all others.
"""

from __future__ import annotations

from collections.abc import Iterator

from thespian_connector.limits import NEWS_UNANSWERED_MAX

from .messages import Announce


class Outbox:
    """Pure: its methods give what is to be sent now, in order."""

    def __init__(self, limit: int = NEWS_UNANSWERED_MAX) -> None:
        self._limit = limit
        self._unheard = 0
        self._waiting: dict[str, Announce] = {}

    def put(self, news: Announce) -> Iterator[Announce]:
        self._waiting.pop(news.name, None)
        self._waiting[news.name] = news
        return self._due()

    def heard(self) -> Iterator[Announce]:
        """The peer acknowledged one."""
        self._unheard = max(0, self._unheard - 1)
        return self._due()

    def renew(self) -> None:
        """The peer is another life, and is told everything anyway."""
        self._unheard = 0
        self._waiting.clear()

    def _due(self) -> Iterator[Announce]:
        while self._waiting and self._unheard < self._limit:
            self._unheard += 1
            yield self._waiting.pop(next(iter(self._waiting)))
