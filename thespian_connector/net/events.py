"""What a feed session is asked for and what it tells."""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from thespian_connector import limits
from thespian_connector.books.tracked import TrackedBook
from thespian_connector.model import Channel, Ticker, Trade


class Subscription(Struct, frozen=True):
    """One symbol and what is wanted of it. `depth` 0: the deepest book that the venue streams."""

    symbol: str
    channels: frozenset[Channel] = frozenset({Channel.BOOK})
    depth: int = 0


class BookChanged:
    """The book of `symbol` is other than it was: levels, trust, or both. The same object comes every time; read
    `tracked` before the callback returns, in its own thread, and keep nothing of it."""

    __slots__ = ("symbol", "tracked")

    def __init__(self, symbol: str, tracked: TrackedBook) -> None:
        self.symbol: Final = symbol
        self.tracked: Final = tracked


class FeedMarker(Struct, frozen=True, kw_only=True):
    """Something other than data happened to `symbol`'s feed.

    `what`: "live" (the book may be believed), "stale", "gap" (an update is missing; it will be made good),
    "reconnected" (trades may have been missed), "missed" (`missed` trades were).
    """

    symbol: str
    what: str
    missed: int = 0
    detail: str = ""


FeedEvent = BookChanged | Trade | Ticker | FeedMarker


class FeedTiming(Struct, frozen=True, kw_only=True):
    """The intervals of a session in seconds; `limits` says what each does."""

    connect_s: float = limits.CONNECT_TIMEOUT_S
    reconnect_first_s: float = limits.RECONNECT_FIRST_S
    reconnect_max_s: float = limits.RECONNECT_MAX_S
    reconnect_stable_s: float = limits.RECONNECT_STABLE_S
    ack_s: float = limits.ACK_TIMEOUT_S
    refused_retry_s: float = limits.REFUSED_RETRY_S
    snapshot_quiet_s: float = limits.SNAPSHOT_QUIET_S
    snapshot_retry_first_s: float = limits.SNAPSHOT_RETRY_FIRST_S
    snapshot_retry_max_s: float = limits.SNAPSHOT_RETRY_MAX_S
    snapshot_deadline_s: float = limits.SNAPSHOT_DEADLINE_S
    refill_every_s: float = limits.REFILL_EVERY_S
    silence_check_s: float = limits.SILENCE_CHECK_S
    silence_check_every_s: float = limits.SILENCE_CHECK_EVERY_S
    audit_s: float = limits.AUDIT_S
    behind_grace_s: float = limits.BEHIND_GRACE_S
    stale_rest_s: float = limits.STALE_REST_S
    stale_stream_s: float = limits.STALE_STREAM_S
    silent_reconnect_s: float = limits.SILENT_RECONNECT_S
    pong_s: float = limits.PONG_TIMEOUT_S
    resubscribe_s: float = limits.RESUBSCRIBE_TIMEOUT_S
    verified_told_s: float = limits.VERIFIED_TOLD_S
    lag_stale_s: float = limits.LAG_STALE_S
    held_up_s: float = limits.HELD_UP_S
    tick_s: float = limits.FEED_TICK_S
