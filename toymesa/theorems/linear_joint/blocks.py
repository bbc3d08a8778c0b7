"""Any number of base and inner variables: the matrices of 10.1 and 10.2, by numerical linear algebra.

a (m, m), b (m, k), e (k, k), D (k, k), C (k, m); a, e and D symmetric. Leading axes broadcast.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy.linalg import expm

from toymesa.errors import DomainError
from toymesa.theorems.arguments import Array, as_given, positive, real, scalar, vectorized
from toymesa.theorems.linear import flow_course


@vectorized(a=2, b=2, D=2, C=2)
def block_jacobian(a: ArrayLike, b: ArrayLike, D: ArrayLike, C: ArrayLike, *, eps: ArrayLike = 1.0) -> Array:
    r"""The matrix of the joint flow of (theta, phi) (linear joint flow 10.1).

    .. math:: J = -\begin{pmatrix} a & b \\ C/\varepsilon & D/\varepsilon \end{pmatrix}

    eps : > 0, shape (...). Returns shape (..., m+k, m+k). Raises DomainError where shapes do not fit.
    """
    a, b, d, c = _shaped(a, b, D, C)
    ratio = positive("eps", eps)[..., None, None]
    shape = np.broadcast_shapes(a.shape[:-2], b.shape[:-2], d.shape[:-2], c.shape[:-2], ratio.shape[:-2])
    m, k = b.shape[-2:]
    out = np.empty((*shape, m + k, m + k))
    out[..., :m, :m], out[..., :m, m:] = -a, -b
    out[..., m:, :m], out[..., m:, m:] = -c / ratio, -d / ratio
    return out


@vectorized(a=2, b=2, e=2, D=2, C=2)
def block_curvature(
    a: ArrayLike, b: ArrayLike, e: ArrayLike, D: ArrayLike, C: ArrayLike, *, inner_time: float | None = None
) -> Array:
    r"""The curvature of the base loss seen through the inner optimizer, :math:`a - bM - (bM)^T + M^T e M`.

    M = D^-1 C at the inner optimum (inner_time None), or the integral of e^(-Ds) C over the inner time tau >= 0. The
    flow is theta' = -(this) theta: stable iff it is positive definite. Raises DomainError for an inner optimum that is
    none (D not positive definite).
    """
    a, b, d, c = _shaped(a, b, D, C)
    e = real("e", e)
    if e.shape[-2:] != d.shape[-2:]:
        raise DomainError(f"e must have the shape of D, {d.shape[-2:]}; got {e.shape[-2:]}")
    if inner_time is None:
        if np.any(np.linalg.eigvalsh(d) <= 0.0):
            raise DomainError(
                f"D must be positive definite for an inner optimum; got the eigenvalue {np.linalg.eigvalsh(d).min():g}"
            )
        reached = np.linalg.solve(d, c)
    else:
        tau = scalar("inner_time", inner_time, 0.0)
        k = d.shape[-1]
        extended = np.zeros((*d.shape[:-2], 2 * k, 2 * k))  # the exponential of [[-D, 1], [0, 0]] holds its integral
        extended[..., :k, :k], extended[..., :k, k:] = -d, np.eye(k)
        reached = expm(extended * tau)[..., :k, k:] @ c
    mixed = b @ reached
    return a - mixed - np.swapaxes(mixed, -1, -2) + np.swapaxes(reached, -1, -2) @ e @ reached


@vectorized(jacobian=2)
def block_decay(jacobian: ArrayLike) -> Array:
    """Minus the largest real part of the eigenvalues: positive iff the flow x' = J x is stable. J (..., n, n)."""
    return as_given(np.asarray(-np.linalg.eigvals(real("jacobian", jacobian)).real.max(axis=-1)))


@vectorized(start=1, jacobian=2)
def block_course(t: ArrayLike, start: ArrayLike, jacobian: ArrayLike) -> Array:
    """x(t) = exp(J t) x(0): t (...), start (..., n), J (..., n, n); :func:`toymesa.theorems.linear.flow_course`."""
    return flow_course(t, jacobian, start)


def _shaped(a: ArrayLike, b: ArrayLike, d: ArrayLike, c: ArrayLike) -> tuple[Array, Array, Array, Array]:
    a, b, d, c = (real(n, v) for n, v in zip("abDC", (a, b, d, c), strict=True))
    for name, block in zip("abDC", (a, b, d, c), strict=True):
        if block.ndim < 2:
            raise DomainError(f"{name} must be a matrix along its last two axes; got shape {block.shape}")
    m, k = b.shape[-2:]
    for name, block, wanted in (("a", a, (m, m)), ("D", d, (k, k)), ("C", c, (k, m))):
        if block.shape[-2:] != wanted:
            raise DomainError(f"{name} must have the shape {wanted} with b of {(m, k)}; got {block.shape[-2:]}")
    for name, block in (("a", a), ("D", d)):
        if not np.array_equal(block, np.swapaxes(block, -1, -2)):
            raise DomainError(f"{name} must be symmetric: it is the curvature of an objective")
    return a, b, d, c
