"""Facts on their way from who learns them to OrderState: asked for, in order, none left out.

OrderState asks a source for what comes after the last that it has; the source answers when there is something, and is
asked again. So there is never more than one message in the air, a lost one is asked for anew, and a new life of either
goes on where the other stands.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from itertools import islice

from thespian_connector.limits import FACTS_A_MESSAGE_MAX, FACTS_ASK_AGAIN_S, FACTS_KEPT_MAX

from .messages import Address, Announce, Facts, FactsWanted

#: Bodies after a number, oldest first.
LoadAfter = Callable[[int], Iterable[bytes]]


class FactsSource:
    """The side that has them. Of the main thread.

    :param send: (to, message) as an actor does.
    :param load_after: where older ones than are kept here come from. None: they are lost, and who asks for one finds
        that the first that it gets is a later one.
    """

    def __init__(
        self, incarnation: int, send: Callable[[Address, Facts], None], load_after: LoadAfter | None = None
    ) -> None:
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

    @property
    def next(self) -> int:
        """The number of the next one."""
        return self._last + 1

    def forget(self, until: int) -> None:
        """Who asks has these for good."""
        while self._kept and self._last - len(self._kept) < until:
            self._kept.popleft()

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
        after, oldest = wanted.after, self._last - len(self._kept)
        bodies: Iterable[bytes]
        if after < oldest and self._load_after is not None:
            bodies = self._load_after(after)
        else:
            after = max(after, oldest)
            bodies = islice(self._kept, after - oldest, None)
        taken = tuple(islice(bodies, FACTS_A_MESSAGE_MAX))
        self._send(to, Facts(wanted.asker, self._incarnation, after + 1, taken))


class FactsSink:
    """The side that wants those of one source. Of the main thread.

    :param asker: its own incarnation.
    :param after: the number of the last that it has.
    :param anew: whether another life of the source counts from 1 again.
    """

    def __init__(self, asker: int, send: Callable[[Address, FactsWanted], None], after: int, *, anew: bool) -> None:
        self.after = after
        self.source: Announce | None = None
        self._asker = asker
        self._send = send
        self._anew = anew
        self._asked = 0.0
        self._busy = False

    def found(self, announced: Announce | None, now: float) -> bool:
        """Who the source is now; None, or without an address: nobody. Whether that is another life."""
        before = self.source
        self.source = announced if announced is not None and announced.address is not None else None
        if self.source is None or (before is not None and before.incarnation == self.source.incarnation):
            return before is not None and self.source is None
        if self._anew:
            self.after = 0
        self._busy = False
        self._ask(now)
        return True

    def take(self, message: Facts) -> int | None:
        """None: it is not what was asked for. Else how many are missing before it (below 0: so many of its first were
        had already); it is asked for more when `taken` says that these are had."""
        if self.source is None or message.source != self.source.incarnation or self._busy:
            return None
        self._busy = True
        return message.first - self.after - 1

    def fresh(self, first: int, bodies: Sequence[bytes]) -> Sequence[bytes]:
        """Those that were not had, wherever they come from: they are, now."""
        new = bodies[max(0, self.after + 1 - first) :]
        self.after = max(self.after, first + len(bodies) - 1)
        return new

    def taken(self, last: int, now: float) -> None:
        self.after = max(self.after, last)
        self._busy = False
        self._ask(now)

    def failed(self) -> None:
        """They are not had: the same are asked for again, later."""
        self._busy = False

    def tick(self, now: float) -> None:
        if not self._busy and now - self._asked >= FACTS_ASK_AGAIN_S:
            self._ask(now)

    def _ask(self, now: float) -> None:
        if self.source is not None:
            self._asked = now
            self._send(self.source.address, FactsWanted(self.source.incarnation, self._asker, self.after))
