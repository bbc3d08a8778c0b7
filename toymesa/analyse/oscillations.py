"""Trajectories that never come to rest, gathered into the cycles that they have settled on."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from toymesa.analyse.outcomes import UNRESOLVED, End
from toymesa.analyse.recurrence import Orbit, attracts, closed_orbit
from toymesa.arguments import Array
from toymesa.status import Status
from toymesa.symbolic.model import Model

Labels = NDArray[np.int64]
RESTLESS = (Status.STEP_LIMIT, Status.NOT_STEADY)
_ON = 1e-2  # distance from a cycle, of its width, of what has settled on it
_SHARE = 0.25  # of the time that a trajectory took, in which its cycle must repeat
_TRIED = 12  # trajectories that are looked at closely, for each set of parameters
_STEPS = 100_000


@dataclass(frozen=True)
class Cycles:
    """Attracting cycles. orbits, params : one each, and the parameters that it is of; place : position of its name."""

    model: Model
    names: tuple[str, ...]
    orbits: tuple[Orbit, ...]
    params: tuple[Array, ...]
    place: tuple[int, ...]

    def label(self, end: End) -> Labels:
        """The name of the cycle that each end is on, -1 where it is on none."""
        out = np.full(end.status.size, UNRESOLVED, dtype=np.int64)
        rows = restless_rows(end)
        for orbit, params, place in zip(self.orbits, self.params, self.place, strict=True):
            same = rows[(_params(self.model, end, rows) == params).all(axis=1)]
            out[same[orbit.distance(end.reached[same]) <= _ON]] = place
        return out

    def of(self, place: int) -> list[Orbit]:
        """The orbits behind a name: one, or one a set of parameters."""
        return [o for o, p in zip(self.orbits, self.place, strict=True) if p == place]


def restless_rows(end: End) -> Labels:
    """Trajectories that ended in motion, their budget of steps or time spent."""
    return np.flatnonzero(np.isin(end.status, RESTLESS) & np.isfinite(end.reached).all(axis=1))


def cycles_of(model: Model, end: End, deadline: float) -> Cycles:
    """The attracting cycles among the ends: one trajectory after another that is on none yet, until the deadline."""
    orbits: list[Orbit] = []
    params: list[Array] = []
    rows = restless_rows(end)
    given = _params(model, end, rows)
    sets = np.unique(given, axis=0) if rows.size else given
    for one in sets:
        left = rows[(given == one).all(axis=1)]
        named = dict(zip(model.param_names, one.tolist(), strict=True))
        for _ in range(_TRIED):
            if not left.size or time.monotonic() > deadline:
                break
            first, left = left[0], left[1:]
            state = dict(zip(model.state_names, end.reached[first].tolist(), strict=True))
            span = _SHARE * float(end.values["t"][first])
            orbit = closed_orbit(model, named, state, span, _STEPS) if span > 0 else None
            if orbit is None or not attracts(model, named, orbit, span, _STEPS):
                continue
            orbits.append(orbit)
            params.append(one)
            left = left[orbit.distance(end.reached[left]) > _ON]
    names: list[str] = []
    place: list[int] = []
    for orbit in orbits:
        word = "orbit" if model.discrete else "cycle"
        name = word if len(sets) > 1 else f"{word} of period {orbit.period:.4g}"
        if len(sets) == 1 and name in names:
            name = f"{name} ({names.count(name) + 1})"
        if name not in names:
            names.append(name)
        place.append(names.index(name))
    return Cycles(model, tuple(names), tuple(orbits), tuple(params), tuple(place))


def _params(model: Model, end: End, rows: Labels) -> Array:
    return np.array([end.values[n][rows] for n in model.param_names]).reshape(len(model.param_names), rows.size).T
