"""A batch of cells of one model, solved: every row alone, so that its bits depend on nothing but itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
import sympy as sp
from numpy.typing import NDArray

from toymesa.arguments import Array
from toymesa.errors import DomainError, SolveError, ToymesaError
from toymesa.kernels.arrays import array_function
from toymesa.kernels.batch import Controls
from toymesa.solver import exact
from toymesa.solver.events import events_of
from toymesa.solver.inputs import Cells, rows_of
from toymesa.solver.labels import Crossings, read_off
from toymesa.solver.options import controls
from toymesa.solver.solve import computed
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

    def controls(self, model: Model, method: str, *, steady: bool) -> Controls:
        """As a numerical method needs them."""
        absolute = tuple(self.atol) if np.ndim(self.atol) else self.atol
        rest = (self.max_step, self.first_step, self.max_steps, self.times[-1])
        return _controls(model.state_names, method, steady, self.rtol, absolute, *rest)


@lru_cache(maxsize=64)
def _controls(
    states: tuple[str, ...], method: str, steady: bool, rtol: float, atol: Any, max_step: float, first_step: float | None,
    max_steps: int, end: float,
) -> Controls:  # fmt: skip
    return controls(
        method=method, rtol=rtol, atol=atol, first_step=first_step, max_step=max_step, max_steps=max_steps, steady=steady,
        span=abs(end), states=states,
    )[1]  # fmt: skip


@dataclass(frozen=True)
class Part:
    """Rows ``where`` that were solved at once. states: (row, time, state); observed: (row, time); ends, ...: (row,)."""

    where: NDArray[np.int64]
    states: Array
    observed: dict[str, Array]
    status: NDArray[np.uint8]
    nsteps: NDArray[np.int32]
    ends: Array
    found: Mapping[str, Crossings] = field(default_factory=dict)

    @staticmethod
    def empty(where: NDArray[np.int64], model: Model, times: int, status: int) -> Part:
        """Rows that have no results but a status."""
        shape = (where.size, times)
        return Part(
            where, np.full((*shape, len(model.states)), np.nan), {n: np.full(shape, np.nan) for n in model.observables},
            np.full(where.size, status, dtype=np.uint8), np.zeros(where.size, dtype=np.int32), np.full(where.size, np.nan),
        )  # fmt: skip


def _joined(parts: Sequence[Part], model: Model, rows: int, times: int) -> Part:
    """All rows; what is in no part cannot be solved by the method that was asked for."""
    out = Part.empty(np.arange(rows), model, times, int(Status.BAD_PARAM))
    for part in parts:
        for name in ("states", "status", "nsteps", "ends"):
            getattr(out, name)[part.where] = getattr(part, name)
        for n, values in out.observed.items():
            values[part.where] = part.observed[n]
    return out


class Run:
    """States and observables of some rows at some times, with how each row ended.

    states: (row, time, state); times: (time,) or (row, time); status, nsteps: (row,).
    """

    def __init__(self, model: Model, params: Given, times: Array, parts: Sequence[Part], rows: int) -> None:
        self.model, self.rows, self.times, self._given = model, rows, times, params
        self._events: dict[str, tuple[Array, NDArray[np.int64]]] = {}
        self._first: dict[str, Array] = {}
        whole = len(parts) == 1 and parts[0].where.size == rows
        solved = parts[0] if whole else _joined(parts, model, rows, times.size)
        self.states, self.observed, self.ends = solved.states, solved.observed, solved.ends
        self.status, self.nsteps = solved.status, solved.nsteps
        for part in parts:
            self._watch(part)

    def _watch(self, part: Part) -> None:
        """Take over what was found of events."""
        for event, found in part.found.items():
            times, states, mine = found.table(part.where.size)
            hits, count = self.event(event)
            if times.shape[1] > hits.shape[1]:
                hits = np.pad(hits, ((0, 0), (0, times.shape[1] - hits.shape[1])), constant_values=np.nan)
            hits[part.where, : times.shape[1]], count[part.where] = times, mine
            self._events[event] = hits, count
            first = self._first.setdefault(event, np.full((self.rows, len(self.model.states)), np.nan))
            if times.shape[1]:
                first[part.where] = states[:, 0]

    @cached_property
    def params(self) -> list[Array]:
        """Parameters in the order of the model, each (row,)."""
        return [
            np.broadcast_to(np.asarray(self._given.get(s.name, p.default), dtype=float), self.rows)
            for s, p in self.model.params.items()
        ]

    @cached_property
    def finite(self) -> NDArray[np.bool_]:
        """Which rows have a state at each time, (row, time)."""
        return np.asarray(np.isfinite(self.states).all(axis=2))

    @property
    def ok(self) -> NDArray[np.bool_]:
        """Which rows were solved."""
        return np.asarray(self.status == Status.OK)

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
        return self._events.get(name, (np.full((self.rows, 1), np.nan), np.zeros(self.rows, dtype=np.int64)))


def solve_rows(model: Model, setup: Setup, params: Given, starts: Given, rows: int, *, steady: bool = False) -> Run:
    """Solve ``rows`` cells of one model; never raises for a single cell, which gets a status instead."""
    steady = steady or setup.until == "steady"
    times = np.asarray(setup.times)[-1:] if steady else np.asarray(setup.times)
    parts: list[Part] = []
    for where, chosen, method in _routes(model, setup, params, starts, rows, steady):
        how = setup.controls(chosen, method, steady=steady)
        parts += _isolated(chosen, setup, times, method, how, params, starts, where)
    return Run(model, params, times, parts, rows)


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
    by = np.full(rows, -1)  # which form, if any
    for where, batch in _usable(model, params, starts, everything):
        for i, form in enumerate(forms):
            held = np.broadcast_to(exact.holds(model, form, batch), where.size)
            by[where[held & (by[where] < 0)]] = i
    out = [
        (np.flatnonzero(by == i), _variant(model, i, wanted == "closed"), "closed")
        for i in range(len(forms))
        if (by == i).any()
    ]
    if (by < 0).any() and wanted == "auto":
        out.append((np.flatnonzero(by < 0), _variant(model, None), "auto"))
    return out


def _usable(
    model: Model, params: Given, starts: Given, where: NDArray[np.int64]
) -> list[tuple[NDArray[np.int64], Cells]]:
    """Some rows as cells; without those whose numbers do not fit together, found by halving."""
    try:
        return [(where, rows_of(model, chosen_rows(starts, where), chosen_rows(params, where), where.size))]
    except ToymesaError as error:
        if where.size == 1:
            code_of(error)  # raises where the error is not the cell's
            return []
    return [part for half in np.array_split(where, 2) for part in _usable(model, params, starts, half)]


def _forms(model: Model, every: bool) -> list[Any]:
    """Closed forms to try: in internal time only where they were asked for, for each costs a root search."""
    return [f for f in model.closed_forms if every or isinstance(f, ClosedForm)]


@lru_cache(maxsize=64)
def _variant(model: Model, form: int | None, every: bool = False) -> Model:
    """The model with one of its closed forms, or with none; kept, because compiled code is kept with it."""
    if not model.closed_forms:
        return model
    return model.with_(closed_forms=() if form is None else (_forms(model, every)[form],))


def _isolated(
    model: Model, setup: Setup, times: Array, method: str, how: Controls, params: Given, starts: Given,
    where: NDArray[np.int64],
) -> list[Part]:  # fmt: skip
    """Some rows solved at once; where that raises, halved until the rows that cannot be solved are alone."""
    rows = where.size
    try:
        batch = rows_of(model, chosen_rows(starts, where), chosen_rows(params, where), rows)
        watched = events_of(model, setup.events)
        out = computed(model, batch, times, method, how, watched, threads=1, show=None)
        observed, ends = read_off(model, batch, times, how, out), np.full(rows, times[-1])
        when = out.when if how.steady else ends
        return [Part(where, out.states, observed, out.status, out.nsteps, when, out.found)]
    except ToymesaError as error:
        if rows == 1:
            return [Part.empty(where, model, times.size, code_of(error))]
    parts: list[Part] = []
    for half in np.array_split(where, 2):
        parts += _isolated(model, setup, times, method, how, params, starts, half)
    return parts


def code_of(error: ToymesaError) -> int:
    """The status of a cell that an error says cannot be solved; raises where the error is not the cell's."""
    if isinstance(error, SolveError):
        return next((int(s) for s in Status if s.label == error.status), int(Status.BAD_PARAM))
    if isinstance(error, DomainError):
        return int(Status.BAD_PARAM)
    raise error  # a wrong argument is the same in every cell


def chosen_rows(given: Given, where: NDArray[np.int64]) -> Given:
    """What is given, for some rows alone; what is the same for all stays one number."""
    return {
        n: v if not isinstance(v, np.ndarray) or v.size == where.size else v[where] for n, v in given.items()
    }  # fmt: skip
