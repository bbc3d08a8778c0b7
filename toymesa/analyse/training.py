"""What training from a start does: how long it stays joint, how long it takes, and what it ends in."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from toymesa.analyse.growth import growth
from toymesa.analyse.rates import rates_of
from toymesa.analyse.shared import effective_number, shares, simplex
from toymesa.errors import ModelError, SolveError
from toymesa.solver.inputs import cells
from toymesa.solver.solve import solve
from toymesa.status import Status
from toymesa.symbolic.model import Model

Array = NDArray[np.float64]
_STEPS = 20_000  # of one run
_SAMPLES, _MARKS = 80, 60  # times a decade at which a run is looked at, and its growth in all
_LARGEST = 4  # states, with which the growth of perturbations is derived
_NEAR = 1e-3  # how close (in 1 + |state|) a run ends to the fixed point that it ends in
_SETTLED = 0.01  # of the largest distance from the end
_APART = 0.1  # of the final distance of two runs
_TURNS = 40.0  # periods of the growing pair within which a cycle must be reached
_CLOSED = 1e-3  # relative mismatch after a period below which an orbit is a cycle
_MAP_STEPS, _MOST_PERIOD = 20_000, 64
_LONG = 1e3  # a run that never rests, in the longest time scale of the fixed points


@dataclass
class Training:
    """One run from the start, and a second from a start a little off it.

    start, end : state -> value; end is None where the run does not rest. ends_in : "rest" (at a fixed point), "line" (on a
    line or surface of them), "cycle", "away" (grows beyond every bound), "wandering" (neither rests nor repeats), "open"
    (failed, or the time was spent). point : number of the fixed point. settle : time from which it stays within 1 % of
    its largest distance from the end. period, low, high : of a cycle. status : of the solver.
    n_eff : effective number of shares as {"start", "end", "least", "least_at", "half_at"}, half_at the time at which half of
    the way from start to end is made; empty for a model without shares. shares : at the end.
    shifted : the second run; shift : state -> by how much. leave : time at which the two are a tenth of their final distance
    apart (None where they end together); amplified : the most that the distance between them grew, as a factor.
    growth, growth_at : the most that any small perturbation of the start grows until the run settles (lengths in the
    states, from the variational equations), and when; None for more than 4 states, whose derivatives may take long.
    left : what there was no time for.
    """

    start: Mapping[str, float]
    ends_in: str
    status: str
    end: Mapping[str, float] | None = None
    point: int | None = None
    time: float = math.nan
    settle: float | None = None
    period: float | None = None
    low: Mapping[str, float] = field(default_factory=dict)
    high: Mapping[str, float] = field(default_factory=dict)
    n_eff: Mapping[str, float] = field(default_factory=dict)
    shares: Mapping[str, float] = field(default_factory=dict)
    course: xr.Dataset | None = None
    shifted: Training | None = None
    shift: Mapping[str, float] = field(default_factory=dict)
    leave: float | None = None
    amplified: float | None = None
    growth: float | None = None
    growth_at: float | None = None
    left: list[str] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """JSON data; what is not known or not finite is null."""
        return {
            "start": dict(self.start),
            "ends_in": self.ends_in,
            "status": self.status,
            "end": None if self.end is None else dict(self.end),
            "point": self.point,
            "time": _plain(self.time),
            "settle": self.settle,
            "period": self.period,
            "low": dict(self.low),
            "high": dict(self.high),
            "n_eff": dict(self.n_eff),
            "shares": dict(self.shares),
            "shift": dict(self.shift),
            "leave": self.leave,
            "amplified": self.amplified,
            "growth": self.growth,
            "growth_at": self.growth_at,
            "shifted": None if self.shifted is None else self.shifted.to_dict(),
        }


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
    run = solve(model, until="steady", params=params, start=start, on_fail="status", max_steps=_STEPS)
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
        return _restless(model, params, start, points, status)
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
    times = np.append(0.0, 2.0 ** np.arange(-10, 50))
    run = solve(model, times, params=params, start=start, on_fail="status")
    gap = _distance(run, model.state_names, end)
    far = np.flatnonzero(~(gap < 1e-6 * max(float(np.nanmax(gap)), 1e-300)))
    return float(times[min(int(far[-1]) + 1, times.size - 1)])


def _distance(run: xr.Dataset, names: Sequence[str], end: Mapping[str, float]) -> Array:
    scale = np.array([1.0 + abs(end[n]) for n in names])
    gaps = np.array([run[n].values - end[n] for n in names]) / scale[:, None]
    return np.linalg.norm(gaps, axis=0)


def _times(model: Model, params: Mapping[str, float], start: Mapping[str, float], span: float) -> Array:
    """From the fastest time scale at the start on, so that what happens early is seen too."""
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


# ---------------------------------------------------------------- runs that never rest


def _restless(
    model: Model, params: Mapping[str, float], start: Mapping[str, float], points: Sequence[Any], status: Status
) -> Training:
    """A cycle, if the orbit closes; otherwise it wanders."""
    if model.discrete:
        return _orbit(model, params, start, status)
    span = _long(points)
    times = np.linspace(0.0, span, 4001)
    run = solve(model, times, params=params, start=start, on_fail="status", max_steps=10 * _STEPS)
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
    seen = solve(model, span / 4.0, params=params, start=last, events=event, on_fail="status", max_steps=10 * _STEPS)
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


def _plain(x: float) -> float | None:
    return x if math.isfinite(x) else None
