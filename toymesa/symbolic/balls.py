"""Ball arithmetic: enclosures of formulas at rational points, so that 'not zero' is a proof (python-flint, Johansson 2017)."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from fractions import Fraction
from operator import methodcaller
from typing import Any

import flint
import sympy as sp
from sympy.logic.boolalg import Boolean

from toymesa.symbolic.entire import Component, PairFunction, pair_value
from toymesa.symbolic.functions import UNARY, LogShare, LogSumExp
from toymesa.symbolic.parts import Domain

_UNARY: dict[str, Callable[[Any], Any]] = {name: methodcaller(name) for name in UNARY}
_UNARY |= {
    "log1p": lambda x: x.log1p(),
    "loggamma": lambda x: x.lgamma(),
    "Abs": abs,
    "sign": lambda x: x.sgn(),
    "Chi": lambda x: x.chi(),
    "Shi": lambda x: x.shi(),
    "LambertW": lambda x: x.lambertw(),
}


class Undecidable(Exception):  # not an error: the ball is too wide, or the function has none
    """The expression has no ball at this point and precision."""


class TooWide(Undecidable):
    """No finite ball at this precision: a higher one may have one."""


def exactly(values: Mapping[sp.Symbol, float]) -> dict[sp.Symbol, sp.Rational]:
    """Floats as the rational numbers that they are."""
    return {s: sp.Rational(Fraction(float(v))) for s, v in values.items()}


def enclosure(expr: sp.Expr, point: Mapping[sp.Symbol, sp.Rational], precision: int) -> Any:
    """An ``arb`` that contains the value of ``expr`` at a rational point, computed with that many bits.

    At 53 bits its radius bounds what rounding does to the formula in floating point. Raises Undecidable where the value
    is not a finite real number, or no ball of it can be computed.
    """
    before = flint.ctx.prec
    try:
        flint.ctx.prec = precision
        ball = _ball(expr, point)
    except (ValueError, ZeroDivisionError, ArithmeticError, AttributeError, TypeError) as error:
        raise Undecidable(str(error)) from error
    finally:
        flint.ctx.prec = before
    if not ball.is_finite():
        raise TooWide(str(expr)[:80])
    return ball


def evaluate(expr: sp.Expr, point: Mapping[sp.Symbol, sp.Rational], precision: int = 256) -> Any:
    """An ``arb`` that contains the value of ``expr`` at a rational point; the precision (bits) is doubled up to 5 times.

    Raises Undecidable where the value is not a finite real number, or no ball of it can be computed.
    """
    for doubling in range(6):
        try:
            ball = enclosure(expr, point, precision << doubling)
        except TooWide:
            if doubling == 5:
                raise
            continue
        if ball.rel_accuracy_bits() > 20 or (ball.contains(0) and ball.rad() < 1e-40):
            break
    return ball


def over_balls(expr: sp.Expr, balls: Mapping[sp.Symbol, Any]) -> Any:
    """An ``arb`` that contains every value of ``expr`` for arguments in the given balls, at the precision in force.

    Not finite where the formula may leave its domain. Raises Undecidable for a function that has no ball.
    """
    try:
        return _ball(expr, balls)
    except ZeroDivisionError:
        return flint.arb("nan")
    except (ValueError, ArithmeticError, AttributeError, TypeError) as error:
        raise Undecidable(str(error)) from error


@contextmanager
def precision(bits: int) -> Iterator[None]:
    """Ball arithmetic with that many bits inside a ``with`` block."""
    before = flint.ctx.prec
    flint.ctx.prec = bits
    try:
        yield
    finally:
        flint.ctx.prec = before


def float_bounds(ball: Any) -> tuple[float, float]:
    """The nearest doubles below and above a ball."""
    lower, upper = ball.lower(), ball.upper()
    lo, hi = float(lower), float(upper)
    return (
        lo if flint.arb(lo) <= lower else math.nextafter(lo, -math.inf),
        hi if flint.arb(hi) >= upper else math.nextafter(hi, math.inf),
    )


def _ball(expr: Any, point: Mapping[sp.Symbol, Any]) -> Any:
    if expr.is_Symbol:
        value = point[expr]
        return flint.arb(flint.fmpq(int(value.p), int(value.q))) if isinstance(value, sp.Rational) else value
    if expr.is_Rational:
        return flint.arb(flint.fmpq(int(expr.p), int(expr.q)))
    if expr.is_Float:
        exact = Fraction(float(expr))
        return flint.arb(flint.fmpq(exact.numerator, exact.denominator))
    if expr is sp.pi:
        return flint.arb.pi()
    if expr is sp.E:
        return flint.arb(1).exp()
    if expr is sp.EulerGamma:
        return flint.arb.const_euler()
    if isinstance(expr, LogSumExp | LogShare):
        return _ball(expr.rewrite(sp.log), point)
    if expr.is_Add:
        return sum((_ball(a, point) for a in expr.args[1:]), _ball(expr.args[0], point))
    if expr.is_Mul:
        out = flint.arb(1)
        for a in expr.args:
            out = out * _ball(a, point)
        return out
    if isinstance(expr, sp.Pow):
        return _power(_ball(expr.base, point), expr.exp, point)
    if isinstance(expr, sp.Piecewise):
        for value, condition in expr.args:
            if decided(condition, point):
                return _ball(value, point)
        raise Undecidable("no piece applies")
    if isinstance(expr, sp.Max | sp.Min):
        values = [_ball(a, point) for a in expr.args]
        out = values[0]
        for v in values[1:]:
            out = out.max(v) if isinstance(expr, sp.Max) else out.min(v)
        return out
    if isinstance(expr, sp.besseli | sp.besselk):
        order, x = (_ball(a, point) for a in expr.args)
        return x.bessel_i(order) if isinstance(expr, sp.besseli) else x.bessel_k(order)
    if isinstance(expr, sp.atan2):
        return flint.arb.atan2(*(_ball(a, point) for a in expr.args))
    if isinstance(expr, sp.polygamma) and expr.args[0] == 0:
        return _ball(expr.args[1], point).digamma()
    if isinstance(expr, sp.Heaviside | sp.DiracDelta):
        return _step(_ball(expr.args[0], point), jump=isinstance(expr, sp.DiracDelta))
    if isinstance(expr, PairFunction):
        return _pair(expr, point)
    if isinstance(expr, Component):
        return _component(expr, point)
    name = type(expr).__name__
    if name in _UNARY and len(expr.args) == 1:
        return _UNARY[name](_ball(expr.args[0], point))
    raise Undecidable(f"{name} has no ball")


def _step(x: Any, *, jump: bool) -> Any:
    """0 and 1 on the two sides of zero; its derivative is unknown at zero itself."""
    if x > 0 or x < 0:
        return flint.arb(0 if jump or x < 0 else 1)
    return flint.arb("nan") if jump else flint.arb(0).union(flint.arb(1))


def _pair(expr: PairFunction, point: Mapping[sp.Symbol, Any]) -> Any:
    half, gap, product = (flint.acb(_ball(a, point)) for a in expr.args[:3])
    time = _whole(expr.args[3], point) if expr.step else flint.acb(_ball(expr.args[3], point))
    value = pair_value(type(expr), half, gap, product, time, sqrt=methodcaller("sqrt"), exp=methodcaller("exp"))
    return flint.acb(value).real  # the imaginary part is zero: a symmetric function of a conjugate pair


def _component(expr: Component, point: Mapping[sp.Symbol, Any]) -> Any:
    index, time, start, matrix, constant = expr.parts
    n = len(start)
    rows = [[_ball(e, point) for e in (*matrix[n * i : n * i + n], constant[i])] for i in range(n)]
    if expr.step:
        grown = flint.arb_mat([*rows, [0] * n + [1]]) ** _whole(time, point)
    else:
        when = _ball(time, point)
        grown = flint.arb_mat([*([e * when for e in row] for row in rows), [0] * (n + 1)]).exp()
    return sum((grown[index, j] * _ball(x, point) for j, x in enumerate(start)), grown[index, n])


def _whole(time: sp.Expr, point: Mapping[sp.Symbol, Any]) -> int:
    value = time.xreplace({s: point[s] for s in time.free_symbols if isinstance(point[s], sp.Basic)})
    if not value.is_Integer or value < 0:
        raise Undecidable(f"{time} counts steps")
    return int(value)


def _power(base: Any, exponent: sp.Expr, point: Mapping[sp.Symbol, Any]) -> Any:
    if exponent.is_Integer:
        return _whole_power(base, int(exponent))
    if exponent == sp.Rational(1, 2):
        return base.sqrt()
    return base ** _ball(exponent, point)


def _whole_power(base: Any, n: int) -> Any:
    """By squaring: arb's own power loses a base whose midpoint is zero."""
    out, square, left = flint.arb(1), base, abs(n)
    while left:
        if left & 1:
            out = out * square
        square, left = square * square, left >> 1
    return 1 / out if n < 0 else out


def decided(condition: Any, point: Mapping[sp.Symbol, Any]) -> bool:
    """Whether a relation holds at a point; Undecidable where balls cannot tell."""
    if condition in (True, sp.true):
        return True
    if condition in (False, sp.false):
        return False
    if isinstance(condition, sp.And):
        return all(decided(c, point) for c in condition.args)
    if isinstance(condition, sp.Or):
        return any(decided(c, point) for c in condition.args)
    if isinstance(condition, sp.Not):
        return not decided(condition.args[0], point)
    gap = _ball(condition.lhs - condition.rhs, point)
    if gap.contains(0) and not gap.is_zero():
        raise Undecidable(f"cannot decide {condition}")
    sign = 0 if gap.is_zero() else 1 if gap > 0 else -1
    holds = {"==": sign == 0, "!=": sign != 0, ">": sign > 0, ">=": sign >= 0, "<": sign < 0, "<=": sign <= 0}
    return holds[condition.rel_op]


def sample(
    symbols: Sequence[sp.Symbol],
    domains: Mapping[sp.Symbol, Domain],
    conditions: Sequence[Boolean],
    count: int,
    seed: int,
) -> list[dict[sp.Symbol, sp.Rational]]:
    """Rational points of the domain that satisfy the conditions: special values first, then random ones of mixed size."""
    chance = random.Random(seed)
    out: list[dict[sp.Symbol, sp.Rational]] = []
    for attempt in range(60 * count):
        try:
            point = {s: _value(domains.get(s, Domain.of(s)), s, chance, attempt) for s in symbols}
            if all(decided(c, point) for c in conditions):
                out.append(point)
        except (Undecidable, ValueError, ZeroDivisionError):
            continue
        if len(out) == count:
            break
    return out


def _value(domain: Domain, symbol: sp.Symbol, chance: random.Random, attempt: int) -> sp.Rational:
    for _ in range(200):
        if symbol.is_integer:
            first = -5 if domain.low < -5 else math.ceil(domain.low)
            if domain.high < first:
                first = math.floor(domain.high) - 5
            value = sp.Integer(first + chance.randrange(0, 11))
            if float(value) in domain and _assumed(symbol, value):
                return value
            continue
        size = sp.Rational(chance.randrange(1, 40), chance.randrange(1, 20))
        if chance.random() < 0.25:
            size *= sp.Rational(10) ** chance.choice([-2, -1, 1])
        value = size if chance.random() < 0.5 else -size
        if attempt % 7 == 3:
            value = sp.Integer(chance.choice([0, 1, -1, 2]))
        if domain.low > -1e6 and domain.high < 1e6:
            width = sp.Rational(Fraction(domain.high - domain.low))
            value = sp.Rational(Fraction(domain.low)) + width * sp.Rational(chance.randrange(0, 33), 32)
        if float(value) in domain and _assumed(symbol, value):
            return value
    raise Undecidable(f"no value of {symbol} was found in {domain}")


def _assumed(symbol: sp.Symbol, value: sp.Rational) -> bool:
    return all(getattr(value, f"is_{name}", held) == held for name, held in symbol._assumptions_orig.items())
