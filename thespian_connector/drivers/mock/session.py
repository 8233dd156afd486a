"""One connection to the mock venue, in memory: what a WebSocket would be."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import msgspec

from .protocol import Request

#: Frames that wait to be read. A reader that lets more pile up is disconnected, as real venues do.
FRAMES_MAX = 100_000


class SessionClosed(Exception):
    """The venue, or we, closed this connection; frames that had already arrived can still be read."""


class MockSession:
    """Send what the driver says; read what the venue answered. Nothing happens between the calls."""

    def __init__(self, on_request: Callable[[MockSession, Request], None]) -> None:
        self._on_request = on_request
        self._frames: deque[bytes] = deque()
        self.topics: set[str] = set()
        self.logged_in = False
        self.closed = False

    def send(self, frame: str) -> None:
        """Hands a frame of ours to the venue, which answers at once.

        :raises SessionClosed: the connection is closed.
        :raises ValueError: the frame is none of the protocol; a real venue would close, a test should fail.
        """
        if self.closed:
            raise SessionClosed("the mock venue's connection is closed")
        try:
            request = msgspec.json.decode(frame, type=Request)
        except msgspec.DecodeError as error:
            raise ValueError(f"{frame[:200]!r} is no frame of the mock protocol: {error}") from None
        self._on_request(self, request)

    def receive(self) -> bytes | None:
        """The next frame, None if there is none now.

        :raises SessionClosed: there is none and there will be none.
        """
        if self._frames:
            return self._frames.popleft()
        if self.closed:
            raise SessionClosed("the mock venue's connection is closed")
        return None

    def frames(self) -> list[bytes]:
        """Every frame that waits, oldest first."""
        waiting = list(self._frames)
        self._frames.clear()
        return waiting

    def close(self) -> None:
        self.closed = True
        self.topics.clear()

    def deliver(self, frame: bytes) -> None:
        """Called by the venue: `frame` arrives."""
        if self.closed:
            return
        if len(self._frames) >= FRAMES_MAX:
            self.close()
            return
        self._frames.append(frame)
