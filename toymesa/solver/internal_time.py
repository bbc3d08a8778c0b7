"""Exact solutions in internal time s, ds = g(s) dt, brought back to training time.

Training converges at the first positive root s_inf of the rate g. With u = s_inf - s the function h(u) = u/g is analytic
on [0, s_inf], so it is represented by piecewise Chebyshev interpolants, and

    t(u) = h(0) ln(s_inf/u) + integral of (h(v) - h(0))/v from u to s_inf:

the logarithmic divergence at convergence is handled analytically. Inverting t(u) by Newton's method on ln u gives u, and
then g = u/h(u), to a relative accuracy that does not degrade as g goes to 0.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.polynomial import chebyshev
from numpy.typing import NDArray

from toymesa.errors import SolveError

Array = NDArray[np.float64]
Rate = Callable[[Array], Array]
_DEGREE = 24
_POINTS = np.cos(np.pi * (np.arange(_DEGREE + 1) + 0.5) / (_DEGREE + 1))


def first_root(rate: Rate) -> float:
    """The first positive root of g, or inf if g stays positive as far as floating point reaches.

    The scan widens geometrically, and looks between its points wherever g has a minimum there.
    """
    begin = float(rate(np.array([0.0]))[0])
    if not begin > 0.0:
        raise SolveError(f"the internal rate must be positive at the start; got {begin:g}", status="bad_param")
    slope = (float(rate(np.array([1e-6]))[0]) - begin) / 1e-6
    step = begin / abs(slope) / 8 if slope != 0.0 and math.isfinite(slope) else 0.125
    low, width = 0.0, min(max(step, 1e-6), 1.0)
    for _ in range(400):
        grid = np.linspace(low, low + 16 * width, 129)
        values = rate(grid)
        ends = np.flatnonzero(values <= 0.0)
        last = int(ends[0]) if ends.size else grid.size - 1
        dips = np.flatnonzero((values[1:-1] < values[:-2]) & (values[1:-1] < values[2:]))
        for k in map(int, dips[dips + 1 < last]):  # what hides in a dip comes before the sign change on the grid
            fine = np.linspace(grid[k], grid[k + 2], 2001)
            inner = rate(fine)
            below = np.flatnonzero(inner <= 0.0)
            if below.size:
                return _between(rate, fine, int(below[0]))
        if ends.size:
            return _between(rate, grid, last)
        if not np.isfinite(values).all():
            break
        low, width = grid[-1], 2 * width
    return math.inf


def _between(rate: Rate, grid: Array, k: int) -> float:
    """The root between the points k - 1, where the rate is positive, and k, where it is not."""
    from scipy.optimize import brentq

    return float(brentq(lambda s: float(rate(np.array([s]))[0]), grid[k - 1], grid[k], xtol=1e-300, rtol=9e-16))


@dataclass(frozen=True)
class Clock:
    """t as a function of u on pieces of [0, s_inf]: edges, interpolants of k(u) = (h(u) - h(0))/u, and their integrals."""

    end: float
    slope: float  # h(0) = -1/g'(s_inf)
    edges: Array
    pieces: tuple[Array, ...]
    totals: Array  # integral of k from 0 to each edge

    def smooth(self, u: Array) -> Array:
        """Integral of k from 0 to u."""
        index = np.clip(np.searchsorted(self.edges, u, side="right") - 1, 0, len(self.pieces) - 1)
        out = np.empty_like(u)
        for i in np.unique(index):
            chosen = index == i
            a, b = self.edges[i], self.edges[i + 1]
            integral = chebyshev.chebint(self.pieces[i], lbnd=-1) * (b - a) / 2
            out[chosen] = self.totals[i] + chebyshev.chebval(2 * (u[chosen] - a) / (b - a) - 1, integral)
        return out

    def ratio(self, u: Array) -> Array:
        """h(u) = u/g(s_inf - u)."""
        index = np.clip(np.searchsorted(self.edges, u, side="right") - 1, 0, len(self.pieces) - 1)
        out = np.empty_like(u)
        for i in np.unique(index):
            chosen = index == i
            a, b = self.edges[i], self.edges[i + 1]
            out[chosen] = self.slope + u[chosen] * chebyshev.chebval(2 * (u[chosen] - a) / (b - a) - 1, self.pieces[i])
        return out

    def time(self, u: Array) -> Array:
        """t(u)."""
        whole = self.smooth(np.array([self.end]))[0]
        return self.slope * (np.log(self.end) - np.log(u)) + whole - self.smooth(u)

    def left(self, t: Array) -> Array:
        """u(t): internal time left until convergence, 0 at t = inf."""
        y = np.minimum(np.log(self.end), np.log(self.end) - t / self.slope)
        low, high = np.full_like(t, -745.0), np.full_like(t, math.log(self.end))
        y = np.clip(y, low, high)
        for _ in range(200):
            u = np.exp(y)
            error = self.time(u) - t
            low, high = np.where(error > 0, np.maximum(low, y), low), np.where(error < 0, np.minimum(high, y), high)
            step = error / self.ratio(u)  # dt/dy = -h(u)
            moved = y + step
            moved = np.where((moved <= low) | (moved >= high), np.where(error == 0, y, (low + high) / 2), moved)
            if np.all(np.abs(moved - y) <= 4e-16 * (1 + np.abs(y))):
                break
            y = moved
        return np.where(np.isinf(t), 0.0, np.where(t <= 0.0, self.end, np.exp(y)))


def clock(rate: Rate, end: float) -> Clock:
    """Represent h(u) = u/g(s_inf - u) for a finite root ``end`` of the rate."""

    def h(u: Array) -> Array:
        with np.errstate(divide="ignore", invalid="ignore"):  # where rounding makes the rate 0: the row has no clock
            return np.asarray(u / rate(end - u))

    scale = _longest(h, end)
    near: Any = chebyshev.chebfit(_POINTS, h(scale * (_POINTS + 1) / 2), _DEGREE)
    slope = float(chebyshev.chebval(-1.0, near))  # h(0), from points where g is not yet small
    edges: list[float] = [0.0]
    pieces: list[Array] = []
    low, width = 0.0, scale
    while low < end * (1 - 1e-15):
        width = min(width, end - low)
        u = low + width * (_POINTS + 1) / 2
        series: Any = chebyshev.chebfit(
            _POINTS, _over_u(near, slope, u, scale) if low == 0.0 else (h(u) - slope) / u, _DEGREE
        )
        tail = np.abs(series[-3:]).max()
        if low > 0.0 and tail > 1e-13 * (abs(slope) / u[-1] + np.abs(series).sum()) and width > 1e-7 * end:
            width /= 2
            continue
        pieces.append(series)
        low += width
        edges.append(low)
        width *= 2
    edges[-1] = end
    spans = np.diff(edges)
    totals = [0.0]
    for series, span in zip(pieces, spans, strict=True):
        integral = chebyshev.chebint(series, lbnd=-1) * span / 2
        totals.append(totals[-1] + float(chebyshev.chebval(1.0, integral)))
    return Clock(end, slope, np.array(edges), tuple(pieces), np.array(totals))


def _longest(h: Callable[[Array], Array], end: float) -> float:
    """The longest first piece on which the interpolant of h has a negligible tail."""
    scale = end
    for _ in range(40):
        series = chebyshev.chebfit(_POINTS, h(scale * (_POINTS + 1) / 2), _DEGREE)
        if np.abs(series[-3:]).max() <= 2e-13 * np.abs(series).sum():
            return scale
        scale /= 2
    return scale


def _over_u(series: Array, slope: float, u: Array, scale: float) -> Array:
    """(h(u) - h(0))/u from the interpolant of h, by exact division of the polynomial: no cancellation at small u."""
    # T_k(x) - T_k(-1) over x + 1: the quotient of Chebyshev series
    shifted = series.copy()
    shifted[0] -= slope
    quotient, _ = chebyshev.chebdiv(shifted, np.array([1.0, 1.0]))
    return np.asarray(chebyshev.chebval(2 * u / scale - 1, quotient) * 2 / scale)
