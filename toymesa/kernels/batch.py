"""Many trajectories: rows of starts and parameters over threads, and what is read off the results.

Every row is integrated alone, so its bits depend on nothing but itself.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toymesa.arguments import finite_rows
from toymesa.kernels.arrays import array_function, symbols_of
from toymesa.kernels.blocks import in_blocks
from toymesa.kernels.codes import LANES, METHODS, POWERS, REPORT
from toymesa.kernels.columns import Columns
from toymesa.kernels.generate import CompiledModel, observed
from toymesa.kernels.lanes.grid import grid_function
from toymesa.kernels.lanes.run import Run, run_lanes
from toymesa.symbolic.model import TIME

Array = NDArray[np.float64]
_BLOCK = 64
_READ = 4096


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
    """Results of a batch. states: (row, time, state); status and report a row each (``kernels.integrate``).

    methods: what the columns of ``steps`` count. elsewhere: rows that lanes gave up and a method one trajectory at a time
    solved, with its usual columns.
    """

    states: Array
    status: NDArray[np.int64]
    report: Array
    methods: tuple[str, str, str] = ("tsit5", "dop853", "rodas5p")
    elsewhere: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, dtype=np.int64))

    @property
    def steps(self) -> Array:
        """Accepted steps by method, (row, 3): of a pair of order 5, a method of high order, an implicit one."""
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
    starts: Array | Columns,
    params: Array | Columns,
    controls: Controls,
    *,
    t0: float = 0.0,
    threads: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Batch:
    """Integrate rows of ``starts`` (row, state) with ``params`` (row, parameter) to the common ``times``."""
    starts, params = (a if isinstance(a, Columns) else Columns.of(a) for a in (starts, params))
    if controls.method in LANES:
        return _lanes(compiled, times, starts, params, controls, t0, threads, progress)
    rows, begin, given = starts.rows, starts.table, params.table
    count = 1 if controls.steady else times.size
    states = np.full((rows, count, compiled.n), np.nan)
    status = np.zeros(rows, dtype=np.int64)
    report = np.zeros((rows, REPORT + compiled.n))
    run = _map_rows if compiled.model.discrete else _flow_rows

    compiled.field  # noqa: B018  # compiled here once, not by every thread

    def work(b: slice) -> None:
        run(compiled, t0, times, begin[b], given[b], controls, states[b], report[b], status[b])

    in_blocks(rows, _BLOCK, work, threads=threads, progress=progress)
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


def _lanes(
    compiled: CompiledModel, times: Array, starts: Columns, params: Columns, c: Controls, t0: float, threads: int | None,
    progress: Callable[[int, int], None] | None,
) -> Batch:  # fmt: skip
    """In lanes; what those give up (a lost pivot, an interpolant without a value) is solved one trajectory at a time."""
    rows = starts.rows
    out = Batch(
        np.full((rows, 1 if c.steady else times.size, compiled.n), np.nan),
        np.zeros(rows, dtype=np.int64),
        np.zeros((rows, REPORT + compiled.n)),
    )
    direction = -1.0 if times[-1] < t0 else 1.0
    run = Run(
        method=LANES[c.method], times=np.abs(times - t0), t0=t0, direction=direction, rtol=c.rtol,
        atol=c.absolute(compiled.n), first_step=c.first_step, max_step=c.max_step, max_steps=c.max_steps, steady=c.steady,
    )  # fmt: skip
    columns, given_up = run_lanes(
        compiled.model, run, starts, params, out.states, out.report, out.status, threads=threads, progress=progress
    )
    if given_up.size:
        alone = run_batch(
            compiled,
            times,
            starts.take(given_up),
            params.take(given_up),
            # Taylor's method has no form outside the lanes
            replace(c, method="auto" if c.method == "taylor-lanes" else LANES[c.method]),
            t0=t0,
            threads=threads,
        )
        out.states[given_up], out.status[given_up], out.report[given_up] = alone.states, alone.status, alone.report
    first, high, implicit = (f"{name}-lanes" for name in columns)
    return replace(out, methods=(first, high, implicit), elsewhere=given_up)


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


def observe_batch(
    compiled: CompiledModel, times: Array, states: Array, params: Array | Columns, names: Sequence[str] | None = None
) -> Array:
    """What is read off (row, time, state) arrays: (row, time, quantity), in the order of ``names`` or ``observe_names``.

    times: (time,) common to all rows, or (row, time).
    """
    rows, count = states.shape[:2]
    model, every = compiled.model, dict(observed(compiled.model))
    wanted = list(every) if names is None else list(names)
    exprs = [every[n] for n in wanted]
    given = params if isinstance(params, Columns) else Columns.of(params)
    if not exprs:
        return np.empty((rows, count, 0))
    if model.inner_run is not None:  # a run of the inner optimizer is no formula
        from toymesa.kernels.rows import observe_rows

        run = np.empty((rows, count, len(every)))
        flat = np.array(np.broadcast_to(times, (rows, count)), dtype=np.float64, order="C")
        table = np.ascontiguousarray(given.table)
        observe_rows(compiled.observe, flat, np.ascontiguousarray(states), table, run)
        out = np.moveaxis(run[..., [list(every).index(n) for n in wanted]], -1, 0)
    else:
        out = np.empty((len(exprs), rows, count))  # quantity by quantity, as it is computed and used
        columns: dict[Any, Array | float] = {TIME: times}
        columns |= {s: states[..., i] for i, s in enumerate(model.states)}
        columns |= {s: c if isinstance(c, float) else c[:, None] for s, c in zip(model.params, given, strict=True)}
        used = symbols_of(*exprs)
        _evaluate(exprs, {s: c for s, c in columns.items() if s in used}, out)
    lost = ~finite_rows(states)
    if lost.any():
        out[:, lost] = np.nan
    return np.moveaxis(out, 0, -1)


def _evaluate(exprs: Sequence[Any], columns: Mapping[Any, Array | float], out: Array) -> None:
    """Formulas of columns, always by the same code, so that a number's bits depend on its own row alone.

    columns: (row, time) or (row, 1); (time,) or a number where all rows have the same.
    """
    vectors = grid_function((), list(columns), exprs)
    _, rows, count = out.shape
    height = min(max(1, _READ // max(count, 1)), rows)  # as many rows at a time as stay in a cache
    function = array_function(list(columns), exprs) if vectors is None else None
    spare: deque[Array] = deque()  # tables of arguments: what is the same in all rows is written only once into each

    def evaluate_block(here: slice) -> None:
        try:
            table, size = spare.pop(), here.stop - here.start
        except IndexError:  # one for each thread
            table, size = np.empty((len(columns), height, count)), here.stop - here.start
            for k, column in enumerate(columns.values()):
                if np.ndim(column) < 2:
                    table[k] = column
        for line, column in zip(table, columns.values(), strict=True):
            if isinstance(column, np.ndarray) and column.ndim == 2:
                line[:size] = column[here]
        arguments = table[:, :size].reshape(len(columns), -1)
        results = [result[here].reshape(1, -1) for result in out]
        if vectors is not None:
            vectors(np.empty((1, 0)), arguments, results, threads=1)
        elif function is not None:
            for result, values in zip(results, function(*arguments), strict=True):
                result[:] = values
        spare.append(table)

    in_blocks(rows, height, evaluate_block, least=16)
