"""Eigenvalues and what they say about a fixed point: one list of kinds for flows and maps.

With an enclosure of the matrix the sign of every growth rate is proved or said to be open (acb, Johansson 2017); with
plain numbers it is open where it is smaller than the rounding errors.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import flint
import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eig

from toymesa.analyse.certified.certify import BITS, Certifier, Zero
from toymesa.symbolic.balls import precision
from toymesa.symbolic.linear import linearization
from toymesa.symbolic.model import Model

Array = NDArray[np.float64]

KINDS = ("stable", "stable-spiral", "saddle", "unstable", "unstable-spiral", "centre", "drift", "undecided")
# without an enclosure, growth rates below this share of the matrix are not told from zero, nor those that rounding
# errors of the matrix, some times as large as theirs, could have made (Wilkinson 1965, chapter 2: 1/|y.x| a unit)
_OPEN, _ROUNDING = 1e-9, 1e-14


def _ordered(pairs: list[tuple[complex, int | None]]) -> list[tuple[complex, int | None]]:
    """Fastest growing first; the two of a conjugate pair beside each other, whatever their rounding errors."""
    size = max((abs(v) for v, _ in pairs), default=0.0) or 1.0
    return sorted(pairs, key=lambda p: (-round(p[0].real / size, 11), abs(round(p[0].imag / size, 11)), -p[0].imag))


def signs(matrix: Array, *, discrete: bool) -> list[tuple[complex, int | None]]:
    """Each eigenvalue and whether it grows (1), decays (-1), or cannot be told (None), by plain numbers."""
    if not matrix.size:
        return []
    size = max(float(np.abs(matrix).max()), 1.0 if discrete else 0.0)
    values, left, right = eig(matrix, left=True, right=True)  # type: ignore[misc]  # three, with both sides asked for
    overlap = np.abs((left.conj() * right).sum(axis=0))
    out: list[tuple[complex, int | None]] = []
    for v, cosine in zip(values, overlap, strict=True):
        growth = abs(v) - 1.0 if discrete else v.real
        doubt = size * max(_OPEN, _ROUNDING / max(cosine, 1e-14))
        if abs(growth) > doubt:
            out.append((complex(v), 1 if growth > 0 else -1))
        else:  # a double zero turns for rounding alone
            out.append((complex(v) if abs(v.imag) > doubt else complex(v.real, 0.0), None))
    return _ordered(out)


def proved_spectrum(certifier: Certifier, zero: Zero, model: Model) -> list[tuple[complex, int | None]] | None:
    """The same with proved signs, from an enclosure of the point; None where the eigenvalues cannot be enclosed."""
    with precision(BITS):
        matrix = linearization(certifier.jacobian(zero.balls), model)
        try:
            values = [] if matrix is None else flint.acb_mat(matrix).eig(multiple=True)
        except (ValueError, ZeroDivisionError):
            return None
        return None if matrix is None else _told(values, discrete=model.discrete)


def _told(values: Sequence[Any], *, discrete: bool) -> list[tuple[complex, int | None]] | None:
    """Enclosed eigenvalues as numbers with the signs of their growth rates."""
    out: list[tuple[complex, int | None]] = []
    for v in values:
        growth = abs(v) - 1 if discrete else v.real
        if not growth.is_finite():
            return None
        sign = 1 if growth > 0 else -1 if growth < 0 else None
        # a real eigenvalue may come with a ball of an imaginary part around zero
        out.append((complex(float(v.real.mid()), 0.0 if v.imag.contains(0) else float(v.imag.mid())), sign))
    return _ordered(out)


def kind(values: Sequence[tuple[complex, int | None]], *, discrete: bool, dimension: int = 0) -> str:
    """The kind of a fixed point from its eigenvalues and their signs.

    dimension: of the set of fixed points through it; as many eigenvalues are zero by that, and the others decide.
    A growing eigenvalue makes it a saddle (the fastest one real, others decay), unstable (none decays), or an unstable
    spiral (the fastest ones a complex pair). With none growing or open it is stable, a spiral if the slowest ones are a
    pair. Open ones make a centre where all of them are pairs off the real axis, and leave the kind undecided otherwise.
    """
    rest = list(values)
    for _ in range(dimension):  # those nearest to zero (to 1 for a map)
        rest.remove(min(rest, key=lambda pair: abs(pair[0] - (1.0 if discrete else 0.0))))

    def speed(pair: tuple[complex, int | None]) -> float:
        return abs(pair[0]) if discrete else pair[0].real

    growing = [p for p in rest if p[1] == 1]
    unclear = [p for p in rest if p[1] is None]
    if growing:
        if max(growing, key=speed)[0].imag != 0:
            return "unstable-spiral"
        return "saddle" if any(sign == -1 for _, sign in rest) else "unstable"
    if unclear:
        return "centre" if all(v.imag != 0 for v, _ in unclear) else "undecided"
    if dimension:
        return "drift"
    return "stable-spiral" if rest and max(rest, key=speed)[0].imag != 0 else "stable"
