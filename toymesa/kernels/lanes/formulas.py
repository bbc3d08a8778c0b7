"""What a model says about a point, as values of a program: rates, Jacobian, time derivative of the rates."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import sympy as sp
from sympy.logic.boolalg import Boolean

from toymesa.errors import ModelError
from toymesa.kernels.lanes.emit import Program, Value
from toymesa.kernels.lanes.expressions import Reader, shared
from toymesa.kernels.lanes.layout import Layout
from toymesa.kernels.lanes.series import Coefficient, Series, SeriesReader, has_series
from toymesa.kernels.printer import accurate
from toymesa.symbolic.model import TIME, Model

_WHOLE = 12  # states up to which rates are differentiated as a whole: shorter programs, but the time grows as a cube


def by_chain(
    definitions: Sequence[tuple[Any, Any]], exprs: Sequence[Any], moving: Sequence[Any]
) -> tuple[list[tuple[Any, Any]], list[dict[Any, Any]]]:
    """The shared form with its derivatives by the chain rule, and for each expression what moves -> its derivative."""
    out: list[tuple[Any, Any]] = []
    slopes: dict[Any, dict[Any, Any]] = {s: {s: sp.Integer(1)} for s in moving}
    # numbers are real, which the names of what is shared do not say and the derivative of an absolute value asks
    real = {v: sp.Dummy(real=True) for v, e in definitions if not isinstance(e, Boolean)}
    plain = {r: v for v, r in real.items()}

    def named(expr: Any) -> Any:
        if expr.is_Atom:
            return expr
        out.append((sp.Dummy(), expr))
        return out[-1][0]

    def slopes_of(expr: Any) -> dict[Any, Any]:
        total: dict[Any, Any] = {}
        for inner in sorted(expr.free_symbols & slopes.keys(), key=lambda v: place[v]):
            outer = named(accurate(sp.diff(expr.xreplace(real), real.get(inner, inner)).xreplace(plain)))
            for s, slope in slopes[inner].items():
                total[s] = total.get(s, 0) + outer * slope
        return {s: named(e) for s, e in total.items() if e != 0}

    place = {v: i for i, v in enumerate([*moving, *(v for v, _ in definitions)])}
    for v, expr in definitions:
        out.append((v, expr))
        if v in real:  # else a condition
            slopes[v] = slopes_of(expr)
    lines = [slopes_of(e) for e in exprs]
    return out, [{s: line.get(s, sp.Integer(0)) for s in moving} for line in lines]


class Formulas:
    """Writes a model's formulas into programs, each subexpression once."""

    def __init__(self, model: Model) -> None:
        if reason := unsuited(model):
            raise ModelError(f"model {model.name!r} {reason}, which lanes do not solve")
        self.model = model
        self.n, self.m = len(model.states), len(model.params)

    @cached_property
    def _rates(self) -> Any:
        return shared(list(self.model.flow.values()))

    @cached_property
    def _local(self) -> tuple[Any, list[bool]]:
        flow, states = list(self.model.flow.values()), self.model.states
        if self.n > _WHOLE:
            definitions, rates = self._rates
            form, lines = by_chain(definitions, rates, [*states, TIME])
            entries = [line[s] for line in lines for s in states] + [line[TIME] for line in lines]
            return (form, [*rates, *entries]), [bool(e == 0) for e in entries]
        derived = [sp.diff(e, s) for e in flow for s in states] + [sp.diff(e, TIME) for e in flow]
        return shared([*flow, *derived]), [e == 0 for e in derived]

    def _values(self, p: Program, form: Any, t: Value, x: Sequence[Value]) -> list[Value]:
        first = Layout(self.n, self.m).params
        known: dict[Any, Value] = dict(zip(self.model.states, x, strict=True))
        known |= {s: p.row(first + i, varies=False) for i, s in enumerate(self.model.params)}
        known[TIME] = t
        reader = Reader(p, known)
        for symbol, value in form[0]:
            reader.define(symbol, value)
        return [reader.read(e) for e in form[1]]

    def rates(self, p: Program, t: Value, x: Sequence[Value]) -> list[Value]:
        """The rates at (t, x)."""
        return self._values(p, self._rates, t, x)

    def local(
        self, p: Program, t: Value, x: Sequence[Value]
    ) -> tuple[list[Value], list[list[Value | None]], list[Value | None]]:
        """Rates, Jacobian by rows and time derivative of the rates at (t, x); None where an entry is always 0."""
        form, zero = self._local
        values, n = self._values(p, form, t, x), self.n
        rest: list[Value | None] = [None if z else v for z, v in zip(zero, values[n:], strict=True)]
        return values[:n], [rest[i * n : (i + 1) * n] for i in range(n)], rest[n * n :]

    @property
    def smooth(self) -> bool:
        """Whether the rates are made of functions that have Taylor series everywhere, so that Taylor's method applies."""
        moving = {*self.model.states, TIME}
        return all(has_series(e, moving) for e in self.model.flow.values())

    @property
    def tame(self) -> bool:
        """Whether the rates are polynomials of low degree in states and time, which hide nothing from a few looks at a step.

        Along a step of Taylor's method such rates are a polynomial too, as large on the whole circle around its start as the
        terms of the series say; there is no room in it for a pulse between points at which it is as small as they promise.
        """
        moving = {*self.model.states, TIME}
        return all(degree(e, moving) <= 8 for e in self.model.flow.values())

    def series(
        self, p: Program, t: Value, x: Sequence[Value], direction: Value, order: int
    ) -> tuple[list[list[Coefficient]], list[list[Coefficient]]]:
        """Taylor coefficients in the elapsed time of the solution through (t, x), and of its rates: by order, then state."""
        if not self.smooth:
            raise ModelError(f"the rates of {self.model.name!r} have no Taylor series everywhere; use 'lanes'")
        first = Layout(self.n, self.m).params
        at_start: dict[Any, Value] = {s: p.row(first + i, varies=False) for i, s in enumerate(self.model.params)}
        solution: list[Series] = []
        known: dict[Any, Series] = {TIME: Series(lambda k: t if k == 0 else (direction if k == 1 else None))}

        def follow(i: int) -> Series:
            def rule(k: int) -> Coefficient:
                if k == 0:
                    return x[i]
                slope = rates[i][k - 1]
                return None if slope is None else slope * (direction * (1.0 / k))

            return Series(rule)

        for i, s in enumerate(self.model.states):
            known[s] = follow(i)
            solution.append(known[s])
        form = self._rates
        reader = SeriesReader(p, known, at_start)
        for symbol, value in form[0]:
            reader.define(symbol, value)
        rates = [reader.read(e) for e in form[1]]
        return [[s[k] for s in solution] for k in range(order + 1)], [[r[k] for r in rates] for k in range(order)]


def unsuited(model: Model) -> str | None:
    """Why a model has no form for lanes, or None."""
    if model.discrete:
        return "is a map"
    if model.algebraic:
        return "has algebraic states"
    if model.inner_run is not None:
        return "runs its inner optimizer"
    return None


def degree(expr: Any, moving: set[Any]) -> float:
    """A bound of the degree of a polynomial in what moves, read off as it is written; infinite for what is none."""
    if not expr.free_symbols & moving:
        return 0
    if expr.is_Symbol:
        return 1
    if expr.is_Add or expr.is_Mul:
        parts = [degree(a, moving) for a in expr.args]
        return max(parts) if expr.is_Add else sum(parts)
    if expr.is_Pow and expr.exp.is_Integer and expr.exp.is_positive:
        return degree(expr.base, moving) * int(expr.exp)
    return math.inf
