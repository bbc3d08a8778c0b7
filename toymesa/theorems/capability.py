r"""What is exactly known about capability times objective (model ``capability``, derivations ``capability_3_*``).

kappa' = eta_k (b - kappa w) w and w' = eta_w (b - kappa w) kappa. With omega = sqrt(eta_k eta_w) the imbalance
C = omega |kappa^2/eta_k - w^2/eta_w| is conserved (|kappa^2 - w^2| for equal rates), and the product p = kappa w obeys

.. math:: \dot p = \omega\,(b - p)\,\sqrt{C^2 + 4p^2} .

*Unstable* means here a saddle at kappa = w = 0; convergence, kappa w = b, is a curve of rest points (a drift). ``rate`` is
omega throughout. Everything is exact, for balanced starts (C = 0) and b = 0 too.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from toymesa.theorems.arguments import Array, as_given, exponent, nonnegative, positive, real, vectorized


class Factors(NamedTuple):
    """Capability kappa and objective w."""

    kappa: Array
    w: Array


class Losses(NamedTuple):
    """Base loss in training and in deployment, and what the inner optimizer leaves of its own objective in both."""

    training: Array
    deployment: Array
    mesa: Array


# ---------------------------------------------------------------- inner time, and the shift


@vectorized()
def losses(kappa: ArrayLike, w: ArrayLike, *, target: ArrayLike, deploy_target: ArrayLike) -> Losses:
    r"""What a shift of the base target does, and what it does not (capability 3.1).

    .. math:: \tfrac12(\kappa w - b)^2, \qquad \tfrac12(\kappa w - b')^2, \qquad \tfrac12(1-\kappa)^2 w^2

    kappa, w : capability and objective, real. target, deploy_target : b and b', real. All broadcast. Exact. Converged,
    the three are 0, (b - b')^2/2 and (w - b)^2/2: the capability is as good as it was, for an objective that is not.
    """
    k, v = real("kappa", kappa), real("w", w)
    b, shifted = real("target", target), real("deploy_target", deploy_target)
    return Losses(*(as_given(np.asarray(gap**2 / 2.0)) for gap in (k * v - b, k * v - shifted, (1.0 - k) * v)))


@vectorized()
def reached(inner_time: ArrayLike) -> Array:
    r"""kappa = 1 - e^(-tau), the share of its optimum that an inner run of that time reaches (capability 3.1).

    inner_time : tau >= 0, at curvature 1. Exact.
    """
    return as_given(np.asarray(-np.expm1(-nonnegative("inner_time", inner_time))))


@vectorized()
def inner_time(kappa: ArrayLike) -> Array:
    r"""tau = -ln(1 - kappa), the inner time that reaches a capability (capability 3.1).

    kappa : in [0, 1). Exact.
    """
    return as_given(np.asarray(-np.log1p(-real("kappa", kappa, 0.0, 1.0, high_open=True))))


# ---------------------------------------------------------------- training


@vectorized()
def imbalance(
    kappa: ArrayLike, w: ArrayLike, *, rate_capability: ArrayLike = 1.0, rate_objective: ArrayLike = 1.0
) -> Array:
    r"""C = omega |kappa^2/eta_k - w^2/eta_w|, which training conserves (capability 3.1).

    kappa, w : real. rates : > 0. All broadcast. Exact.
    """
    plus, minus = _factors(kappa, w, rate_capability, rate_objective)
    return as_given(np.abs(plus * minus))


@vectorized()
def product(
    t: ArrayLike, *, target: ArrayLike, start: ArrayLike, imbalance: ArrayLike = 0.0, rate: ArrayLike = 1.0
) -> Array:
    r"""p(t) = kappa w (capability 3.2).

    .. math:: p = \tfrac C2 \sinh(2\operatorname{artanh} x), \qquad
              \dot x = -\omega b\,(x-x_+)(x-x_-), \quad x_\pm = \frac{-C \pm \sqrt{C^2+4b^2}}{2b}

    and the logistic of rate 2 omega b for C = 0, p > 0, evaluated without cancellation in between. t : training time
    >= 0. target : b, real. start : p_0, real. imbalance : C >= 0. rate : omega > 0. All broadcast. Exact; where p
    changes its sign on the way its error is relative to the smaller of |p_0| and |b|.
    """
    time, c, omega = nonnegative("t", t), nonnegative("imbalance", imbalance), positive("rate", rate)
    b, p0, mirror = _mirrored(real("target", target), real("start", start))
    size = exponent(b, p0, c) // 2  # half way: what is small beside the largest is not lost either
    b, p0, c = (np.ldexp(v, -size) for v in (b, p0, c))
    return as_given(mirror * np.ldexp(_product(np.ldexp(time, size), b, p0, c, omega), size))


@vectorized()
def time_to(
    product: ArrayLike, *, target: ArrayLike, start: ArrayLike, imbalance: ArrayLike = 0.0, rate: ArrayLike = 1.0
) -> Array:
    r"""The training time at which kappa w passes a value (capability 3.2).

    .. math:: \omega R\,t = \ln\frac{(P + C^2/P_b)\,(P_b - P_0)}{(P_b - P)\,(P_0 + C^2/P_b)}, \qquad
              P = 2p + \sqrt{C^2+4p^2},\ R = \sqrt{C^2+4b^2}

    product : p, real. Other arguments as in :func:`product`. All broadcast. From small balanced starts half of the
    target is passed at ln(b/p_0)/(2 omega b), nearly: the plateau. inf where p is only approached (the target, or a
    saddle on the way), nan where it is not on the way from the start to the target. Exact.
    """
    p, b, p0, c, omega = np.broadcast_arrays(
        real("product", product),
        real("target", target),
        real("start", start),
        nonnegative("imbalance", imbalance),
        positive("rate", rate),
    )
    b, p0, mirror = _mirrored(b, p0)
    p = mirror * p
    size = exponent(p, b, p0, c) // 2
    p, b, p0, c = (np.ldexp(v, -size) for v in (p, b, p0, c))
    between = ((p0 <= p) & (p < b)) | ((b < p) & (p <= p0))
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        time = np.ldexp(_passage(p, b, p0, c) / omega, -size)
    time = np.where(p == p0, 0.0, np.where(p == b, np.inf, time))
    return as_given(np.where(between | (p == b) | (p == p0), time, np.nan))


@vectorized()
def course(
    t: ArrayLike,
    *,
    kappa: ArrayLike,
    w: ArrayLike,
    target: ArrayLike,
    rate_capability: ArrayLike = 1.0,
    rate_objective: ArrayLike = 1.0,
) -> Factors:
    r"""kappa(t) and w(t) from any start (capability 3.2).

    t : training time >= 0. kappa, w : the start, real. target : b, real. rates : > 0. All broadcast. Exact; the rounding
    error of both is relative to the larger of kappa/sqrt(eta_k) and w/sqrt(eta_w), so that the smaller one is better had
    from :func:`product`.
    """
    plus, minus = _factors(kappa, w, rate_capability, rate_objective)
    omega = np.sqrt(positive("rate_capability", rate_capability)) * np.sqrt(positive("rate_objective", rate_objective))
    b, size = real("target", target), exponent(plus, minus, np.sqrt(np.abs(target)))
    plus, minus = np.ldexp(plus, -size), np.ldexp(minus, -size)
    time = np.ldexp(nonnegative("t", t), 2 * size)
    q = _growth(time, np.ldexp(b, -2 * size), plus**2, minus**2, omega)
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        grown = np.where(plus == 0.0, 0.0, plus * np.sqrt(q))
        fallen = np.where(minus == 0.0, 0.0, minus / np.sqrt(q))
    return _back(np.ldexp(grown, size), np.ldexp(fallen, size), rate_capability, rate_objective)


@vectorized()
def converged(
    *,
    kappa: ArrayLike,
    w: ArrayLike,
    target: ArrayLike,
    rate_capability: ArrayLike = 1.0,
    rate_objective: ArrayLike = 1.0,
) -> Factors:
    r"""Where training ends (capability 3.2): kappa w = b with the imbalance of the start, or the saddle.

    Arguments as in :func:`course`. A start on the stable line of the saddle (kappa and w such that nothing of the
    growing factor is there) ends at kappa = w = 0. Exact, with the rounding of :func:`course`.
    """
    plus, minus = _factors(kappa, w, rate_capability, rate_objective)
    b, size = real("target", target), exponent(plus, minus, np.sqrt(np.abs(target)))
    b, c = np.ldexp(b, -2 * size), np.abs(np.ldexp(plus, -size) * np.ldexp(minus, -size))
    stuck = np.where(b > 0.0, plus == 0.0, np.where(b < 0.0, minus == 0.0, c == 0.0))
    grown = np.sign(plus) * np.sqrt(_plus(b, c))
    fallen = np.sign(minus) * np.sqrt(_plus(-b, c))
    grown, fallen = (np.where(stuck, 0.0, np.ldexp(v, size)) for v in (grown, fallen))
    return _back(grown, fallen, rate_capability, rate_objective)


# ---------------------------------------------------------------- stability


@vectorized()
def curvature(target: ArrayLike, *, imbalance: ArrayLike = 0.0, rate: ArrayLike = 1.0) -> Array:
    r"""The rate at which the product returns to its target (capability 3.3), in the metric of the flow.

    .. math:: \omega\sqrt{C^2 + 4b^2}

    target : b, real. imbalance : C >= 0. rate : omega > 0. All broadcast. The other eigenvalue of the converged state
    is 0: a drift along kappa w = b. At the origin the two are omega b and -omega b: a saddle. Exact.
    """
    b, c, omega = real("target", target), nonnegative("imbalance", imbalance), positive("rate", rate)
    return as_given(omega * np.hypot(c, 2.0 * b))


@vectorized()
def largest_step(target: ArrayLike, *, imbalance: ArrayLike = 0.0, rate: ArrayLike = 1.0) -> Array:
    r"""The step of discrete descent below which the converged state is stable (capability 3.3): 2 over the curvature.

    Arguments as in :func:`curvature`. inf where that is 0. Balanced starts allow the largest steps. Exact.
    """
    with np.errstate(divide="ignore"):
        return as_given(np.asarray(2.0 / np.asarray(curvature(target, imbalance=imbalance, rate=rate))))


# ---------------------------------------------------------------- the pieces


def _factors(kappa: ArrayLike, w: ArrayLike, rate_k: ArrayLike, rate_w: ArrayLike) -> tuple[Array, Array]:
    """sqrt(omega) times the growing and the falling factor, so that their product is C up to its sign."""
    k, v = real("kappa", kappa), real("w", w)
    tilt = (positive("rate_objective", rate_w) / positive("rate_capability", rate_k)) ** 0.25
    return k * tilt + v / tilt, k * tilt - v / tilt


def _back(plus: Array, minus: Array, rate_k: ArrayLike, rate_w: ArrayLike) -> Factors:
    tilt = (np.asarray(rate_w, dtype=float) / np.asarray(rate_k, dtype=float)) ** 0.25
    return Factors(as_given((plus / 2.0 + minus / 2.0) / tilt), as_given((plus / 2.0 - minus / 2.0) * tilt))


def _mirrored(b: Array, p0: Array) -> tuple[Array, Array, Array]:
    """Target and start for b >= 0, and the sign that does it: kappa -> -kappa turns b and p round."""
    mirror = np.where((b < 0.0) | ((b == 0.0) & (p0 < 0.0)), -1.0, 1.0)
    return mirror * b, mirror * p0, mirror


def _plus(p: Array, c: Array) -> Array:
    """2p + sqrt(C^2 + 4p^2), without cancellation for p < 0."""
    root = np.hypot(c, 2.0 * p)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(p >= 0.0, root + 2.0 * p, np.where(c == 0.0, 0.0, c / (root - 2.0 * p) * c))


def _parts(t: Array, b: Array, plus: Array, minus: Array, omega: Array) -> tuple[Array, Array, Array]:
    """Numerator and denominator of q(t), and 1 - e^(-rho t); all over omega. plus, minus: 2 alpha/omega and 2 gamma/omega.

    Sums of positive terms: nothing cancels for either sign of b.
    """
    rho = np.hypot(2.0 * b, np.sqrt(plus) * np.sqrt(minus))
    large = rho + 2.0 * np.abs(b)
    small = np.where(large == 0.0, 0.0, np.sqrt(plus) * np.sqrt(minus) * (np.sqrt(plus) * np.sqrt(minus) / large))
    up, down = np.where(b > 0.0, large, small), np.where(b > 0.0, small, large)
    left, gone = np.exp(-rho * omega * t), -np.expm1(-rho * omega * t)
    above, below = up + down * left + minus * gone, down + up * left + plus * gone
    still = rho == 0.0
    return (
        np.where(still, 1.0 + minus * omega * t / 2.0, above),
        np.where(still, 1.0 + plus * omega * t / 2.0, below),
        np.where(still, 0.0, gone),
    )


def _growth(t: Array, b: Array, plus: Array, minus: Array, omega: Array) -> Array:
    with np.errstate(divide="ignore", invalid="ignore", over="ignore", under="ignore"):
        above, below, _ = _parts(t, b, plus, minus, omega)
        return np.asarray(above / below)


def _product(t: Array, b: Array, p0: Array, c: Array, omega: Array) -> Array:
    """p(t) for b >= 0: p_0 and what was gained, or b and what is left, whichever is the smaller sum.

    gained: (b - p_0)(1-E)(F_0^2 + H^2)/below. left: (p_0 - b) E rho (P_b + P_0)(1 + H^2/P_b)/(R + S_0)/below, where
    F_0^2 = P_0 = 2p_0 + S_0, H^2 = (S_0 - 2p_0)/q, S_0^2 = C^2 + 4p_0^2.
    """
    plus, minus = _plus(p0, c), _plus(-p0, c)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore", under="ignore"):
        above, below, gone = _parts(t, b, plus, minus, omega)
        q = above / below
        fallen = np.where(minus == 0.0, 0.0, minus / q)
        gained = (b - p0) * gone / below * (plus + fallen)
        rest, big = np.hypot(c, 2.0 * b), _plus(b, c)
        decayed = np.exp(-rest * omega * t) * rest / below
        left = (p0 - b) * decayed * (big + plus) / (rest + np.hypot(c, 2.0 * p0)) * (1.0 + fallen / big)
        value = np.where(np.abs(p0) + np.abs(gained) <= b + np.abs(left), p0 + gained, b + left)
        return np.where(rest == 0.0, np.where(p0 == 0.0, 0.0, p0 * np.where(p0 < 0.0, 1.0 / q, q)), value)


def _passage(p: Array, b: Array, p0: Array, c: Array) -> Array:
    """omega t from p_0 to p for b >= 0: log1p(2R y)/R with y = (P - P_0)/((P_b - P)(P_0 + C^2/P_b))."""
    big, big0, big_b = (_plus(v, c) for v in (p, p0, b))
    far, far0, far_b = (_plus(-v, c) for v in (p, p0, b))  # C^2/P
    root, root0, root_b = (np.hypot(c, 2.0 * v) for v in (p, p0, b))
    step = 2.0 * (p - p0) / (root + root0)
    ahead = step * (big + big0) / (big0 + far_b)
    behind = step * (far + far0) / far / (1.0 + far0 / big_b)  # the same over C^2, which may be 0
    y = np.where(p < 0.0, behind, ahead) * (root_b + root) / (2.0 * (b - p) * (big_b + big))
    z = 2.0 * root_b * y
    return np.where(z == 0.0, 2.0 * y, np.log1p(z) / root_b)
