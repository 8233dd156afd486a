"""What a depth stream of N levels shows, and what changed between two such views.

Levels are (ticks, steps): integers, as the matching book has them. They become text, unpadded as Bybit writes it, only
when they are sent.
"""

from __future__ import annotations

from decimal import Decimal

#: Levels of one side, best first.
RawLevels = list[tuple[int, int]]
#: Levels as they are on the wire.
TextLevels = list[tuple[str, str]]


class Spelling:
    """Whole numbers of a step as Bybit writes them: plain decimals, no padding (``60000.1``, ``0.5``, ``0``)."""

    def __init__(self, step: Decimal) -> None:
        _, digits, exponent = step.as_tuple()
        assert isinstance(exponent, int), "a step is a finite number"
        self._factor = int("".join(map(str, digits))) * 10 ** max(exponent, 0)
        self._places = max(-exponent, 0)

    def __call__(self, count: int) -> str:
        number = count * self._factor
        if not self._places or not number:
            return str(number)
        digits = str(number).rjust(self._places + 1, "0")
        fraction = digits[-self._places :].rstrip("0")
        whole = digits[: -self._places]
        return f"{whole}.{fraction}" if fraction else whole


def diff(before: RawLevels, after: RawLevels, depth: int, *, is_bid: bool, tell_pushed_out: bool) -> RawLevels:
    """The levels of one side that lead from the view `before` to the view `after`, best first; a zero deletes.

    A level that comes (back) into the view is sent, also when its quantity is what it was when it left. A level that
    better ones pushed out of the top `depth` is told as deleted only if `tell_pushed_out`; else the client has to cut
    its own side to `depth`, or keeps a level that nobody will ever delete.

    :param depth: the levels a side that the stream shows; 0 is all.
    """
    if before == after:
        return []
    known = dict(before)
    changed = [level for level in after if known.pop(level[0], 0) != level[1]]
    if known and not tell_pushed_out and depth and len(after) >= depth:
        worst = after[-1][0]
        changed += [(price, 0) for price in known if (price > worst if is_bid else price < worst)]
    else:
        changed += [(price, 0) for price in known]
    changed.sort(reverse=is_bid)
    return changed
