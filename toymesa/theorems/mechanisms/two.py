"""Conserved quantities, and two mechanisms under a linear gate, solved (mechanisms 1.2 and 1.3).

The gated model: y = (1-d) w + d m, error g = 1 - y, w' = eta_w g (1-d), m' = eta_m g d, d' = n eta_d g (m - w), without
decay and pressure. In internal time s, ds = g dt, it is linear. With S = eta_w + eta_m, kappa = sqrt(n eta_d S),
z = m - w and q = d - eta_w/S the combinations G = z sqrt(n eta_d) + q sqrt(S) and H = z sqrt(n eta_d) - q sqrt(S) are
G_0 e^(kappa s) and H_0 e^(-kappa s), and the error is

    g(s) = g_0 - (eta_w eta_m/S) s - [G_0^2 (e^(2 kappa s) - 1) + H_0^2 (1 - e^(-2 kappa s))]/(4 kappa),

a decreasing function of s with exactly one root, where training converges.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import logsumexp

from toymesa.errors import ArgumentError, DomainError
from toymesa.theorems.arguments import Array, as_given, known, positive, real, vectorized

_PANELS = 60  # each half as wide as the one before
_NODES, _WEIGHTS = (0.5 * (np.polynomial.legendre.leggauss(16)[i] + (1.0 - i)) for i in (0, 1))  # on [0, 1]


class GatedState(NamedTuple):
    """Contents w and m, gate d, and the error g = 1 - y left."""

    w: Array
    m: Array
    d: Array
    error: Array


class GatedStop(NamedTuple):
    """Where training stopped: internal time s, training time t, contents, gate and error."""

    s: Array
    t: Array
    w: Array
    m: Array
    d: Array
    error: Array


# ---------------------------------------------------------------- 1.2


@vectorized(contents=1, reliances=1, log_odds=1, rates=1)
def polarization(
    contents: ArrayLike,
    *,
    reliances: ArrayLike | None = None,
    log_odds: ArrayLike | None = None,
    diversity: ArrayLike,
    gate_rate: ArrayLike = 1.0,
    rates: ArrayLike = 1.0,
) -> Array:
    r"""The conserved quantity of K perfect mechanisms without decay and pressure (mechanisms 1.2).

    .. math:: \tfrac12 n \eta_p A \operatorname{Var}_\alpha(c) - \mathrm{KL}(\alpha\,\|\,p), \quad
              A = \sum_r 1/\eta_r, \quad \alpha_r = 1/(\eta_r A)

    contents : c_r, shape (..., K). The reliances either as ``reliances`` (positive, sum 1) or as ``log_odds`` (their
    logarithms up to a common constant, so that e^(-1000) is an ordinary value), shape (..., K). diversity, gate_rate :
    > 0, shape (...). rates : content rates > 0, shape (..., K) or a scalar.

    Constant along every trajectory: contents cannot spread apart without reliance polarizing, and conversely. Exact.
    """
    c, eta = real("contents", contents), positive("rates", rates)
    if (reliances is None) == (log_odds is None):
        raise ArgumentError("give the reliances either as reliances or as log_odds, and not as both")
    if reliances is not None:
        p = positive("reliances", reliances)
        if np.any(np.abs(p.sum(axis=-1) - 1.0) > 1e-9):
            raise DomainError(f"reliances must sum to 1 along the last axis; got {p.sum(axis=-1).flat[0]:g}")
        log_p = np.log(p)
    else:
        odds = real("log_odds", log_odds)  # type: ignore[arg-type]  # not None: one of the two is given
        log_p = odds - logsumexp(odds, axis=-1, keepdims=True)
    if c.ndim == 0 or log_p.ndim == 0:
        raise DomainError("contents and reliances must have the mechanisms along their last axis; got a single number")
    c, eta, log_p = np.broadcast_arrays(c, eta, log_p)
    total = (1.0 / eta).sum(axis=-1)
    alpha = 1.0 / eta / total[..., None]
    mean = (alpha * c).sum(axis=-1, keepdims=True)
    spread = (alpha * (c - mean) ** 2).sum(axis=-1)
    divergence = (alpha * (np.log(alpha) - log_p)).sum(axis=-1)
    n, rate = positive("diversity", diversity), positive("gate_rate", gate_rate)
    return as_given(np.asarray(0.5 * n * rate * total * spread - divergence))


# ---------------------------------------------------------------- 1.3


@vectorized()
def separatrix(
    w: ArrayLike,
    m: ArrayLike,
    d: ArrayLike,
    *,
    diversity: ArrayLike,
    rate_w: ArrayLike = 1.0,
    rate_m: ArrayLike = 1.0,
    rate_d: ArrayLike = 1.0,
) -> Array:
    r"""G, whose sign is kept for ever and says which mechanism grows (mechanisms 1.3).

    .. math:: G = (m - w)\sqrt{n\eta_d} + \Bigl(d - \frac{\eta_w}{\eta_w+\eta_m}\Bigr)\sqrt{\eta_w+\eta_m}, \qquad
              G(s) = G_0\,e^{\kappa s}

    w, m, d : contents and gate, real. diversity and rates : > 0. All broadcast. Positive: mechanism m grows; negative:
    w; zero: neither ever wins. This sign is what the start decides; m > w or d > 1/2 at the stop can differ from it,
    because training ends at a finite s. Exact.
    """
    case = _Gated(w, m, d, diversity, rate_w, rate_m, rate_d)
    return as_given(case.grow)


@vectorized()
def gated_solution(
    s: ArrayLike,
    *,
    w: ArrayLike,
    m: ArrayLike,
    d: ArrayLike,
    diversity: ArrayLike,
    rate_w: ArrayLike = 1.0,
    rate_m: ArrayLike = 1.0,
    rate_d: ArrayLike = 1.0,
) -> GatedState:
    r"""The state at internal time s (mechanisms 1.3).

    .. math:: z = z_0 \cosh\kappa s + \tfrac{S}{\kappa} q_0 \sinh\kappa s, \quad
              q = q_0 \cosh\kappa s + \tfrac{\kappa}{S} z_0 \sinh\kappa s, \quad
              w = w_0 + \eta_w [(1-d^*)s - Q], \quad m = m_0 + \eta_m [d^* s + Q], \quad Q = \smallint_0^s q

    s : real; training from an error g > 0 runs from 0 to the root of g, :func:`gated_stop` with residual 0 (beyond it
    the formula continues the curve, which training does not). w, m, d : the start, real. diversity and rates : > 0. All
    broadcast. Exact; a value beyond the largest number is inf.
    """
    case = _Gated(w, m, d, diversity, rate_w, rate_m, rate_d)
    return GatedState(*(as_given(known(v)) for v in case.at(real("s", s))))


@vectorized()
def gated_stop(
    residual: ArrayLike,
    *,
    w: ArrayLike,
    m: ArrayLike,
    d: ArrayLike,
    diversity: ArrayLike,
    rate_w: ArrayLike = 1.0,
    rate_m: ArrayLike = 1.0,
    rate_d: ArrayLike = 1.0,
) -> GatedStop:
    r"""Where training stops that leaves the fraction r = (g/g_0)^2 of the loss (mechanisms 1.3).

    residual : r in [0, 1]; 0 is convergence, at the finite s of the root of g, after infinite time t. w, m, d : the
    start, real, with an error of either sign (s is negative for g < 0; from g = 0 training does not move). diversity
    and rates : > 0. All broadcast.

    The states are exact functions of s; s is a root by bisection to the last bits, and t = int ds/g a quadrature
    (composite Gauss-Legendre in the logarithm of the distance to the root, relative error below 1e-10).
    """
    r = real("residual", residual, 0.0, 1.0)
    case = _Gated(w, m, d, diversity, rate_w, rate_m, rate_d)
    s, t = (known(v) for v in case.stop(r))
    state = case.at(s)
    left = case.error * np.sqrt(r)
    return GatedStop(
        *(as_given(np.asarray(v)) for v in (s, t, state.w, state.m, state.d, np.broadcast_to(left, s.shape)))
    )


class _Gated:
    """One array of cases: start, rates and what follows from them."""

    def __init__(self, *given: ArrayLike) -> None:
        names = ("w", "m", "d", "diversity", "rate_w", "rate_m", "rate_d")
        checked = [real(n, v) if i < 3 else positive(n, v) for i, (n, v) in enumerate(zip(names, given, strict=True))]
        self.w, self.m, self.d, n, self.eta_w, self.eta_m, eta_d = np.broadcast_arrays(*checked)
        self.total = self.eta_w + self.eta_m
        self.center = self.eta_w / self.total
        self.drift = self.eta_w / self.total * self.eta_m  # what y gains per unit of s at least
        self.gain = np.sqrt(n) * np.sqrt(eta_d)
        self.kappa = self.gain * np.sqrt(self.total)
        content, gate = (self.m - self.w) * self.gain, (self.d - self.center) * np.sqrt(self.total)
        self.grow, self.fall = content + gate, content - gate
        self.error = 1.0 - ((1.0 - self.d) * self.w + self.d * self.m)

    def at(self, s: Array) -> GatedState:
        """The state at s."""
        x = self.kappa * s
        scale = 2.0 * np.sqrt(self.total)
        moved = (_times(self.grow, np.expm1, x) - _times(self.fall, np.expm1, -x)) / scale  # q(s) - q(0)
        area = (_times(self.grow, np.expm1, x) + _times(self.fall, np.expm1, -x)) / (scale * self.kappa)
        w = self.w + self.eta_w * ((1.0 - self.center) * s - area)
        m = self.m + self.eta_m * (self.center * s + area)
        fed = _times(self.grow**2, np.expm1, 2.0 * x) - _times(self.fall**2, np.expm1, -2.0 * x)
        return GatedState(w, m, self.d + moved, self.error - self.drift * s - fed / (4.0 * self.kappa))

    def stop(self, r: Array) -> tuple[Array, Array]:
        """s and t where g = sqrt(r) g_0. A start with g < 0 runs to negative s: mirrored, it is the same problem."""
        ahead = self.error >= 0.0
        with np.errstate(over="ignore"):
            grow = np.where(ahead, self.grow, self.fall) ** 2
            fall = np.where(ahead, self.fall, self.grow) ** 2
        run = _Run(*np.broadcast_arrays(self.drift, 2.0 * self.kappa, np.abs(self.error), grow, fall, r))
        s, t = run.solve()
        return np.where(ahead, s, -s), t


class _Run:
    """The error along s for g_0 >= 0, and its integrals; ``pace`` is 2 kappa."""

    def __init__(self, drift: Array, pace: Array, start: Array, grow: Array, fall: Array, r: Array) -> None:
        self.drift, self.pace, self.start, self.grow, self.fall, self.r = drift, pace, start, grow, fall, r

    def learned(self, s: Array) -> Array:
        """g_0 - g(s)."""
        fed = _times(self.grow, np.expm1, self.pace * s) - _times(self.fall, np.expm1, -self.pace * s)
        return np.asarray(self.drift * s + fed / (2.0 * self.pace))

    def left(self, delta: Array, end: Array) -> Array:
        """g at s = end - delta, without cancellation near the root ``end``."""
        swing = _times(self.grow, np.exp, self.pace * end) + _times(self.fall, np.exp, -self.pace * (end - delta))
        return np.asarray(self.drift * delta - np.expm1(-self.pace * delta) * swing / (2.0 * self.pace))

    def solve(self) -> tuple[Array, Array]:
        """s and t at the residual r."""
        root_r = np.sqrt(self.r)
        end = _increasing_root(self.learned, self.start)
        s = _increasing_root(self.learned, self.start * ((1.0 - self.r) / (1.0 + root_r)))
        s = np.where(self.r == 0.0, end, s)
        delta = _increasing_root(lambda x: self.left(np.minimum(x, end), end), self.start * root_r)
        still = self.start == 0.0
        with np.errstate(divide="ignore", invalid="ignore"):
            time = self._time(s, np.minimum(delta, end), end)
        return np.where(still, 0.0, s), np.where(still | (self.r == 1.0), 0.0, np.where(self.r == 0.0, np.inf, time))

    def _time(self, s: Array, delta: Array, end: Array) -> Array:
        """int_0^s ds/g: halving panels from the middle towards s = 0, and towards the root in ln delta."""
        half = end / 2.0
        total = np.zeros(end.shape)
        for j in range(_PANELS):  # in s, where s < end/2
            low = np.minimum(half * (0.5 ** (j + 1) if j < _PANELS - 1 else 0.0), s)
            high = np.minimum(half * 0.5**j, s)
            for x, weight in zip(_NODES, _WEIGHTS, strict=True):
                at = low + (high - low) * x
                total = total + weight * (high - low) / self.left(end - at, end)
        delta = np.minimum(delta, half)
        for j in range(_PANELS):  # in ln delta, where s > end/2
            high = np.maximum(half * 0.5**j, delta)
            low = np.maximum(half * 0.5 ** (j + 1), delta) if j < _PANELS - 1 else delta
            width = np.log(high / low)
            for x, weight in zip(_NODES, _WEIGHTS, strict=True):
                at = high * np.exp(-width * x)
                total = total + weight * width * at / self.left(at, end)
        return total


def _times(coefficient: Array, function: Callable[[Array], Array], x: Array) -> Array:
    """coefficient * function(x), 0 where the coefficient is 0 whatever the function overflows to."""
    with np.errstate(over="ignore", invalid="ignore", under="ignore"):
        return np.where(coefficient == 0.0, 0.0, coefficient * function(x))


def _increasing_root(function: Callable[[Array], Array], target: Array) -> Array:
    """The x >= 0 where an increasing function reaches the target, to the last bit: bisection over the numbers' bits."""
    low = np.zeros(target.shape, dtype=np.int64)
    high = np.full(target.shape, np.float64(np.finfo(np.float64).max).view(np.int64))
    with np.errstate(over="ignore", invalid="ignore", under="ignore"):
        for _ in range(64):
            middle = low + (high - low) // 2
            short = function(middle.view(np.float64)) < target
            low, high = np.where(short, middle + 1, low), np.where(short, high, middle)
    return low.view(np.float64)
