"""Large ensembles of one model over threads: explicit lanes, implicit lanes for what turned stiff, the rest elsewhere."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toymesa.kernels.blocks import in_blocks
from toymesa.kernels.codes import OK, REPORT
from toymesa.kernels.columns import Columns
from toymesa.kernels.events import Event
from toymesa.kernels.lanes.build import addresses
from toymesa.kernels.lanes.drive import ELSEWHERE, ENDED, HANDED_OVER, PASSED_ON, compiled_drive, drive
from toymesa.kernels.lanes.interpolate import powers_of
from toymesa.kernels.lanes.layout import FIXED_SHARED, Layout, aligned
from toymesa.kernels.lanes.programs import phases_of, programs, watching
from toymesa.kernels.watched import Steps, Watch
from toymesa.symbolic.model import Model

Array = NDArray[np.float64]
_BLOCK, _LARGE = 2048, 4096  # rows at a time; the large ones cost less each, and threads share few of them less evenly
# to load the queue that numba compiled takes half a second: not worth it for a few trajectories, unless there were many
# such calls before, which have cost as much together
_FEW, _LOADING = 32, 0.5
_interpreted = 0.0  # seconds
_ROOM = 256  # steps kept for events, for a start


@dataclass(frozen=True, kw_only=True)
class Run:
    """What a run needs besides starts and parameters. method: "taylor", "tsit5", "dop853", "rodas5p" or "auto".

    times: elapsed times, rising from 0 on; direction: 1 or -1. atol: one number a state.
    """

    method: str
    times: Array
    t0: float
    direction: float
    rtol: float
    atol: Array
    first_step: float
    max_step: float
    max_steps: int
    steady: bool


@dataclass(frozen=True)
class Ends:
    """How trajectories ended: (row,) and (row, entry); filled a block at a time.

    status: codes; when: elapsed times; steps: (row, 4), by the methods that ``run_lanes`` says, and rejected ones; stopped:
    for each block the rows that are not ok, or stopped for an event, and their states, (row, state).
    """

    status: NDArray[np.uint8]
    when: Array
    steps: NDArray[np.int32]
    stopped: list[tuple[NDArray[np.int64], Array]]


class _Phase:
    """One method of a run, ready to be called. before: the first arguments of the queue."""

    def __init__(
        self, model: Model, method: str, column: int, how: dict[str, Any], events: Sequence[Event], *, many: bool
    ) -> None:
        made = programs(model, method, **how)
        self.method, self.lanes, self.layout = method, made.lanes, replace(made.layout, events=len(events))
        # those that are of no use were not made
        used = [made.compiled.get(name, made["prepare"]) for name in ("prepare", "advance", "between", "read_off")]
        used.append(watching(model, method, made, events) if events else made["prepare"])
        a = self.layout
        places = a.state, a.params, a.read_off, a.interpolant, a.seen
        self.before = (addresses(used) if many else used, *places, column)


class _Bench:
    """What a thread works on, block after block: memory that is used again is in a cache already."""

    def __init__(self, rows: int, n: int, starts: Columns, params: Columns) -> None:
        self.starts, self.params = starts.room(rows), params.room(rows)
        self.report, self.steps = np.empty((rows, REPORT + n)), np.empty(rows)
        self.reached, self.status = np.zeros(rows, dtype=np.int64), np.zeros(rows, dtype=np.int64)
        self.queue = np.arange(rows)
        self._rooms: dict[str, tuple[Array, Array]] = {}

    def room(self, phase: _Phase, events: bool) -> tuple[Array, Array]:
        """The workspace of a phase, and room for steps that events need."""
        if phase.method not in self._rooms:
            layout = phase.layout
            width = 4 + 2 * layout.n + layout.powers * layout.n
            self._rooms[phase.method] = aligned(layout.rows, phase.lanes), np.empty((_ROOM if events else 0, width))
        return self._rooms[phase.method]


def run_lanes(
    model: Model, run: Run, starts: Columns, params: Columns, out: Array, ends: Ends, *, watch: Watch | None = None,
    threads: int | None = None, progress: Callable[[int, int], None] | None = None,
) -> tuple[tuple[str, ...], NDArray[np.int64]]:  # fmt: skip
    """Fill states (row, time, state) and how each row ended.

    Returns the methods whose steps the columns count, and the rows that must be solved outside the lanes.
    watch: events to look for; a row that stopped for one is ok, and in ``watch.ended``.
    """
    global _interpreted
    rows, n = starts.rows, len(starts)
    outputs = run.times.size > 1 and not run.steady
    auto = run.method == "auto"
    phases = phases_of(model, run.method, run.rtol)
    columns = ("dop853" if "taylor" in phases else "tsit5", "taylor" if "taylor" in phases else "dop853", "rodas5p")
    events = () if watch is None else watch.events
    how: dict[str, Any] = {"rtol": run.rtol, "outputs": outputs, "steady": run.steady, "watched": bool(events)}
    shared = np.array([run.rtol, run.max_step, run.t0, run.direction, float(run.max_steps), *run.atol])
    assert shared.size == FIXED_SHARED + n
    shared = np.concatenate([shared, *(e.values for e in events)])
    lost = np.empty((rows, 0)) if watch is None else watch.lost

    many = rows > _FEW or _interpreted >= _LOADING or compiled_drive.cache_info().currsize > 0
    run_queue = compiled_drive() if many else drive
    ready: dict[str, _Phase] = {}

    def phase_of(method: str) -> _Phase:
        if method not in ready:
            hand_over = auto and method != "rodas5p"
            column = 2 + columns.index(method)
            ready[method] = _Phase(model, method, column, how | {"hand_over": hand_over}, events, many=many)
        return ready[method]

    # the first method is compiled by this thread, not by every one; the second only where something is handed over
    phase_of(phases[0])
    height = _LARGE if threads == 1 or rows >= 128 * _LARGE else _BLOCK
    benches: deque[_Bench] = deque()
    began = time.perf_counter()

    def work(block: slice) -> None:
        size = block.stop - block.start
        try:
            bench = benches.pop()
        except IndexError:
            bench = _Bench(min(height, rows), n, starts, params)
        x, p = starts.part(block, bench.starts), params.part(block, bench.params)
        report, codes, queue = bench.report[:size], bench.status[:size], bench.queue[:size]
        here = out[block], report, bench.steps[:size], bench.reached[:size], codes, lost[block]
        codes[:] = 0
        for method in phases:
            if method != phases[0]:
                queue = (codes == (PASSED_ON if method != "rodas5p" else HANDED_OVER)).nonzero()[0]
            if queue.size:
                phase = phase_of(method)
                workspace, room = bench.room(phase, bool(events))
                kept = run_queue(
                    *phase.before, workspace, shared, run.times, outputs, run.steady, run.first_step, x, p, queue, *here,
                    room,
                )  # fmt: skip
                if watch is not None:
                    watch.steps.append(_steps(method, kept.copy(), phase.layout, block.start))
            odd = (codes != OK).nonzero()[0]
            if not odd.size:
                break
        ends.status[block] = codes
        ends.when[block] = report[:, 0]
        ends.steps[block] = report[:, 2:6]
        if odd.size:
            ends.stopped.append((odd + block.start, report[odd, REPORT:]))
        benches.append(bench)

    def quiet(block: slice) -> None:
        with np.errstate(all="ignore"):  # not compiled, arithmetic beyond the range of numbers would warn
            work(block)

    in_blocks(rows, height, work if many else quiet, threads=threads, progress=progress)
    _interpreted += 0.0 if many else time.perf_counter() - began
    if watch is not None:
        watch.ended[:] = ends.status == ENDED
        ends.status[watch.ended] = OK
    return columns, np.flatnonzero(ends.status == ELSEWHERE)


def _steps(method: str, kept: Array, layout: Layout, first: int) -> Steps:
    """The steps that a queue kept, its first row being ``first``."""
    n = layout.n
    levels = kept[:, 4 + 2 * n :].reshape(-1, layout.powers, n)
    before, ends = kept[:, 4 : 4 + n], kept[:, 4 + n : 4 + 2 * n]
    rows, events = (kept[:, i].astype(np.int64) for i in range(2))
    return Steps(
        rows + first, kept[:, 2], kept[:, 3], powers_of(method, before, levels, kept[:, 3]), ends.copy(), events
    )
