"""Interval enclosures hold the value of their formula, at every point of the box."""

import flint
import numpy as np
import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st

import toymesa as tm
from toymesa.analyse.certified.tape import Tape
from toymesa.errors import ModelError
from toymesa.symbolic.balls import Undecidable, over_balls
from toymesa.symbolic.functions import LogShare, LogSumExp, with_log_shares

x, y = sp.symbols("x y", real=True)
R = sp.Rational
LEAVES = st.sampled_from([x, y, sp.Integer(2), sp.Rational(-1, 3), sp.pi])
UNARY = (
    sp.exp,
    sp.log,
    sp.sin,
    sp.cos,
    sp.tan,
    sp.sinh,
    sp.cosh,
    sp.tanh,
    sp.asinh,
    sp.atan,
    sp.asin,
    sp.atanh,
    sp.sqrt,
)
UNARY = (*UNARY, sp.Abs, sp.sign, sp.Heaviside, sp.erf, sp.acosh)


def real(build):
    """The formula, or a constant where SymPy already knows that it has no real value."""

    def apply(parts):
        try:
            out = build(parts)
        except (ValueError, TypeError):
            return sp.Integer(1)
        return sp.Integer(1) if out.has(sp.zoo, sp.nan, sp.oo, sp.I) or out.is_extended_real is False else out

    return apply


def grown(children):
    return st.one_of(
        st.tuples(children, children).map(real(lambda p: p[0] + p[1])),
        st.tuples(children, children).map(real(lambda p: p[0] * p[1])),
        st.tuples(children, st.sampled_from([-2, -1, 2, 3, sp.Rational(1, 2), sp.Rational(4, 3)])).map(
            lambda p: p[0] ** p[1]
        ),
        st.tuples(st.sampled_from(UNARY), children).map(real(lambda p: p[0](p[1]))),
        st.tuples(children, children).map(real(lambda p: sp.Max(*p))),
        st.tuples(children, children).map(real(lambda p: sp.Piecewise((p[0], p[1] < 0), (p[1], True)))),
        st.tuples(children, children).map(real(lambda p: sp.exp(p[0] - LogSumExp(p[0], p[1])))),
    )


FORMULAS = st.recursive(LEAVES, grown, max_leaves=6)
ENDS = st.one_of(st.floats(-3, 3), st.sampled_from([0.0, 1.0, -1.0, 1e-9, 40.0]))


@settings(max_examples=100, deadline=None)
@given(FORMULAS, ENDS, ENDS, ENDS, ENDS, st.floats(0, 1), st.floats(0, 1))
def test_the_enclosure_holds_the_value(expr, a, b, c, d, s, t):
    lo, hi = np.array([[min(a, b), min(c, d)]]), np.array([[max(a, b), max(c, d)]])
    at = np.clip(lo + np.array([[s, t]]) * (hi - lo), lo, hi)[0]
    before = flint.ctx.prec
    flint.ctx.prec = 200
    try:
        exact = over_balls(expr, {x: flint.arb(at[0]), y: flint.arb(at[1])})
    except Undecidable:
        return
    finally:
        flint.ctx.prec = before
    if not exact.is_finite():
        return
    low, high, seen = Tape([x, y], [expr])(lo, hi)
    assert not seen.nowhere[0]
    assert exact >= flint.arb(float(low[0, 0])) or exact.overlaps(flint.arb(float(low[0, 0])))
    assert exact <= flint.arb(float(high[0, 0])) or exact.overlaps(flint.arb(float(high[0, 0])))


def test_shares_are_sharp():
    a, b = sp.symbols("a b", real=True)
    share = sp.exp(a - LogSumExp(a, b, 0))
    low, high, _ = Tape([a, b], [share, share**2])(np.array([[-1.0, 0.0]]), np.array([[1.0, 2.0]]))
    least, most = np.exp(-1) / (np.exp(-1) + np.exp(2) + 1), np.exp(1) / (np.exp(1) + 2)
    np.testing.assert_allclose([low[0, 0], high[0, 0]], [least, most], rtol=1e-12)
    np.testing.assert_allclose([low[0, 1], high[0, 1]], [least**2, most**2], rtol=1e-12)


def test_log_shares_mean_the_same():
    a, b, c = sp.symbols("a b c", real=True)
    total = LogSumExp(a, b, 0)
    values = {a: sp.Rational(1, 3), b: -2, c: sp.Rational(5, 7)}
    for expr in (sp.exp(a - total), sp.exp(a - total) ** 3, c * (b - total) + sp.exp(-2 * total), 2 * a - total - b):
        shared = with_log_shares(expr)
        assert shared.has(LogShare)
        assert abs((shared - expr).rewrite(sp.log).subs(values).evalf(30)) < 1e-25
        slope = (shared.diff(a) - expr.diff(a)).rewrite(sp.log)
        assert abs(slope.subs(values).evalf(30)) < 1e-25


def test_where_a_formula_is_undefined():
    _, _, seen = Tape([x], [sp.log(x) + sp.sqrt(3 - x)])(
        np.array([[-2.0], [-1.0], [1.0], [4.0]]), np.array([[-1.0], [2], [2], [5]])
    )
    assert seen.nowhere.tolist() == [True, False, False, True]
    assert seen.partly.tolist() == [True, True, False, True]


def test_a_jump_is_no_slope():
    step = sp.Piecewise((x - 1, x < 0), (x + 1, True))
    ends = np.array([[-1.0]]), np.array([[1.0]])
    low, high, _ = Tape([x], [step])(*ends)
    assert low[0, 0] <= -2
    assert high[0, 0] >= 2
    _, high, seen = Tape([x], [step, sp.diff(sp.Heaviside(x), x)], slopes=True)(*ends)
    assert np.isinf(high).all()
    assert seen.partly[0]
    assert tm.fixed_points(tm.Model(name="jump", flow={x: step - R(1, 2)}), box={x: (-3, 3)}).points == ()
    with pytest.raises(ModelError, match="no enclosure"):
        Tape([x], [sp.Derivative(sp.Function("f")(x), x)])
