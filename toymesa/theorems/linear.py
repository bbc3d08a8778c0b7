"""Base optimizers on linear flows: when they are stable, how fast they are, and where they are at any time.

A mode of the flow is an eigenvalue z = -lambda +- i omega: curvature lambda (any sign), frequency omega (0 for every
mode of a gradient flow; others circle, as where two optimizers chase each other). Derived in
``derivations/base_optimizers_1_linear.py``.

"Unstable" is here the saddle (omega = 0) or the spiral (omega > 0) of that mode.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import expm

from toymesa.errors import DomainError
from toymesa.kernels.entire import flow_mean, flow_slope, step_mean
from toymesa.theorems.arguments import Array, as_given, exponent, known, nonnegative, positive, real, vectorized

__all__ = [
    "critical_friction",
    "descent_course",
    "edge_of_stability",
    "flow_course",
    "least_friction",
    "momentum_course",
    "momentum_decay",
    "noise_variance",
]


@vectorized()
def edge_of_stability(curvature: ArrayLike, frequency: ArrayLike = 0.0) -> Array:
    r"""The step of discrete descent beyond which a mode grows, :math:`h^* = 2\lambda/(\lambda^2+\omega^2)`.

    curvature : lambda, real. frequency : omega, real. Both broadcast. 2/lambda on a gradient flow; 0 where the flow
    itself does not decay (lambda <= 0), inf for the mode that does not move at all. Exact.
    """
    lam, omega = np.broadcast_arrays(real("curvature", curvature), np.abs(real("frequency", frequency)))
    still = (lam == 0.0) & (omega == 0.0)
    size = np.maximum(np.abs(lam), omega)
    scale = np.where(still, 1.0, size)
    with np.errstate(over="ignore"):
        step = 2.0 * (lam / scale) / np.where(still, 1.0, (lam / scale) ** 2 + (omega / scale) ** 2) / scale
    return as_given(np.where(still, np.inf, np.where(lam > 0.0, step, 0.0)))


@vectorized()
def critical_friction(curvature: ArrayLike) -> Array:
    r"""The friction of heavy ball at which a mode decays fastest, :math:`\gamma^* = 2\sqrt\lambda` (critical damping).

    curvature : lambda >= 0. The decay is then sqrt(lambda): below gamma* it is gamma/2 and the mode swings, above it
    the slower of two real decays. Exact.
    """
    return as_given(2.0 * np.sqrt(nonnegative("curvature", curvature)))


@vectorized()
def least_friction(curvature: ArrayLike, frequency: ArrayLike = 0.0) -> Array:
    r"""The friction below which heavy ball makes a stable spiral unstable, :math:`\gamma > \omega/\sqrt\lambda`.

    curvature : lambda, real. frequency : omega, real. Both broadcast. 0 for omega = 0 and lambda >= 0: momentum does
    not destabilize a gradient flow. inf where no friction helps (lambda < 0, or lambda = 0 with omega > 0). Exact.
    """
    lam, omega = np.broadcast_arrays(real("curvature", curvature), np.abs(real("frequency", frequency)))
    with np.errstate(over="ignore"):
        value = omega / np.sqrt(np.where(lam > 0.0, lam, 1.0))
    hopeless = (lam < 0.0) | ((lam == 0.0) & (omega > 0.0))
    return as_given(np.where(hopeless, np.inf, np.where(lam > 0.0, value, 0.0)))


@vectorized()
def momentum_decay(curvature: ArrayLike, friction: ArrayLike, frequency: ArrayLike = 0.0) -> Array:
    r"""The rate at which a mode decays under heavy ball: minus the larger real part of the roots of

    .. math:: \sigma^2 + \gamma\sigma = -\lambda + i\omega

    curvature : lambda, real. friction : gamma > 0. frequency : omega, real. All broadcast. Positive: stable. Exact;
    near 0 the relative accuracy is that of gamma^2 lambda - omega^2.
    """
    lam, gamma, omega = np.broadcast_arrays(
        real("curvature", curvature), positive("friction", friction), real("frequency", frequency)
    )
    # a unit of time in which no square leaves the range of the numbers
    unit = np.maximum(exponent(gamma), exponent(lam, omega) // 2) // 2 + 1
    gamma, lam, omega = np.ldexp(gamma, -unit), np.ldexp(lam, -2 * unit), np.ldexp(omega, -2 * unit)
    half = gamma / 2.0
    # sqrt(half^2 - lam + i omega) has the real part a with 2 a^2 = |.| + Re: decay = half - a = (half^2 - a^2)/(half + a)
    inside = half**2 - lam
    size = np.hypot(inside, omega)
    a = np.sqrt(np.where(inside >= 0.0, (size + inside) / 2.0, 0.0))
    rest = np.sqrt(np.where(inside < 0.0, (size - inside) / 2.0, 1.0))
    a = np.where(inside >= 0.0, a, np.abs(omega) / (2.0 * rest))
    # half^2 - a^2 = [half^2 + lam - size]/2 = [4 half^2 lam - omega^2]/[2 (half^2 + lam + size)]
    middle = half**2 + lam
    gap = np.where(
        middle > 0.0,
        (4.0 * half**2 * lam - omega**2) / (2.0 * np.where(middle > 0.0, middle + size, 1.0)),
        (middle - size) / 2.0,
    )
    # without frequency a mode that swings decays at half the friction, however small that is
    decay = np.where((omega == 0.0) & (inside < 0.0), half, gap / (half + a))
    return as_given(np.ldexp(decay, unit))


@vectorized()
def momentum_course(
    t: ArrayLike, start: ArrayLike, velocity: ArrayLike = 0.0, *, curvature: ArrayLike, friction: ArrayLike
) -> Array:
    r"""x(t) of heavy ball on one mode, :math:`\ddot x + \gamma\dot x = -\lambda x`, real eigenvalue of the flow.

    t : real. start, velocity : x(0) and its rate, real. curvature : lambda, real. friction : gamma > 0. All broadcast.
    Exact, through critical damping (gamma = 2 sqrt(lambda)) without loss of digits.
    """
    time, x, v, lam, gamma = np.broadcast_arrays(
        real("t", t), real("start", start), real("velocity", velocity), real("curvature", curvature),
        positive("friction", friction),
    )  # fmt: skip
    root = np.sqrt(np.abs(lam))
    gap = np.where(lam >= 0.0, (gamma / 2.0 - root) * (gamma / 2.0 + root), gamma**2 / 4.0 - lam)
    with np.errstate(over="ignore", invalid="ignore", divide="ignore", under="ignore"):
        pair = (-gamma / 2.0, gap, lam, time)
        return as_given(known(np.asarray(flow_mean(*pair) * x + flow_slope(*pair) * (v + gamma / 2.0 * x))))


@vectorized()
def descent_course(steps: ArrayLike, start: ArrayLike, *, curvature: ArrayLike, step: ArrayLike) -> Array:
    r"""x after a number of steps of descent on one mode, :math:`(1 - h\lambda)^k x_0`.

    steps : k, whole numbers >= 0. start : real. curvature : lambda, real. step : h > 0. All broadcast. Exact.
    """
    k = nonnegative("steps", steps)
    if np.any(k != np.floor(k)):
        raise DomainError(f"steps must be whole numbers; got {k[k != np.floor(k)].flat[0]:g}")
    x, z = real("start", start), -positive("step", step) * real("curvature", curvature)
    with np.errstate(over="ignore", under="ignore", invalid="ignore", divide="ignore"):
        return as_given(known(np.asarray(step_mean(z, 0.0, z**2, k) * x)))


@vectorized()
def noise_variance(
    t: ArrayLike, *, curvature: ArrayLike, temperature: ArrayLike, start_variance: ArrayLike = 0.0
) -> Array:
    r"""Variance of one mode under gradient noise, :math:`dx = -\lambda x\,dt + \sqrt{2T}\,dW`.

    .. math:: V(t) = V_0 e^{-2\lambda t} + (T/\lambda)(1 - e^{-2\lambda t})

    t : >= 0. curvature : lambda, real (0: diffusion, V_0 + 2Tt; the drift along a line of fixed points).
    temperature : T >= 0. start_variance : V_0 >= 0. All broadcast. Exact.
    """
    time, lam, heat, first = np.broadcast_arrays(
        nonnegative("t", t), real("curvature", curvature), nonnegative("temperature", temperature),
        nonnegative("start_variance", start_variance),
    )  # fmt: skip
    x = -2.0 * lam * time
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        gained = np.where(x == 0.0, time, np.expm1(x) / np.where(x == 0.0, 1.0, -2.0 * lam))
        return as_given(known(np.asarray(first * np.exp(x) + 2.0 * heat * gained)))


@vectorized(matrix=2, start=1, constant=1)
def flow_course(t: ArrayLike, matrix: ArrayLike, start: ArrayLike, constant: ArrayLike = 0.0) -> Array:
    r"""x(t) of the linear flow :math:`x' = Ax + b` of any size, by the matrix exponential of A extended by b.

    t : real, shape (...). matrix : A, shape (..., n, n). start : x(0), shape (..., n). constant : b, shape (..., n) or a
    scalar. Returns shape (..., n), the leading shapes broadcast. Numerical (scaling and squaring, Al-Mohy and Higham
    2010): relative error about |A t| times rounding. Singular and defective A are no exceptions.
    """
    time, a = real("t", t), real("matrix", matrix)
    if a.ndim < 2 or a.shape[-1] != a.shape[-2]:
        raise DomainError(f"matrix must be square along its last two axes; got shape {a.shape}")
    n = a.shape[-1]
    x, b = real("start", start), real("constant", constant)
    if x.ndim < 1 or x.shape[-1] != n:
        raise DomainError(f"start must have {n} entries along its last axis; got shape {x.shape}")
    b = np.broadcast_to(b, (*b.shape[:-1], n))
    shape = np.broadcast_shapes(time.shape, a.shape[:-2], x.shape[:-1], b.shape[:-1])
    extended = np.zeros((*shape, n + 1, n + 1))
    extended[..., :n, :n] = a
    extended[..., :n, n] = b
    grown: NDArray[np.float64] = expm(extended * time[..., None, None])
    full = np.concatenate([np.broadcast_to(x, (*shape, n)), np.ones((*shape, 1))], axis=-1)
    return known(np.einsum("...ij,...j->...i", grown, full)[..., :n])
