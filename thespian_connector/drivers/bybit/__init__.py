"""Bybit v5, spot: market data."""

from .driver import BybitDriver

__all__ = ["BybitDriver"]
