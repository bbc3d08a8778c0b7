"""Exact arguments: when a residual is zero, and when an expression is never negative."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

import sympy as sp

from toymesa.symbolic.entire import Component, PairFunction, reduced
from toymesa.symbolic.functions import LogSumExp
from toymesa.symbolic.rational import factored, is_zero_quotient

# defined at their jumps, where the derivative does not show them (Piecewise only by its conditions)
_JUMPING = (sp.sign, sp.Heaviside, sp.floor, sp.ceiling, sp.frac, sp.atan2, sp.arg, sp.acot)
_LARGEST = 300  # operations beyond which SymPy's simplify is not tried
_HIGHEST = 1000  # powers beyond which nothing is expanded or factored


def is_zero(expr: sp.Expr) -> bool:
    """Whether the expression reduces to exactly zero, wherever it is defined. False means 'not shown'."""
    expr = plain(expr)
    if expr == 0 or is_zero_quotient(expr):
        return True
    return _expandable(expr) and any(step(expr) == 0 for step in (sp.expand, _rational, _by_exponentials, _by_simplify))


def _expandable(expr: sp.Expr) -> bool:
    return all(abs(power.exp) <= _HIGHEST for power in expr.atoms(sp.Pow) if power.exp.is_Rational)


def plain(expr: sp.Expr) -> sp.Expr:
    """Log-sum-exps written out, functions of linear flows reduced: so that identities between them can be seen."""
    expr = reduced(expr) if expr.has(PairFunction, Component) else expr
    return expr.rewrite(sp.log) if expr.has(LogSumExp) else expr


def may_jump(expr: sp.Expr, moving: set[sp.Symbol]) -> bool:
    """Whether an expression may be discontinuous at a point where it is defined, as the moving symbols change."""
    steps = any(f.free_symbols & moving for f in expr.atoms(*_JUMPING))
    pieces = (c for piece in expr.atoms(sp.Piecewise) for _, c in piece.args if c not in (True, sp.true))
    return steps or any(c.free_symbols & moving for c in pieces)


def _rational(expr: sp.Expr) -> sp.Expr:
    """Numerator over a common denominator, with exponentials of sums as products of independent ones."""
    split = sp.expand_power_exp(sp.expand_log(expr))
    return sp.expand(sp.expand_power_exp(sp.fraction(sp.together(split))[0]))


def _by_exponentials(expr: sp.Expr) -> sp.Expr:
    if not expr.has(sp.cosh, sp.sinh, sp.tanh, sp.sin, sp.cos, sp.tan, sp.exp):
        return expr
    return sp.powsimp(_rational(expr.rewrite(sp.exp)))


def _by_simplify(expr: sp.Expr) -> sp.Expr:
    return sp.simplify(expr) if expr.count_ops() < _LARGEST else expr


def is_nonnegative(expr: sp.Expr, *, strict: bool = False) -> str | None:
    """The argument by which an expression is >= 0 (> 0 if ``strict``) for all values its symbols' assumptions allow.

    None where no argument was found. Tried: assumptions, factors, coefficients of one sign, Sturm sequences.
    """
    expr = plain(sp.sympify(expr, strict=True))

    def known(e: sp.Expr) -> bool:
        return bool(e.is_positive if strict else e.is_nonnegative)

    if not _expandable(expr):
        return None
    if any(known(form) for form in _forms(expr)):
        return "the assumptions on its symbols give the sign"
    top, bottom = sp.fraction(sp.together(expr))
    if bottom != 1:  # a square may vanish: there nothing is defined
        inner = is_nonnegative(top, strict=strict) if bottom.is_nonnegative else None
        return inner and f"over a positive denominator: {inner}"
    symbols = sorted(top.free_symbols, key=str)
    if not top.is_polynomial(*symbols) or not symbols:
        return None
    poly = sp.Poly(sp.expand(top), *symbols)
    if all(s.is_nonnegative for s in symbols) and all(c.is_nonnegative for c in poly.coeffs()):
        constant = poly.eval(dict.fromkeys(symbols, 0))
        somewhere = all(s.is_positive for s in symbols) and any(c.is_positive for c in poly.coeffs())
        if not strict or constant.is_positive or somewhere:
            return "a polynomial with coefficients of one sign in nonnegative symbols"
    if len(symbols) == 1 and all(c.is_Rational for c in poly.coeffs()):
        return _sturm(poly, symbols[0], strict)
    return None


def _forms(expr: sp.Expr) -> Iterator[sp.Expr]:
    """The same in other forms, each made when those before it said nothing."""
    yield expr
    yield sp.expand(expr)
    with suppress(ZeroDivisionError):  # defined nowhere
        yield factored(expr)


def _sturm(poly: sp.Poly, x: sp.Symbol, strict: bool) -> str | None:
    """One variable, rational coefficients: the sign cannot change without a root of odd multiplicity."""
    low, high = (0, None) if x.is_nonnegative else (None, None)
    odd = [f for f, m in poly.factor_list()[1] if m % 2]
    crossing = sum(f.count_roots(low, high) - (1 if low == 0 and f.eval(0) == 0 else 0) for f in odd)
    inside = poly.count_roots(low, high) - (1 if x.is_positive and poly.eval(0) == 0 else 0)
    if crossing == 0 and (not strict or inside == 0) and any(poly.eval(v) > 0 for v in (1, 2, sp.Rational(1, 3))):
        return "a polynomial in one variable without a sign change (Sturm)"
    return None
