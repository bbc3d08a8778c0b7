r"""The inner run in the limit of many dimensions and examples, d/n = c: averages over the Marchenko-Pastur law.

Its Laplace transform phi(s) = int e^(-s x) mu(dx) has an elementary derivative, so that for every c

.. math:: \varphi(s) = \max(0, 1 - 1/c) + \int_s^\infty e^{-(1+c)x}\,\frac{I_1(2\sqrt c\,x)}{\sqrt c\,x}\,dx,
    \qquad \varphi = e^{-2s}\,(I_0(2s) + I_1(2s)) \quad (c = 1).

The noise term is an integral of the same density against a tent on [0, 2 tau]. Everything is a sum of positive terms.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ive

from toymesa.theorems.arguments import Array, as_given, nonnegative, positive, vectorized

_POINTS, _WEIGHTS = np.polynomial.legendre.leggauss(20)
_POINTS, _WEIGHTS = (_POINTS + 1.0) / 2.0, _WEIGHTS / 2.0
_PANELS = 120


@vectorized()
def laplace(s: ArrayLike, *, ratio: ArrayLike) -> Array:
    """int e^(-s x) over the Marchenko-Pastur law (in_context 5.3): the limit of E tr e^(-s S) / d.

    s : >= 0. ratio : c = d/n > 0. Both broadcast. Elementary (Bessel functions) for c = 1, where it falls like
    1/sqrt(pi s); a quadrature to about 1e-14 otherwise. With c > 1 the share 1 - 1/c of the directions never shows up in
    the context and stays.
    """
    s, c = np.broadcast_arrays(nonnegative("s", s), positive("ratio", ratio))
    at_one = ive(0, 2.0 * s) + ive(1, 2.0 * s)
    return as_given(np.where(c == 1.0, at_one, np.maximum(0.0, 1.0 - 1.0 / c) + _tail(s, c)))


@vectorized()
def limit_loss(inner_time: ArrayLike, *, ratio: ArrayLike, noise_share: ArrayLike = 0.0) -> Array:
    r"""The loss after inner time tau for large d and n (in_context 5.3).

    .. math:: \ell = \tfrac12\,\bigl[\varphi(2\tau) + \nu\,(2\Psi(\tau) - \Psi(2\tau))\bigr],
        \qquad \Psi' = \varphi,\ \Psi(0) = 0

    inner_time : tau >= 0. ratio : c = d/n > 0. noise_share : nu = sigma^2/n >= 0 (noise against the signal of one
    dimension). All broadcast. Numerical, to about 1e-13.
    """
    tau, c, nu = np.broadcast_arrays(
        nonnegative("inner_time", inner_time), positive("ratio", ratio), nonnegative("noise_share", noise_share)
    )
    return as_given((laplace(2.0 * tau, ratio=c) + nu * _tent(tau, c)) / 2.0)


def _density(x: Array, c: Array) -> Array:
    """e^(-(1+c)x) I_1(2 sqrt(c) x)/(sqrt(c) x); minus the derivative of phi."""
    root = np.sqrt(c)
    z = 2.0 * root * x
    near = np.clip(z, 1e-8, 1e8)
    with np.errstate(under="ignore"):
        # beyond 1e8 only the first term of the asymptotic series is left, z^(-3/2)
        bessel = 2.0 * ive(1, near) / near * (near / np.maximum(z, near)) ** 1.5
        return np.asarray(bessel * np.exp(-((1.0 - root) ** 2) * x))


def _tail(s: Array, c: Array) -> Array:
    """int_s^inf of the density: panels that double."""
    unit = (1.0 / (1.0 + np.sqrt(c)) ** 2)[..., None]
    total = np.zeros(s.shape)
    for j in range(_PANELS):
        low, width = unit * (2.0**j - 1.0), unit * 2.0**j
        values = _density(s[..., None] + low + width * _POINTS, c[..., None])
        total += width[..., 0] * (values @ _WEIGHTS)
    return total


def _tent(tau: Array, c: Array) -> Array:
    """int_0^tau x + int_tau^2tau (2 tau - x) of the density: panels that halve towards 0."""
    total = np.zeros(tau.shape)
    for j in range(-1, 60):
        width = tau[..., None] * 2.0 ** -max(j + 1.0, 0.0)
        at = width * (1.0 + _POINTS)
        height = at if j >= 0 else 2.0 * tau[..., None] - at
        total += width[..., 0] * ((height * _density(at, c[..., None])) @ _WEIGHTS)
    return total
