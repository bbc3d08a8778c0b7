"""Averages over the spectrum of S = X^T X/n at finite size: exact moments, and Gauss rules made from them.

A Gauss rule of m nodes is exact for polynomials of degree below 2m. The recurrence of its orthogonal polynomials is
computed in rational numbers (Chebyshev's algorithm, Gautschi 2004, section 2.1.7), so that nothing is lost, and its nodes
and weights in floating point (Golub and Welsch 1969). The loss after k steps is then a sum of positive terms for every k,
where its polynomial in the step size would cancel.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import flint
import numpy as np
from numpy.typing import ArrayLike
from scipy.linalg import eigh_tridiagonal
from scipy.optimize import brentq

from toymesa.errors import ToymesaWarning
from toymesa.symbolic.wishart import trace_moments
from toymesa.theorems.arguments import Array, as_given, count, nonnegative, one_count, real, vectorized

_LARGEST = 2**53  # up to which every whole number is a floating-point number
_MOST_NODES = 101  # of a rule: the exact arithmetic behind it takes a second for 50 of them, 15 for a hundred


class Spectrum(NamedTuple):
    """A Gauss rule for (1/d) E tr f(S): sum of weights times f(nodes)."""

    nodes: Array
    weights: Array


@cache
def _rule(d: int, n: int, size: int) -> Spectrum:
    exact = [flint.fmpq(m, d) for m in trace_moments(2 * size - 1, d, n)]
    before, now = [flint.fmpq(0)] * (2 * size), exact
    a, b = [now[1] / now[0]], [flint.fmpq(1)]
    for k in range(1, size):
        after = [flint.fmpq(0)] * (2 * size)
        for l in range(k, 2 * size - k):
            after[l] = now[l + 1] - a[-1] * now[l] - b[-1] * before[l]
        b.append(after[k] / now[k - 1])
        a.append(after[k + 1] / after[k] - now[k] / now[k - 1])
        before, now = now, after
    diagonal = np.array([_float(v / n) for v in a])
    beside = np.sqrt([_float(v / n**2) for v in b[1:]])
    nodes, vectors = eigh_tridiagonal(diagonal, beside)
    return Spectrum(np.maximum(nodes, 0.0), vectors[0] ** 2)  # eigenvalues of S are not negative


def _float(value: flint.fmpq) -> float:
    return int(value.p) / int(value.q)


def _sizes(dimension: ArrayLike, context: ArrayLike) -> tuple[Array, Array]:
    return count("dimension", dimension, 1, _LARGEST), count("context", context, 1, _LARGEST)


@vectorized()
def spectrum(*, dimension: int, context: int, size: int = 16) -> Spectrum:
    """Nodes and weights of the Gauss rule for the averaged spectrum of S, exact for polynomials of degree < 2 size.

    dimension, context : whole numbers >= 1, size : from 1 to 101. Exact up to the rounding of nodes and weights (1e-15 of
    the largest).
    """
    d, n = one_count("dimension", dimension, 1, _LARGEST), one_count("context", context, 1, _LARGEST)
    return _rule(d, n, one_count("size", size, 1, _MOST_NODES))


@vectorized()
def moments(order: int, *, dimension: int, context: int) -> Array:
    """E tr S^j / d for j = 0 ... order (in_context 5.2): exact rational numbers, rounded once.

    order : whole number, 0 to 120 (the work grows like its cube). dimension, context : whole numbers >= 1. inf where a
    moment is above 1e308.
    """
    j = one_count("order", order, 0, 120)
    d, n = one_count("dimension", dimension, 1, _LARGEST), one_count("context", context, 1, _LARGEST)
    out = []
    for power, m in enumerate(trace_moments(j, d, n)):
        try:
            out.append(m / (d * n**power))
        except OverflowError:
            out.append(np.inf)
    return np.array(out)


@vectorized()
def loss(
    step_size: ArrayLike, *, steps: ArrayLike = 1, dimension: ArrayLike, context: ArrayLike, noise: ArrayLike = 0.0
) -> Array:
    r"""The loss after k inner steps (in_context 5.2).

    .. math:: \ell = \tfrac12\,\mathbb{E}\,\tfrac1d \operatorname{tr}
        \bigl[(1-\eta S)^{2k} + \tfrac{\sigma^2}{n} (1-(1-\eta S)^k)^2 S^{-1}\bigr]

    step_size : eta, real. steps : k, 1 to 100. dimension, context : whole numbers >= 1. noise : sigma^2 >= 0. All
    broadcast. Exact (a Gauss rule of k+1 nodes; relative error about 1e-14 k). The rule of a size is made once; the work
    grows like k^3, to about a second at k = 50. With many steps the average can be that of rare contexts in which the run
    diverges (eta S > 2): it is large although the typical loss is small.
    """

    def value(eta: Array, k: Array, ratio: Array, s: Spectrum) -> Array:
        left = 1.0 - eta * s.nodes
        return (left ** (2.0 * k) + ratio * _fitted(eta, k, s.nodes)) @ s.weights / 2.0

    return _averaged(value, real("step_size", step_size), steps, dimension, context, noise)


@vectorized()
def best_step(*, steps: ArrayLike = 1, dimension: ArrayLike, context: ArrayLike, noise: ArrayLike = 0.0) -> Array:
    """The step size eta with the smallest loss after k steps (in_context 5.2): what training reaches.

    Arguments as in :func:`loss`. 1/gamma for k = 1. Numerical for k > 1: the roots of the exact derivative on [0, 2] (no
    larger step beats none, by Jensen's inequality), to the last digits.
    """

    def value(_: Array, k: Array, ratio: Array, s: Spectrum) -> Array:
        return np.array([_smallest(int(m), float(r), s) for m, r in zip(k[:, 0], ratio[:, 0], strict=True)])

    return _averaged(value, np.zeros(()), steps, dimension, context, noise)


@vectorized()
def loss_in_time(
    inner_time: ArrayLike, *, dimension: ArrayLike, context: ArrayLike, noise: ArrayLike = 0.0, size: int = 32
) -> Array:
    r"""The loss after inner time tau, the limit of many small steps (in_context 5.3).

    .. math:: \ell = \tfrac12\,\mathbb{E}\,\tfrac1d \operatorname{tr}
        \bigl[e^{-2\tau S} + \tfrac{\sigma^2}{n} (1-e^{-\tau S})^2 S^{-1}\bigr]

    inner_time : tau >= 0. dimension, context : whole numbers >= 1. noise : sigma^2 >= 0. All broadcast. size : nodes of
    the Gauss rule, 4 to 101. Numerical: a ToymesaWarning says where a rule of 3/4 of the nodes differs by more than 1e-6 (large
    tau where S is nearly singular); then take more nodes, or :func:`limit_loss` for large sizes.
    """

    def value(tau: Array, k: Array, ratio: Array, s: Spectrum) -> Array:
        gone = -np.expm1(-tau * s.nodes)
        safe = np.where(s.nodes > 0.0, s.nodes, 1.0)
        return (np.exp(-2.0 * tau * s.nodes) + ratio * gone**2 / safe) @ s.weights / 2.0

    tau, size = nonnegative("inner_time", inner_time), one_count("size", size, 4, _MOST_NODES)
    fine, coarse = (
        np.asarray(_averaged(value, tau, 1, dimension, context, noise, size=m)) for m in (size, 3 * size // 4)
    )
    larger = np.maximum(fine, coarse)  # both are 0 where e^(-2 tau S) is, at every node: nothing is known of the loss
    gap = float(
        np.max(np.where(larger > 0.0, np.abs(fine - coarse) / np.where(larger > 0.0, larger, 1.0), 1.0), initial=0.0)
    )
    if gap > 1e-6:
        warnings.warn(
            f"{size} nodes leave a relative error of up to {gap:.1g}; use a larger size, or limit_loss for large sizes",
            ToymesaWarning,
            stacklevel=2,
        )
    return as_given(fine)


def _averaged(
    value: Callable[[Array, Array, Array, Spectrum], Array],
    x: Array,
    steps: ArrayLike,
    dimension: ArrayLike,
    context: ArrayLike,
    noise: ArrayLike,
    size: int | None = None,
) -> Array:
    """Evaluate with the rule that belongs to each (dimension, context, steps); arguments come as columns."""
    x, k, d, n, sigma2 = np.broadcast_arrays(
        x, count("steps", steps, 1, _MOST_NODES - 1), *_sizes(dimension, context), nonnegative("noise", noise)
    )
    out = np.empty(x.shape)
    keys = np.stack([d.ravel(), n.ravel(), k.ravel()])
    for key in np.unique(keys, axis=1).T:
        here = (d == key[0]) & (n == key[1]) & (k == key[2])
        rule = _rule(int(key[0]), int(key[1]), int(key[2]) + 1 if size is None else size)
        out[here] = value(x[here][:, None], k[here][:, None], (sigma2 / n)[here][:, None], rule)
    return as_given(out)


def _fitted(eta: Array, k: Array, nodes: Array) -> Array:
    """(1 - (1 - eta x)^k)^2 / x, without cancellation for small x."""
    step = eta * nodes
    with np.errstate(invalid="ignore", divide="ignore"):
        small = -np.expm1(k * np.log1p(-np.where(np.abs(step) < 0.5, step, 0.0)))
        gone = np.where(np.abs(step) < 0.5, small, 1.0 - (1.0 - step) ** k)
        return np.where(nodes > 0.0, gone**2 / nodes, 0.0)


def _smallest(k: int, ratio: float, s: Spectrum) -> float:
    """The minimum on [0, 2] among the roots of the derivative."""

    def slope(eta: Array | float) -> Array:
        left = 1.0 - np.asarray(eta)[..., None] * s.nodes
        return (-k * s.nodes * left ** (2 * k - 1) + ratio * k * (1.0 - left**k) * left ** (k - 1)) @ s.weights

    def height(eta: float) -> float:
        row = np.array([[eta]])
        return float(
            (((1.0 - row * s.nodes) ** (2 * k) + ratio * _fitted(row, np.array([[k]]), s.nodes)) @ s.weights)[0]
        )

    grid = np.linspace(0.0, 2.0, 2001)
    values = slope(grid)
    up = np.flatnonzero((values[:-1] < 0.0) & (values[1:] >= 0.0))
    roots = [
        float(brentq(lambda eta: float(slope(eta)), grid[i], grid[i + 1], xtol=1e-300, rtol=1e-15, maxiter=5000))
        for i in up
    ]
    return min(roots, key=height)
