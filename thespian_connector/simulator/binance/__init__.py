"""Binance Spot as its documents (2026-07) describe it: REST market data and the public streams."""
