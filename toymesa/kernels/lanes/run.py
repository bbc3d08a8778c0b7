"""Large ensembles of one model over threads: explicit lanes, implicit lanes for what turned stiff, the rest elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toymesa.kernels.blocks import in_blocks
from toymesa.kernels.codes import OK
from toymesa.kernels.columns import Columns
from toymesa.kernels.lanes.drive import ELSEWHERE, ENDED, HANDED_OVER, PASSED_ON, compiled_drive, drive
from toymesa.kernels.lanes.interpolate import powers_of
from toymesa.kernels.lanes.layout import FIXED_SHARED, Layout, aligned
from toymesa.kernels.lanes.programs import phases_of, programs, watching
from toymesa.kernels.watched import Steps, Watch
from toymesa.symbolic.model import Model

Array = NDArray[np.float64]
_BLOCK = 2048
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


def run_lanes(
    model: Model, run: Run, starts: Columns, params: Columns, out: Array, report: Array, status: NDArray[np.int64],
    *, watch: Watch | None = None, threads: int | None = None, progress: Callable[[int, int], None] | None = None,
) -> tuple[tuple[str, ...], NDArray[np.int64]]:  # fmt: skip
    """Fill states, reports and statuses.

    Returns the methods whose steps columns 2 to 4 of the reports count, and the rows that must be solved outside the lanes.
    watch: events to look for; a row that stopped for one is ok, and in ``watch.ended``.
    """
    global _interpreted
    rows = starts.rows
    outputs = run.times.size > 1 and not run.steady
    auto = run.method == "auto"
    phases = phases_of(model, run.method, run.rtol)
    columns = ("dop853" if "taylor" in phases else "tsit5", "taylor" if "taylor" in phases else "dop853", "rodas5p")
    events = () if watch is None else watch.events
    how: dict[str, Any] = {"rtol": run.rtol, "outputs": outputs, "steady": run.steady, "watched": bool(events)}
    # the first method is compiled by this thread, not by every one; the second only where something is handed over
    first_made = programs(model, phases[0], hand_over=auto, **how)
    if events:
        watching(model, phases[0], first_made, events)
    steps, reached = np.zeros(rows), np.zeros(rows, dtype=np.int64)
    shared = np.array([run.rtol, run.max_step, run.t0, run.direction, float(run.max_steps), *run.atol])
    assert shared.size == FIXED_SHARED + len(starts)
    shared = np.concatenate([shared, *(e.values for e in events)])
    lost = np.empty((rows, 0)) if watch is None else watch.lost

    many = rows > _FEW or _interpreted >= _LOADING or compiled_drive.cache_info().currsize > 0
    run_queue = compiled_drive() if many else drive
    began = time.perf_counter()

    def work(block: slice) -> None:
        x, p = starts.part(block), params.part(block)
        here = [a[block] for a in (out, report, steps, reached, status, lost)]
        codes = here[-2]
        for phase in phases:
            left = PASSED_ON if phase != "rodas5p" else HANDED_OVER
            queue = np.arange(codes.size) if phase == phases[0] else np.flatnonzero(codes == left)
            if queue.size:
                first = auto and phase != "rodas5p"
                made = programs(model, phase, hand_over=first, **how)
                layout = replace(made.layout, events=len(events))
                # those that are of no use were not made
                calls = [
                    made.compiled.get(name, made["prepare"]) for name in ("prepare", "advance", "between", "read_off")
                ]
                calls.append(watching(model, phase, made, events) if events else made["prepare"])
                first_call, step, make, read, look = (c.for_numba if many else c for c in calls)
                room = np.empty((_ROOM if events else 0, 4 + 2 * layout.n + layout.powers * layout.n))
                kept = run_queue(
                    first_call, step, make, read, look, layout.state, layout.params, layout.read_off, layout.interpolant,
                    layout.seen, 2 + columns.index(phase), aligned(layout.rows, made.lanes), shared, run.times, outputs,
                    run.steady, run.first_step, x, p, queue, *(*here, room),
                )  # fmt: skip
                if watch is not None:
                    watch.steps.append(_steps(phase, kept, layout, block.start))

    def quiet(block: slice) -> None:
        with np.errstate(all="ignore"):  # not compiled, arithmetic beyond the range of numbers would warn
            work(block)

    in_blocks(rows, _BLOCK, work if many else quiet, threads=threads, progress=progress)
    _interpreted += 0.0 if many else time.perf_counter() - began
    if watch is not None:
        watch.ended[:] = status == ENDED
        status[watch.ended] = OK
    report[:, 0] = run.t0 + run.direction * report[:, 0]
    return columns, np.flatnonzero(status == ELSEWHERE)


def _steps(method: str, kept: Array, layout: Layout, first: int) -> Steps:
    """The steps that a queue kept, its first row being ``first``."""
    n = layout.n
    levels = kept[:, 4 + 2 * n :].reshape(-1, layout.powers, n)
    before, ends = kept[:, 4 : 4 + n], kept[:, 4 + n : 4 + 2 * n]
    rows, events = (kept[:, i].astype(np.int64) for i in range(2))
    return Steps(
        rows + first, kept[:, 2], kept[:, 3], powers_of(method, before, levels, kept[:, 3]), ends.copy(), events
    )
