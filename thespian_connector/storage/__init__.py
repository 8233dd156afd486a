"""Journals: streams of facts with one writer each, that outlive the process that wrote them."""

from .base import Durability, Entry, Head, Journal, Page, Snapshot, Store
from .choose import open_store

__all__ = ["Durability", "Entry", "Head", "Journal", "Page", "Snapshot", "Store", "open_store"]
