"""What a crash left open: intents whose answers were never journaled."""

from __future__ import annotations

from collections.abc import Iterable

from .events import AmendIntended, Answered, CancelIntended, Event, Operation, PlaceIntended, Refusal

#: The `type` of the refusal that stands for a process that ended in between.
INTERRUPTED = "Interrupted"
#: (client order id, operation, its id) of a command.
Command = tuple[str, Operation, str]


class Recovery:
    """Fed every event of a ``commands`` stream; then it knows which intents have no answer.

    :param unanswered: those of the events before the first that it is fed.
    """

    def __init__(self, unanswered: Iterable[Command] = ()) -> None:
        #: In the order that they were meant; a dict as an ordered set.
        self._open: dict[Command, None] = dict.fromkeys(unanswered)

    @property
    def unanswered(self) -> tuple[Command, ...]:
        return tuple(self._open)

    def see(self, event: Event) -> None:
        match event:
            case PlaceIntended():
                self._open[event.order.client_order_id, Operation.PLACE, ""] = None
            case CancelIntended():
                self._open[event.client_order_id, Operation.CANCEL, event.operation_id] = None
            case AmendIntended():
                self._open[event.client_order_id, Operation.AMEND, event.operation_id] = None
            case Answered():
                self._close(event)

    def _close(self, event: Answered) -> None:
        # A cancel that was a part of an amendment is answered under the amendment's id.
        for operation in (event.operation, Operation.AMEND):
            self._open.pop((event.client_order_id, operation, event.operation_id), None)

    def interrupted(self, time_ns: int) -> list[Answered]:
        """An answer for each: nobody knows whether it was sent."""
        return [
            Answered(
                client_order_id=client_order_id,
                operation=operation,
                operation_id=operation_id,
                time_ns=time_ns,
                refusal=Refusal(
                    type=INTERRUPTED,
                    message="the process that sent it ended before the answer was known",
                    outcome_known=False,
                ),
            )
            for client_order_id, operation, operation_id in self._open
        ]
