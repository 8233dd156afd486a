"""The server's side of one WebSocket, shared by the fronts: frames built once, bounded buffers, injected faults.

A stream's message is encoded and framed once (:class:`Message`) and its bytes are written to the transport of every
subscriber: no task and no copy a subscriber. Whatever is sent on a connection goes through one ordered path, so that a
slowed or delayed connection never reorders or tears a frame.
"""

from __future__ import annotations

import asyncio
import json
import struct
from collections import deque
from collections.abc import Callable
from typing import Any

from aiohttp import web

from .faults import Fault
from .venue import Venue

#: Bytes unsent to one subscriber. At the limit it is too slow, and disconnected.
SEND_BUFFER_BYTES_MAX = 8 * 1024 * 1024
#: One frame of a client. A larger one ends the connection (close code 1009).
INBOUND_BYTES_MAX = 64 * 1024
#: The frame of a `ws_malformed` fault of the form ``huge``.
HUGE_BYTES = 20 * 1024 * 1024
#: Without `bytes_per_s`, and without `lead_ms`.
SLOW_BYTES_A_SECOND = 200
SHUTDOWN_LEAD_MS = 1_000
_SLICE_S = 0.05

TEXT, BINARY, CLOSE, PING, PONG = 0x1, 0x2, 0x8, 0x9, 0xA
_MESSAGE_KINDS = ("ws_drop", "ws_silent", "ws_gap", "ws_duplicate", "ws_malformed", "ws_slow")


def frame(payload: bytes, opcode: int = TEXT) -> bytes:
    """An unmasked server frame (RFC 6455, 5.2)."""
    size = len(payload)
    if size < 126:
        head = struct.pack("!BB", 0x80 | opcode, size)
    elif size < 65_536:
        head = struct.pack("!BBH", 0x80 | opcode, 126, size)
    else:
        head = struct.pack("!BBQ", 0x80 | opcode, 127, size)
    return head + payload


class Message:
    """One message of a stream: its payload, and its frame, made once for all who get it.

    :param op: the stream's kind (``depth``, ``trade`` ...), which a fault may name.
    :param symbol: the venue's name of the instrument, empty if the message is about none.
    """

    __slots__ = ("_wire", "op", "payload", "symbol")

    def __init__(self, payload: bytes, op: str = "", symbol: str = "") -> None:
        self.payload = payload
        self.op = op
        self.symbol = symbol
        self._wire: bytes | None = None

    @property
    def wire(self) -> bytes:
        if self._wire is None:
            self._wire = frame(self.payload)
        return self._wire


#: What a client dispatches by stays as it is in a message of wrong types, so that the wrong types are looked at.
_KEPT = ("e", "stream", "topic", "type", "op", "s", "symbol")


def _other_types(value: Any) -> Any:
    """Valid JSON of the same names in which nothing has the type that it should have."""
    if isinstance(value, dict):
        return {
            key: item if key in _KEPT and isinstance(item, str) else _other_types(item) for key, item in value.items()
        }
    if isinstance(value, list):
        return {str(index): _other_types(item) for index, item in enumerate(value)}
    return len(value) if isinstance(value, str) else [value]


def malformed(message: Message, form: str) -> bytes:
    """The frame that goes out instead of `message`."""
    payload = message.payload
    if form == "binary":
        return frame(payload, BINARY)
    if form == "huge":
        return frame(b'{"pad":"' + b"x" * HUGE_BYTES + b'"}')
    if form == "wrong_types":
        return frame(json.dumps(_other_types(json.loads(payload))).encode())
    if form == "not_json":
        return frame(b"<html><body>502 Bad Gateway</body></html>")
    if form == "empty":
        return frame(b"")
    if form == "deep":
        return frame(b"[" * 5_000 + b"]" * 5_000)
    return frame(payload[: max(1, len(payload) // 2)])


def _covers(fault: Fault, message: Message) -> bool:
    return fault.symbol in ("", message.symbol) and fault.op in ("", message.op)


class ServerSocket:
    """One accepted WebSocket.

    :param request: its handshake, answered without compression and with `autoping` off: frames go past aiohttp's
        writer, and the front answers pings itself.
    :param surface: ``stream``, ``private`` or ``trade``: which faults it listens to. A socket may come to carry what
        is on another surface, too (`surfaces`), like user events beside replies to orders.
    :param wants: whether the connection is about a symbol (upper case, no slash); None: about all.
    """

    def __init__(
        self,
        venue: Venue,
        surface: str,
        request: web.Request,
        *,
        wants: Callable[[str], bool] | None = None,
        buffer_bytes_max: int = SEND_BUFFER_BYTES_MAX,
    ) -> None:
        assert request.transport is not None, "a socket is made while its connection lives"
        self._venue = venue
        self.surfaces: tuple[str, ...] = (surface,)
        #: The surfaces whose `latency` the connection has; that of a request's handling is its front's business.
        self.delays: tuple[str, ...] = (surface,)
        self._transport = request.transport
        self._wants = wants
        self._buffer_bytes_max = buffer_bytes_max
        self._queue: deque[tuple[float, int, bytes]] = deque()
        self._queued_bytes = 0
        self._drain: asyncio.Task[None] | None = None
        self._silenced: list[Fault] = []
        #: Why the venue ended it; empty if it did not.
        self.ended = ""

    def wants(self, symbol: str) -> bool:
        """Whether the connection is about a symbol (upper case, no slash)."""
        return self._wants is None or self._wants(symbol)

    def hears(self, fault: Fault) -> bool:
        """Whether a fault is about a surface of this connection."""
        return fault.surface in ("", *self.surfaces)

    def publish(self, message: Message, surface: str = "") -> None:
        """Send a message of a stream, through whatever faults stand.

        :param surface: that of the message, if the connection has several.
        """
        if self.ended or self._transport.is_closing() or any(_covers(fault, message) for fault in self._silenced):
            return
        fault = None
        if self._venue.faults.standing:
            fault = self._venue.take(surface or self.surfaces, *_MESSAGE_KINDS, op=message.op, symbol=message.symbol)
        if fault is None:
            self._write(message.wire)
        else:
            self._publish_faulty(message, fault)

    def _publish_faulty(self, message: Message, fault: Fault, surface: str = "") -> None:
        if fault.kind == "ws_drop":
            self.abort("ws_drop")
        elif fault.kind == "ws_silent":
            # Counted: what the fault is about falls silent on this connection for good. In a window: for its time.
            if fault.until_ns is None:
                self._silenced.append(fault)
        elif fault.kind == "ws_duplicate":
            self._write(message.wire)
            self._write(message.wire)
        elif fault.kind == "ws_malformed":
            self._write(malformed(message, fault.params.get("form", "truncated")))
        elif fault.kind == "ws_slow":
            self._write(message.wire, fault.params.get("bytes_per_s", SLOW_BYTES_A_SECOND))

    def send(self, payload: bytes, opcode: int = TEXT) -> None:
        """Send what is no stream's message: a reply, a ping, a pong. Nothing goes out of a silent connection."""
        if self.ended or self._transport.is_closing():
            return
        if any(not fault.symbol and not fault.op for fault in self._silenced):
            return
        if self._venue.faults.standing:
            fault = self._venue.faults.matching(self._venue.name, self.surfaces, kinds=("ws_silent",))
            if fault is not None and fault.until_ns is not None and not fault.symbol and not fault.op:
                return
        self._write(frame(payload, opcode))

    def _write(self, wire: bytes, bytes_a_second: int = 0) -> None:
        delay_s = 0.0
        if self._venue.faults.standing:
            fault = self._venue.take(self.delays, "latency")
            delay_s = fault.params["latency_ms"] / 1000 if fault else 0.0
        waiting = self._queued_bytes + self._transport.get_write_buffer_size()
        if waiting > self._buffer_bytes_max and waiting > len(wire):
            self.abort("slow_consumer")
        elif delay_s or bytes_a_second or self._drain is not None:
            self._queue.append((asyncio.get_running_loop().time() + delay_s, bytes_a_second, wire))
            self._queued_bytes += len(wire)
            if self._drain is None:
                self._drain = asyncio.create_task(self._trickle())
        else:
            self._transport.write(wire)

    async def _trickle(self) -> None:
        """Send what is queued in its order, each not before its time, at the pace that a fault set."""
        loop = asyncio.get_running_loop()
        try:
            while self._queue:
                due, pace, wire = self._queue[0]
                if (wait_s := due - loop.time()) > 0:
                    await asyncio.sleep(wait_s)
                size = max(1, int(pace * _SLICE_S)) if pace else len(wire)
                for start in range(0, len(wire), size):
                    if self._transport.is_closing():
                        return
                    self._transport.write(wire[start : start + size])
                    if pace:
                        await asyncio.sleep(_SLICE_S)
                self._queue.popleft()
                self._queued_bytes -= len(wire)
        finally:
            self._drain = None

    def abort(self, reason: str) -> None:
        """Cut the connection without a close frame, as a lost network does."""
        if not self.ended:
            self.ended = reason
            self._transport.abort()

    def end(self, reason: str, code: int = 1000, text: str = "") -> None:
        """Close the connection with a close frame."""
        if not self.ended:
            self.ended = reason
            self._transport.write(frame(struct.pack("!H", code) + text.encode(), CLOSE))
            self._transport.close()

    def release(self) -> None:
        """The connection is gone: stop what still waits to be sent on it."""
        if self._drain is not None:
            self._drain.cancel()


class Sockets:
    """The open connections of one surface, for the faults that act on them at once.

    :param shutdown: the venue's own notice of a shutdown for one connection, sent by the caller's function.
    """

    def __init__(self, venue: Venue, surface: str, notify_shutdown: Callable[[ServerSocket], None]) -> None:
        self._venue = venue
        self._surface = surface
        self._notify_shutdown = notify_shutdown
        self._open: dict[ServerSocket, None] = {}
        self._timers: set[asyncio.TimerHandle] = set()
        venue.faults.listeners.append(self._on_fault)

    @property
    def open(self) -> list[ServerSocket]:
        """Those open now, the oldest first."""
        return list(self._open)

    def add(self, socket: ServerSocket) -> None:
        """A connection was accepted."""
        self._open[socket] = None
        self._venue.usage.opened()
        if self._venue.faults.standing:
            self._meet_shutdown(socket, self._surface)

    def widen(self, socket: ServerSocket, surface: str) -> None:
        """A connection carries what is on another surface from now on."""
        socket.surfaces = (*socket.surfaces, surface)
        self._meet_shutdown(socket, surface)

    def _meet_shutdown(self, socket: ServerSocket, surface: str) -> None:
        fault = self._venue.take(surface, "server_shutdown")
        if fault is not None:
            self._shut_down([socket], fault)

    def remove(self, socket: ServerSocket) -> None:
        """It is gone."""
        del self._open[socket]
        socket.release()
        self._venue.usage.closed(socket.ended)

    def close(self) -> None:
        """The server ends: no timer stays behind."""
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()
        for socket in self.open:
            socket.end("server_closed", 1001)

    def _on_fault(self, fault: Fault) -> None:
        """Drops and shutdowns hit what is open now; what is left of their count waits for messages and connects."""
        if fault.venue != self._venue.name:
            return
        sockets = [socket for socket in self._open if socket.hears(fault)]
        if fault.kind == "server_shutdown" and sockets:
            fault.fire()
            self._shut_down(sockets, fault)
        elif fault.kind == "ws_drop" and not fault.op:
            for socket in sockets:
                if fault.left == 0:
                    break
                if not fault.symbol or socket.wants(fault.symbol):
                    fault.fire()
                    socket.abort("ws_drop")

    def _shut_down(self, sockets: list[ServerSocket], fault: Fault) -> None:
        for socket in sockets:
            self._notify_shutdown(socket)

        def end() -> None:
            self._timers.discard(timer)
            for socket in sockets:
                socket.end("server_shutdown", 1001)

        timer = asyncio.get_running_loop().call_later(fault.params.get("lead_ms", SHUTDOWN_LEAD_MS) / 1000, end)
        self._timers.add(timer)
