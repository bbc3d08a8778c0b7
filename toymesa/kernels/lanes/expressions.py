"""SymPy expressions as values of a vector program."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import sympy as sp

from toymesa.errors import ModelError
from toymesa.kernels.lanes.emit import Program, Value
from toymesa.kernels.lanes.functions import FUNCTIONS, power
from toymesa.kernels.printer import accurate

_COMPARISONS = {
    sp.StrictLessThan: "olt", sp.LessThan: "ole", sp.StrictGreaterThan: "ogt", sp.GreaterThan: "oge",
    sp.Equality: "oeq", sp.Unequality: "une",
}  # fmt: skip


class Reader:
    """Writes expressions into a program, each subexpression once; ``known``: what symbols and subexpressions stand for."""

    def __init__(self, program: Program, known: Mapping[Any, Value]) -> None:
        self.program = program
        self._known: dict[Any, Value] = dict(known)

    def read(self, expr: Any) -> Value:
        """The value of an expression."""
        found = self._known.get(expr)
        if found is None:
            found = self._known[expr] = self._write(expr)
        return found

    def define(self, symbol: Any, expr: Any) -> None:
        """Let a symbol stand for an expression."""
        self._known[symbol] = self.read(expr)

    def know(self, expr: Any, value: Value) -> None:
        """Let an expression stand for a value."""
        self._known[expr] = value

    def _write(self, expr: Any) -> Value:
        if expr.is_number and not expr.free_symbols:
            return self.program.constant(float(expr))
        method = getattr(self, f"_{type(expr).__name__}", None) or getattr(
            self, f"_{type(expr).__mro__[1].__name__}", None
        )
        if method is not None:
            return method(expr)
        name = type(expr).__name__
        if name not in FUNCTIONS:
            raise ModelError(f"the function {name!r} has no form in generated code (in {expr})")
        return FUNCTIONS[name](self.program, *[self.read(a) for a in expr.args])

    def _Add(self, expr: Any) -> Value:
        """What does not change in the loop is added first, so that it is added before the loop."""
        terms = sorted(expr.args, key=lambda a: self.read(_body(a)[1]).level)
        total: Value | None = None
        for term in terms:
            negative, body = _body(term)
            value = self.read(body)
            signed = -value if negative else value
            total = signed if total is None else (total - value if negative else total + value)
        assert total is not None
        return total

    def _Mul(self, expr: Any) -> Value:
        above, below = [], []
        for a in expr.args:
            if a.is_Pow and a.exp.is_Rational and a.exp.is_negative:
                below.append(self.read(sp.Pow(a.base, -a.exp)))
            else:
                above.append(self.read(a))
        top, bottom = self._product(above), self._product(below)
        if bottom is None:
            assert top is not None
            return top
        if bottom.level == 0:  # one division before the loop, products in it
            return (1.0 / bottom) if top is None else top * (1.0 / bottom)
        return (self.program.constant(1.0) if top is None else top) / bottom

    def _product(self, factors: Sequence[Value]) -> Value | None:
        total: Value | None = None
        for value in sorted(factors, key=lambda v: v.level):
            total = value if total is None else total * value
        return total

    def _Pow(self, expr: Any) -> Value:
        base, exponent = expr.base, expr.exp
        if exponent.is_Rational and exponent.is_negative:
            return 1.0 / self.read(sp.Pow(base, -exponent))
        return self.power(self.read(base), exponent)

    def power(self, base: Value, exponent: Any) -> Value:
        """base to an exponent that is no negative number."""
        if exponent.is_Integer:
            return power(self.program, base, int(exponent))
        if exponent.is_Rational and exponent.q == 2:
            root = self.program.call("sqrt", base)
            return root if exponent.p == 1 else power(self.program, root, int(exponent.p))
        return FUNCTIONS["pow"](self.program, base, self.read(exponent))

    def _Abs(self, expr: Any) -> Value:
        return abs(self.read(expr.args[0]))

    def _sign(self, expr: Any) -> Value:
        x, p = self.read(expr.args[0]), self.program
        return p.select(x > 0.0, 1.0, p.select(x < 0.0, -1.0, 0.0 * x))

    def _Heaviside(self, expr: Any) -> Value:
        x, p = self.read(expr.args[0]), self.program
        middle = self.read(expr.args[1] if len(expr.args) > 1 else sp.Rational(1, 2))
        return p.select(x > 0.0, 1.0, p.select(p.compare("oeq", x, 0.0), middle, 0.0 * x))

    def _DiracDelta(self, expr: Any) -> Value:
        return self.program.constant(0.0)

    def _Max(self, expr: Any) -> Value:
        return self._fold(self._strict(self.program.maximum), expr)

    def _Min(self, expr: Any) -> Value:
        return self._fold(self._strict(self.program.minimum), expr)

    def _strict(self, function: Callable[[Value, Value], Value]) -> Callable[[Value, Value], Value]:
        """The larger or smaller as functions of arrays have it: NaN where either is, wherever that stands."""
        p = self.program
        return lambda v, total: p.select(p.compare("oeq", v, v), function(v, total), v)

    def _fold(self, function: Any, expr: Any) -> Value:
        return self._largest(function, [self.read(a) for a in expr.args])

    def _largest(self, function: Any, values: Sequence[Value]) -> Value:
        total = values[0]
        for v in values[1:]:
            total = function(v, total)
        return total

    def _LogSumExp(self, expr: Any) -> Value:
        return self.log_sum_exp([self.read(a) for a in expr.args])

    def log_sum_exp(self, values: Sequence[Value]) -> Value:
        """log(e^a + e^b + ...), the largest taken out."""
        top = self._largest(self._strict(self.program.maximum), values)
        exps = self.program.sum([FUNCTIONS["exp"](self.program, v - top) for v in values])
        total = top + FUNCTIONS["log"](self.program, exps)
        return self.program.select(self.program.compare("oeq", abs(top), float("inf")), top, total)

    def _Piecewise(self, expr: Any) -> Value:
        total = self.program.constant(float("nan"))
        for value, condition in reversed(expr.args):
            total = self.program.select(self.read(condition), self.read(value), total)
        return total

    def _Relational(self, expr: Any) -> Value:
        return self.program.compare(_COMPARISONS[type(expr)], self.read(expr.lhs), self.read(expr.rhs))

    _StrictLessThan = _LessThan = _StrictGreaterThan = _GreaterThan = _Equality = _Unequality = _Relational

    def _And(self, expr: Any) -> Value:
        return self._fold(lambda a, b: a & b, expr)

    def _Or(self, expr: Any) -> Value:
        return self._fold(lambda a, b: a | b, expr)

    def _Not(self, expr: Any) -> Value:
        return ~self.read(expr.args[0])

    def _BooleanTrue(self, expr: Any) -> Value:
        return self.program.truth(True)

    def _BooleanFalse(self, expr: Any) -> Value:
        return self.program.truth(False)


def _body(term: Any) -> tuple[bool, Any]:
    """Whether a term is subtracted, and what."""
    factor = term.as_coeff_Mul()[0]
    return (True, -term) if factor.is_negative else (False, term)


def shared(exprs: Sequence[Any]) -> tuple[list[tuple[Any, Any]], list[Any]]:
    """The expressions in the form in which they are computed: (symbol, subexpression) pairs, and what is left."""
    return sp.cse([accurate(e) for e in exprs], symbols=sp.numbered_symbols("v", cls=sp.Dummy), order="none")
