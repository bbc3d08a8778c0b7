"""Where two stable states exist side by side: the hysteresis loop, and where their potentials are equal (Maxwell)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import sympy as sp
import xarray as xr
from numpy.typing import NDArray
from scipy.optimize import brentq

from toymesa.analyse.continuation.arcs import correct
from toymesa.analyse.continuation.problem import Problem
from toymesa.errors import ArgumentError, ModelError, did_you_mean
from toymesa.kernels.arrays import array_function
from toymesa.symbolic.model import Model

Array = NDArray[np.float64]
_HALVINGS = 40  # of a chord between two points of a branch
_SAMPLES = 33  # parameter values between which a change of sign is looked for


class Segment(NamedTuple):
    """A stable stretch of a branch: its number, and the parameter and states (points, n) along it, in increasing order."""

    branch: int
    param: Array
    states: Array


class _Pair(NamedTuple):
    first: Segment
    second: Segment
    low: float
    high: float


def coexistence(model: Model, diagram: xr.Dataset, *, of: str | None = None) -> xr.Dataset:
    """The intervals in which two stable states coexist, and where both have the same potential.

    diagram : a result of ``follow`` in one parameter, of the same model. of : the observable that is compared, default the
    model's potential; a gradient flow or noise prefers the state with the lower one.

    Returns a Dataset over ``pair``: ``low`` and ``high`` (where both are stable: the hysteresis loop), ``branch_1`` and
    ``branch_2``, ``maxwell`` (the parameter at which the values are equal; NaN where they never are), ``value`` there,
    ``state_1`` and ``state_2`` (pair, state). Numerical, to about 1e-10 relative: on both sides a fixed point is solved for.
    Symmetric copies are pairs too, and equal everywhere: their ``maxwell`` is NaN. Raises ModelError for a model without a
    potential where ``of`` is not given, ArgumentError for an unknown observable or another model's diagram.
    """
    if diagram.attrs.get("fingerprint") != model.fingerprint or "branch" not in diagram:
        raise ArgumentError(f"diagram must be a result of follow in one parameter for the model {model.name!r}")
    param, value = _param(diagram), _compared(model, of)
    problem = _problem(model, diagram, param)
    rows = [(pair, *_equal(problem, pair, value)) for pair in _pairs(_segments(diagram, param))]
    n = len(model.states)
    return xr.Dataset(
        {
            "low": ("pair", np.array([p.low for p, *_ in rows])),
            "high": ("pair", np.array([p.high for p, *_ in rows])),
            "branch_1": ("pair", np.array([p.first.branch for p, *_ in rows], dtype=np.int64)),
            "branch_2": ("pair", np.array([p.second.branch for p, *_ in rows], dtype=np.int64)),
            "maxwell": ("pair", np.array([m for _, m, *_ in rows]), {"long_name": param}),
            "value": ("pair", np.array([v for _, _, v, *_ in rows])),
            "state_1": (("pair", "state"), np.array([a for *_, a, _ in rows]).reshape(len(rows), n)),
            "state_2": (("pair", "state"), np.array([b for *_, b in rows]).reshape(len(rows), n)),
        },
        coords={"state": list(model.state_names)},
        attrs={"model": model.name, "param": param, "of": of or "potential"},
    )


def _param(diagram: xr.Dataset) -> str:
    return str(next(iter(json.loads(diagram.attrs["followed"]))))


def _compared(model: Model, of: str | None) -> Any:
    if of is None:
        if model.potential is None:
            raise ModelError(f"model {model.name!r} has no potential: say which observable to compare with of=")
        expr: sp.Expr = model.potential
    elif of not in model.observables:
        raise ArgumentError(f"model {model.name!r} has no observable {of!r}{did_you_mean(of, model.observables)}")
    else:
        expr = model.observables[of]
    function = array_function([*model.states, *model.params], expr)
    return lambda x, p: float(function(*x, *p))


def _problem(model: Model, diagram: xr.Dataset, param: str) -> Problem:
    fixed = {**model.defaults(), **json.loads(diagram.attrs["params"])}
    values = np.array([fixed[n] for n in model.param_names])
    low, high = json.loads(diagram.attrs["followed"])[param]
    states = np.array([diagram[n].values for n in model.state_names])
    middle, reach = states.mean(axis=1), np.ptp(states, axis=1)
    box = np.stack([middle - reach - 1, middle + reach + 1], axis=1)
    index = list(model.param_names).index(param)
    return Problem(model, values, [index], np.array([low]), np.array([high]), box, states[:, 0])


def _segments(diagram: xr.Dataset, param: str) -> list[Segment]:
    """Stable stretches along which the parameter changes in one direction."""
    names = [str(s) for s in diagram["state"].values]
    out = []
    for i in range(diagram.sizes["followed"]):
        rows = np.flatnonzero(diagram["branch"].values == i)
        stable, p = diagram["stable"].values[rows], diagram[param].values[rows]
        states = np.stack([diagram[n].values[rows] for n in names], axis=1)
        special = np.isclose(p[:, None], diagram["special_at"].values[None, :], rtol=1e-12, atol=0).any(axis=1)
        begin = 0
        for j in range(1, len(rows) + 1):
            if j == len(rows) or not stable[j] or not stable[begin] or special[j]:
                if stable[begin:j].all() and j - begin > 1:
                    ends = slice(
                        max(begin - 1, 0), min(j + 1, len(rows))
                    )  # the special points at both ends belong to it
                    order = np.argsort(p[ends], kind="stable")
                    out.append(Segment(i, p[ends][order], states[ends][order]))
                begin = j
    return out


def _pairs(segments: list[Segment]) -> Iterator[_Pair]:
    for i, a in enumerate(segments):
        for b in segments[i + 1 :]:
            low, high = max(a.param[0], b.param[0]), min(a.param[-1], b.param[-1])
            if high - low > 1e-9 * (1 + abs(high)):
                yield _Pair(a, b, float(low), float(high))


def _equal(problem: Problem, pair: _Pair, value: Any) -> tuple[float, float, Array, Array]:
    """Where the values of both states are the same, the value, and the states there."""
    nothing = np.full(len(problem.model.states), np.nan)

    def both(at: float) -> tuple[Array, Array] | None:
        found = [_state_at(problem, segment, at) for segment in pair[:2]]
        return None if found[0] is None or found[1] is None else (found[0], found[1])

    def gap(at: float) -> float:
        states = both(at)
        if states is None:
            return np.nan
        p = problem.params.copy()
        p[problem.free[0]] = at
        return float(value(states[0], p) - value(states[1], p))

    inner = 1e-6 * (pair.high - pair.low)
    places = np.linspace(pair.low + inner, pair.high - inner, _SAMPLES)
    gaps = np.array([gap(x) for x in places])
    size = np.nanmax(np.abs(gaps)) if np.isfinite(gaps).any() else 0.0
    p = problem.params.copy()
    for a, b, ga, gb in zip(places, places[1:], gaps, gaps[1:], strict=False):
        if np.isfinite(ga + gb) and ga * gb < 0 and size > 1e-12:
            try:
                at = float(brentq(gap, a, b, xtol=1e-13 * (1 + abs(b)), rtol=8.9e-16))
            except ValueError:  # not finite in between: no fixed point was found there
                continue
            states = both(at)
            if states is not None:
                p[problem.free[0]] = at
                return at, value(states[0], p), states[0], states[1]
    return np.nan, np.nan, nothing, nothing


def _state_at(problem: Problem, segment: Segment, at: float) -> Array | None:
    """The fixed point of a stretch at one parameter value."""
    k = int(np.clip(np.searchsorted(segment.param, at), 1, len(segment.param) - 1))
    a, b = (problem.unknown(segment.states[i], segment.param[[i]]) for i in (k - 1, k))
    goal = float(problem.unknown(segment.states[k], np.array([at]))[-1])
    row = np.zeros(a.size)
    row[-1] = 1.0
    for _ in range(_HALVINGS):  # beside a fold the parameter hardly moves along the branch: cut the chord until it does
        share = 0.5 if a[-1] == b[-1] else float(np.clip((goal - a[-1]) / (b[-1] - a[-1]), 0.0, 1.0))
        guess = a + share * (b - a)
        guess[-1] = goal
        found = correct(problem, guess, row, 20)
        if found is not None and np.linalg.norm(found - guess) <= np.linalg.norm(b - a) + 1e-12:
            return problem.state(found)
        chord = b - a
        length = float(np.linalg.norm(chord))
        middle = None if length == 0 else correct(problem, (a + b) / 2, chord / length)
        if middle is None:
            return None
        if (middle[-1] < goal) == (a[-1] < b[-1]):
            a = middle
        else:
            b = middle
    return None
