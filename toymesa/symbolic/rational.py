"""Rational functions in exact arithmetic: the fast first look at whether a residual vanishes (python-flint, Hart 2010)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import flint
import sympy as sp

_HIGHEST = 64  # powers beyond it are one more generator, so that no number in an exponent can exhaust the memory


def is_zero_quotient(expr: sp.Expr) -> bool:
    """Whether the expression is zero as a rational function of its symbols and of everything else that occurs in it.

    Logarithms, roots, exponentials and other functions count as independent variables, so that True is a proof wherever
    the expression is defined, and False says nothing.
    """
    expr = sp.expand_power_exp(sp.expand_log(expr))
    found: dict[sp.Expr, int] = {}
    for generator in _generators(expr):
        found.setdefault(generator, len(found))
    if not found:
        return bool(expr == 0)
    context = flint.fmpq_mpoly_ctx.get([f"g{i}" for i in range(len(found))], flint.Ordering.degrevlex)
    try:
        top, _ = _Quotients(context, found).of(expr)
    except ZeroDivisionError:  # a denominator that is zero everywhere: nothing is defined, nothing is shown
        return False
    return bool(top == 0)


def _split(expr: sp.Expr) -> tuple[sp.Expr, int] | None:
    """A generator and its whole power; None for a sum, a product, a number or a whole power of one of these."""
    if isinstance(expr, sp.exp):
        factor, rest = expr.args[0].as_coeff_Mul()
        whole = factor.is_Integer and abs(factor) <= _HIGHEST
        return (sp.exp(rest), int(factor)) if whole else (expr, 1)
    if isinstance(expr, sp.Pow):
        base, power = expr.args
        if power.is_Integer and abs(power) <= _HIGHEST:
            return None
        if power.is_Rational and abs(power.p) <= _HIGHEST:
            return sp.Pow(base, sp.Rational(1, power.q)), int(power.p)
        return expr, 1
    return None if expr.is_Rational or expr.is_Add or expr.is_Mul else (expr, 1)


def _generators(expr: sp.Expr) -> Iterable[sp.Expr]:
    seen, todo = set(), [expr]
    while todo:
        part = todo.pop()
        if part in seen:
            continue
        seen.add(part)
        single = _split(part)
        if single is not None:
            yield single[0]
        elif not part.is_Rational:
            todo += part.args[:1] if isinstance(part, sp.Pow) else part.args


class _Quotients:
    """Numerators and denominators without common factors, one pair for every different subexpression."""

    def __init__(self, context: Any, generators: dict[sp.Expr, int]) -> None:
        self.variables = {g: context.gen(i) for g, i in generators.items()}
        self.one = context.constant(1)
        self.known: dict[sp.Expr, tuple[Any, Any]] = {}

    def of(self, expr: sp.Expr) -> tuple[Any, Any]:
        if expr not in self.known:
            self.known[expr] = self._new(expr)
        return self.known[expr]

    def _new(self, expr: sp.Expr) -> tuple[Any, Any]:
        if expr.is_Rational:
            return self.one * flint.fmpq(int(expr.p), int(expr.q)), self.one
        single = _split(expr)
        if single is not None:
            return _power((self.variables[single[0]], self.one), single[1])
        if isinstance(expr, sp.Pow):
            return _power(self.of(expr.args[0]), int(expr.args[1]))
        top, bottom = self.of(expr.args[0])
        for arg in expr.args[1:]:
            a, b = self.of(arg)
            if expr.is_Add:
                common = bottom.gcd(b)
                rest = b / common
                top, bottom = top * rest + a * (bottom / common), bottom * rest
            else:
                first, second = top.gcd(b), a.gcd(bottom)
                top, bottom = (top / first) * (a / second), (bottom / second) * (b / first)
        return top, bottom


def _power(pair: tuple[Any, Any], power: int) -> tuple[Any, Any]:
    top, bottom = pair if power >= 0 else pair[::-1]
    if bottom == 0:
        raise ZeroDivisionError
    return top ** abs(power), bottom ** abs(power)
