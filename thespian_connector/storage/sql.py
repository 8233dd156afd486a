"""A store in an SQL database: a SQLite file (in WAL mode) by default, any other that SQLAlchemy reaches by URL.

A stream has one writer: on a SQLite file a lock file says so, and dies with its holder; on any database each writer
raises the stream's epoch, and an append of a writer whose epoch is no longer the last is refused.
"""

from __future__ import annotations

import fcntl
import os
import re
import threading
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine.interfaces import DBAPICursor
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, SQLAlchemyError

from thespian_connector import limits
from thespian_connector.model.errors import ConfigError, Fenced, StoreError

from . import pages
from .base import Durability, Entry, Head, Journal, Snapshot, Store
from .schema import ENTRIES, VERSION, WRITERS, migrate, version_of

#: One for a journal that writes, one to read entries, one to read pages, one to open another.
_CONNECTIONS = 4
_STILL_MINE = (
    sa.update(WRITERS)
    .where(WRITERS.c.stream == sa.bindparam("of"), WRITERS.c.epoch == sa.bindparam("mine"))
    .values(epoch=sa.bindparam("same"))
)
_AFTER = (
    sa.select(ENTRIES.c.sequence, ENTRIES.c.crc, ENTRIES.c.body)
    .where(ENTRIES.c.stream == sa.bindparam("of"), ENTRIES.c.sequence > sa.bindparam("after"))
    .order_by(ENTRIES.c.sequence)
    .limit(limits.STORE_READ_ROWS_MAX)
)
_SYNCHRONOUS = {Durability.PROCESS: "NORMAL", Durability.POWER: "FULL"}


class SqlStore(Store):
    """:raises ConfigError: the URL is none, or its database driver is not installed.
    :raises StoreError: the database is newer than this program, damaged, or cannot be reached.
    """

    def __init__(self, url: str, durability: Durability) -> None:
        self.durability = durability
        try:
            parsed = sa.make_url(url)
            self.name = parsed.render_as_string(hide_password=True)
            self._file = Path(parsed.database) if _is_file(parsed) and parsed.database else None
            if self._file is not None:
                _create(self._file)
            self._engine = sa.create_engine(parsed, poolclass=sa.pool.QueuePool, pool_size=_CONNECTIONS, max_overflow=0)
        except (ArgumentError, NoSuchModuleError, ModuleNotFoundError) as error:
            raise ConfigError(f"store: {_kind(url)!r} is no database that can be used here: {error}") from None
        if self._file is not None:
            sa.event.listen(self._engine, "connect", self._prepare)
        self._pages_lock = threading.Lock()
        #: For pages alone; see `_SqlJournal`.
        self._pages: sa.Connection | None = None
        self._by_name = _Spelled(pages.BY_NAME, self._engine.dialect)
        self.still_mine = _Spelled(_STILL_MINE, self._engine.dialect)
        self.insert = _Spelled(sa.insert(ENTRIES), self._engine.dialect)
        self._after = _Spelled(_AFTER, self._engine.dialect)
        with self.told("open"), self._alone():
            self._check()

    def _prepare(self, connection: Any, _record: object) -> None:
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA busy_timeout = {int(limits.STORE_BUSY_S_MAX * 1000)}")
        cursor.execute("PRAGMA journal_mode = WAL")
        cursor.execute(f"PRAGMA synchronous = {_SYNCHRONOUS[self.durability]}")
        cursor.close()

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Several processes of a new system find no tables at the same moment: one makes them."""
        if self._file is None:
            yield
            return
        handle = os.open(self._file.with_name(f"{self._file.name}.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)

    def _check(self) -> None:
        with self._engine.begin() as connection:
            if self._file is not None and self._file.stat().st_size <= limits.STORE_CHECKED_BYTES_MAX:
                [verdict] = connection.execute(sa.text("PRAGMA quick_check(1)")).one()
                if verdict != "ok":
                    words = " ".join(str(verdict).split())
                    raise StoreError(f"store {self.name}: damaged ({words}); restore a copy, or move it away")
            version = version_of(connection)
            if version > VERSION:
                raise StoreError(
                    f"store {self.name}: written by a newer version (schema {version}, this one knows {VERSION});"
                    " run that version, or name another file"
                )
            migrate(connection, version)

    def open(self, stream: str) -> Journal:
        release = self._lock(stream) if self._file is not None else lambda: None
        try:
            with self.told("take the stream"), self._engine.begin() as connection:
                mine = WRITERS.c.stream == stream
                epoch = (connection.execute(sa.select(WRITERS.c.epoch).where(mine)).scalar() or 0) + 1
                connection.execute(sa.delete(WRITERS).where(mine))
                connection.execute(sa.insert(WRITERS).values(stream=stream, epoch=epoch, pid=os.getpid()))
                last = connection.execute(
                    sa.select(sa.func.max(ENTRIES.c.sequence)).where(ENTRIES.c.stream == stream)
                ).scalar()
            with self.told("connect"):
                connection = self._engine.connect()
            return _SqlJournal(self, connection, stream, epoch=epoch, last=last or 0, release=release)
        except BaseException:
            release()
            raise

    def _lock(self, stream: str) -> Callable[[], None]:
        assert self._file is not None, "only files are locked"
        path = self._file.with_name(f"{self._file.name}.{re.sub(r'[^A-Za-z0-9]+', '-', stream)}.lock")
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = os.read(handle, 20).decode(errors="replace").strip() or "unknown"
            os.close(handle)
            raise StoreError(
                f"store {self.name}: {stream} is being written by process {holder}; stop it first"
            ) from None
        os.ftruncate(handle, 0)
        os.pwrite(handle, str(os.getpid()).encode(), 0)
        return lambda: os.close(handle)

    def load(self, stream: str, after: int = 0) -> Iterator[Entry]:
        expected, rows = after, None
        while rows is None or len(rows) == limits.STORE_READ_ROWS_MAX:
            # In parts: what is being read is what the database cannot tidy up.
            with self.told("read"), closing(self._engine.raw_connection()) as connection:
                cursor = connection.cursor()
                self._after.execute(cursor, [{"of": stream, "after": expected}])
                rows = cursor.fetchall()
            for sequence, crc, body in rows:
                expected += 1
                if sequence != expected:
                    raise StoreError(f"store {self.name}: {stream} lacks entry {expected}; restore a copy")
                if crc != _crc(stream, sequence, body):
                    raise StoreError(
                        f"store {self.name}: {stream} entry {sequence} is not what was written; restore a copy"
                    )
                yield Entry(sequence, bytes(body))

    def head(self, stream: str) -> Head | None:
        with self._reading() as connection:
            return pages.head(connection, stream)

    def live(self, stream: str) -> Iterator[bytes]:
        with self._reading() as connection:
            return iter(pages.live(connection, stream))

    def page(self, stream: str, name: str) -> bytes | None:
        with self._reading() as connection:
            cursor = connection.connection.cursor()
            self._by_name.execute(cursor, [{"of": stream, "called": name}])
            row = cursor.fetchone()
            cursor.close()
            return None if row is None else pages.checked(stream, row)

    def newest(self, stream: str, groups: Sequence[str], most: int) -> list[bytes]:
        with self._reading() as connection:
            return pages.newest(connection, stream, groups, most)

    @contextmanager
    def _reading(self) -> Iterator[sa.Connection]:
        """Each statement sees what is there by then."""
        with self._pages_lock, self.told("read"):
            try:
                if self._pages is None:
                    self._pages = self._engine.connect().execution_options(isolation_level="AUTOCOMMIT")
                yield self._pages
            except StoreError as error:
                raise StoreError(f"store {self.name}: {error}") from None
            except BaseException:
                if self._pages is not None:
                    self._pages.invalidate()
                    self._pages.close()
                self._pages = None
                raise

    def close(self) -> None:
        with self._pages_lock:
            if self._pages is not None:
                self._pages.close()
                self._pages = None
        self._engine.dispose()

    @contextmanager
    def told(self, what: str) -> Iterator[None]:
        """Database errors as ours: what the database said, never what was being written."""
        try:
            yield
        except (DBAPIError, self._engine.dialect.loaded_dbapi.Error) as error:
            said = error.orig if isinstance(error, DBAPIError) else error
            raise StoreError(f"store {self.name}: cannot {what}: {said}") from None
        except SQLAlchemyError as error:
            raise StoreError(f"store {self.name}: cannot {what}: {type(error).__name__}") from None


class _Spelled:
    """A statement in the database's own words, once: to spell it anew takes longer than to write an entry, and so does
    whatever SQLAlchemy does around one."""

    def __init__(self, statement: sa.Executable, dialect: sa.Dialect) -> None:
        compiled = statement.compile(dialect=dialect)  # type: ignore[attr-defined]  # every one of ours has it
        self._text = str(compiled)
        self._order: list[str] | None = list(compiled.positiontup) if compiled.positional else None
        #: What has its value already: of a LIMIT.
        self._given = {name: value for name, value in compiled.params.items() if value is not None}

    def execute(self, cursor: DBAPICursor, rows: Sequence[dict[str, Any]]) -> None:
        """`rows`: by the statement's names; each is one execution of it."""
        values: list[Any] = [self._given | row for row in rows]
        if self._order is not None:
            values = [tuple(row[name] for name in self._order) for row in values]
        if len(values) == 1:
            cursor.execute(self._text, values[0])
        else:
            cursor.executemany(self._text, values)


class _SqlJournal(Journal):
    """It keeps its connection: to be lent one for each entry costs as much as to write it."""

    def __init__(
        self,
        store: SqlStore,
        connection: sa.Connection,
        stream: str,
        *,
        epoch: int,
        last: int,
        release: Callable[[], None],
    ) -> None:
        self._store = store
        self._connection = connection
        self._stream = stream
        self._epoch = epoch
        self._last = last
        self._release = release

    def append(self, bodies: Sequence[bytes], time_ns: int) -> int:
        if not bodies:
            return self._last
        stream, store = self._stream, self._store
        rows = [
            {"stream": stream, "sequence": number, "time_ns": time_ns, "crc": _crc(stream, number, body), "body": body}
            for number, body in enumerate(bodies, self._last + 1)
        ]
        own = {"of": stream, "mine": self._epoch, "same": self._epoch}
        with store.told("write"), self._transaction() as cursor:
            # Taken before anything is read, so that no other writer comes between (SQLite: no lock upgrade).
            store.still_mine.execute(cursor, [own])
            if cursor.rowcount != 1:
                raise Fenced(f"store {store.name}: another writer took {stream} over")
            store.insert.execute(cursor, rows)
        self._last += len(rows)
        return self._last

    def snapshot(self, snapshot: Snapshot) -> None:
        with self._own("write a snapshot") as connection:
            pages.write(connection, self._stream, snapshot)

    def prune(self, keep: int, most: int) -> int:
        with self._own("prune") as connection:
            return pages.prune(connection, self._stream, keep, most)

    def drop(self, before_ns: int, most: int) -> int:
        with self._own("drop") as connection:
            return pages.drop(connection, self._stream, before_ns, most)

    @contextmanager
    def _own(self, what: str) -> Iterator[sa.Connection]:
        """A transaction of the stream's writer."""
        with self._store.told(what), self._connection.begin():
            own = {"of": self._stream, "mine": self._epoch, "same": self._epoch}
            if self._connection.execute(_STILL_MINE, own).rowcount != 1:
                raise Fenced(f"store {self._store.name}: another writer took {self._stream} over")
            yield self._connection

    @contextmanager
    def _transaction(self) -> Iterator[DBAPICursor]:
        """Of the driver's own connection, which begins one by itself. After an error the next has another."""
        connection = self._connection.connection
        try:
            cursor = connection.cursor()
            yield cursor
            cursor.close()
            connection.commit()
        except BaseException:
            self._connection.invalidate()  # what it was in is rolled back
            raise

    def close(self) -> None:
        self._connection.close()
        self._release()


def _is_file(url: sa.URL) -> bool:
    return url.get_backend_name() == "sqlite" and url.database not in (None, "", ":memory:")


def _create(path: Path) -> None:
    """Before SQLite does, so that it never has a wider mode; SQLite gives its WAL the same."""
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    except OSError as error:
        raise StoreError(f"store {path}: cannot be opened: {error.strerror}") from None


def _kind(url: str) -> str:
    return url.partition(":")[0][:40]


def _crc(stream: str, sequence: int, body: bytes) -> int:
    return zlib.crc32(body, zlib.crc32(f"{stream}|{sequence}".encode()))
