"""The tables, their version, and the way from each version to the next."""

from __future__ import annotations

from collections.abc import Callable

import sqlalchemy as sa

METADATA = sa.MetaData()

META = sa.Table(
    "tc_meta", METADATA, sa.Column("key", sa.String(40), primary_key=True), sa.Column("value", sa.String(200))
)
ENTRIES = sa.Table(
    "tc_entries",
    METADATA,
    sa.Column("stream", sa.String(80), primary_key=True),
    sa.Column("sequence", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("time_ns", sa.BigInteger, nullable=False),
    sa.Column("crc", sa.BigInteger, nullable=False),
    sa.Column("body", sa.LargeBinary, nullable=False),
)
WRITERS = sa.Table(
    "tc_writers",
    METADATA,
    sa.Column("stream", sa.String(80), primary_key=True),
    sa.Column("epoch", sa.BigInteger, nullable=False),
    sa.Column("pid", sa.BigInteger, nullable=False),
)
#: `covers`: JSON, stream -> the number of the last entry that the snapshot stands for.
SNAPSHOTS = sa.Table(
    "tc_snapshots",
    METADATA,
    sa.Column("stream", sa.String(80), primary_key=True),
    sa.Column("covers", sa.Text, nullable=False),
    sa.Column("crc", sa.BigInteger, nullable=False),
    sa.Column("body", sa.LargeBinary, nullable=False),
)
PAGES = sa.Table(
    "tc_pages",
    METADATA,
    sa.Column("stream", sa.String(80), primary_key=True),
    sa.Column("key", sa.String(200), primary_key=True),
    sa.Column("live", sa.SmallInteger, nullable=False),
    sa.Column("page_group", sa.String(80), nullable=False),
    sa.Column("created_ns", sa.BigInteger, nullable=False),
    sa.Column("updated_ns", sa.BigInteger, nullable=False),
    sa.Column("crc", sa.BigInteger, nullable=False),
    sa.Column("body", sa.LargeBinary, nullable=False),
    sa.Column("shown_crc", sa.BigInteger, nullable=False),
    sa.Column("shown", sa.LargeBinary, nullable=False),
)
sa.Index("tc_pages_live", PAGES.c.stream, PAGES.c.live)
sa.Index("tc_pages_created", PAGES.c.stream, PAGES.c.created_ns)
sa.Index("tc_pages_group", PAGES.c.stream, PAGES.c.page_group, PAGES.c.created_ns)
PAGE_NAMES = sa.Table(
    "tc_page_names",
    METADATA,
    sa.Column("stream", sa.String(80), primary_key=True),
    sa.Column("name", sa.String(200), primary_key=True),
    sa.Column("key", sa.String(200), nullable=False),
    sa.Index("tc_page_names_key", "stream", "key"),
    sqlite_with_rowid=False,
)


def _first(connection: sa.Connection) -> None:
    METADATA.create_all(connection, tables=[META, ENTRIES, WRITERS])


def _second(connection: sa.Connection) -> None:
    METADATA.create_all(connection, tables=[SNAPSHOTS, PAGES, PAGE_NAMES])


#: MIGRATIONS[n] makes version n + 1 of version n; version 0 is an empty database.
MIGRATIONS: tuple[Callable[[sa.Connection], None], ...] = (_first, _second)
VERSION = len(MIGRATIONS)


def version_of(connection: sa.Connection) -> int:
    if not sa.inspect(connection).has_table(META.name):
        return 0
    return int(connection.execute(sa.select(META.c.value).where(META.c.key == "schema")).scalar() or 0)


def migrate(connection: sa.Connection, version: int) -> None:
    """From `version` to ours, in the caller's transaction: all of it, or nothing."""
    for step in MIGRATIONS[version:]:
        step(connection)
    if version < VERSION:
        connection.execute(sa.delete(META).where(META.c.key == "schema"))
        connection.execute(sa.insert(META).values(key="schema", value=str(VERSION)))
