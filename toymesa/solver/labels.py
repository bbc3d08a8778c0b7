"""The answer as a labelled Dataset, with what made it, and the one line of a failure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np
import sympy as sp
import xarray as xr
from numpy.typing import NDArray

from toymesa.arguments import Array, all_finite, finite_rows
from toymesa.errors import SolveError
from toymesa.kernels.batch import Controls, observe_batch
from toymesa.kernels.cache import installed
from toymesa.kernels.codes import ALONE
from toymesa.kernels.generate import compile_model
from toymesa.solver.inputs import Cells
from toymesa.status import Status
from toymesa.symbolic.model import Model


@dataclass(frozen=True)
class Crossings:
    """Crossings of an event: of which row, (crossing,), at which time, and the states there, (crossing, state).

    By row, and in a row in order of travel.
    """

    rows: NDArray[np.int64]
    times: Array
    states: Array

    def table(self, rows: int) -> tuple[Array, Array, NDArray[np.int64]]:
        """Times (row, crossing) and states (row, crossing, state), padded with NaN, and how many there are in each row."""
        count = np.bincount(self.rows, minlength=rows)
        width = int(count.max(initial=0))
        place = np.arange(self.rows.size) - (np.cumsum(count) - count)[self.rows]
        times = np.full((rows, width), np.nan)
        states = np.full((rows, width, self.states.shape[1]), np.nan)
        times[self.rows, place], states[self.rows, place] = self.times, self.states
        return times, states, count


@dataclass
class Outcome:
    """What a route computed, a row a cell.

    states: (row, time, state). status, when: how and at which time each ended. steps: accepted, by method, (row, method).
    method: the one asked for, or how it was solved otherwise; methods: what the columns of ``steps`` count; alone: rows
    that were left to methods one trajectory at a time, which then are ``ALONE``. last: the state in which a lone
    trajectory ended, where that is not the last of its states. found: the crossings of each event. undefined: the name of
    an event or observable that was no finite number somewhere.
    """

    states: Array
    status: NDArray[np.uint8]
    steps: NDArray[np.int32]
    when: Array
    method: str
    methods: tuple[str, ...] = ALONE
    alone: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    last: Array | None = None
    found: dict[str, Crossings] = field(default_factory=dict)
    undefined: str | None = None

    @property
    def nsteps(self) -> NDArray[np.int32]:
        """Accepted steps by all methods, (row,)."""
        return self.steps.sum(axis=1, dtype=np.int32)

    @property
    def label(self) -> str:
        """The methods that made steps; where none was made, the method."""
        steps, few = self.steps, self.steps[self.alone]
        own = np.delete(steps, self.alone, axis=0) if self.alone.size else steps
        names = [m for i, m in enumerate(self.methods) if own[:, i].any()]
        return "+".join([*names, *(m for i, m in enumerate(ALONE) if few[:, i].any())]) or self.method


def labelled(model: Model, batch: Cells, times: Array, how: Controls, outcome: Outcome) -> xr.Dataset:
    """Everything computed over the swept names and time, with statuses completed by what is read off the states."""
    observables = read_off(model, batch, times, how, outcome)
    dims = batch.dims if how.steady else (*batch.dims, "time")
    shape = batch.shape if how.steady else (*batch.shape, times.size)
    columns = {n: outcome.states[..., i] for i, n in enumerate(model.state_names)}
    columns |= observables
    data: dict[str, Any] = {n: (dims, v.reshape(shape), _meaning(model, n)) for n, v in columns.items()}
    data |= _endings(batch, outcome, steady=how.steady)
    for name, crossings in outcome.found.items():
        data |= _event_variables(name, crossings, batch)
    coords: dict[str, Any] = dict(batch.coords)
    if not how.steady:
        coords["time"] = ("time", times, {"long_name": _of_time(model)})
    if outcome.found:
        coords["state"] = list(model.state_names)
    return xr.Dataset(data, coords=coords, attrs=_attributes(model, batch, outcome.label, how))


def read_off(model: Model, batch: Cells, times: Array, how: Controls, outcome: Outcome) -> dict[str, Array]:
    """The observables, (row, time); statuses of the outcome are completed by what they are and by what is required."""
    compiled = compile_model(model)
    moments = outcome.when[:, None] if how.steady else times
    names = tuple(n for n in compiled.observe_names if n in model.observables or n.startswith("requires:"))
    moments = np.where(np.isfinite(moments), moments, 0.0)
    read = observe_batch(compiled, moments, outcome.states, batch.param_columns, names)
    columns = dict(zip(names, read, strict=True))
    _complete(model, outcome, columns)
    return {n: columns[n] for n in model.observables}


def labelled_states(model: Model, batch: Cells, times: Array, states: Mapping[str, Array], label: str) -> xr.Dataset:
    """States alone, each of shape (swept dimensions..., time), over the swept names and time."""
    dims = (*batch.dims, "time")
    attributes = _attributes(model, batch, label, Controls())
    return xr.Dataset(
        {n: (dims, v, _meaning(model, n)) for n, v in states.items()},
        coords={**batch.coords, "time": ("time", times, {"long_name": _of_time(model)})},
        attrs={k: v for k, v in attributes.items() if k not in ("rtol", "atol")},
    )


def _of_time(model: Model) -> str:
    return "steps" if model.discrete else "training time"


def _complete(model: Model, outcome: Outcome, columns: Mapping[str, Array]) -> None:
    """No cell is ok whose requirements fail or whose observables are no finite numbers where its states are."""
    for name, values in columns.items():
        if name.startswith("requires:"):
            outcome.status[(outcome.status == Status.OK) & (values <= 0).any(axis=1)] = Status.INNER_NOT_MINIMUM
        elif name in model.observables:
            if all_finite(values):
                continue
            undefined = ~np.isfinite(values)
            if isinstance(e := model.observables[name], sp.Piecewise) and e.args[-1].cond != sp.true:
                undefined &= ~np.isnan(values)
            lost = (outcome.status == Status.OK) & (finite_rows(outcome.states) & undefined).any(axis=1)
            if lost.any():
                outcome.status[lost], outcome.undefined = Status.OVERFLOW, outcome.undefined or name


def _endings(batch: Cells, outcome: Outcome, *, steady: bool) -> dict[str, Any]:
    codes = {"flag_values": [int(s) for s in Status], "flag_meanings": " ".join(s.label for s in Status)}
    status, steps = outcome.status, outcome.nsteps
    out: dict[str, Any] = {
        "status": (batch.dims, status.reshape(batch.shape), {"long_name": "how it ended", **codes}),
        "nsteps": (batch.dims, steps.reshape(batch.shape), {"long_name": "accepted steps"}),
    }
    if steady:
        out["t_steady"] = (batch.dims, outcome.when.reshape(batch.shape), {"long_name": "time at which it was steady"})
    return out


def _event_variables(name: str, crossings: Crossings, batch: Cells) -> dict[str, Any]:
    times, states, count = crossings.table(batch.bad.size)
    dim, shape = f"event_{name}_index", (*batch.shape, times.shape[1])
    return {
        f"event_{name}": ((*batch.dims, dim), times.reshape(shape), {"long_name": f"times of {name}"}),
        f"event_{name}_count": (batch.dims, count.reshape(batch.shape), {"long_name": f"number of {name}"}),
        f"event_{name}_state": ((*batch.dims, dim, "state"), states.reshape(*shape, states.shape[2]), {}),
    }


def _meaning(model: Model, name: str) -> dict[str, str]:
    return {"long_name": model.meanings[name]} if name in model.meanings else {}


@cache
def _versions() -> str:
    packages = ("toymesa", "numpy", "scipy", "sympy", "numba", "xarray")
    return json.dumps({p: installed(p) for p in packages}, sort_keys=True)


def _attributes(model: Model, batch: Cells, label: str, how: Controls) -> dict[str, Any]:
    atol = how.absolute(len(model.states))
    return {
        "model": model.name,
        "fingerprint": model.fingerprint,
        "params": json.dumps({**model.defaults(), **batch.given["params"]}, sort_keys=True),
        "start": json.dumps(batch.given["start"], sort_keys=True),
        "method": label,
        "rtol": how.rtol,
        "atol": float(atol[0]) if (atol == atol[0]).all() else atol.tolist(),
        "versions": _versions(),
    }


def raise_failure(model: Model, data: xr.Dataset, outcome: Outcome) -> None:
    """SolveError for a single trajectory that failed: status, time, state, advice."""
    status = Status(int(data["status"].values))
    if status is Status.OK:
        return
    when, last = float(outcome.when[0]), outcome.states[0, -1] if outcome.last is None else outcome.last
    state = ", ".join(f"{n} = {v:g}" for n, v in zip(model.state_names, last, strict=True))
    where = f" ({state})" if np.isfinite(last).all() and len(last) <= 8 else ""
    what = f": {outcome.undefined} is not a finite number" if outcome.undefined else ""
    bracket = f"; the blow-up is just after t = {when:.10g}" if status is Status.BLOW_UP else ""
    message = f"{model.name}: {status.label} at t = {when:g}{where}{what}: {status.advice}{bracket}"
    raise SolveError(message, status=status.label, dataset=data)
