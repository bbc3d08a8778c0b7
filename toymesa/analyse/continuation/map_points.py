"""Special points of maps at which no fixed point is born or lost: flips and Neimark-Sacker points.

A fixed point of x -> f(x) changes its stability where a multiplier passes -1 (a flip: an orbit of period two is born) or
a complex pair passes the unit circle (Neimark-Sacker: a closed invariant curve is born). Folds and branch points,
multiplier 1, are those of F(x) = f(x) - x like for flows. Normal forms: Kuznetsov 2004, sections 4.4, 4.6 and 5.4.
"""

from __future__ import annotations

import cmath
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toymesa.analyse.continuation.augmented import Tested, newton
from toymesa.analyse.continuation.normal_forms import Forms, Onset, criticality
from toymesa.analyse.continuation.problem import Problem

Array = NDArray[np.float64]
Complex = NDArray[np.complex128]
_TOGETHER = 3e-5  # multipliers this close to -1 beside the flip pass it at once
_REAL = 1e-6  # imaginary part of a multiplier that is real
_RESONANT = 1e-6  # radians around 90 and 120 degrees in which the closed curve is not what is born
_ROOT = 0.02  # distance from -1 of a pair on the circle that may be about to meet there
_NEAR = 0.02


def multipliers(problem: Problem, u: Array) -> Complex:
    """Eigenvalues of df/dx at u."""
    return np.asarray(np.linalg.eigvals(problem.linearization(u)) + 1.0, dtype=np.complex128)


def map_point(problem: Problem, forms: Forms, u: Array) -> tuple[str, Array, float, Onset, int] | None:
    """The flip or Neimark-Sacker point near u: kind, where, residual, what is born, and how many multipliers (or pairs)
    cross at once; None where there is none."""
    values = multipliers(problem, u)
    nearest = complex(values[int(np.argmin(np.abs(np.abs(values) - 1.0)))])
    # where areas are kept both multipliers reach -1 at once, along the circle, and leave it as a square root
    pair = int((np.abs(values + 1.0) < _ROOT).sum()) == 2
    if abs(nearest.imag) > _REAL:
        both = _flip(problem, forms, u, 2) if pair else None
        return both or _neimark_sacker(problem, forms, u, complex(nearest.real, abs(nearest.imag)))
    if nearest.real > 0:
        return None
    return _flip(problem, forms, u) or (_flip(problem, forms, u, 2) if pair else None)


def _solved(problem: Problem, u: Array, test: Callable[[Array], float]) -> tuple[Array, float] | None:
    found = newton(Tested(problem, test), u, _NEAR)
    return None if found is None or np.linalg.norm(found[0] - u) > _NEAR else found


def _flip(problem: Problem, forms: Forms, u: Array, least: int = 1) -> tuple[str, Array, float, Onset, int] | None:
    values = multipliers(problem, u)
    scale = max(1.0, float(np.abs(values).max()))
    count = max(int((np.abs(values + 1.0) < _TOGETHER * scale).sum()), least)

    def test(v: Array) -> float:
        """The mean of those that pass at once: smooth where a symmetry holds them together."""
        found = multipliers(problem, v)
        return float((found[np.argsort(np.abs(found + 1.0))[:count]].real + 1.0).mean())

    found = _solved(problem, u, test)
    if found is None:
        return None
    at, residual = found
    if np.sort(np.abs(multipliers(problem, at) + 1.0))[count - 1] > _TOGETHER * scale:
        return None
    born = Onset(np.pi, np.nan, "degenerate" if least > 1 else "") if count > 1 else flip(forms, at)
    return "flip", at, residual, born, count


def _neimark_sacker(
    problem: Problem, forms: Forms, u: Array, target: complex
) -> tuple[str, Array, float, Onset, int] | None:
    def nearest(v: Array) -> complex:
        found = multipliers(problem, v)
        return complex(found[int(np.argmin(np.abs(found - target)))])

    found = _solved(problem, u, lambda v: abs(nearest(v)) - 1.0)
    if found is None:
        return None
    at, residual = found
    angle = abs(cmath.phase(nearest(at)))
    values = multipliers(problem, at)
    count = int((np.abs(values - cmath.exp(1j * angle)) < _TOGETHER * max(1.0, float(np.abs(values).max()))).sum())
    born = Onset(angle, np.nan, "") if count > 1 else neimark_sacker(forms, at, angle)
    return "neimark-sacker", at, residual, born, max(count, 1)


# ---------------------------------------------------------------- normal forms


def _vectors(problem: Problem, u: Array, value: complex) -> tuple[Complex, Complex, Array] | None:
    """q and p with M q = value q, M^T p = conj(value) p, |q| = 1 in the model's coordinates, <p, q> = 1; and M."""
    matrix = problem.linearization(u) + np.eye(problem.n)
    q, p = _eigenvector(matrix, value), _eigenvector(matrix.T, value.conjugate())
    q = q / np.linalg.norm(problem.basis @ q)
    overlap = np.vdot(p, q)
    if abs(overlap) < 1e-9 * np.linalg.norm(q) * np.linalg.norm(p):  # a Jordan block
        return None
    return q, p / np.conj(overlap), matrix


def _eigenvector(matrix: Array, value: complex) -> Complex:
    values, vectors = np.linalg.eig(matrix)
    return np.asarray(vectors[:, int(np.argmin(np.abs(values - value)))], dtype=np.complex128)


def flip(forms: Forms, u: Array) -> Onset:
    r"""The coefficient c of the normal form xi -> -(1 + b) xi + c xi^3 at a flip (Kuznetsov 2004, eq. 5.48).

    .. math:: c = \tfrac16 \langle p, C(q,q,q)\rangle + \tfrac12 \langle p, B(q, (I - M)^{-1} B(q,q))\rangle

    Positive: the orbit of period two that is born is stable (supercritical).
    """
    found = _vectors(forms.problem, u, -1.0 + 0j)
    if found is None:
        return Onset(np.pi, np.nan, "degenerate")
    q, p, matrix = found
    q, p = q.real.astype(complex), p.real.astype(complex)
    try:
        still = np.linalg.solve(np.eye(len(matrix)) - matrix, forms.second(u, q, q))
    except np.linalg.LinAlgError:  # a fold at the same point
        return Onset(np.pi, np.nan, "degenerate")
    terms: list[Any] = [np.vdot(p, forms.third(u, q)).real / 6, np.vdot(p, forms.second(u, q, still)).real / 2]
    value, kind = criticality(forms, q, terms, stable=1)
    return Onset(np.pi, value, kind)


def neimark_sacker(forms: Forms, u: Array, angle: float) -> Onset:
    r"""The first coefficient at a Neimark-Sacker point (Kuznetsov 2004, eq. 5.54 and theorem 4.6).

    .. math:: a = \tfrac12 \mathrm{Re}\, e^{-i\theta}\bigl[\langle p, C(q,q,\bar q)\rangle
        + 2 \langle p, B(q, (I-M)^{-1} B(q,\bar q))\rangle + \langle p, B(\bar q, (e^{2i\theta}-M)^{-1} B(q,q))\rangle\bigr]

    Negative: the closed curve that is born is stable (supercritical). At 90 and 120 degrees (strong resonances) other
    terms of the normal form decide, and what is born need not be a curve: "resonant".
    """
    if min(abs(angle - np.pi / 2), abs(angle - 2 * np.pi / 3)) < _RESONANT:
        return Onset(angle, np.nan, "resonant")
    found = _vectors(forms.problem, u, cmath.exp(1j * angle))
    if found is None:
        return Onset(angle, np.nan, "degenerate")
    q, p, matrix = found
    eye = np.eye(len(matrix))
    try:
        still = np.linalg.solve(eye - matrix, forms.second(u, q, q.conj()))
        double = np.linalg.solve(cmath.exp(2j * angle) * eye - matrix, forms.second(u, q, q))
    except np.linalg.LinAlgError:
        return Onset(angle, np.nan, "degenerate")
    back = cmath.exp(-1j * angle)
    terms: list[Any] = [
        back * np.vdot(p, forms.third(u, q)) / 2,
        back * np.vdot(p, forms.second(u, q, still)),
        back * np.vdot(p, forms.second(u, q.conj(), double)) / 2,
    ]
    value, kind = criticality(forms, q, terms, stable=-1)
    return Onset(angle, value, kind)
