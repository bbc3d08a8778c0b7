r"""The joint trajectory and how fast it loses its balance (mechanisms 1.4), all closed forms.

K perfect mechanisms of rate 1 and equal prior start at c = 0 and p = 1/K. On the joint trajectory c(t) is exponential.
A small perturbation of the reliances (of sum 0) and of the contents obeys, to first order in its size,

.. math:: \delta c' = g\,\delta p - \lambda\,\delta c, \qquad
          \delta p' = \frac{\eta_p n g}{K}\,\delta c - \eta_p\mu\,\delta p, \qquad
          g(t) = g_\infty + (1-g_\infty)e^{-at},

with a = lam + 1/K and g_inf = lam/a. Without decay and pressure the solution is hyperbolic; with pressure alone it is
made of modified Bessel functions; on the line lam = eta_p mu it is hyperbolic again, times e^(-lam t); in general it is
made of confluent hypergeometric functions. A common rate eta is the same model in the time eta t with lam/eta and
gate_rate/eta.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ive, kve

from toymesa.errors import DomainError
from toymesa.theorems.arguments import Array, as_given, count, nonnegative, positive, real, vectorized
from toymesa.theorems.mechanisms.confluent import responses

_LONGEST = 1e20  # relaxation times


class Perturbation(NamedTuple):
    """A small deviation from the joint trajectory, of one reliance and of the same mechanism's content."""

    reliance: Array
    content: Array


# ---------------------------------------------------------------- the joint trajectory


@vectorized()
def joint_content(
    t: ArrayLike,
    *,
    mechanisms: ArrayLike = 2,
    lam: ArrayLike = 0.0,
    fidelity: ArrayLike = 1.0,
    content: ArrayLike = 0.0,
) -> Array:
    r"""c(t) of each of K equal mechanisms that start equal (mechanisms 1.4).

    .. math:: c(t) = c_0 e^{-at} + \frac{f}{Ka}\,(1 - e^{-at}), \qquad a = \lambda + \frac{f^2}{K} + \frac{1-f^2}{K^2}

    t : training time >= 0. mechanisms : K >= 2, of rate 1. lam : decay >= 0. fidelity : f in [-1, 1]. content : c_0,
    real. All broadcast. Exact for any diversity and pressure; 1 - e^(-t/K) for f = 1 without decay.
    """
    case = _Joint(t, mechanisms, lam, fidelity, content)
    return as_given(case.start * np.exp(-case.a * case.t) + case.f / (case.k * case.a) * case.gone)


@vectorized()
def joint_error(
    t: ArrayLike,
    *,
    mechanisms: ArrayLike = 2,
    lam: ArrayLike = 0.0,
    fidelity: ArrayLike = 1.0,
    content: ArrayLike = 0.0,
) -> Array:
    """g(t) = 1 - f c(t) on the joint trajectory, arguments as in :func:`joint_content`; exact, without cancellation."""
    case = _Joint(t, mechanisms, lam, fidelity, content)
    return as_given(case.rest * case.gone + (1.0 - case.f * case.start) * np.exp(-case.a * case.t))


@vectorized()
def internal_time(
    t: ArrayLike,
    *,
    mechanisms: ArrayLike = 2,
    lam: ArrayLike = 0.0,
    fidelity: ArrayLike = 1.0,
    content: ArrayLike = 0.0,
) -> Array:
    r"""s(t), the integral of g over training on the joint trajectory (mechanisms 1.4).

    .. math:: s = g_\infty t + (g_0 - g_\infty)\,\frac{1-e^{-at}}{a}

    Arguments as in :func:`joint_content`; K (1 - e^(-t/K)) without decay from c = 0. Exact.
    """
    case = _Joint(t, mechanisms, lam, fidelity, content)
    swing = 1.0 - case.f * case.start - case.rest
    return as_given(case.rest * case.t + swing * case.gone / case.a)


class _Joint:
    """The checked arguments of the joint trajectory and its constants."""

    def __init__(
        self, t: ArrayLike, mechanisms: ArrayLike, lam: ArrayLike, fidelity: ArrayLike, content: ArrayLike
    ) -> None:
        self.t, self.k = nonnegative("t", t), count("mechanisms", mechanisms)
        decay, self.f, self.start = (
            nonnegative("lam", lam),
            real("fidelity", fidelity, -1.0, 1.0),
            real("content", content),
        )
        stiffness = decay + (1.0 - self.f) * (1.0 + self.f) / self.k**2
        self.a = np.asarray(stiffness + self.f**2 / self.k)
        self.rest = np.asarray(stiffness / self.a)  # the error at rest
        self.gone = np.asarray(-np.expm1(-self.a * self.t))


# ---------------------------------------------------------------- its instability


@vectorized()
def joint_growth(
    t: ArrayLike,
    *,
    diversity: ArrayLike,
    mechanisms: ArrayLike = 2,
    gate_rate: ArrayLike = 1.0,
    lam: ArrayLike = 0.0,
    mu: ArrayLike = 0.0,
    log: bool = False,
) -> Array:
    r"""By which factor a small perturbation of the reliances has grown at time t (mechanisms 1.4).

    .. math:: \frac{\delta p}{u_0} = \cosh\bigl(\sqrt{n\eta_pK}\,(1-e^{-t/K})\bigr) \quad (\lambda = \mu = 0)

    .. math:: \frac{\delta p}{u_0} = k x^\nu\,[I_{\nu-1}(kx) K_\nu(k) + K_{\nu-1}(kx) I_\nu(k)] \quad (\lambda = 0),
              \qquad x = e^{-t/K},\ \nu = \tfrac{1+K\eta_p\mu}{2},\ k = \sqrt{n\eta_pK}

    .. math:: \frac{\delta p}{u_0} = e^{-\lambda t} \cosh\bigl(\sqrt{n\eta_p/K}\,s(t)\bigr) \quad (\lambda = \eta_p\mu)

    and confluent hypergeometric functions in general. t : >= 0, up to 1e20 relaxation times 1/(lam + 1/K). diversity,
    gate_rate : > 0. mechanisms : K >= 2, of rate 1. lam, mu : >= 0. All broadcast. The start is c = 0, p = 1/K plus a
    perturbation of sum 0; contents are not perturbed (:func:`joint_perturbation`). log : return the logarithm, which
    is finite where the factor itself is inf.

    Exact to first order in the perturbation. Hyperbolic and Bessel cases by scipy (relative error of the logarithm
    about 1e-14), the others and extreme Bessel orders by ball arithmetic to full double precision (milliseconds each), and
    where diversity is so large that this takes too long by a Riccati equation (error of the logarithm below 1e-10, and
    1e-12 of it; up to 1e-6 where pressure acts for very many of its own times, and beyond that a SolveError).
    """
    t_, n, k, eta, decay, pressure = _case(t, diversity, mechanisms, gate_rate, lam, mu)
    even = decay == eta * pressure
    s = np.asarray(internal_time(t_, mechanisms=k, lam=decay))
    value = -decay * t_ + _log_cosh(np.sqrt(eta / k) * np.sqrt(n) * s)
    value = np.where(even, value, np.where(decay == 0.0, _log_bessel(t_, n, k, eta, pressure), np.nan))
    # what comes back by way of the contents is of second order in kappa s, however much longer contents last
    fed = 2.0 * np.log(np.sqrt(eta / k) * np.sqrt(n) * s) + np.maximum(eta * pressure - decay, 0.0) * t_
    value = np.where(~even & (fed < -50.0), -eta * pressure * t_, value)
    rest = np.isnan(value)
    if np.any(rest):
        cases = zip(*(v[rest] for v in (t_, n, k, eta, decay, pressure)), strict=True)
        value[rest] = [float(responses(*(float(v) for v in case))[0].log()) for case in cases]
    with np.errstate(over="ignore"):
        return as_given(value if log else np.exp(value))


@vectorized()
def joint_perturbation(
    t: ArrayLike,
    *,
    reliance: ArrayLike = 0.0,
    content: ArrayLike = 0.0,
    diversity: ArrayLike,
    mechanisms: ArrayLike = 2,
    gate_rate: ArrayLike = 1.0,
    lam: ArrayLike = 0.0,
    mu: ArrayLike = 0.0,
) -> Perturbation:
    r"""A small perturbation of reliance and content along the joint trajectory (mechanisms 1.4).

    .. math:: \delta p = e^{-\lambda t}(\delta p_0 \cosh\theta + \kappa\,\delta c_0 \sinh\theta), \quad
              \delta c = e^{-\lambda t}(\delta c_0 \cosh\theta + \delta p_0 \sinh\theta/\kappa), \quad
              \kappa = \sqrt{n\eta_p/K},\ \theta = \kappa s(t) \qquad (\lambda = \eta_p\mu)

    reliance, content : the perturbation of one mechanism at the start, real (over the mechanisms each sums to 0; the
    answer is linear in them, so that any size may be given). Other arguments as in :func:`joint_growth`. Exact to first
    order; elsewhere than on the line lam = eta_p mu by ball arithmetic. inf where it exceeds the largest number.
    """
    t_, n, k, eta, decay, pressure = _case(t, diversity, mechanisms, gate_rate, lam, mu)
    p0, c0 = real("reliance", reliance), real("content", content)
    t_, n, k, eta, decay, pressure, p0, c0 = np.broadcast_arrays(t_, n, k, eta, decay, pressure, p0, c0)
    kappa = np.sqrt(eta / k) * np.sqrt(n)
    s = np.asarray(internal_time(t_, mechanisms=k, lam=decay))
    rise, fall = np.exp(kappa * s - decay * t_), np.exp(-kappa * s - decay * t_)
    one = np.where(s * kappa < 0.5, np.exp(-decay * t_) * np.sinh(np.minimum(kappa * s, 1.0)), (rise - fall) / 2.0)
    entries = np.array([(rise + fall) / 2.0, one, one, (rise + fall) / 2.0])
    uneven = decay != eta * pressure
    if np.any(uneven):
        cases = zip(*(v[uneven] for v in (t_, n, k, eta, decay, pressure)), strict=True)
        entries[:, uneven] = np.array([[float(e) for e in responses(*(float(v) for v in case))] for case in cases]).T
    with np.errstate(over="ignore"):
        delta_p = _weighted(entries[0], p0) + _weighted(entries[1], kappa * c0)
        delta_c = _weighted(entries[2], p0 / kappa) + _weighted(entries[3], c0)
    return Perturbation(as_given(delta_p), as_given(delta_c))


def _case(
    t: ArrayLike,
    diversity: ArrayLike,
    mechanisms: ArrayLike,
    gate_rate: ArrayLike,
    lam: ArrayLike,
    mu: ArrayLike,
) -> tuple[Array, ...]:
    time, n, k = nonnegative("t", t), positive("diversity", diversity), count("mechanisms", mechanisms)
    eta, decay, pressure = positive("gate_rate", gate_rate), nonnegative("lam", lam), nonnegative("mu", mu)
    time, n, k, eta, decay, pressure = np.broadcast_arrays(time, n, k, eta, decay, pressure)
    late = time * (decay + 1.0 / k) > _LONGEST
    if np.any(late):
        raise DomainError(f"t must be at most {_LONGEST:g} relaxation times 1/(lam + 1/K); got {time[late].flat[0]:g}")
    # a decay that does nothing to the last digit is none: the functions of its case are at their limit
    idle = (
        (decay * k < 1e-30)
        & (decay * time * (1.0 + np.sqrt(eta * k) * np.sqrt(n)) < 1e-30)
        & (eta * pressure * time < 20.0)
    )
    return time, n, k, eta, np.where(idle, 0.0, decay), pressure


def _weighted(entry: Array, by: Array) -> Array:
    return np.where(by == 0.0, 0.0, np.where(by == 0.0, 1.0, entry) * by)


def _log_cosh(z: Array) -> Array:
    """ln cosh z for z >= 0, accurate for small z and without overflow."""
    small = np.minimum(z, 1.0)
    return np.where(z < 1.0, np.log1p(2.0 * np.sinh(small / 2.0) ** 2), z + np.log1p(np.exp(-2.0 * z)) - np.log(2.0))


def _log_bessel(t: Array, n: Array, k_: Array, eta: Array, mu: Array) -> Array:
    """ln of the growth for lam = 0; nan where a Bessel function leaves the range of floating-point numbers."""
    order, k = (1.0 + k_ * eta * mu) / 2.0, np.sqrt(n) * np.sqrt(eta * k_)
    x, passed = np.exp(-t / k_), -np.expm1(-t / k_)
    with np.errstate(all="ignore"):
        factors = ive(order - 1.0, k * x), kve(order, k), kve(order - 1.0, k * x), ive(order, k)
        bracket = factors[0] * factors[1] * np.exp(-2.0 * k * passed) + factors[2] * factors[3]
        value = np.log(k * bracket) - order * t / k_ + k * passed
        safe = np.all([np.isfinite(f) & (f > 1e-290) for f in factors], axis=0) & np.isfinite(value)
    return np.where(safe, value, np.nan)
