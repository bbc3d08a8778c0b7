"""What training from a start does: how long it stays joint, how long it takes, and what it ends in."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from toymesa.analyse.growth import growth
from toymesa.analyse.rates import rates_of
from toymesa.analyse.report.restless import STEPS, restless
from toymesa.analyse.report.shared import effective_number, shares, simplex
from toymesa.analyse.report.trained import Training
from toymesa.errors import ModelError, SolveError
from toymesa.solver.inputs import cells
from toymesa.solver.solve import solve
from toymesa.status import Status
from toymesa.symbolic.model import Model

Array = NDArray[np.float64]
_SAMPLES, _MARKS = 80, 60  # times a decade at which a run is looked at, and its growth in all
_LARGEST = 4  # states, with which the growth of perturbations is derived
_NEAR = 1e-3  # how close (in 1 + |state|) a run ends to the fixed point that it ends in
_SETTLED = 0.01  # of the largest distance from the end
_APART = 0.1  # of the final distance of two runs


def training(
    model: Model,
    params: Mapping[str, float],
    start: Mapping[str, float],
    points: Sequence[Any],
    *,
    shift: float,
    seconds: float,
) -> Training:
    """The run from the start, and one shifted along the mode that grows where it ends, or at the most joint point.

    points : fixed points, each with ``state``, ``stability`` and ``n_eff``. shift : in units of 1 + |state|.
    """
    deadline = time.monotonic() + seconds
    first = _run(model, params, start, points)
    _grown(model, params, first, deadline)
    move = _shift(model, start, points, first, shift)
    if not move or first.ends_in not in ("rest", "line") or time.monotonic() > deadline:
        return first
    try:
        moved = {n: start[n] + move.get(n, 0.0) for n in start}
        if cells(model, moved, params, np.random.default_rng(0)).bad[0]:
            return first
        first.shifted = _run(model, params, moved, points)
    finally:
        first.shift = move
    _compare(model, params, first, first.shifted)
    return first


def _run(model: Model, params: Mapping[str, float], start: Mapping[str, float], points: Sequence[Any]) -> Training:
    names = model.state_names
    run = solve(model, until="steady", params=params, start=start, on_fail="status", max_steps=STEPS)
    status = Status(int(run["status"].values))
    if status is Status.OK:
        end = {n: float(run[n]) for n in names}
        reached = float(run["t_steady"])
        span = reached if math.isfinite(reached) else _span(model, params, start, end)
        out = Training(start, "rest", status.label, end, time=span)
        out.point = _which(points, end)
        if out.point is None and any(p.stability.dimension for p in points):
            out.ends_in = "line"
        _course(model, params, out)
        return out
    if status is Status.BLOW_UP:
        return Training(start, "away", status.label, time=float(run["t_steady"]))
    if status in (Status.STEP_LIMIT, Status.NOT_STEADY):
        return restless(model, params, start, points, status)
    return Training(start, "open", status.label, time=float(run["t_steady"]))


def _which(points: Sequence[Any], end: Mapping[str, float]) -> int | None:
    """The isolated fixed point that a run ended at."""
    for i, p in enumerate(points):
        gap = max(abs(p.state[n] - v) / (1.0 + abs(v)) for n, v in end.items())
        if gap < _NEAR and not p.stability.dimension:
            return i
    return None


def _span(model: Model, params: Mapping[str, float], start: Mapping[str, float], end: Mapping[str, float]) -> float:
    """A time by which the run has come within a millionth of its end, where the closed form says only that it will."""
    times = np.append(0.0, 2.0 ** np.arange(0 if model.discrete else -10, 50))
    run = solve(model, times, params=params, start=start, on_fail="status")
    gap = _distance(run, model.state_names, end)
    far = np.flatnonzero(~(gap < 1e-6 * max(float(np.nanmax(gap)), 1e-300)))
    return float(times[min(int(far[-1]) + 1, times.size - 1)])


def _distance(run: xr.Dataset, names: Sequence[str], end: Mapping[str, float]) -> Array:
    scale = np.array([1.0 + abs(end[n]) for n in names])
    gaps = np.array([run[n].values - end[n] for n in names]) / scale[:, None]
    return np.linalg.norm(gaps, axis=0)


def _times(model: Model, params: Mapping[str, float], start: Mapping[str, float], span: float) -> Array:
    """From the fastest time scale at the start on, so that what happens early is seen too; of a map whole steps."""
    if model.discrete:
        return np.unique(np.append(0.0, np.round(np.geomspace(1.0, max(math.ceil(span), 1), 8 * _SAMPLES))))
    matrix = rates_of(model).linearization(np.array(list(start.values())), np.array(list(params.values())))
    fastest = float(np.linalg.norm(matrix, 2)) if np.isfinite(matrix).all() else 0.0
    first = min(1e-4 * span, 0.01 / fastest if fastest > 0 else math.inf)
    first = max(first, 1e-12 * span)
    count = int(_SAMPLES * math.log10(span / first))
    return np.append(0.0, np.geomspace(first, span, max(count, 2)))


def _course(model: Model, params: Mapping[str, float], out: Training) -> None:
    """Time to settle, and the effective number of shares on the way."""
    if out.end is None or not out.time > 0:
        out.settle = 0.0
        return
    times = _times(model, params, out.start, out.time)
    run = solve(model, times, params=params, start=out.start, on_fail="status")
    out.course = run
    gap = _distance(run, model.state_names, out.end)
    if np.nanmax(gap) == 0:
        out.settle = 0.0
    far = np.flatnonzero(gap > _SETTLED * np.nanmax(gap))
    if far.size and far[-1] + 1 < times.size:
        i = int(far[-1])
        out.settle = _crossing(times, gap, i, _SETTLED * float(np.nanmax(gap)))
    count = effective_number(model, {n: run[n].values for n in model.state_names}, params)
    if count is None:
        return
    out.shares = {n: float(v) for n, v in shares(model, out.end, params).items()}
    least = int(np.nanargmin(count))
    out.n_eff = {"start": float(count[0]), "end": float(count[-1]), "least": float(count[least])}
    out.n_eff = dict(out.n_eff) | {"least_at": float(times[least])}
    half = (count[0] + count[-1]) / 2.0
    passed = np.flatnonzero((count[:-1] - half) * (count[1:] - half) <= 0)
    if abs(count[0] - count[-1]) > 0.01 and passed.size:
        out.n_eff = dict(out.n_eff) | {"half_at": _crossing(times, count, int(passed[0]), half)}


def _crossing(times: Array, values: Array, i: int, level: float) -> float:
    """Where the values pass a level between i and i + 1, linearly."""
    a, b = float(values[i]), float(values[i + 1])
    share = 0.0 if a == b else (level - a) / (b - a)
    return float(times[i] + share * (times[i + 1] - times[i]))


def _grown(model: Model, params: Mapping[str, float], out: Training, deadline: float) -> None:
    """The most that a small perturbation of the start grows on the way."""
    end, rest = out.settle or 0.0, deadline - time.monotonic()
    flow = not model.discrete and model.inner_run is None and len(model.states) <= _LARGEST
    if out.end is None or not flow or not end > 0 or rest <= 0:
        return
    times = np.append(0.0, np.geomspace(1e-3 * end, end, _MARKS))
    try:
        grown = growth(model, times, start=out.start, params=params, time_limit=rest)
    except (SolveError, ModelError):
        return  # nothing is said then
    logs = grown["log_growth"].values[:, 0]
    if not np.isfinite(logs).all():
        out.left.append("growth of small changes of the start: the time for it was spent")
    else:
        i = int(np.argmax(logs))
        out.growth, out.growth_at = float(np.exp(logs[i])), float(times[i])


# ---------------------------------------------------------------- the run a little off


def _shift(
    model: Model, start: Mapping[str, float], points: Sequence[Any], run: Training, size: float
) -> dict[str, float]:
    """Along the mode that grows where the run ends; of a model with shares also where most take part, if that grows."""
    growing = [p for p in points if p.stability.meaning in ("saddle", "spiral")]
    if run.point is not None and points[run.point] in growing:
        mode = points[run.point].stability.mode
    elif growing and simplex(model) is not None:
        mode = max(growing, key=lambda p: p.n_eff or 0.0).stability.mode
    else:
        return {}
    return {n: size * v * (1.0 + abs(start[n])) for n, v in mode.items() if abs(v) > 1e-12}


def _compare(model: Model, params: Mapping[str, float], first: Training, second: Training) -> None:
    """When the two runs come apart, and the most that their distance grew."""
    if first.ends_in not in ("rest", "line") or second.ends_in not in ("rest", "line"):
        return
    span = max(first.time, second.time)
    if not span > 0:
        return
    times = _times(model, params, first.start, span)
    names = model.state_names
    runs = [solve(model, times, params=params, start=r.start, on_fail="status") for r in (first, second)]
    gap = np.linalg.norm([runs[0][n].values - runs[1][n].values for n in names], axis=0)
    if not np.isfinite(gap).all() or gap[0] == 0:
        return
    first.amplified = float(gap.max() / gap[0])
    apart = gap[-1] > 10.0 * gap[0] and gap[-1] > _NEAR
    passed = np.flatnonzero((gap[:-1] < _APART * gap[-1]) & (gap[1:] >= _APART * gap[-1]))
    if apart and passed.size:
        first.leave = _crossing(times, gap, int(passed[0]), _APART * float(gap[-1]))
