"""The store that a URL names."""

from __future__ import annotations

from thespian_connector.model.errors import ConfigError

from .base import Durability, Store
from .memory import MemoryStore
from .sql import SqlStore


def open_store(url: str, durability: Durability) -> Store:
    """`url`: ``memory``, or a database as SQLAlchemy spells it: ``sqlite:////path/state.db``, ``postgresql://...``.

    :raises ConfigError: no such kind of database, or its driver is not installed.
    :raises StoreError: the database cannot be used: newer than this version, damaged, not reachable.
    """
    if url == "memory":
        return MemoryStore()
    if durability is Durability.NONE:
        raise ConfigError('durability: "none" is what the memory store has; a database is "process" or "power"')
    return SqlStore(url, durability)
