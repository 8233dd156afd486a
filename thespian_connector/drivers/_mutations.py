"""Damaged and respelled JSON texts for the conformance checks: always the same ones, in the same order."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

#: What each value of a document is replaced by, once each.
WRONG_VALUES: tuple[Any, ...] = (
    None,
    True,
    -1,
    0,
    2**63,
    2**64,
    10**40,
    1.5,
    "",
    "x",
    "-1",
    "1e999999",
    "NaN",
    "1" * 5000,
    "\ud800",
    "\u0663",
    [],
    {},
    [[]],
    [["1"]],
    [["1", "2", "3"]],
    [[1, 2]],
    [None],
)
#: Texts that are no message of any venue.
NONSENSE: tuple[bytes, ...] = (
    b"",
    b" ",
    b"null",
    b"true",
    b"0",
    b'""',
    b"[]",
    b"{}",
    b"[{}]",
    b"{",
    b"\x00",
    b"\xff\xfe{}",
    b'{"a":' * 3000,
    b"[" * 100_000,
    b"9" * 20_000,
    b"<html><body>502 Bad Gateway</body></html>",
)
#: Elements of a list that are mutated one by one; the later ones are like the first.
_ELEMENTS = 2
_TRUNCATIONS = 60


def damaged(text: bytes) -> Iterator[bytes]:
    """`text` cut, doubled, with wrong bytes, and with each of its values left out or replaced by a wrong one."""
    yield from NONSENSE
    yield from (text[:end] for end in range(0, len(text), max(1, len(text) // _TRUNCATIONS)))
    yield text + text
    yield text + b"}"
    yield b"\xef\xbb\xbf" + text
    for place in range(0, len(text), max(1, len(text) // _TRUNCATIONS)):
        yield text[:place] + b"\xff" + text[place + 1 :]
        yield text[:place] + b"\x00" + text[place + 1 :]
    document = json.loads(text)
    for path in _paths(document):
        yield _dumped(_without(document, path))
        for value in WRONG_VALUES:
            yield _dumped(_replaced(document, path, value))


def respelled(text: bytes) -> Iterator[bytes]:
    """`text` in other spellings of the same meaning: keys in other orders, spaces, fields that are new to us."""
    document = json.loads(text)
    yield json.dumps(document).encode()
    yield json.dumps(document, indent=1).encode()
    yield _dumped(_reordered(document))
    yield json.dumps(document, sort_keys=True, separators=(",", ":")).encode()
    yield _dumped(_extended(document))


def _dumped(document: Any) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode()


def _paths(document: Any, prefix: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    children: list[tuple[str | int, Any]] = []
    if isinstance(document, dict):
        children = list(document.items())
    elif isinstance(document, list):
        children = list(enumerate(document[:_ELEMENTS]))
    for key, value in children:
        yield (*prefix, key)
        yield from _paths(value, (*prefix, key))


def _copied(document: Any, path: tuple[str | int, ...]) -> tuple[Any, Any]:
    """A copy of `document` along `path`, and the copy's container of the path's last key."""
    root: Any = document.copy()
    container = root
    for key in path[:-1]:
        container[key] = container[key].copy()
        container = container[key]
    return root, container


def _replaced(document: Any, path: tuple[str | int, ...], value: Any) -> Any:
    root, container = _copied(document, path)
    container[path[-1]] = value
    return root


def _without(document: Any, path: tuple[str | int, ...]) -> Any:
    root, container = _copied(document, path)
    del container[path[-1]]
    return root


def _reordered(document: Any) -> Any:
    if isinstance(document, dict):
        return {key: _reordered(document[key]) for key in reversed(document)}
    return [_reordered(item) for item in document] if isinstance(document, list) else document


def _extended(document: Any) -> Any:
    if isinstance(document, dict):
        return {"xNewField": {"a": [1, "2", None]}} | {key: _extended(value) for key, value in document.items()}
    return [_extended(item) for item in document] if isinstance(document, list) else document
