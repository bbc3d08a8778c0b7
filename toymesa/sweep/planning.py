"""From the arguments of ``sweep`` to a plan: every check that can be made before the start."""

from __future__ import annotations

import inspect
import itertools
import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import xarray as xr

from toymesa.arguments import generator, numbers
from toymesa.errors import ArgumentError, DomainError, did_you_mean
from toymesa.solver.events import events_of
from toymesa.solver.inputs import cells
from toymesa.solver.options import controls, output_times
from toymesa.sweep.axes import Column, Names, design
from toymesa.sweep.blocks import chunk_shape
from toymesa.sweep.cells import Setup
from toymesa.sweep.measures import measures
from toymesa.sweep.plan import Plan
from toymesa.symbolic.model import Model
from toymesa.symbolic.optimizers import with_optimizer

_MOST_STRUCTURES = 1000


def plan(
    model: Any, over: Any, *, measure: Any, t: Any, until: str | None, params: Any, start: Any, events: Any, design_: str | None,
    samples: Any, method: str, rtol: float, atol: Any, max_step: float, first_step: float | None, max_steps: int, rng: Any,
    chunk: Any,
) -> Plan:  # fmt: skip
    """The arguments of :func:`toymesa.sweep`, checked, as a plan."""
    seed = root_seed(rng)
    keywords = structure_of(model, over)
    models, which, structural = built(model, over, keywords)
    starts = [n for n in _start_names(models[0]) if all(n in _start_names(m) for m in models)]
    shared = [n for n in models[0].param_names if all(n in m.param_names for m in models)]
    names = Names(tuple(shared), tuple(starts), keywords)
    found = design(over, names, kind=design_, samples=samples, seed=seed)
    found = replace(
        found, columns=tuple(structural.get(c.name, c) if c.target == "structure" else c for c in found.columns)
    )
    times, timed = _times(t, until, models)
    fixed, begin = _fixed(params, "params", shared), _fixed(start, "start", starts)
    if events is not None:
        for m in models:
            events_of(m, events)
    for m in models:
        _, checked = controls(
            method=method, rtol=rtol, atol=atol, first_step=first_step, max_step=max_step, max_steps=max_steps,
            steady=until == "steady", span=abs(times[-1]), states=m.state_names,
        )  # fmt: skip
    setup = Setup(
        times=times, until=until, events=events, method=method, rtol=checked.rtol, atol=atol, max_step=checked.max_step,
        first_step=checked.first_step or None, max_steps=checked.max_steps,
    )  # fmt: skip
    out = Plan(
        models, which, found, setup, timed, measures(measure, models, events), fixed, begin, seed,
        chunk_shape(found.shape, chunk),
    )  # fmt: skip
    _check(out)
    return out


def root_seed(rng: Any) -> int:
    """One number that all streams come from: the seed given, a draw from the Generator given, or fresh entropy."""
    if isinstance(rng, np.random.Generator):
        return int(rng.integers(2**63))
    _, seed = generator("rng", rng)
    return int(np.random.SeedSequence().generate_state(1, np.uint64)[0] >> np.uint64(1)) if seed is None else seed


def structure_of(model: Any, over: Any) -> tuple[str, ...]:
    """Names of the structural options: keywords of a factory; ``optimizer`` for a model."""
    if isinstance(model, Model):
        return ("optimizer",)
    if not callable(model):
        raise ArgumentError(f"model must be a toymesa Model or a function that makes one; got {type(model).__name__}")
    return tuple(inspect.signature(model).parameters)


def built(
    model: Any, over: Any, keywords: tuple[str, ...]
) -> tuple[tuple[Model, ...], dict[tuple[int, ...], int], dict[str, Column]]:
    """Every model that the structural options give, and the columns of those options."""
    open_names = Names((), (), keywords)
    table = over if isinstance(over, Mapping) else _listed(over)
    chosen = {str(k): v for k, v in table.items() if str(k) in keywords}
    columns: dict[str, Column] = {}
    for name, values in chosen.items():
        repeated = not isinstance(over, Mapping)
        small = design({name: values}, open_names, kind="points" if repeated else "grid", samples=None, seed=0)
        columns[name] = small.columns[0]
    if not columns:
        return (_make(model, {}),), {(): 0}, {}
    count = math.prod(len(c.choices) for c in columns.values())
    if count > _MOST_STRUCTURES:
        raise DomainError(f"structural options give {count} models; at most {_MOST_STRUCTURES} are built")
    models: list[Model] = []
    which: dict[tuple[int, ...], int] = {}
    for key in itertools.product(*(range(len(c.choices)) for c in columns.values())):
        options = {n: c.choices[k][1] for (n, c), k in zip(columns.items(), key, strict=True)}
        which[key] = len(models)
        models.append(_make(model, options))
    return tuple(models), which, columns


def _listed(over: Any) -> dict[str, list[Any]]:
    if hasattr(over, "to_dict"):
        over = over.to_dict("records")
    points = [p for p in over if isinstance(p, Mapping)] if isinstance(over, list | tuple) else []
    return {str(k): [p[k] for p in points if k in p] for k in (points[0] if points else {})}


def _make(model: Any, options: dict[str, Any]) -> Model:
    if isinstance(model, Model):
        change = options.get("optimizer")
        made = change(model) if callable(change) else with_optimizer(model, change)
    else:
        made = model(**options)
    if not isinstance(made, Model):
        raise ArgumentError(f"the factory must return a toymesa Model; got {type(made).__name__}")
    return made


def _start_names(model: Model) -> list[str]:
    return [*model.state_names, *(c.name for chart in model.charts for c in chart.coordinates)]


def _times(t: Any, until: str | None, models: tuple[Model, ...]) -> tuple[tuple[float, ...], bool]:
    scalar = until is not None or np.ndim(t) == 0
    for m in models:
        checked = output_times(
            [t] if until is None and scalar and t is not None else t, until=until, discrete=m.discrete
        )
    return tuple(float(x) for x in checked), not scalar


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
    for name in [*names, *coords]:
        if names.count(name) > 1 or (name in coords and name in names):
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
