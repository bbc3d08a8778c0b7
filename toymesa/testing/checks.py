"""What must hold for every model, one named check a promise.

A check is called with a model and a :class:`Point` (parameters and start) and raises :class:`CheckFailure` where the
promise is broken, :class:`NotApplicable` where the model makes no such promise. Expected values are computed on another
way than the values they are compared with: ball arithmetic against compiled code, closed forms against solvers, one route
through the solver against another.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np
import sympy as sp
import xarray as xr

from toymesa.kernels.batch import observe_batch
from toymesa.kernels.generate import compile_model, observed
from toymesa.solver import cross_check, solve
from toymesa.solver.cross_check import NOT_HERE, NOT_THERE
from toymesa.solver.inputs import cells
from toymesa.status import Status
from toymesa.symbolic.balls import Undecidable, decided, enclosure, exactly
from toymesa.symbolic.model import TIME, Model

RTOL, ATOL = 1e-10, 1e-12
# two routes through a solver at these tolerances agree to this, in units of atol + rtol |x|; a stiff or unstable flow
# amplifies a local error by a few orders of magnitude within the short spans used here
UNITS = 1e5
SPAN = 1.0


class CheckFailure(AssertionError):
    """A promise that a model does not keep: which, by how much, where."""


class NotApplicable(Exception):  # not an error: the check says nothing about this model
    """The model makes no such promise, or the solver does not get there."""


@dataclass(frozen=True)
class Point:
    """Where a check looks: values of parameters and starts by name; missing ones take the model's defaults."""

    params: Mapping[str, float] = field(default_factory=dict)
    start: Mapping[str, float] = field(default_factory=dict)

    def __str__(self) -> str:
        given = {**self.params, **{f"start of {n}": v for n, v in self.start.items()}}
        return ", ".join(f"{n} = {v!r}" for n, v in given.items()) or "the defaults"


@dataclass(frozen=True)
class Check:
    """One promise. applies: why a model makes no such promise, "" if it does."""

    name: str
    statement: str
    run: Callable[[Model, Point], None]
    applies: Callable[[Model], str] = lambda model: ""

    def __call__(self, model: Model, at: Point | None = None) -> None:
        """Run it; raises CheckFailure or NotApplicable."""
        if reason := self.applies(model):
            raise NotApplicable(reason)
        self.run(model, Point() if at is None else at)


CHECKS: dict[str, Check] = {}
"""Every check by its name."""


def _check(
    statement: str, applies: Callable[[Model], str] = lambda model: ""
) -> Callable[[Callable[[Model, Point], None]], Check]:
    def register(run: Callable[[Model, Point], None]) -> Check:
        name = run.__name__
        CHECKS[name] = Check(name, statement, run, applies)
        return CHECKS[name]

    return register


# ---------------------------------------------------------------- compiled code against ball arithmetic


def _symbolic_rates(model: Model) -> str:
    return "its rates need a nested inner run and have no formula" if model.inner_run is not None else ""


def _values(model: Model, at: Point) -> tuple[np.ndarray, np.ndarray]:
    """Start and parameters as the solver sees them."""
    cell = cells(model, at.start, at.params, np.random.default_rng(0))
    if not np.isfinite(cell.starts).all():
        raise NotApplicable(f"the start is not finite at {at}")
    return cell.starts[0], cell.params[0]


def _compare(
    what: str, got: float, expr: sp.Expr, truth: Any, where: Mapping[sp.Symbol, sp.Rational], at: Point
) -> None:
    """A float against a ball, allowed what rounding each operation once would do to this formula here."""
    try:
        rounded = enclosure(expr, where, 53)
    except Undecidable:
        return  # not even finite there: nothing is promised
    allowed = 64 * float(rounded.rad()) + 1e-13 * abs(float(truth.mid())) + 1e-300
    if not np.isfinite(allowed):
        return
    error = abs(got - float(truth.mid()))
    if not error <= allowed:
        raise CheckFailure(f"{what} is {got!r} in compiled code and {float(truth.mid())!r} by its formula, at {at}")


@_check("compiled rates equal their formulas", _symbolic_rates)
def rates_equal_formulas(model: Model, at: Point) -> None:
    """Rates of change in compiled code against ball arithmetic."""
    x, p = _values(model, at)
    out = np.empty(len(x))
    compile_model(model).field(0, 0.5, x, p, out)
    where = exactly({**dict(zip(model.states, x, strict=True)), **dict(zip(model.params, p, strict=True)), TIME: 0.5})
    for i, (s, e) in enumerate(model.flow.items()):
        _compare(f"the rate of {s}", float(out[i]), e, _truth(e, where, at), where, at)


@_check("compiled derivatives equal derivatives of the formulas", _symbolic_rates)
def jacobian_equals_derivatives(model: Model, at: Point) -> None:
    """The compiled Jacobian against differences of the rates in ball arithmetic of 600 bits."""
    x, p = _values(model, at)
    n = len(x)
    out = np.empty(n * n)
    compile_model(model).field(1, 0.5, x, p, out)
    where = exactly({**dict(zip(model.states, x, strict=True)), **dict(zip(model.params, p, strict=True)), TIME: 0.5})
    # small against the state, which may be of any size, and large against the last of the 600 bits
    steps = [sp.Rational(2) ** (int(np.frexp(value)[1]) - 150) for value in x]
    for i, (s, e) in enumerate(model.flow.items()):
        for j, (v, step) in enumerate(zip(model.states, steps, strict=True)):
            if not e.has(v):
                if out[i * n + j] != 0:
                    raise CheckFailure(f"d({s}')/d({v}) is {out[i * n + j]!r} in compiled code and 0 by its formula")
                continue
            slope = (e.xreplace({v: v + step}) - e.xreplace({v: v - step})) / (2 * step)
            _compare(f"d({s}')/d({v})", float(out[i * n + j]), sp.diff(e, v), _truth(slope, where, at, 600), where, at)


@_check("compiled observables equal their formulas", _symbolic_rates)
def observables_equal_formulas(model: Model, at: Point) -> None:
    """Everything that is read off a state, in compiled code and in ball arithmetic."""
    x, p = _values(model, at)
    got = [v[0, 0] for v in observe_batch(compile_model(model), np.array([0.5]), x[None, None, :], p[None, :])]
    where = exactly({**dict(zip(model.states, x, strict=True)), **dict(zip(model.params, p, strict=True)), TIME: 0.5})
    for value, (name, e) in zip(got, observed(model), strict=True):
        if isinstance(e, sp.Piecewise) and not any(decided(condition, where) for _, condition in e.args):
            if not np.isnan(value):
                raise CheckFailure(f"{name} is {value!r} in compiled code where its formula has no value, at {at}")
            continue
        _compare(name, float(value), e, _truth(e, where, at), where, at)


def _truth(expr: sp.Expr, where: Mapping[sp.Symbol, sp.Rational], at: Point, bits: int = 300) -> Any:
    try:
        return enclosure(expr, where, bits)
    except Undecidable as error:
        raise NotApplicable(f"a formula has no finite value at {at}") from error


# ---------------------------------------------------------------- what the model says is exact


@lru_cache(maxsize=64)
def _crossed(model: Model, params: tuple[Any, ...], start: tuple[Any, ...]) -> tuple[dict[str, Any], ...]:
    return tuple(cross_check(model, params=dict(params), start=dict(start)))


def _rows(model: Model, at: Point, *words: str) -> None:
    rows = _crossed(model, tuple(sorted(at.params.items())), tuple(sorted(at.start.items())))
    named = [row for row in rows if any(w in row["name"] for w in words)]
    # a method that fails contradicts nothing, and a formula promises nothing where its conditions do not hold
    compared = [row for row in named if not any(w in row["name"] for w in (NOT_THERE, NOT_HERE))]
    for row in compared:
        if not row["ok"]:
            raise CheckFailure(f"{row['name']}: {row['error']:.3g} times what is allowed, at {at}")
    if named and not compared:
        raise NotApplicable(f"{named[0]['name']}, at {at}")


@_check("closed forms equal every solver", lambda m: "" if m.closed_forms else "it has no closed form")
def closed_forms_equal_solvers(model: Model, at: Point) -> None:
    """Closed forms in time and in internal time, where their conditions hold."""
    _rows(model, at, "closed form", "internal-time form")


@_check("invariants are conserved", lambda m: "" if m.invariants else "it has no invariant")
def invariants_are_kept(model: Model, at: Point) -> None:
    """Invariants along a numerical solution, under their conditions."""
    _rows(model, at, "invariant ")


def _has_potential(model: Model) -> str:
    return "" if model.potential is not None and not model.discrete else "it is no gradient flow"


@_check("the potential never rises", _has_potential)
def potential_never_rises(model: Model, at: Point) -> None:
    """The potential along a numerical solution."""
    _rows(model, at, "potential never rises")


@_check("methods agree", lambda m: "it is a map" if m.discrete else "")
def methods_agree(model: Model, at: Point) -> None:
    """Explicit methods of two orders, the stiff method and the automatic choice."""
    _rows(
        model, at, *(f"{m} {word}" for m in ("tsit5", "dop853", "rodas5p", "auto") for word in ("against", NOT_THERE))
    )


# ---------------------------------------------------------------- one route through the solver against another


def _numerical(model: Model) -> Model:
    return model.with_(closed_forms=())


def _run(model: Model, times: Any, at: Point, **more: Any) -> xr.Dataset:
    run = solve(model, times, params=at.params, start=at.start, rtol=RTOL, atol=ATOL, on_fail="status", **more)
    if (run["status"] != Status.OK).any():
        raise NotApplicable(f"the solver does not get there: {Status(int(run['status'].max())).label} at {at}")
    return run


def _ends(model: Model, run: xr.Dataset) -> np.ndarray:
    return np.array([run[n].values[..., -1] for n in model.state_names])


def _agree(what: str, one: np.ndarray, other: np.ndarray, at: Point) -> None:
    gap = np.max(np.abs(one - other) / (ATOL + RTOL * np.abs(other)))
    if not gap <= UNITS:
        raise CheckFailure(f"{what}: they differ by {gap:.3g} tolerances, at {at}")


@_check("two halves make the whole")
def two_halves_make_the_whole(model: Model, at: Point) -> None:
    """Stopping in the middle and going on from there changes nothing."""
    half = 3 if model.discrete else SPAN / 2
    plain = _numerical(model)
    whole = _run(plain, [half, 2 * half], at)
    middle = {n: float(whole[n].values[0]) for n in model.state_names}
    later = plain
    if not model.autonomous:
        later = plain.with_(
            flow={s: e.subs(TIME, TIME + sp.Float(half)) for s, e in model.flow.items()},
            invariants={}, potential=None, metric=None,  # observables stay: they may be all that uses a parameter
        )  # fmt: skip
    rest = _run(later, [half], Point(at.params, middle))
    _agree("halves against the whole", _ends(model, rest), _ends(model, whole), at)


@_check("time can be rescaled", lambda m: "it is a map" if m.discrete else "")
def time_can_be_rescaled(model: Model, at: Point) -> None:
    """A flow that is c times as fast is where the other one is, at 1/c of the time."""
    factor = sp.Integer(3)
    fast = _numerical(model).with_(
        flow={s: factor * e.subs(TIME, factor * TIME) for s, e in model.flow.items()},
        invariants={}, potential=None, metric=None,  # observables stay: they may be all that uses a parameter
    )  # fmt: skip
    slow = _run(_numerical(model), [SPAN], at)
    _agree("a faster clock", _ends(model, _run(fast, [SPAN / 3], at)), _ends(model, slow), at)


@_check("parameters survive a round trip", lambda m: "" if m.params else "it has no parameters")
def parameters_survive_a_round_trip(model: Model, at: Point) -> None:
    """A parameter that is passed and one that is the default do the same, bit for bit."""
    if model.with_params(model.defaults()).fingerprint != model.fingerprint:
        raise CheckFailure("with_params(defaults) changes the fingerprint")
    values = {**model.defaults(), **at.params}
    times = [3] if model.discrete else [SPAN]
    passed = _run(_numerical(model), times, Point(values, at.start))
    kept = _run(_numerical(model).with_params(values), times, Point({}, at.start))
    if not np.array_equal(_ends(model, passed), _ends(model, kept)):
        raise CheckFailure(f"parameters passed to solve and parameters set as defaults give different bits, at {at}")


@_check("a batch is its cells, bit for bit", lambda m: "" if m.params else "it has no parameters to batch over")
def batch_equals_single(model: Model, at: Point) -> None:
    """The result of a cell depends on no other cell, and on no number of threads."""
    times = [3] if model.discrete else [SPAN]
    symbol, parameter = next(iter(model.params.items()))
    middle = float(at.params.get(symbol.name, parameter.default))
    values = [v for v in (middle, 1.01 * middle + 1e-3, 0.99 * middle - 1e-3) if v in parameter.domain]
    rest = {n: v for n, v in at.params.items() if n != symbol.name}
    axis = xr.DataArray(values, dims="cell")
    batches = [
        solve(_numerical(model), times, params={**rest, symbol.name: axis}, start=at.start, threads=k, on_fail="status")
        for k in (1, 2)
    ]
    for i, value in enumerate(values):
        single = solve(
            _numerical(model), times, params={**rest, symbol.name: value}, start=at.start, on_fail="status"
        )  # fmt: skip
        for batch in batches:
            for n in (*model.state_names, "status"):
                if not np.array_equal(batch[n].values[i], single[n].values, equal_nan=True):
                    raise CheckFailure(f"{n} alone and in a batch differ, at {symbol} = {value!r} and {at}")


# ---------------------------------------------------------------- coordinates and constraints


@_check("a start can be given in coordinates", lambda m: "" if m.charts else "it has no other coordinates")
def coordinates_survive_a_round_trip(model: Model, at: Point) -> None:
    """States to coordinates and back."""
    x, p = _values(model, at)
    names = dict(zip(model.states, x, strict=True)) | dict(zip(model.params, p, strict=True))
    for chart in model.charts:
        there = {c: e.subs(names).rewrite(sp.log).evalf(40, subs=names) for c, e in chart.from_states.items()}
        for s, e in chart.to_states.items():
            back, expected = float(e.subs(there).evalf(40)), float(names[s])
            if not abs(back - expected) <= 1e-9 * (1 + abs(expected)):
                raise CheckFailure(f"{s} is {expected!r} and comes back from its coordinates as {back!r}, at {at}")


@_check("algebraic states stay on their constraint", lambda m: "" if m.algebraic else "it has no algebraic state")
def constraints_are_kept(model: Model, at: Point) -> None:
    """The constraint is met at every output time, to rounding."""
    run = _run(_numerical(model), np.linspace(0.0, SPAN, 6), at)
    _, p = _values(model, at)
    out = np.empty(len(model.algebraic))
    for i in range(run.sizes["time"]):
        x = np.array([float(run[n].values[i]) for n in model.state_names])
        compile_model(model).field(3, float(run["time"][i]), x, p, out)
        if not np.max(np.abs(out)) <= 1e-9 * (1 + np.max(np.abs(x))):
            raise CheckFailure(f"the constraint is off by {np.max(np.abs(out)):.3g}, at {at}")
