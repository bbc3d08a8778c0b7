"""Stability of the converged joint state (mechanisms 1.5, with imperfect mechanisms from 1.12), all closed forms.

K mechanisms of equal rate, prior and training fidelity f rest jointly at p = 1/K. Rates are 1 here; a common rate eta
is the same model in the time eta t with lam/eta and gate_rate/eta. *Stable* means linearly stable: which other states
exist beside it is mechanisms 1.6, and which one training reaches is mechanisms 1.7.
"""

from __future__ import annotations

from math import comb
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from toymesa.errors import ArgumentError
from toymesa.theorems.arguments import Array, as_given, count, nonnegative, positive, real, vectorized


class JointState(NamedTuple):
    """The joint state at rest: content of each mechanism, error left g = 1 - f c, and the pull Q = 1/g - 1."""

    content: Array
    error: Array
    pull: Array


class JointEigenvalues(NamedTuple):
    """Growth rates at the joint state: ``upper`` and ``lower`` (K-1)-fold, ``together`` (all contents alike) simple."""

    upper: Array
    lower: Array
    together: Array


@vectorized()
def joint_state(lam: ArrayLike, *, mechanisms: ArrayLike = 2, fidelity: ArrayLike = 1.0) -> JointState:
    r"""The converged joint state, p_r = 1/K and c_r = c for all r (mechanisms 1.5, 1.12).

    .. math:: g = \frac{1}{1+Q}, \quad Q = \frac{f^2}{K A}, \quad c = \frac{f g}{K A}, \quad A = (1-f^2)/K^2 + \lambda

    lam : decay >= 0. mechanisms : K >= 2. fidelity : f in [-1, 1]. All broadcast. For perfect mechanisms without decay
    ``pull`` is inf and ``error`` 0. Exact.
    """
    decay, k, f = (
        nonnegative("lam", lam),
        count("mechanisms", mechanisms),
        real("fidelity", fidelity, -1.0, 1.0),
    )
    decay, k, f = np.broadcast_arrays(decay, k, f)
    stiffness = _error(f) / k**2 + decay
    total = f**2 / k + stiffness
    with np.errstate(divide="ignore"):
        pull = f**2 / k / stiffness
    return JointState(as_given(f / k / total), as_given(stiffness / total), as_given(pull))


@vectorized()
def critical_diversity(lam: ArrayLike, mu: ArrayLike, *, mechanisms: ArrayLike = 2, fidelity: ArrayLike = 1.0) -> Array:
    r"""Diversity n_c above which the converged joint state is linearly unstable (mechanisms 1.5 and 1.12).

    .. math:: n_c = \frac{\mu (1+K\lambda)^2}{K\lambda} \quad (f = 1), \qquad
              n_c = \frac{\mu K (1+Q)^2 (a/K^2+\lambda)^3}{f^2 \lambda (\lambda - 3a/K^2)}, \quad
              a = 1-f^2,\ Q = \frac{f^2}{K(a/K^2+\lambda)}

    lam, mu : decay and pressure >= 0. mechanisms : K >= 2, of equal rate 1, prior and training fidelity f in [-1, 1].
    All broadcast. Independent of the learning rate of reliances, and of momentum.

    Returns inf where no diversity makes the joint state unstable: lam <= 3(1-f^2)/K^2, f = 0, or lam = 0 (where it is
    only neutral: the contents rest on a line of fixed points). Returns 0 for mu = 0 otherwise. Exact.
    """
    decay, pressure = nonnegative("lam", lam), nonnegative("mu", mu)
    k, f = count("mechanisms", mechanisms), real("fidelity", fidelity, -1.0, 1.0)
    decay, pressure, k, f = np.broadcast_arrays(decay, pressure, k, f)
    a = _error(f) / k**2
    margin = decay - 3.0 * a
    never = (margin <= 0.0) | (f == 0.0)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore", under="ignore"):
        # (1 + Q)^2 (a + lam)^3 = (a + lam + f^2/K)^2 (a + lam); grouped so that no factor overflows before the result
        total = a + decay + f**2 / k
        value = pressure * k * (total / f) * (total / f) * ((a + decay) / decay / margin)
    return as_given(np.where(never, np.inf, np.where(pressure == 0.0, 0.0, value)))


@vectorized()
def joint_eigenvalues(
    diversity: ArrayLike,
    lam: ArrayLike,
    mu: ArrayLike,
    *,
    mechanisms: ArrayLike = 2,
    gate_rate: ArrayLike = 1.0,
    fidelity: ArrayLike = 1.0,
) -> JointEigenvalues:
    r"""All eigenvalues of the flow at the converged joint state; real (mechanisms 1.5 and 1.12).

    .. math:: \sigma_\pm = -\frac{\lambda+\eta_p\mu}{2} \pm
              \sqrt{\frac{(\lambda-\eta_p\mu)^2}{4} + \frac{\eta_p n g^2}{K}} \quad (f = 1)

    With f < 1: lam becomes a/K^2 + lam, eta_p mu becomes eta_p (mu + n a c^2/K), and g becomes f g - 2 a c/K, with
    a = 1 - f^2 and c, g of :func:`joint_state`. ``together`` is -(lam + f^2/K + a/K^2), with the multiplicity 1.

    diversity, gate_rate : > 0. lam, mu : >= 0. mechanisms : K >= 2. fidelity : in [-1, 1]. All broadcast. Exact;
    ``upper`` keeps its relative accuracy near the threshold as far as n - n_c does.
    """
    n, eta = positive("diversity", diversity), positive("gate_rate", gate_rate)
    decay, pressure = nonnegative("lam", lam), nonnegative("mu", mu)
    k, f = count("mechanisms", mechanisms), real("fidelity", fidelity, -1.0, 1.0)
    n, eta, decay, pressure, k, f = np.broadcast_arrays(n, eta, decay, pressure, k, f)
    c, g, _ = (np.asarray(v) for v in joint_state(decay, mechanisms=k, fidelity=f))
    a = _error(f)
    fast = a / k**2 + decay
    slow = eta * (pressure + n * a * c**2 / k)
    coupling = np.sqrt(eta * n / k) * (f * g - 2.0 * a * c / k)
    half, gap = (fast + slow) / 2.0, np.hypot((fast - slow) / 2.0, coupling)
    lower = -(half + gap)
    # the product of the pair over its larger member: no cancellation between half and gap
    root = np.sqrt(fast) * np.sqrt(slow)
    product = (root - np.abs(coupling)) * (root + np.abs(coupling))
    with np.errstate(divide="ignore", invalid="ignore"):
        upper = np.where(lower == 0.0, 0.0, product / lower)
    return JointEigenvalues(as_given(upper), as_given(lower), as_given(-(fast + f**2 / k)))


@vectorized()
def momentum_eigenvalues(
    eigenvalue: ArrayLike, friction: ArrayLike
) -> tuple[NDArray[np.complex128], NDArray[np.complex128]]:
    r"""Growth rates of heavy ball, :math:`\ddot x + \gamma \dot x = f(x)`, from one of the flow (mechanisms 1.5).

    The two roots of :math:`\sigma^2 + \gamma\sigma = e`, the one with the larger real part first; complex.
    eigenvalue : e, real (as from :func:`joint_eigenvalues`). friction : gamma > 0. For real e the larger real part has
    the sign of e, so that momentum leaves every stability threshold where it is. Exact.
    """
    e, gamma = real("eigenvalue", eigenvalue), positive("friction", friction)
    e, gamma = np.broadcast_arrays(e, gamma)
    square = (gamma / 2.0) ** 2 + e
    root = np.sqrt(np.abs(square))
    lower = np.where(square >= 0.0, -gamma / 2.0 - root, -gamma / 2.0 - 1j * root)
    upper = np.where(square >= 0.0, e / (gamma / 2.0 + root), -gamma / 2.0 + 1j * root)
    return upper.astype(np.complex128)[()], lower.astype(np.complex128)[()]


@vectorized()
def largest_step(
    diversity: ArrayLike,
    lam: ArrayLike,
    mu: ArrayLike,
    *,
    mechanisms: ArrayLike = 2,
    gate_rate: ArrayLike = 1.0,
    fidelity: ArrayLike = 1.0,
) -> Array:
    r"""The step below which discrete descent keeps the stability of the flow, h = 2/max(rates) (mechanisms 1.5).

    .. math:: h < 2 / \max(\lambda + 1/K, |\sigma_-|) \quad (f = 1)

    Arguments as in :func:`joint_eigenvalues`. Descent by steps x + h f(x) is linearly stable at the joint state iff
    n < n_c and h is below this value; above n_c no step is stable, and the value then still bounds the step at which
    the decaying directions begin to oscillate with growing amplitude. Exact.
    """
    values = joint_eigenvalues(diversity, lam, mu, mechanisms=mechanisms, gate_rate=gate_rate, fidelity=fidelity)
    return as_given(np.asarray(2.0 / np.maximum(-values.lower, -values.together)))


@vectorized()
def splits(mechanisms: int) -> NDArray[np.int64]:
    """Number of branch lines through the joint state at n_c by the size m = 1, ..., K/2 of the smaller group.

    Every split of the K mechanisms in two groups is one line; together 2^(K-1) - 1 (mechanisms 1.5). Whole numbers up
    to K = 60. Raises DomainError beyond.
    """
    if np.ndim(mechanisms) != 0:
        raise ArgumentError(f"mechanisms must be one number; got shape {np.shape(mechanisms)}")
    k = int(real("mechanisms", count("mechanisms", mechanisms), 2.0, 60.0))
    return np.array([comb(k, m) // (2 if 2 * m == k else 1) for m in range(1, k // 2 + 1)], dtype=np.int64)


def _error(f: Array) -> Array:
    """1 - f^2 without cancellation at f = 1."""
    return np.asarray((1.0 - f) * (1.0 + f))
