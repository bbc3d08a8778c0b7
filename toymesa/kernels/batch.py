"""Many trajectories: rows of starts and parameters over threads, and what is read off the results.

Every row is integrated alone, so its bits depend on nothing but itself.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toymesa.arguments import finite_rows
from toymesa.kernels.arrays import symbols_of
from toymesa.kernels.blocks import in_blocks
from toymesa.kernels.codes import ALONE, LANES, METHODS, POWERS, REPORT
from toymesa.kernels.columns import Columns, by_column
from toymesa.kernels.formulas import evaluate_formulas
from toymesa.kernels.generate import CompiledModel, observed
from toymesa.kernels.lanes.run import Ends, Run, run_lanes
from toymesa.kernels.watched import Steps, Watch
from toymesa.symbolic.model import TIME

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
    """Results of a batch. states: (row, time, state); status, when: (row,), how and at which time each ended.

    steps: (row, 3), accepted ones by ``methods``: a pair of order 5, a method of high order, an implicit one; rejected:
    (row,), by all. elsewhere: rows that lanes gave up and a method one trajectory at a time solved, with its usual
    columns. stopped: rows that did not end in the last of their states, and the states they ended in, (row, state).
    """

    states: Array
    status: NDArray[np.uint8]
    when: Array
    steps: NDArray[np.int32]
    rejected: NDArray[np.int32]
    stopped: tuple[NDArray[np.int64], Array]
    methods: tuple[str, str, str] = ALONE
    elsewhere: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, dtype=np.int64))

    @classmethod
    def of(cls, states: Array, status: NDArray[np.int64], report: Array) -> Batch:
        """From the reports of ``kernels.integrate``."""
        steps = report[:, 2:6].astype(np.int32)
        stopped = np.arange(status.size), report[:, REPORT:]
        return cls(states, status.astype(np.uint8), report[:, 0], steps[:, :3], steps[:, 3], stopped)

    @property
    def reached(self) -> Array:
        """The state in which each trajectory ended, (row, state)."""
        out, (rows, states) = self.states[:, -1].copy(), self.stopped
        out[rows] = states
        return out


def run_batch(
    compiled: CompiledModel,
    times: Array,
    starts: Array | Columns,
    params: Array | Columns,
    controls: Controls,
    *,
    t0: float = 0.0,
    watch: Watch | None = None,
    threads: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Batch:
    """Integrate rows of ``starts`` (row, state) with ``params`` (row, parameter) to the common ``times``.

    watch: events to look for on the way, filled with what is seen of them. In lanes a sure crossing of a terminal one
    ends a trajectory (``watch.ended``).
    """
    starts, params = (a if isinstance(a, Columns) else Columns.of(a) for a in (starts, params))
    if controls.method in LANES:
        return _lanes(compiled, times, starts, params, controls, t0, watch, threads, progress)
    rows, begin, given = starts.rows, starts.table, params.table
    count = 1 if controls.steady else times.size
    states = np.full((rows, count, compiled.n), np.nan)
    status, report = np.zeros(rows, dtype=np.int64), np.zeros((rows, REPORT + compiled.n))
    if watch is not None:
        for row in range(rows):
            states[row], status[row], report[row], steps = record(
                compiled, times, begin[row], given[row], controls, t0=t0, row=row
            )
            watch.look(steps, params)
            if progress is not None:
                progress(row + 1, rows)
        return Batch.of(states, status, report)
    run = _map_rows if compiled.model.discrete else _flow_rows

    compiled.field  # noqa: B018  # compiled here once, not by every thread

    def work(b: slice) -> None:
        run(compiled, t0, times, begin[b], given[b], controls, states[b], report[b], status[b])

    in_blocks(rows, _BLOCK, work, threads=threads, progress=progress)
    return Batch.of(states, status, report)


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
    compiled: CompiledModel, times: Array, starts: Columns, params: Columns, c: Controls, t0: float, watch: Watch | None,
    threads: int | None, progress: Callable[[int, int], None] | None,
) -> Batch:  # fmt: skip
    """In lanes; what those give up (a lost pivot, an interpolant without a value) is solved one trajectory at a time."""
    rows = starts.rows
    states = by_column(rows, 1 if c.steady else times.size, compiled.n)
    ends = Ends(np.empty(rows, np.uint8), np.empty(rows), np.empty((4, rows), np.int32).T, [])
    direction = -1.0 if times[-1] < t0 else 1.0
    run = Run(
        method=LANES[c.method], times=np.abs(times - t0), t0=t0, direction=direction, rtol=c.rtol,
        atol=c.absolute(compiled.n), first_step=c.first_step, max_step=c.max_step, max_steps=c.max_steps, steady=c.steady,
    )  # fmt: skip
    columns, given_up = run_lanes(
        compiled.model, run, starts, params, states, ends, watch=watch, threads=threads, progress=progress
    )
    np.multiply(ends.when, direction, out=ends.when)
    np.add(ends.when, t0, out=ends.when)
    nowhere = [(np.empty(0, dtype=np.int64), np.empty((0, compiled.n)))]
    stopped, last = (np.concatenate(part) for part in zip(*nowhere, *ends.stopped, strict=True))
    first, high, implicit = (f"{name}-lanes" for name in columns)
    out = Batch(
        states, ends.status, ends.when, ends.steps[:, :3], ends.steps[:, 3], (stopped, last), (first, high, implicit)
    )
    return again(compiled, times, starts, params, c, out, given_up, t0=t0, watch=watch, threads=threads)


def again(
    compiled: CompiledModel, times: Array, starts: Columns, params: Columns, c: Controls, out: Batch, rows: NDArray[np.int64],
    *, t0: float = 0.0, watch: Watch | None = None, threads: int | None = None,
) -> Batch:  # fmt: skip
    """What lanes left in ``out``, with some rows solved again, one trajectory at a time."""
    if not rows.size:
        return out
    # Taylor's method has no form outside the lanes
    how = replace(c, method="auto" if c.method == "taylor-lanes" else LANES[c.method])
    mine = None if watch is None else watch.part(rows)
    alone = run_batch(compiled, times, starts.take(rows), params.take(rows), how, t0=t0, watch=mine, threads=threads)
    if watch is not None and mine is not None:
        watch.put(rows, mine)
    out.states[rows], out.status[rows] = alone.states, alone.status
    out.when[rows], out.steps[rows], out.rejected[rows] = alone.when, alone.steps, alone.rejected
    others = ~np.isin(out.stopped[0], rows)
    stopped = np.concatenate([out.stopped[0][others], rows]), np.concatenate([out.stopped[1][others], alone.reached])
    return replace(out, stopped=stopped, elsewhere=np.union1d(out.elsewhere, rows))


def record(
    compiled: CompiledModel,
    times: Array,
    start: Array,
    params: Array,
    controls: Controls,
    *,
    t0: float = 0.0,
    row: int = 0,
) -> tuple[Array, int, Array, Steps]:
    """One trajectory with every accepted step: states at ``times``, status, report, and the steps (of ``row``)."""
    from toymesa.kernels.integrate import integrate

    c, capacity = controls, 256
    while True:
        out = np.full((1 if controls.steady else times.size, compiled.n), np.nan)
        report = np.zeros(REPORT + compiled.n)
        segments, coefficients = np.zeros((capacity, 2)), np.zeros((capacity, POWERS, compiled.n))
        status = integrate(
            compiled.field, METHODS[c.method], t0, times, start, params, c.rtol, c.absolute(compiled.n), c.first_step,
            c.max_step, c.max_steps, c.fixed, c.steady, np.asarray(compiled.algebraic, dtype=np.int64), out, report,
            segments, coefficients,
        )  # fmt: skip
        accepted = int(report[2:5].sum())
        if accepted <= capacity:
            begin, length = np.abs(segments[:accepted] - [t0, 0.0]).T
            made = coefficients[:accepted]
            ends = np.concatenate([made[1:, 0], report[None, REPORT:]])[:accepted]
            rows, events = np.full(accepted, row), np.zeros(accepted, dtype=np.int64)
            return out, int(status), report, Steps(rows, begin, length, made, ends, events)
        capacity = accepted  # deterministic: the second run makes the same steps


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
) -> list[Array]:
    """What is read off (row, time, state) arrays: each (row, time), in the order of ``names`` or ``observe_names``.

    times: (time,) common to all rows, or (row, time).
    """
    rows, count = states.shape[:2]
    model, every = compiled.model, dict(observed(compiled.model))
    wanted = list(every) if names is None else list(names)
    exprs = [every[n] for n in wanted]
    given = params if isinstance(params, Columns) else Columns.of(params)
    if not exprs:
        return []
    if model.inner_run is not None:  # a run of the inner optimizer is no formula
        from toymesa.kernels.rows import observe_rows

        run = np.empty((rows, count, len(every)))
        flat = np.array(np.broadcast_to(times, (rows, count)), dtype=np.float64, order="C")
        table = np.ascontiguousarray(given.table)
        observe_rows(compiled.observe, flat, np.ascontiguousarray(states), table, run)
        out = [run[..., list(every).index(n)] for n in wanted]
    else:
        out = [np.empty((rows, count)) for _ in exprs]
        columns: dict[Any, Array | float] = {TIME: times}
        columns |= {s: states[..., i] for i, s in enumerate(model.states)}
        columns |= {s: c if isinstance(c, float) else c[:, None] for s, c in zip(model.params, given, strict=True)}
        used = symbols_of(*exprs)
        evaluate_formulas(exprs, {s: c for s, c in columns.items() if s in used}, out)
    found = finite_rows(states)
    if not found.all():
        for values in out:
            values[~found] = np.nan
    return out
