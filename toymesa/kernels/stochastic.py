"""Paths of dx = f dt + B dW (Ito) by fixed steps: Euler-Maruyama, Milstein, and Platen's explicit weak method of order 2.

Strong order 1/2, strong order 1 for commuting noise, weak order 2 (Kloeden and Platen 1992, sections 10.2, 10.3 and 15.1).
Every path draws from its own Philox stream, so that its bits depend on no other path and on no thread.
"""

from __future__ import annotations

import math

import numba as nb
import numpy as np

from toymesa.kernels.codes import MILSTEIN, OK, OVERFLOW, WEAK2
from toymesa.kernels.explicit import FIELD
from toymesa.kernels.integrate import finite
from toymesa.kernels.philox import normals, uniforms

_OPTIONS = {"error_model": "numpy", "nogil": True, "cache": True}
_THREE = math.sqrt(3.0)


@nb.njit(
    nb.void(
        nb.uint64[::1], nb.uint64, nb.uint64, nb.int64, nb.uint64[::1], nb.float64[::1], nb.float64[::1]
    ),
    **_OPTIONS,
)  # fmt: skip
def normal_increments(key, stream, path, step, c, four, out):
    """Standard normal increments of step number ``step``; steps must be asked for in turn, since ``four`` keeps a draw.

    A draw makes four variates: with one noise they serve four steps, with two noises two, and otherwise a step takes as
    many draws as it needs.
    """
    m = out.size
    steps = max(1, 4 // m)
    if steps > 1:
        place = step % steps
        if place == 0:
            normals(key, stream, path, np.uint64(step // steps), c, four)
        for i in range(m):
            out[i] = four[place * m + i]
        return
    draws = (m + 3) // 4
    for d in range(draws):
        normals(key, stream, path, np.uint64(step * draws + d), c, four)
        for i in range(min(4, m - 4 * d)):
            out[4 * d + i] = four[i]


@nb.njit(
    nb.uint64(nb.uint64[::1], nb.uint64, nb.uint64, nb.uint64, nb.uint64[::1], nb.float64[::1], nb.float64[::1], nb.float64[::1]),
    **_OPTIONS,
)  # fmt: skip
def _weak_increments(key, stream, path, draw, c, pair, out, sign):
    """Three-point increments of one step of the weak method, and its signs; returns the next draw number."""
    m = out.size
    for i in range(0, m, 2):
        uniforms(key, stream, path, draw, c, pair)
        draw += np.uint64(1)
        for k in range(min(2, m - i)):
            # +-sqrt(3) with probability 1/6 each: the moments of a normal variate up to the fifth
            out[i + k] = _THREE if pair[k] < 1.0 / 6.0 else (-_THREE if pair[k] > 5.0 / 6.0 else 0.0)
    for i in range(m):
        for j in range(i + 1, m):
            uniforms(key, stream, path, draw, c, pair)
            draw += np.uint64(1)
            sign[i * m + j] = 1.0 if pair[0] < 0.5 else -1.0
    return draw


@nb.njit(
    nb.void(
        FIELD, FIELD, nb.float64, nb.float64, nb.float64[::1], nb.float64[::1], nb.float64[::1], nb.float64[::1],
        nb.float64[::1], nb.float64[:, ::1], nb.float64[::1],
    ),
    **_OPTIONS,
)  # fmt: skip
def _weak_step(field, noise, t, h, x, p, xi, sign, new, B, flat):
    """One step of the explicit weak method of order 2 (Kloeden and Platen 1992, eq. 15.1.3) into ``new``.

    xi: three-point variates. sign: V_rj / h for r < j, row by row. B: work space (5, n): the noise at the support values.
    """
    n, m = x.size, xi.size
    root = math.sqrt(h)
    a, ahead, moved = np.empty(n), np.empty(n), np.empty(n)
    base = np.empty((n, m))
    field(0, t, x, p, a)
    noise(0, t, x, p, flat)
    for i in range(n):
        moved[i] = x[i] + h * a[i]
        for j in range(m):
            base[i, j] = flat[i * m + j]
            moved[i] += base[i, j] * root * xi[j]
    field(0, t + h, moved, p, ahead)
    for i in range(n):
        new[i] = x[i] + 0.5 * h * (a[i] + ahead[i])
    for r in range(m):
        # support values along noise r: with the drift for j = r, without it for the others
        for i in range(n):
            moved[i] = x[i] + h * a[i] + root * base[i, r]
        noise(0, t + h, moved, p, flat)
        for i in range(n):
            B[0, i] = flat[i * m + r]
            moved[i] = x[i] + h * a[i] - root * base[i, r]
        noise(0, t + h, moved, p, flat)
        for i in range(n):
            B[1, i] = flat[i * m + r]
            up, down = B[0, i], B[1, i]
            new[i] += 0.25 * root * ((up + down + 2.0 * base[i, r]) * xi[r] + (up - down) * (xi[r] * xi[r] - 1.0))
        if m == 1:
            continue
        for i in range(n):
            moved[i] = x[i] + root * base[i, r]
        noise(0, t + h, moved, p, flat)
        plus = flat.copy()
        for i in range(n):
            moved[i] = x[i] - root * base[i, r]
        noise(0, t + h, moved, p, flat)
        for j in range(m):
            if j == r:
                continue
            lower, upper = min(r, j), max(r, j)
            v = sign[lower * m + upper] if r < j else -sign[lower * m + upper]
            for i in range(n):
                up, down = plus[i * m + j], flat[i * m + j]
                new[i] += 0.25 * root * ((up + down - 2.0 * base[i, j]) * xi[j] + (up - down) * (xi[j] * xi[r] + v))


@nb.njit(
    nb.void(
        FIELD, FIELD, nb.int64, nb.float64, nb.float64, nb.float64[::1], nb.float64[::1], nb.float64[::1],
        nb.float64[::1], nb.float64[::1], nb.float64[::1], nb.float64[::1],
    ),
    **_OPTIONS,
)  # fmt: skip
def strong_step(field, noise, method, t, h, x, p, xi, new, a, flat, second):
    """One step of Euler-Maruyama or Milstein into ``new``; ``flat`` keeps the noise matrix at its start."""
    n, m = x.size, xi.size
    root = math.sqrt(h)
    field(0, t, x, p, a)
    noise(0, t, x, p, flat)
    for i in range(n):
        new[i] = x[i] + h * a[i]
        for j in range(m):
            new[i] += flat[i * m + j] * root * xi[j]
    if method == MILSTEIN:
        noise(1, t, x, p, second)
        for i in range(n):
            for j in range(m):
                for r in range(m):
                    both = xi[j] * xi[r] - (1.0 if j == r else 0.0)
                    new[i] += 0.5 * h * second[(i * m + j) * m + r] * both


_paths_signature = nb.void(
    FIELD,  # drift
    FIELD,  # noise: 0 the matrix B, row-major; 1 the terms of Milstein's correction
    nb.int64,  # method
    nb.float64[::1],  # output times, rising from 0 on
    nb.float64,  # largest step
    nb.int64,  # number of noises m
    nb.float64[:, ::1],  # starts (row, state)
    nb.float64[:, ::1],  # parameters (row, parameter)
    nb.uint64[::1],  # key
    nb.uint64[:, ::1],  # stream and path number of each row
    nb.float64[:, :, ::1],  # out: states (row, time, state)
    nb.int64[::1],  # out: status
)


@nb.njit(_paths_signature, **_OPTIONS)
def run_paths(field, noise, method, times, step, m, starts, params, key, names, out, status):
    """Advance every row from time 0 to the last output time; NaN from where a value left the floating-point range."""
    rows, n = starts.shape
    x, new, a = np.empty(n), np.empty(n), np.empty(n)
    flat, second = np.empty(n * m), np.empty(n * m * m)
    xi, sign, four, c = np.empty(m), np.zeros(m * m), np.empty(4), np.empty(4, np.uint64)
    B = np.empty((5, n))
    for row in range(rows):
        x[:] = starts[row]
        p = params[row]
        stream, path, draw = names[row, 0], names[row, 1], np.uint64(0)
        t, done = 0.0, 0
        status[row] = OK
        out[row, :, :] = math.nan
        for k in range(times.size):
            steps = math.ceil((times[k] - t) / step * (1.0 - 1e-12)) if times[k] > t else 0
            h = (times[k] - t) / steps if steps > 0 else 0.0
            for s in range(steps):
                now = t + s * h
                if method == WEAK2:
                    draw = _weak_increments(key, stream, path, draw, c, four, xi, sign)
                    _weak_step(field, noise, now, h, x, p, xi, sign, new, B, flat)
                else:
                    normal_increments(key, stream, path, done, c, four, xi)
                    strong_step(field, noise, method, now, h, x, p, xi, new, a, flat, second)
                done += 1
                x[:] = new
            t = times[k]
            if not finite(x):
                status[row] = OVERFLOW
                break
            out[row, k, :] = x
