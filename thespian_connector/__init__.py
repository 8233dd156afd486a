"""Reliable exchange connectivity for trading engines."""
