"""Binance Spot as its documents (2026-07) describe it: REST market data and the public streams."""

from .books import BOOK_IDS
from .front import make_app, stream_names, truth_stream, urls
from .reports import told
from .settings import SETTINGS

__all__ = ["BOOK_IDS", "SETTINGS", "make_app", "stream_names", "told", "truth_stream", "urls"]
