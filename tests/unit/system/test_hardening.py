"""The parts of the hardening that need no running system: the signature and the receive buffer."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from thespian.actors import ActorAddress

from thespian_connector.limits import MESSAGE_BYTES_MAX
from thespian_connector.system.hardening import BadSignature, LimitedReceiveBuffer, SignedPickle, keep_zero_delays


class Exploit:
    """A pickle that makes a directory when it is read."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __reduce__(self) -> tuple[object, ...]:
        return (os.mkdir, (str(self._path),))


def framed(body: bytes) -> bytes:
    return b"%d>" % len(body) + body


def fed(data: bytes, size: int = 1 << 20) -> LimitedReceiveBuffer:
    buffer = LimitedReceiveBuffer(SignedPickle(b"secret").loads)
    for first in range(0, len(data), size):
        if buffer.isDone():
            break
        buffer.addMore(data[first : first + size])
    return buffer


@pytest.mark.parametrize("key", [b"", b"wrong", b"secret "])
def test_nothing_is_unpickled_that_was_signed_with_another_key(key: bytes, tmp_path: Path) -> None:
    with pytest.raises(BadSignature):
        SignedPickle(b"secret").loads(SignedPickle(key).dumps(Exploit(tmp_path / "ran")))
    assert not (tmp_path / "ran").exists()


def test_nothing_is_unpickled_that_was_not_signed(tmp_path: Path) -> None:
    body = pickle.dumps(Exploit(tmp_path / "ran"))
    for data in (body, bytes(32) + body, b"", b"short"):
        with pytest.raises(BadSignature):
            SignedPickle(b"secret").loads(data)
    assert not (tmp_path / "ran").exists()


def test_the_same_payload_signed_does_run(tmp_path: Path) -> None:
    """So that the tests above could fail."""
    SignedPickle(b"secret").loads(SignedPickle(b"secret").dumps(Exploit(tmp_path / "ran")))
    assert (tmp_path / "ran").exists()


@given(st.binary(max_size=300), st.integers(1, 40), st.binary(max_size=20))
def test_a_packet_comes_out_whole_however_it_was_cut(content: bytes, size: int, extra: bytes) -> None:
    buffer = LimitedReceiveBuffer(SignedPickle(b"secret").loads)
    packet = framed(SignedPickle(b"secret").dumps(content))
    rest = packet
    while not buffer.isDone():
        part, rest = rest[:size], rest[size:]
        assert part, "done when all of it is there"
        buffer.addMore(part)
    buffer.addMore(extra)
    assert buffer.completed() == (content, extra)


@pytest.mark.parametrize(
    "data",
    [
        b"-5>x",
        b"+5>xxxxx",
        b"1000000000000>",
        b"%d>" % (MESSAGE_BYTES_MAX + 1),
        b">",
        b"0x10>",
        b"1_0>",
        b" 5>xxxxx",
        "\u0665>xxxxx".encode(),
        b"9" * 17,
        b"GET / HTTP/1.1\r\n",
        framed(b"no signature"),
        framed(b""),
    ],
)
@pytest.mark.parametrize("size", [1, 1 << 20])
def test_what_is_no_packet_is_done_and_has_no_content(data: bytes, size: int) -> None:
    buffer = fed(data, size)
    assert buffer.isDone()
    assert buffer.completed() is None
    assert buffer.remainingAmount() <= 1


def test_no_more_is_asked_for_than_was_declared() -> None:
    buffer = fed(b"10>abc")
    assert buffer.remainingAmount() == 7
    assert not buffer.isDone()


def test_an_acknowledgement_is_read_at_once_and_no_packet_of_ours_is_shorter(monkeypatch: pytest.MonkeyPatch) -> None:
    signed = SignedPickle(b"secret")
    acknowledgement = framed(signed.dumps("ACK"))
    monkeypatch.setattr(LimitedReceiveBuffer, "shortest", len(acknowledgement))
    buffer = fed(b"")
    assert buffer.remainingAmount() == len(acknowledgement)
    buffer.addMore(acknowledgement[: buffer.remainingAmount()])
    assert buffer.completed() == ("ACK", b"")
    message = framed(signed.dumps((ActorAddress(None), None)))
    assert len(message) > len(acknowledgement), "who sends it is always in it"
    begun = fed(acknowledgement[:1])
    assert begun.remainingAmount() == len(acknowledgement) - 1


def test_a_delay_of_zero_is_kept() -> None:
    assert list(keep_zero_delays(None, [None, 0, 3])) == [0, 3]
    assert list(keep_zero_delays(bool, [0, 3])) == [3]
