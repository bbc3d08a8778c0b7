"""Orbits that close: the cycle or periodic orbit that a trajectory without rest has settled on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from scipy.spatial import cKDTree

from toymesa.arguments import Array
from toymesa.solver.solve import solve
from toymesa.status import Status
from toymesa.symbolic.model import Model

_CLOSED = 1e-3  # mismatch after a period, of the orbit's width, below which it is closed
_TURNS = 8  # passages of the section within one period, at most
_POINTS = 2001  # of an orbit
_STEPS, _MOST_PERIOD, _SAME = 256, 64, 1e-6  # of a map
_LOOKS = 24  # along one turn
_PUSH, _PULLED = 1e-2, 0.5  # size of a push off the orbit, of its width, and what must be left of it


@dataclass(frozen=True)
class Orbit:
    """One period: states (points, n), evenly over it and closed for a flow, one a step for a map."""

    period: float
    states: Array
    discrete: bool

    @property
    def width(self) -> Array:
        """The extent of the orbit in each state."""
        return np.asarray(np.ptp(self.states, axis=0))

    def distance(self, x: Array) -> Array:
        """How far states (rows, n) are from the orbit, of its largest extent in each state (floor 1e-9 (1 + |x|))."""
        scale = self.width.max() + 1e-9 * (1.0 + np.abs(self.states).max())
        points, x = self.states / scale, np.asarray(x, dtype=np.float64).reshape(-1, self.states.shape[1]) / scale
        if not len(x):
            return np.zeros(0)
        near, index = cKDTree(points).query(x)
        if self.discrete:
            return np.asarray(near)
        out = np.asarray(near, dtype=np.float64)
        for begin in (np.maximum(index - 1, 0), np.minimum(index, len(points) - 2)):  # the pieces on both sides of it
            step = points[begin + 1] - points[begin]
            away = x - points[begin]
            share = np.clip((away * step).sum(axis=1) / np.maximum((step**2).sum(axis=1), 1e-300), 0.0, 1.0)
            out = np.minimum(out, np.linalg.norm(away - share[:, None] * step, axis=1))
        return out


def closed_orbit(
    model: Model, params: Mapping[str, float], state: Mapping[str, float], span: float, max_steps: int
) -> Orbit | None:
    """The orbit through a state, if it closes within ``span`` (many periods of it); None where it does not.

    Numerical: the passages of a section at mid-height of the state that varies most repeat to 1e-3 of the orbit's width.
    """
    if model.discrete:
        return _periodic(model, params, state)
    names = model.state_names

    def from_(begin: Mapping[str, float], times: Any, events: Any = None) -> xr.Dataset:
        return solve(model, times, params=params, start=begin, events=events, on_fail="status", max_steps=max_steps)

    run = from_(state, np.linspace(0.0, span, 2 * _POINTS))
    if Status(int(run["status"].values)) is not Status.OK:
        return None
    late = np.array([run[n].values[_POINTS:] for n in names])
    width = np.ptp(late, axis=1)
    i = int(np.argmax(width / (1.0 + np.abs(late).max(axis=1))))
    if width[i] <= 1e-6 * (1.0 + np.abs(late[i]).max()):
        return None  # at rest
    level = float((late[i].min() + late[i].max()) / 2.0)
    last = dict(zip(names, late[:, -1].tolist(), strict=True))
    event: dict[str, Any] = {"section": (model.state(names[i]) - level, {"direction": 1})}
    seen = from_(last, span / 2.0, event)
    at, states = seen["event_section"].values, seen["event_section_state"].values
    at, states = at[np.isfinite(at)], states[np.isfinite(at)]
    for turns in range(1, min(_TURNS, (len(at) - 1) // 2) + 1):
        back = states[-1 - 2 * turns :]
        if (np.abs(back[turns:] - back[:-turns]).max(axis=0) <= _CLOSED * (width + 1e-12)).all():
            period = float(at[-1] - at[-1 - turns])
            begin = dict(zip(names, states[-1].tolist(), strict=True))
            once = from_(begin, np.linspace(0.0, period, _POINTS))
            return Orbit(period, np.array([once[n].values for n in names]).T, discrete=False)
    return None


def _periodic(model: Model, params: Mapping[str, float], state: Mapping[str, float]) -> Orbit | None:
    run = solve(model, _STEPS, params=params, start=state, on_fail="status")
    late = np.array([run[n].values[-2 * _MOST_PERIOD :] for n in model.state_names])
    if not np.isfinite(late).all():
        return None
    for period in range(1, _MOST_PERIOD + 1):
        if (np.abs(late[:, period:] - late[:, :-period]).max(axis=1) <= _SAME * (1.0 + np.abs(late).max(axis=1))).all():
            return Orbit(float(period), late[:, -period:].T, discrete=True)
    return None


def attracts(model: Model, params: Mapping[str, float], orbit: Orbit, span: float, max_steps: int) -> bool:
    """Whether pushes off the orbit (to both sides, in every state) die out within ``span``: round a centre none does.

    What is conserved is felt too: a cycle on a level set that a push leaves attracts nothing off it, and is told from an
    attractor by that.
    """
    names, n = model.state_names, len(model.states)
    push = _PUSH * np.maximum(orbit.width.max(), 1e-9) * np.vstack([np.eye(n), -np.eye(n)])
    begin = orbit.states[0] + push
    allowed = [model.domains[s] for s in model.states]
    begin = begin[[all(v in d for v, d in zip(row.tolist(), allowed, strict=True)) for row in begin]]
    if not len(begin):
        return False
    linked = {name: xr.DataArray(begin[:, i], dims="push") for i, name in enumerate(names)}
    # neighbouring orbits come closer and part again along one turn: what counts is the farthest of it
    turn = np.arange(orbit.period) if model.discrete else np.linspace(0.0, orbit.period, _LOOKS, endpoint=False)
    last_turn = max(np.ceil(span), 2 * orbit.period) if model.discrete else max(span - orbit.period, 2 * orbit.period)
    times = np.concatenate([turn, last_turn + turn])
    run = solve(model, times, params=params, start=linked, on_fail="status", max_steps=max_steps)
    states = np.stack([run[name].values for name in names], axis=-1)
    if not np.isfinite(states).all():
        return False
    far = orbit.distance(states.reshape(-1, n)).reshape(states.shape[:2])
    before, after = far[:, : turn.size].max(axis=1), far[:, turn.size :].max(axis=1)
    pushed = before > 0.1 * _PUSH  # a push along the orbit moves nothing off it
    return bool((after[pushed] <= _PULLED * before[pushed]).all())
