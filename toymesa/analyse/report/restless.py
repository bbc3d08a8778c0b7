"""Runs that never rest: cycles and periodic orbits, or wandering."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from toymesa.analyse.report.trained import Training
from toymesa.solver.solve import solve
from toymesa.status import Status
from toymesa.symbolic.model import Model

STEPS = 20_000  # of one run
_TURNS = 40.0  # periods of the growing pair within which a cycle must be reached
_CLOSED = 1e-3  # relative mismatch after a period below which an orbit is a cycle
_MAP_STEPS, _MOST_PERIOD = 20_000, 64
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
    i = int(np.argmax(np.ptp(late, axis=1) / (1.0 + np.abs(late).max(axis=1))))
    name, level = model.state_names[i], float((late[i].min() + late[i].max()) / 2.0)
    last = dict(zip(model.state_names, late[:, -1].tolist(), strict=True))
    event = {"section": (model.state(name) - level, {"direction": 1})}
    seen = solve(model, span / 4.0, params=params, start=last, events=event, on_fail="status", max_steps=10 * STEPS)
    at, states = seen["event_section"].values, seen["event_section_state"].values
    if np.isfinite(at).sum() < 3:
        return out
    at, states = at[np.isfinite(at)], states[np.isfinite(at)]
    width = np.ptp(late, axis=1) + 1e-12
    if (np.abs(states[-1] - states[-2]) <= _CLOSED * width).all():
        out.ends_in, out.period = "cycle", float(at[-1] - at[-2])
        once = solve(model, np.linspace(0, out.period, 801), params=params, start=last, on_fail="status")
        out.low = {n: float(once[n].min()) for n in model.state_names}
        out.high = {n: float(once[n].max()) for n in model.state_names}
        outside = (late[i] < out.low[name] - 0.01 * width[i]) | (late[i] > out.high[name] + 0.01 * width[i])
        early = run[name].values
        past = np.flatnonzero(early >= out.high[name] - 0.01 * width[i])
        out.settle = None if outside.any() or not past.size else float(times[past[0]])
    return out


def _orbit(model: Model, params: Mapping[str, float], start: Mapping[str, float], status: Status) -> Training:
    """A map that never rests: a periodic orbit if the last steps repeat, otherwise it wanders."""
    run = solve(model, _MAP_STEPS, params=params, start=start, on_fail="status")
    ended = Status(int(run["status"].values))
    if ended is not Status.OK:
        return Training(start, "away" if ended is Status.BLOW_UP else "open", ended.label, time=_MAP_STEPS)
    late = np.array([run[n].values[-2 * _MOST_PERIOD :] for n in model.state_names])
    out = Training(start, "wandering", status.label, time=_MAP_STEPS, course=run)
    for period in range(2, _MOST_PERIOD + 1):
        if (np.abs(late[:, period:] - late[:, :-period]).max(axis=1) <= 1e-6 * (1.0 + np.abs(late).max(axis=1))).all():
            out.ends_in, out.period = "cycle", float(period)
            out.low = dict(zip(model.state_names, late.min(axis=1).tolist(), strict=True))
            out.high = dict(zip(model.state_names, late.max(axis=1).tolist(), strict=True))
            break
    return out


def _long(points: Sequence[Any]) -> float:
    """A time in which a growing pair has turned often enough to reach its cycle."""
    values = [v for p in points for v in p.stability.eigenvalues]
    turning = [v for v in values if v.imag > 0 and v.real > 0]
    if turning:
        return max(max(_TURNS * 2.0 * math.pi / v.imag, _TURNS / v.real) for v in turning)
    rates = [abs(v) for v in values if abs(v) > 1e-12]
    return _LONG / max(rates) if rates else _LONG
