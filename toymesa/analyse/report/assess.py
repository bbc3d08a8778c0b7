"""``assess``: is joint optimization stable, where does that change, and what does training from the start end in?"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import numpy as np
import sympy as sp
from numpy.typing import NDArray

from toymesa.analyse.certified.census import Census
from toymesa.analyse.certified.fixed_points import fixed_points, parameter_values
from toymesa.analyse.certified.region import Region
from toymesa.analyse.report.around import basins_around
from toymesa.analyse.report.assessment import Assessment, Point
from toymesa.analyse.report.scans import Scan, nearby, scan
from toymesa.analyse.report.shared import effective_number, shares
from toymesa.analyse.report.trained import Training
from toymesa.analyse.report.training import training
from toymesa.analyse.stability import stability
from toymesa.arguments import scalar
from toymesa.errors import ArgumentError, DomainError, ModelError
from toymesa.solver.inputs import cells
from toymesa.symbolic.linear import Conditions, fixed_point_equations, stability_conditions
from toymesa.symbolic.model import Model
from toymesa.symbolic.patience import OutOfTime, within

Array = NDArray[np.float64]
_PREFERRED = ("diversity", "eps", "mu")  # diversity, ratio of rates, pressure: what the question is about
_CENSUS, _CONDITIONS, _RUN, _BASINS = 0.25, 0.1, 0.2, 0.15  # shares of the budget that these parts may take
_LEAST = 0.04  # share of the budget below which no scan is begun
_AROUND = 8.0  # half-width of the box around the start, in 1 + |start|, where one is needed and none was given


def assess(
    model: Model,
    *,
    params: Mapping[Any, float] | None = None,
    start: Mapping[Any, float] | None = None,
    box: Mapping[Any, Any] | None = None,
    vary: Any = None,
    perturbation: float = 1e-3,
    budget: float = 15.0,
) -> Assessment:
    """All that the laboratory finds out about a model, in one report.

    Parameters
    ----------
    params, start : name -> number, the model's defaults otherwise. box : state or share -> (low, high), where fixed points
        are looked for (see :func:`fixed_points`); where one is needed and none is given, 8 (1 + |start|) around the start.
    vary : a parameter or several, or parameter -> (low, high). Default: ``diversity``, ``eps`` and ``mu`` where the model has
        them, else every parameter. Default range: a tenth to ten times the value, -2 to 2 for a value of 0, within the
        domain.
    perturbation : how far, in units of 1 + |state|, the start is shifted along the mode that grows at the joint fixed point,
        for a second run that says how long joint optimization lasts.
    budget : seconds, shared by all parts; what is open when they are spent is said. Deriving the equations of a large model
        cannot be interrupted.

    Returns an :class:`Assessment`; ``print`` it, or see its ``to_dict`` and ``plot``. Joint optimization means, for a model
    with shares, the fixed point with the largest effective number of them; otherwise the fixed point in which the run from
    the start ends, or the one nearest to where it spends its time.
    Raises ArgumentError, DomainError or ModelError for unusable arguments.
    """
    if not isinstance(model, Model):
        raise ArgumentError(f"model must be a toymesa Model; got {type(model).__name__}")
    clock = _Clock(scalar("budget", budget, 0.0, low_open=True))
    values = parameter_values(model, params)
    ranges = _ranges(model, values, vary)
    first = _start(model, values, start)
    size = scalar("perturbation", perturbation, 0.0, low_open=True)
    if not model.autonomous:
        raise ModelError(f"model {model.name!r} depends on time t: it has no fixed points to assess")
    quiet, left = _without_noise(model)
    values = {n: values[n] for n in quiet.param_names}
    ranges = {n: r for n, r in ranges.items() if n in values}
    census, box, missing = _census(quiet, values, first, box, clock.share(_CENSUS))
    left += missing
    points, missing = _points(quiet, values, census)
    left += missing
    run = training(quiet, values, first, points, shift=size, seconds=clock.share(_RUN))
    left += run.left
    points, focus = _focus(quiet, values, points, first, run)
    conditions = None if focus is None else _conditions(quiet, values, points[focus], clock.share(_CONDITIONS))
    kind = "" if focus is None else points[focus].stability.kind
    found: list[Scan] = []
    for i, (name, ends) in enumerate(ranges.items()):
        if clock.left() < _LEAST * clock.budget:
            rest = list(ranges)[i:]
            left.append(f"{', '.join(rest)} not varied: the budget of {clock.budget:g} s was spent")
            break
        seconds = max(clock.left() - _BASINS * clock.budget, _LEAST * clock.budget) / (len(ranges) - i)
        try:
            found.append(scan(quiet, name, ends, values, [p.state for p in points], focus, kind, box, seconds))
        except (ModelError, DomainError) as error:
            left.append(f"{name} not varied: {error}")
    reached = None
    try:
        reached = basins_around(quiet, values, first, points, run, clock.share(_BASINS))
    except (ModelError, DomainError, ArgumentError) as error:
        left.append(f"basins: {error}")
    return Assessment(
        model=quiet, params=values, start=first, census=census, points=tuple(points), focus=focus, conditions=conditions,
        training=run, basins=reached, scans=tuple(found), left=tuple(left), seconds=clock.spent(), budget=clock.budget,
    )  # fmt: skip


class _Clock:
    def __init__(self, budget: float) -> None:
        self.budget, self._began = budget, time.monotonic()

    def spent(self) -> float:
        return time.monotonic() - self._began

    def left(self) -> float:
        return self.budget - self.spent()

    def share(self, part: float) -> float:
        """Seconds that a part may take: its share of the budget, at most what is left, and never nothing."""
        return max(min(part * self.budget, self.left()), 0.02 * self.budget)


# ---------------------------------------------------------------- arguments


def _ranges(model: Model, values: Mapping[str, float], vary: Any) -> dict[str, tuple[float, float]]:
    if vary is None:
        known = [n for n in _PREFERRED if n in values]
        return {n: nearby(model, n, values[n]) for n in known or list(values)}
    if isinstance(vary, str | sp.Symbol):
        vary = [vary]
    if not isinstance(vary, Mapping):
        try:
            vary = dict.fromkeys(vary)
        except TypeError:
            raise ArgumentError(f"vary must be parameters or parameter -> (low, high); got {vary!r}") from None
    out: dict[str, tuple[float, float]] = {}
    for key, ends in vary.items():
        name = model.param(key).name
        if ends is None:
            out[name] = nearby(model, name, values[name])
            continue
        low, high = (scalar(f"vary {name!r}", e) for e in _pair(name, ends))
        domain = model.params[model.param(name)].domain
        if not (low < high and low in domain and high in domain):
            raise DomainError(f"vary {name!r} must be (low, high) with low < high in {domain}; got {low:g} to {high:g}")
        out[name] = (low, high)
    return out


def _pair(name: str, ends: Any) -> tuple[Any, Any]:
    if isinstance(ends, str) or not hasattr(ends, "__len__") or len(ends) != 2:
        raise ArgumentError(f"vary {name!r} must be (low, high); got {ends!r}")
    return ends[0], ends[1]


def _start(model: Model, values: Mapping[str, float], start: Any) -> dict[str, float]:
    batch = cells(model, start, values, np.random.default_rng(0))
    if batch.dims:
        raise DomainError(f"start must be one number each here; {', '.join(batch.dims)} has several")
    if batch.bad[0]:
        raise DomainError("the start is not finite, or outside the domains of the states: give start")
    return dict(zip(model.state_names, batch.starts[0].tolist(), strict=True))


def _without_noise(model: Model) -> tuple[Model, list[str]]:
    """The flow without its noise, and the parameters that only the noise used."""
    if model.noise is None:
        return model, []
    parts: list[Any] = [*model.flow.values(), *model.start.values(), *model.observables.values()]
    parts += [*model.algebraic.values(), *model.requires.values()]
    used = set().union(*(e.free_symbols for e in parts))
    kept = {s: p for s, p in model.params.items() if s in used}
    bare = model.with_(noise=None, params=kept, closed_forms=(), invariants={}, potential=None, metric=None)
    return bare, ["noise: this is about the flow without it (see outcome probabilities and escape times)"]


# ---------------------------------------------------------------- fixed points


def _census(
    model: Model, values: Mapping[str, float], start: Mapping[str, float], box: Any, seconds: float
) -> tuple[Census | None, Any, list[str]]:
    """Every fixed point, and the box: one around the start where one is needed and none was given."""
    try:
        return fixed_points(model, box=box, params=values, time_limit=seconds), box, []
    except ModelError as error:
        return None, box, [f"fixed points were not searched for: {error}"]
    except DomainError:
        if box is not None:
            raise
    around: dict[str, tuple[float, float]] = {}
    charted = {s for chart in model.charts for s in chart.to_states}
    known = Region(model, None)
    for i, s in enumerate(model.states):
        if s in charted:
            continue
        low, high = float(known.lo[i]), float(known.hi[i])
        reach = _AROUND * (1.0 + abs(start[s.name]))
        around[s.name] = max(low, start[s.name] - reach), min(high, start[s.name] + reach)
    text = ", ".join(f"{n} in [{low:.4g}, {high:.4g}]" for n, (low, high) in around.items())
    try:
        found = fixed_points(model, box=around, params=values, time_limit=seconds)
    except (DomainError, ModelError) as error:
        return None, box, [f"fixed points were not searched for: {error}"]
    return found, around, [f"fixed points outside {text} (give box to look elsewhere)"]


def _points(model: Model, values: Mapping[str, float], census: Census | None) -> tuple[list[Point], list[str]]:
    out: list[Point] = []
    left: list[str] = []
    found = [(p.state, True) for p in census.points] if census else []
    found += [(c.through, c.certified) for c in census.continua] if census else []
    for state, certified in found:
        try:
            out.append(_point(model, values, state, certified=certified))
        except DomainError as error:  # on the edge of where the rates are differentiable
            where = ", ".join(f"{n} = {v:.4g}" for n, v in state.items())
            left.append(f"what the flow does near {where}: {error}")
    return out, left


def _point(model: Model, values: Mapping[str, float], state: Mapping[str, float], *, certified: bool) -> Point:
    near = stability(model, state, params=values)
    return Point(
        state=near.point,
        stability=near,
        shares={n: float(v) for n, v in shares(model, near.point, values).items()},
        n_eff=effective_number(model, near.point, values),
        certified=certified or near.certified,
    )


def _focus(
    model: Model, values: Mapping[str, float], points: list[Point], start: Mapping[str, float], run: Training
) -> tuple[list[Point], int | None]:
    """The points, with the one where the run ends if it was not among them; and the one that the answer is about."""
    if run.end is not None and run.point is None:
        try:  # on a line or surface of fixed points it is this one that counts, not the one that the search named
            points = [*points, _point(model, values, run.end, certified=False)]
            run.point = len(points) - 1
            run.ends_in = "line" if points[-1].stability.dimension else "rest"
        except DomainError:
            pass  # it rests where first order says nothing: the run alone is reported
    if not points:
        return points, None
    shared = [p.n_eff for p in points]
    if all(n is not None for n in shared):
        return points, int(np.argmax([n or 0.0 for n in shared]))
    if run.point is not None:
        return points, run.point
    x = np.array(list(start.values()))
    if run.course is not None:  # where a run that never rests spends its time
        x = np.array([float(run.course[n].values[-run.course.sizes["time"] // 2 :].mean()) for n in start])
    gaps = [np.linalg.norm((np.array(list(p.state.values())) - x) / (1.0 + np.abs(x))) for p in points]
    return points, int(np.argmin(gaps))


def _conditions(model: Model, values: Mapping[str, float], point: Point, seconds: float) -> Conditions | None:
    """Exact conditions on the parameters for the stability of the point, where it has a formula in them; or None."""
    if model.inner_run is not None or point.stability.dimension:
        return None
    began = time.monotonic()
    at = {s: sp.Rational(repr(float(v))) for s, v in values.items()}  # the decimal that it prints as
    try:
        with within(seconds / 2.0):
            for formula in _formulas(model, point):
                there = [complex(sp.N(e.subs({model.param(n): v for n, v in at.items()}))) for e in formula.values()]
                if np.allclose(there, list(point.state.values()), rtol=1e-8, atol=1e-10):
                    break
            else:
                return None
    except (OutOfTime, NotImplementedError, ValueError, TypeError, RecursionError):
        return None
    rest = max(seconds - (time.monotonic() - began), 0.02)
    try:
        found = stability_conditions(model, formula, time_limit=rest)
    except (ModelError, ArgumentError, DomainError):
        return None
    return found if found.conditions is not None else None


def _formulas(model: Model, point: Point) -> list[dict[sp.Symbol, sp.Expr]]:
    """The point as formulas in the parameters: the same numbers for all of them, or solutions of a rational flow."""
    equations = list(fixed_point_equations(model).values())
    plain = {s: sp.Rational(repr(round(float(point.state[s.name]), 12))) for s in model.states}
    if all(sp.simplify(e.subs(plain)) == 0 for e in equations):
        return [plain]
    if len(model.states) > 3 or not all(e.is_rational_function(*model.states) for e in equations):
        return []
    found = sp.solve(equations, list(model.states), dict=True)
    return [{s: f[s] for s in model.states} for f in found if len(f) == len(model.states)]
