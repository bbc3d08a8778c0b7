"""The functions of linear flows and maps (``symbolic/entire.py``) for arrays, accurate where eigenvalues meet or vanish.

With eigenvalues p + r and p - r, r^2 = q: the eigenvalue of smaller size is taken from the determinant, differences of
exponentials from expm1, and where all is small the integrals from a quadrature of a smooth function, so that nothing
cancels. Relative to the largest of the functions the error stays at rounding, times |z t| for eigenvalues as given.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
_NODES, _WEIGHTS = (0.5 * (v + s) for v, s in zip(np.polynomial.legendre.leggauss(14), (1.0, 0.0), strict=True))

_TINY = 1e-290  # products below it are denormal or nearly so: no digits are left in them


def _spread(*args: Any) -> list[Array]:
    return [np.asarray(a, dtype=np.float64) for a in np.broadcast_arrays(*args)]


def _roots(p: Array, q: Array, d: Array) -> tuple[Array, Array, Array]:
    """r or the frequency, and the eigenvalues p + r, p - r where they are real."""
    r = np.sqrt(np.abs(q))
    large = np.where(p >= 0, p + r, p - r)
    small = np.where(large != 0, d / np.where(large != 0, large, 1.0), 0.0)
    # the determinant decides only what the sum would round away
    small = np.where(np.abs(p) > 0.5 * r, small, np.where(p >= 0, p - r, p + r))
    return r, np.where(p >= 0, large, small), np.where(p >= 0, small, large)


def flow_mean(p: Any, q: Any, d: Any, t: Any) -> Array:
    """e^(pt) cosh(t sqrt q)."""
    p, q, d, t = _spread(p, q, d, t)
    r, upper, lower = _roots(p, q, d)
    return np.where(q >= 0, (np.exp(upper * t) + np.exp(lower * t)) / 2, np.exp(p * t) * np.cos(r * t))


def flow_slope(p: Any, q: Any, d: Any, t: Any) -> Array:
    """e^(pt) sinh(t sqrt q)/sqrt q."""
    p, q, d, t = _spread(p, q, d, t)
    r, upper, lower = _roots(p, q, d)
    top = np.exp(np.where(t >= 0, upper, lower) * t)
    real = top * np.where(r > 0, -np.sign(t) * np.expm1(-2 * r * np.abs(t)) / np.where(r > 0, 2 * r, 1.0), t)
    return np.where(q >= 0, real, np.exp(p * t) * np.sin(r * t) / np.where(r > 0, r, 1.0))


def _small(p: Array, q: Array, t: Array) -> NDArray[np.bool_]:
    return np.maximum(np.abs(p), np.sqrt(np.abs(q))) * np.abs(t) < 1.0


def _quadrature(function: Any, p: Array, q: Array, d: Array, t: Array) -> Array:
    """The integral from 0 to t of a smooth function of s, where all exponents are small; 0 elsewhere."""
    out, where = np.zeros_like(t), _small(p, q, t)
    if where.any():
        p, q, d, t = p[where], q[where], d[where], t[where]
        out[where] = t * (_WEIGHTS @ function(p, q, d, np.multiply.outer(_NODES, t)))
    return out


def _expm1_over(z: Array, t: Array) -> Array:
    still = np.abs(z * t) < _TINY
    return np.where(still, t, np.expm1(z * t) / np.where(still, 1.0, z))


def flow_mean_total(p: Any, q: Any, d: Any, t: Any) -> Array:
    """The integral of ``flow_mean``."""
    p, q, d, t = _spread(p, q, d, t)
    r, upper, lower = _roots(p, q, d)
    real = (_expm1_over(upper, t) + _expm1_over(lower, t)) / 2
    gained = np.expm1(p * t) * np.cos(r * t) - 2 * np.sin(r * t / 2) ** 2  # real part of e^(zt) - 1
    turned = np.exp(p * t) * np.sin(r * t)
    complex_ = (gained * p + turned * r) / np.where(q < 0, p * p + r * r, 1.0)
    return np.where(q >= 0, real, np.where(_small(p, q, t), _quadrature(flow_mean, p, q, d, t), complex_))


def flow_slope_total(p: Any, q: Any, d: Any, t: Any) -> Array:
    """The integral of ``flow_slope``."""
    p, q, d, t = _spread(p, q, d, t)
    r, upper, lower = _roots(p, q, d)
    apart = (_expm1_over(upper, t) - _expm1_over(lower, t)) / np.where(r > 0, 2 * r, 1.0)
    gained = np.where(q >= 0, flow_mean(p, q, d, t) - 1, np.expm1(p * t) * np.cos(r * t) - 2 * np.sin(r * t / 2) ** 2)
    near = (p * flow_slope(p, q, d, t) - gained) / np.where(d != 0, d, 1.0)
    large = np.where((q > 0) & (2 * r > np.abs(p)), apart, near)
    return np.where(_small(p, q, t), _quadrature(flow_slope, p, q, d, t), large)


def _grown(z: Array, t: Array) -> Array:
    """(1 + z)^t; for small z the digits of z count, not those of 1 + z."""
    return np.where(z > -0.5, np.exp(t * np.log1p(np.maximum(z, -0.5))), (1 + z) ** t)


def _turning(p: Array, q: Array, d: Array, t: Array) -> tuple[Array, Array]:
    """Size^t and angle (from the nearest real axis) of the multipliers where they are complex."""
    change = np.where(q < 0, 2 * p + d, 0.0)  # size^2 - 1: exact near 1, as the square itself is near 0
    size = np.where(change > -0.5, _grown(change, t / 2), ((1 + p) ** 2 + np.abs(q)) ** (t / 2))
    return size, np.arctan2(np.sqrt(np.abs(q)), np.abs(1 + p))


def step_mean(p: Any, q: Any, d: Any, t: Any) -> Array:
    """Mean of (1 + z)^t over the pair z = p +- sqrt q; t whole."""
    p, q, d, t = _spread(p, q, d, t)
    _, upper, lower = _roots(p, q, d)
    size, angle = _turning(p, q, d, t)
    # turned by pi for 1 + p < 0, which is a sign: no digits are lost to the period
    sign = np.where(1 + p < 0, 1 - 2 * np.mod(t, 2), 1.0)
    return np.where(q >= 0, (_grown(upper, t) + _grown(lower, t)) / 2, sign * size * np.cos(t * angle))


def step_slope(p: Any, q: Any, d: Any, t: Any) -> Array:
    """Divided difference of (1 + z)^t over the pair; t whole."""
    p, q, d, t = _spread(p, q, d, t)
    r, upper, _ = _roots(p, q, d)
    m = np.abs(1 + p)
    sign = np.where(1 + p < 0, -(1 - 2 * np.mod(t, 2)), 1.0)
    wide = np.where(m + r > 0, m + r, 1.0)
    ratio = (m - r) / wide  # of the multipliers, between -1 and 1
    odd = np.mod(t, 2) == 1
    shrunk = np.where(ratio > 0, -np.expm1(t * np.log1p(-2 * r / wide)), 0.0)
    # multipliers of opposite sign: a sum for odd t, a difference of sizes for even t
    opposed = np.where(odd, 1 + np.abs(ratio) ** t, -np.expm1(t * np.log1p(np.where(ratio < 0, -2 * m / wide, 0.0))))
    real = np.where(1 + p >= 0, _grown(upper, t), wide**t) * np.where(
        ratio > 0, shrunk, np.where(ratio < 0, opposed, np.where(t > 0, 1.0, 0.0))
    )
    real = np.where(r > 0, real / np.where(r > 0, 2 * r, 1.0), t * m ** np.maximum(t - 1, 0))
    size, angle = _turning(p, q, d, t)
    turned = size * np.sin(t * angle) / np.where(r > 0, r, 1.0)
    return sign * np.where(t == 0, 0.0, np.where(q >= 0, real, turned))


def _steps_over(z: Array, t: Array) -> Array:
    """((1 + z)^t - 1)/z."""
    grown = np.where(z > -0.5, np.expm1(t * np.log1p(np.maximum(z, -0.5))), (1 + z) ** t - 1)
    still = np.abs(z) < _TINY
    return np.where(still, t, grown / np.where(still, 1.0, z))


def step_mean_total(p: Any, q: Any, d: Any, t: Any) -> Array:
    """The sum of ``step_mean`` over 0, ..., t - 1."""
    p, q, d, t = _spread(p, q, d, t)
    _, upper, lower = _roots(p, q, d)
    real = (_steps_over(upper, t) + _steps_over(lower, t)) / 2
    return np.where(q >= 0, real, _step_sums(p, q, d, t)[0])


def step_slope_total(p: Any, q: Any, d: Any, t: Any) -> Array:
    """The sum of ``step_slope`` over 0, ..., t - 1."""
    p, q, d, t = _spread(p, q, d, t)
    r, upper, lower = _roots(p, q, d)
    apart = (_steps_over(upper, t) - _steps_over(lower, t)) / np.where(r > 0, 2 * r, 1.0)
    wide = (q > 0) & (2 * r > np.abs(p)) & ~(r * t < 1.0)
    return np.where(wide, apart, _step_sums(p, q, d, t)[1])


def _step_sums(p: Array, q: Array, d: Array, t: Array) -> tuple[Array, Array]:
    """Both sums by doubling, S(2k) = (1 + M^k) S(k) and S(k + 1) = 1 + M S(k): no division, so nothing cancels."""
    t = np.where(np.isfinite(t), t, 0.0)
    mean, slope = np.zeros_like(p), np.zeros_like(p)  # the sum S(k)
    power, tilt = np.ones_like(p), np.zeros_like(p)  # M^k
    for bit in range(int(np.max(t, initial=0.0)).bit_length() - 1, -1, -1):
        mean, slope = (1 + power) * mean + q * tilt * slope, (1 + power) * slope + tilt * mean
        power, tilt = power * power + q * tilt * tilt, 2 * power * tilt
        odd = np.mod(np.floor(t / 2.0**bit), 2) == 1
        mean, slope = np.where(odd, 1 + (1 + p) * mean + q * slope, mean), np.where(odd, mean + (1 + p) * slope, slope)
        power, tilt = np.where(odd, (1 + p) * power + q * tilt, power), np.where(odd, power + (1 + p) * tilt, tilt)
    return mean, slope


# ---------------------------------------------------------------- any size

_CONDITION = 1e3  # of the eigenvectors; beyond it the digits lost to them are worth the slower exponential


def _component(index: Any, args: Any, power: Any, last: float, slow: Any) -> Array:
    """Component ``index`` of f(M, t) (x0, 1), M = [[A, b], [0, last]]: by eigenvectors where they are well conditioned.

    The eigenvectors are those of a cell, common to its times; ``slow(M, t)`` is f itself, for the other cells.
    """
    time, rest = np.asarray(args[0], dtype=np.float64), _spread(*args[1:])
    n = next(k for k in range(1, len(rest)) if k * (k + 2) == len(rest))
    shape = rest[0].shape
    matrix = np.zeros((*shape, n + 1, n + 1))
    matrix[..., :n, :n] = np.stack(rest[n : n + n * n], axis=-1).reshape(*shape, n, n)
    matrix[..., :n, n], matrix[..., n, n] = np.stack(rest[n + n * n :], axis=-1), last
    vector = np.stack([*rest[:n], np.ones(shape)], axis=-1)
    finite = np.asarray(np.isfinite(matrix).all(axis=(-1, -2)))
    safe = np.where(finite[..., None, None], matrix, np.eye(n + 1))
    values, modes = np.linalg.eig(safe)
    # entries of very different size are balanced on the way, which can spoil eigenvectors: the residual tells
    residual = np.abs(safe @ modes - modes * values[..., None, :]).max(axis=(-1, -2))
    exact = residual <= 1e-14 * (n + 1) * np.abs(safe).max(axis=(-1, -2))
    good = finite & exact & (np.linalg.cond(modes) < _CONDITION)
    parts = np.linalg.solve(np.where(good[..., None, None], modes, np.eye(n + 1)), vector[..., None])[..., 0]
    weights = modes[..., int(index), :] * parts
    out = np.asarray((weights * power(values, time[..., None])).sum(axis=-1).real)
    bad = np.broadcast_to(finite & ~good, out.shape)
    if bad.any():
        matrix, vector = (np.broadcast_to(v, (*out.shape, *v.shape[len(shape) :]))[bad] for v in (matrix, vector))
        grown = slow(matrix, np.broadcast_to(time, out.shape)[bad])
        out[bad] = np.einsum("ij,ij->i", grown[:, int(index), :], vector)
    return np.where(finite, out, np.nan)


def _exponential(matrix: Array, time: Array) -> Array:
    scaled = matrix * time[:, None, None]
    fine = np.isfinite(scaled).all(axis=(-1, -2), keepdims=True)
    from scipy.linalg import expm

    return np.where(fine, expm(np.where(fine, scaled, 0.0)), np.nan)


def _repeated(matrix: Array, time: Array) -> Array:
    out = np.broadcast_to(np.eye(matrix.shape[-1]), matrix.shape).copy()
    for bit in range(int(np.max(time, initial=0.0)).bit_length() - 1, -1, -1):
        out = out @ out
        odd = np.mod(np.floor(time / 2.0**bit), 2) == 1
        out = np.where(odd[:, None, None], out @ matrix, out)
    return out


def flow_component(index: Any, *args: Any) -> Array:
    """Component ``index`` of the solution of x' = A x + b: arguments t, x0, A by rows, b."""
    return _component(index, args, lambda z, t: np.exp(z * t), 0.0, _exponential)


def step_component(index: Any, *args: Any) -> Array:
    """Component ``index`` of x -> A x + b after t steps: arguments t, x0, A by rows, b."""
    return _component(index, args, lambda z, t: z.astype(complex) ** t, 1.0, _repeated)


ENTIRE = {
    "FlowMean": flow_mean,
    "FlowSlope": flow_slope,
    "FlowMeanTotal": flow_mean_total,
    "FlowSlopeTotal": flow_slope_total,
    "StepMean": step_mean,
    "StepSlope": step_slope,
    "StepMeanTotal": step_mean_total,
    "StepSlopeTotal": step_slope_total,
    "FlowComponent": flow_component,
    "StepComponent": step_component,
}
