r"""What is exactly known about the race of chains of layers (model ``race``, derivations ``race_2_*``).

Mechanism r, a chain of depth D, learning rate eta and strength P, moves by P' = eta D g P^(2-2/D) while the error
g = 1 - sum P is shared. In internal time s, ds = g dt, the mechanisms know nothing of each other. With m = 1 - 2/D,

.. math:: P(s) = \bigl[P_0^{-m} - (D-2)\,\eta s\bigr]^{-1/m}, \qquad P_0 e^{2\eta s}\ (D = 2), \qquad
          P_0 + \eta s\ (D = 1)

*Unstable* means here: pulled apart on the way (D > 2); the end of training is a surface of rest, not a saddle.
*Simple* means prior bits (the start) and implicit bias (the depth). Strengths are pure numbers, 1 is the base target.
Everything is exact; only :func:`stop` solves an equation, by bisection to the last bit.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import exprel, logsumexp

from toymesa.errors import DomainError
from toymesa.theorems.arguments import Array, as_given, nonnegative, positive, real, vectorized


class Stop(NamedTuple):
    """Internal time at the stop, shape (...), and the strengths there, shape (..., K)."""

    s: Array
    strengths: Array


# ---------------------------------------------------------------- one chain in internal time


@vectorized()
def strength(s: ArrayLike, *, start: ArrayLike, depth: ArrayLike, rate: ArrayLike = 1.0) -> Array:
    r"""P(s) of one chain (race 2.2).

    s : internal time >= 0. start : P_0 > 0. depth : D >= 1. rate : eta > 0. All broadcast. Exact for every depth, those
    near 2 included; inf from the :func:`pole` on.
    """
    t, p, d, r = _chain(s, start, depth, rate)
    with np.errstate(over="ignore"):
        return as_given(np.exp(_log_strength(r * t, np.log(p), d)))


@vectorized()
def internal_time(strength: ArrayLike, *, start: ArrayLike, depth: ArrayLike, rate: ArrayLike = 1.0) -> Array:
    r"""The internal time that a chain needs from one strength to another (race 2.2), the inverse of :func:`strength`.

    .. math:: s = \frac{P_0^{-m} - P^{-m}}{(D-2)\,\eta}, \qquad \frac{\ln(P/P_0)}{2\eta}\ (D = 2)

    strength, start : > 0. depth : D >= 1. rate : eta > 0. All broadcast. Negative where the strength falls. Exact.
    """
    p, start_, d, r = positive("strength", strength), positive("start", start), _depth(depth), positive("rate", rate)
    with np.errstate(over="ignore"):
        return as_given(np.asarray(_clock(np.log(p), np.log(start_), d) / r))


@vectorized()
def pole(*, start: ArrayLike, depth: ArrayLike, rate: ArrayLike = 1.0) -> Array:
    r"""The internal time at which a chain deeper than 2 would grow beyond every bound (race 2.2); inf for D <= 2.

    .. math:: s_\infty = \frac{P_0^{-(1-2/D)}}{(D-2)\,\eta}

    From small starts the chain with the first pole takes nearly everything. One bit of description length (half the
    start) delays it by the factor 2^(1-2/D): of chains of one depth the largest log2(eta) - (1-2/D) b wins. Exact.
    """
    p, d, r = positive("start", start), _depth(depth), positive("rate", rate)
    deep = d > 2.0
    with np.errstate(over="ignore", divide="ignore"):
        value = np.exp(-(1.0 - 2.0 / d) * np.log(p)) / (np.where(deep, d - 2.0, 1.0) * r)
    return as_given(np.where(deep, value, np.inf))


@vectorized()
def clock(strength: ArrayLike, *, depth: ArrayLike, rate: ArrayLike = 1.0) -> Array:
    r"""Internal time from strength 1 to P (race 2.3): the difference between two chains is conserved for ever.

    .. math:: \frac{1 - P^{-m}}{(D-2)\,\eta}, \qquad \frac{\ln P}{2\eta}\ (D = 2)

    strength : P > 0. depth : D >= 1. rate : eta > 0. All broadcast. For two chains of one depth and rate the difference
    is that of u = P^(-m), over (D-2) eta; for D = 2 it is the logarithm of their ratio. Exact.
    """
    return internal_time(strength, start=1.0, depth=depth, rate=rate)


# ---------------------------------------------------------------- shares


@vectorized()
def amplification(strength: ArrayLike, *, start: ArrayLike, depth: ArrayLike) -> Array:
    r"""By which factor a small difference between the logarithms of two equal strengths has grown (race 2.3).

    .. math:: \frac{\delta \ln P(s)}{\delta \ln P_0} = \Bigl(\frac{P}{P_0}\Bigr)^{1-2/D}

    strength : P > 0 that both have reached. start : P_0 > 0. depth : D >= 1. Below 1 for D < 2 (contracted), 1 for D = 2
    (conserved), above 1 for D > 2 (pulled apart). Exact to first order in the difference. For K chains that start equal
    and stop at the error g, P = (1 - g)/K, so that stopping early bounds the growth.
    """
    p, start_, d = positive("strength", strength), positive("start", start), _depth(depth)
    with np.errstate(over="ignore"):
        return as_given(np.exp((1.0 - 2.0 / d) * (np.log(p) - np.log(start_))))


@vectorized()
def ratio_growth(first: ArrayLike, second: ArrayLike, *, depth: ArrayLike) -> Array:
    r"""How the ratio P_1/P_2 of two equal chains at convergence grows as the initial scale goes to 0 (race 2.3).

    .. math:: \lim_{\epsilon\to0} \epsilon\,\frac{P_1}{P_2} = \bigl(a_2^{-m} - a_1^{-m}\bigr)^{1/m},
              \qquad P_r(0) = \epsilon\,a_r,\ a_1 > a_2,\ m = 1 - 2/D > 0

    first, second : a_1 > a_2 > 0. depth : D > 2. All broadcast. Exact: however small the advantage, it wins in the limit.
    """
    a, b, d = positive("first", first), positive("second", second), real("depth", depth, 2.0, low_open=True)
    a, b, d = np.broadcast_arrays(a, b, d)
    if np.any(a <= b):
        raise DomainError(f"first must be larger than second; got {a[a <= b].flat[0]:g} and {b[a <= b].flat[0]:g}")
    m = 1.0 - 2.0 / d
    return as_given(np.exp(np.log(-np.expm1(-m * np.log(a / b))) / m) / b)


@vectorized(starts=1, depths=1, rates=1)
def stop(residual: ArrayLike = 0.0, *, starts: ArrayLike, depths: ArrayLike, rates: ArrayLike = 1.0) -> Stop:
    r"""Where training stops when the fraction ``residual`` of the loss is left (race 2.3): g = sqrt(r) g_0.

    residual : r in [0, 1], shape (...); 0 is convergence. starts : P_r(0) > 0 with sum below 1, shape (..., K). depths :
    D >= 1, rates : eta > 0, shape (..., K) or scalars. Returns :class:`Stop`. The sum of strengths grows with s, so that
    there is one s; it is found by bisection to the last bit.
    """
    left, p = real("residual", residual, 0.0, 1.0), np.atleast_1d(positive("starts", starts))
    p, d, r = np.broadcast_arrays(p, _depth(depths), positive("rates", rates))
    total = p.sum(axis=-1)
    if np.any(total >= 1.0):
        raise DomainError(f"starts must sum to less than 1 along the last axis; got {total[total >= 1.0].flat[0]:g}")
    goal = np.asarray(1.0 - np.sqrt(left) * (1.0 - total))
    p, d, r, goal = np.broadcast_arrays(p, d, r, goal[..., None])
    logs, goal = np.log(p), np.log(goal[..., 0])
    low, high = np.zeros(goal.shape), np.min(_clock(np.maximum(goal[..., None], logs), logs, d) / r, axis=-1)
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        for _ in range(1100):
            s = low + (high - low) / 2.0
            if np.all((s == low) | (s == high)):
                break
            short = logsumexp(_log_strength(r * s[..., None], logs, d), axis=-1) < goal
            low, high = np.where(short, s, low), np.where(short, high, s)
        strengths = np.exp(_log_strength(r * low[..., None], logs, d))
    done = (left == 1.0) & np.ones(low.shape, dtype=bool)
    return Stop(as_given(np.where(done, 0.0, low)), as_given(np.where(done[..., None], p, strengths)))


# ---------------------------------------------------------------- in training time


@vectorized()
def total_logistic(t: ArrayLike, *, start: ArrayLike, rate: ArrayLike = 1.0) -> Array:
    r"""Total strength of any number of chains of depth 2 with equal rates (race 2.4).

    .. math:: T(t) = \frac{1}{1 + (1/T_0 - 1)\,e^{-2\eta t}}, \qquad P_r = P_r(0)\,T/T_0

    t : training time >= 0. start : T_0 > 0. rate : eta > 0. All broadcast. Exact.
    """
    time, total, r = nonnegative("t", t), positive("start", start), positive("rate", rate)
    return as_given(np.asarray(total / (total + (1.0 - total) * np.exp(-2.0 * r * time))))


@vectorized()
def total_relaxation(t: ArrayLike, *, start: ArrayLike, rate: ArrayLike = 1.0) -> Array:
    r"""Total strength of any number of chains of depth 1 (race 2.4).

    .. math:: T(t) = 1 - (1 - T_0)\,e^{-At}, \qquad P_r = P_r(0) + \eta_r (T - T_0)/A, \quad A = \textstyle\sum_r\eta_r

    t : training time >= 0. start : T_0, real. rate : A > 0, the sum of the rates. All broadcast. Exact.
    """
    time, total, r = nonnegative("t", t), real("start", start), positive("rate", rate)
    return as_given(np.asarray(total * np.exp(-r * time) - np.expm1(-r * time)))


@vectorized(bits=1)
def prior_starts(bits: ArrayLike, *, scale: ArrayLike) -> Array:
    r"""The simplicity prior as a start: P_r(0) = scale 2^(-b_r) / sum_q 2^(-b_q).

    bits : description lengths, real, shape (..., K). scale : total strength > 0, shape (...). Exact.
    """
    b, size = real("bits", bits), positive("scale", scale)
    if b.ndim == 0:
        raise DomainError(f"bits must have the mechanisms along the last axis; got the single number {float(b):g}")
    logs = -b * np.log(2.0)
    return as_given(size[..., None] * np.exp(logs - logsumexp(logs, axis=-1, keepdims=True)))


# ---------------------------------------------------------------- in logarithms, without cancellation near depth 2


def _depth(value: ArrayLike) -> Array:
    return real("depth", value, 1.0)


def _chain(s: ArrayLike, start: ArrayLike, depth: ArrayLike, rate: ArrayLike) -> tuple[Array, Array, Array, Array]:
    s_, p, d, r = np.broadcast_arrays(
        nonnegative("s", s), positive("start", start), _depth(depth), positive("rate", rate)
    )
    return s_, p, d, r


def _log_strength(x: Array, log_start: Array, depth: Array) -> Array:
    """ln P after x = eta s: ln P_0 - D ln(1 - (D-2) x P_0^m)/(D-2), with its limit D x at D = 2; inf from the pole on."""
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        grown = x * np.exp((1.0 - 2.0 / depth) * log_start)
        inside = (depth - 2.0) * grown
        step = np.where(inside == 0.0, grown, -np.log1p(-inside) / np.where(depth == 2.0, 1.0, depth - 2.0))
        return np.where(inside >= 1.0, np.inf, log_start + depth * step)


def _clock(log_strength: Array, log_start: Array, depth: Array) -> Array:
    """eta s from one strength to another: P_0^(-m) (1 - e^(-m v)) / (D-2), v = ln(P/P_0), by exprel."""
    v, m = log_strength - log_start, 1.0 - 2.0 / depth
    return np.exp(-m * log_start) * v / depth * exprel(-m * v)
