"""What a snapshot keeps: each order as it stands, whole, to be forgotten in memory and had again; and what all add up
to. As bytes they are msgpack, and say in which form they are written.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any, Protocol, TypeVar

import msgspec
from msgspec import Struct

from thespian_connector.model import Order, OrderType, Side, TimeInForce
from thespian_connector.model.errors import StoreError
from thespian_connector.model.private import BalanceReport, FillReport, OrderReport

from .events import AmendIntended, Answered, CancelIntended, Executed, PlaceIntended
from .positions import Summed
from .recovery import Command

#: Of both records.
FORM = 1

#: How what a report told in a field is read again.
_READ: dict[str, Callable[[str], object]] = {"side": Side, "type": OrderType, "time_in_force": TimeInForce}


class KeptLeg(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """See `leg.Leg`. `told`: field -> (the venue's time of it, value as text). `named`: the venue's order id stands for
    this leg."""

    client_order_id: str
    native: str = ""
    order_id: str = ""
    intent: PlaceIntended | None = None
    fills: tuple[FillReport, ...] = ()
    created_ns: int = 0
    updated_ns: int = 0
    asked_ns: int = 0
    answer: Answered | None = None
    report: OrderReport | None = None
    told: dict[str, tuple[int, str]] = {}
    absent: bool = False
    operations: tuple[CancelIntended | AmendIntended, ...] = ()
    settled: tuple[str, ...] = ()
    accepted: tuple[str, ...] = ()
    named: bool = False


class KeptOrder(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`chain`: the ids that the handle stands for, () for itself alone; not every one needs to have a leg."""

    form: int
    handle: str
    legs: tuple[KeptLeg, ...]
    chain: tuple[str, ...] = ()

    def names(self) -> list[str]:
        """By which it is found: the ids that the handle stands for, and what the venue calls them."""
        names = [by_client_id(name) for name in self.chain or (self.handle,)]
        return names + [by_order_id(one.native, one.order_id) for one in self.legs if one.named]


class KeptAccount(Struct, frozen=True, kw_only=True):
    """What is known beside the orders. `seen`: see `ledger.Ledger`. `dropped_ns`: see `ledger.Ledger.drop`."""

    form: int
    balances: tuple[BalanceReport, ...]
    balances_at: dict[str, int]
    balances_told: int
    unclaimed: tuple[Executed, ...]
    positions: tuple[Summed, ...]
    seen: dict[str, tuple[int, int]]
    dropped_ns: int
    #: Commands without an answer.
    unanswered: tuple[Command, ...]


class Keep(Protocol):
    """Where orders are that were kept."""

    def find(self, name: str) -> KeptOrder | None:
        """:raises StoreError: it cannot be read."""

    def newest(self, symbols: Sequence[str], most: int) -> list[Order]:
        """The `most` that were created last, of these symbols, or names of the venue's; none: of all. There may be
        more.

        :raises StoreError: they cannot be read.
        """


class Nowhere(Keep):
    """Nothing was kept: all is in memory."""

    def find(self, name: str) -> KeptOrder | None:  # noqa: ARG002 - whatever it is
        return None

    def newest(self, symbols: Sequence[str], most: int) -> list[Order]:  # noqa: ARG002 - whatever they are
        return []


_Kept = TypeVar("_Kept", KeptOrder, KeptAccount)
_ENCODER = msgspec.msgpack.Encoder()
_SHOWN = msgspec.msgpack.Decoder(Order)
_ORDERS = msgspec.msgpack.Decoder(KeptOrder)
_ACCOUNTS = msgspec.msgpack.Decoder(KeptAccount)


def by_client_id(client_order_id: str) -> str:
    return f"={client_order_id}"


def by_order_id(native: str, order_id: str) -> str:
    return f"{native}={order_id}"


def encode_kept(kept: KeptOrder | KeptAccount) -> bytes:
    return _ENCODER.encode(kept)


def decode_order(body: bytes) -> KeptOrder:
    """:raises StoreError: it is none of this version."""
    return _decode(_ORDERS, body)


def encode_shown(order: Order | None) -> bytes:
    """An order as a listing tells it; nothing of one that is not known enough."""
    return b"" if order is None else _ENCODER.encode(order)


def decode_shown(body: bytes) -> Order:
    """:raises StoreError: it is none of this version."""
    try:
        return _SHOWN.decode(body)
    except (msgspec.DecodeError, TypeError) as error:
        raise StoreError(f"an order that this version cannot read ({error}); run the version that wrote it") from None


def decode_account(body: bytes) -> KeptAccount:
    """:raises StoreError: it is none of this version."""
    return _decode(_ACCOUNTS, body)


def _decode(decoder: msgspec.msgpack.Decoder[_Kept], body: bytes) -> _Kept:
    try:
        kept = decoder.decode(body)
    except (msgspec.DecodeError, TypeError) as error:
        raise StoreError(f"a snapshot that this version cannot read ({error}); run the version that wrote it") from None
    if kept.form != FORM:
        raise StoreError(f"a snapshot of form {kept.form}, this version reads {FORM}; run the version that wrote it")
    return kept


def as_told(field: str, text: str) -> Any:
    """A value of `KeptLeg.told` as the report had it."""
    return _READ.get(field, Decimal)(text)
