"""SymPy expressions as a list of interval operations, evaluated for many boxes at once."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import sympy as sp
from numpy.typing import NDArray

from toymesa.analyse.certified import intervals as iv
from toymesa.errors import ModelError
from toymesa.symbolic.balls import Undecidable, float_bounds, over_balls, precision
from toymesa.symbolic.functions import LogShare, LogSumExp, with_log_shares

Array = NDArray[np.float64]
Step = Callable[[list[Any], iv.Undefined], iv.Interval]

_UNARY: dict[str, Callable[..., iv.Interval]] = {
    "log": iv.log,
    "cosh": iv.cosh,
    "cos": iv.cos,
    "sin": iv.sin,
    "Abs": iv.absolute,
    "sign": iv.sign,
    "Heaviside": iv.heaviside,
    "DiracDelta": iv.jump,
    "sinh": iv.increasing(np.sinh),
    "tanh": iv.increasing(np.tanh),
    "asinh": iv.increasing(np.arcsinh),
    "atan": iv.increasing(np.arctan),
    "asin": iv.increasing(np.arcsin, -1.0, 1.0),
    "atanh": iv.increasing(np.arctanh, -1.0, 1.0),
    "acosh": iv.increasing(np.arccosh, low=1.0),
}


class Tape:
    """Enclosures of some expressions over boxes; generated once, evaluated by numpy.

    symbols: what a box has an interval for. pieces: other symbols of the expressions, and what they stand for. slopes:
    the expressions are derivatives, which a jump must not pass for.
    Raises ModelError for a function that has no enclosure.
    """

    def __init__(
        self,
        symbols: Sequence[sp.Symbol],
        exprs: Sequence[sp.Expr],
        *,
        pieces: Mapping[sp.Symbol, sp.Expr] | None = None,
        slopes: bool = False,
    ) -> None:
        self._slopes = slopes
        self._steps: list[Step] = []
        self._known: dict[Any, int] = {s: i for i, s in enumerate(symbols)}
        self._inputs = len(symbols)
        shared, reduced = sp.cse(
            [with_log_shares(e) for e in exprs], symbols=sp.numbered_symbols("v", cls=sp.Dummy), order="none"
        )
        for symbol, value in (pieces or {}).items():
            if value.free_symbols <= set(symbols):
                self._known[symbol] = self._slot(with_log_shares(value))
        for symbol, value in shared:
            self._known[symbol] = self._slot(value)
        self._outputs = [self._slot(e) for e in reduced]

    def __call__(self, lo: Array, hi: Array) -> tuple[Array, Array, iv.Undefined]:
        """Bounds of every expression, shapes (m, outputs), and where one of them is undefined.

        lo, hi: shape (m, symbols), finite.
        """
        m = lo.shape[0]
        values: list[Any] = [(lo[:, i], hi[:, i]) for i in range(self._inputs)]
        seen = iv.Undefined(m)
        with np.errstate(all="ignore"):
            for step in self._steps:
                values.append(step(values, seen))
            low, high = np.empty((m, len(self._outputs))), np.empty((m, len(self._outputs)))
            for i, slot in enumerate(self._outputs):
                low[:, i], high[:, i] = iv.settle(values[slot])
        return low, high, seen

    def _slot(self, expr: Any) -> int:
        found = self._known.get(expr)
        if found is None:
            step = self._step(expr)
            found = self._known[expr] = self._inputs + len(self._steps)
            self._steps.append(step)
        return found

    def _step(self, expr: Any) -> Step:
        if expr.is_Rational:
            fixed = iv.constant(Fraction(int(expr.p), int(expr.q)))
            return lambda v, seen: fixed
        if not expr.free_symbols:
            named = _number(expr)
            return lambda v, seen: named
        if isinstance(expr, sp.Piecewise):
            return self._piecewise(expr)
        if isinstance(expr, LogShare):
            i, *slots = int(expr.args[0]), *(self._slot(a) for a in expr.args[1:])
            return lambda v, seen: iv.log_share(i, [v[s] for s in slots])
        if expr.is_Pow:
            return self._power(expr)
        slots = [self._slot(a) for a in expr.args]
        if expr.is_Add:
            return lambda v, seen: _fold(iv.add, [v[s] for s in slots])
        if expr.is_Mul:
            return lambda v, seen: _fold(iv.mul, [v[s] for s in slots])
        if isinstance(expr, LogSumExp):
            return lambda v, seen: iv.log_sum_exp([v[s] for s in slots])
        if isinstance(expr, sp.Max):
            return lambda v, seen: _fold(
                lambda a, b: (np.maximum(a[0], b[0]), np.maximum(a[1], b[1])), [v[s] for s in slots]
            )
        if isinstance(expr, sp.Min):
            return lambda v, seen: _fold(
                lambda a, b: (np.minimum(a[0], b[0]), np.minimum(a[1], b[1])), [v[s] for s in slots]
            )
        return self._function(expr, slots)

    def _function(self, expr: Any, slots: list[int]) -> Step:
        first, name = slots[0], type(expr).__name__
        if isinstance(expr, sp.exp):
            return lambda v, seen: iv.exp(v[first])
        if name in _UNARY and (len(slots) == 1 or name == "Heaviside"):
            unary = _UNARY[name]
            return lambda v, seen: unary(v[first], seen)
        if name == "tan":
            return lambda v, seen: iv.mul(iv.sin(v[first], seen), iv.inverse(iv.cos(v[first], seen)))
        if name == "DiracDelta" or not isinstance(expr, sp.Function):
            raise ModelError(f"{name} has no enclosure (in {expr})")
        moving = [s for s, a in zip(slots, expr.args, strict=True) if a.free_symbols]
        arguments = [sp.Dummy() for _ in moving]
        fill = iter(arguments)
        bare = expr.func(*(next(fill) if a.free_symbols else a for a in expr.args))
        return lambda v, seen: iv.by_balls(
            [v[s] for s in moving], lambda balls: over_balls(bare, dict(zip(arguments, balls, strict=True)))
        )

    def _power(self, expr: Any) -> Step:
        base = self._slot(expr.base)
        if expr.exp.is_Integer:
            n = int(expr.exp)
            return lambda v, seen: iv.power(v[base], n)
        if expr.exp.is_Rational and expr.exp.q == 2:
            n = int(expr.exp.p)
            return lambda v, seen: iv.power(iv.root(v[base], seen), n)
        exponent = self._slot(expr.exp)
        return lambda v, seen: iv.general_power(v[base], v[exponent], seen)

    def _piecewise(self, expr: Any) -> Step:
        """Every piece that may apply; of a slope only one that surely applies, so that no jump is taken for one."""
        values = [self._slot(value) for value, _ in expr.args]
        tests = [self._condition(condition) for _, condition in expr.args]

        def step(v: list[Any], seen: iv.Undefined) -> iv.Interval:
            low, high = np.full(seen.nowhere.shape, np.inf), np.full(seen.nowhere.shape, -np.inf)
            reached, count = np.ones(seen.nowhere.shape, dtype=bool), np.zeros(seen.nowhere.shape)
            for slot, test in zip(values, tests, strict=True):
                yes, no = test(v)
                here = reached & ~np.asarray(no)
                low, high = (
                    np.where(here, np.minimum(low, v[slot][0]), low),
                    np.where(here, np.maximum(high, v[slot][1]), high),
                )
                count += here
                reached = reached & ~np.asarray(yes)
            unknown = (count == 0) | ((count > 1) & self._slopes)
            if self._slopes:  # between two pieces there may be a jump, which no derivative shows
                seen.where(False, count != 1)
            return np.where(unknown, np.nan, low), np.where(unknown, np.nan, high)

        return step

    def _condition(self, condition: Any) -> Callable[[list[Any]], tuple[Any, Any]]:
        """Where a relation surely holds, and where it surely fails."""
        if condition in (True, sp.true):
            return lambda v: (True, False)
        if condition in (False, sp.false):
            return lambda v: (False, True)
        if isinstance(condition, sp.And | sp.Or):
            parts = [self._condition(c) for c in condition.args]
            both = isinstance(condition, sp.And)

            def join(v: list[Any]) -> tuple[Any, Any]:
                answers = [p(v) for p in parts]
                yes = np.logical_and if both else np.logical_or
                no = np.logical_or if both else np.logical_and
                return yes.reduce([a[0] for a in answers]), no.reduce([a[1] for a in answers])

            return join
        if isinstance(condition, sp.Not):
            inner = self._condition(condition.args[0])
            return lambda v: inner(v)[::-1]
        gap, sign = self._slot(condition.lhs - condition.rhs), condition.rel_op
        return lambda v: _relation(v[gap], sign)


def _number(expr: sp.Expr) -> iv.Interval:
    """A formula without symbols; unknown where it has no finite real value."""
    try:
        with precision(128):
            ball = over_balls(expr, {})
    except Undecidable as error:
        raise ModelError(f"{expr} has no enclosure") from error
    return float_bounds(ball) if ball.is_finite() else (math.nan, math.nan)


def _fold(operation: Callable[..., iv.Interval], parts: list[iv.Interval]) -> iv.Interval:
    out = parts[0]
    for part in parts[1:]:
        out = operation(out, part)
    return out


def _relation(gap: iv.Interval, sign: str) -> tuple[Any, Any]:
    lo, hi = np.asarray(gap[0]), np.asarray(gap[1])
    above, below = lo > 0.0, hi < 0.0
    zero = (lo == 0.0) & (hi == 0.0)
    table = {
        ">": (above, hi <= 0.0),
        ">=": (lo >= 0.0, below),
        "<": (below, lo >= 0.0),
        "<=": (hi <= 0.0, above),
        "==": (zero, above | below),
        "!=": (above | below, zero),
    }
    return table[sign]
