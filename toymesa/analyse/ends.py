"""Where trajectories end: rows of starts run to a steady state or a time, in blocks, within a budget."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import xarray as xr

from toymesa.analyse.outcomes import End, end_of
from toymesa.arguments import Array
from toymesa.kernels.batch import Controls, run_batch
from toymesa.kernels.codes import ALONE
from toymesa.kernels.columns import by_column
from toymesa.kernels.generate import compile_model
from toymesa.solver.inputs import Cells
from toymesa.solver.labels import Outcome, labelled
from toymesa.status import Status
from toymesa.symbolic.model import Model

_BLOCK = 256


@dataclass(frozen=True)
class Course:
    """How every trajectory of an analysis is run. deadline: by ``time.monotonic``; what is not begun by then is not run."""

    model: Model
    times: Array
    how: Controls
    deadline: float
    threads: int | None

    @property
    def spent(self) -> bool:
        """Whether the budget is used up."""
        return time.monotonic() > self.deadline

    def run(self, batch: Cells, show: Callable[[int, int], None] | None = None) -> tuple[xr.Dataset, End]:
        """The ends of all cells: a Dataset without time, and the same by rows."""
        n, rows, model = len(self.model.states), batch.bad.size, self.model
        status = np.full(rows, int(Status.BAD_PARAM), dtype=np.uint8)
        states, reached = by_column(rows, 1, n), np.full((rows, n), np.nan)
        states.fill(np.nan)
        steps, when = np.zeros((rows, 3), dtype=np.int32), np.full(rows, np.nan)
        good = np.flatnonzero(~batch.bad)
        status[good] = Status.NOT_RUN
        for first in range(0, good.size, _BLOCK):
            if first and self.spent:
                break
            block = good[first : first + _BLOCK]
            done = run_batch(
                compile_model(model), self.times, batch.start_columns.take(block), batch.param_columns.take(block),
                self.how, threads=self.threads,
            )  # fmt: skip
            states[block], status[block], steps[block] = done.states, done.status, done.steps
            when[block], reached[block] = done.when, done.reached
            if show is not None:
                show(first + block.size, good.size)
        method, methods = ("iteration", ()) if model.discrete else (self.how.method, ALONE)
        outcome = Outcome(states, status, steps, when, method, methods)
        data = labelled(model, batch, self.times, self.how, outcome)
        if not self.how.steady:
            data = data.isel(time=0, drop=True)
            data["t_end"] = (batch.dims, when.reshape(batch.shape), {"long_name": "time at which it ended"})
        return data, end_of(model, data, batch.params, when, reached)
