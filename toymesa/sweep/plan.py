"""Everything that determines the numbers of a sweep, as one value that can be sent to another process."""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import sympy as sp
from numpy.typing import NDArray

from toymesa.arguments import numbers
from toymesa.errors import DomainError
from toymesa.sweep.axes import Column, Design, Index
from toymesa.sweep.blocks import Blocks
from toymesa.sweep.cells import Setup, solve_rows
from toymesa.sweep.ensemble import Simulated, most_cells, simulate_rows, words_of
from toymesa.sweep.own import function_fingerprint
from toymesa.sweep.reading import Measure, Variable
from toymesa.sweep.solved import Solved, Stopped, most_rows
from toymesa.symbolic.model import Model

SCHEMA, OLDEST = 2, 1  # of stores that are written, and of the oldest that are still read
_PATIENCE = 0.5  # seconds between two looks at whether to stop


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
        return 1 + sum(np.dtype(v.dtype).itemsize * math.prod(v.sizes) for v in self.variables)

    # ---------------------------------------------------------------- evaluation

    def evaluate(
        self, index: Index, stop: Callable[[], bool] = lambda: False
    ) -> tuple[dict[str, NDArray[Any]], list[str]]:
        """Results of cells ``index`` (row, dimension) by variable, ``status`` among them, and notes on failures.

        Raises Stopped when ``stop()`` turns true between two batches.
        """
        rows = index.shape[0]
        parts: list[tuple[NDArray[np.int64], dict[str, NDArray[Any]]]] = []
        notes: list[str] = []
        values = self.design.values(index)
        for model, chosen in self._by_model(values, rows):
            low, noisy = 0, model.noise is not None
            most = most_cells(model, self.setup) if noisy else most_rows(model, len(self.setup.times))
            while low < chosen.size:
                if stop():
                    raise Stopped
                step, begun = min(self._step.get(model, 1 if noisy else 64), most), time.monotonic()
                some = chosen[low : low + step]
                parts.append((some, self._batch(model, index, values, some, notes, stop)))
                low += step
                if time.monotonic() - begun < _PATIENCE / 4:  # batches grow until they take about this long
                    self._step[model] = 4 * step
        out = self._together(parts, rows)
        if self.design.sampled:
            out |= {column.label: drawn for column, drawn in values.items()}
        return out, notes

    def _together(
        self, parts: list[tuple[NDArray[np.int64], dict[str, NDArray[Any]]]], rows: int
    ) -> dict[str, NDArray[Any]]:
        """The results of all rows, in the types of the variables; what was solved at once is not copied."""
        kinds = {"status": (np.dtype(np.uint8), ()), **{v.name: (np.dtype(v.dtype), v.sizes) for v in self.variables}}
        if len(parts) == 1:
            return {n: found.astype(kinds[n][0], copy=False) for n, found in parts[0][1].items()}
        out = {n: np.empty((rows, *sizes), kind) for n, (kind, sizes) in kinds.items()}
        for some, results in parts:
            for n, found in results.items():
                out[n][some] = found
        return out

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

    def given(
        self, index: Index, values: Mapping[Column, Any], chosen: NDArray[np.int64], notes: list[str] | None = None
    ) -> tuple[Callable[[int], np.random.Generator], dict[str, dict[str, Any]]]:
        """The random numbers of each of some cells, and "param" or "start" -> name -> a number, or one for each of them.

        With ``notes`` a draw that fails is NaN, which its cell's status will say, and the first is noted; else it raises.
        """
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
                    drawn, failed = np.full(chosen.size, np.nan), []
                    for row in range(chosen.size):
                        try:
                            drawn[row] = _one(value(stream(row)), name)
                        except (
                            Exception
                        ) as error:  # a user's code may raise anything; one cell must not cost the others
                            if notes is None:
                                error.add_note(f"while drawing {name!r}")
                                raise
                            why = " ".join(f"{type(error).__name__}: {error}".split())
                            failed.append(f"{_place(index[chosen[row]])}: the draw of {name!r}: {why}")
                    if notes is not None:
                        notes += failed[:1]
                    value = drawn
                given[kind][name] = value
        for column, v in values.items():
            if column.target != "structure":
                given[column.target][column.name] = v if chosen.size == v.size else v[chosen]
        return stream, given

    def _batch(
        self, model: Model, index: Index, values: Mapping[Column, Any], chosen: NDArray[np.int64], notes: list[str],
        stop: Callable[[], bool],
    ) -> dict[str, NDArray[Any]]:  # fmt: skip
        stream, given = self.given(index, values, chosen, notes)
        shared = (model, self.setup, given["param"], given["start"])
        solved: Solved | Simulated
        if model.noise is None:
            solved = Solved(*shared, chosen.size, self.timed, stream, solve_rows(*shared, chosen.size))
        else:
            paths = simulate_rows(*shared, words_of(self.seed, index[chosen]), stop)
            solved = Simulated(*shared, chosen.size, self.timed, stream, paths)
        out = {name: found for m in self.measures for name, found in m.read(solved).items()}
        out |= {"status": solved.status, "nsteps": solved.main.nsteps}  # measures may have changed the status
        notes += [f"{_place(index[chosen[r]])}: {text}" for r, text in list(solved.failures.items())[:1]]
        return out

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
            **({} if s.paths is None else {"paths": s.paths, "step": s.step}),
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


def _place(cell: NDArray[np.int64]) -> str:
    return f"cell {tuple(cell.tolist())}"


def _one(value: Any, name: str) -> float:
    drawn = numbers(f"the draw of {name!r}", value)
    if drawn.size != 1:
        raise DomainError(f"the draw of {name!r} must be one number a cell; got shape {drawn.shape}")
    return float(drawn.item())
