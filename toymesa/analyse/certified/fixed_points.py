"""``fixed_points``: all of them in a box, or everywhere, with a proof for each and for there being no others.

The equations are taken apart exactly (factors, conserved combinations, states that others determine), what is left is
searched by interval arithmetic, and every zero found is proved in ball arithmetic on the original equations.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

import flint
import numpy as np
import sympy as sp
from numpy.typing import NDArray

from toymesa.analyse.certified import continua
from toymesa.analyse.certified.census import Census, Continuum, FixedPoint
from toymesa.analyse.certified.certify import BITS, Certifier, Zero
from toymesa.analyse.certified.isolated import Budget, Candidates, candidates
from toymesa.analyse.certified.region import Region
from toymesa.analyse.certified.search import Search
from toymesa.analyse.certified.undecided import merged
from toymesa.analyse.rates import rates_of
from toymesa.analyse.spectrum import kind, proved_spectrum, signs
from toymesa.arguments import scalar, whole
from toymesa.errors import ArgumentError, DomainError
from toymesa.solver.inputs import cells
from toymesa.symbolic.balls import Undecidable, float_bounds, over_balls, precision
from toymesa.symbolic.linear import at_params, fixed_point_equations
from toymesa.symbolic.model import Model
from toymesa.symbolic.patience import OutOfTime, within
from toymesa.symbolic.systems import Fractions, fractions, systems

Array = NDArray[np.float64]


def fixed_points(
    model: Model,
    *,
    box: Mapping[Any, Any] | None = None,
    params: Mapping[Any, float] | None = None,
    max_boxes: int = 200_000,
    time_limit: float = 60.0,
) -> Census:
    """Every fixed point of a flow or map, each with an enclosure that is proved to hold exactly one.

    Parameters
    ----------
    model : an autonomous model without a nested inner run. Algebraic states count among the unknowns.
    box : state -> (low, high); shares of a simplex may be given instead of their log-odds. States left out take their
        domain. Polynomial and rational flows need none: all real fixed points are then found. Otherwise a state whose
        bounds are not known is asked for, except where the equations fix it once the others are known.
    params : name -> number; each is taken as the decimal number that it prints as (0.1 is exactly 1/10).
    max_boxes, time_limit : budget, in boxes looked at and in seconds. What is open when it is spent is undecided.

    Returns a :class:`Census`: ``points`` (certified), ``continua`` (lines and surfaces of fixed points), ``undecided``
    boxes (degenerate fixed points, or the budget), ``complete``. Zeros at which a requirement of the model fails (such
    as an inner optimum that is a maximum) are left out. Fixed points on the edge of the box or of a domain count.
    Raises DomainError for a box that is missing or unusable, ModelError for a model that cannot be searched.
    """
    if not isinstance(model, Model):
        raise ArgumentError(f"model must be a toymesa Model; got {type(model).__name__}")
    budget = Budget(
        whole("max_boxes", max_boxes, 1),
        time.monotonic() + scalar("time_limit", time_limit, 0.0, low_open=True, infinite=True),
    )
    values = parameter_values(model, params)
    return _Count(model, values, Region(model, box), budget).run()


def parameter_values(model: Model, params: Mapping[Any, float] | None) -> dict[str, float]:
    """Name -> value of every parameter, checked; one number each."""
    batch = cells(model, None, params, np.random.default_rng(0))
    if batch.dims:
        raise DomainError(f"params must be one number each here; {', '.join(batch.dims)} has several")
    return {s.name: float(batch.params[0, i]) for i, s in enumerate(model.params)}


class _Count:
    """One census on its way."""

    def __init__(self, model: Model, values: dict[str, float], region: Region, budget: Budget) -> None:
        self.model, self.values, self.region, self.budget = model, values, region, budget
        self.states = model.states
        self.equations = at_params(list(fixed_point_equations(model).values()), model, values)
        self.whole = Certifier(self.states, self.equations)
        self.requires = dict(zip(model.requires, at_params(list(model.requires.values()), model, values), strict=True))
        charts = {c: e for chart in model.charts for c, e in chart.from_states.items()}
        self.shares = dict(zip(charts, at_params(list(charts.values()), model, values), strict=True))
        self.zeros: list[Zero] = []
        self.continua: list[Continuum] = []
        self.open: list[tuple[Array, Array]] = []
        self.notes = list(region.notes)
        self.left_out, self.outside_rates = 0, 0
        self.poles: list[sp.Expr] = []  # denominators of the rates

    def run(self) -> Census:
        """Take the equations apart, search each part, put the answer together."""
        inside, parts = self._taken_apart()
        if inside is None or parts is None:
            self._isolated(self.equations, None, None)
        else:
            self.poles = [d for e in inside.elements if not (d := inside.expr(e.denom)).is_number]
            for system in parts:
                exprs = [inside.expr(p) for p in system]
                if len(system) < len(self.states):
                    self._continuum(exprs)
                elif len(parts) == 1:
                    self._isolated(self.equations, inside, system)
                else:
                    self._isolated(exprs, inside, system)
        points = sorted((self._point(z) for z in self.zeros), key=lambda p: tuple(p.state.values()))
        boxes = merged(self.open, self.region.lo, self.region.hi)
        named = [self._named(lo, hi) for lo, hi in boxes]
        if self.outside_rates:
            self.notes.append(f"left out: {self.outside_rates} where a denominator of the rates vanishes")
        if self.left_out:
            self.notes.append(f"left out: {self.left_out} where {', '.join(self.requires)} is not positive")
        self.notes += self.budget.notes()
        return Census(
            model=self.model.name, params=self.values, points=tuple(points), continua=tuple(self.continua),
            undecided=tuple(named), complete=not named, box=self.region.describe(), boxes=self.budget.used,
            notes=tuple(self.notes),
        )  # fmt: skip

    def _taken_apart(self) -> tuple[Fractions | None, list[tuple[Any, ...]] | None]:
        """The equations as systems of irreducible ones; nothing where that is too large a task."""
        patience = min(15.0, max(self.budget.deadline - time.monotonic(), 0.0) / 3.0)
        try:
            with within(patience):
                inside = fractions(self.states, self.equations)
                return inside, None if inside is None else systems(inside)
        except OutOfTime:
            return None, None

    # ---------------------------------------------------------------- isolated points

    def _isolated(self, exprs: Sequence[sp.Expr], inside: Fractions | None, polys: Sequence[Any] | None) -> None:
        transcendental = not all(e.is_rational_function(*self.states) for e in self.equations)
        also = self.equations if transcendental and exprs is not self.equations else ()
        found = candidates(self.states, exprs, inside, polys, self.region, self.budget, also)
        part = Certifier(self.states, exprs)
        for lo, hi, near in found.zeros:
            if not self._at_pole(exprs, lo, hi, near):
                self._zero(part, lo, hi, near)
        for lo, hi in found.undecided:
            if not self.region.excludes(lo, hi):
                self.open.append((np.maximum(lo, self.region.lo), np.minimum(hi, self.region.hi)))
        self._numerical(found)

    def _at_pole(self, exprs: Sequence[sp.Expr], lo: Array, hi: Array, near: Array) -> bool:
        """Whether the one zero in the box is a rational point where a denominator of the rates vanishes: exact."""
        if not self.poles:
            return False
        at = {
            s: sp.Rational(Fraction(float(v)).limit_denominator(10**6)) for s, v in zip(self.states, near, strict=True)
        }
        if not all(low <= v <= high for v, low, high in zip(at.values(), lo, hi, strict=True)):
            return False
        if any(e.xreplace(at) != 0 for e in exprs) or not any(d.xreplace(at) == 0 for d in self.poles):
            return False
        self.outside_rates += 1
        return True

    def _zero(self, part: Certifier, lo: Array, hi: Array, near: Array) -> None:
        """A box that holds one zero of the part: proved as a regular zero of the whole, or undecided."""
        zero = self.whole.certify(near)
        degenerate = zero is None
        zero = zero or part.certify(near)
        if zero is None or not zero.inside(lo, hi):  # another zero than that of the box would leave this one out
            if not self.region.excludes(lo, hi):
                self.open.append((lo, hi))
            return
        low, high = zero.bounds()
        if self.region.excludes(low, high) or self._outside_shares(zero) or self._fails(zero) is True:
            return
        if degenerate or self._fails(zero) is None:
            self.open.append((low, high))
        elif not any(zero.same(other) for other in self.zeros):
            self.zeros.append(zero)

    def _outside_shares(self, zero: Zero) -> bool:
        """Whether a share lies outside the bounds given for it, for certain."""
        for share, (low, high) in self.region.shares.items():
            ends = self._bounds(self.shares[share], zero)
            if ends is not None and (ends[1] < low or ends[0] > high):
                return True
        return False

    def _fails(self, zero: Zero) -> bool | None:
        """Whether a requirement of the model fails there; None where that stays open."""
        answer: bool | None = False
        for expr in self.requires.values():
            ends = self._bounds(expr, zero)
            if ends is not None and ends[1] <= 0.0:
                self.left_out += 1
                return True
            if ends is None or ends[0] <= 0.0:
                answer = None
        return answer

    def _bounds(self, expr: sp.Expr, zero: Zero) -> tuple[float, float] | None:
        try:
            with precision(BITS):
                ball = over_balls(expr, dict(zip(self.states, zero.balls, strict=True)))
            return float_bounds(ball) if ball.is_finite() else None
        except Undecidable:
            return None

    def _point(self, zero: Zero) -> FixedPoint:
        low, high = zero.bounds()
        middle = zero.middle()
        values = self._spectrum(middle, zero)
        names = self.model.state_names
        shares = {s.name: self._bounds(e, zero) for s, e in self.shares.items()}
        return FixedPoint(
            state={n: float(v) + 0.0 for n, v in zip(names, middle, strict=True)},
            enclosure=self._named(low, high),
            eigenvalues=tuple(v for v, _ in values),
            kind=kind(values, discrete=self.model.discrete),
            shares={n: (e[0] + e[1]) / 2.0 for n, e in shares.items() if e is not None},
        )

    # ---------------------------------------------------------------- continua

    def _continuum(self, exprs: Sequence[sp.Expr]) -> None:
        """Fewer equations than states: their zeros are curves or surfaces, unless there are none."""
        if not exprs:  # everything is a fixed point
            balls = [flint.arb(float(v)) for v in self._start()]
            self._add(self._start(), len(self.states), Zero(balls, balls))
            return
        search, n = Search(self.states, exprs), len(self.states)
        lo, hi = self.region.lo, self.region.hi
        before = len(self.continua)
        for x in continua.samples(search, lo, hi, self._start()):
            zero = continua.proved(self.states, exprs, search, x)
            if zero is not None:
                self._add(zero.middle(), n - len(exprs), zero)
        self._one_a_kind(before)
        if len(self.continua) == before and not continua.empty(search, lo, hi):
            self.region.require(why="fixed points may form a continuum that was not found")
            self.open.append((lo, hi))

    def _numerical(self, found: Candidates) -> None:
        """Where the search ended among boxes that no cutting settles: a continuum recognized by its rank."""
        if len(found.undecided) < 2:
            return
        before = len(self.continua)
        pick = np.linspace(0, len(found.undecided) - 1, min(8, len(found.undecided))).astype(int)
        middle = np.array([(found.undecided[i][0] + found.undecided[i][1]) / 2.0 for i in pick])
        if not np.isfinite(middle).all():
            return
        for x, arrived in zip(*found.search.project(middle), strict=True):
            if arrived and not self.region.excludes(x, x):
                d = continua.dimension(found.search, x)
                if d:
                    self._add(x, d, None)
        self._one_a_kind(before)

    def _add(self, x: Array, dimension: int, zero: Zero | None) -> None:
        values = self._spectrum(x, zero)
        self.continua.append(
            Continuum(
                dimension=dimension,
                through={n: float(v) + 0.0 for n, v in zip(self.model.state_names, x, strict=True)},
                kind=kind(values, discrete=self.model.discrete, dimension=min(dimension, len(values))),
                eigenvalues=tuple(v for v, _ in values),
                certified=zero is not None,
            )
        )

    def _one_a_kind(self, first: int) -> None:
        """Of the samples of one system, from ``first`` on, one a kind; undecided ones lie where the kind changes."""
        out: dict[tuple[int, str], Continuum] = {}
        for c in self.continua[first:]:
            out.setdefault((c.dimension, c.kind), c)
        clear = [c for c in out.values() if c.kind != "undecided"]
        self.continua[first:] = clear or list(out.values())

    # ---------------------------------------------------------------- small things

    def _spectrum(self, x: Array, zero: Zero | None) -> list[tuple[complex, int | None]]:
        """Eigenvalues and their signs, proved from an enclosure of the point where there is one."""
        if zero is not None:
            found = proved_spectrum(self.whole, zero, self.model)
            if found is not None:
                return found
        matrix = rates_of(self.model).linearization(x, list(self.values.values()))
        return signs(matrix, discrete=self.model.discrete)

    def _start(self) -> Array:
        begin = cells(self.model, None, self.values, np.random.default_rng(0)).starts[0]
        return np.where(np.isfinite(begin), begin, 0.0)

    def _named(self, lo: Array, hi: Array) -> dict[str, tuple[float, float]]:
        return {n: (float(a) + 0.0, float(b) + 0.0) for n, a, b in zip(self.model.state_names, lo, hi, strict=True)}
