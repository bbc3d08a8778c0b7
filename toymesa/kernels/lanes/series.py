"""Taylor coefficients of a solution, order by order, from the expressions of its rates.

Every subexpression is a series in the elapsed time whose coefficient of order k follows from lower ones: products by
convolution, quotients, powers and elementary functions by their differential equations (Moore 1966; Griewank and Walther
2008, chapter 13). A coefficient that is always 0 is None and costs nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import sympy as sp

from toymesa.kernels.lanes.emit import Program, Value
from toymesa.kernels.lanes.expressions import Reader
from toymesa.kernels.lanes.functions import FUNCTIONS

Coefficient = Value | None


class Series:
    """A series; ``rule(k)`` gives its coefficient of order k from lower orders of itself and up to k of its arguments."""

    def __init__(self, rule: Callable[[int], Coefficient], *, constant: bool = False) -> None:
        self._rule, self._known = rule, []  # type: tuple[Callable[[int], Coefficient], list[Coefficient]]
        self.constant = constant

    def __getitem__(self, k: int) -> Coefficient:
        if self.constant and k:
            return None
        while len(self._known) <= k:
            self._known.append(self._rule(len(self._known)))
        return self._known[k]


def _plus(a: Coefficient, b: Coefficient) -> Coefficient:
    if a is None or b is None:
        return b if a is None else a
    return a + b


def _times(a: Coefficient, b: Coefficient | float) -> Coefficient:
    return None if a is None or b is None else a * b


def _sum(terms: Sequence[Coefficient]) -> Coefficient:
    total: Coefficient = None
    for term in terms:
        total = _plus(total, term)
    return total


class SeriesReader:
    """Series of expressions; ``known``: the series of the states and of time; ``read``: values of what does not change."""

    def __init__(self, program: Program, known: Mapping[Any, Series], at_start: Mapping[Any, Value]) -> None:
        self._program = program
        self._known: dict[Any, Series] = dict(known)
        self._moving = set(known)
        self._values = Reader(program, at_start)

    def define(self, symbol: Any, expr: Any) -> None:
        """Let a symbol stand for an expression."""
        self._known[symbol] = series = self.read(expr)
        if series.constant:
            value = series[0]
            assert value is not None
            self._values.know(symbol, value)
        else:
            self._moving.add(symbol)

    def read(self, expr: Any) -> Series:
        """The series of an expression."""
        found = self._known.get(expr)
        if found is None:
            if expr.free_symbols & self._moving:
                method = getattr(self, f"_{type(expr).__name__}")
                found = method(expr)
            else:
                found = Series(lambda k: self._values.read(expr), constant=True)
            self._known[expr] = found
        return found

    # ------------------------------------------------------------ arithmetic

    def _Add(self, expr: Any) -> Series:
        plus, minus = [], []
        for a in expr.args:
            if a.as_coeff_Mul()[0].is_negative:
                minus.append(self.read(-a))
            else:
                plus.append(self.read(a))

        def rule(k: int) -> Coefficient:
            total, less = _sum([s[k] for s in plus]), _sum([s[k] for s in minus])
            if less is None:
                return total
            return -less if total is None else total - less

        return Series(rule)

    def _Mul(self, expr: Any) -> Series:
        still = [a for a in expr.args if not a.free_symbols & self._moving]
        below = [a for a in expr.args if a.free_symbols & self._moving and a.is_Pow and _negative(a.exp)]
        above = [a for a in expr.args if a.free_symbols & self._moving and a not in below]
        product: Series | None = None
        for a in above:
            product = self.read(a) if product is None else self._product(product, self.read(a))
        if still:
            factor = self.read(sp.Mul(*still))
            product = factor if product is None else self._scaled(product, factor)
        for a in below:
            product = self._quotient(product, self.read(sp.Pow(a.base, -a.exp)))
        assert product is not None
        return product

    def _scaled(self, series: Series, factor: Series) -> Series:
        return Series(lambda k: _times(series[k], factor[0]))

    def _product(self, a: Series, b: Series) -> Series:
        def rule(k: int) -> Coefficient:
            if a is b:
                half = _sum([_times(a[j], a[k - j]) for j in range((k + 1) // 2)])
                middle = _times(a[k // 2], a[k // 2]) if k % 2 == 0 else None
                return _plus(_times(half, 2.0), middle)
            return _sum([_times(a[j], b[k - j]) for j in range(k + 1)])

        return Series(rule)

    def _quotient(self, top: Series | None, bottom: Series) -> Series:
        one = self._program.constant(1.0)
        inverse = Series(lambda k: one / bottom[0] if bottom[0] is not None else None, constant=True)

        def rule(k: int) -> Coefficient:
            start = (one if k == 0 else None) if top is None else top[k]
            less = _sum([_times(bottom[j], series[k - j]) for j in range(1, k + 1)])
            if less is not None:
                start = -less if start is None else start - less
            return _times(start, inverse[0])

        series = Series(rule)
        return series

    def _Pow(self, expr: Any) -> Series:
        base, exponent = expr.base, expr.exp
        if exponent.free_symbols & self._moving:
            return self.read(sp.exp(exponent * sp.log(base)))
        if _negative(exponent):
            return self._quotient(None, self.read(sp.Pow(base, -exponent)))
        if exponent.is_Integer:
            half = self.read(sp.Pow(base, exponent // 2))
            whole = self._product(half, half)
            return whole if exponent % 2 == 0 else self._product(whole, self.read(base))
        u, r = self.read(base), self.read(exponent)

        def rule(k: int) -> Coefficient:
            if k == 0:
                return self._values.power(self._program.of(0.0 if u[0] is None else u[0]), exponent)
            power = r[0]
            assert power is not None
            terms = [_times(_times(u[j], series[k - j]), power * float(j) - float(k - j)) for j in range(1, k + 1)]
            total = _sum(terms)
            # at a base of 0 that is no number, unless the base stays there: a power has no series at 0
            return None if total is None else total / (self._program.of(0.0 if u[0] is None else u[0]) * float(k))

        series = Series(rule)
        return series

    # ------------------------------------------------------------ elementary functions

    def _exp(self, expr: Any) -> Series:
        u = self.read(expr.args[0])

        def rule(k: int) -> Coefficient:
            return self._first("exp", u) if k == 0 else self._slope(k, u, series)

        series = Series(rule)
        return series

    def _first(self, name: str, u: Series) -> Value:
        start = u[0]
        return FUNCTIONS[name](self._program, self._program.constant(0.0) if start is None else start)

    @staticmethod
    def _slope(k: int, u: Series, outer: Series) -> Coefficient:
        """Coefficient of order k of a function y of u with y' = outer u'."""
        return _times(_sum([_times(_times(u[j], float(j)), outer[k - j]) for j in range(1, k + 1)]), 1.0 / k)

    def _expm1(self, expr: Any) -> Series:
        u, whole = self.read(expr.args[0]), self.read(sp.exp(expr.args[0]))
        return Series(lambda k: self._first("expm1", u) if k == 0 else whole[k])

    def _log(self, expr: Any) -> Series:
        return self._logarithm("log", self.read(expr.args[0]), self.read(expr.args[0]))

    def _log1p(self, expr: Any) -> Series:
        return self._logarithm("log1p", self.read(expr.args[0]), self.read(1 + expr.args[0]))

    def _logarithm(self, name: str, u: Series, whole: Series) -> Series:
        one = self._program.constant(1.0)
        inverse = Series(lambda k: None if whole[0] is None else one / whole[0], constant=True)

        def rule(k: int) -> Coefficient:
            if k == 0:
                return self._first(name, u)
            terms = [_times(_times(series[j], float(j)), whole[k - j]) for j in range(1, k)]
            less, top = _times(_sum(terms), 1.0 / k), whole[k]
            if less is not None:
                top = -less if top is None else top - less
            return _times(top, inverse[0])

        series = Series(rule)
        return series

    def _waves(self, expr: Any, names: tuple[str, str], sign: float) -> tuple[Series, Series]:
        u = self.read(expr.args[0])

        def odd(k: int) -> Coefficient:
            return self._first(names[0], u) if k == 0 else self._slope(k, u, second)

        def even(k: int) -> Coefficient:
            return self._first(names[1], u) if k == 0 else _times(self._slope(k, u, first), sign)

        first, second = Series(odd), Series(even)
        return first, second

    def _pair(self, argument: Any, kinds: tuple[Any, Any], sign: float, which: int) -> Series:
        names = tuple(k.__name__ for k in kinds)
        pair = self._waves(kinds[0](argument, evaluate=False), (names[0], names[1]), sign)
        for kind, series in zip(kinds, pair, strict=True):
            self._known.setdefault(kind(argument), series)
        return pair[which]

    def _sin(self, expr: Any) -> Series:
        return self._pair(expr.args[0], (sp.sin, sp.cos), -1.0, 0)

    def _cos(self, expr: Any) -> Series:
        return self._pair(expr.args[0], (sp.sin, sp.cos), -1.0, 1)

    def _sinh(self, expr: Any) -> Series:
        return self._pair(expr.args[0], (sp.sinh, sp.cosh), 1.0, 0)

    def _cosh(self, expr: Any) -> Series:
        return self._pair(expr.args[0], (sp.sinh, sp.cosh), 1.0, 1)

    def _tanh(self, expr: Any) -> Series:
        u, one = self.read(expr.args[0]), self._program.constant(1.0)

        def rule(k: int) -> Coefficient:
            return self._first("tanh", u) if k == 0 else self._slope(k, u, rest)

        series = Series(rule)
        square = self._product(series, series)

        def remaining(k: int) -> Coefficient:
            value = square[k]
            assert value is not None
            return one - value if k == 0 else -value

        rest = Series(remaining)
        return series

    def _LogSumExp(self, expr: Any) -> Series:
        """y' is the sum of the shares e^(a - y) times a', and a share's own rate is the share times a' - y'."""
        arguments = [self.read(a) for a in expr.args]

        def rule(k: int) -> Coefficient:
            if k == 0:
                return self._values.log_sum_exp(
                    [self._program.of(a[0] if a[0] is not None else 0.0) for a in arguments]
                )
            return _sum([self._slope(k, a, share) for a, share in zip(arguments, shares, strict=True)])

        series = Series(rule)

        def share(a: Series) -> Series:
            def difference(k: int) -> Coefficient:
                mine, whole = a[k], series[k]
                if whole is None:
                    return mine
                return -whole if mine is None else mine - whole

            above = Series(difference)

            def follow(k: int) -> Coefficient:
                return self._first("exp", above) if k == 0 else self._slope(k, above, own)

            own = Series(follow)
            return own

        shares = [share(a) for a in arguments]
        return series


def _negative(exponent: Any) -> bool:
    return bool(exponent.is_Rational and exponent.is_negative)


_KNOWN = (
    sp.Add, sp.Mul, sp.Pow, sp.exp, sp.log, sp.sin, sp.cos, sp.sinh, sp.cosh, sp.tanh,
)  # fmt: skip


def has_series(expr: Any, moving: set[Any]) -> bool:
    """Whether every function of what moves has a rule here: all smooth ones that models commonly use."""
    if not expr.free_symbols & moving or expr.is_Symbol:
        return True
    known = isinstance(expr, _KNOWN) or type(expr).__name__ in ("LogSumExp", "expm1", "log1p")
    return known and all(has_series(a, moving) for a in expr.args)
