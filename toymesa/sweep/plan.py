"""Everything that determines the numbers of a sweep, as one value that can be sent to another process."""

from __future__ import annotations

import hashlib
import inspect
import itertools
import json
import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import sympy as sp
from numpy.typing import NDArray

from toymesa.arguments import generator, numbers
from toymesa.errors import ArgumentError, DomainError, did_you_mean
from toymesa.solver.events import events_of
from toymesa.solver.inputs import cells
from toymesa.solver.options import controls, output_times
from toymesa.sweep.axes import Column, Design, Index, Names, design
from toymesa.sweep.blocks import Blocks, chunk_shape
from toymesa.sweep.cells import Setup, Solved, most_rows, solve_rows
from toymesa.sweep.measures import Measure, Variable, function_fingerprint, measures
from toymesa.symbolic.model import Model
from toymesa.symbolic.optimizers import with_optimizer

SCHEMA = 1
_MOST_STRUCTURES = 1000
_PATIENCE = 0.5  # seconds between two looks at whether to stop


class Stopped(Exception):
    """Raised inside a block when the sweep is being stopped."""


@dataclass(frozen=True, eq=False)
class Plan:
    """A checked sweep. models: one for each combination of structural choices, found by ``which``."""

    models: tuple[Model, ...]
    which: dict[tuple[int, ...], int]
    design: Design
    setup: Setup
    timed: bool
    measures: tuple[Measure, ...]
    params: dict[str, Any]
    starts: dict[str, Any]
    seed: int
    chunks: tuple[int, ...]

    @property
    def dims(self) -> tuple[str, ...]:
        """Dimensions of the sweep."""
        return self.design.dims

    @property
    def shape(self) -> tuple[int, ...]:
        """Sizes of the dimensions."""
        return self.design.shape

    @property
    def cells(self) -> int:
        """How many cells there are."""
        return math.prod(self.shape)

    @cached_property
    def blocks(self) -> Blocks:
        """How the cells are cut into blocks."""
        return Blocks(self.shape, self.chunks)

    @cached_property
    def variables(self) -> tuple[Variable, ...]:
        """What the measures fill, and the coordinates of drawn points."""
        times = self.setup.times if self.timed else None
        out = [v for m in self.measures for v in m.variables(self.models[0], times)]
        drawn = [Variable(c.label) for c in self.design.columns] if self.design.sampled else []
        return (*out, *drawn, Variable("nsteps", "int32", attrs=(("long_name", "accepted steps"),)))

    @cached_property
    def bytes_per_cell(self) -> int:
        """Size of a cell's results before compression."""
        return 1 + sum(np.dtype(v.dtype).itemsize * len(v.times or (0,)) for v in self.variables)

    # ---------------------------------------------------------------- evaluation

    def evaluate(
        self, index: Index, stop: Callable[[], bool] = lambda: False
    ) -> tuple[dict[str, NDArray[Any]], list[str]]:
        """Results of cells ``index`` (row, dimension) by variable, ``status`` among them, and notes on failures.

        Raises Stopped when ``stop()`` turns true between two batches.
        """
        rows = index.shape[0]
        out: dict[str, NDArray[Any]] = {"status": np.zeros(rows, dtype=np.uint8)}
        for v in self.variables:
            out[v.name] = np.full((rows, len(v.times)) if v.times else rows, v.fill, dtype=v.dtype)
        notes: list[str] = []
        values = self.design.values(index)
        if self.design.sampled:
            for column, drawn in values.items():
                out[column.label][:] = drawn
        for model, chosen in self._by_model(values, rows):
            low, most = 0, most_rows(model, len(self.setup.times))
            while low < chosen.size:
                if stop():
                    raise Stopped
                step, begun = min(self._step.get(model, 64), most), time.monotonic()
                self._batch(model, index, values, chosen[low : low + step], out, notes)
                low += step
                if time.monotonic() - begun < _PATIENCE / 4:  # batches grow until they take about this long
                    self._step[model] = 4 * step
        return out, notes

    @cached_property
    def _step(self) -> dict[Model, int]:
        """Rows that are solved at once, found out while running; the bits do not depend on it."""
        return {}

    def _by_model(self, values: Mapping[Column, Any], rows: int) -> Iterator[tuple[Model, NDArray[np.int64]]]:
        structural = [v for c, v in values.items() if c.target == "structure"]
        if not structural:
            yield self.models[0], np.arange(rows)
            return
        keys = np.stack(structural, axis=1)
        for key in np.unique(keys, axis=0):
            which = self.which[tuple(int(k) for k in key)]
            yield self.models[which], np.flatnonzero((keys == key).all(axis=1))

    def _batch(
        self, model: Model, index: Index, values: Mapping[Column, Any], chosen: NDArray[np.int64],
        out: dict[str, NDArray[Any]], notes: list[str],
    ) -> None:  # fmt: skip
        streams: dict[int, np.random.Generator] = {}

        def stream(row: int) -> np.random.Generator:
            if row not in streams:
                key = (1, *(int(i) for i in index[chosen[row]]))
                streams[row] = np.random.default_rng(np.random.SeedSequence(self.seed, spawn_key=key))
            return streams[row]

        given: dict[str, dict[str, Any]] = {"param": {}, "start": {}}
        for kind, fixed in (("param", self.params), ("start", self.starts)):
            for name, value in fixed.items():
                if callable(value):
                    drawn = [_one(value(stream(row)), name) for row in range(chosen.size)]
                    value = np.array(drawn)
                given[kind][name] = value
        for column, v in values.items():
            if column.target != "structure":
                given[column.target][column.name] = v[chosen]
        main = solve_rows(model, self.setup, given["param"], given["start"], chosen.size)
        solved = Solved(model, self.setup, given["param"], given["start"], chosen.size, self.timed, stream, main)
        for m in self.measures:
            for name, found in m.read(solved).items():
                out[name][chosen] = found
        out["status"][chosen], out["nsteps"][chosen] = solved.status, main.nsteps
        notes += [f"cell {tuple(index[chosen[r]].tolist())}: {text}" for r, text in list(solved.failures.items())[:1]]

    # ---------------------------------------------------------------- what it is, as data

    @cached_property
    def spec(self) -> dict[str, Any]:
        """Everything that the numbers depend on, as JSON data; two sweeps with equal specs give equal bits."""
        s = self.setup
        return {
            "models": self._model_spec(),
            "design": self.design.kind,
            "axes": [
                {"name": c.label, "dim": c.dim, "size": self.design.sizes[c.dim],
                 "values": c.fingerprint(self.design.sizes[c.dim])}
                for c in self.design.columns
            ],
            "measure": [m.describe() for m in self.measures],
            "t": list(s.times) if self.timed else s.times[-1],
            "until": s.until,
            "events": None if s.events is None else {k: _event_spec(v) for k, v in s.events.items()},
            "params": {k: _given_spec(v) for k, v in sorted(self.params.items())},
            "start": {k: _given_spec(v) for k, v in sorted(self.starts.items())},
            "method": s.method,
            "rtol": s.rtol,
            "atol": np.asarray(s.atol, dtype=float).tolist(),
            "max_step": repr(s.max_step),
            "first_step": s.first_step,
            "max_steps": s.max_steps,
            "seed": self.seed,
            "chunks": list(self.chunks),
        }  # fmt: skip

    def _model_spec(self) -> dict[str, str]:
        structural = [c for c in self.design.columns if c.target == "structure"]
        out = {}
        for key, which in self.which.items():
            label = ", ".join(f"{c.name}={c.choices[k][0]}" for c, k in zip(structural, key, strict=True))
            model = self.models[which]
            forms = [sp.srepr(sp.Tuple(*f.states.values(), *f.conditions)) for f in model.closed_forms]
            extra = hashlib.sha256("".join(forms).encode()).hexdigest()[:8] if forms else "none"
            out[label or model.name] = f"{model.fingerprint}, closed forms {extra}"
        return out


def _event_spec(value: Any) -> Any:
    return str(value) if not isinstance(value, tuple) else [str(value[0]), dict(value[1])]


def _given_spec(value: Any) -> Any:
    return function_fingerprint(value) if callable(value) else float(value)


def _one(value: Any, name: str) -> float:
    drawn = numbers(f"the draw of {name!r}", value)
    if drawn.size != 1:
        raise DomainError(f"the draw of {name!r} must be one number a cell; got shape {drawn.shape}")
    return float(drawn.item())


# ---------------------------------------------------------------- from the arguments of ``sweep``


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
    import xarray as xr

    return xr.DataArray(np.asarray(values, dtype=float), dims="cell")


def differences(stored: Mapping[str, Any], asked: Mapping[str, Any]) -> list[str]:
    """Keys whose values differ, with both values, as lines of a message."""
    out = []
    for key in [*asked, *(k for k in stored if k not in asked)]:
        a, b = stored.get(key), asked.get(key)
        if a != b:
            out.append(f"{key}: store has {_short(a)}, asked {_short(b)}")
    return out


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 120 else text[:117] + "..."
