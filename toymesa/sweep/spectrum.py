"""Eigenvalues of the linearization at many points at once, and what they say about stability.

The rules are those of :func:`toymesa.analyse.stability`, in plain numbers and for whole arrays: no certificate, no search.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from toymesa.analyse import KINDS
from toymesa.kernels.arrays import array_function
from toymesa.symbolic.model import TIME, Model


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


def kinds(eigenvalues: NDArray[np.complex128], *, discrete: bool, tiny: float) -> NDArray[np.int8]:
    """Positions in ``KINDS`` (row,), -1 where an eigenvalue is NaN. tiny: a growth rate this small against the largest
    eigenvalue (of a map: against 1) is not told from zero.

    With a growing eigenvalue: an unstable spiral if the fastest ones are a pair, else a saddle if others decay, else
    unstable. With none growing but one that is not told from zero: a centre if all such are pairs, else undecided (whether
    it is a drift along a line of fixed points cannot be seen from eigenvalues). Else stable, a spiral if the slowest ones
    are a pair.
    """
    out = np.full(eigenvalues.shape[0], -1, dtype=np.int8)
    fine = np.isfinite(eigenvalues).all(axis=1)
    values = eigenvalues[fine]
    rates = np.abs(values) - 1.0 if discrete else values.real
    size = np.maximum(np.abs(values).max(axis=1, keepdims=True, initial=0.0), 1.0 if discrete else 1e-300)
    paired = np.abs(values.imag) > 1e-9 * size
    open_ = np.abs(rates) <= tiny * size
    up, down = (rates > 0) & ~open_, (rates < 0) & ~open_
    leads = np.take_along_axis(paired, rates.argmax(axis=1)[:, None], axis=1)[:, 0]
    growing, unclear = up.any(axis=1), open_.any(axis=1)
    centre = (paired | ~open_).all(axis=1)
    found = np.select(
        [growing & leads, growing & down.any(axis=1), growing, unclear & centre, unclear, leads],
        [KINDS.index(k) for k in ("unstable-spiral", "saddle", "unstable", "centre", "undecided", "stable-spiral")],
        KINDS.index("stable"),
    )
    out[fine] = found
    return out
