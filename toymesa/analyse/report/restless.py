"""Runs that never rest: cycles and periodic orbits, or wandering."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from toymesa.analyse.recurrence import Orbit, closed_orbit
from toymesa.analyse.report.trained import Training
from toymesa.solver.solve import solve
from toymesa.status import Status
from toymesa.symbolic.model import Model

STEPS = 20_000  # of one run
_TURNS = 40.0  # periods of the growing pair within which a cycle must be reached
_MAP_STEPS = 20_000
_LONG = 1e3  # a run that never rests, in the longest time scale of the fixed points


def restless(
    model: Model, params: Mapping[str, float], start: Mapping[str, float], points: Sequence[Any], status: Status
) -> Training:
    """A cycle, if the orbit closes; otherwise it wanders."""
    if model.discrete:
        return _orbit(model, params, start, status)
    span = _long(points)
    times = np.linspace(0.0, span, 4001)
    run = solve(model, times, params=params, start=start, on_fail="status", max_steps=10 * STEPS)
    ended = Status(int(run["status"].values))
    if ended is not Status.OK:
        what = "away" if ended is Status.BLOW_UP else "open"
        return Training(start, what, ended.label, time=span)
    out = Training(start, "wandering", status.label, time=span, course=run)
    late = np.array([run[n].values[2000:] for n in model.state_names])
    last = dict(zip(model.state_names, late[:, -1].tolist(), strict=True))
    orbit = closed_orbit(model, params, last, span / 2.0, 10 * STEPS)
    if orbit is None:
        return out
    _round(model, out, orbit)
    i = int(np.argmax(orbit.width / (1.0 + np.abs(orbit.states).max(axis=0))))
    name, width = model.state_names[i], float(np.ptp(late[i]))
    outside = (late[i] < out.low[name] - 0.01 * width) | (late[i] > out.high[name] + 0.01 * width)
    past = np.flatnonzero(run[name].values >= out.high[name] - 0.01 * width)
    out.settle = None if outside.any() or not past.size else float(times[past[0]])
    return out


def _round(model: Model, out: Training, orbit: Orbit) -> None:
    out.ends_in, out.period = "cycle", orbit.period
    out.low = dict(zip(model.state_names, orbit.states.min(axis=0).tolist(), strict=True))
    out.high = dict(zip(model.state_names, orbit.states.max(axis=0).tolist(), strict=True))


def _orbit(model: Model, params: Mapping[str, float], start: Mapping[str, float], status: Status) -> Training:
    """A map that never rests: a periodic orbit if the last steps repeat, otherwise it wanders."""
    run = solve(model, _MAP_STEPS, params=params, start=start, on_fail="status")
    ended = Status(int(run["status"].values))
    if ended is not Status.OK:
        return Training(start, "away" if ended is Status.BLOW_UP else "open", ended.label, time=_MAP_STEPS)
    out = Training(start, "wandering", status.label, time=_MAP_STEPS, course=run)
    orbit = closed_orbit(model, params, {n: float(run[n].values[-1]) for n in model.state_names}, 1.0, STEPS)
    if orbit is not None and orbit.period > 1:
        _round(model, out, orbit)
    return out


def _long(points: Sequence[Any]) -> float:
    """A time in which a growing pair has turned often enough to reach its cycle."""
    values = [v for p in points for v in p.stability.eigenvalues]
    turning = [v for v in values if v.imag > 0 and v.real > 0]
    if turning:
        return max(max(_TURNS * 2.0 * math.pi / v.imag, _TURNS / v.real) for v in turning)
    rates = [abs(v) for v in values if abs(v) > 1e-12]
    return _LONG / max(rates) if rates else _LONG
