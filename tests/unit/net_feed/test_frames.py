"""Frames out of chunks, however the bytes are cut."""

from __future__ import annotations

import random

import pytest
from support.stream_server import CLOSE, PING, PONG, TEXT, frame

from thespian_connector.net.frames import FrameError, FrameReader

LIMIT = 1 << 20


def feed(reader: FrameReader, data: bytes, cuts: list[int]) -> list[bytes]:
    messages, at = [], 0
    for cut in [*cuts, len(data)]:
        part = data[at:cut]
        at = cut
        while part:
            space = reader.space()
            count = min(len(space), len(part))
            space[:count] = part[:count]
            messages += reader.take(count)
            part = part[count:]
    return messages


@pytest.mark.parametrize("seed", range(20))
def test_any_cut_of_the_bytes_gives_the_same_messages(seed: int) -> None:
    rng = random.Random(seed)
    wanted, data = [], b""
    for _ in range(60):
        payload = rng.randbytes(rng.choice([0, 1, 2, 125, 126, 127, 700, 5000, 65535, 65536, 70000]))
        kind = rng.choice(["whole", "whole", "whole", "fragments", "ping", "pong"])
        if kind == "whole":
            data += frame(payload)
            wanted.append(payload)
        elif kind == "fragments":
            a, b = sorted(rng.choices(range(len(payload) + 1), k=2))
            data += frame(payload[:a], TEXT, final=False) + frame(b"between", PING)
            data += frame(payload[a:b], 0, final=False) + frame(payload[b:], 0)
            wanted.append(payload)
        else:
            data += frame(payload[:125], PING if kind == "ping" else PONG)
    cuts = sorted(rng.choices(range(len(data)), k=rng.choice([0, 3, 200])))
    assert feed(FrameReader(LIMIT, chunk_bytes=4096), data, cuts) == wanted


def test_one_byte_at_a_time() -> None:
    data = frame(b"abc") + frame(b"", PING) + frame(b"d" * 200) + frame(b"e" * 66000)
    reader = FrameReader(LIMIT)
    assert feed(reader, data, list(range(1, len(data)))) == [b"abc", b"d" * 200, b"e" * 66000]
    assert reader.ping == b""


def test_the_last_ping_is_the_one_to_answer_and_pongs_are_counted() -> None:
    reader = FrameReader(LIMIT)
    assert feed(reader, frame(b"1", PING) + frame(b"2", PING) + frame(b"", PONG), []) == []
    assert (reader.ping, reader.pongs) == (b"2", 1)


def test_a_close_frame_ends_the_stream_after_what_came_before_it() -> None:
    reader = FrameReader(LIMIT)
    data = frame(b"last") + frame((1001).to_bytes(2, "big") + b"bye", CLOSE) + frame(b"never")
    assert feed(reader, data, []) == [b"last"]
    assert reader.closed == (1001, "bye")


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"\x81\x83mask", "masked"),
        (b"\x81\xfe\x00\x10", "masked"),
        (frame(b"x", reserved=0x40), "protocol"),
        (frame(b"x", 3), "protocol"),
        (frame(b"x", 11), "protocol"),
        (frame(b"x", 0), "protocol"),
        (frame(b"x", TEXT, final=False) + frame(b"y"), "protocol"),
        (frame(b"x", PING, final=False), "protocol"),
        (frame(b"x" * 126, PING), "protocol"),
        (b"\x81\x7f" + (LIMIT + 1).to_bytes(8, "big"), "oversize"),
        (frame(b"x" * LIMIT, TEXT, final=False) + frame(b"y", 0), "oversize"),
    ],
)
def test_what_breaks_the_protocol_or_the_limit_ends_the_connection(data: bytes, reason: str) -> None:
    with pytest.raises(FrameError) as caught:
        feed(FrameReader(LIMIT), data, [])
    assert caught.value.reason == reason


def test_an_announced_giant_takes_no_memory_before_it_is_refused() -> None:
    reader = FrameReader(LIMIT)
    with pytest.raises(FrameError):
        feed(reader, b"\x81\x7f" + (1 << 62).to_bytes(8, "big"), [])
    assert len(reader.space()) <= 256 * 1024


def test_the_buffer_shrinks_again_after_a_large_frame() -> None:
    reader = FrameReader(LIMIT, chunk_bytes=4096)
    assert feed(reader, frame(b"x" * 100_000) + frame(b"y"), []) == [b"x" * 100_000, b"y"]
    assert len(reader.space()) == 4096
