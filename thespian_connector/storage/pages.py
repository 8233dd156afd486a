"""Snapshots in an SQL database: written, read and made smaller in the caller's transaction."""

from __future__ import annotations

import json
import zlib
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from thespian_connector.model.errors import StoreError

from .base import Head, Page, Snapshot
from .schema import ENTRIES, PAGE_NAMES, PAGES, SNAPSHOTS

_READ = (PAGES.c.key, PAGES.c.live, PAGES.c.crc, PAGES.c.body)
_SHOWN = (PAGES.c.key, PAGES.c.live, PAGES.c.shown_crc, PAGES.c.shown)
#: The page of the stream `of` that is `called` so.
BY_NAME = (
    sa.select(*_READ)
    .join(PAGE_NAMES, sa.and_(PAGE_NAMES.c.stream == PAGES.c.stream, PAGE_NAMES.c.key == PAGES.c.key))
    .where(PAGE_NAMES.c.stream == sa.bindparam("of"), PAGE_NAMES.c.name == sa.bindparam("called"))
)
_REMOVE_PAGE = sa.delete(PAGES).where(PAGES.c.stream == sa.bindparam("of"), PAGES.c.key == sa.bindparam("page"))
_REMOVE_NAMES = sa.delete(PAGE_NAMES).where(
    PAGE_NAMES.c.stream == sa.bindparam("of"), PAGE_NAMES.c.key == sa.bindparam("page")
)
_REMOVE_NAME = sa.delete(PAGE_NAMES).where(
    PAGE_NAMES.c.stream == sa.bindparam("of"), PAGE_NAMES.c.name == sa.bindparam("called")
)


def write(connection: sa.Connection, stream: str, snapshot: Snapshot) -> None:
    """Names go last: a page may have those of one that is gone."""
    gone = [{"of": stream, "page": key} for key in snapshot.gone]
    old = gone + [{"of": stream, "page": page.key} for page in snapshot.pages]
    names = [
        {"stream": stream, "name": name, "key": page.key}
        for page in snapshot.pages
        for name in dict.fromkeys(page.names)
    ]
    for statement, rows in (
        (_REMOVE_PAGE, old),
        (_REMOVE_NAMES, gone),
        (sa.insert(PAGES), [_row(stream, page) for page in snapshot.pages]),
        (_REMOVE_NAME, [{"of": stream, "called": row["name"]} for row in names]),
        (sa.insert(PAGE_NAMES), names),
    ):
        if rows:
            connection.execute(statement, rows)
    covers = json.dumps(dict(sorted(snapshot.covers.items())))
    connection.execute(sa.delete(SNAPSHOTS).where(SNAPSHOTS.c.stream == stream))
    crc = _head_crc(stream, covers, snapshot.body)
    connection.execute(sa.insert(SNAPSHOTS).values(stream=stream, covers=covers, crc=crc, body=snapshot.body))


def _row(stream: str, page: Page) -> dict[str, Any]:
    return {
        "stream": stream,
        "key": page.key,
        "live": int(page.live),
        "page_group": page.group,
        "created_ns": page.created_ns,
        "updated_ns": page.updated_ns,
        "crc": _page_crc(stream, page.key, int(page.live), page.body),
        "body": page.body,
        "shown_crc": _page_crc(stream, page.key, int(page.live), page.shown),
        "shown": page.shown,
    }


def head(connection: sa.Connection, stream: str) -> Head | None:
    """:raises StoreError: it is not what was written."""
    columns = (SNAPSHOTS.c.covers, SNAPSHOTS.c.crc, SNAPSHOTS.c.body)
    found = connection.execute(sa.select(*columns).where(SNAPSHOTS.c.stream == stream)).one_or_none()
    if found is None:
        return None
    covers, crc, body = found
    if crc != _head_crc(stream, covers, body):
        raise StoreError(f"the snapshot of {stream} is not what was written; restore a copy")
    return Head(json.loads(covers), bytes(body))


def live(connection: sa.Connection, stream: str) -> list[bytes]:
    rows = connection.execute(sa.select(*_READ).where(PAGES.c.stream == stream, PAGES.c.live == 1))
    return [checked(stream, row) for row in rows]


def newest(connection: sa.Connection, stream: str, groups: Sequence[str], most: int) -> list[bytes]:
    """Up to `most` of each group, or of all."""
    query = sa.select(*_SHOWN).where(PAGES.c.stream == stream).order_by(PAGES.c.created_ns.desc()).limit(most)
    # A query for each, so that it reads no more than it tells.
    queries = [query.where(PAGES.c.page_group == group) for group in dict.fromkeys(groups)] if groups else [query]
    shown = [checked(stream, row) for one in queries for row in connection.execute(one)]
    return [one for one in shown if one]


def checked(stream: str, row: Any) -> bytes:
    """The body of a row of (key, live, crc, body).

    :raises StoreError: it is not what was written.
    """
    key, is_live, crc, body = row
    if crc != _page_crc(stream, key, is_live, body):
        raise StoreError(f"{stream} {key} is not what was written; restore a copy")
    return bytes(body)


def prune(connection: sa.Connection, stream: str, keep: int, most: int) -> int:
    """Entries that the snapshot of `stream` stands for."""
    known = head(connection, stream)
    removed = 0
    for of, until in known.covers.items() if known is not None else ():
        mine = ENTRIES.c.stream == of
        oldest = connection.execute(sa.select(sa.func.min(ENTRIES.c.sequence)).where(mine)).scalar()
        if oldest is None:
            continue
        # One stays, whose number says where the stream goes on.
        below = min(until - max(keep, 1) + 1, oldest + most - removed)
        removed += connection.execute(sa.delete(ENTRIES).where(mine, ENTRIES.c.sequence < below)).rowcount
    return removed


def drop(connection: sa.Connection, stream: str, before_ns: int, most: int) -> int:
    query = (
        sa.select(PAGES.c.key)
        .where(PAGES.c.stream == stream, PAGES.c.created_ns < before_ns, PAGES.c.updated_ns < before_ns)
        # The sum keeps a database from the index of what is live: nearly everything is not, and most of it is younger.
        .where(PAGES.c.live + 0 == 0)
        .order_by(PAGES.c.created_ns)
        .limit(most)
    )
    gone = [{"of": stream, "page": key} for key in connection.execute(query).scalars()]
    if gone:
        connection.execute(_REMOVE_PAGE, gone)
        connection.execute(_REMOVE_NAMES, gone)
    return len(gone)


def _head_crc(stream: str, covers: str, body: bytes) -> int:
    return zlib.crc32(body, zlib.crc32(f"{stream}|{covers}".encode()))


def _page_crc(stream: str, key: str, is_live: int, body: bytes) -> int:
    return zlib.crc32(body, zlib.crc32(f"{stream}|{key}|{is_live}".encode()))
