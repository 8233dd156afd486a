"""Percentiles and slopes."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence


def percentile(values: Sequence[float], share: float) -> float:
    """Nearest rank; NaN of nothing."""
    if not values:
        return float("nan")
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]


def spread(values: Sequence[float]) -> dict[str, float]:
    return {"p50": percentile(values, 0.5), "p99": percentile(values, 0.99), "max": max(values, default=float("nan"))}


def slope(times: Sequence[float], values: Sequence[float]) -> float:
    """Least squares, units of `values` a unit of `times`; 0 of less than three points."""
    if len(times) < 3:
        return 0.0
    return statistics.linear_regression(times, values).slope
