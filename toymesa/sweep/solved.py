"""One batch of cells that were solved, as measures see it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from toymesa.status import Status
from toymesa.sweep.cells import Given, Run, Setup, solve_rows
from toymesa.symbolic.model import Model


class Stopped(Exception):
    """Raised inside a block when the sweep is being stopped."""


@dataclass
class Batch:
    """One batch of cells of one model. streams: the random numbers of each row."""

    model: Model
    setup: Setup
    params: Given
    starts: Given
    rows: int
    timed: bool  # whether results have a dimension of times
    streams: Callable[[int], np.random.Generator]
    failures: dict[int, str] = field(default_factory=dict, kw_only=True)

    def stream(self, row: int) -> np.random.Generator:
        """The random numbers of one cell."""
        return self.streams(row)

    def failed(self, row: int, message: str) -> None:
        """Record that a measure raised for one cell."""
        self.failures.setdefault(int(row), " ".join(message.split()))


@dataclass
class Solved(Batch):
    """One batch of solved cells, as measures see it."""

    main: Run

    @cached_property
    def steady(self) -> Run:
        """The steady states of the same cells."""
        if self.setup.until == "steady":
            return self.main
        far = Setup(**{**self.setup.__dict__, "times": (1e8,), "events": None, "until": "steady"})
        if far.method == "closed":
            far = Setup(**{**far.__dict__, "method": "auto"})
        return solve_rows(self.model, far, self.params, self.starts, self.rows, steady=True)

    @property
    def status(self) -> NDArray[np.uint8]:
        """How each cell ended: its first failure."""
        status = self.main.status.copy()
        if "steady" in self.__dict__:
            status = np.where(status == Status.OK, self.steady.status, status)
        for row in self.failures:
            status[row] = Status.MEASURE_FAILED
        return status.astype(np.uint8)

    def cell(self, row: int) -> xr.Dataset:
        """One trajectory as a Dataset: states and observables over ``time``, parameters as scalars."""
        run = self.main
        when = run.ends[row : row + 1] if run.times.size == 1 else run.times
        data: dict[str, Any] = {n: ("time", run.states[row, :, i]) for i, n in enumerate(self.model.state_names)}
        data |= {n: ("time", v[row]) for n, v in run.observed.items()}
        data |= {s.name: float(v[row]) for s, v in zip(self.model.params, run.params, strict=True)}
        hits = {}
        for name in run._events:
            times, count = run.event(name)
            hits[f"event_{name}"] = times[row, : count[row]].tolist()
        return xr.Dataset(data, coords={"time": when}, attrs={"model": self.model.name, **hits})


def most_rows(model: Model, times: int) -> int:
    """How many rows are solved at once, so that a batch holds a few million numbers at most."""
    width = times * (len(model.states) + len(model.observables) + 4)
    return min(65536, max(16, 2**21 // width))
