"""Intervals for a probability that was estimated by counting."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.special import betaincinv, ndtri

from toymesa.arguments import Array, scalar
from toymesa.errors import ArgumentError, DomainError, did_you_mean

INTERVALS = ("wilson", "exact")


def confidence(value: Any) -> float:
    """A confidence level, a number between 0 and 1."""
    return scalar("level", value, 0.0, 1.0, low_open=True, high_open=True)


def interval_of(name: Any) -> str:
    """One of ``INTERVALS``, checked."""
    if not isinstance(name, str):
        raise ArgumentError(f"interval must be a name; got {name!r} (allowed: {', '.join(INTERVALS)})")
    if name not in INTERVALS:
        raise DomainError(f"there is no interval {name!r}{did_you_mean(name, INTERVALS)}")
    return name


def proportion(hits: Any, total: Any, level: float = 0.95, interval: str = "wilson") -> tuple[Array, Array, Array]:
    """Share of hits among independent trials, and the ends of its interval; NaN where there was no trial.

    hits, total: whole numbers, broadcast. interval: "wilson" (Wilson 1927: covers on average with the stated probability,
    for any share, 0 and 1 included) or "exact" (Clopper and Pearson 1934: covers at least with it).
    """
    k, n = np.broadcast_arrays(np.asarray(hits, dtype=float), np.asarray(total, dtype=float))
    with np.errstate(divide="ignore", invalid="ignore"):
        share = k / n
        if interval == "exact":
            tail = (1.0 - level) / 2.0
            low = np.where(k == 0, 0.0, betaincinv(np.maximum(k, 1.0), n - k + 1.0, tail))
            high = np.where(k == n, 1.0, betaincinv(k + 1.0, np.maximum(n - k, 1.0), 1.0 - tail))
        else:
            z = ndtri((1.0 + level) / 2.0)
            middle = (k + z * z / 2.0) / (n + z * z)
            half = z * np.sqrt(k * (n - k) / n + z * z / 4.0) / (n + z * z)
            # the ends at 0 and n are 0 and 1 exactly; rounding must not push them past it
            low, high = np.where(k == 0, 0.0, middle - half), np.where(k == n, 1.0, middle + half)
    empty = n == 0
    return share, np.where(empty, np.nan, low), np.where(empty, np.nan, high)
