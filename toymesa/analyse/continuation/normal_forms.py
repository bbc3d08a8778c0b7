"""Normal-form coefficients from directional derivatives of the rates (Kuznetsov 2004, sections 3.5, 5.4 and 8.7)."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from toymesa.analyse.continuation.problem import Problem
from toymesa.errors import ModelError
from toymesa.kernels.points import directional_function
from toymesa.symbolic.linear import fixed_point_equations

Array = NDArray[np.float64]
Complex = NDArray[np.complex128]
_LINEAR = 1e-24
_NONE = 1e-9  # a coefficient this small beside its own terms is zero


class Onset(NamedTuple):
    """What begins at a special point: frequency (radians per unit of the model's time, or per step of a map), the
    coefficient of the normal form, and what its sign means."""

    omega: float
    lyapunov: float
    criticality: str


class Forms:
    """Second and third derivatives of the rates as multilinear forms of directions in u's state coordinates.

    ``how`` says whether they are "symbolic" (exact) or "differences" of the Jacobian (about eight and six digits): the
    latter for algebraic states, nested inner runs, and functions without a scalar form. "unused" until they are needed.
    """

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.how = "unused"

    @cached_property
    def _exact(self) -> Callable[..., Array] | None:
        model = self.problem.model
        self.how = "differences"
        if self.problem.algebraic:
            return None
        try:
            made = directional_function(model.states, list(model.params), list(fixed_point_equations(model).values()))
        except ModelError:
            return None
        self.how = "symbolic"
        return made

    def _along(self, u: Array, v: Array) -> tuple[Array, Array]:
        """Second and third derivative of F along v."""
        problem = self.problem
        if self._exact is not None:
            x, direction = problem.state(u), problem.basis @ v
            values = self._exact([*x.tolist(), *problem.values(u).tolist(), *direction.tolist()])
            orders = problem.project @ values.reshape(3, -1).T / problem.rate
            return orders[:, 1], orders[:, 2]
        size = float(np.linalg.norm(v))
        if size == 0:
            return np.zeros(v.size), np.zeros(v.size)
        h = 2e-3
        a = [self._reduced(u, k * h * v / size) @ v for k in (-2, -1, 0, 1, 2)]
        first = (a[0] - 8 * a[1] + 8 * a[3] - a[4]) / (12 * h) * size
        second = (-a[0] + 16 * a[1] - 30 * a[2] + 16 * a[3] - a[4]) / (12 * h * h) * size**2
        return first, second

    def _reduced(self, u: Array, shift: Array) -> Array:
        """The linearization at differential states moved by ``shift``, the algebraic ones solved for again."""
        problem = self.problem
        moved = u.copy()
        d, a = problem.differential, problem.algebraic
        moved[d if a else slice(0, problem.n)] += shift
        for _ in range(8 if a else 0):
            f, m = problem.residual(moved), problem.matrix(moved)
            moved[a] -= np.linalg.solve(m[np.ix_(a, a)], f[a])
        return problem.linearization(moved)

    def second(self, u: Array, a: Any, b: Any) -> Complex:
        """B(a, b), complex-bilinear."""

        def real(p: Array, q: Array) -> Array:
            return (self._along(u, p + q)[0] - self._along(u, p - q)[0]) / 4

        a, b = np.asarray(a, dtype=complex), np.asarray(b, dtype=complex)
        return np.asarray(
            real(a.real, b.real) - real(a.imag, b.imag) + 1j * (real(a.real, b.imag) + real(a.imag, b.real))
        )

    def third(self, u: Array, q: Complex) -> Complex:
        """C(q, q, conjugate of q)."""
        a, b = q.real, q.imag
        aaa, bbb, plus, minus = (self._along(u, v)[1] for v in (a, b, a + b, a - b))
        aab, abb = (plus - minus - 2 * bbb) / 6, (plus + minus - 2 * aaa) / 6
        return np.asarray(aaa + abb + 1j * (aab + bbb))


def hopf(forms: Forms, u: Array, omega: float) -> Onset:
    r"""The first Lyapunov coefficient at a Hopf point, with ``omega`` in scaled time.

    .. math:: l_1 = \frac{1}{2\omega}\,\mathrm{Re}\,\bigl[\langle p, C(q,q,\bar q)\rangle
        - 2 \langle p, B(q, A^{-1}B(q,\bar q))\rangle + \langle p, B(\bar q, (2i\omega - A)^{-1}B(q,q))\rangle\bigr]

    with A q = i omega q, A^T p = -i omega p, <p, q> = 1 and q of unit length in the model's own coordinates (Kuznetsov
    2004, eq. 5.62): its sign does not depend on the coordinates, its size does. Negative: the cycle that is born is
    stable where the fixed point is not (supercritical).
    """
    problem = forms.problem
    a = problem.linearization(u)
    q, p = _eigenpair(a, omega), _eigenpair(a.T, -omega)
    units = problem.basis if not problem.algebraic else np.diag(np.diag(problem.basis)[problem.differential])
    q = q / np.linalg.norm(units @ q)
    overlap = np.vdot(p, q)
    if abs(overlap) < _NONE * np.linalg.norm(q) * np.linalg.norm(p):  # a double zero
        return Onset(omega * problem.rate, np.nan, "degenerate")
    p = p / np.conj(overlap)
    eye = np.eye(len(a))
    try:
        still = np.linalg.solve(a, forms.second(u, q, q.conj()))
        double = np.linalg.solve(2j * omega * eye - a, forms.second(u, q, q))
    except np.linalg.LinAlgError:
        return Onset(omega * problem.rate, np.nan, "degenerate")
    terms = [
        np.vdot(p, forms.third(u, q)),
        -2 * np.vdot(p, forms.second(u, q, still)),
        np.vdot(p, forms.second(u, q.conj(), double)),
    ]
    value, kind = criticality(forms, q, [t / (2 * omega) for t in terms], stable=-1)
    return Onset(omega * problem.rate, value, kind)


def criticality(forms: Forms, q: Complex, terms: list[Any], *, stable: int) -> tuple[float, str]:
    """The real part of the sum of the terms, and what its sign means; ``stable``: the sign for which what is born is.

    It is zero where it is small beside the terms themselves (round a centre each of them may be imaginary), or where
    these are nothing but rounding, in the units of u: along q the equations are linear.
    """
    value, size = float(sum(t.real for t in terms)), float(sum(map(abs, terms)))
    share = _NONE if forms.how == "symbolic" else 1e-5
    if not np.isfinite(value) or abs(value) <= share * size or size <= _LINEAR * np.linalg.norm(q) ** 2:
        return value, "degenerate"
    return value, "supercritical" if value * stable > 0 else "subcritical"


def _eigenpair(a: Array, omega: float) -> Complex:
    """The eigenvector of the eigenvalue nearest i omega."""
    values, vectors = np.linalg.eig(a)
    return np.asarray(vectors[:, int(np.argmin(np.abs(values - 1j * omega)))], dtype=complex)


def zero_pair(jacobian: Array) -> tuple[Array, Array]:
    """Right and left unit vectors of the smallest singular value: the kernel at a fold."""
    left, _, right = np.linalg.svd(jacobian)
    return right[-1], left[:, -1]
