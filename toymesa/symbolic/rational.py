"""Rational functions in exact arithmetic (python-flint, Hart 2010): whether one vanishes, and its factors."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
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
    found = list(dict.fromkeys(_generators(expr)))
    if not found:
        return bool(expr == 0)
    try:
        top, _ = _quotient(expr, found)
    except ZeroDivisionError:  # a denominator that is zero everywhere: nothing is defined, nothing is shown
        return False
    return bool(top == 0)


def factored(expr: sp.Expr) -> sp.Expr:
    """A rational function of its symbols, and of everything else that occurs in it, in lowest terms and factored.

    The order of the variables, and with it the time it takes, does not depend on the hashes of a run. Exact; raises
    ZeroDivisionError for a denominator that is zero everywhere.
    """
    found = sorted(set(_generators(expr)), key=sp.default_sort_key)
    if not found:
        return expr
    top, bottom = (_product(side, found) for side in _quotient(expr, found))
    return top / bottom


def _product(poly: Any, generators: Sequence[sp.Expr]) -> sp.Expr:
    """The factors of a polynomial, each with whole coefficients."""
    if poly == 0:
        return sp.Integer(0)
    unit, factors = poly.factor()
    number, out = sp.Rational(int(unit.p), int(unit.q)), sp.Integer(1)
    for factor, power in factors:
        scale = math.lcm(*(int(c.q) for c in factor.coeffs()))
        number /= sp.Integer(scale) ** int(power)
        out *= _written(factor * scale, generators) ** int(power)
    # SymPy would multiply the number into a lone sum
    return sp.Mul(number, out, evaluate=False) if out.is_Add and number != 1 else number * out


def _written(poly: Any, generators: Sequence[sp.Expr]) -> sp.Expr:
    return sp.Add(
        *(
            sp.Rational(int(c.p), int(c.q)) * sp.Mul(*(g ** int(k) for g, k in zip(generators, powers, strict=True)))
            for powers, c in poly.to_dict().items()
        )
    )


def _quotient(expr: sp.Expr, generators: Sequence[sp.Expr]) -> tuple[Any, Any]:
    """Numerator and denominator as polynomials in the generators."""
    context = flint.fmpq_mpoly_ctx.get([f"g{i}" for i in range(len(generators))], flint.Ordering.degrevlex)
    return _Quotients(context, generators).of(expr)


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

    def __init__(self, context: Any, generators: Sequence[sp.Expr]) -> None:
        self.variables = {g: context.gen(i) for i, g in enumerate(generators)}
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
