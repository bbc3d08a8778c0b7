"""A batch of cells of one model, solved: every row alone, so that its bits depend on nothing but itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
import sympy as sp
import xarray as xr
from numpy.typing import NDArray

from toymesa.arguments import Array
from toymesa.errors import DomainError, SolveError, ToymesaError
from toymesa.kernels.arrays import array_function
from toymesa.solver import exact
from toymesa.solver.inputs import cells
from toymesa.solver.solve import solve
from toymesa.status import Status
from toymesa.symbolic.model import TIME, ClosedForm, Model

Given = Mapping[str, Any]  # name -> a number, or (row,)


@dataclass(frozen=True, kw_only=True)
class Setup:
    """How every cell is solved: arguments of ``solve`` that all cells share."""

    times: tuple[float, ...]
    until: str | None
    events: Any
    method: str
    rtol: float
    atol: Any
    max_step: float
    first_step: float | None
    max_steps: int
    paths: int | None = None  # of a model with noise: how many a cell, and the largest step
    step: float | None = None

    def options(self) -> dict[str, Any]:
        """As keyword arguments of ``solve``."""
        return {
            "rtol": self.rtol, "atol": self.atol, "max_step": self.max_step, "first_step": self.first_step,
            "max_steps": self.max_steps, "on_fail": "status", "threads": 1, "progress": False,
        }  # fmt: skip


class Run:
    """States and observables of some rows at some times, with how each row ended.

    states: (row, time, state); times: (time,) or (row, time); status, nsteps: (row,).
    """

    def __init__(self, model: Model, params: Given, times: Array, rows: int, count: int) -> None:
        self.model, self.rows, self.times = model, rows, times
        self.params = [
            np.broadcast_to(np.asarray(params.get(s.name, p.default), dtype=float), rows)
            for s, p in model.params.items()
        ]
        self.states = np.full((rows, count, len(model.states)), np.nan)
        self.observed = {n: np.full((rows, count), np.nan) for n in model.observables}
        self.status = np.full(rows, int(Status.BAD_PARAM), dtype=np.uint8)
        self.nsteps = np.zeros(rows, dtype=np.int32)
        self.ends = np.full(rows, np.nan)
        self._events: dict[str, tuple[list[Any], NDArray[np.int64]]] = {}
        self._first: dict[str, Array] = {}

    def fill(self, where: NDArray[np.int64], run: xr.Dataset) -> None:
        """Take over the rows ``where`` of a solved dataset over ``cell``."""
        steady = "time" not in run.dims
        for i, n in enumerate(self.model.state_names):
            self.states[where, :, i] = run[n].values.reshape(where.size, -1)
        for n, values in self.observed.items():
            values[where] = run[n].values.reshape(where.size, -1)
        self.status[where], self.nsteps[where] = run["status"].values, run["nsteps"].values
        self.ends[where] = run["t_steady"].values if steady else self.times[-1]
        for key in run.data_vars:
            name = str(key)
            if name.startswith("event_") and name.endswith("_count"):
                event = name[len("event_") : -len("_count")]
                hits, count = self._events.setdefault(event, ([None] * self.rows, np.zeros(self.rows, dtype=np.int64)))
                count[where] = run[name].values
                for row, times in zip(where, run[f"event_{event}"].values, strict=True):
                    hits[row] = times
                first = self._first.setdefault(event, np.full((self.rows, len(self.model.states)), np.nan))
                if run.sizes[f"event_{event}_index"]:
                    first[where] = run[f"event_{event}_state"].values[:, 0]

    @cached_property
    def finite(self) -> NDArray[np.bool_]:
        """Which rows have a state at each time, (row, time)."""
        out: NDArray[np.bool_] = np.isfinite(self.states).all(axis=2)
        return out

    @property
    def ok(self) -> NDArray[np.bool_]:
        """Which rows were solved."""
        return self.status == Status.OK

    def columns(self, time: int) -> list[Array]:
        """States, parameters and time at one output time, each (row,)."""
        when = self.ends if self.states.shape[1] == 1 and self.times.size == 1 else np.full(self.rows, self.times[time])
        return [*self.states[:, time].T, *self.params, when]

    def evaluate(self, expr: sp.Expr) -> Array:
        """An expression in states, parameters and time, (row, time)."""
        for n, e in self.model.observables.items():
            if e is expr:
                return self.observed[n]
        if expr in self.model.flow:
            return self.states[..., self.model.states.index(expr)]
        arguments = [*self.model.states, *self.model.params, TIME]
        when = self.ends[:, None] if self.times.size == 1 else self.times[None, :]
        values = array_function(arguments, expr)(
            *np.moveaxis(self.states, 2, 0), *(p[:, None] for p in self.params), when
        )
        return np.where(self.finite, values, np.nan)

    def at_event(self, name: str, expr: sp.Expr) -> Array:
        """An expression at the first crossing of an event, (row,); NaN where there is none."""
        states = self._first.get(name, np.full((self.rows, len(self.model.states)), np.nan))
        when = self.event(name)[0][:, 0]
        values = array_function([*self.model.states, *self.model.params, TIME], expr)(*states.T, *self.params, when)
        return np.where(np.isfinite(when), values, np.nan)

    def event(self, name: str) -> tuple[Array, NDArray[np.int64]]:
        """Crossing times (row, crossing), padded with NaN, and how many there are."""
        hits, count = self._events.get(name, ([None] * self.rows, np.zeros(self.rows, dtype=np.int64)))
        out = np.full((self.rows, max(int(count.max(initial=0)), 1)), np.nan)
        for row, times in enumerate(hits):
            if times is not None:
                out[row, : count[row]] = times[: count[row]]
        return out, count


def solve_rows(model: Model, setup: Setup, params: Given, starts: Given, rows: int, *, steady: bool = False) -> Run:
    """Solve ``rows`` cells of one model; never raises for a single cell, which gets a status instead."""
    steady = steady or setup.until == "steady"
    times = np.asarray(setup.times)
    run = Run(model, params, times[-1:] if steady else times, rows, 1 if steady else times.size)
    for where, chosen, method in _routes(model, setup, params, starts, rows, steady):
        _isolating(run, chosen, setup, method, params, starts, where, steady)
    return run


def _routes(
    model: Model, setup: Setup, params: Given, starts: Given, rows: int, steady: bool
) -> list[tuple[NDArray[np.int64], Model, str]]:
    """Rows by how they are solved: by a closed form where one holds for that very row, else numerically.

    ``solve`` asks whether a closed form holds for all cells of its batch; here the answer must not depend on the block.
    """
    everything = np.arange(rows)
    wanted = setup.method
    if wanted not in ("auto", "closed") or (wanted == "auto" and (steady or setup.events or not model.closed_forms)):
        return [(everything, _variant(model, None), wanted)]
    forms = _forms(model, wanted == "closed")
    batch = cells(model, arrays(starts, rows), arrays(params, rows), np.random.default_rng(0))
    left = np.ones(rows, dtype=bool)
    out = []
    for i, form in enumerate(forms):
        held = left & np.broadcast_to(exact.holds(model, form, batch), rows)
        if held.any():
            out.append((np.flatnonzero(held), _variant(model, i, wanted == "closed"), "closed"))
        left &= ~held
    if left.any() and wanted == "auto":
        out.append((np.flatnonzero(left), _variant(model, None), "auto"))
    return out


def _forms(model: Model, every: bool) -> list[Any]:
    """Closed forms to try: in internal time only where they were asked for, for each costs a root search."""
    return [f for f in model.closed_forms if every or isinstance(f, ClosedForm)]


@lru_cache(maxsize=64)
def _variant(model: Model, form: int | None, every: bool = False) -> Model:
    """The model with one of its closed forms, or with none; kept, because compiled code is kept with it."""
    if not model.closed_forms:
        return model
    return model.with_(closed_forms=() if form is None else (_forms(model, every)[form],))


def _isolating(
    run: Run, model: Model, setup: Setup, method: str, params: Given, starts: Given, where: NDArray[np.int64], steady: bool
) -> None:  # fmt: skip
    """Solve some rows at once; where that raises, halve until the rows that cannot be solved are alone."""
    rows = where.size
    times = float(setup.times[-1]) if steady else list(setup.times)
    try:
        solved = solve(
            model, times, params=arrays(params, rows, where), start=arrays(starts, rows, where), method=method,
            events=setup.events, until="steady" if steady else None, **setup.options(),
        )  # fmt: skip
    except ToymesaError as error:
        if rows > 1:
            for half in np.array_split(where, 2):
                _isolating(run, model, setup, method, params, starts, half, steady)
            return
        run.status[where] = code_of(error)
        return
    if "cell" not in solved.dims:
        solved = solved.expand_dims(cell=rows)
    run.fill(where, solved)


def code_of(error: ToymesaError) -> int:
    """The status of a cell that an error says cannot be solved; raises where the error is not the cell's."""
    if isinstance(error, SolveError):
        return next((int(s) for s in Status if s.label == error.status), int(Status.BAD_PARAM))
    if isinstance(error, DomainError):
        return int(Status.BAD_PARAM)
    raise error  # a wrong argument is the same in every cell


def arrays(given: Given, rows: int, where: NDArray[np.int64] | None = None) -> dict[str, Any]:
    """What is given for some rows, along the dimension ``cell``; what is the same for all stays one number."""
    out = {}
    for name, value in given.items():
        if isinstance(value, np.ndarray):
            out[name] = xr.DataArray(value if where is None else value[where], dims="cell")
        else:
            out[name] = value
    return out
