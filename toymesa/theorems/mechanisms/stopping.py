"""Stopping early (mechanisms 1.7): how much diversity a joint state tolerates when training ends before convergence.

Perfect mechanisms (f = 1) of equal rates that start at contents c(0) = 0 and nearly equal reliances; without
decay and pressure, except in :func:`reversal_window`. Other starts, rates and criteria:
:mod:`toymesa.theorems.mechanisms.collapse`. ``residual`` is r, the fraction of the reducible loss left at the
stop.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.integrate import solve_ivp
from scipy.optimize import brentq

from toymesa.errors import SolveError
from toymesa.theorems.arguments import Array, as_given, count, positive, real, vectorized

_STIFFEST = 1e7  # ratio of rates of the linear flow

# ---------------------------------------------------------------- first order in the perturbation


@vectorized()
def stop_diversity(
    residual: ArrayLike,
    *,
    perturbation: ArrayLike,
    threshold: ArrayLike,
    mechanisms: ArrayLike = 2,
    gate_rate: ArrayLike = 1.0,
) -> Array:
    r"""Diversity below which training that stops at ``residual`` ends while still joint (mechanisms 1.7).

    .. math:: n_\mathrm{stop}(r) = \frac{\operatorname{arccosh}(\theta/u_0)^2}{\eta_p K (1-\sqrt r)^2}

    residual : r in [0, 1]; 1 means no training and gives inf.
    perturbation : u0 > 0, the largest initial ``|p - 1/K|``.
    threshold : theta > 0, the largest ``|p - 1/K|`` that still counts as joint; 0 is returned where it is met
    at once.
    mechanisms : K >= 2, of equal rates. gate_rate : eta_p > 0. All broadcast.

    First order in the perturbation; ``exact_stop_diversity`` is the value without that approximation.
    Raises DomainError outside these ranges.
    """
    converged = np.asarray(
        stop_diversity_converged(
            perturbation=perturbation, threshold=threshold, mechanisms=mechanisms, gate_rate=gate_rate
        )
    )
    return as_given(stretched(converged, real("residual", residual, 0.0, 1.0)))


@vectorized()
def stop_diversity_converged(
    *, perturbation: ArrayLike, threshold: ArrayLike, mechanisms: ArrayLike = 2, gate_rate: ArrayLike = 1.0
) -> Array:
    """:func:`stop_diversity` at convergence, r = 0: what joint training tolerates if it never stops early."""
    u0, theta = positive("perturbation", perturbation), positive("threshold", threshold)
    k, eta = count("mechanisms", mechanisms), positive("gate_rate", gate_rate)
    growth = _arccosh_ratio(theta, u0)
    with np.errstate(over="ignore"):  # a diversity beyond the largest number is inf
        return as_given(growth**2 / k / eta)


@vectorized()
def early_stopping_gain(residual: ArrayLike) -> Array:
    r"""The factor :math:`1/(1-\sqrt r)^2` by which stopping at ``residual`` raises the tolerable diversity.

    Exact for every criterion on the reliances (the collapse theorem of mechanisms 1.7); inf at r = 1.
    """
    return as_given(stretched(np.ones(()), real("residual", residual, 0.0, 1.0)))


@vectorized()
def collapse_coordinate(diversity: ArrayLike, residual: ArrayLike, *, gate_rate: ArrayLike = 1.0) -> Array:
    r"""X = sqrt(n eta_p) (1 - sqrt r), the one number that reliances at the stop depend on (mechanisms 1.7).

    Exact for any K, rates, prior and start of the reliances, with c(0) = 0 and without decay and pressure.
    """
    n, eta = positive("diversity", diversity), positive("gate_rate", gate_rate)
    return as_given(np.sqrt(n) * np.sqrt(eta) * progress(real("residual", residual, 0.0, 1.0)))


def progress(r: Array) -> Array:
    """1 - sqrt(r) without cancellation near r = 1."""
    return np.asarray((1.0 - r) / (1.0 + np.sqrt(r)))


def stretched(converged: Array, r: Array) -> Array:
    """n_stop(0) / (1 - sqrt r)^2, where 0 stays 0 and no training tolerates everything."""
    converged, r = np.broadcast_arrays(converged, r)
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        stretched = converged / progress(r) ** 2
    return np.where(converged == 0.0, 0.0, np.where(r == 1.0, np.inf, stretched))


def _arccosh_ratio(top: Array, bottom: Array) -> Array:
    """arccosh(top/bottom), 0 for top <= bottom; accurate near 1 and for ratios beyond the largest number."""
    top, bottom = np.broadcast_arrays(top, bottom)
    with np.errstate(over="ignore"):
        excess = np.maximum(top - bottom, 0.0) / bottom
    near = np.minimum(excess, 1e8)
    return np.where(
        excess < 1e8,
        np.log1p(near + np.sqrt(near * (near + 2.0))),
        np.log(2.0) + np.log(top) - np.log(bottom),
    )


# ---------------------------------------------------------------- the reverse: stopping early ends joint optimization


class Window(NamedTuple):
    """Diversities from ``low`` to ``high``; empty where low >= high."""

    low: Array
    high: Array


@vectorized()
def reversal_window(
    *,
    perturbation: ArrayLike,
    threshold: ArrayLike,
    lam: ArrayLike,
    mu: ArrayLike,
    mechanisms: ArrayLike = 2,
    gate_rate: ArrayLike = 1.0,
) -> Window:
    r"""Diversities at which training is joint at convergence but not at some earlier stop (mechanisms 1.7).

    Amplification comes first and pressure undoes it later, so stopping early can end joint optimization.
    ``low`` is the diversity at which the largest amplification on the way, with decay and pressure, reaches
    threshold/perturbation, to first order in the perturbation; it lies above
    :math:`\operatorname{arccosh}(\theta/u_0)^2/(\eta_p K)`, its limit for small decay
    and pressure. ``high`` is the diversity up to which the joint state is where every start converges: n_c
    of mechanisms 1.5 for K = 2, the fold of mechanisms 1.6 for K >= 3, where polarized states exist already
    below n_c.

    perturbation, threshold : u0 and theta > 0. lam, mu : decay and pressure, > 0. mechanisms : K >= 2, of equal rates
    and prior. gate_rate : eta_p > 0. All broadcast. ``low`` is inf where no diversity below n_c amplifies that much.
    Numerical: linear flow by LSODA (relative tolerance 1e-10), root by Brent's method; SolveError where the rates of the
    flow are more than ten million times apart.
    """
    u0, theta = positive("perturbation", perturbation), positive("threshold", threshold)
    decay, pressure = positive("lam", lam), positive("mu", mu)
    k, eta = count("mechanisms", mechanisms), positive("gate_rate", gate_rate)
    high = np.asarray(_fold(decay, pressure, k))
    low = np.vectorize(_first_amplified, otypes=[float])(u0, theta, decay, pressure, k, eta)
    low, high = np.broadcast_arrays(low, high)
    return Window(as_given(low), as_given(high))


def _first_amplified(u0: float, theta: float, lam: float, mu: float, k: float, eta: float) -> float:
    """The diversity whose peak amplification is theta/u0; inf if it lies above n_c."""
    if theta <= u0:
        return 0.0
    wanted = math.log(theta) - math.log(u0)
    least = float(_arccosh_ratio(np.asarray(theta), np.asarray(u0))) ** 2 / (k * eta)
    most = float(np.float64(mu) * (1.0 + k * lam) / (k * lam) * (1.0 + k * lam))  # n_c of mechanisms 1.5

    slow, fast = (
        min(lam + 1.0 / k, lam + eta * mu),
        max(lam + 1.0 / k, lam + eta * mu, math.sqrt(eta / k) * math.sqrt(most)),
    )
    if not (slow > 1e-100 and fast < min(_STIFFEST * slow, 1e100)):
        raise SolveError(
            f"lam, mu, 1/K and the growth at n_c are rates from {slow:.1g} to {fast:.1g}; at most a factor {_STIFFEST:g} "
            "can be integrated",
            status="overflow",
        )

    def miss(log_n: float) -> float:
        return _peak(math.exp(log_n), lam, mu, k, eta) - wanted

    if least >= most or miss(math.log(most)) <= 0.0:
        return math.inf
    return math.exp(brentq(miss, math.log(least), math.log(most), xtol=1e-12))


def _peak(n: float, lam: float, mu: float, k: float, eta: float) -> float:
    """ln of the largest value on the way of a reliance perturbation that starts at 1 (n <= n_c, to first order)."""
    rest, fast = k * lam / (1.0 + k * lam), lam + 1.0 / k
    drive, brake = eta * n / k, eta * mu

    def field(t: float, y: Array) -> list[float]:  # ln of the perturbation; content perturbation per reliance
        g = rest + (1.0 - rest) * math.exp(-fast * t)
        growth = drive * g * y[1] - brake
        return [growth, g - (lam + growth) * y[1]]

    def turning(t: float, y: Array) -> float:
        return field(t, y)[0]

    end = 40.0 / fast + 60.0 / (lam + brake)
    run = solve_ivp(field, (0.0, end), [0.0, 0.0], method="LSODA", rtol=1e-10, atol=1e-12, events=turning)
    turned: Any = [] if run.y_events is None else run.y_events[0]
    return max(float(run.y[0].max()), *(float(y[0]) for y in turned), 0.0)


def _fold(lam: Array, mu: Array, k: Array) -> Array:
    """The least diversity on the branch of mechanisms 1.6 that favours one mechanism: n_c for K = 2.

    Along l, its log-odds against each other one, the diversity is lam mu l (1 + Q)^2/x with x = p_1 - p_2.
    """
    lam, mu, k = np.broadcast_arrays(lam, mu, k)
    low, high = np.full(k.shape, np.log(1e-7)), np.full(k.shape, np.log(700.0))
    for _ in range(12):
        log_l = np.linspace(low, high, 200)
        l = np.exp(log_l)
        x = np.expm1(l) / (np.expm1(l) + k)
        with np.errstate(over="ignore"):
            n = lam * mu * l / x * (1.0 + (1.0 + (k - 1.0) * x**2) / (k * lam)) ** 2
        best = n.argmin(axis=0)[None]
        low = np.take_along_axis(log_l, np.maximum(best - 1, 0), axis=0)[0]
        high = np.take_along_axis(log_l, np.minimum(best + 1, 199), axis=0)[0]
    return np.where(k == 2.0, mu * (1.0 + k * lam) ** 2 / (k * lam), n.min(axis=0))
