"""Chebyshev interpolants of h(u) = u/g(s_inf - u), piece by piece, in many rows in lockstep."""

from __future__ import annotations

import math

import numpy as np

from toymesa.solver.internal_time.clocks import Clocks
from toymesa.solver.internal_time.roots import Array, Rate, Rows

_DEGREE = 24
_ORDERS = np.arange(_DEGREE + 1)
_ANGLES = np.pi * (_ORDERS + 0.5) / (_DEGREE + 1)
_POINTS = np.cos(_ANGLES)
# values at the points -> coefficients of the interpolant, (point, order)
_FIT = np.cos(_ANGLES[:, None] * _ORDERS) * np.where(_ORDERS == 0, 1.0, 2.0) / (_DEGREE + 1)
_SIGNS = np.where(_ORDERS % 2 == 0, 1.0, -1.0)  # T_k(-1)
_HALVINGS = 40
_TAIL = 1e-13  # of an interpolant, relative
_LOST = 1e-2  # relative tail of the best interpolant of a rate that is lost in rounding
_ALLOWED = 1e-8  # what rounding may do to a rate, and the shortest piece of the whole
_ROUNDS = 4096  # attempts at a piece, of which a rate that is analytic needs a few dozen at most


def clocks(rate: Rate, ends: Array) -> Clocks:
    """Represent h(u) = u/g(s_inf - u) in each row, for finite roots ``ends`` of the rate.

    Rows whose rate is lost in rounding, or is too rough for interpolants, have NaN.
    """

    def h(rows: Rows, u: Array) -> Array:
        return np.asarray(u / rate(rows, ends[rows, None] - u))

    left = np.arange(ends.size)
    scale, near, noise = _longest(h, ends)
    slopes = (near * _SIGNS).sum(axis=1)  # h(0), from points where g is not yet small
    made = _Pieces(ends, slopes)
    made.add(left, scale, _over_u(near, scale))
    width, last, allowed = 2 * scale, np.full(ends.size, math.inf), np.full(ends.size, _TAIL)
    for _ in range(_ROUNDS):
        left = left[made.reached[left] < ends[left]]
        if not left.size:
            break
        low, end, slope = made.reached[left], ends[left], slopes[left]
        span = np.minimum(width[left], end - low)
        u = low[:, None] + span[:, None] * (_POINTS + 1) / 2
        series = _fitted((h(left, u) - slope[:, None]) / u)
        size = np.abs(series)
        tail = size[:, -3:].max(axis=1) / (np.abs(slope) / (low + span) + size.sum(axis=1))
        # what a shorter piece does not improve is no error of the interpolant, but rounding of the rate
        rounding = (tail > last[left] / 4) & (tail < noise[left])
        rough = (tail > allowed[left]) & ~rounding
        width[left], last[left] = np.where(rough, span / 2, 2 * span), np.where(rough, tail, math.inf)
        # nor do longer pieces have less of it
        eased = np.where(rounding, 4 * tail, np.maximum(allowed[left] / 16, _TAIL))
        allowed[left] = np.where(rough, allowed[left], eased)
        made.add(left[~rough], span[~rough], series[~rough])
        left = left[~(rough & (span < _ALLOWED * end))]
    made.whole[~(made.reached >= ends)] = math.nan
    # rounding of s is that of the whole of it: too much where the rate has its course in so short a part; and rounding of
    # t that of the slowest time scale, too much where training begins so much faster
    short = _ALLOWED / 10 * ends
    begin, soon, late = rate(np.arange(ends.size), np.stack([0 * ends, short, ends - short], axis=1)).T
    told = (np.abs(soon - begin) < begin / 10) & (late < begin / 10) & (ends / begin > _ALLOWED * slopes)
    made.whole[~told] = math.nan
    return made.clocks()


class _Pieces:
    """The pieces of all rows as they are found, from convergence to the start."""

    def __init__(self, ends: Array, slopes: Array) -> None:
        self.ends, self.slopes = ends, slopes
        self.reached, self.whole = np.zeros(ends.size), np.zeros(ends.size)
        self._found: list[tuple[Rows, Array]] = []
        self._series: list[Array] = []

    def add(self, rows: Rows, span: Array, series: Array) -> None:
        """One more piece in each of some rows: k on the next ``span``, as a series (row, order)."""
        low, end, slope, before = self.reached[rows], self.ends[rows], self.slopes[rows], self.whole[rows]
        high = np.where(low + span < end * (1 - 1e-15), low + span, end)
        integrals = _integrated(series, high - low)
        gain = integrals.sum(axis=1)
        at_low, at_high = slope + low * (series * _SIGNS).sum(axis=1), slope + high * series.sum(axis=1)
        self._found.append((rows, np.stack([low, high, before, gain, at_low, at_high])))
        self._series.append(integrals)
        self.reached[rows], self.whole[rows] = high, before + gain

    def clocks(self) -> Clocks:
        """All of them, row by row."""
        rows = np.concatenate([r for r, _ in self._found])
        order = np.argsort(rows, kind="stable")
        low, high, before, gain, at_low, at_high = np.concatenate([v for _, v in self._found], axis=1)[:, order]
        return Clocks(
            ends=self.ends, slopes=self.slopes, whole=self.whole, row=rows[order], low=low, high=high, before=before,
            gain=gain, integrals=np.concatenate(self._series)[order].T.copy(), at_low=at_low, at_high=at_high,
        )  # fmt: skip


def _longest(h: Rate, ends: Array) -> tuple[Array, Array, Array]:
    """The longest first pieces on which interpolants of h have a negligible tail, (row,), and these, (row, order).

    Where rounding leaves none, those with the smallest tail. And the largest relative tail that may be rounding, (row,).
    Coefficients are NaN where all is.
    """
    scale, width = ends.copy(), ends.copy()
    near, best = np.full((ends.size, _DEGREE + 1), math.nan), np.full(ends.size, math.inf)
    left = np.arange(ends.size)
    for _ in range(_HALVINGS):
        series = _fitted(h(left, width[left, None] * (_POINTS + 1) / 2))
        size = np.abs(series)
        tail = size[:, -3:].max(axis=1) / size.sum(axis=1)
        better = tail < best[left]
        rows = left[better]
        scale[rows], near[rows], best[rows] = width[rows], series[better], tail[better]
        left = left[~(tail <= 2 * _TAIL)]
        if not left.size:
            break
        width[left] /= 2
    near[best > _LOST] = math.nan
    return scale, near, np.maximum(_ALLOWED, 16 * best)


def _fitted(values: Array) -> Array:
    """Chebyshev coefficients (row, order) of the interpolants of values (row, point)."""
    return np.asarray((values[:, :, None] * _FIT).sum(axis=1))


def _integrated(series: Array, span: Array) -> Array:
    """Coefficients (row, order) of the integrals from the lower ends of intervals of width ``span``."""
    out = np.zeros((series.shape[0], _DEGREE + 2))
    out[:, 1:] = series
    out[:, 1] *= 2
    out[:, 1:-2] -= series[:, 2:]
    out[:, 1:] *= span[:, None] / (4 * np.arange(1.0, _DEGREE + 2))
    out[:, 0] = (out[:, 1:] * _SIGNS).sum(axis=1)
    return out


def _over_u(series: Array, scale: Array) -> Array:
    """(h(u) - h(0))/u from the interpolants of h, by exact division of the polynomials: no cancellation at small u."""
    # what vanishes at -1 divided by x + 1, term by term, with x T_k = (T_(k-1) + T_(k+1))/2; the constant is the remainder
    out = np.zeros_like(series)
    out[:, -2] = 2 * series[:, -1]
    for k in range(_DEGREE - 1, 0, -1):
        out[:, k - 1] = 2 * (series[:, k] - out[:, k]) - out[:, k + 1]
    out[:, 0] /= 2
    return np.asarray(out * (2 / scale)[:, None])
