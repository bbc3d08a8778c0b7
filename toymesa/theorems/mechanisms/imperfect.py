"""Imperfect mechanisms (mechanisms 1.12): when independent errors make joint optimization stable for good.

Three different questions have three different answers, and every function says which one it answers: is the
joint state linearly stable; is it the global minimum; does training reach it (only a solution of the model can
tell).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import xlogy

from toymesa.errors import DomainError
from toymesa.theorems.arguments import Array, as_given, count, nonnegative, positive, real, vectorized


@vectorized()
def always_stable(lam: ArrayLike, *, mechanisms: ArrayLike = 2, fidelity: ArrayLike = 1.0) -> np.ndarray:
    r"""Whether the joint state is linearly stable at every diversity, lam <= 3(1-f^2)/K^2 (mechanisms 1.12).

    lam : decay > 0. mechanisms : K >= 2, of equal rate 1, prior and training fidelity f in [-1, 1]. Broadcasts;
    boolean. Exact for mu > 0. At f = 0 nothing is learned and the joint state is stable for any decay.
    """
    decay, k = positive("lam", lam), count("mechanisms", mechanisms)
    f = real("fidelity", fidelity, -1.0, 1.0)
    return np.asarray((decay <= stability_decay(mechanisms=k, fidelity=f)) | (f == 0.0))[()]


@vectorized()
def stability_decay(*, mechanisms: ArrayLike = 2, fidelity: ArrayLike = 1.0) -> Array:
    """The largest decay with a joint state that is linearly stable at every diversity, 3(1 - f^2)/K^2."""
    k, f = count("mechanisms", mechanisms), real("fidelity", fidelity, -1.0, 1.0)
    return as_given(np.asarray(3.0 * _error(f) / k**2))


@vectorized()
def joint_survivors(lam: ArrayLike, *, mechanisms: ArrayLike = 2, fidelity: ArrayLike = 1.0) -> np.ndarray:
    r"""How many mechanisms the global minimum of the free energy keeps joint as diversity grows (mechanisms 1.12).

    The m with :math:`m(m-1) < (1-f^2)/\lambda < m(m+1)`, at most K; equal shares 1/m. On a boundary, where two
    numbers do equally well, the smaller one. Arguments as in :func:`always_stable`; integers. f = 0 raises
    DomainError: nothing is learned, and the prior alone decides.
    """
    decay, k = positive("lam", lam), count("mechanisms", mechanisms)
    f = real("fidelity", fidelity, -1.0, 1.0)
    if np.any(f == 0.0):
        raise DomainError("fidelity must not be 0: no mechanism then follows the base objective; got 0")
    ratio, k = np.broadcast_arrays(_error(f) / decay, k)
    with np.errstate(over="ignore"):
        guess = np.minimum(np.round(np.sqrt(ratio)), k)
    m = np.maximum(guess - 1.0, 1.0)
    for _ in range(3):  # rounding of the root can miss by one: move up while one more does strictly better
        m = np.where((m < k) & (ratio > m * (m + 1.0)), m + 1.0, m)
    return np.asarray(m.astype(np.int64))[()]


@vectorized(fidelity=1)
def loss_floor(fidelity: ArrayLike) -> Array:
    r"""The least base loss that mechanisms of these training fidelities reach together, without decay.

    .. math:: \ell_\mathrm{min} = \tfrac12 \Bigl/ \Bigl(1 + \sum_r \frac{f_r^2}{1-f_r^2}\Bigr)

    fidelity : shape (..., K), in [-1, 1]. Zero if any is perfect. The reducible loss is what lies above it; the
    value is reached by every interior p, with contents c_r proportional to f_r/((1 - f_r^2) p_r).
    """
    f = _mechanisms("fidelity", real("fidelity", fidelity, -1.0, 1.0))
    with np.errstate(divide="ignore"):
        power = (f**2 / _error(f)).sum(axis=-1)
    return as_given(np.asarray(0.5 / (1.0 + power)))


@vectorized(reliances=1, rates=1, fidelity=1)
def equilibrium_contents(
    reliances: ArrayLike, *, lam: ArrayLike, rates: ArrayLike = 1.0, fidelity: ArrayLike = 1.0
) -> Array:
    r"""The contents at rest for fixed reliances: c_r = f_r p_r g/B_r with g = 1/(1 + Q) (mechanisms 1.12).

    :math:`B_r = (1-f_r^2) p_r^2 + \lambda/\eta_r` and :math:`Q = \sum_r f_r^2 p_r^2/B_r`. reliances : shape
    (..., K), each >= 0, sum 1. lam : > 0, shape (...). rates (> 0) and fidelity ([-1, 1]) : shape (..., K) or
    scalar. Exact.
    """
    p, f, stiff, q = _reduced(reliances, lam, rates, fidelity)
    return np.asarray(f * p / stiff / (1.0 + q)[..., None])


@vectorized(reliances=1, rates=1, fidelity=1, prior=1)
def reduced_free_energy(
    reliances: ArrayLike,
    *,
    diversity: ArrayLike,
    lam: ArrayLike,
    mu: ArrayLike,
    rates: ArrayLike = 1.0,
    fidelity: ArrayLike = 1.0,
    prior: ArrayLike | None = None,
) -> Array:
    r"""The free energy with contents at their optimum, :math:`F(p) = \frac{n/2}{1+Q(p)} + \mu\,\mathrm{KL}(p\|\pi)`.

    Same fixed points and same number of unstable directions as the full free energy (mechanisms 1.12).
    reliances, lam, rates, fidelity as in :func:`equilibrium_contents`; diversity > 0 and mu >= 0, shape (...);
    prior : shape (..., K), positive, sum 1 (None: uniform). Exact.
    """
    p, _, _, q = _reduced(reliances, lam, rates, fidelity)
    n, pressure = positive("diversity", diversity), nonnegative("mu", mu)
    pi = np.full(p.shape[-1], 1.0 / p.shape[-1]) if prior is None else _simplex("prior", positive("prior", prior))
    divergence = (xlogy(p, p) - p * np.log(pi)).sum(axis=-1)
    return as_given(np.asarray(n / 2.0 / (1.0 + q) + pressure * divergence))


def _reduced(
    reliances: ArrayLike, lam: ArrayLike, rates: ArrayLike, fidelity: ArrayLike
) -> tuple[Array, Array, Array, Array]:
    """p, f, B and Q."""
    p = _simplex("reliances", nonnegative("reliances", reliances))
    f, eta = real("fidelity", fidelity, -1.0, 1.0), positive("rates", rates)
    stiff = _error(f) * p**2 + positive("lam", lam)[..., None] / eta
    p, f, stiff = np.broadcast_arrays(p, f, stiff)
    return p, f, stiff, (f**2 * p**2 / stiff).sum(axis=-1)


def _error(f: Array) -> Array:
    """1 - f^2 without cancellation at f = 1."""
    return np.asarray((1.0 - f) * (1.0 + f))


def _mechanisms(name: str, value: Array) -> Array:
    if value.ndim == 0 or value.shape[-1] < 1:
        raise DomainError(f"{name} must have the mechanisms along its last axis; got shape {value.shape}")
    return value


def _simplex(name: str, value: Array) -> Array:
    total = _mechanisms(name, value).sum(axis=-1)
    if np.any(np.abs(total - 1.0) > 1e-9):
        raise DomainError(
            f"{name} must sum to 1 along the last axis; got {np.ravel(total)[np.argmax(np.abs(total - 1))]:g}"
        )
    return value
