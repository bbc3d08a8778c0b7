"""One inner step: the course of the learned step size, any covariance, misaligned mesa-objectives, separate heads."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from toymesa.errors import ArgumentError, DomainError
from toymesa.theorems import capability, depth
from toymesa.theorems.arguments import Array, as_given, exponent, nonnegative, positive, real, scalar, vectorized


class StepFactors(NamedTuple):
    """The two factors of the learned step size."""

    value: Array
    key: Array


@vectorized()
def spread(*, dimension: ArrayLike, context: ArrayLike, noise: ArrayLike = 0.0) -> Array:
    """gamma = 1 + (d + 1 + sigma^2)/n (in_context 5.1): the best step is 1/gamma, its loss (1 - 1/gamma)/2.

    dimension, context : >= 1. noise : sigma^2 >= 0. All broadcast. Exact.
    """
    d, n = real("dimension", dimension, 1.0), real("context", context, 1.0)
    return as_given(1.0 + (d + 1.0 + nonnegative("noise", noise)) / n)


@vectorized()
def course(
    t: ArrayLike,
    *,
    value: ArrayLike,
    key: ArrayLike,
    dimension: ArrayLike,
    context: ArrayLike,
    noise: ArrayLike = 0.0,
    rate_value: ArrayLike = 1.0,
    rate_key: ArrayLike = 1.0,
) -> StepFactors:
    """u(t) and v(t) while the step size of a single inner step is learned (in_context 5.1).

    Capability times objective with the target 1/gamma, in the time gamma t. t : training time >= 0. value, key : the
    start, real. rates : > 0. Others as in :func:`spread`. All broadcast. Exact.
    """
    gamma = np.asarray(spread(dimension=dimension, context=context, noise=noise))
    found = capability.course(
        nonnegative("t", t) * gamma,
        kappa=real("value", value),
        w=real("key", key),
        target=1.0 / gamma,
        rate_capability=positive("rate_value", rate_value),
        rate_objective=positive("rate_key", rate_key),
    )
    return StepFactors(*found)


@vectorized()
def white_logistic(t: ArrayLike, *, dimension: ArrayLike, context: ArrayLike, start: ArrayLike) -> Array:
    r"""Product of value and key-query in the matrix form of Zhang, Frei and Bartlett 2023, white inputs (in_context 5.5).

    .. math:: p(t) = \frac{1/\gamma}{1 + (1/(\gamma p_0) - 1)\,e^{-2\sqrt d\,t}}, \qquad \gamma = 1 + \frac{d+1}{n}

    A scalar value and a d x d key-query, balanced, descending on E|error|^2/2 (d times the loss here). t : >= 0.
    dimension, context : >= 1. start : p_0 > 0. All broadcast. Exact.
    """
    d, p0 = real("dimension", dimension, 1.0), positive("start", start)
    gamma = np.asarray(spread(dimension=d, context=context))
    return capability.product(nonnegative("t", t) * gamma, target=1.0 / gamma, start=p0, rate=np.sqrt(d))


# ---------------------------------------------------------------- any covariance


@vectorized(covariance=2)
def preconditioner(covariance: ArrayLike, *, context: float, noise: float = 0.0) -> Array:
    r"""The best preconditioner of one inner step (in_context 5.5), what gradient flow builds.

    .. math:: \Gamma^{-1}, \quad \Gamma = (1 + \tfrac1n)\,\Lambda + \tfrac{\operatorname{tr}\Lambda + \sigma^2}{n}\,I

    covariance : Lambda, d x d, symmetric positive semidefinite. context : n >= 1. noise : sigma^2 >= 0. Exact.
    """
    return np.asarray(
        np.linalg.inv(_gamma(_covariance("covariance", covariance), _context(context), _noise(noise))), dtype=np.float64
    )


@vectorized(matrix=2, covariance=2)
def preconditioned_loss(matrix: ArrayLike, *, covariance: ArrayLike, context: float, noise: float = 0.0) -> float:
    r"""The loss of one inner step with any preconditioner P (in_context 5.4).

    .. math:: \ell = \tfrac1{2d}\operatorname{tr}\bigl[\Lambda - \Lambda(P + P^T)\Lambda + P^T\Lambda P\,\Lambda\Gamma\bigr]

    matrix : P, d x d. Others as in :func:`preconditioner`. Exact.
    """
    l = _covariance("covariance", covariance)
    p = _matrix("matrix", matrix, len(l))
    gamma = _gamma(l, _context(context), _noise(noise))
    return float(np.trace(l - l @ (p + p.T) @ l + p.T @ l @ p @ l @ gamma)) / (2 * len(l))


@vectorized(weights=2, covariance=2)
def best_weighted_step(weights: ArrayLike, *, covariance: ArrayLike, context: float, noise: float = 0.0) -> float:
    r"""The step size that training gives to a mesa-objective on weighted features M x (in_context 5.4).

    .. math:: \eta^* = \frac{\operatorname{tr}\Lambda M^2\Lambda}{\operatorname{tr} M^2\Lambda M^2\,\Lambda\Gamma}

    weights : M, d x d symmetric, with M Lambda not 0; one step on it is one step with the preconditioner eta M^2.
    Others as in :func:`preconditioner`. Exact.
    """
    l = _covariance("covariance", covariance)
    m = _matrix("weights", weights, len(l))
    if not np.allclose(m, m.T, rtol=1e-12, atol=0.0):
        raise DomainError("weights must be a symmetric matrix; got one that is not")
    in_m, in_l = (
        exponent(m.max(), m.min()),
        exponent(l.max()),
    )  # units in which no product leaves the range of the numbers
    m, l = np.ldexp(m, -in_m), np.ldexp(l, -in_l)
    square = m @ m
    top = float(np.trace(l @ square @ l))
    if top <= 0.0:
        raise DomainError("weights must leave some feature of positive variance; got none")
    gamma = _gamma(l, _context(context), float(np.ldexp(_noise(noise), -in_l)))
    return float(np.ldexp(top / np.trace(square @ l @ square @ l @ gamma), -2 * in_m - in_l))


@vectorized(weights=2, covariance=2, deploy_covariance=2)
def misaligned_loss(
    weights: ArrayLike,
    *,
    covariance: ArrayLike,
    context: float,
    noise: float = 0.0,
    deploy_covariance: ArrayLike | None = None,
    deploy_context: float | None = None,
    deploy_noise: float | None = None,
) -> float:
    """The loss in deployment of a mesa-objective on weighted features M x, its step size learned in training (5.4).

    weights, covariance, context, noise : as in :func:`best_weighted_step`. deploy_* : the same in deployment; those not
    given are as in training. Exact. Aligned (M proportional to Gamma^(-1/2)) it is the loss of :func:`preconditioner`.
    """
    eta = best_weighted_step(weights, covariance=covariance, context=context, noise=noise)
    m = np.asarray(weights, dtype=float)
    return preconditioned_loss(
        eta * m @ m,
        covariance=covariance if deploy_covariance is None else deploy_covariance,
        context=context if deploy_context is None else deploy_context,
        noise=noise if deploy_noise is None else deploy_noise,
    )


# ---------------------------------------------------------------- separate heads


@vectorized(variances=1)
def saddle_losses(variances: ArrayLike, *, context: ArrayLike, noise: ArrayLike = 0.0) -> Array:
    r"""Losses of the saddles that separate heads pass, m = 0 ... d learned (in_context 5.6).

    .. math:: \ell_m = \tfrac1{2d}\Bigl[\operatorname{tr}\Lambda - \sum_{i \le m}
        \frac{\lambda_i}{1 + (1 + (\operatorname{tr}\Lambda + \sigma^2)/\lambda_i)/n}\Bigr]

    variances : one axis of lambda_i > 0, in any order (the largest are learned first). context : n >= 1, noise : sigma^2
    >= 0; both broadcast in front of the axis of m. Exact. Zhang, Singh, Latham and Saxe 2025 give 2 d times this.
    """
    l = positive("variances", variances)
    if l.ndim != 1 or l.size == 0:
        raise ArgumentError(f"variances must have one axis of at least one entry; got the shape {l.shape}")
    l = np.sort(l)[::-1]
    n, sigma2 = (np.asarray(x)[..., None] for x in (real("context", context, 1.0), nonnegative("noise", noise)))
    total = l.sum()
    won = l / (1.0 + (1.0 + (total + sigma2) / l) / n)
    left = np.concatenate([np.zeros((*won.shape[:-1], 1)), np.cumsum(won, axis=-1)], axis=-1)
    return (total - left) / (2 * l.size)


@vectorized()
def head_time(
    head: ArrayLike, *, start: ArrayLike, variance: ArrayLike, spread: ArrayLike, dimension: ArrayLike
) -> Array:
    r"""When a separate head has grown to x (in_context 5.6), with three balanced factors x and p = x^3.

    .. math:: t = \frac{d}{\lambda^2}\int_{x_0}^{x} \frac{d\xi}{\xi^2 (1 - \Gamma \xi^3)}, \qquad
        \approx \frac{d}{\lambda^2 x_0} \text{ from small starts}

    The course of a mode of depth 3 (:func:`toymesa.theorems.depth.time_to_reach`). head, start : x, x_0 > 0. variance :
    lambda > 0. spread : Gamma > 0, the inverse of what the head converges to. dimension : d >= 1. All broadcast. Negative
    where x lies behind the start, inf at x^3 = 1/Gamma, nan beyond. Relative error about 1e-13.
    """
    x, x0, g = positive("head", head), positive("start", start), positive("spread", spread)
    pace = positive("variance", variance) ** 2 * g / real("dimension", dimension, 1.0)
    return as_given(np.asarray(depth.time_to_reach(x**3, target=1.0 / g, start=x0**3, depth=3.0) / pace))


@vectorized()
def head_course(
    t: ArrayLike, *, start: ArrayLike, variance: ArrayLike, spread: ArrayLike, dimension: ArrayLike
) -> Array:
    """x(t) of a separate head (in_context 5.6), the inverse of :func:`head_time`, with its arguments. t : >= 0."""
    x0, g = positive("start", start), positive("spread", spread)
    pace = positive("variance", variance) ** 2 * g / real("dimension", dimension, 1.0)
    strength = depth.course(nonnegative("t", t) * pace, target=1.0 / g, start=x0**3, depth=3.0)
    return as_given(np.asarray(np.cbrt(strength)))


# ---------------------------------------------------------------- the pieces


def _context(value: float) -> float:
    return scalar("context", value, 1.0)


def _noise(value: float) -> float:
    return scalar("noise", value, 0.0)


def _matrix(name: str, value: ArrayLike, size: int) -> Array:
    m = real(name, value)
    if m.shape != (size, size):
        raise ArgumentError(f"{name} must be a {size} x {size} matrix; got the shape {m.shape}")
    return m


def _covariance(name: str, value: ArrayLike) -> Array:
    m = real(name, value)
    if m.ndim != 2 or m.shape[0] != m.shape[1] or m.size == 0:
        raise ArgumentError(f"{name} must be a square matrix; got the shape {m.shape}")
    scale = np.abs(m).max()
    if np.abs(m - m.T).max() > 1e-12 * scale or np.linalg.eigvalsh(m).min() < -1e-12 * scale:
        raise DomainError(f"{name} must be symmetric and positive semidefinite; got a matrix that is not")
    return m


def _gamma(l: Array, n: float, sigma2: float) -> Array:
    return (1.0 + 1.0 / n) * l + (np.trace(l) + sigma2) / n * np.eye(len(l))
