"""The arguments of ``follow``, checked once: which parameters, over which ranges, from where, for how long."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toymesa.analyse.certified.region import Region
from toymesa.analyse.continuation.arcs import Steps
from toymesa.arguments import numbers, scalar, whole
from toymesa.errors import ArgumentError, DomainError, ModelError
from toymesa.solver.inputs import cells
from toymesa.symbolic.model import Domain, Model

Array = NDArray[np.float64]
_HALF_WIDTH = 8.0  # of the box around the model's start, in units of 1 + |start|
_FAR = 1e6  # how many widths of the box away a branch is given up where no box was given
RESERVED = frozenset(
    {
        "point",
        "branch",
        "stable",
        "unstable",
        "arclength",
        "special",
        "cycle",
        "mode",
        "state",
        "curve",
        "kind",
    }
)


@dataclass(frozen=True)
class Asked:
    """What was asked for, in numbers. names, low, high: of the free parameters; box, inside: (states, 2)."""

    model: Model
    names: tuple[str, ...]
    free: tuple[int, ...]
    low: Array
    high: Array
    values: Array
    start: Array
    guesses: Array | None
    box: Array
    inside: Array
    steps: Steps
    branches: int
    began: float

    def fixed(self, name: str, value: float) -> Array:
        """All parameters with one of them at another value."""
        out = self.values.copy()
        out[list(self.model.param_names).index(name)] = value
        return out


def asked(
    model: Model,
    free: Sequence[tuple[str, Any]],
    params: Any,
    start: Any,
    box: Any,
    seconds: object,
    points: object,
    branches: object,
) -> Asked:
    """Check everything; ``free`` are pairs of parameter name and range."""
    if not isinstance(model, Model):
        raise ArgumentError(f"model must be a toymesa Model; got {type(model).__name__}")
    if model.discrete and len(free) > 1:
        raise ModelError(f"model {model.name!r} is a map: follow traces curves in two parameters for flows only")
    if not model.autonomous:
        raise ModelError(f"model {model.name!r} depends on time t: it has no fixed points to follow")
    names = tuple(model.param(n).name for n, _ in free)
    if len(set(names)) < len(names):
        raise ArgumentError(f"the second parameter must be another one than {names[0]!r}")
    if clash := sorted(RESERVED & {*model.state_names, *names, *model.observables}):
        raise ModelError(f"model {model.name!r} calls something {clash[0]!r}: that name is used in the result")
    ends = [_range(model, n, r) for n, (_, r) in zip(names, free, strict=True)]
    given = dict(params) if isinstance(params, Mapping) else params
    for key in list(given or {}) if isinstance(given, dict) else []:
        if getattr(key, "name", key) in names:
            raise ArgumentError(f"params gives {getattr(key, 'name', key)!r}, which is followed: give its range alone")
    limit = scalar("seconds", seconds, 0.0, low_open=True, infinite=True)
    began = time.monotonic()
    values, first, guesses = _starts(model, given, start)
    search, inside = _box(model, box, first)
    return Asked(
        model=model,
        names=names,
        free=tuple(list(model.param_names).index(n) for n in names),
        low=np.array([e[0] for e in ends]),
        high=np.array([e[1] for e in ends]),
        values=values,
        start=first,
        guesses=guesses,
        box=search,
        inside=inside,
        steps=Steps(points=whole("max_points", points, 1), deadline=began + limit),
        branches=whole("max_branches", branches, 1),
        began=began,
    )


def _range(model: Model, name: str, given: Any) -> tuple[float, float]:
    values = numbers(f"the range of {name!r}", given)
    if values.shape != (2,):
        raise DomainError(f"the range of {name!r} must be two numbers, low and high; got {given!r}")
    low, high = float(values[0]), float(values[1])
    domain = model.params[model.param(name)].domain
    for end in (low, high):
        if end not in domain:
            raise DomainError(f"the range of {name!r} must lie in {domain}; got {end:g}")
    if low >= high:
        raise DomainError(f"the range of {name!r} must have low < high; got {low:g} to {high:g}")
    return low, high


def _starts(model: Model, params: Any, start: Any) -> tuple[Array, Array, Array | None]:
    """Parameter values, the model's own start, and the guesses that were given (k, n), None without any."""
    plain = cells(model, None, params, np.random.default_rng(0))
    if plain.dims:
        raise DomainError(f"params of follow must be single numbers; got a list for {plain.dims[0]!r}")
    values, first = plain.params[0], plain.starts[0]
    if plain.bad[0]:
        raise DomainError("the model's start is not finite at these parameters: give start")
    if start is None:
        return values, first, None
    several = [start] if isinstance(start, Mapping) else start
    if isinstance(several, str) or not isinstance(several, Sequence) or not len(several):
        raise ArgumentError(f"start must be a mapping from name to value, or a list of them; got {start!r}")
    rows = [cells(model, one, params, np.random.default_rng(0)) for one in several]
    if any(r.bad.any() for r in rows):
        raise DomainError("start must lie in the domains of the states")
    return values, first, np.vstack([r.starts for r in rows])


def _box(model: Model, box: Any, start: Array) -> tuple[Array, Array]:
    """Where fixed points are looked for, and how far branches are followed."""
    region = Region(model, box)
    named = {getattr(k, "name", k) for k in box or {}}
    for chart in model.charts:  # bounds of shares bound the log-odds
        if named & {c.name for c in chart.coordinates}:
            named |= {s.name for s in chart.to_states}
    search, inside = np.empty((len(start), 2)), np.empty((len(start), 2))
    for i, (s, centre) in enumerate(zip(model.states, start, strict=True)):
        domain: Domain = model.domains[s]
        width = _HALF_WIDTH * (1 + abs(centre))
        search[i] = max(domain.low, centre - width), min(domain.high, centre + width)
        inside[i] = max(domain.low, -_FAR * width), min(domain.high, _FAR * width)
        if s.name in named:
            search[i] = inside[i] = region.lo[i], region.hi[i]
    return search, inside


def finite(value: float) -> float | None:
    """A number for JSON: None where it is not finite."""
    return float(value) if math.isfinite(value) else None
