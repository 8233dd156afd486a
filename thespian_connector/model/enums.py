"""The words of the field, after FIX 5.0 SP2 where FIX has one (OrdStatus 39, OrdType 40, Side 54, TimeInForce 59)."""

from __future__ import annotations

from enum import StrEnum
from typing import Self


class _Word(StrEnum):
    @classmethod
    def of(cls, value: str, field: str) -> Self:
        """The member of that (case-insensitive) name.

        :raises ValueError: no such member; the message names `field` and the choices.
        """
        try:
            return cls(value.lower() if cls._lower() else value.upper())
        except (ValueError, AttributeError):
            raise ValueError(f"{field}: {value!r} is not one of {', '.join(cls)}") from None

    @classmethod
    def _lower(cls) -> bool:
        return all(member.value.islower() for member in cls)


class Side(_Word):
    BUY = "buy"
    SELL = "sell"


class OrderType(_Word):
    LIMIT = "limit"
    MARKET = "market"
    LIMIT_MAKER = "limit_maker"
    STOP_LIMIT = "stop_limit"


class TimeInForce(_Word):
    GTC = "gtc"
    IOC = "ioc"
    FOK = "fok"


class OrderStatus(_Word):
    """FIX OrdStatus, and UNKNOWN: sent, and the venue has not yet said what became of it."""

    PENDING_NEW = "PENDING_NEW"
    NEW = "NEW"
    PARTIALLY_FILLED = "PARTIALLY_FILLED"
    FILLED = "FILLED"
    PENDING_CANCEL = "PENDING_CANCEL"
    PENDING_REPLACE = "PENDING_REPLACE"
    CANCELED = "CANCELED"
    REJECTED = "REJECTED"
    EXPIRED = "EXPIRED"
    UNKNOWN = "UNKNOWN"

    @property
    def terminal(self) -> bool:
        return self in (OrderStatus.FILLED, OrderStatus.CANCELED, OrderStatus.REJECTED, OrderStatus.EXPIRED)


class ExecType(_Word):
    """FIX ExecType (150)."""

    NEW = "NEW"
    TRADE = "TRADE"
    CANCELED = "CANCELED"
    REPLACED = "REPLACED"
    REJECTED = "REJECTED"
    EXPIRED = "EXPIRED"


class InstrumentStatus(_Word):
    """What may be done with an instrument now. UNKNOWN: a word that we do not know; data yes, new orders no."""

    TRADING = "TRADING"
    CANCEL_ONLY = "CANCEL_ONLY"
    HALTED = "HALTED"
    UNKNOWN = "UNKNOWN"


class Trust(_Word):
    """How far a book may be believed.

    SYNCING: no snapshot yet, no levels are shown. LIVE: every update since the snapshot is in it. STALE: no proof of
    freshness within its limit; levels are shown, marked. SUSPECT: an update is missing; levels are kept for diagnosis.
    """

    SYNCING = "SYNCING"
    LIVE = "LIVE"
    STALE = "STALE"
    SUSPECT = "SUSPECT"


class Channel(_Word):
    BOOK = "book"
    TRADE = "trade"
    TICKER = "ticker"


class Environment(_Word):
    """Which set of a venue's hosts: real money, the venue's own two sandboxes, or the simulator."""

    LIVE = "live"
    TESTNET = "testnet"
    DEMO = "demo"
    PAPER = "paper"
