"""Captures: what is written is read again, byte for byte where it is JSON."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thespian_connector.model.errors import CaptureError, UsageError
from thespian_connector.net.capture import CaptureReader, CaptureWriter

URL = "wss://stream.binance.com:443/stream"
PAYLOADS = [
    b'{"price":1.10,"q":"0.00000000","big":123456789012345678901234567890}',
    b"[1,2]",
    b"pong",
    b'"a JSON string"',
    b"<html>\n<b>403</b></html>",
    "这是测试币456".encode(),
    b'{"cut":',
    b"",
    b'{"deep":1e999}',
]


@pytest.mark.parametrize("name", ["c.jsonl", "c.jsonl.gz"])
def test_payloads_come_back_as_they_were(tmp_path: Path, name: str) -> None:
    with CaptureWriter(tmp_path / name) as writer:
        for number, payload in enumerate(PAYLOADS):
            writer.write(1_700_000_000_000_000_000 + number, "ws", URL, payload)
    assert (tmp_path / name).read_bytes()[:2] == (b"\x1f\x8b" if name.endswith(".gz") else b'{"')
    lines = list(CaptureReader(tmp_path / name))
    assert [line.payload for line in lines] == PAYLOADS
    assert [line.number for line in lines] == list(range(1, len(PAYLOADS) + 1))
    assert [line.t for line in lines][:2] == [1_700_000_000_000_000_000, 1_700_000_000_000_000_001]
    assert {(line.kind, line.url) for line in lines} == {("ws", URL)}


def test_a_line_is_one_document_of_the_four_fields_with_objects_as_objects(tmp_path: Path) -> None:
    with CaptureWriter(tmp_path / "c") as writer:
        writer.write(5, "rest", URL, b'{\n  "a": 1.50,\n  "b": "x y"\n}')
    text = (tmp_path / "c").read_text()
    assert text == '{"t":5,"kind":"rest","url":"' + URL + '","data":{"a":1.50,"b":"x y"}}\n'
    assert json.loads(text)["data"] == {"a": 1.5, "b": "x y"}


@given(payload=st.binary(max_size=60))
def test_any_bytes_make_one_readable_line(tmp_path_factory: pytest.TempPathFactory, payload: bytes) -> None:
    path = tmp_path_factory.mktemp("capture") / "c"
    with CaptureWriter(path) as writer:
        writer.write(1, "ws", URL, payload)
    (line,) = CaptureReader(path)
    assert line.payload == payload.decode(errors="backslashreplace").encode()


@pytest.mark.parametrize("name", ["c", "c.gz"])
def test_a_killed_writer_has_lost_a_second_at_most(tmp_path: Path, name: str) -> None:
    writer = CaptureWriter(tmp_path / name)
    for second in range(3):
        writer.write(second * 1_000_000_000 + 1_000_000_000, "ws", URL, b"{}")
    writer.write(3_000_000_001, "ws", URL, b"{}")
    copy = tmp_path / f"copy-{name}"
    copy.write_bytes((tmp_path / name).read_bytes())
    assert len(list(CaptureReader(copy))) == 3
    writer.close()
    assert len(list(CaptureReader(tmp_path / name))) == 4


@pytest.fixture
def eager_threads() -> Iterator[None]:
    """Threads change places as often as can be, so that a missing lock shows."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("eager_threads")
def test_threads_may_share_a_writer(tmp_path: Path) -> None:
    def write() -> None:
        for number in range(300):
            writer.write(number, "ws", URL, b'{"x":[1,2,3]}')

    with CaptureWriter(tmp_path / "c.gz") as writer:
        threads = [Thread(target=write) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(list(CaptureReader(tmp_path / "c.gz"))) == 1200 == writer.lines


def test_a_recording_is_not_overwritten_unless_told(tmp_path: Path) -> None:
    (tmp_path / "c").touch()
    with pytest.raises(UsageError, match="exists"):
        CaptureWriter(tmp_path / "c")
    CaptureWriter(tmp_path / "c", overwrite=True).close()
    with pytest.raises(UsageError, match="cannot be written"):
        CaptureWriter(tmp_path / "no" / "such" / "folder")


def test_nothing_is_written_after_the_end(tmp_path: Path) -> None:
    writer = CaptureWriter(tmp_path / "c")
    writer.write(1, "ws", URL, b"{}")
    writer.close()
    writer.write(2, "ws", URL, b"{}")
    writer.close()
    assert len((tmp_path / "c").read_bytes().splitlines()) == 1


def test_blank_lines_are_no_messages(tmp_path: Path) -> None:
    (tmp_path / "c").write_text('\n{"t":1,"kind":"ws","url":"","data":{}}\n\n')
    (line,) = CaptureReader(tmp_path / "c")
    assert line.number == 2


@pytest.mark.parametrize("name", ["c", "c.gz"])
def test_a_writer_that_wrote_nothing_leaves_things_as_they_were(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    CaptureWriter(path).close()
    assert not path.exists()
    path.write_bytes(b"older")
    CaptureWriter(path, overwrite=True).close()
    assert path.read_bytes() == b"older"
    with CaptureWriter(path, overwrite=True) as writer:
        writer.write(1, "ws", "u", b"{}")
    assert [line.payload for line in CaptureReader(path)] == [b"{}"]


@pytest.mark.parametrize(("name", "begin", "words"), [
    ("c.jsonl.gz", b"not gzip", "is named .gz but is not gzip-compressed"),
    ("c.jsonl", b"\xef\xbb\xbf", "begins with a byte order mark"),
])  # fmt: skip
def test_why_the_first_line_cannot_be_read_is_named(tmp_path: Path, name: str, begin: bytes, words: str) -> None:
    line = b'{"t":1,"kind":"ws","url":"wss://x","data":{}}\n'
    (tmp_path / name).write_bytes(begin + line + line)
    with pytest.raises(CaptureError, match=words):
        list(CaptureReader(tmp_path / name))
    (tmp_path / name).write_bytes(line + begin + line)
    assert len(list(reader := CaptureReader(tmp_path / name))) == 1
    assert words not in reader.torn, "another line has another reason"
