"""A batch of cells of a model with noise: many paths a cell, each from a stream of its own.

Path i of a cell draws from the Philox stream that the seed, i and the indices of the cell along the axes name: no other path,
no other cell, no block and no worker changes a bit of it, and neither does an axis that gets more values at its end.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import sympy as sp
import xarray as xr
from numpy.typing import NDArray

from toymesa.arguments import Array
from toymesa.errors import DomainError, ToymesaError
from toymesa.kernels.arrays import array_function
from toymesa.kernels.batch import Controls
from toymesa.solver.inputs import rows_of
from toymesa.solver.labels import Outcome, labelled
from toymesa.solver.simulate import every_path, path_method, path_runner
from toymesa.status import Status
from toymesa.sweep.cells import Given, Setup, chosen_rows, code_of
from toymesa.sweep.solved import Batch, Stopped
from toymesa.symbolic.model import TIME, Model

_PATHS = 1024  # simulated between two looks at whether to stop
_STREAM = 2  # spawn keys (0, block) draw designs, (1, cell) parameters and starts, (2, cell) paths
Words = NDArray[np.uint64]

method_of = lru_cache(maxsize=256)(path_method)  # whether noise commutes is asked of SymPy


class Ensemble:
    """Paths of some cells.

    states: (row, path, time, state); observed: name -> (row, path, time); ended: (row, path), codes of ``Status``;
    nsteps: (row,), steps of each path.
    """

    def __init__(self, model: Model, setup: Setup, params: Given, rows: int) -> None:
        assert setup.paths is not None
        self.model, self.rows, self.times = model, rows, np.asarray(setup.times)
        self.params = [
            np.broadcast_to(np.asarray(params.get(s.name, p.default), dtype=float), rows)
            for s, p in model.params.items()
        ]
        shape = (rows, setup.paths, self.times.size)
        self.states = np.full((*shape, len(model.states)), np.nan)
        self.observed = {n: np.full(shape, np.nan) for n in model.observables}
        self.ended = np.full(shape[:2], int(Status.BAD_PARAM), dtype=np.uint8)
        self.nsteps = np.full(rows, steps_of(setup), dtype=np.int32)

    @property
    def status(self) -> NDArray[np.uint8]:
        """How each cell ended: as its first path that failed, (row,)."""
        failed = self.ended != Status.OK
        return np.where(failed.any(axis=1), self.ended[np.arange(self.rows), failed.argmax(axis=1)], Status.OK)

    @property
    def ok(self) -> NDArray[np.bool_]:
        """Cells all paths of which were simulated to their end."""
        return np.asarray(self.status == Status.OK)

    def evaluate(self, expr: sp.Expr) -> Array:
        """An expression in states, parameters and time, (row, path, time); NaN where a path had ended."""
        for n, e in self.model.observables.items():
            if e is expr:
                return self.observed[n]
        if expr in self.model.flow:
            return np.asarray(self.states[..., self.model.states.index(expr)])
        values = array_function([*self.model.states, *self.model.params, TIME], expr)(
            *np.moveaxis(self.states, 3, 0), *(p[:, None, None] for p in self.params), self.times
        )
        return np.where(np.isfinite(self.states).all(axis=3), values, np.nan)

    def fill(self, where: NDArray[np.int64], run: xr.Dataset) -> None:
        """Take over simulated rows: a Dataset over ``cell``, ``path`` and ``time``."""
        for i, n in enumerate(self.model.state_names):
            self.states[where, ..., i] = run[n].values
        for n, values in self.observed.items():
            values[where] = run[n].values
        self.ended[where] = run["status"].values


@dataclass
class Simulated(Batch):
    """One batch of simulated cells, as measures see it."""

    main: Ensemble

    @property
    def status(self) -> NDArray[np.uint8]:
        """How each cell ended: its first failure."""
        status = self.main.status.copy()
        for row in self.failures:
            status[row] = Status.MEASURE_FAILED
        return status.astype(np.uint8)

    def cell(self, row: int) -> xr.Dataset:
        """The paths of one cell: states and observables over ``path`` and ``time``, parameters as scalars."""
        run, dims = self.main, ("path", "time")
        data: dict[str, Any] = {n: (dims, run.states[row, ..., i]) for i, n in enumerate(self.model.state_names)}
        data |= {n: (dims, v[row]) for n, v in run.observed.items()}
        data |= {s.name: float(v[row]) for s, v in zip(self.model.params, run.params, strict=True)}
        return xr.Dataset(data, coords={"time": run.times}, attrs={"model": self.model.name})


def steps_of(setup: Setup) -> int:
    """How many steps a path takes, at most as large as asked and hitting every output time."""
    assert setup.step is not None
    gaps = np.diff(np.concatenate([[0.0], setup.times]))
    return int(np.ceil(gaps / setup.step * (1.0 - 1e-12)).sum())


def words_of(seed: int, index: NDArray[np.int64]) -> Words:
    """Names of the streams of cells ``index`` (row, dimension): two words of key and one of stream, (row, 3)."""
    out = np.empty((index.shape[0], 3), dtype=np.uint64)
    for row, place in enumerate(index.tolist()):
        out[row] = np.random.SeedSequence(seed, spawn_key=(_STREAM, *place)).generate_state(3, np.uint32)
    return out


def simulate_rows(
    model: Model, setup: Setup, params: Given, starts: Given, words: Words, stop: Callable[[], bool]
) -> Ensemble:
    """Simulate every path of some cells; never raises for a single cell, which gets a status instead.

    Raises Stopped when ``stop()`` turns true meanwhile.
    """
    rows = words.shape[0]
    out = Ensemble(model, setup, params, rows)
    _isolating(out, setup, _spread(params, rows), _spread(starts, rows), words, np.arange(rows), stop)
    return out


def _spread(given: Given, rows: int) -> dict[str, Array]:
    """Numbers as arrays: a number outside its domain must cost its cells alone."""
    return {n: np.broadcast_to(np.asarray(v, dtype=float), rows) for n, v in given.items()}


def _isolating(
    out: Ensemble, setup: Setup, params: Given, starts: Given, words: Words, where: NDArray[np.int64],
    stop: Callable[[], bool],
) -> None:  # fmt: skip
    """Simulate some rows; where their numbers cannot be used, halve until the rows that cannot are alone."""
    model, rows = out.model, where.size
    try:
        batch = rows_of(model, chosen_rows(starts, where), chosen_rows(params, where), rows)
    except ToymesaError as error:
        if rows == 1:
            out.ended[where] = code_of(error)
            return
        for half in np.array_split(where, 2):
            _isolating(out, setup, params, starts, words, half, stop)
        return
    assert setup.paths is not None
    assert setup.step is not None
    every, _ = every_path(batch, setup.paths)
    method = method_of(model, setup.method)
    run = path_runner(model, out.times, setup.step, method)
    states = np.full((rows * setup.paths, out.times.size, len(model.states)), np.nan)
    status = np.full(rows * setup.paths, int(Status.BAD_PARAM), dtype=np.int64)
    for row in np.flatnonzero(~batch.bad):
        key, stream = words[where[row], :2].copy(), words[where[row], 2]
        for low in range(0, setup.paths, _PATHS):
            if stop():
                raise Stopped
            paths = np.arange(low, min(low + _PATHS, setup.paths), dtype=np.uint64)
            mine = slice(row * setup.paths + low, row * setup.paths + low + paths.size)
            names = np.stack([np.full_like(paths, stream), paths], axis=1)
            states[mine], status[mine] = run(every.start_columns.part(mine), every.param_columns.part(mine), key, names)
    outcome = Outcome(
        states=states, status=status.astype(np.uint8), steps=np.zeros((status.size, 3), dtype=np.int32),
        when=np.full(status.size, out.times[-1]), method=method,
    )  # fmt: skip
    out.fill(where, labelled(model, every, out.times, Controls(), outcome))


def require_room(model: Model, setup: Setup) -> None:
    """DomainError where the paths of a single cell would take more than a gigabyte."""
    assert setup.paths is not None
    size = 8 * setup.paths * len(setup.times) * (2 * len(model.states) + len(model.observables))
    if size > 2**30:
        raise DomainError(
            f"the paths of one cell take {size / 1e9:.3g} GB ({setup.paths} paths at {len(setup.times)} times): ask for "
            "fewer of either"
        )


def most_cells(model: Model, setup: Setup) -> int:
    """How many cells are simulated at once, so that a batch holds a few million numbers at most."""
    assert setup.paths is not None
    return max(1, 2**21 // (setup.paths * len(setup.times) * (2 * len(model.states) + len(model.observables) + 4)))
