"""From the arguments of ``sweep`` to a plan: every check that can be made before the start."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import xarray as xr

from toymesa.arguments import generator, numbers, scalar, whole
from toymesa.errors import ArgumentError, DomainError, did_you_mean
from toymesa.kernels.codes import LANES
from toymesa.kernels.lanes.formulas import unsuited
from toymesa.solver.events import events_of
from toymesa.solver.inputs import cells, rows_of
from toymesa.solver.options import controls, output_times
from toymesa.solver.simulate import path_times, usual_step
from toymesa.solver.solve import warn_uphill
from toymesa.sweep.axes import Names, design
from toymesa.sweep.blocks import chunk_shape
from toymesa.sweep.cells import Setup
from toymesa.sweep.ensemble import require_room
from toymesa.sweep.measures import measures
from toymesa.sweep.method import method_of
from toymesa.sweep.plan import Plan
from toymesa.sweep.quantities import Value
from toymesa.sweep.reading import Measure
from toymesa.sweep.structure import built, structure_of
from toymesa.symbolic.model import Model

PATHS = 1000  # of a cell of a model with noise
# of the methods that adapt their steps, with their defaults
_ADAPTIVE = {"rtol": 1e-8, "atol": 1e-10, "max_step": math.inf, "first_step": None, "max_steps": 100_000}


def plan(
    model: Any, over: Any, *, measure: Any, t: Any, until: str | None, params: Any, start: Any, events: Any, design_: str | None,
    samples: Any, method: str, rtol: float, atol: Any, max_step: float, first_step: float | None, max_steps: int, rng: Any,
    chunk: Any, paths: Any = None, step: Any = None,
) -> Plan:  # fmt: skip
    """The arguments of :func:`toymesa.sweep`, checked, as a plan."""
    seed = root_seed(rng)
    keywords = structure_of(model, over)
    models, which, structural = built(model, over, keywords)
    starts = [n for n in _start_names(models[0]) if all(n in _start_names(m) for m in models)]
    shared = [n for n in models[0].param_names if all(n in m.param_names for m in models)]
    names = Names(tuple(shared), tuple(starts), keywords)
    found = design(over, names, kind=design_, samples=samples, seed=seed)
    found = replace(found, columns=tuple(structural[c.name] if c.target == "structure" else c for c in found.columns))
    fixed, begin = _fixed(params, "params", shared), _fixed(start, "start", starts)
    how = {"rtol": rtol, "atol": atol, "max_step": max_step, "first_step": first_step, "max_steps": max_steps}
    if any(m.noise is not None for m in models):
        setup, timed = _noisy(models, t, until, events, method, paths, step, how)
        weight = int(setup.paths or 1)
    else:
        setup, timed = _flowing(models, t, until, events, method, paths, step, how)
        weight = 1
    setup = replace(setup, method=method_of(method, models, math.prod(found.shape)))
    asked = measures(measure, models, events)
    light = not timed and _light(models, setup, asked) and not any(map(callable, [*fixed.values(), *begin.values()]))
    chunks = chunk_shape(found.shape, chunk, weight, light=light)
    out = Plan(models, which, found, setup, timed, asked, fixed, begin, seed, chunks)
    _check(out)
    return _stepped(out)


def _light(models: tuple[Model, ...], setup: Setup, asked: tuple[Measure, ...]) -> bool:
    """Whether lanes solve the cells, and nothing is read off but values at the end."""
    lanes = setup.method in ("auto", *LANES) and not any(m.noise is not None or unsuited(m) for m in models)
    return lanes and not setup.events and all(isinstance(m, Value) and m.at in (None, "end") for m in asked)


def _stepped(p: Plan) -> Plan:
    """The plan of a model with noise with the step that ``simulate`` takes where none is given.

    It is read off at the first cell, which has no other neighbours in a longer sweep; of several models the shortest.
    """
    if p.setup.paths is None or p.setup.step is not None:
        return p
    first, end, steps = p.blocks.index(0, 0, 1), p.setup.times[-1], []
    for m in p.models:
        _, given = p.given(first, p.design.values(first), np.zeros(1, dtype=np.int64))
        try:
            steps.append(usual_step(m, rows_of(m, given["start"], given["param"], 1), end))
        except DomainError:  # it cannot be started there, which its status will say
            steps.append(end / 1000)
    return replace(p, setup=replace(p.setup, step=min(steps)))


def root_seed(rng: Any) -> int:
    """One number that all streams come from: the seed given, a draw from the Generator given, or fresh entropy."""
    if isinstance(rng, np.random.Generator):
        return int(rng.integers(2**63))
    _, seed = generator("rng", rng)
    return int(np.random.SeedSequence().generate_state(1, np.uint64)[0] >> np.uint64(1)) if seed is None else seed


def _start_names(model: Model) -> list[str]:
    return [*model.state_names, *(c.name for chart in model.charts for c in chart.coordinates)]


def _flowing(
    models: tuple[Model, ...], t: Any, until: str | None, events: Any, method: Any, paths: Any, step: Any,
    how: dict[str, Any],
) -> tuple[Setup, bool]:  # fmt: skip
    """How models without noise are solved, and whether results have a dimension of times."""
    for name, value in (("paths", paths), ("step", step)):
        if value is not None:
            raise ArgumentError(
                f"{name} goes with a model with noise; model {models[0].name!r} has none: GradientNoise gives it some"
            )
    alone = until is not None or t is None or numbers("t", t).ndim == 0
    given = [t] if until is None and alone and t is not None else t
    for m in models:
        times = output_times(given, until=until, discrete=m.discrete)
        warn_uphill(m, times, stacklevel=6)
        if events is not None:
            events_of(m, events)
        if method == "closed" and not m.closed_forms:
            raise DomainError(f"method 'closed' needs a closed form, which model {m.name!r} has not; use 'auto'")
        _, checked = controls(
            method=method, **how, steady=until == "steady", span=abs(float(times[-1])), states=m.state_names
        )
    setup = Setup(
        times=tuple(map(float, times)), until=until, events=events, method=method, rtol=checked.rtol, atol=how["atol"],
        max_step=checked.max_step, first_step=checked.first_step or None, max_steps=checked.max_steps,
    )  # fmt: skip
    return setup, not alone


def _noisy(
    models: tuple[Model, ...], t: Any, until: str | None, events: Any, method: Any, paths: Any, step: Any,
    how: dict[str, Any],
) -> tuple[Setup, bool]:  # fmt: skip
    """How models with noise are simulated, and whether results have a dimension of times."""
    with_, without = ([m.name for m in models if (m.noise is None) == none] for none in (False, True))
    if without:
        raise ArgumentError(f"model {with_[0]!r} has noise and {without[0]!r} has none: sweep them apart")
    if until is not None:
        raise ArgumentError(f"until goes with a model without noise; the paths of {with_[0]!r} never rest: give t")
    if events is not None:
        raise ArgumentError(f"events go with a model without noise; for {with_[0]!r} see toymesa.escape_times")
    for name, default in _ADAPTIVE.items():
        if not (np.ndim(how[name]) == 0 and how[name] == default):
            raise ArgumentError(
                f"{name} goes with adaptive steps; those of a model with noise have one size: give step"
            )
    times = path_times(t)
    setup = Setup(
        times=tuple(map(float, times)), until=None, events=None, method=method, **how,
        paths=PATHS if paths is None else whole("paths", paths, 1, 2**32 - 1),
        step=None if step is None else scalar("step", step, 0.0, low_open=True),
    )  # fmt: skip
    for m in models:
        require_room(m, setup)
    return setup, np.ndim(t) > 0


def _fixed(given: Any, what: str, allowed: list[str]) -> dict[str, Any]:
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise ArgumentError(f"{what} must be a mapping from name to value, such as {{'x': 1.0}}; got {given!r}")
    out: dict[str, Any] = {}
    for key, value in given.items():
        name = key if isinstance(key, str) else getattr(key, "name", repr(key))
        if name not in allowed:
            raise ArgumentError(f"{what} has no {name!r}{did_you_mean(name, allowed)}")
        if callable(value):
            out[name] = value
            continue
        number = numbers(f"{what} {name!r}", value)
        if number.ndim:
            raise DomainError(f"{what} {name!r} must be one number; what varies goes into over")
        out[name] = float(number)
    return out


def _check(p: Plan) -> None:
    """What would fail in every cell fails now, in one line."""
    first = p.blocks.index(0, 0, 1)
    values = p.design.values(first)
    p.given(first, values, np.zeros(1, dtype=np.int64))  # a function that cannot draw even there raises now
    varied = {c.label for c in p.design.columns}
    for name in p.params:
        if name in varied:
            raise ArgumentError(f"{name!r} is in over and in params")
    for name in p.starts:
        if f"start_{name}" in varied:
            raise ArgumentError(f"the start of {name!r} is in over and in start")
    times = p.setup.times if p.timed else None
    names = [v.name for v in p.variables] + ["status"]
    coords = [c.label for c in p.design.columns if not p.design.sampled] + list(p.dims)
    axes, outcomes = {*coords}, {v.outcomes[0] for v in p.variables if v.outcomes}
    coords += sorted(outcomes)
    for name in [*names, *coords]:
        if names.count(name) > 1 or (name in coords and name in names) or name in outcomes & axes:
            raise DomainError(f"{name!r} stands for two things: rename the measure, as in {{'other_{name}': {name!r}}}")
    for m in p.models:
        for measure in p.measures:
            measure.variables(m, times)
        fixed = {n: v for n, v in p.params.items() if not callable(v)}
        begin = {n: v for n, v in p.starts.items() if not callable(v)}
        cells(m, None, fixed, np.random.default_rng(0))
        axis = {c: v for c, v in values.items() if c.target != "structure"}
        starts = begin | {c.name: _lone(v) for c, v in axis.items() if c.target == "start"}
        starts |= {n: _lone(np.array([0.5])) for n, v in p.starts.items() if callable(v)}
        try:
            cells(
                m, starts, {c.name: _lone(v) for c, v in axis.items() if c.target == "param"}, np.random.default_rng(0)
            )
        except DomainError:
            if not any(c.target == "start" for c in axis) and not any(callable(v) for v in p.starts.values()):
                raise


def _lone(values: Any) -> Any:
    return xr.DataArray(np.asarray(values, dtype=float), dims="cell")
