"""Equal questions that are in the air at the same time are one question."""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from thespian_connector.model.errors import AnswerLost, ConnectorError, Refused, TransportError

T = TypeVar("T")


class _Flight(Generic[T]):
    def __init__(self, deadline: float) -> None:
        self.deadline = deadline
        self.landed = threading.Event()
        self.result: T | None = None
        self.error: BaseException | None = None


class SingleFlight(Generic[T]):
    """`do(key, call, deadline)`: the first caller of a key calls, those who come meanwhile share its result or error.

    Each waits until its own deadline only. Where the first caller failed because *its* time was up, one of the others
    who has more time asks again.
    """

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._flights: dict[Hashable, _Flight[T]] = {}

    def do(self, key: Hashable, call: Callable[[], T], deadline: float) -> T:
        """:param deadline: on the monotonic clock.
        :raises AnswerLost: no answer to the shared question by `deadline`; also whatever `call` raises.
        """
        while True:
            with self._lock:
                flight = self._flights.get(key)
                if flight is None:
                    flight = self._flights[key] = _Flight(deadline)
                    break
            if not flight.landed.wait(max(0.0, deadline - self._monotonic())):
                raise AnswerLost("an equal request is in the air and was not answered in time")
            if flight.error is None:
                return flight.result  # type: ignore[return-value]  # it landed without an error: the result is there
            if not self._was_too_late(flight.error) or deadline <= flight.deadline:
                raise _own(flight.error)
        try:
            flight.result = call()
        except BaseException as error:
            flight.error = error
            raise
        finally:
            with self._lock:
                del self._flights[key]
            flight.landed.set()
        return flight.result

    @staticmethod
    def _was_too_late(error: BaseException) -> bool:
        """Whether more time might have helped. What ended the first caller's thread is no answer to anybody else."""
        return isinstance(error, Refused | TransportError) or not isinstance(error, ConnectorError)


def _own(error: BaseException) -> BaseException:
    """A copy for this caller: two threads that raise one exception tangle its traceback."""
    if not isinstance(error, ConnectorError):
        return AnswerLost(f"the equal request that was in the air ended with {type(error).__name__}")
    return copy.copy(error)
