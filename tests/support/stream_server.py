"""A WebSocket server that does nothing by itself: the test says, frame by frame, what comes.

``server = StreamServer()``; a client connects to ``server.url``; ``peer = server.accept()``; ``peer.expect()`` is the
next text that the client sent, ``peer.send(...)`` is the next that it gets. Imports nothing of the package.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import select
import socket
import time
from typing import Any, Self

TEXT, CLOSE, PING, PONG = 1, 8, 9, 10
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


def frame(payload: bytes, opcode: int = TEXT, *, final: bool = True, reserved: int = 0) -> bytes:
    """One server frame (unmasked)."""
    head = bytes([(0x80 if final else 0) | reserved | opcode])
    size = len(payload)
    if size < 126:
        return head + bytes([size]) + payload
    if size < 1 << 16:
        return head + b"\x7e" + size.to_bytes(2, "big") + payload
    return head + b"\x7f" + size.to_bytes(8, "big") + payload


class Peer:
    """The server's end of one connection."""

    def __init__(self, raw: socket.socket, request: str) -> None:
        self.request = request
        self.pongs: list[bytes] = []
        self.closed: bytes | None = None
        self._raw = raw
        self._buffer = b""
        self._texts: list[str] = []

    def send(self, *documents: object) -> None:
        """Each as a text frame, all in one write."""
        self.raw(b"".join(frame(json.dumps(document).encode()) for document in documents))

    def raw(self, data: bytes) -> None:
        self._raw.sendall(data)

    def ping(self, payload: bytes) -> None:
        self.raw(frame(payload, PING))

    def expect(self, timeout_s: float = 60) -> Any:
        """The next JSON text from the client."""
        deadline = time.monotonic() + timeout_s
        while not self._texts:
            assert self._read(deadline), f"the client sent nothing within {timeout_s:g} s"
        return json.loads(self._texts.pop(0))

    def quiet(self, for_s: float) -> bool:
        """Whether the client sends no text for so long."""
        deadline = time.monotonic() + for_s
        while not self._texts and self._read(deadline):
            pass
        return not self._texts

    def expect_pong(self, timeout_s: float = 60) -> bytes:
        deadline = time.monotonic() + timeout_s
        while not self.pongs:
            assert self._read(deadline), f"no pong within {timeout_s:g} s"
        return self.pongs.pop(0)

    def expect_closed(self, timeout_s: float = 60) -> None:
        deadline = time.monotonic() + timeout_s
        while self._read(deadline):
            pass
        assert time.monotonic() < deadline, f"the client did not close within {timeout_s:g} s"

    def close(self) -> None:
        self._raw.close()

    def _read(self, deadline: float) -> bool:
        """One read; False at the deadline or when the client is gone."""
        ready, _, _ = select.select([self._raw], [], [], max(0.0, deadline - time.monotonic()))
        if not ready:
            return False
        try:
            data = self._raw.recv(65536)
        except ConnectionError:
            data = b""
        if not data:
            return False
        self._buffer += data
        while self._one_frame():
            pass
        return True

    def _one_frame(self) -> bool:
        buffer = self._buffer
        if len(buffer) < 2:
            return False
        assert buffer[1] & 0x80, "a client must mask its frames (RFC 6455 5.1)"
        size, at = buffer[1] & 0x7F, 2
        if size >= 126:
            at = 4 if size == 126 else 10
            size = int.from_bytes(buffer[2:at], "big")
        if len(buffer) < at + 4 + size:
            return False
        mask = buffer[at : at + 4]
        body = bytes(byte ^ mask[i % 4] for i, byte in enumerate(buffer[at + 4 : at + 4 + size]))
        self._buffer = buffer[at + 4 + size :]
        opcode = buffer[0] & 0x0F
        if opcode == TEXT:
            self._texts.append(body.decode())
        elif opcode == PONG:
            self.pongs.append(body)
        elif opcode == CLOSE:
            self.closed = body
        return True


class StreamServer:
    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._raws: list[socket.socket] = []
        self.port: int = self._listener.getsockname()[1]
        self.url = f"ws://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()
        for raw in self._raws:
            with contextlib.suppress(OSError):
                raw.close()

    def accept_raw(self, timeout_s: float = 60) -> tuple[socket.socket, str]:
        """The next connection and its HTTP request, unanswered."""
        ready, _, _ = select.select([self._listener], [], [], timeout_s)
        assert ready, f"nobody connected within {timeout_s:g} s"
        raw, _ = self._listener.accept()
        raw.setsockopt(socket.SOL_TCP, socket.TCP_NODELAY, 1)
        raw.settimeout(60)
        self._raws.append(raw)
        request = b""
        while b"\r\n\r\n" not in request:
            data = raw.recv(4096)
            if not data:
                break
            request += data
        return raw, request.decode()

    def accept(self, timeout_s: float = 60, *, with_answer: bytes = b"") -> Peer:
        """The next connection, after a good handshake. `with_answer`: frames in the same write."""
        raw, request = self.accept_raw(timeout_s)
        raw.sendall(upgrade(request) + with_answer)
        return Peer(raw, request)

    def refuse(self, status: str, headers: dict[str, str] | None = None, body: bytes = b"") -> None:
        """Answer the next connection with plain HTTP: ``refuse("429 Too Many Requests", {"Retry-After": "7"})``."""
        raw, _ = self.accept_raw()
        lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}"]
        lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
        raw.sendall("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
        raw.close()

    def pending(self, for_s: float) -> bool:
        """Whether somebody tries to connect within that time."""
        return bool(select.select([self._listener], [], [], for_s)[0])


def upgrade(request: str) -> bytes:
    key = next(line.split(": ", 1)[1] for line in request.split("\r\n") if line.lower().startswith("sec-websocket-key"))
    accept = base64.b64encode(hashlib.sha1(key.encode() + _GUID).digest())
    return (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "
        + accept
        + b"\r\n\r\n"
    )
