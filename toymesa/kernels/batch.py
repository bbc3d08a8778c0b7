"""Many trajectories: rows of starts and parameters over threads, and what is read off the results.

Every row is integrated alone, so its bits depend on nothing but itself.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toymesa.kernels.codes import METHODS, POWERS, REPORT
from toymesa.kernels.generate import CompiledModel

Array = NDArray[np.float64]
_BLOCK = 64


@dataclass(frozen=True, kw_only=True)
class Controls:
    """How to integrate: method name, tolerances, steps. ``fixed`` makes ``first_step`` the step (for order tests)."""

    method: str = "auto"
    rtol: float = 1e-8
    atol: Any = 1e-10
    first_step: float = 0.0
    max_step: float = math.inf
    max_steps: int = 100_000
    fixed: bool = False
    steady: bool = False

    def absolute(self, n: int) -> Array:
        """atol as one number a state."""
        return np.array(np.broadcast_to(np.asarray(self.atol, dtype=np.float64), n), order="C")


@dataclass(frozen=True)
class Batch:
    """Results of a batch. states: (row, time, state); status and report a row each (``kernels.integrate``)."""

    states: Array
    status: NDArray[np.int64]
    report: Array

    @property
    def steps(self) -> Array:
        """Accepted steps by method, (row, 3): tsit5, dop853, rodas5p."""
        return self.report[:, 2:5]

    @property
    def reached(self) -> Array:
        """The state in which each trajectory ended, (row, state)."""
        return self.report[:, REPORT:]


@dataclass(frozen=True)
class Record:
    """Every accepted step of one trajectory. segments: (step, (t, h)); coefficients: (step, power of theta, state)."""

    segments: Array
    coefficients: Array


def run_batch(
    compiled: CompiledModel,
    times: Array,
    starts: Array,
    params: Array,
    controls: Controls,
    *,
    t0: float = 0.0,
    threads: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Batch:
    """Integrate rows of ``starts`` (row, state) with ``params`` (row, parameter) to the common ``times``."""
    rows = starts.shape[0]
    count = 1 if controls.steady else times.size
    states = np.full((rows, count, compiled.n), np.nan)
    status = np.zeros(rows, dtype=np.int64)
    report = np.zeros((rows, REPORT + compiled.n))
    run = _map_rows if compiled.model.discrete else _flow_rows

    compiled.field  # noqa: B018  # compiled here once, not by every thread
    blocks = [slice(i, min(i + _BLOCK, rows)) for i in range(0, rows, _BLOCK)]
    done = 0

    def work(b: slice) -> int:
        run(compiled, t0, times, starts[b], params[b], controls, states[b], report[b], status[b])
        return b.stop - b.start

    workers = min(threads or os.cpu_count() or 1, len(blocks))
    with ThreadPoolExecutor(max(workers, 1)) as pool:
        # one worker is this very thread: a caller may be one of many
        for finished in pool.map(work, blocks) if workers > 1 else map(work, blocks):
            done += finished
            if progress is not None:
                progress(done, rows)
    return Batch(states, status, report)


def _flow_rows(
    compiled: CompiledModel,
    t0: float,
    times: Array,
    starts: Array,
    params: Array,
    c: Controls,
    out: Array,
    report: Array,
    status: NDArray[np.int64],
) -> None:
    from toymesa.kernels.rows import integrate_rows

    integrate_rows(
        compiled.field, METHODS[c.method], t0, times, starts, params, c.rtol, c.absolute(compiled.n), c.first_step,
        c.max_step, c.max_steps, c.fixed, c.steady, np.asarray(compiled.algebraic, dtype=np.int64), out, report, status,
    )  # fmt: skip


def record(
    compiled: CompiledModel, times: Array, start: Array, params: Array, controls: Controls, *, t0: float = 0.0
) -> tuple[Array, int, Array, Record]:
    """One trajectory with every accepted step: states at ``times``, status, report, and the steps."""
    from toymesa.kernels.integrate import integrate

    c, capacity = controls, 256
    while True:
        out = np.full((1 if controls.steady else times.size, compiled.n), np.nan)
        report = np.zeros(REPORT + compiled.n)
        steps = Record(np.zeros((capacity, 2)), np.zeros((capacity, POWERS, compiled.n)))
        status = integrate(
            compiled.field, METHODS[c.method], t0, times, start, params, c.rtol, c.absolute(compiled.n), c.first_step,
            c.max_step, c.max_steps, c.fixed, c.steady, np.asarray(compiled.algebraic, dtype=np.int64), out, report,
            steps.segments, steps.coefficients,
        )  # fmt: skip
        accepted = int(report[2:5].sum())
        if accepted <= capacity:
            return out, int(status), report, Record(steps.segments[:accepted], steps.coefficients[:accepted])
        capacity = accepted  # deterministic: the second run makes the same steps


def interpolate(steps: Record, times: Array) -> Array:
    """States (time, state) at times inside the recorded steps."""
    ends = steps.segments[:, 0] + steps.segments[:, 1]
    backward = steps.segments[0, 1] < 0
    index = np.searchsorted(-ends if backward else ends, -times if backward else times)
    index = np.clip(index, 0, ends.size - 1)
    return evaluate(steps.coefficients[index], (times - steps.segments[index, 0]) / steps.segments[index, 1])


def evaluate(coefficients: Array, theta: Array) -> Array:
    """Interpolants (step, power, state) at theta: (step,) gives (step, state), (step, node) gives (step, node, state)."""
    spread = coefficients[(slice(None), slice(None), *[None] * (theta.ndim - 1))]
    value = np.zeros_like(spread[:, 0])
    for k in range(POWERS - 1, -1, -1):
        value = value * theta[..., None] + spread[:, k]
    return value


def _map_rows(
    compiled: CompiledModel,
    t0: float,
    times: Array,
    starts: Array,
    params: Array,
    c: Controls,
    out: Array,
    report: Array,
    status: NDArray[np.int64],
) -> None:
    from toymesa.kernels.rows import iterate_rows

    iterate_rows(compiled.field, times, starts, params, c.rtol, c.absolute(compiled.n), c.steady, out, report, status)


def observe_batch(compiled: CompiledModel, times: Array, states: Array, params: Array) -> Array:
    """Everything that is read off (row, time, state) arrays: (row, time, quantity), in ``observe_names`` order.

    times: (time,) common to all rows, or (row, time).
    """
    from toymesa.kernels.rows import observe_rows

    rows, count, _ = states.shape
    out = np.empty((rows, count, len(compiled.observe_names)))
    when = np.array(np.broadcast_to(times, (rows, count)), dtype=np.float64, order="C")
    if out.shape[2]:
        observe_rows(compiled.observe, when, np.ascontiguousarray(states), np.ascontiguousarray(params), out)
    out[~np.isfinite(states).all(axis=2)] = np.nan
    return out
