"""One base variable, one inner variable (linear joint flow 10.1 and 10.2).

L = a theta^2/2 + b theta phi + e phi^2/2 and O = D phi^2/2 + C theta phi; eps is the ratio of time scales.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from toymesa.kernels.entire import flow_mean, flow_slope
from toymesa.theorems.arguments import Array, as_given, known, nonnegative, positive, real, vectorized


class JointStability(NamedTuple):
    """Both conditions on the parameters (stable iff both are positive), the decay, the frequency and the kind.

    ``trace`` = a + D/eps, ``determinant`` = (aD - bC)/eps. ``decay`` is minus the largest real part. ``kind`` is one of
    stable, stable-spiral, saddle, unstable, unstable-spiral, centre, drift (an eigenvalue is zero).
    """

    trace: Array
    determinant: Array
    decay: Array
    frequency: Array
    kind: NDArray[np.str_]


class Hopf(NamedTuple):
    """The ratio eps* at which the pair circles, its frequency, and the side on which it is stable (-1 below, +1 above).

    NaN and 0 where there is none.
    """

    eps: Array
    frequency: Array
    side: NDArray[np.int64]


MAP_LABELS = {
    -1: "no inner optimum (D <= 0)",
    0: "unstable either way",
    1: "seeing through stabilizes",
    2: "seeing through destabilizes",
    3: "stable either way",
}


@vectorized()
def joint_stability(a: ArrayLike, b: ArrayLike, D: ArrayLike, C: ArrayLike, *, eps: ArrayLike = 1.0) -> JointStability:
    r"""Stability of both optimizers descending at once (linear joint flow 10.1).

    .. math:: \text{stable} \iff a + D/\varepsilon > 0 \ \text{and}\ aD - bC > 0

    a, b, D, C : real. eps : > 0. All broadcast. Exact. The first condition is lost through a spiral, the second through
    a saddle.
    """
    a, b, d, c, e = np.broadcast_arrays(real("a", a), real("b", b), real("D", D), real("C", C), positive("eps", eps))
    trace = a + d / e
    determinant, unit = _difference(a, d, b, c)
    middle = (a - d / e) / 2.0
    gap, twice = _difference(middle, middle, -b, c / e)  # a square and a product: no cancellation at equal eigenvalues
    real_pair = gap >= 0.0
    root = np.ldexp(np.sqrt(np.ldexp(np.abs(gap), twice % 2)), twice // 2)
    large = np.abs(trace) / 2.0 + np.where(real_pair, root, 0.0)  # size of the larger eigenvalue if they are real
    if not np.all(np.isfinite(large)):
        raise FloatingPointError("an eigenvalue")
    (top, above), (bottom, below) = np.frexp(np.where(large > 0.0, large, 1.0)), np.frexp(e)
    small = np.where(large > 0.0, np.ldexp(determinant / top / bottom, unit - above - below), 0.0)
    decay = np.where(real_pair, np.where(trace >= 0.0, small, -large), trace / 2.0)
    frequency = np.where(real_pair, 0.0, root)
    kind = np.select(
        [determinant < 0.0, determinant == 0.0, (trace == 0.0), (trace > 0.0) & real_pair, trace > 0.0, real_pair],
        ["saddle", "drift", "centre", "stable", "stable-spiral", "unstable"],
        "unstable-spiral",
    )
    determinant = np.ldexp(determinant / bottom, unit - below)
    return JointStability(as_given(trace), as_given(determinant), as_given(decay), as_given(frequency), kind[()])


@vectorized()
def hopf(a: ArrayLike, b: ArrayLike, D: ArrayLike, C: ArrayLike) -> Hopf:
    r"""Where the joint pair turns from a decaying into a growing spiral (linear joint flow 10.1).

    .. math:: \varepsilon^* = -D/a, \qquad \omega^2 = -a(aD - bC)/D, \qquad bC < aD < 0

    a, b, D, C : real; all broadcast. ``side`` is -1 for a < 0 < D (an inner optimizer fast enough holds a base loss
    that is unstable by itself), +1 for D < 0 < a. Exact.
    """
    a, b, d, c = np.broadcast_arrays(real("a", a), real("b", b), real("D", D), real("C", C))
    there = (a * d < 0.0) & (b * c < a * d)
    safe_a, safe_d = np.where(there, a, 1.0), np.where(there, d, 1.0)
    eps = np.where(there, -d / safe_a, np.nan)
    omega = np.where(there, np.sqrt(np.where(there, -a * (a * d - b * c) / safe_d, 0.0)), np.nan)
    side = np.where(there, np.where(d > 0.0, -1, 1), 0).astype(np.int64)
    return Hopf(as_given(eps), as_given(omega), side[()])


@vectorized()
def largest_step(a: ArrayLike, b: ArrayLike, D: ArrayLike, C: ArrayLike, *, eps: ArrayLike = 1.0) -> Array:
    r"""The step of discrete descent, by both optimizers at once, below which the joint pair is stable (10.1).

    .. math:: h < T/\Delta \ \text{for a spiral}, \qquad h < 2/\lambda_{\max} \ \text{for real rates},
              \qquad T = a + D/\varepsilon, \ \Delta = (aD - bC)/\varepsilon

    Arguments as in :func:`joint_stability`. 0 where the flow itself is not stable. Exact.
    """
    pair = joint_stability(a, b, D, C, eps=eps)
    trace, decay, frequency = (np.asarray(v) for v in (pair.trace, pair.decay, pair.frequency))
    stable = np.char.startswith(pair.kind, "stable")
    fastest = np.where(stable & (frequency == 0.0), trace - decay, 1.0)
    size = np.where(stable, np.hypot(decay, frequency), 1.0)  # of the eigenvalues; its square is the determinant
    spiral = 2.0 * (decay / size) / size
    return as_given(np.where(stable, np.where(frequency > 0.0, spiral, 2.0 / fastest), 0.0))


@vectorized()
def least_friction(a: ArrayLike, b: ArrayLike, D: ArrayLike, C: ArrayLike, *, eps: ArrayLike = 1.0) -> Array:
    r"""The friction of heavy ball, of both optimizers, above which the joint pair is stable (10.1).

    .. math:: \gamma^2 > (4\Delta - T^2)/(2T), \qquad T = a + D/\varepsilon, \ \Delta = (aD - bC)/\varepsilon

    Arguments as in :func:`joint_stability`. 0 where the rates are real (momentum is harmless), inf where the flow itself
    is not stable. Exact.
    """
    pair = joint_stability(a, b, D, C, eps=eps)
    stable = np.char.startswith(pair.kind, "stable")
    trace = np.where(stable, pair.trace, 1.0)
    with np.errstate(over="ignore"):
        return as_given(np.where(stable, np.asarray(pair.frequency) * np.sqrt(2.0 / trace), np.inf))


@vectorized()
def joint_course(
    t: ArrayLike, theta: ArrayLike, phi: ArrayLike, *, a: ArrayLike, b: ArrayLike, D: ArrayLike, C: ArrayLike,
    eps: ArrayLike = 1.0,
) -> tuple[Array, Array]:  # fmt: skip
    """theta(t) and phi(t) of both optimizers descending at once (linear joint flow 10.1).

    t : real. theta, phi : the start, real. a, b, D, C : real. eps : > 0. All broadcast. Exact, through equal, complex
    and vanishing eigenvalues; inf where the course leaves the numbers.
    """
    names = ("t", "theta", "phi", "a", "b", "D", "C")
    checked = [real(n, v) for n, v in zip(names, (t, theta, phi, a, b, D, C), strict=True)]
    time, x, y, a, b, d, c, e = np.broadcast_arrays(*checked, positive("eps", eps))
    half = -(a + d / e) / 2.0
    lean = (d / e - a) / 2.0  # A - p = [[lean, -b], [-c/e, -lean]]
    pair = (half, lean**2 + b * c / e, (a * d - b * c) / e, time)
    with np.errstate(over="ignore", under="ignore", invalid="ignore", divide="ignore"):
        mean, slope = flow_mean(*pair), flow_slope(*pair)
        both = mean * x + slope * (lean * x - b * y), mean * y - slope * (c / e * x + lean * y)
    return as_given(known(np.asarray(both[0]))), as_given(known(np.asarray(both[1])))


@vectorized()
def effective_curvature(
    a: ArrayLike, b: ArrayLike, e: ArrayLike, D: ArrayLike, C: ArrayLike, *, inner_time: ArrayLike = np.inf
) -> Array:
    r"""What a base optimizer that sees through the inner one descends with (linear joint flow 10.2).

    .. math:: a - 2bC\kappa + eC^2\kappa^2, \qquad \kappa = (1 - e^{-D\tau})/D

    a, b, e, D, C : real. inner_time : tau >= 0, inf for the inner optimum (kappa = 1/D; NaN where D <= 0: there is
    none). All broadcast. Positive: stable, negative: a saddle. Exact.
    """
    tau = np.asarray(inner_time, dtype=np.float64)
    tau = np.where(np.isposinf(tau), np.inf, nonnegative("inner_time", np.where(np.isposinf(tau), 0.0, tau)))
    a, b, e, d, c, tau = np.broadcast_arrays(*(real(n, v) for n, v in zip("abeDC", (a, b, e, D, C), strict=True)), tau)
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        x = d * tau
        kappa = np.where(x == 0.0, tau, -np.expm1(-x) / np.where(d == 0.0, 1.0, d))
        kappa = np.where(np.isinf(tau), np.where(d > 0.0, 1.0 / np.where(d > 0.0, d, 1.0), np.nan), kappa)
        moved = c * kappa
        curvature = a - 2.0 * (b * moved) + e * moved * moved
    known(np.where(np.isnan(kappa), 0.0, curvature))
    return as_given(curvature)


@vectorized()
def seeing_through(b: ArrayLike, e: ArrayLike, D: ArrayLike, C: ArrayLike) -> Array:
    r"""The curvature that differentiating through the inner optimum adds, :math:`(C/D)(eC/D - b)` (10.2).

    b, e, C : real. D : > 0. All broadcast. Positive: it stabilizes. Exact.
    """
    b, e, d, c = np.broadcast_arrays(real("b", b), real("e", e), positive("D", D), real("C", C))
    return as_given(c / d * (e * (c / d) - b))


@vectorized()
def coupling_map(
    a: ArrayLike, b: ArrayLike, e: ArrayLike, D: ArrayLike, C: ArrayLike, *, eps: ArrayLike = 1.0
) -> NDArray[np.int64]:
    """Where seeing through the inner optimizer decides about stability (linear joint flow 10.1 and 10.2).

    a, b, e, D, C : real. eps : > 0, the ratio of time scales of the joint flow. All broadcast.

    Returns a label: 3 stable either way, 2 only the joint flow is (seeing through destabilizes), 1 only the equilibrium
    coupling is (seeing through stabilizes), 0 neither, -1 no inner optimum to see through (D <= 0). ``MAP_LABELS`` has
    the words. Exact; a zero eigenvalue counts as not stable.
    """
    a, b, e, d, c, ratio = np.broadcast_arrays(
        *(real(n, v) for n, v in zip("abeDC", (a, b, e, D, C), strict=True)), positive("eps", eps)
    )
    joint = joint_stability(a, b, d, c, eps=ratio)
    chased = np.char.startswith(joint.kind, "stable")
    seen = np.asarray(effective_curvature(a, b, e, np.where(d > 0.0, d, 1.0), c)) > 0.0
    return np.where(d > 0.0, seen + 2 * chased, -1).astype(np.int64)[()]


def _difference(x: Array, y: Array, u: Array, v: Array) -> tuple[Array, NDArray[np.int64]]:
    """x y - u v as a number and the power of two to multiply it with: no product leaves the range of the numbers."""
    (x, i), (y, j), (u, k), (v, l) = (np.frexp(w) for w in (x, y, u, v))
    unit = np.maximum(np.where(x * y == 0.0, -9999, i + j), np.where(u * v == 0.0, -9999, k + l))
    return np.ldexp(x * y, i + j - unit) - np.ldexp(u * v, k + l - unit), unit
