"""The trades of one symbol: each once, in the venue's order, from however many connections bring them."""

from __future__ import annotations

from collections import deque
from typing import Final

from thespian_connector import limits
from thespian_connector.model.wire import WireTrade

#: How many trades are missing before this one, and the trade.
Told = tuple[int, WireTrade]

_WAIT_NS: Final = int(limits.TRADES_WAIT_S * 1e9)


class Tape:
    """With one connection, what comes twice is dropped. With several, whichever brings a trade first tells it.

    A connection is *in step* once it brought a trade that was told before: from there on, whatever new it brings comes
    next. Until then, and again after a hole in its numbers, its trades wait for another connection to bring those
    before them; a second at most, for that one may be dead.

    :param numbered: ids are numbers without holes (Binance), so that missed trades can be counted.
    """

    def __init__(self, *, numbered: bool) -> None:
        self._numbered = numbered
        self._last = 0
        self._told: dict[str, None] = {}
        #: Connection -> its trades that wait. Empty while there is one connection only.
        self._waiting: dict[int, deque[WireTrade]] = {}
        self._since_ns: dict[int, int] = {}
        self._in_step: set[int] = set()

    # -- connections

    def share(self, line: int, *, in_step: bool) -> None:
        """`line` is one of several now; the one that was alone until now is in step."""
        self._waiting[line] = deque()
        if in_step:
            self._in_step.add(line)

    def leave(self, line: int) -> list[Told]:
        """`line` is gone. Returns what needs to wait no longer."""
        self._waiting.pop(line, None)
        self._since_ns.pop(line, None)
        self._in_step.discard(line)
        ready: list[Told] = []
        if len(self._waiting) <= 1 or not self._in_step:
            for other in list(self._waiting):
                ready += self._release(other)
        if len(self._waiting) <= 1:
            self.alone()
        return ready

    def alone(self) -> None:
        """There is one connection, or none, any more."""
        self._waiting.clear()
        self._since_ns.clear()
        self._in_step.clear()

    # -- trades

    def take(self, line: int, trade: WireTrade, now_ns: int) -> list[Told]:
        """`line` brought `trade`. Returns what is to be told: nothing if it is known or waits, else it and maybe more
        that waited for it."""
        if not self._waiting:
            return [] if trade.trade_id in self._told else [self._tell(trade)]
        waiting = self._waiting[line]
        if self._known(trade):
            if not waiting:
                self._in_step.add(line)
            return []
        if waiting or not self._is_next(line, trade):
            waiting.append(trade)
            self._in_step.discard(line)
            since_ns = self._since_ns.setdefault(line, now_ns)
            late = now_ns - since_ns >= _WAIT_NS or len(waiting) >= limits.TRADES_WAITING_MAX
            return self._release(line) if late else []
        self._in_step.add(line)
        return [self._tell(trade), *self._caught_up()]

    def overdue(self, now_ns: int) -> list[Told]:
        """What has waited for too long: nobody brings what came before."""
        late = [line for line, since_ns in self._since_ns.items() if now_ns - since_ns >= _WAIT_NS]
        return [told for line in late for told in self._release(line)]

    # -- inside

    def _caught_up(self) -> list[Told]:
        """More was told: what waited for that goes on, and then perhaps what waited for this."""
        ready: list[Told] = []
        line: int | None = 0
        while line is not None:
            line = next((key for key, waiting in self._waiting.items() if waiting and self._reached(waiting[0])), None)
            if line is not None:
                ready += self._step(line)
        return ready

    def _reached(self, trade: WireTrade) -> bool:
        return self._known(trade) or (self._last > 0 and self._number(trade) == self._last + 1)

    def _step(self, line: int) -> list[Told]:
        """Tell what `line` has waiting, up to the next hole."""
        waiting = self._waiting[line]
        self._in_step.add(line)
        ready: list[Told] = []
        while waiting and (self._known(waiting[0]) or self._is_next(line, waiting[0])):
            trade = waiting.popleft()
            if not self._known(trade):
                ready.append(self._tell(trade))
        if waiting:
            self._in_step.discard(line)
        else:
            self._since_ns.pop(line, None)
        return ready

    def _release(self, line: int) -> list[Told]:
        """Nothing that comes before what `line` has waiting will come: tell it, holes and all."""
        waiting = self._waiting[line]
        ready = [self._tell(trade) for trade in waiting if not self._known(trade)]
        waiting.clear()
        self._since_ns.pop(line, None)
        self._in_step.add(line)
        return ready

    def _number(self, trade: WireTrade) -> int:
        text = trade.trade_id
        return int(text) if self._numbered and text.isascii() and text.isdigit() else 0

    def _known(self, trade: WireTrade) -> bool:
        if trade.trade_id in self._told:
            return True
        number = self._number(trade)
        return number > 0 and self._last - limits.TRADES_REMEMBERED_MAX < number <= self._last

    def _is_next(self, line: int, trade: WireTrade) -> bool:
        number = self._number(trade)
        return number == self._last + 1 if number and self._last else line in self._in_step

    def _tell(self, trade: WireTrade) -> Told:
        told = self._told
        told[trade.trade_id] = None
        if len(told) > limits.TRADES_REMEMBERED_MAX:
            del told[next(iter(told))]
        number, last = self._number(trade), self._last
        if not number:
            return 0, trade
        if number > last or last - number >= limits.TRADES_REMEMBERED_MAX:  # far back: the venue numbers anew
            self._last = number
        return (max(0, number - last - 1) if last else 0), trade
