"""Journals: streams of facts with one writer each, that outlive the process that wrote them."""

from .base import Durability, Entry, Journal, Store
from .choose import open_store

__all__ = ["Durability", "Entry", "Journal", "Store", "open_store"]
