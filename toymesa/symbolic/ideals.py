"""Bounds on all real solutions of a polynomial system, exactly: Groebner basis, quotient algebra, real roots.

For finitely many complex solutions the coordinates of all of them are the roots of the characteristic polynomials of
multiplication in the quotient algebra (Cox, Little and O'Shea 2005, "Using Algebraic Geometry", chapter 2, section 4).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import flint

from toymesa.errors import DomainError
from toymesa.symbolic.balls import float_bounds

# reached within seconds; beyond, the cost grows without warning, and a box and a search are the better way
_LIMITS = (200, 1000, 8000)  # basis length, terms of a polynomial, bits of a coefficient
_LARGEST = 81  # dimension of the quotient algebra: four cubic equations

Monomial = tuple[int, ...]


class Unbounded(DomainError):
    """No box is known that holds all real solutions; the message says why."""


def real_bounds(polys: Sequence[dict[Monomial, Any]], n: int) -> list[tuple[float, float]] | None:
    """An interval a coordinate that holds it for every real solution; None where there is no real solution.

    polys: monomial -> rational coefficient, in n variables. Raises Unbounded where the complex solutions are not
    finitely many, or the computation grows too large.
    """
    basis = _groebner(polys, n)
    if any(set(p) == {(0,) * n} for p in basis):
        return None
    leads = [max(p, key=_degrevlex) for p in basis]
    for j in range(n):
        if not any(all(e == 0 for i, e in enumerate(m) if i != j) for m in leads):
            raise Unbounded("its complex solutions are not finitely many")
    standard = _standard(leads, n)
    algebra = _Algebra(basis, leads, standard)
    out = []
    for j in range(n):
        roots = _real_roots(algebra.multiplication(j, n).charpoly())
        if not roots:
            return None
        out.append((min(r[0] for r in roots), max(r[1] for r in roots)))
    return out


def _groebner(polys: Sequence[dict[Monomial, Any]], n: int) -> list[dict[Monomial, Any]]:
    whole = flint.fmpz_mpoly_ctx.get(tuple(f"x{i}" for i in range(n)), "degrevlex")
    start = []
    for poly in polys:
        scale = math.lcm(*(int(c.denominator) for c in poly.values()))
        start.append(whole.from_dict({m: int(c.numerator) * (scale // int(c.denominator)) for m, c in poly.items()}))
    found, complete = flint.fmpz_mpoly_vec(start, whole).buchberger_naive(limits=_LIMITS)
    if not complete:
        raise Unbounded("its Groebner basis is too large")
    return [p.to_dict() for p in found.autoreduction()]


def _degrevlex(m: Monomial) -> tuple[Any, ...]:
    return (sum(m), *(-e for e in reversed(m)))


def _standard(leads: Sequence[Monomial], n: int) -> list[Monomial]:
    """The monomials that no leading monomial divides: a basis of the quotient algebra."""
    level, out = [(0,) * n], []
    while level:
        out += level
        if len(out) > _LARGEST:
            raise Unbounded(f"it has more than {_LARGEST} complex solutions")
        raised = {(*m[:j], m[j] + 1, *m[j + 1 :]) for m in level for j in range(n)}
        level = [m for m in raised if not any(all(a <= b for a, b in zip(lead, m, strict=True)) for lead in leads)]
    return sorted(out, key=_degrevlex)


class _Algebra:
    """Normal forms of monomials in a quotient algebra, from a reduced Groebner basis."""

    def __init__(
        self, basis: Sequence[dict[Monomial, Any]], leads: Sequence[Monomial], standard: list[Monomial]
    ) -> None:
        self._standard = {m: i for i, m in enumerate(standard)}
        self._known: dict[Monomial, list[Any]] = {}
        size = len(standard)
        for m, i in self._standard.items():
            self._known[m] = [flint.fmpq(int(i == k)) for k in range(size)]
        for poly, lead in zip(basis, leads, strict=True):
            row = [flint.fmpq(0)] * size
            for m, c in poly.items():
                if m != lead:
                    row[self._standard[m]] = -flint.fmpq(int(c), int(poly[lead]))
            self._known[lead] = row

    def _normal(self, m: Monomial) -> list[Any]:
        if m not in self._known:
            for j, e in enumerate(m):
                smaller = (*m[:j], e - 1, *m[j + 1 :])
                if e and smaller not in self._standard:
                    break
            out = [flint.fmpq(0)] * len(self._standard)
            for (b, _), c in zip(self._standard.items(), self._normal(smaller), strict=True):
                if c != 0:
                    for k, v in enumerate(self._normal((*b[:j], b[j] + 1, *b[j + 1 :]))):
                        out[k] += c * v
            self._known[m] = out
        return self._known[m]

    def multiplication(self, j: int, n: int) -> Any:
        """The matrix of multiplication by variable j, by rows of standard monomials."""
        rows = [self._normal((*m[:j], m[j] + 1, *m[j + 1 :])) for m in self._standard]
        return flint.fmpq_mat(rows)


def _real_roots(poly: Any) -> list[tuple[float, float]]:
    """Enclosures of the different real roots of a polynomial with rational coefficients."""
    out = []
    for factor, _ in poly.numer().factor()[1]:
        for root, _ in factor.complex_roots():
            if root.imag.is_zero():
                out.append(float_bounds(root.real))
    return sorted(out)
