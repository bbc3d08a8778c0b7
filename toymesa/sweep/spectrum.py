"""Eigenvalues of the linearization at many points at once, and what they say about stability."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from toymesa.kernels.arrays import array_function
from toymesa.symbolic.model import TIME, Model

KINDS = ("stable", "stable-spiral", "saddle", "unstable", "unstable-spiral", "centre", "drift", "undecided")
_TINY = 1e-9  # an eigenvalue this small against the largest is not told from zero


def spectrum(model: Model, columns: list[NDArray[np.float64]]) -> NDArray[np.complex128]:
    """Eigenvalues (row, state) of the Jacobian; NaN where a state or an entry is not finite.

    columns: states, parameters and time, each (row,).
    """
    n = len(model.states)
    entries = array_function([*model.states, *model.params, TIME], list(model.jacobian()))(*columns)
    matrices = np.stack(entries, axis=-1).reshape(-1, n, n)
    out = np.full(matrices.shape[:2], np.nan, dtype=np.complex128)
    fine = np.isfinite(matrices).all(axis=(1, 2))
    if fine.any():
        out[fine] = np.linalg.eigvals(matrices[fine])
    return out


def leading(eigenvalues: NDArray[np.complex128], *, discrete: bool) -> NDArray[np.float64]:
    """Growth rate per unit of time (row,): the largest real part; of a map the logarithm of the largest modulus."""
    with np.errstate(divide="ignore"):
        rates = np.log(np.abs(eigenvalues)) if discrete else eigenvalues.real
    return np.asarray(rates.max(axis=1))


def kinds(eigenvalues: NDArray[np.complex128], *, discrete: bool) -> NDArray[np.int8]:
    """Positions in ``KINDS`` (row,), -1 where an eigenvalue is NaN."""
    rates: NDArray[Any]
    if discrete:
        with np.errstate(divide="ignore", invalid="ignore"):
            rates = np.log(np.abs(eigenvalues))
        turning = (np.abs(eigenvalues.imag) > _TINY * np.abs(eigenvalues).max(axis=1, keepdims=True)).any(axis=1)
    else:
        rates = eigenvalues.real
        turning = (np.abs(eigenvalues.imag) > _TINY * np.abs(eigenvalues).max(axis=1, keepdims=True)).any(axis=1)
    size = np.ones((rates.shape[0], 1)) if discrete else np.abs(eigenvalues).max(axis=1, keepdims=True)
    near = np.abs(rates) <= _TINY * size
    up, down = ((rates > 0) & ~near), ((rates < 0) & ~near)
    oscillating = near & (np.abs(eigenvalues.imag) > _TINY * size)
    out = np.full(rates.shape[0], KINDS.index("undecided"), dtype=np.int8)
    hyperbolic = ~near.any(axis=1)
    for found, plain, spiral in (
        (hyperbolic & down.all(axis=1), "stable", "stable-spiral"),
        (hyperbolic & up.all(axis=1), "unstable", "unstable-spiral"),
    ):
        out[found & ~turning] = KINDS.index(plain)
        out[found & turning] = KINDS.index(spiral)
    out[up.any(axis=1) & down.any(axis=1)] = KINDS.index("saddle")
    still = near.any(axis=1) & ~up.any(axis=1)
    out[still & oscillating.any(axis=1) & (near == oscillating).all(axis=1)] = KINDS.index("centre")
    out[still & down.any(axis=1) & ~oscillating.any(axis=1)] = KINDS.index("drift")
    out[~np.isfinite(eigenvalues).all(axis=1)] = -1
    return out
