"""Every crossing of an event, in order, from the recorded steps of a trajectory.

On each accepted step the event is a smooth function of theta in [0, 1] (the interpolant put into its expression). It is
replaced by a Chebyshev interpolant that is halved until its tail is negligible, and all roots of that are isolated, so
several crossings within one step are found. A tangency (an even-order root) is no crossing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import sympy as sp
from numpy.polynomial import chebyshev

from toymesa.arguments import Array
from toymesa.errors import ArgumentError, DomainError, did_you_mean
from toymesa.kernels.arrays import array_function
from toymesa.kernels.batch import Record, evaluate, interpolate
from toymesa.symbolic.model import TIME, Model
from toymesa.symbolic.parse import parse

_DEGREE = 16
_NODES = (1 - np.cos(np.pi * np.arange(_DEGREE + 1) / _DEGREE)) / 2
# values at the nodes -> Chebyshev coefficients
_FIT = np.linalg.inv(chebyshev.chebvander(2 * _NODES - 1, _DEGREE))


@dataclass(frozen=True)
class Event:
    """A function of state and time whose zeros are wanted. direction: +1 rising, -1 falling, 0 both."""

    name: str
    function: Callable[..., Array]
    direction: int
    terminal: bool


@dataclass(frozen=True)
class Crossings:
    """Times of crossings in order of travel, and how far from time 0 the event stops being a finite number (or inf)."""

    times: Array
    undefined: float


def events_of(model: Model, given: Any) -> tuple[Event, ...]:
    """The ``events`` argument of ``solve``, checked."""
    if given is None:
        return ()
    if not isinstance(given, Mapping):
        raise ArgumentError(f"events must be a mapping from name to expression; got {given!r}")
    return tuple(_event(model, name, value) for name, value in given.items())


def _event(model: Model, name: Any, value: Any) -> Event:
    if not isinstance(name, str) or not name.isidentifier():
        raise ArgumentError(f"an event's name must be an identifier; got {name!r}")
    options: Mapping[str, Any] = {}
    if isinstance(value, tuple):
        if len(value) != 2 or not isinstance(value[1], Mapping):
            raise ArgumentError(f"events[{name!r}] must be an expression or (expression, options); got {value!r}")
        value, options = value
    for key in options:
        if key not in ("direction", "terminal"):
            raise ArgumentError(f"events[{name!r}] has no option {key!r}{did_you_mean(key, ['direction', 'terminal'])}")
    direction = options.get("direction", 0)
    if direction not in (-1, 0, 1):
        raise DomainError(f"direction of events[{name!r}] must be -1, 0 or 1; got {direction!r}")
    if isinstance(value, str):
        symbols = {n: sp.Symbol(n, real=True) for n in model.observables}
        parsed = parse(value, symbols | model.symbols(), what=f"event {name!r}")
        expr = parsed.xreplace({symbols[n]: e for n, e in model.observables.items()})
    elif isinstance(value, sp.Expr):
        expr = value
    else:
        raise ArgumentError(f"events[{name!r}] must be an expression or a formula in text; got {value!r}")
    known = {*model.states, *model.params, TIME}
    if unknown := sorted(s.name for s in expr.free_symbols - known):
        raise ArgumentError(f"events[{name!r}] uses unknown {unknown[0]!r}{did_you_mean(unknown[0], model.symbols())}")
    function = array_function([*model.states, *model.params, TIME], expr)
    return Event(name, function, int(direction), bool(options.get("terminal", False)))


def crossings(event: Event, steps: Record, params: Array) -> Crossings:
    """All crossings of one event along one trajectory."""
    found: list[float] = []
    if steps.segments.shape[0] == 0:
        return Crossings(np.empty(0), math.inf)

    def value(times: Array) -> Array:
        states = interpolate(steps, times)
        return event.function(*states.T, *params, times)

    t, h = steps.segments[:, 0], steps.segments[:, 1]
    inside = evaluate(steps.coefficients, np.broadcast_to(_NODES, (t.size, _NODES.size)))
    samples = event.function(*np.moveaxis(inside, -1, 0), *params, t[:, None] + h[:, None] * _NODES)
    coefficients = np.einsum("ij,kj->ki", _FIT, samples)  # NaN stays in its own step
    size = np.abs(coefficients).sum(axis=1)
    rough = np.abs(coefficients[:, -3:]).max(axis=1) > 1e-10 * size
    # a step needs a closer look unless its constant term outweighs all that could take it to zero
    near = np.abs(coefficients[:, 0]) <= np.abs(coefficients[:, 1:]).sum(axis=1) * (1 + 1e-12)
    for i in np.flatnonzero(near & np.isfinite(size)):
        found += _roots(value, float(t[i]), float(h[i]), coefficients[i] if not rough[i] else None, 0)
    lost = np.abs(t[~np.isfinite(size)])
    times = _kept(found, value, event, float(np.sign(h[0])), float(t[0]))
    return Crossings(times, float(lost.min()) if lost.size else math.inf)


def _roots(value: Callable[[Array], Array], t: float, h: float, series: Array | None, depth: int) -> list[float]:
    """Roots in [t, t + h], halving where one polynomial does not do."""
    if series is None:
        samples = value(t + h * _NODES)
        if not np.isfinite(samples).all():
            return []
        series = _FIT @ samples
        size = np.abs(series).sum()
        if depth < 12 and np.abs(series[-3:]).max() > 1e-10 * size:
            return _roots(value, t, h / 2, None, depth + 1) + _roots(value, t + h / 2, h / 2, None, depth + 1)
    trimmed = chebyshev.chebtrim(series, 1e-14 * np.abs(series).sum())
    if trimmed.size < 2:
        return []
    roots = chebyshev.chebroots(trimmed)
    real = np.sort(roots.real[(np.abs(roots.imag) < 1e-7) & (np.abs(roots.real) <= 1 + 1e-9)])
    return [t + h * (min(max(float(r), -1.0), 1.0) + 1) / 2 for r in real]


def _kept(found: list[float], value: Callable[[Array], Array], event: Event, sign: float, start: float) -> Array:
    """Sort, merge the joints of steps, polish, and keep true sign changes in the wanted direction."""
    from scipy.optimize import brentq

    times = np.array(sorted(found, key=lambda x: sign * x))
    if times.size == 0:
        return times
    merged = [times[0]]
    for x in times[1:]:
        if abs(x - merged[-1]) > 1e-9 * max(1.0, abs(x)):
            merged.append(x)
    kept = []
    for i, x in enumerate(merged):
        before = merged[i - 1] if i else start
        after = merged[i + 1] if i + 1 < len(merged) else None
        gap = min(abs(x - before), abs(after - x) if after is not None else np.inf) / 2
        width = min(gap, 1e-6 * max(1.0, abs(x)))
        if width <= 1e-13 * max(1.0, abs(x)):  # the start itself: no crossing
            continue
        low, high = value(np.array([x - sign * width, x + sign * width]))
        if not (np.isfinite(low) and np.isfinite(high)) or low * high >= 0:
            continue
        if event.direction and np.sign(high - low) != event.direction:
            continue
        low, high = sorted((x - width, x + width))
        kept.append(
            brentq(lambda s: float(value(np.array([s]))[0]), low, high, xtol=1e-15 * max(1.0, abs(x)), rtol=1e-14)
        )
    return np.array(kept)
