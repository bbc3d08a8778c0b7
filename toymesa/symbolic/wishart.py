r"""Moments of a Wishart matrix: E tr W^j exactly, for any j, as numbers or as a polynomial in both sizes.

W = X^T X, where X has n rows and d columns of independent standard normal numbers. The power sum p_j of the eigenvalues
is a combination of zonal polynomials, each of which averages to a product over its boxes (James 1964, eq. 34 ff.; the
coefficients are those of Jack polynomials at alpha = 2, Macdonald 1995, VI.10). Only the partitions (a, b, 1, ..., 1)
occur in p_j:

.. math::
    \mathbb{E}\operatorname{tr} W^j = \sum_{\kappa = (a,b,1^c)} 2j\,\frac{\theta_\kappa}{h_\kappa}
        \prod_{(r,s)\in\kappa} (n + 2(s-1) - (r-1))\,(d + 2(s-1) - (r-1)),

with theta the product of 2(s-1) - (r-1) over all boxes but the first and h that of (2 arm + leg + 1)(2 arm + leg + 2):
about j^2/4 terms, where a sum over matchings has (2j-1)!!.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from math import factorial
from typing import Any

import flint
import sympy as sp
from sympy.polys.domains import QQ
from sympy.polys.rings import ring


def shapes(j: int) -> Iterator[tuple[int, int, int]]:
    """The partitions (a, b, 1^c) of j as (a, b, c); a single row has b = c = 0."""
    yield j, 0, 0
    for b in range(1, j // 2 + 1):
        for a in range(b, j - b + 1):
            yield a, b, j - a - b


@cache
def weight(a: int, b: int, c: int) -> flint.fmpq:
    """theta/h of the partition (a, b, 1^c), a rational number."""
    top = 2 ** (a - 1) * factorial(a - 1)
    if b == 0:
        return flint.fmpq(top, factorial(2 * a))
    # 1*3*...*(2b-3) of the second row over (2b-2)! of its hooks is 1/(2^(b-1) (b-1)!), and (c+1)! cancels likewise
    row = (2 * a + c) * (2 * a + c + 1) * factorial(2 * a - 1)
    second = (2 * b + c - 1) * (2 * b + c) * 2 ** (b - 1) * factorial(b - 1)
    return flint.fmpq((-1) ** (c + 1) * top * (2 * (a - b) + 1), row * second * factorial(c))


def trace_moments(count: int, d: int, n: int) -> list[int]:
    """E tr W^j for j = 0 ... count, exactly: whole numbers of any length."""
    tables = [_products(flint.fmpz(x), count, flint.fmpz(1)) for x in (n, d)]
    sums = [sum((w * boxes for w, boxes in _terms(j, tables)), flint.fmpq(0)) for j in range(1, count + 1)]
    return [d, *(int(s.p) for s in sums)]


def moment(j: int, d: sp.Expr, n: sp.Expr) -> sp.Expr:
    """E tr (W/n)^j / d as a polynomial in d and 1/n whose coefficients are all positive."""
    if j == 0:
        return sp.Integer(1)
    domain, rows, columns = ring("n, d", QQ)
    terms = _terms(j, [_products(x, j, domain.one) for x in (rows, columns)])
    total = sum((boxes * QQ(int(w.p), int(w.q)) for w, boxes in terms), domain.zero)
    return sp.Add(*[sp.Integer(int(c)) * d ** (q - 1) * n ** (p - j) for (p, q), c in total.terms()])


def _terms(j: int, tables: Sequence[tuple[list[Any], list[Any], list[Any]]]) -> Iterator[tuple[flint.fmpq, Any]]:
    """Coefficient and product over the boxes, for every partition."""
    for a, b, c in shapes(j):
        boxes: Any = 1
        for row, second, column in tables:
            boxes = boxes * (row[a] * second[b] * column[c])
        yield 2 * j * weight(a, b, c), boxes


def _products(x: Any, count: int, one: Any) -> tuple[list[Any], list[Any], list[Any]]:
    """Products of x + content over the first row, the second row and the column below them, by their lengths."""
    row, second, column = [one], [one], [one]
    for s in range(count):
        row.append(row[-1] * (x + 2 * s))
        second.append(second[-1] * (x + 2 * s - 1))
        column.append(column[-1] * (x - s - 2))
    return row, second, column
