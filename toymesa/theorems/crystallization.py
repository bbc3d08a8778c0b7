r"""What is exactly known about deceptive crystallization (model ``crystallization``, derivations ``crystallization_6_*``).

An agent that wants w defers to the base target by d* while training lasts, so that training moves w by
w' = eta (1-d*)^2 (1-w). With s^2 = d*/(1-d*) and a = eta u, u the time left,

    linear foresight:  s = sqrt(H) a             exact foresight:  s^3 + s = sqrt(2H) a

*Unstable* means a drift here: at full deference the base loss prefers no w. No simplicity enters.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from toymesa.errors import ArgumentError, did_you_mean
from toymesa.theorems.arguments import Array, as_given, count, nonnegative, positive, real, vectorized

_FORESIGHT = ("linear", "exact")
_LARGE = 1e75  # above it s^4 overflows, and the differences below are not needed

# ---------------------------------------------------------------- deferring and defecting


@vectorized()
def deferral(time_left: ArrayLike, *, stakes: ArrayLike, rate: ArrayLike = 1.0, foresight: str = "linear") -> Array:
    """How far the agent acts as training wants, d* (crystallization 6.1): 1 in full deception, 0 at the end.

    time_left : T - t >= 0. stakes : H >= 0. rate : eta > 0. All broadcast. foresight : "linear" or "exact". Exact.
    """
    s = _odds_root(_ahead(time_left, rate), nonnegative("stakes", stakes), foresight)
    with np.errstate(over="ignore", divide="ignore"):
        return as_given(np.asarray(1.0 / (1.0 + (1.0 / s) ** 2)))


@vectorized()
def time_left(deferral: ArrayLike, *, stakes: ArrayLike, rate: ArrayLike = 1.0, foresight: str = "linear") -> Array:
    r"""The time before the end of training at which the deferral has fallen to a value (crystallization 6.2).

    .. math:: \eta u = \frac{s}{\sqrt H} \text{ or } \frac{s^3 + s}{\sqrt{2H}}, \qquad s = \sqrt{q/(1-q)}

    deferral : q in [0, 1). stakes : H > 0. rate : eta > 0. All broadcast. A half is passed at 1/(eta sqrt H), or
    sqrt(2)/(eta sqrt H): the defection does not take longer after longer training. Exact.
    """
    q, h = real("deferral", deferral, 0.0, 1.0, high_open=True), positive("stakes", stakes)
    s = np.sqrt(q / (1.0 - q))
    if _linear(foresight):
        return as_given(s / np.sqrt(h) / positive("rate", rate))
    return as_given((s**3 + s) / np.sqrt(2.0 * h) / positive("rate", rate))


@vectorized()
def loss_peak(*, stakes: ArrayLike, rate: ArrayLike = 1.0) -> Array:
    r"""The time before the end at which the base loss is highest (crystallization 6.2), linear foresight.

    .. math:: \sqrt H\,\eta u = z, \qquad z^3 + z = \frac1{2\sqrt H}

    stakes : H > 0. rate : eta > 0. Both broadcast. Until then training makes the base loss rise, as the agent defects;
    where training is shorter than this, it falls from the beginning. Exact.
    """
    root = np.sqrt(positive("stakes", stakes))
    return as_given(_cubic(0.5 / root) / root / positive("rate", rate))


# ---------------------------------------------------------------- what training moves


@vectorized()
def course(
    t: ArrayLike,
    *,
    start: ArrayLike,
    duration: ArrayLike,
    stakes: ArrayLike,
    rate: ArrayLike = 1.0,
    foresight: str = "linear",
) -> Array:
    r"""What the agent wants at time t (crystallization 6.1).

    .. math:: 1 - w(t) = (1-w_0)\,e^{-(J(\eta T) - J(\eta u))}, \qquad
        J = \frac{\arctan s + s/(1+s^2)}{2\sqrt H} \text{ or } \frac{2\arctan s - s/(1+s^2)}{\sqrt{2H}}

    t : >= 0, past the end too (w stays). start : w_0, real. duration : T > 0. stakes : H >= 0. rate : eta > 0. All
    broadcast. foresight : "linear" or "exact". Exact.
    """
    w0 = real("start", start)
    moved = _drift(nonnegative("t", t), positive("duration", duration), stakes, rate, foresight)
    return as_given(w0 - (1.0 - w0) * np.expm1(-moved))


@vectorized()
def moved(duration: ArrayLike, *, stakes: ArrayLike, rate: ArrayLike = 1.0, foresight: str = "linear") -> Array:
    """The fraction of its gap 1 - w by which a whole training moves the agent (crystallization 6.1).

    duration : T > 0. Others as in :func:`deferral`. Grows with T, up to :func:`most_moved`. Exact.
    """
    length = positive("duration", duration)
    return as_given(np.asarray(-np.expm1(-_drift(length, length, stakes, rate, foresight))))


@vectorized()
def most_moved(stakes: ArrayLike, *, foresight: str = "linear") -> Array:
    r"""The fraction of its gap that no training exceeds (crystallization 6.1), whatever its length and rate.

    .. math:: 1 - e^{-\pi/(4\sqrt H)} \text{ (linear)}, \qquad 1 - e^{-\pi/\sqrt{2H}} \text{ (exact foresight)}

    stakes : H >= 0; 1 without stakes. Exact.
    """
    h = nonnegative("stakes", stakes)
    with np.errstate(divide="ignore"):
        end = np.pi / (4.0 * np.sqrt(h)) if _linear(foresight) else np.pi / np.sqrt(2.0 * h)
    return as_given(np.asarray(-np.expm1(-end)))


# ---------------------------------------------------------------- episodes


@vectorized()
def episode_value(follow: ArrayLike, *, training: ArrayLike, deployment: ArrayLike) -> Array:
    """Expected value to an agent that follows with probability q in episodes it cannot tell apart (crystallization 6.3).

    (1 - q^m) + q^m k (1-q): a defection is worth 1, the first one in training converts the agent. follow : q in [0, 1].
    training, deployment : m and k, whole numbers >= 1. All broadcast. Exact.
    """
    q, m, k = real("follow", follow, 0.0, 1.0), count("training", training, 1), count("deployment", deployment, 1)
    return as_given(1.0 + q**m * (k * (1.0 - q) - 1.0))


@vectorized()
def best_follow(*, training: ArrayLike, deployment: ArrayLike) -> Array:
    """The probability q* = m(k-1)/((m+1)k) of not defecting that is best for such an agent (crystallization 6.3).

    training, deployment : m and k, whole numbers >= 1. Both broadcast. Exact. The 0.61 printed by Hubinger et al. 2019 for
    their grid world does not follow from this game; with m = 2 and k = 3 the agent defects with probability 5/9.
    """
    m, k = count("training", training, 1), count("deployment", deployment, 1)
    return as_given(m / (m + 1.0) * ((k - 1.0) / k))


# ---------------------------------------------------------------- the pieces


def _linear(foresight: str) -> bool:
    if foresight not in _FORESIGHT:
        hint = did_you_mean(str(foresight), _FORESIGHT)
        raise ArgumentError(f"foresight must be 'linear' or 'exact'; got {foresight!r}{hint}")
    return foresight == "linear"


def _ahead(time: ArrayLike, rate: ArrayLike) -> Array:
    return nonnegative("time_left", time) * positive("rate", rate)


def _cubic(right: Array) -> Array:
    """The root of z^3 + z = right >= 0."""
    return 2.0 / np.sqrt(3.0) * np.sinh(np.arcsinh(1.5 * np.sqrt(3.0) * right) / 3.0)


def _odds_root(ahead: Array, stakes: Array, foresight: str) -> Array:
    if _linear(foresight):
        return np.sqrt(stakes) * ahead
    return _cubic(np.sqrt(2.0 * stakes) * ahead)


def _drift(t: Array, duration: Array, stakes: ArrayLike, rate: ArrayLike, foresight: str) -> Array:
    """J(eta T) - J(eta u), by differences that do not cancel."""
    given, eta = nonnegative("stakes", stakes), positive("rate", rate)
    h = np.where(given == 0.0, 1.0, given)
    length, left = eta * np.minimum(t, duration), eta * np.maximum(duration - t, 0.0)
    top, low = _odds_root(eta * duration, h, foresight), _odds_root(left, h, foresight)
    linear = _linear(foresight)
    scale = 2.0 * np.sqrt(h) if linear else np.sqrt(2.0 * h)
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        step = np.sqrt(h) * length
        if not linear:
            step = np.sqrt(2.0) * step / (1.0 + top**2 + top * low + low**2)
        turned = np.arctan2(step, 1.0 + top * low)
        bent = step * (1.0 - top * low) / ((1.0 + top**2) * (1.0 + low**2))
        near = (turned + bent if linear else 2.0 * turned - bent) / scale
        far = (_grown(top, linear) - _grown(low, linear)) / scale
    return np.where(given == 0.0, length, np.where(top < _LARGE, near, far))


def _grown(s: Array, linear: bool) -> Array:
    fraction = np.where(s > 1.0, 1.0 / (s + 1.0 / s), s / (1.0 + np.minimum(s, 1.0) ** 2))
    return np.arctan(s) + fraction if linear else 2.0 * np.arctan(s) - fraction
