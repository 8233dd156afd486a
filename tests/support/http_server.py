"""A small HTTP server on loopback that does exactly what a test says, down to the bytes."""

from __future__ import annotations

import contextlib
import json
import socket
import struct
import threading
from collections.abc import Callable
from typing import NamedTuple, Self


class Asked(NamedTuple):
    """A request as it came over the wire."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes


class Reply(NamedTuple):
    """What to answer. `raw` instead: exactly these bytes, then the connection is closed. `hold`: wait for it first.
    `trickle_s`: that long between any two bytes of the body."""

    body: bytes = b"{}"
    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    raw: bytes | None = None
    hold: threading.Event | None = None
    trickle_s: float = 0.0

    def encoded(self) -> bytes:
        if self.raw is not None:
            return self.raw
        lines = [f"HTTP/1.1 {self.status} X", f"Content-Length: {len(self.body)}"]
        lines += [f"{name}: {value}" for name, value in self.headers]
        return "\r\n".join([*lines, "", ""]).encode() + self.body


#: How a client that speaks TLS begins.
_TLS_HANDSHAKE = b"\x16"

#: Close the connection without an answer; the client sees a reset.
RESET = Reply(raw=b"")


def document(value: object, status: int = 200, **headers: str) -> Reply:
    named = tuple((name.replace("_", "-"), text) for name, text in headers.items())
    return Reply(json.dumps(value).encode(), status, named)


class HttpServer:
    """``with HttpServer(lambda asked: Reply(...)) as server``; `asked` lists every request in the order of arrival."""

    def __init__(self, answer: Callable[[Asked], Reply]) -> None:
        self.answer = answer
        self.asked: list[Asked] = []
        self.connections = 0
        self._ended = threading.Event()
        self._threads: list[threading.Thread] = []
        self._open: list[socket.socket] = []
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port: int = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self._start(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        with self._lock:
            opened = [self._listener, *self._open]
        for each in opened:
            with contextlib.suppress(OSError):  # not connected any more
                each.shutdown(socket.SHUT_RDWR)
            each.close()
        for thread in self._threads:
            thread.join(60)
            assert not thread.is_alive()

    def targets(self) -> list[str]:
        return [asked.target for asked in self.asked]

    def _start(self, run: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=run, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self._ended.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._lock:
                self._open.append(connection)
                self.connections += 1
            self._start(self._serve, connection)

    def _serve(self, connection: socket.socket) -> None:
        try:
            with connection, connection.makefile("rb") as reader:
                if connection.recv(1, socket.MSG_PEEK) == _TLS_HANDSHAKE:  # it need not hold the end of a line
                    connection.sendall(b"HTTP/1.1 400 This is no TLS\r\n\r\n")
                    connection.shutdown(socket.SHUT_WR)
                    while connection.recv(65536):
                        pass
                    return
                while (asked := _read(reader)) is not None:
                    with self._lock:
                        self.asked.append(asked)
                    reply = self.answer(asked)
                    while reply.hold is not None and not reply.hold.wait(0.02):
                        if self._ended.is_set():
                            return
                    if reply is RESET:
                        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                        return
                    self._send(connection, reply)
                    if reply.raw is not None:
                        return
        except (OSError, ValueError):
            return  # the client went away, or does not speak HTTP

    def _send(self, connection: socket.socket, reply: Reply) -> None:
        encoded = reply.encoded()
        head = len(encoded) - len(reply.body) if reply.trickle_s else len(encoded)
        connection.sendall(encoded[:head])
        for byte in encoded[head:]:
            if self._ended.wait(reply.trickle_s):
                return
            connection.sendall(bytes([byte]))


def _read(reader: object) -> Asked | None:
    first = reader.readline()  # type: ignore[attr-defined]  # a socket's file has no better type
    if not first:
        return None
    method, target, _ = first.decode("latin-1").split(" ", 2)
    headers: dict[str, str] = {}
    while (line := reader.readline()) not in (b"\r\n", b""):  # type: ignore[attr-defined]  # as above
        name, _, value = line.decode("latin-1").partition(":")
        headers[name.strip().lower()] = value.strip()
    body = reader.read(int(headers.get("content-length", 0)))  # type: ignore[attr-defined]  # as above
    return Asked(method, target, headers, body)
