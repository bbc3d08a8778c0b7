"""Large ensembles of one model over threads: explicit lanes, implicit lanes for what turned stiff, the rest elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from toymesa.kernels.blocks import in_blocks
from toymesa.kernels.columns import Columns
from toymesa.kernels.lanes.drive import ELSEWHERE, HANDED_OVER, PASSED_ON, compiled_drive, drive
from toymesa.kernels.lanes.layout import FIXED_SHARED, aligned
from toymesa.kernels.lanes.programs import phases_of, programs
from toymesa.symbolic.model import Model

Array = NDArray[np.float64]
_BLOCK = 2048
# to load the queue that numba compiled takes half a second: not worth it for a few trajectories, unless there were many
# such calls before, which have cost as much together
_FEW, _LOADING = 32, 0.5
_interpreted = 0.0  # seconds


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
    *, threads: int | None = None, progress: Callable[[int, int], None] | None = None,
) -> tuple[tuple[str, ...], NDArray[np.int64]]:  # fmt: skip
    """Fill states, reports and statuses.

    Returns the methods whose steps columns 2 to 4 of the reports count, and the rows that must be solved outside the lanes.
    """
    global _interpreted
    rows = starts.rows
    outputs = run.times.size > 1 and not run.steady
    auto = run.method == "auto"
    phases = phases_of(model, run.method, run.rtol)
    columns = ("dop853" if "taylor" in phases else "tsit5", "taylor" if "taylor" in phases else "dop853", "rodas5p")
    # the first method is compiled by this thread, not by every one; the second only where something is handed over
    programs(model, phases[0], rtol=run.rtol, outputs=outputs, steady=run.steady, hand_over=auto)
    steps, reached = np.zeros(rows), np.zeros(rows, dtype=np.int64)
    shared = np.array([run.rtol, run.max_step, run.t0, run.direction, float(run.max_steps), *run.atol])
    assert shared.size == FIXED_SHARED + len(starts)

    many = rows > _FEW or _interpreted >= _LOADING or compiled_drive.cache_info().currsize > 0
    run_queue = compiled_drive() if many else drive
    began = time.perf_counter()

    def work(block: slice) -> None:
        x, p = starts.part(block), params.part(block)
        here = [a[block] for a in (out, report, steps, reached, status)]
        codes = here[-1]
        for phase in phases:
            left = PASSED_ON if phase != "rodas5p" else HANDED_OVER
            queue = np.arange(codes.size) if phase == phases[0] else np.flatnonzero(codes == left)
            if queue.size:
                first = auto and phase != "rodas5p"
                made = programs(model, phase, rtol=run.rtol, outputs=outputs, steady=run.steady, hand_over=first)
                layout = made.layout
                after, last = (
                    ("between", "read_off") if outputs else ("prepare", "prepare")
                )  # of no use without outputs
                first_call, step, make, read = (
                    made[name].for_numba if many else made[name] for name in ("prepare", "advance", after, last)
                )
                run_queue(
                    first_call, step, make, read, layout.state, layout.params, layout.read_off, 2 + columns.index(phase),
                    aligned(made.layout.rows, made.lanes), shared, run.times, outputs, run.steady, run.first_step, x, p,
                    queue, *here,
                )  # fmt: skip

    in_blocks(rows, _BLOCK, work, threads=threads, progress=progress)
    _interpreted += 0.0 if many else time.perf_counter() - began
    report[:, 0] = run.t0 + run.direction * report[:, 0]
    return columns, np.flatnonzero(status == ELSEWHERE)
