"""One WebSocket connection: websocket-client's handshake and frames out, our own large reads in.

Nothing here ever blocks longer than it was told: every wait also watches a wake-up descriptor, so that another thread
can end a connect, a handshake or a wait for data at once. Proxies named in the environment are not trusted, and the
server is not followed to another address.
"""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
import time
from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import urlsplit

import websocket

from thespian_connector import limits
from thespian_connector.model.errors import Banned, ExchangeError, NotSent, RateLimited, ServerFault

from .frames import FrameError, FrameReader

_WAIT_FOR_MORE = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)
_CLOSE_NORMAL: Final = 1000

#: What the venue's handshake refusal means: (status, headers, body) -> the error, or None.
Classify = Callable[[int, Mapping[str, str], bytes], ExchangeError | None]
#: (address family, address as the socket module takes it).
Address = tuple[int, tuple[Any, ...]]
Resolve = Callable[[str, int], list[Address]]


class Cancelled(Exception):
    """The wake-up descriptor fired before the connection was up."""


class Dropped(Exception):
    """The connection is gone. `reason` is one of a small set of words, to count by."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason


class StreamSocket:
    """An open connection. Not thread-safe: one thread reads, writes and closes it.

    :ivar frames_sent: frames that left, pongs included; venues count them all against one limit.
    :ivar filled: the last read took all there was room for: more is waiting, do not sleep first.
    """

    def __init__(self, raw: socket.socket, first_bytes: bytes = b"") -> None:
        raw.settimeout(0.0)
        self.frames_sent = 0
        self.pings = 0
        self.bytes_read = 0
        self.filled = bool(first_bytes)
        self._raw = raw
        self._tls = isinstance(raw, ssl.SSLSocket)
        self._frames = FrameReader(limits.FRAME_BYTES_MAX)
        self._first_bytes = first_bytes
        self._outgoing = bytearray()
        self._close_sent = False

    def fileno(self) -> int:
        return self._raw.fileno()

    @property
    def pongs(self) -> int:
        """Pongs that came; they prove that the peer's WebSocket layer lives, and nothing about its data."""
        return self._frames.pongs

    @property
    def unsent(self) -> bool:
        """Bytes wait for room in the kernel's buffer: call :meth:`flush` when the descriptor is writable."""
        return bool(self._outgoing)

    def read(self) -> list[bytes]:
        """Whole messages that are there now, in order; none is an answer too. Answers pings with their own payload.

        :raises Dropped: closed, reset, or the peer broke the protocol or a limit.
        """
        frames = self._frames
        try:
            count = self._receive(frames.space())
            messages = frames.take(count) if count else []
        except FrameError as error:
            self._say_close(1002)
            raise Dropped(error.reason, str(error)) from None
        if frames.ping is not None:
            payload, frames.ping = frames.ping, None
            self.pings += 1
            self._send(payload, websocket.ABNF.OPCODE_PONG)
        if frames.closed is not None and not messages:
            code, words = frames.closed
            self._say_close(_CLOSE_NORMAL)
            raise Dropped("closed", f"by the venue, code {code} {words}".rstrip())
        return messages

    def _receive(self, space: memoryview) -> int:
        if self._frames.closed is not None:
            return 0
        if self._first_bytes:
            count = min(len(self._first_bytes), len(space))
            space[:count] = self._first_bytes[:count]
            self._first_bytes = self._first_bytes[count:]
            self.filled = True
            return count
        total = 0
        try:
            while total < len(space):
                count = self._raw.recv_into(space[total:] if total else space)
                if not count:
                    if total:
                        break
                    raise Dropped("closed", "without a word")
                total += count
                if not self._tls:
                    break
                # A TLS read brings one record; what is decrypted already would not wake a poll.
        except _WAIT_FOR_MORE:
            pass
        except OSError as error:
            raise Dropped("reset", str(error)) from None
        self.filled = total == len(space) or (self._tls and total > 0 and self._pending())
        self.bytes_read += total
        return total

    def _pending(self) -> bool:
        assert isinstance(self._raw, ssl.SSLSocket), "only TLS keeps bytes of its own"
        return self._raw.pending() > 0

    def send_text(self, text: str) -> None:
        """Send one text frame. What the kernel does not take now is kept, up to a limit.

        :raises Dropped: the connection is gone, or the peer takes nothing any more.
        """
        self._send(text.encode(), websocket.ABNF.OPCODE_TEXT)

    def send_ping(self) -> None:
        self._send(b"", websocket.ABNF.OPCODE_PING)

    def _send(self, payload: bytes, opcode: int) -> None:
        self._outgoing += websocket.ABNF.create_frame(payload, opcode).format()
        self.frames_sent += 1
        if len(self._outgoing) > limits.OUTGOING_BYTES_MAX:
            raise Dropped("unwritable", f"{len(self._outgoing)} bytes wait and the venue takes none")
        self.flush()

    def flush(self) -> None:
        """Send what waits.

        :raises Dropped: the connection is gone.
        """
        try:
            while self._outgoing:
                del self._outgoing[: self._raw.send(self._outgoing)]
        except _WAIT_FOR_MORE:
            pass
        except OSError as error:
            raise Dropped("reset", str(error)) from None

    def _say_close(self, code: int) -> None:
        """Tell the peer that we leave, if it still listens; it is not waited for."""
        if self._close_sent:
            return
        self._close_sent = True
        with contextlib.suppress(Dropped):
            self._send(code.to_bytes(2, "big"), websocket.ABNF.OPCODE_CLOSE)

    def close(self) -> None:
        """Say goodbye without waiting for an answer, and close. Any number of times."""
        if self._raw.fileno() >= 0:
            self._say_close(_CLOSE_NORMAL)
            self._raw.close()


class _Handshake:
    """What websocket-client sees as its socket during the handshake: one deadline for it all, one limit of bytes, and
    the wake-up descriptor watched at every wait. What was read beyond the handshake stays in `rest`."""

    def __init__(self, raw: socket.socket, deadline: float, wake_fd: int) -> None:
        self._raw = raw
        self._deadline = deadline
        self._wake_fd = wake_fd
        self._received = 0
        self.rest = b""

    def wait(self, events: int) -> None:
        poll = select.poll()
        poll.register(self._raw, events)
        if self._wake_fd >= 0:
            poll.register(self._wake_fd, select.POLLIN)
        left_s = self._deadline - time.monotonic()
        ready = poll.poll(max(0.0, left_s) * 1000) if left_s > 0 else []
        if any(fd == self._wake_fd for fd, _ in ready):
            raise Cancelled
        if not ready:
            raise TimeoutError("no whole handshake before the deadline")

    def recv(self, count: int) -> bytes:
        while not self.rest:
            try:
                self.rest = self._raw.recv(4096)
            except _WAIT_FOR_MORE as error:
                self.wait(select.POLLOUT if isinstance(error, ssl.SSLWantWriteError) else select.POLLIN)
                continue
            if not self.rest:
                raise ConnectionResetError("closed during the handshake")
            self._received += len(self.rest)
            if self._received > limits.HANDSHAKE_BYTES_MAX:
                raise ConnectionAbortedError("the handshake's answer is too large")
        part, self.rest = self.rest[:count], self.rest[count:]
        return part

    def send(self, data: bytes) -> int:
        while True:
            try:
                return self._raw.send(data)
            except _WAIT_FOR_MORE as error:
                self.wait(select.POLLIN if isinstance(error, ssl.SSLWantReadError) else select.POLLOUT)

    def start_tls(self, context: ssl.SSLContext, host: str) -> None:
        tls = context.wrap_socket(self._raw, server_hostname=host, do_handshake_on_connect=False)
        self._raw = tls
        while True:
            try:
                tls.do_handshake()
            except _WAIT_FOR_MORE as error:
                self.wait(select.POLLOUT if isinstance(error, ssl.SSLWantWriteError) else select.POLLIN)
            else:
                return

    def gettimeout(self) -> float:
        return 1.0  # only asked whether it is 0, which would mean "do not wait"

    def close(self) -> None:
        self._raw.close()

    @property
    def raw(self) -> socket.socket:
        return self._raw


def connect(
    url: str,
    *,
    timeout_s: float = limits.CONNECT_TIMEOUT_S,
    wake_fd: int = -1,
    classify: Classify | None = None,
    tls: ssl.SSLContext | None = None,
    resolve: Resolve | None = None,
) -> StreamSocket:
    """Connect to `url` and shake hands, `timeout_s` for all of it (the name's resolution, which nothing can interrupt,
    comes on top).

    :param wake_fd: a descriptor that ends it when it becomes readable.
    :param classify: the venue's reading of an HTTP answer that is no upgrade.
    :raises Cancelled: `wake_fd` fired.
    :raises NotSent: no connection: name, address, TLS, deadline.
    :raises RateLimited: 429. :raises Banned: 418, 403. Both carry `retry_after_s` if the venue said it.
    :raises ServerFault: any other answer that is no WebSocket.
    """
    parts = urlsplit(url)
    secure = parts.scheme == "wss"
    if parts.scheme not in ("ws", "wss") or not parts.hostname:
        raise NotSent(f"{url!r} is no WebSocket URL; write it like 'wss://host:port/path'")
    port = parts.port or (443 if secure else 80)
    try:
        addresses = (resolve or _resolve)(parts.hostname, port)
    except OSError as error:
        raise NotSent(f"cannot resolve {parts.hostname}: {error}") from error
    deadline = time.monotonic() + timeout_s
    handshake = _open(addresses, parts.hostname, port, deadline, wake_fd)
    try:
        if secure:
            handshake.start_tls(tls or ssl.create_default_context(), parts.hostname)
    except (OSError, ssl.CertificateError) as error:
        handshake.close()
        raise NotSent(f"no TLS with {parts.hostname}:{port}: {error}") from error
    except BaseException:
        handshake.close()
        raise
    return _upgrade(url, handshake, classify)


def _resolve(host: str, port: int) -> list[Address]:
    found = socket.getaddrinfo(host, port, 0, socket.SOCK_STREAM)
    return [(family, address) for family, _, _, _, address in found]


def _open(addresses: list[Address], host: str, port: int, deadline: float, wake_fd: int) -> _Handshake:
    refusal: OSError | None = None
    for family, address in addresses:
        raw = socket.socket(family, socket.SOCK_STREAM)
        try:
            raw.settimeout(0.0)
            raw.setsockopt(socket.SOL_TCP, socket.TCP_NODELAY, 1)
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            handshake = _Handshake(raw, deadline, wake_fd)
            with contextlib.suppress(BlockingIOError):
                raw.connect(address)
            handshake.wait(select.POLLOUT)
            failure = raw.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if failure:
                raise OSError(failure, "connection refused or unreachable")
        except OSError as error:
            raw.close()
            refusal = error
            continue
        except BaseException:
            raw.close()
            raise
        return handshake
    raise NotSent(f"cannot connect to {host}:{port}: {refusal}") from refusal


def _upgrade(url: str, handshake: _Handshake, classify: Classify | None) -> StreamSocket:
    client: Any = websocket.WebSocket(enable_multithread=False, skip_utf8_validation=True)
    try:
        client.connect(url, socket=handshake, redirect_limit=0, suppress_origin=True)
    except websocket.WebSocketBadStatusException as error:
        raise _refused(error, classify) from None
    except (websocket.WebSocketException, OSError, ValueError) as error:
        # ValueError: websocket-client parses the answer's header lines with int() and split().
        raise NotSent(f"no WebSocket handshake with {url}: {error}") from error
    finally:
        if not client.connected:
            handshake.close()
    return StreamSocket(handshake.raw, handshake.rest)


def _refused(error: websocket.WebSocketBadStatusException, classify: Classify | None) -> ExchangeError:
    status = int(error.status_code)
    headers = {str(name): str(value) for name, value in (error.resp_headers or {}).items()}
    body = error.resp_body or b""
    known = classify(status, headers, body) if classify else None
    if known is not None:
        return known
    words = f"the venue refused the connection with HTTP {status}"
    after = headers.get("retry-after", "")
    retry_after_s = float(after) if after.isascii() and after.isdigit() else None
    if status in (403, 418):
        return Banned(words, status=status, retry_after_s=retry_after_s)
    if status == 429:
        return RateLimited(words, status=status, retry_after_s=retry_after_s)
    return ServerFault(words, status=status)
