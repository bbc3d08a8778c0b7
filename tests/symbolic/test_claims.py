"""Verdicts: true claims are proved, mutated ones refuted, tempting ones never proved."""

import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st

import toymesa as tm
from toymesa.errors import ArgumentError, ModelError
from toymesa.symbolic.claims import KINDS

x, y = sp.symbols("x y", real=True)
k, u = sp.symbols("k u", positive=True)
DECAY = tm.Model(name="decay", flow={x: -k * x}, params={k: 1.0}, start={x: 1})
SWING = tm.Model(name="swing", flow={x: y, y: -k * x}, params={k: 1.0}, start={x: 1})
BOWL = tm.gradient_flow(k * (x - 1) ** 2 + y**4, [x, y], metric={x: 2}, params={k: 1.0})


def claim(kind, **more):
    return tm.Claim(name="c", statement="s", kind=kind, **more)


TRUE = {
    "solution": claim("solution", model=DECAY, solution={x: tm.at_start(x) * sp.exp(-k * tm.TIME)}),
    "invariant": claim("invariant", model=SWING, expr=k * x**2 + y**2),
    "lyapunov": claim("lyapunov", model=BOWL),
    "fixed_point": claim("fixed_point", model=BOWL, point={x: 1, y: 0}),
    "identity": claim("identity", lhs=sp.cosh(x) ** 2 - sp.sinh(x) ** 2, rhs=1),
    "limit": claim("limit", expr=(sp.exp(x) - 1) / x, variable=x, target=0, value=1),
    "inequality": claim("inequality", expr=u**2 + 3 * u * k + 1, strict=True),
}
FALSE = {
    "solution": claim("solution", model=DECAY, solution={x: tm.at_start(x) * sp.exp(-2 * k * tm.TIME)}),
    "invariant": claim("invariant", model=SWING, expr=k * x**2 - y**2),
    "lyapunov": claim("lyapunov", model=DECAY, expr=-(x**2)),
    "fixed_point": claim("fixed_point", model=BOWL, point={x: -1, y: 0}),
    "identity": claim("identity", lhs=sp.cosh(x) ** 2 + sp.sinh(x) ** 2, rhs=1),
    "limit": claim("limit", expr=(sp.exp(x) - 1) / x, variable=x, target=0, value=2),
    "inequality": claim("inequality", expr=u - 1),
}


PROVABLE = [kind for kind in KINDS if kind != "numerical"]


@pytest.mark.parametrize("kind", PROVABLE)
def test_true_claims_are_proved(kind):
    verdict = tm.verify(TRUE[kind])
    assert verdict.outcome == "PROVED", verdict
    assert verdict


@pytest.mark.parametrize("kind", PROVABLE)
def test_false_claims_are_refuted_with_a_counterexample(kind):
    verdict = tm.verify(FALSE[kind])
    assert verdict.outcome == "REFUTED", verdict
    assert all(v.is_Rational for v in verdict.counterexample.values())
    assert not verdict


@pytest.mark.parametrize(
    ("lhs", "rhs"),
    [
        (sp.sqrt(x**2), x),
        (sp.log(x**2), 2 * sp.log(sp.Abs(x)) + sp.Rational(1, 10**30)),
        (sp.exp(x + y), sp.exp(x) + sp.exp(y)),
        ((x + y) ** 3, x**3 + y**3),
        (sp.sin(2 * x), 2 * sp.sin(x)),
        (x, x + sp.Rational(1, 10**30)),
    ],
)
def test_tempting_falsehoods_are_not_proved(lhs, rhs):
    assert tm.verify(claim("identity", lhs=lhs, rhs=rhs)).outcome == "REFUTED"


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(-4, 4), min_size=4, max_size=4), st.integers(0, 3))
def test_a_mutated_polynomial_identity_is_refuted(c, where):
    left = (x + c[0]) * (x + c[1]) * (y + c[2]) + c[3]
    right = sp.expand(left)
    assert tm.verify(claim("identity", lhs=left, rhs=right)).outcome == "PROVED"
    mutated = right + [x, y, x * y, sp.Rational(1, 7)][where]
    assert tm.verify(claim("identity", lhs=left, rhs=mutated)).outcome == "REFUTED"


@pytest.mark.parametrize("value", [0, 1 + sp.erf(x)])
def test_a_limit_that_sympy_gets_wrong_is_undecided(value):
    expr = 1 + sp.erf(x / (1 - sp.exp(-u)))
    assert sp.limit(expr, u, sp.oo) == 0  # SymPy 1.14: the limit is 1 + erf(x)
    assert tm.verify(claim("limit", expr=expr, variable=u, target=sp.oo, value=value)).outcome == "UNDECIDED"


@pytest.mark.parametrize(
    ("expr", "target", "direction", "value"),
    [
        (1 / sp.log(u), 0, "+", 0),  # slow
        (sp.exp(-1 / u) * sp.sin(1 / u), 0, "+", 0),
        (sp.exp(u) / (1 + sp.exp(u)), sp.oo, "+", 1),
        (sp.Abs(y) / y, 0, "-", -1),
        (sp.besselk(0, u) / sp.log(u), 0, "+", -1),
    ],
)
def test_true_limits_survive_the_look_near_the_target(expr, target, direction, value):
    variable = next(iter(expr.free_symbols))
    proved = claim("limit", expr=expr, variable=variable, target=target, direction=direction, value=value)
    assert tm.verify(proved).outcome == "PROVED"


def test_undecided_says_how_hard_it_looked():
    hard = claim("inequality", expr=sp.exp(u) - 1 - u)  # true, and beyond the arguments tried
    verdict = tm.verify(hard)
    assert verdict.outcome == "UNDECIDED"
    assert verdict.points == 20


def test_incomplete_claims():
    with pytest.raises(ArgumentError, match="needs lhs"):
        claim("identity", rhs=1)
    with pytest.raises(ArgumentError, match="did you mean 'identity'"):
        claim("identitty", lhs=1, rhs=1)


def test_text_in_a_claim_is_not_evaluated():
    with pytest.raises(ModelError, match="made of SymPy symbols"):
        tm.verify(claim("identity", lhs="__import__('os').getpid()", rhs=sp.Integer(1)))
