"""``growth``: how small perturbations grow along a trajectory, and when they decide it."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import sympy as sp
import xarray as xr
from scipy.optimize import brentq

from toymesa.analyse.variational import Carrier
from toymesa.analyse.walk import Mark, Walk, checked_model, course_attributes, one_trajectory
from toymesa.arguments import Array, scalar
from toymesa.errors import ArgumentError, DomainError, did_you_mean, named_arguments
from toymesa.kernels.arrays import array_function
from toymesa.solver.options import controls, output_times
from toymesa.symbolic.model import TIME, Model


@named_arguments
def growth(
    model: Model,
    t: Any,
    *,
    start: Any = None,
    params: Any = None,
    perturbation: Mapping[Any, float] | None = None,
    threshold: Any = None,
    method: str = "auto",
    rtol: float = 1e-10,
    atol: Any = 1e-12,
    max_steps: int = 100_000,
    time_limit: float = 60.0,
) -> xr.Dataset:
    """How small perturbations grow along one trajectory, from variational equations generated from the model.

    Parameters
    ----------
    t : times as in :func:`toymesa.solve`, or the result of ``solve`` for one trajectory, whose times, start and parameters
        are then taken. start, params : as in ``solve``, a number each.
    perturbation : state (or coordinate of a simplex) -> size at time 0; the others are not perturbed. Its course is linear
        in it, so that any size may be given.
    threshold : with a perturbation {name: size}: the time at which that state's or observable's deviation first has this
        size; a number: the time at which the largest growth factor first reaches it.
    method, rtol, atol, max_steps : as in ``solve``; tolerances are relative to a perturbation of size 1, each column of
        which is orthogonalized again before the growth of two comes apart by more than e^12. time_limit : seconds; times
        that are not reached by then are NaN (``attrs["reached"]``).

    Returns a Dataset over ``time`` with the states and, over ``mode`` (largest first): ``log_growth`` (logarithms of the
    singular values of the propagator), ``exponent`` = log_growth / t (finite-time Lyapunov exponents, per unit of time);
    over ``state``: ``leading_start`` and ``leading``, unit vectors: what grows most until then, and what has become of it
    (lengths are Euclidean in the states that are not algebraic; those follow); ``trace_gap``: sum of log_growth minus the
    integral of the trace of the Jacobian, zero by Liouville's formula: a check. With a perturbation ``delta_<name>`` for
    every state and observable. With a threshold ``t_decide`` (NaN if it is not reached). Numerical; exact to first order in
    the perturbation.
    Raises SolveError where the trajectory fails, ModelError for models without symbolic Jacobian.
    """
    checked_model(model)
    times, start, params = _of_run(model, t, start, params)
    x, p = one_trajectory(model, start, params)
    _, how = controls(
        method=method, rtol=rtol, atol=atol, first_step=None, max_step=math.inf, max_steps=max_steps, steady=False,
        span=float(times[-1]), states=model.state_names,
    )  # fmt: skip
    carrier = Carrier(model, p, how)
    moved = None if perturbation is None else _direction(model, perturbation, x, p)[carrier.free]
    reach = _criterion(carrier, threshold, moved)
    deadline = time.monotonic() + scalar("time_limit", time_limit, 0.0, low_open=True, infinite=True)
    walk = Walk(carrier, x, deadline)
    begin = carrier.lift(walk.frame.state, 0.0)
    marks = [walk.to(float(s)) for s in times]
    data = _growth_data(carrier, times, marks, moved, begin)
    if reach is not None:
        data["t_decide"] = ((), _decided(walk, marks, reach), {"long_name": "time at which the threshold is reached"})
    done = [m.frame.time for m in marks if m is not None]
    data.attrs |= course_attributes(model, x, p) | {
        "reached": max(done, default=0.0),
        "rtol": how.rtol,
        "atol": np.asarray(atol).tolist(),
    }
    return data


# ---------------------------------------------------------------- what was asked


def _of_run(model: Model, t: Any, start: Any, params: Any) -> tuple[Array, Any, Any]:
    """Times, start and parameters, of a run where one was given."""
    if isinstance(t, xr.Dataset):
        if start is not None or params is not None:
            raise ArgumentError("start and params are those of the run: give one or the other")
        if t.attrs.get("fingerprint") != model.fingerprint:
            raise ArgumentError(f"the run is not one of model {model.name!r} (another fingerprint)")
        if tuple(t[model.state_names[0]].dims) != ("time",):
            raise DomainError(f"the run must be one trajectory over time; it has {list(t[model.state_names[0]].dims)}")
        known = json.loads(t.attrs["params"])
        t, start, params = t["time"].values, json.loads(t.attrs["start"]), known
    times = output_times(t, until=None, discrete=model.discrete)
    if times.min() < 0:
        raise DomainError(f"t must not be negative: growth runs forward; got {times.min():g}")
    if times[-1] == 0:
        raise DomainError("t must reach beyond 0")
    return times, start, params


def _direction(model: Model, given: Any, x: Array, p: Array) -> Array:
    """A perturbation of states, or of the coordinates of a chart, as one of the states."""
    if not isinstance(given, Mapping) or not given:
        raise ArgumentError(f"perturbation must be a mapping from state to size; got {given!r}")
    coordinates = {c.name: (c, chart) for chart in model.charts for c in chart.coordinates}
    out, values = np.zeros(x.size), dict(zip([*model.states, *model.params], [*x, *p], strict=True))
    for key, size in given.items():
        name = key if isinstance(key, str) else getattr(key, "name", repr(key))
        amount = scalar(f"perturbation of {name!r}", size)
        if name in {s.name for s in model.algebraic}:
            raise ArgumentError(f"perturbation: {name!r} is algebraic: it follows the other states")
        if name in model.state_names:
            out[model.state_names.index(name)] += amount
        elif name in coordinates:
            c, chart = coordinates[name]
            place = {q: e.xreplace(values) for q, e in chart.from_states.items()}
            for s, e in chart.to_states.items():
                out[model.states.index(s)] += amount * float(sp.diff(e, c).xreplace(place).evalf())
        else:
            raise ArgumentError(
                f"perturbation: no state {name!r}{did_you_mean(name, [*model.state_names, *coordinates])}"
            )
    for chart in model.charts:
        sizes = {c: float(dict(given).get(c.name, dict(given).get(c, 0.0))) for c in chart.coordinates}
        if chart.constraint is not None and any(sizes.values()):
            off = sum(float(sp.diff(chart.constraint, c)) * v for c, v in sizes.items())
            if abs(off) > 1e-9 * max(abs(v) for v in sizes.values()):
                raise DomainError(f"perturbation must keep {chart.constraint} = 0; it changes it by {off:g}")
    return out


_Criterion = Callable[[Mark], float]


def _criterion(carrier: Carrier, threshold: Any, moved: Array | None) -> _Criterion | None:
    """A function of a place that is positive once the threshold is reached."""
    model = carrier.model
    if threshold is None:
        return None
    if isinstance(threshold, Mapping):
        if len(threshold) != 1 or moved is None:
            raise ArgumentError("threshold must be {name: size} with a perturbation, or a number; one name")
        ((key, size),) = threshold.items()
        name = key if isinstance(key, str) else getattr(key, "name", repr(key))
        allowed = [*model.state_names, *model.observables]
        if name not in allowed:
            raise ArgumentError(f"threshold: no state or observable {name!r}{did_you_mean(name, allowed)}")
        level = scalar(f"threshold of {name!r}", size, 0.0, low_open=True)
        slope = _slopes(carrier, [name])
        return lambda m: abs(float(m.propagator.applied(moved, slope(m))[0])) - level
    factor = scalar("threshold", threshold, 1.0, low_open=True)
    return lambda m: float(m.propagator.decomposed()[0][0]) - math.log(factor)


def _slopes(carrier: Carrier, names: list[str]) -> Callable[[Mark], Array]:
    """Gradients of states and observables at a place, (name, state that is not algebraic)."""
    model = carrier.model
    exprs: dict[str, sp.Expr] = {s.name: s for s in model.states} | dict(model.observables)
    flat = [sp.diff(exprs[n], s) for n in names for s in model.states]
    function = array_function([*model.states, *model.params, TIME], flat)

    def slopes(mark: Mark) -> Array:
        values = function(*mark.frame.state, *carrier.params, mark.frame.time)
        full = np.array([float(v) for v in values]).reshape(len(names), -1)
        return np.asarray(full @ carrier.lift(mark.frame.state, mark.frame.time))

    return slopes


def _decided(walk: Walk, marks: list[Mark | None], reach: _Criterion) -> float:
    """The first time at which the criterion holds, between the times looked at."""
    before: Mark | None = None
    for mark in marks:
        if mark is None:
            break
        if reach(mark) >= 0.0:
            return mark.frame.time if before is None else _between(walk, before, mark, reach)
        before = mark
    return math.nan


def _between(walk: Walk, before: Mark, mark: Mark, reach: _Criterion) -> float:
    def at(time_: float) -> float:
        part = Walk(walk.carrier, before.frame.state, math.inf)
        part.frame, part.propagator = before.frame, before.propagator
        place = part.to(time_)
        return math.nan if place is None else reach(place)

    low, high = before.frame.time, mark.frame.time
    if walk.carrier.model.discrete:
        return next(s for s in np.arange(low + 1, high + 1) if at(float(s)) >= 0.0)
    return float(brentq(at, low, high, xtol=1e-12 * max(1.0, high), rtol=1e-13))


# ---------------------------------------------------------------- what is answered


def _growth_data(
    carrier: Carrier, times: Array, marks: list[Mark | None], moved: Array | None, begin: Array
) -> xr.Dataset:
    model = carrier.model
    n, modes, count = len(model.states), carrier.free.size, times.size
    logs, states, gap = np.full((count, modes), np.nan), np.full((count, n), np.nan), np.full(count, np.nan)
    first, last = np.full((count, n), np.nan), np.full((count, n), np.nan)
    names = [*model.state_names, *model.observables]
    deltas = np.full((count, len(names)), np.nan)
    slopes = _slopes(carrier, names) if moved is not None else None
    for i, mark in enumerate(marks):
        if mark is None:
            continue
        now = carrier.lift(mark.frame.state, mark.frame.time)
        logs[i], after, before = mark.propagator.decomposed()
        sign = 1.0 if before[np.argmax(np.abs(before[:, 0])), 0] > 0 else -1.0
        first[i], last[i], states[i] = sign * begin @ before[:, 0], sign * now @ after[:, 0], mark.frame.state
        gap[i] = logs[i].sum() - mark.frame.trace
        if slopes is not None and moved is not None:
            deltas[i] = mark.propagator.applied(moved, slopes(mark))
    with np.errstate(divide="ignore", invalid="ignore"):
        exponents = np.where(times[:, None] > 0, logs / times[:, None], np.nan)
    data: dict[str, Any] = {n: ("time", states[:, i]) for i, n in enumerate(model.state_names)}
    data |= {
        "log_growth": (("time", "mode"), logs, {"long_name": "logarithm of the growth factor"}),
        "exponent": (("time", "mode"), exponents, {"long_name": "finite-time Lyapunov exponent", "units": "1/time"}),
        "leading_start": (("time", "state"), first, {"long_name": "perturbation at the start that grows most"}),
        "leading": (("time", "state"), last, {"long_name": "what has become of it, as a unit vector"}),
        "trace_gap": ("time", gap, {"long_name": "sum of log_growth minus integral of the trace"}),
    }
    if moved is not None:
        data |= {f"delta_{n}": ("time", deltas[:, i], {"long_name": f"deviation of {n}"}) for i, n in enumerate(names)}
    return xr.Dataset(data, coords={"time": times, "state": list(model.state_names)})
