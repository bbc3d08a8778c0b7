"""What is exactly known about the proxy-alignment model (proxy 4.1 to 4.3), as vectorized functions of numbers.

Training features have the covariance Sigma = [[1, alpha rho], [alpha rho, alpha^2]], the base target is w* = (1, 0), and
w' = -Sigma (w - w*). Arguments common to many functions, all broadcast:

alpha : > 0, availability of the proxy. rho : in [-1, 1], its correlation with the true feature in training.
w_true, w_proxy : the start, real. deploy_true, deploy_proxy : >= 0, standard deviations in deployment; deploy_rho : in
[-1, 1], the correlation there. target_true, target_proxy : the base target in deployment, real. noise : >= 0, variance
of the labels; samples : n > 0, the size of a training sample whose covariance is Sigma (a fixed design). With noise,
losses are expectations over the labels.
"""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import brentq

from toymesa.errors import ArgumentError, did_you_mean
from toymesa.theorems.arguments import Array, as_given, nonnegative, positive, real, vectorized

__all__ = [
    "BestStop",
    "Rates",
    "Weights",
    "best_stop",
    "deployment_loss",
    "largest_shrinkage_ratio",
    "leaving_time",
    "rates",
    "ridge_loss",
    "shrinkage_ratio",
    "slow_rate_law",
    "stationary_times",
    "weights",
]


class Rates(NamedTuple):
    """Eigenvalues of Sigma: the directions in which the weights relax fast and slowly."""

    fast: Array
    slow: Array


class Weights(NamedTuple):
    """Weights of the mesa-objective on the true feature and on the proxy."""

    w_true: Array
    w_proxy: Array


class BestStop(NamedTuple):
    """When to stop for the least expected deployment loss (inf: never), that loss, and the loss at convergence."""

    t: Array
    loss: Array
    converged: Array


# ---------------------------------------------------------------- 4.1


@vectorized()
def rates(alpha: ArrayLike, rho: ArrayLike) -> Rates:
    r"""The two relaxation rates (proxy 4.1), :math:`\frac{1+\alpha^2}{2} \pm \sqrt{(\frac{1-\alpha^2}{2})^2 + \alpha^2\rho^2}`.

    Exact; the slow one keeps its relative accuracy as |rho| -> 1, where it vanishes.
    """
    fast, slow, _, _ = _modes(*np.broadcast_arrays(positive("alpha", alpha), real("rho", rho, -1.0, 1.0)))
    return Rates(as_given(fast), as_given(slow))


@vectorized()
def slow_rate_law(alpha: ArrayLike, rho: ArrayLike) -> Array:
    r"""The law of the slow rate, :math:`(1-\rho^2)\,\alpha^2/(1+\alpha^2)` (proxy 4.1).

    Its limit as |rho| -> 1, and a lower bound for every rho.
    """
    a, r = np.broadcast_arrays(positive("alpha", alpha), real("rho", rho, -1.0, 1.0))
    return as_given((1.0 - r) * (1.0 + r) / (1.0 + 1.0 / a**2))


@vectorized()
def leaving_time(fraction: ArrayLike, *, alpha: ArrayLike, rho: ArrayLike) -> Array:
    r"""The time in which the slow direction falls to a fraction of its start, :math:`\ln(1/f)/\lambda_2` (proxy 4.1).

    fraction : f in (0, 1]. Diverges as :math:`(1 + 1/\alpha^2)\ln(1/f)/(1-\rho^2)`; inf at |rho| = 1. Exact.
    """
    f = real("fraction", fraction, 0.0, 1.0, low_open=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        time = -np.log(f) / rates(alpha, rho).slow
    return as_given(np.where(f == 1.0, 0.0, time))


@vectorized()
def weights(
    t: ArrayLike, *, alpha: ArrayLike, rho: ArrayLike, w_true: ArrayLike = 0.0, w_proxy: ArrayLike = 0.0
) -> Weights:
    r"""The weights at time t, :math:`w(t) = w^* + e^{-\Sigma t}(w_0 - w^*)` (proxy 4.1).

    t : >= 0, inf for convergence (at |rho| = 1 that is the nearest point of a line of fixed points). Exact.
    """
    case = _Case(alpha, rho, w_true=w_true, w_proxy=w_proxy)
    true, proxy = case.deviation(case.left(_time(t)))
    return Weights(as_given(1.0 + true), as_given(proxy))


# ---------------------------------------------------------------- 4.2


@vectorized()
def deployment_loss(t: ArrayLike, *, alpha: ArrayLike, rho: ArrayLike, **more: ArrayLike) -> Array:
    r"""Expected base loss in deployment when training stops at time t (proxy 4.2).

    .. math:: \tfrac12 (w-w_d)^T\Sigma_d(w-w_d) + \frac{s^2}{2n}\sum_i q_i \frac{(1-e^{-\lambda_i t})^2}{\lambda_i},
              \qquad q_i = e_i^T\Sigma_d e_i

    t : >= 0 or inf. more : any of w_true, w_proxy, deploy_true, deploy_proxy, deploy_rho, target_true, target_proxy,
    noise, samples (see the module). Irreducible noise in deployment is not counted. Exact.
    """
    case = _Case(alpha, rho, **more)
    return as_given(case.loss(case.left(_time(t))))


@vectorized()
def stationary_times(*, alpha: ArrayLike, rho: ArrayLike, **more: ArrayLike) -> Array:
    r"""The times at which the deployment loss stands still on its way to 0, in ascending order (proxy 4.2).

    .. math:: 2\lambda_1 A y^2 + (\lambda_1+\lambda_2) B y + 2\lambda_2 C = 0, \qquad y = e^{-(\lambda_1-\lambda_2)t}

    more : any of w_true, w_proxy, deploy_true, deploy_proxy, deploy_rho; the base target is realizable in deployment and
    the labels are clean. Returns shape (..., 2), NaN where there are fewer. Exact; a root y below 1e-15 stands for a
    coefficient C that is 0 up to rounding, and is none.
    """
    case = _Case(alpha, rho, **more)
    case.only_start_and_covariance("stationary_times")
    u1, u2 = case.parts
    a2 = case.fast * case.quadratic(u1, u1)
    a1 = (case.fast + case.slow) * case.quadratic(u1, u2)
    a0 = case.slow * case.quadratic(u2, u2)
    inside = a1 * a1 - 4.0 * a2 * a0
    with np.errstate(divide="ignore", invalid="ignore"):
        big = -0.5 * (a1 + np.where(a1 >= 0.0, 1.0, -1.0) * np.sqrt(np.where(inside >= 0.0, inside, np.nan)))
        y = np.stack([big / a2, a0 / big], axis=-1)
        times = -np.log(np.where((y > 1e-15) & (y < 1.0), y, np.nan)) / (case.fast - case.slow)[..., None]
    return np.sort(times, axis=-1)


@vectorized()
def best_stop(*, alpha: ArrayLike, rho: ArrayLike, **more: ArrayLike) -> BestStop:
    """The time of stopping with the least expected deployment loss (proxy 4.2).

    more : as in :func:`deployment_loss`. An interior time needs label noise or a shifted target (or |rho| = 1, where
    training cannot reach the target): otherwise t is inf and the loss 0. Numerical: all sign changes of the exact slope on a fine
    logarithmic grid, each root to rounding; the least of them, of the start and of the end.
    """
    case = _Case(alpha, rho, **more)
    shape = case.fast.shape
    found = np.array([_best(case.cell(i)) for i in range(case.fast.size)]).reshape(*shape, 3)
    return BestStop(*(as_given(found[..., i]) for i in range(3)))


def _best(case: _Case) -> tuple[float, float, float]:
    fast, slow = float(case.fast), float(case.slow)
    if not np.isfinite(fast):
        raise FloatingPointError("a rate")
    last = 60.0 / (slow if slow > 1e-300 else fast)
    grid = np.geomspace(1e-9 / fast, last, 1500)
    values = case.slope(grid)
    candidates = [0.0, np.inf]
    for i in np.flatnonzero(values[:-1] * values[1:] < 0.0):
        candidates.append(
            brentq(lambda s: float(case.slope(np.array(s))), grid[i], grid[i + 1], xtol=1e-15 * grid[i], rtol=1e-14)
        )
    losses = case.loss(case.left(np.array(candidates)))
    # of equal losses the end: a loss that only falls is never stopped
    order = min(range(len(candidates)), key=lambda i: (losses[i], -candidates[i]))
    return float(candidates[order]), float(losses[order]), float(losses[1])


# ---------------------------------------------------------------- 4.3


@vectorized()
def ridge_loss(penalty: ArrayLike, *, alpha: ArrayLike, rho: ArrayLike, **more: ArrayLike) -> Array:
    """Expected deployment loss of ridge regression with that penalty towards the start (proxy 4.3).

    penalty : > 0; the counterpart of stopping at t is 1/t. more : as in :func:`deployment_loss`. Where deployment looks
    like training, or weighs all directions alike, stopping costs at most ``largest_shrinkage_ratio().ratio ** 2`` times
    this (Ali, Kolter and Tibshirani 2019). Exact.
    """
    kappa = positive("penalty", penalty)
    case = _Case(alpha, rho, **more)
    return as_given(case.loss((kappa / (kappa + case.fast), kappa / (kappa + case.slow))))


@vectorized()
def shrinkage_ratio(x: ArrayLike) -> Array:
    r"""What stopping at t has learned of a direction over what ridge with penalty 1/t has, :math:`x = \lambda t` (4.3).

    .. math:: (1 - e^{-x}) \Big/ \frac{x}{1+x}

    x : >= 0. Between 1 and 1.29843. Exact.
    """
    x = nonnegative("x", x)
    safe = np.where(x > 0.0, x, 1.0)
    return as_given(np.where(x > 0.0, -np.expm1(-safe) / safe + -np.expm1(-safe), 1.0))


class Shrinkage(NamedTuple):
    """Where the ratio is largest, and how large."""

    x: float
    ratio: float


@cache
def largest_shrinkage_ratio() -> Shrinkage:
    """The largest :func:`shrinkage_ratio`, at the root x* of e^(-x)(1 + x + x^2) = 1 (proxy 4.3); (1.79328, 1.29843)."""
    x = float(brentq(lambda s: s - np.log1p(s + s * s), 1.0, 3.0, xtol=1e-15, rtol=1e-15))
    return Shrinkage(x, (1.0 + x) ** 2 / (1.0 + x + x * x))


# ---------------------------------------------------------------- one array of cases


def _time(t: ArrayLike) -> Array:
    given = np.asarray(t, dtype=np.float64) if np.asarray(t).dtype.kind in "iuf" else t
    finite = nonnegative("t", np.where(np.isposinf(given), 0.0, given) if isinstance(given, np.ndarray) else given)
    return np.where(np.isposinf(given), np.inf, finite) if isinstance(given, np.ndarray) else finite


def _modes(alpha: Array, rho: Array) -> tuple[Array, Array, Array, Array]:
    """Eigenvalues of Sigma, and cosine and sine of the angle of the fast direction."""
    larger = np.maximum(alpha, 1.0)
    one, two = 1.0 / larger, alpha / larger  # standard deviations of the features, the larger one as the unit
    lean, off = (one - two) * (one + two) / 2.0, one * two * rho
    fast = (one**2 + two**2) / 2.0 + np.hypot(lean, off)
    slow = two**2 * (1.0 - rho) * (1.0 + rho) / fast
    angle = np.arctan2(off, lean) / 2.0
    return fast * larger**2, slow, np.cos(angle), np.sin(angle)


_DEFAULTS = {
    "w_true": 0.0, "w_proxy": 0.0, "deploy_true": 1.0, "deploy_proxy": 1.0, "deploy_rho": 0.0, "target_true": 1.0,
    "target_proxy": 0.0, "noise": 0.0, "samples": 1.0,
}  # fmt: skip


class _Case:
    """Checked arguments, broadcast, and what follows from them."""

    def __init__(self, alpha: ArrayLike, rho: ArrayLike, **more: ArrayLike) -> None:
        for name in more:
            if name not in _DEFAULTS:
                raise ArgumentError(f"there is no argument {name!r}{did_you_mean(name, _DEFAULTS)}")
        self.given = frozenset(more)
        values: dict[str, Any] = {"alpha": positive("alpha", alpha), "rho": real("rho", rho, -1.0, 1.0)}
        for name, default in _DEFAULTS.items():
            value = more.get(name, default)
            if name == "samples":
                values[name] = positive(name, value)
            elif name in ("deploy_true", "deploy_proxy", "noise"):
                values[name] = nonnegative(name, value)
            else:
                values[name] = real(name, value, *((-1.0, 1.0) if name == "deploy_rho" else ()))
        self.values: dict[str, Array] = dict(zip(values, np.broadcast_arrays(*values.values()), strict=True))
        v = self.values
        self.fast, self.slow, self.cos, self.sin = _modes(v["alpha"], v["rho"])
        true, proxy = v["w_true"] - 1.0, v["w_proxy"]
        along, across = self.cos * true + self.sin * proxy, self.cos * proxy - self.sin * true
        self.parts = ((along * self.cos, along * self.sin), (-across * self.sin, across * self.cos))
        self.weights = tuple(self.quadratic(e, e) for e in ((self.cos, self.sin), (-self.sin, self.cos)))

    def cell(self, index: int) -> _Case:
        """One of the cases alone."""
        v = {n: float(x.flat[index]) for n, x in self.values.items()}
        return _Case(v.pop("alpha"), v.pop("rho"), **v)

    def only_start_and_covariance(self, who: str) -> None:
        """ArgumentError for arguments that belong to a shifted target or to noise."""
        if extra := sorted(self.given & {"target_true", "target_proxy", "noise", "samples"}):
            raise ArgumentError(f"{who} holds for a realizable target and clean labels; got {extra[0]}")

    def quadratic(self, u: tuple[Array, Array], v: tuple[Array, Array]) -> Array:
        """u.Sigma_d v, as a sum of products of deployed features: not negative for u = v, whatever the rounding."""
        s, p, r = (self.values[n] for n in ("deploy_true", "deploy_proxy", "deploy_rho"))
        one, two = s * u[0] + r * p * u[1], s * v[0] + r * p * v[1]
        return one * two + (1.0 - r) * (1.0 + r) * (p * u[1]) * (p * v[1])

    def left(self, t: Array) -> tuple[Array, Array]:
        """What is left of both directions at time t."""
        with np.errstate(under="ignore", invalid="ignore"):
            slow = np.where(np.isinf(t) & (self.slow == 0.0), 1.0, np.exp(-self.slow * t))
            return np.exp(-self.fast * t), slow

    def deviation(self, left: tuple[Array, Array]) -> tuple[Array, Array]:
        """w - w*."""
        (a, b), (c, d) = self.parts
        return a * left[0] + c * left[1], b * left[0] + d * left[1]

    def loss(self, left: tuple[Array, Array]) -> Array:
        """The expected deployment loss where that is left of both directions."""
        v = self.values
        true, proxy = self.deviation(left)
        gap = (1.0 - v["target_true"] + true, proxy - v["target_proxy"])
        spread = np.zeros_like(self.fast)
        for q, rate, part in zip(self.weights, (self.fast, self.slow), left, strict=True):
            spread = spread + q * np.where(rate > 0.0, (1.0 - part) ** 2 / np.where(rate > 0.0, rate, 1.0), 0.0)
        return self.quadratic(gap, gap) / 2.0 + v["noise"] / (2.0 * v["samples"]) * spread

    def slope(self, t: Array) -> Array:
        """d/dt of the loss, times e^(slow t), which has no say in its sign."""
        v = self.values
        left = np.exp(-self.fast * t), np.exp(-self.slow * t)
        scaled = np.exp(-(self.fast - self.slow) * t), np.ones_like(t)
        true, proxy = self.deviation(left)
        gap = (1.0 - v["target_true"] + true, proxy - v["target_proxy"])
        (a, b), (c, d) = self.parts
        moved = (
            -(self.fast * a * scaled[0] + self.slow * c * scaled[1]),
            -(self.fast * b * scaled[0] + self.slow * d * scaled[1]),
        )
        grown = sum(
            q * s * -np.expm1(-rate * t)
            for q, s, rate in zip(self.weights, scaled, (self.fast, self.slow), strict=True)
        )
        return self.quadratic(gap, moved) + v["noise"] / v["samples"] * grown
