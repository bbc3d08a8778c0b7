r"""Exact solutions of linear flows x' = A x + b and of linear maps x -> A x + b, with symbolic A and b.

States that do not act on each other separate. A state alone relaxes exponentially; two coupled ones have the functions
of :mod:`toymesa.symbolic.entire` of their 2x2 matrix, with m = tr A/2 and q = m^2 - det A

.. math::
    x(t) = e^{mt}\Bigl[\cosh(t\sqrt q) + \frac{\sinh(t\sqrt q)}{\sqrt q}(A - m)\Bigr] x_0 + \int_0^t e^{As} ds\; b,

more of them the matrix exponential. All are entire in the entries of A: equal, complex and vanishing eigenvalues are
no exceptions. Maps likewise, with powers and sums for exponentials and integrals.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import sympy as sp

from toymesa.symbolic.entire import (
    FlowComponent,
    FlowMean,
    FlowMeanTotal,
    FlowSlope,
    FlowSlopeTotal,
    StepComponent,
    StepMean,
    StepMeanTotal,
    StepSlope,
    StepSlopeTotal,
)
from toymesa.symbolic.model import TIME, ClosedForm, Model, at_start

LARGEST = 8  # coupled states beyond which no closed form is made: a matrix exponential is then no better than a solver


def linear_parts(model: Model) -> tuple[sp.Matrix, sp.Matrix] | None:
    """A and b where the flow (or map) is A x + b with constants in parameters; None where it is not."""
    if model.inner_run is not None or model.algebraic or not model.autonomous:
        return None
    states, rows = model.states, []
    if not all(rate.is_polynomial(*states) for rate in model.flow.values()):  # cheaper than derivatives
        return None
    for rate in model.flow.values():
        row = [_shorter(sp.diff(rate, s)) for s in states]
        if any(e.has(*states) for e in row):
            return None
        rows.append(row)
    at_zero = [e.subs(dict.fromkeys(states, 0)) for e in model.flow.values()]
    return sp.Matrix(rows), sp.Matrix(at_zero)


def _shorter(entry: sp.Expr) -> sp.Expr:
    """Multiplied out only where that cancels terms: factored differences keep their digits."""
    size = entry.count_ops()
    if size > 60:
        return entry
    expanded = sp.expand(entry)
    return expanded if expanded.count_ops() < size else entry


def linear_solution(
    model: Model, *, rest: Mapping[sp.Symbol, Any] | None = None, derivation: str = "base_optimizers_1"
) -> ClosedForm | None:
    """The exact solution of a linear model as a closed form; None where it is not linear, or couples too many states.

    rest : a fixed point, if one is known in closed form. The solution is then written as a deviation from it, which
        keeps its relative accuracy on the way there.
    """
    parts = linear_parts(model)
    if parts is None or model.noise is not None:
        return None
    matrix, constant = parts
    start = sp.Matrix([at_start(s) for s in model.states])
    shift = sp.zeros(len(start), 1) if rest is None else sp.Matrix([rest.get(s, 0) for s in model.states])
    if rest is not None:
        start, constant = start - shift, sp.zeros(len(start), 1)
    values: dict[sp.Symbol, sp.Expr] = {}
    for block in _blocks(matrix):
        if len(block) > LARGEST:
            return None
        part = [start.extract(block, [0]), constant.extract(block, [0])]
        solved = _solved(matrix.extract(block, block), *part, discrete=model.discrete)
        values |= {model.states[i]: shift[i] + x for i, x in zip(block, solved, strict=True)}
    return ClosedForm(states={s: values[s] for s in model.states}, derivation=derivation)


def with_linear_solution(model: Model) -> Model:
    """The model with its exact solution, if it is linear and has none yet; unchanged otherwise."""
    form = None if model.closed_forms else linear_solution(model)
    return model if form is None else model.with_(closed_forms=(form,))


def pair_of(matrix: sp.Matrix) -> tuple[sp.Expr, sp.Expr, sp.Expr]:
    """Half the trace, the squared half gap of the eigenvalues, and the determinant of a 2x2 matrix.

    The gap is written as ((a - d)/2)^2 + b c: a sum of squares where the matrix is symmetric.
    """
    a, b, c, d = matrix
    determinant = a * d - b * c
    if determinant.count_ops() < 60:  # factors keep the digits that a difference loses
        determinant = sp.factor(determinant)
    return (a + d) / 2, ((a - d) / 2) ** 2 + b * c, determinant


def _blocks(matrix: sp.Matrix) -> list[list[int]]:
    """Groups of states that act on each other, in the order of their first members."""
    left, out = list(range(matrix.rows)), []
    while left:
        group, new = {left[0]}, {left[0]}
        while new:
            new = {j for j in left if j not in group and any(matrix[i, j] != 0 or matrix[j, i] != 0 for i in new)}
            group |= new
        out.append(sorted(group))
        left = [i for i in left if i not in group]
    return out


def _solved(matrix: sp.Matrix, start: sp.Matrix, constant: sp.Matrix, *, discrete: bool) -> Sequence[sp.Expr]:
    n = matrix.rows
    if n > 2:
        kind = StepComponent if discrete else FlowComponent
        return [kind(i, TIME, *start, *matrix, *constant) for i in range(n)]
    growth = matrix - sp.eye(n) if discrete else matrix  # a map's eigenvalues are 1 + z
    if n == 1:
        return [_alone(growth[0], start[0], constant[0], discrete=discrete)]
    half, gap, product = pair_of(growth)
    mean, slope, mean_total, slope_total = (
        f(half, gap, product, TIME)
        for f in (
            (StepMean, StepSlope, StepMeanTotal, StepSlopeTotal)
            if discrete
            else (FlowMean, FlowSlope, FlowMeanTotal, FlowSlopeTotal)
        )
    )
    turned, pushed = (growth - half * sp.eye(2)) * start, (growth - half * sp.eye(2)) * constant
    return [mean * start[i] + slope * turned[i] + mean_total * constant[i] + slope_total * pushed[i] for i in range(2)]


def _alone(z: sp.Expr, start: sp.Expr, constant: sp.Expr, *, discrete: bool) -> sp.Expr:
    if z == 0:
        return start + constant * TIME
    pair = (z, sp.Integer(0), z**2, TIME)
    if discrete:
        return StepMean(*pair) * start + StepMeanTotal(*pair) * constant
    return sp.exp(z * TIME) * start + FlowMeanTotal(*pair) * constant
