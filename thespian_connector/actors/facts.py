"""Facts on their way from who learns them to OrderState: asked for, in order, none left out.

OrderState asks a source for what comes after the last that it has; the source answers when there is something, and is
asked again. So there is never more than one message in the air, a lost one is asked for anew, and a new life of either
goes on where the other stands.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from itertools import islice

from thespian_connector.limits import FACTS_A_MESSAGE_MAX, FACTS_KEPT_MAX

from .messages import Address, Facts, FactsWanted

#: Bodies after a number, oldest first.
LoadAfter = Callable[[int], Iterable[bytes]]


class FactsSource:
    """The side that has them. Of the main thread.

    :param send: (to, message) as an actor does.
    :param load_after: where older ones than are kept here come from.
    """

    def __init__(self, incarnation: int, send: Callable[[Address, Facts], None], load_after: LoadAfter) -> None:
        self._incarnation = incarnation
        self._send = send
        self._load_after = load_after
        self._last = 0
        self._kept: deque[bytes] = deque(maxlen=FACTS_KEPT_MAX)
        self._wanted: tuple[Address, FactsWanted] | None = None

    def begin(self, last: int) -> None:
        """The newest number so far; nothing before it is kept here."""
        self._last = last

    def add(self, first: int, bodies: Sequence[bytes]) -> None:
        assert first == self._last + 1, "facts come in order"
        self._kept.extend(bodies)
        self._last += len(bodies)
        self._serve()

    def want(self, message: FactsWanted, sender: Address) -> None:
        self._wanted = (sender, message)
        self._serve()

    def _serve(self) -> None:
        if self._wanted is None:
            return
        to, wanted = self._wanted
        if wanted.after >= self._last:
            return
        self._wanted = None
        oldest = self._last - len(self._kept)
        bodies: Iterable[bytes]
        if wanted.after >= oldest:
            bodies = islice(self._kept, wanted.after - oldest, None)
        else:
            bodies = self._load_after(wanted.after)
        taken = tuple(islice(bodies, FACTS_A_MESSAGE_MAX))
        self._send(to, Facts(wanted.asker, self._incarnation, wanted.after + 1, taken))
