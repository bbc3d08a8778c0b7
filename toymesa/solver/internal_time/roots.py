"""Where the rate of internal time first is 0, for many rows at once: the end of training on the internal clock."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Rows = NDArray[np.int64]
Rate = Callable[[Rows, Array], Array]
_WINDOWS = 400  # each twice as wide as the one before
_STEPS = np.arange(129.0)
_FINE = np.linspace(0.0, 1.0, 2001)
_DIPS = 16  # looked into at once
_HALVINGS = 1100  # from 1 to the smallest number
_CLOSE = 9e-16  # relative width of the last bracket


def first_roots(rate: Rate, rows: int) -> Array:
    """The first positive root of g in each row, (row,).

    rate : g(rows (n,), s (n, points)) -> (n, points); what it gives for a row must depend on that row alone.

    inf where g stays positive as far as floating point reaches, 0 where it is not positive at the start, NaN where it is
    no number there or next to its change of sign. The scan widens geometrically, and looks between its points wherever g
    has a minimum there. A root is given to the last bits that the rounding of g leaves (Chandrupatla 1997).
    """
    every = np.arange(rows)
    begin, next_ = rate(every, np.broadcast_to([0.0, 1e-6], (rows, 2)).copy()).T
    step = begin / np.abs((next_ - begin) / 1e-6) / 8  # inf for a rate that does not change
    width = np.clip(np.where(np.isfinite(step), step, 0.125), 1e-6, 1.0)
    out = np.where(begin > 0.0, math.inf, np.where(np.isnan(begin), math.nan, 0.0))
    low, left = np.zeros(rows), every[begin > 0.0]
    for _ in range(_WINDOWS):
        if not left.size:
            break
        left = _window(rate, left, low, width, out)
    return out


def _window(rate: Rate, rows: Rows, low: Array, width: Array, out: Array) -> Rows:
    """Look for the first root in the next window of each row; the rows that go on to another."""
    grid = low[rows, None] + width[rows, None] / 8 * _STEPS
    values = rate(rows, grid)
    below = values <= 0.0
    ended = below.any(axis=1)
    last = np.where(ended, below.argmax(axis=1), _STEPS.size - 1)
    dips = (values[:, 1:-1] < values[:, :-2]) & (values[:, 1:-1] < values[:, 2:])
    # what hides in a dip comes before the sign change on the grid
    dips &= np.arange(1, _STEPS.size - 1) < last[:, None]
    found = np.zeros(rows.size, dtype=bool)
    places, columns = np.nonzero(dips)
    for first in range(0, places.size, _DIPS):
        at, k = places[first : first + _DIPS], columns[first : first + _DIPS]
        fine = grid[at, k, None] + (grid[at, k + 2] - grid[at, k])[:, None] * _FINE
        inner = rate(rows[at], fine)
        deep = (inner <= 0.0).any(axis=1)
        at, fine, inner = at[deep], fine[deep], inner[deep]
        at, one = np.unique(at, return_index=True)  # the first of a row
        new = ~found[at]
        at, one = at[new], one[new]
        out[rows[at]] = _between(rate, rows[at], fine[one], inner[one], (inner[one] <= 0.0).argmax(axis=1))
        found[at] = True
    sign = np.flatnonzero(ended & ~found)
    out[rows[sign]] = _between(rate, rows[sign], grid[sign], values[sign], last[sign])
    going = ~(ended | found) & np.isfinite(values).all(axis=1)
    rows = rows[going]
    low[rows], width[rows] = grid[going, -1], 2 * width[rows]
    return rows


def _between(rate: Rate, rows: Rows, grid: Array, values: Array, k: NDArray[np.int64]) -> Array:
    """The roots between points k - 1, where the rate is positive, and k, where it is not.

    Bisection, or inverse quadratic interpolation where that is safe: Chandrupatla 1997, Advances in Engineering Software
    28, 145.
    """
    every = np.arange(rows.size)
    x1, x2, f1, f2 = grid[every, k - 1], grid[every, k], values[every, k - 1], values[every, k]
    out = np.where(np.isnan(f1), math.nan, x2)
    t = np.full(rows.size, 0.5)
    left = np.flatnonzero((f2 < 0.0) & (f1 > 0.0))
    rows, x1, x2, f1, f2, t = rows[left], *(a[left] for a in (x1, x2, f1, f2, t))
    for _ in range(_HALVINGS):
        if not left.size:
            break
        x = x1 + t * (x2 - x1)
        f = rate(rows, x[:, None])[:, 0]
        same = (f > 0.0) == (f1 > 0.0)
        x3, f3 = np.where(same, x1, x2), np.where(same, f1, f2)  # the older end, which x replaces or passes by
        x2, f2 = np.where(same, x2, x1), np.where(same, f2, f1)
        x1, f1 = x, f
        best = np.where(np.abs(f2) < np.abs(f1), x2, x1)
        out[left] = np.where(np.isnan(f), math.nan, best)
        narrow = 0.5 * _CLOSE * np.abs(best) / np.abs(x2 - x1)
        xi, phi = (x1 - x2) / (x3 - x2), (f1 - f2) / (f3 - f2)
        t = f1 / (f1 - f2) * f3 / (f3 - f2) - (x3 - x1) / (x2 - x1) * f1 / (f3 - f1) * f2 / (f2 - f3)
        t = np.where((phi**2 < xi) & ((1 - phi) ** 2 < 1 - xi), t, 0.5)
        go = (narrow < 0.5) & (f != 0.0) & ~np.isnan(f)
        t = np.clip(t, narrow, 1 - narrow)
        left, rows = left[go], rows[go]
        x1, x2, f1, f2, t = (a[go] for a in (x1, x2, f1, f2, t))
    return out
