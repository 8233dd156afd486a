"""WebSocket frames out of a chunk of bytes (RFC 6455, client side). Bytes in, messages out: no socket in here.

websocket-client takes one frame a call, with three small reads and an object each: 90,000 frames of 800 bytes a second
here. Taking all frames out of a large chunk in one loop costs a tenth of that.
"""

from __future__ import annotations

from typing import Final

#: What one read may bring. More than a burst of 20-level diffs, less than a processor's cache.
CHUNK_BYTES: Final = 256 * 1024

_FIN: Final = 0x80
_CONTINUATION: Final = 0x0
_TEXT: Final = 0x1
_BINARY: Final = 0x2
_CLOSE: Final = 0x8
_PING: Final = 0x9
_PONG: Final = 0xA
_CONTROL_BYTES_MAX: Final = 125


class FrameError(Exception):
    """The peer broke the protocol or a limit; the connection is of no more use. `reason` is one word to count by."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


class FrameReader:
    """Collects chunks and gives back whole messages (text and binary alike) in order.

    Use: write at most ``len(space())`` bytes into :meth:`space`, then :meth:`take` what was written. Control frames are
    set aside: `ping` holds the payload of the last unanswered ping (RFC 6455 5.5.3: only the most recent need be
    answered), `pongs` counts, `closed` has the code and words of the peer's close frame.
    """

    def __init__(self, message_bytes_max: int, chunk_bytes: int = CHUNK_BYTES) -> None:
        self.ping: bytes | None = None
        self.pongs = 0
        self.closed: tuple[int, str] | None = None
        self._message_bytes_max = message_bytes_max
        self._chunk_bytes = chunk_bytes
        self._buffer = bytearray(chunk_bytes)
        self._view = memoryview(self._buffer)
        #: Bytes at the buffer's start that belong to a frame that is not whole yet.
        self._held = 0
        #: Bytes from the buffer's start that the frame at its start needs to be whole.
        self._needed = 0
        #: The fragments of a message that is not whole yet; None between messages.
        self._parts: list[bytes] | None = None
        self._parts_bytes = 0

    def space(self) -> memoryview:
        """Where the next bytes go. Large frames make it grow, up to the limit, and the next small one shrink."""
        size = len(self._buffer)
        wanted = max(self._chunk_bytes, self._needed)
        if size != wanted and (size < wanted or self._held < self._chunk_bytes):
            grown = bytearray(wanted)
            grown[: self._held] = self._view[: self._held]
            self._buffer, self._view = grown, memoryview(grown)
        return self._view[self._held :]

    def take(self, count: int) -> list[bytes]:
        """The messages that `count` more bytes complete.

        :raises FrameError: a masked frame, reserved bits, an unknown opcode, a control frame out of bounds, a
            continuation of nothing, or a message above the limit. Messages before it in the same chunk are lost with
            the connection, as they would be had it dropped a moment earlier.
        """
        end = self._held + count
        if end < self._needed:
            self._held = end  # more of a large frame: nothing to look at until it is whole
            return []
        data = bytes(self._view[:end])
        messages: list[bytes] = []
        position = 0
        self._needed = 0
        while end - position >= 2:
            length = data[position + 1]
            body = position + 2
            if length >= 126:
                if length > 127:
                    raise FrameError("masked", "the server sent a masked frame")
                body = position + (4 if length == 126 else 10)
                if end < body:
                    break
                length = int.from_bytes(data[position + 2 : body], "big")
                if length > self._message_bytes_max:
                    raise FrameError("oversize", f"a frame of {length} bytes is above {self._message_bytes_max}")
            stop = body + length
            if stop > end:
                self._needed = stop - position
                break
            if data[position] == 0x81 and self._parts is None:  # a whole text message: nearly every frame there is
                messages.append(data[body:stop])
            else:
                self._unusual(data[position], data[body:stop], messages)
                if self.closed is not None:
                    return messages
            position = stop
        self._held = end - position
        if position and self._held:
            self._view[: self._held] = data[position:]
        return messages

    def _unusual(self, first: int, payload: bytes, messages: list[bytes]) -> None:
        opcode = first & 0x0F
        final = bool(first & _FIN)
        if first & 0x70:
            raise FrameError("protocol", "a frame with reserved bits, though no extension was agreed on")
        if opcode >= _CLOSE:
            self._control(opcode, final, payload)
            return
        if opcode > _BINARY:
            raise FrameError("protocol", f"unknown opcode {opcode}")
        if (opcode == _CONTINUATION) is (self._parts is None):
            raise FrameError("protocol", "a fragment out of order")
        if self._parts is None:
            self._parts, self._parts_bytes = [], 0
        self._parts.append(payload)
        self._parts_bytes += len(payload)
        if self._parts_bytes > self._message_bytes_max:
            raise FrameError("oversize", f"a fragmented message is above {self._message_bytes_max} bytes")
        if final:
            messages.append(b"".join(self._parts))
            self._parts = None

    def _control(self, opcode: int, final: bool, payload: bytes) -> None:
        if not final or len(payload) > _CONTROL_BYTES_MAX:
            raise FrameError("protocol", "a control frame that is fragmented or above 125 bytes")
        if opcode == _PING:
            self.ping = payload
        elif opcode == _PONG:
            self.pongs += 1
        elif opcode == _CLOSE:
            code = int.from_bytes(payload[:2], "big") if len(payload) >= 2 else 1005
            self.closed = (code, payload[2:].decode("utf-8", "replace"))
        else:
            raise FrameError("protocol", f"unknown opcode {opcode}")
