"""Rational functions: zero is found where it is, never where it is not, and factors multiply to the whole."""

from __future__ import annotations

import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from toymesa.symbolic.rational import factored, is_zero_quotient

x, y = sp.symbols("x y", positive=True)
ATOMS = [x, y, sp.log(x), sp.exp(x), sp.exp(-2 * x + y), sp.log(1 + x) / x, sp.Rational(2, 3)]


@st.composite
def expressions(draw, depth=3):
    if depth == 0 or draw(st.booleans()):
        return draw(st.sampled_from(ATOMS))
    one, other = draw(expressions(depth=depth - 1)), draw(expressions(depth=depth - 1))
    return draw(st.sampled_from([one + other, one - other, one * other, one / (1 + other**2), one**2]))


@settings(max_examples=40, deadline=None)
@given(expressions(), expressions(), expressions())
def test_true_identities_are_seen_and_broken_ones_not(a, b, c):
    zero = (a + b) * c / (1 + c**2) - a / (1 / c + c) - b * c / (1 + c**2)
    assert is_zero_quotient(zero)
    assert not is_zero_quotient(zero + a**2 + b**2 + sp.Rational(1, 10**30))


@pytest.mark.parametrize(
    ("expr", "zero"),
    [
        (sp.exp(x + y) - sp.exp(x) * sp.exp(y), True),
        (sp.exp(2 * x) - sp.exp(x) ** 2, True),
        (sp.exp(-x) * sp.exp(x) - 1, True),
        ((1 + x) ** sp.Rational(3, 2) / sp.sqrt(1 + x) ** 3 - 1, True),
        (sp.log(x * y) - sp.log(x) - sp.log(y), True),
        (x**200 - x**100 * x**100, True),
        ((x + y) ** 1000 - (x + y) ** 1001, False),  # not multiplied out
        (sp.sqrt(1 + x) ** 3 / sp.sqrt(1 + x) - 1 - x, True),
        (1 / (sp.sqrt(1 + x) + 1) - (sp.sqrt(1 + x) - 1) / x, False),  # a root and its square are not related here
        (sp.sin(x) ** 2 + sp.cos(x) ** 2 - 1, False),  # independent variables here
        (sp.Mul(x, sp.Pow(sp.Add(x, -x, evaluate=False), -1, evaluate=False), evaluate=False), False),  # x/0
        (sp.S(0), True),
        (sp.S(3), False),
        (sp.pi - sp.pi / 2 - sp.pi / 2, True),
        (sp.nan, False),
    ],
)
def test_what_counts_as_one_variable(expr, zero):
    assert is_zero_quotient(expr) is zero


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(-3, 3), min_size=6, max_size=6), st.integers(1, 3))
def test_factors_multiply_to_what_was_factored(numbers, power):
    x, y = sp.symbols("x y", real=True)
    a, b, c, d, e, f = numbers
    first, second, bottom = a * x + b * y + sp.Rational(1, 2), c * x * sp.log(y) + d, e * sp.exp(x) + f + 7
    expr = sp.expand(first**power * second) / bottom
    found = factored(expr)
    assert is_zero_quotient(found - expr)
    assert found == factored(sp.expand(first**power) * second / bottom)


def test_factored_forms_are_in_lowest_terms_and_keep_their_sums():
    x, y = sp.symbols("x y")
    assert factored((x**2 - y**2) / (x + y)) == x - y
    assert str(factored(2 * x + 4 * y)) == "2*(x + 2*y)"
    assert factored(sp.Rational(3, 4)) == sp.Rational(3, 4)
    assert factored(x - x + 0 * y) == 0
    with pytest.raises(ZeroDivisionError):
        factored(1 / (sp.expand((x + y) ** 2) - (x + y) ** 2 + 0 * x))
