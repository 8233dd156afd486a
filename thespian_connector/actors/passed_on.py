"""Requests that Root passed on and that are owed an answer: whose they are, until when, and how many each life owes.

Pure. One whose time is up is answered by Root and is still owed: it stays counted until the component answers or ends,
so that one which hangs is not sent ever more (a Thespian sender falls silent towards everybody behind a full queue).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from thespian_connector.model.errors import Busy

from .messages import Address


@dataclass
class PassedOn:
    """`client`: who asked, None: Root itself; `correlation`: as what."""

    client: Address | None
    correlation: str
    component: str
    incarnation: int
    deadline: float
    expired: bool = False


class Unanswered:
    def __init__(self) -> None:
        self._requests: dict[str, PassedOn] = {}
        self._owed: Counter[int] = Counter()
        self._counter = 0

    def __bool__(self) -> bool:
        """Whether anybody still waits for one of them."""
        return any(not one.expired for one in self._requests.values())

    def add(self, request: PassedOn, most: int) -> str:
        """The correlation under which it is passed on.

        :raises Busy: that life of the component owes `most` answers already.
        """
        if self._owed[request.incarnation] >= most:
            raise Busy(f"{request.component} still owes {most} answers; ask again in a moment")
        self._counter += 1
        self._requests[str(self._counter)] = request
        self._owed[request.incarnation] += 1
        return str(self._counter)

    def answered(self, correlation: str) -> PassedOn | None:
        """None: of a life that has ended meanwhile."""
        request = self._requests.pop(correlation, None)
        if request is not None:
            self._owed[request.incarnation] -= 1
            if not self._owed[request.incarnation]:
                del self._owed[request.incarnation]
        return request

    def expire(self, now: float) -> list[PassedOn]:
        """Those whose time is up since the last call."""
        late = [one for one in self._requests.values() if now > one.deadline and not one.expired]
        for one in late:
            one.expired = True
        return late

    def ended(self, component: str, running: int | None) -> list[PassedOn]:
        """Those that nobody will answer: the component runs as `running` now, or not at all."""
        lost = [
            correlation
            for correlation, one in self._requests.items()
            if one.component == component and one.incarnation != running
        ]
        return [one for correlation in lost if (one := self.answered(correlation)) is not None]
