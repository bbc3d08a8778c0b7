"""Training time as a function of internal time, and its inverse, in many rows."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from toymesa.solver.internal_time.roots import Array, Rows

_LOWEST = -745.0  # exp of it is the smallest number above 0
_POINTS = 1 << 13  # inverted at once
_ITERATIONS = 200  # four are usual
_CLOSE = 1e-10  # a step in ln u whose square is below rounding


@dataclass(frozen=True)
class Clocks:
    """t as a function of u in each row: on pieces of [0, s_inf], integrals of interpolants of k(u) = (h(u) - h(0))/u.

    ends, slopes, whole: s_inf, h(0) = -1/g'(s_inf), and the integral of k from 0 to s_inf, (row,). row: of each piece,
    ascending, and in a row from convergence to the start. low, high: ends of the pieces in u. before, gain: integral of k
    from 0 to ``low``, and over the piece. integrals: Chebyshev coefficients of the integral from ``low`` on, (order,
    piece). at_low, at_high: h at the ends.
    """

    ends: Array
    slopes: Array
    whole: Array
    row: Rows
    low: Array
    high: Array
    before: Array
    gain: Array
    integrals: Array
    at_low: Array
    at_high: Array

    def left(self, times: Array) -> Array:
        """u(t) at ascending times, (row, time): internal time left until convergence, 0 at t = inf."""
        piece = self._pieces(times).reshape(-1)
        out = np.empty((self.ends.size, times.size))
        flat = out.reshape(-1)
        for begin in range(0, flat.size, _POINTS):
            part = slice(begin, min(begin + _POINTS, flat.size))
            flat[part] = self._inverted(piece[part], times[np.arange(part.start, part.stop) % times.size])
        out[:, times == math.inf] = 0.0
        out[:, times <= 0.0] = self.ends[:, None]
        return out

    def _pieces(self, times: Array) -> Rows:
        """On which piece u(t) lies, (row, time)."""
        rows, inner = self.ends.size, np.flatnonzero(self.low > 0.0)
        reached = np.searchsorted(times, self._offset(inner, np.log(self.low[inner])))  # the first time past the edge
        passed = np.bincount(self.row[inner] * (times.size + 1) + reached, minlength=rows * (times.size + 1))
        last = np.cumsum(np.bincount(self.row, minlength=rows)) - 1
        return np.asarray(last[:, None] - np.cumsum(passed.reshape(rows, times.size + 1)[:, :-1], axis=1))

    def _offset(self, piece: Rows, y: Array) -> Array:
        """t at y = ln u, but for the integral of k from the lower end of the piece on."""
        row = self.row[piece]
        return np.asarray(self.slopes[row] * (np.log(self.ends[row]) - y) + (self.whole[row] - self.before[piece]))

    def _inverted(self, piece: Rows, t: Array) -> Array:
        """u at times that lie on the given pieces, (point,)."""
        least, most = np.maximum(np.log(self.low[piece]), _LOWEST), np.log(self.high[piece])
        low, high = least - 1.0, most + 1.0  # neither of the ends was tried yet
        y = np.clip(self._guess(piece, t), least, most)
        out, left = np.empty(t.shape), np.arange(t.size)
        for _ in range(_ITERATIONS):
            reached, h = self._time(piece, y)
            error = reached - t
            moved = np.clip(y + error / h, least, most)  # dt/dy = -h(u)
            going = np.abs(moved - y) > _CLOSE  # not if NaN
            if not going.all():
                out[left] = moved  # what goes on is written again
                left, piece = left[going], piece[going]
                t, y, error, moved, least, most, low, high = (
                    a[going] for a in (t, y, error, moved, least, most, low, high)
                )
            if not left.size:
                break
            low, high = np.where(error > 0.0, y, low), np.where(error > 0.0, high, y)
            y = np.where((moved <= low) | (moved >= high), (low + high) / 2, moved)
            out[left] = y
        return np.asarray(np.exp(out))

    def _guess(self, piece: Rows, t: Array) -> Array:
        """ln u at a time, as if 1/h were linear in u between the ends of the piece: then u grows as a logistic."""
        a, b = self.low[piece], self.high[piece]
        at_a, at_b = 1 / self.at_low[piece], 1 / self.at_high[piece]
        pace = (b * at_a - a * at_b) / (b - a)  # 1/h at u = 0
        y = np.log(b)
        since = t - (self._offset(piece, y) - self.gain[piece])
        return np.asarray(y - np.log1p(at_b * np.where(pace == 0.0, since, np.expm1(pace * since) / pace)))

    def _time(self, piece: Rows, y: Array) -> tuple[Array, Array]:
        """t and h at y = ln u."""
        low = self.low[piece]
        u, scale = np.exp(y), 2 / (self.high[piece] - low)
        value, slope = _clenshaw(self.integrals, piece, scale * (u - low) - 1)
        return self._offset(piece, y) - value, self.slopes[self.row[piece]] + u * slope * scale


def _clenshaw(series: Array, column: Rows, x: Array) -> tuple[Array, Array]:
    """Chebyshev series, a column (order, series) for each x, and their derivatives."""
    twice = 2 * x
    b, b1, d, d1 = (np.zeros_like(x) for _ in range(4))
    for order in range(series.shape[0] - 1, 0, -1):
        b1, b2, d1, d2 = b, b1, d, d1
        b = twice * b1
        b -= b2
        b += series[order].take(column)
        d = twice * d1
        d -= d2
        d += b1
        d += b1
    return x * b - b1 + series[0].take(column), b + x * d - d1
