"""Wishart moments from zonal polynomials against integration by parts, which shares nothing with them."""

from __future__ import annotations

from functools import cache

import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from toymesa.symbolic.wishart import moment, shapes, trace_moments


@cache
def by_parts(traces, d, n):
    """E of a product of tr W^j: E p_j Q = (n+j-1) E p_(j-1) Q + sum E p_m p_(j-1-m) Q + sum 2l E p_(j+l-1) Q/p_l."""
    if not traces:
        return 1
    j, *rest = sorted(traces, reverse=True)
    if j == 0:
        return d ** len(traces)
    total = (n + j - 1) * by_parts((j - 1, *rest), d, n)
    total += sum(by_parts((m, j - 1 - m, *rest), d, n) for m in range(1, j))
    return total + sum(2 * l * by_parts((j + l - 1, *rest[:i], *rest[i + 1 :]), d, n) for i, l in enumerate(rest))


@given(d=st.integers(1, 40), n=st.integers(1, 40))
@settings(max_examples=25, deadline=None)
def test_moments_are_those_of_integration_by_parts(d, n):
    assert trace_moments(8, d, n) == [by_parts((j,), d, n) for j in range(9)]
    assert trace_moments(8, d, n)[1:] == trace_moments(8, n, d)[1:]  # tr (X'X)^j = tr (XX')^j


@given(n=st.integers(1, 60), j=st.integers(1, 30))
@settings(max_examples=30, deadline=None)
def test_one_dimension_is_a_chi_square(n, j):
    assert trace_moments(j, 1, n)[j] == sp.prod([n + 2 * i for i in range(j)])


@pytest.mark.parametrize("j", [1, 2, 5, 9])
def test_polynomial_and_numbers_agree(j):
    d, n = sp.symbols("d n", positive=True)
    found = moment(j, d, n)
    assert all(term.as_coeff_Mul()[0] > 0 for term in sp.Add.make_args(found))
    for size in ((3, 7), (6, 2)):
        assert found.subs({d: size[0], n: size[1]}) == sp.Rational(trace_moments(j, *size)[j], size[0] * size[1] ** j)
    # for large sizes: the Marchenko-Pastur moments, here with d = n (Catalan numbers)
    assert sp.limit(found.subs(d, n), n, sp.oo) == sp.catalan(j)


def test_shapes_are_partitions_without_repeats():
    for j in range(1, 15):
        found = list(shapes(j))
        assert len(set(found)) == len(found)
        assert all(a + b + c == j and a >= b for a, b, c in found)
    assert moment(0, sp.Symbol("d"), sp.Symbol("n")) == 1
