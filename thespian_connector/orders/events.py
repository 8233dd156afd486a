"""What is known of orders, as it is journaled: facts, never conclusions. `orders.ledger` concludes.

Two streams an exchange, one writer each. ``commands/<exchange>`` is OrderCommand's: what we meant, and what the answers
to our own requests said (questions that a command asks first are among them). ``venue/<exchange>`` is OrderState's:
what the venue said otherwise. Any interleaving of the two folds to the same state. `time_ns` is when the fact was
written, epoch nanoseconds; of an answer to a question, when the venue was asked, by its own clock.
"""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum

from msgspec import Struct

from thespian_connector.model import NewOrder
from thespian_connector.model.private import BalanceReport, FillReport, OrderReport


class Operation(StrEnum):
    PLACE = "place"
    CANCEL = "cancel"
    AMEND = "amend"


class Refusal(Struct, frozen=True, kw_only=True):
    """An error as it is kept: `type` is its class in the error tree."""

    type: str
    message: str
    outcome_known: bool
    code: int | None = None


class PlaceIntended(Struct, frozen=True, kw_only=True, tag="place"):
    """Durable before any byte of it leaves. Nothing of it is sent after `deadline_ns`, and each request is valid for
    `recv_window_ns` after it is signed: the venue cannot take it after both. `replaces`: the handle of the order whose
    place it takes."""

    order: NewOrder
    deadline_ns: int
    recv_window_ns: int
    time_ns: int
    replaces: str | None = None


class CancelIntended(Struct, frozen=True, kw_only=True, tag="cancel"):
    client_order_id: str
    operation_id: str
    deadline_ns: int
    recv_window_ns: int
    time_ns: int


class AmendIntended(Struct, frozen=True, kw_only=True, tag="amend"):
    """`quantity` is the new total, None leaves it. `successor`: the id of the order that takes its place, where the
    venue cannot change it in place."""

    client_order_id: str
    operation_id: str
    quantity: Decimal | None
    price: Decimal | None
    deadline_ns: int
    recv_window_ns: int
    time_ns: int
    successor: str | None = None


class Answered(Struct, frozen=True, kw_only=True, tag="answered"):
    """What became of one request of ours: the venue's report, or an error; ours (nothing sent) or the venue's."""

    client_order_id: str
    operation: Operation
    time_ns: int
    operation_id: str = ""
    report: OrderReport | None = None
    refusal: Refusal | None = None


class Reported(Struct, frozen=True, kw_only=True, tag="reported"):
    """The venue told an order's state: `source` is "stream", "query", "open_orders" or "history"."""

    report: OrderReport
    source: str
    time_ns: int


class Executed(Struct, frozen=True, kw_only=True, tag="executed"):
    """The venue told a fill."""

    fill: FillReport
    source: str
    time_ns: int


class BalancesTold(Struct, frozen=True, kw_only=True, tag="balances"):
    """On a stream (`asked_at` None) the next word on each asset; a later one replaces it, whatever clock it bears.

    The answer to a question tells every asset; one that is missing has nothing. It may be older than what the stream
    told meanwhile: `asked_at` is how many of these facts were known when the question was put, and an asset that was
    told of since keeps what it was told.
    """

    balances: tuple[BalanceReport, ...]
    time_ns: int
    asked_at: int | None = None


class Absent(Struct, frozen=True, kw_only=True, tag="absent"):
    """The venue did not know the order when it no longer could arrive: it never reached the venue."""

    client_order_id: str
    time_ns: int


class Connected(Struct, frozen=True, kw_only=True, tag="connected"):
    """The private stream tells everything from now on; what was before it must be asked for. Not journaled."""

    time_ns: int


class Disconnected(Struct, frozen=True, kw_only=True, tag="disconnected"):
    """The private stream tells nothing until the next Connected. Not journaled."""

    reason: str
    time_ns: int


CommandEvent = PlaceIntended | CancelIntended | AmendIntended | Answered | Reported
VenueEvent = Reported | Executed | BalancesTold | Absent
Event = CommandEvent | VenueEvent
#: How the private stream itself stands.
StreamEvent = Connected | Disconnected
#: What travels to OrderState.
Fact = Event | StreamEvent
