"""Gradient noise against prior asymmetry (mechanisms 1.8): with what probability which mechanism wins.

Noise sqrt(2T) dW acts on the unstable coordinate of the reliances; everything is linear in that coordinate
(first order in the perturbation) and exact otherwise. ``temperature`` is T, in units of reliance^2 per unit of
training time.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize.elementwise import bracket_root, find_root
from scipy.special import exp1, expi, ndtr

from toymesa.theorems.arguments import Array, as_given, count, nonnegative, positive, real, vectorized
from toymesa.theorems.mechanisms.stopping import progress

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(64)
_LARGE = 600.0  # beyond it e^x and its exponential integrals leave the range of float64


@vectorized()
def outcome_probability(start: ArrayLike, *, growth_rate: ArrayLike, temperature: ArrayLike) -> Array:
    r"""Probability that the unstable coordinate of a fixed point runs off to the positive side (mechanisms 1.8).

    .. math:: dv = \kappa v\,dt + \sqrt{2T}\,dW, \qquad P(v \to +\infty) = \Phi\bigl(v_0 \sqrt{\kappa/T}\bigr)

    with the normal distribution function. start : v_0, real. growth_rate : kappa > 0. temperature : T >= 0; without
    noise the sign of v_0 decides (0.5 at v_0 = 0, the limit of small T). Broadcasts.
    """
    v, kappa = real("start", start), positive("growth_rate", growth_rate)
    return as_given(_normal(v, 0.5 * (np.log(kappa) - _log(nonnegative("temperature", temperature)))))


@vectorized()
def perturbation_variance(
    diversity: ArrayLike,
    residual: ArrayLike,
    *,
    temperature: ArrayLike,
    mechanisms: ArrayLike = 2,
    gate_rate: ArrayLike = 1.0,
) -> Array:
    r"""Variance of a reliance perturbation that noise alone has built up on the joint trajectory (mechanisms 1.8).

    .. math::
        \mathrm{Var}\,\delta p = KT\bigl[\ln\tfrac1y
        + \cosh 2\kappa y\,(\mathrm{Chi}\,2\kappa - \mathrm{Chi}\,2\kappa y)
        - \sinh 2\kappa y\,(\mathrm{Shi}\,2\kappa - \mathrm{Shi}\,2\kappa y)\bigr], \quad
        \kappa = \sqrt{n \eta_p K}, \; y = \sqrt r

    Perfect mechanisms of equal rates, c(0) = 0, no decay, no pressure. diversity : n > 0. residual : r in [0,
    1]; at 0 training never ends and the variance is inf. temperature : T >= 0. mechanisms : K >= 2. gate_rate :
    eta_p > 0. Broadcasts. Relative error about 1e-13; inf where the value itself is beyond float64.
    """
    n, eta, r, t, k = _arguments(diversity, gate_rate, residual, temperature, mechanisms)
    kappa = _kappa(n, eta, k)
    with np.errstate(over="ignore"):
        return as_given(np.exp(2.0 * kappa * progress(r) + _log_scaled(kappa, r, t, k)))


@vectorized()
def leader_probability(
    perturbation: ArrayLike,
    diversity: ArrayLike,
    residual: ArrayLike,
    *,
    temperature: ArrayLike,
    mechanisms: ArrayLike = 2,
    gate_rate: ArrayLike = 1.0,
) -> Array:
    r"""Probability that a perturbation of the joint trajectory still has its sign at the stop (mechanisms 1.8).

    .. math:: P = \Phi\bigl(u_0 \cosh(\kappa (1-y)) / \sqrt{\mathrm{Var}\,\delta p}\bigr)

    For K = 2 and u_0 = p_1(0) - 1/2 it is the probability that mechanism 1 leads when training stops.
    perturbation : u_0, real; the rest as in :func:`perturbation_variance`. Without noise or without training
    the sign of u_0 decides.
    """
    u0 = real("perturbation", perturbation)
    n, eta, r, t, k = _arguments(diversity, gate_rate, residual, temperature, mechanisms)
    kappa = _kappa(n, eta, k)
    # the growth e^(kappa (1-y)) is common to both and left out of both
    log_cosh = np.log1p(np.exp(-2.0 * kappa * progress(r))) - np.log(2.0)
    return as_given(_normal(u0, log_cosh - 0.5 * _log_scaled(kappa, r, t, k)))


@vectorized()
def noise_stop_diversity(
    residual: ArrayLike,
    *,
    threshold: ArrayLike,
    temperature: ArrayLike,
    mechanisms: ArrayLike = 2,
    gate_rate: ArrayLike = 1.0,
) -> Array:
    """Diversity at which noise alone drives the standard deviation of a perturbation to ``threshold`` (mechanisms 1.8).

    Solves Var = threshold^2 for n, with :func:`perturbation_variance`. residual : r in [0, 1]. threshold : > 0.
    Returns 0 where diffusion without any amplification, K T ln(1/r), already reaches the threshold, and inf where no
    diversity does (T = 0 or r = 1). Numerical: bracketing and Chandrupatla's method, relative error about 1e-12.
    """
    theta = positive("threshold", threshold)
    _, eta, r, t, k = _arguments(1.0, gate_rate, residual, temperature, mechanisms)
    theta, eta, r, t, k = np.broadcast_arrays(theta, eta, r, t, k)
    limit = 2.0 * np.log(theta)
    diffused = _log(k) + _log(t) + _log(-_log(r))
    out = np.where((t == 0.0) | (r == 1.0), np.inf, 0.0)
    todo = (out == 0.0) & (diffused < limit)
    if np.any(todo):
        at = (r[todo], t[todo], k[todo], limit[todo])

        def miss(log_kappa: Array, r: Array, t: Array, k: Array, wanted: Array) -> Array:
            kappa = np.exp(log_kappa)
            return 2.0 * kappa * progress(r) + _log_scaled(kappa, r, t, k) - wanted

        # whatever the threshold, the growth 2 kappa (1-y) that reaches it is near its logarithm
        guess = np.log((np.abs(at[3] - np.log(at[1])) + 10.0) / progress(at[0]))
        bracket = bracket_root(miss, guess - 1.0, guess + 1.0, args=at, maxiter=500)
        found = find_root(miss, bracket.bracket, args=at, tolerances={"xrtol": 1e-15, "xatol": 1e-14})
        with np.errstate(over="ignore"):
            out[todo] = np.exp(2.0 * found.x - np.log(k[todo]) - np.log(eta[todo]))
    return as_given(out)


# ---------------------------------------------------------------- pieces


def _arguments(
    n: ArrayLike, eta: ArrayLike, r: ArrayLike, t: ArrayLike, k: ArrayLike
) -> tuple[Array, Array, Array, Array, Array]:
    return (
        positive("diversity", n),
        positive("gate_rate", eta),
        real("residual", r, 0.0, 1.0),
        nonnegative("temperature", t),
        count("mechanisms", k),
    )


def _kappa(n: Array, eta: Array, k: Array) -> Array:
    return np.asarray(np.sqrt(n) * np.sqrt(eta) * np.sqrt(k))


def _log(x: Array) -> Array:
    with np.errstate(divide="ignore"):
        return np.asarray(np.log(x))


def _normal(v: Array, log_scale: Array) -> Array:
    """Phi(v e^log_scale): 0.5 at v = 0 whatever the scale, 0 or 1 where the scale is infinite."""
    size = _log(np.abs(v)) + np.where(v == 0.0, 0.0, log_scale)
    return np.asarray(ndtr(np.sign(v) * np.exp(np.minimum(size, 10.0))))


def _log_scaled(kappa: Array, r: Array, t: Array, k: Array) -> Array:
    """ln of Var e^(-2 kappa (1-y)), which neither overflows nor underflows."""
    kappa, r, t, k = np.broadcast_arrays(kappa, r, t, k)
    near = r > 0.25
    by_quadrature = _by_quadrature(kappa, progress(np.where(near, r, 0.5)))
    by_functions = _by_functions(kappa, np.sqrt(np.where(near, 0.1, r)))
    return _log(k) + _log(t) + _log(np.where(near, by_quadrature, by_functions))


def _by_quadrature(kappa: Array, left: Array) -> Array:
    r"""e^(-2 kappa (1-y)) \int_y^1 2 cosh^2(kappa (v-y)) dv/v for 1 - y = left <= 1/2: no cancellation."""
    span = np.minimum(left, 25.0 / np.maximum(kappa, 25.0))  # before it the integrand is smaller by e^-50
    ahead = span[..., None] * (0.5 - 0.5 * _NODES)  # 1 - v
    lag = 2.0 * kappa[..., None] * (left[..., None] - ahead)
    scaled = 0.5 * np.exp(-2.0 * kappa[..., None] * ahead) * (1.0 + np.exp(-lag)) ** 2
    return np.asarray((scaled / (1.0 - ahead)) @ _WEIGHTS * span * 0.5)


def _by_functions(kappa: Array, y: Array) -> Array:
    """The same for y <= 1/2, from exponential integrals: the growing and decaying halves of Chi and Shi."""
    a = 2.0 * kappa
    lag = a * (1.0 - y)
    still, never = a < 1e-8, y == 0.0  # no amplification: 2 ln(1/y) is left; no end: diffusion without bound
    a, y_ = np.where(still, 1.0, a), np.where(never, 0.25, y)
    damp = np.exp(-lag)
    grow = _scaled_ei(a) - damp * _scaled_ei(a * y_)
    decay = damp * _scaled_e1(a * y_) - damp**2 * _scaled_e1(a)
    out = np.where(still, 2.0 * damp * -np.log(y_), damp * -np.log(y_) + 0.5 * (grow + decay))
    return np.where(never, np.inf, out)


def _scaled_ei(x: Array) -> Array:
    """e^-x Ei(x)."""
    small = np.clip(x, 1e-320, _LARGE)
    return np.where(x < _LARGE, expi(small) * np.exp(-small), _asymptotic(x, 1.0))


def _scaled_e1(x: Array) -> Array:
    """e^x E1(x)."""
    small = np.clip(x, 1e-320, _LARGE)
    return np.where(x < _LARGE, exp1(small) * np.exp(small), _asymptotic(x, -1.0))


def _asymptotic(x: Array, sign: float) -> Array:
    """(1/x) sum of (sign)^j j!/x^j: below 1e-16 for x >= 600 after eight terms."""
    x = np.maximum(x, _LARGE)
    total = np.ones_like(x)
    for j in range(8, 0, -1):
        total = 1.0 + sign * j / x * total
    return np.asarray(total / x)
