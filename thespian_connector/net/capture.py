"""Recorded traffic: one JSON document a line, ``{"t": ns, "kind": "ws"|"rest", "url": "...", "data": <payload>}``.

A payload that is a JSON object or array stands as it came, every digit of it; any other (a gateway's HTML page, a
bare word) stands as a JSON string of its text. A file is compressed if its name ends in ``.gz``; reading looks at the
content instead.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import IO, Self, cast

import msgspec

from thespian_connector.limits import CAPTURE_FLUSH_S, CAPTURE_LINE_BYTES_MAX
from thespian_connector.model.errors import CaptureError, UsageError

_GZIP_MAGIC = b"\x1f\x8b"
#: What some editors put before UTF-8.
_BOM = b"\xef\xbb\xbf"
_FLUSH_NS = int(CAPTURE_FLUSH_S * 1e9)


class CaptureLine(msgspec.Struct, frozen=True):
    """One message: `payload` as it was received at `t` (ns since the epoch). `number` is its line, from 1."""

    number: int
    t: int
    kind: str
    url: str
    payload: bytes


class _Document(msgspec.Struct):
    t: int
    kind: str
    url: str
    data: msgspec.Raw


_decoder = msgspec.json.Decoder(_Document)
_encoder = msgspec.json.Encoder()


class CaptureReader:
    """The messages of a capture, one by one, however large it is.

    The last line of a file whose writer was killed is torn; it ends the capture, and `torn` says so. A line before it
    that is no message is an error: what follows could not be trusted.

    :raises UsageError: there is no such file, or it may not be read.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        #: Why the last line was left out; "" if it was not.
        self.torn = ""
        try:
            with self.path.open("rb") as file:
                head = file.read(len(_BOM))
        except OSError as error:
            raise UsageError(f"{self.path}: cannot be read: {error.strerror}; name a capture file") from None
        self._compressed = head.startswith(_GZIP_MAGIC)
        #: What the first line's error should tell besides.
        self._hint = ""
        if head == _BOM:
            self._hint = " (the file begins with a byte order mark; save it as UTF-8 without)"
        elif self.path.suffix == ".gz" and not self._compressed:
            self._hint = " (the file is named .gz but is not gzip-compressed)"

    def __iter__(self) -> Iterator[CaptureLine]:
        """:raises CaptureError: a line is no message, or the file's compression is damaged."""
        self.torn = ""
        number, bad = 0, ""
        for number, text in self._lines():
            if not text.strip():
                continue
            if bad:
                raise CaptureError(f"{bad}; cut that line out or record anew")
            try:
                document = _decoder.decode(text)
                payload = _payload(document.data)
            except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
                # The last line may be torn; whether this is the last only the next round knows.
                bad = f"{self.path} line {number}: not a captured message: {error}{self._hint if number == 1 else ''}"
                continue
            yield CaptureLine(number, document.t, document.kind, document.url, payload)
        if bad:
            self.torn = f"{bad}; it is the last line, as a writer that was killed leaves it"
        if number == 0 and not self.torn:
            raise CaptureError(f"{self.path}: is empty; record one with 'thespian-connector record'")

    def _lines(self) -> Iterator[tuple[int, bytes]]:
        number = 0
        try:
            with gzip.open(self.path) if self._compressed else self.path.open("rb") as file:
                while text := file.readline(CAPTURE_LINE_BYTES_MAX + 1):
                    number += 1
                    if len(text) > CAPTURE_LINE_BYTES_MAX:
                        raise CaptureError(
                            f"{self.path} line {number}: longer than {CAPTURE_LINE_BYTES_MAX} bytes; this is no capture"
                        )
                    yield number, text
        except EOFError:
            self.torn = f"{self.path} after line {number}: the compressed data ends early, as a killed writer's does"
        except (OSError, zlib.error) as error:
            raise CaptureError(
                f"{self.path} after line {number}: cannot be read on: {error}; restore the file or record anew"
            ) from None


def _payload(data: msgspec.Raw) -> bytes:
    raw = bytes(data)
    return msgspec.json.decode(raw, type=str).encode() if raw[:1] == b'"' else raw


class CaptureWriter:
    """Writes a capture. Any thread may write; a crash loses at most the last second.

    A writer that is closed before anything was written leaves no file, and one that it should have replaced as it was.

    :param overwrite: replace a file of that name.
    :raises UsageError: the file exists, or cannot be made.
    """

    def __init__(self, path: str | Path, *, overwrite: bool = False) -> None:
        self.path = Path(path)
        self.lines = 0
        self._lock = Lock()
        self._flushed_ns = 0
        self._replaces = overwrite and self.path.exists()
        try:
            # What is replaced is cut off with the first message, not now.
            self._raw: IO[bytes] = self.path.open("ab" if overwrite else "xb")
        except FileExistsError:
            raise UsageError(f"{self.path}: exists already; name another file or remove it") from None
        except OSError as error:
            raise UsageError(f"{self.path}: cannot be written: {error.strerror}") from None
        self._file: IO[bytes] | None = None

    def write(self, t_ns: int, kind: str, url: str, payload: bytes) -> None:
        """Add one message; nothing is added once closed.

        :raises OSError: the disk is full or gone.
        """
        line = _encoder.encode({"t": t_ns, "kind": kind, "url": url, "data": _embedded(payload)}) + b"\n"
        with self._lock:
            if self._raw.closed:
                return
            file = self._file or self._begin()
            file.write(line)
            self.lines += 1
            if t_ns - self._flushed_ns >= _FLUSH_NS:
                file.flush()
                self._flushed_ns = t_ns

    def _begin(self) -> IO[bytes]:
        if self._replaces:
            self._raw.truncate(0)
        compress = self.path.suffix == ".gz"
        self._file = cast(IO[bytes], gzip.GzipFile(fileobj=self._raw, mode="wb")) if compress else self._raw
        return self._file

    def close(self) -> None:
        with self._lock:
            if self._raw.closed:
                return
            if self._file is not None:
                self._file.close()
            self._raw.close()
            if self._file is None and not self._replaces and self.path.is_file():  # /dev/stdout is none
                self.path.unlink(missing_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _embedded(payload: bytes) -> msgspec.Raw | str:
    """What stands for `payload` on one line. Not text at all: its undecodable bytes are shown as ``\\xNN``."""
    if payload.lstrip()[:1] in (b"{", b"["):
        try:
            msgspec.json.decode(payload)
            return msgspec.Raw(msgspec.json.format(payload, indent=-1) if b"\n" in payload else payload)
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            pass  # only looks like JSON (a truncated answer): it is kept as text
    return payload.decode(errors="backslashreplace")
