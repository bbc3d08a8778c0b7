"""How toymesa's speed changes with the number of states, the tolerance and the ensemble, beside the arithmetic peak."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from benchmarks import own, peak
from benchmarks.contender import Absent, Array
from benchmarks.problems import W1, Problem, modes
from benchmarks.report import Section, Settings, duration, number, table
from toymesa.kernels.lanes.programs import operations

TRIED = ("lanes",)
STATES, DECADES = (2, 4, 6, 8, 10, 12), range(3, 13)
SIZES = (1, 10, 100, 1000, 10_000, 100_000, 1_000_000)
POINTS, TOLERANCE = 20_000, 1e-6
COUNTED = 1000  # points on which steps are counted
HEAD = ["method", "trajectories/s", "a trajectory", "steps", "operations", "GFLOP/s", "of the peak"]


def measure(settings: Settings) -> Section:
    """Three tables by ``solve``; steps are counted by the kernel alone."""
    top = peak.measured()
    settings.log(f"peak {top / 1e9:.0f} GFLOP/s")
    section = Section("scaling", "", {"peak": top})
    points = settings.size(POINTS)
    seconds = settings.budget / (len(TRIED) * (len(STATES) + len(DECADES) + len(SIZES)))
    parts = {
        "states": [(f"{2 * k}", modes(k), points, TOLERANCE) for k in (n // 2 for n in STATES)],
        "tolerance": [(f"1e-{k}", W1, points, 10.0**-k) for k in DECADES],
        "points": [(f"{n:,}", W1, n, TOLERANCE) for n in SIZES if n <= max(settings.size(SIZES[-1]), 1)],
    }
    text = [
        f"### Scaling: arithmetic peak {top / 1e9:.0f} GFLOP/s (fused multiply-adds in registers, all threads)",
        "Operations are those of the programs, times the steps taken, rejected ones included.",
    ]
    for what, cases in parts.items():
        data = section.data.setdefault(what, [])
        rows = [row for case in cases for row in case_rows(*case, top, settings, seconds, data)]
        about = {"states": f"modes of a linear network, {points:,} points, tolerance {TOLERANCE:g}",
                 "tolerance": f"W1, {points:,} points", "points": f"W1, tolerance {TOLERANCE:g}"}[what]  # fmt: skip
        text += [f"By {what} ({about}):", table([what, *HEAD], rows)]
    section.text = "\n\n".join(text)
    return section


def case_rows(
    label: str, problem: Problem, points: int, tol: float, top: float, settings: Settings, seconds: float,
    data: list[Any],
) -> list[list[str]]:  # fmt: skip
    """One row a method; ``seconds`` bounds the rounds of each."""
    rows = []
    starts, params = problem.draw(points)
    for method in TRIED:
        try:
            own.known(method)
        except Absent as absent:
            rows.append([label, method, *["-"] * 5, str(absent)])
            continue
        few = min(points, COUNTED)
        steps, rejected, cost = counted(problem, starts[:few], params[:few], method, tol)
        run = own.solved(problem, method)
        trial = clocked(run, starts[:few], params[:few], tol)
        n = min(points, max(few, int(seconds * few / trial / settings.rounds)))
        spent = float(np.median([clocked(run, starts[:n], params[:n], tol) for _ in range(settings.rounds)])) / n
        rate = cost / spent
        data.append({"case": label, "method": method, "points": n, "seconds": spent, "steps": steps, "rejected": rejected,
                     "operations": cost})  # fmt: skip
        rows.append([label, method, number(1 / spent), duration(spent), f"{number(steps)} + {number(rejected)}",
                     number(cost), number(rate / 1e9), f"{rate / top:.1%}"])  # fmt: skip
        settings.log(f"  {label} {method}: {number(1 / spent)} trajectories/s")
    return rows


def counted(problem: Problem, starts: Array, params: Array, method: str, tol: float) -> tuple[float, float, float]:
    """Mean accepted steps, rejected steps and operations of a trajectory; rejections count like the method's mean step."""
    batch = own.kernel(problem, starts, params, method, tol)
    by_method, rejected = batch.steps.mean(axis=0), float(batch.rejected.mean())
    names = [name.removesuffix("-lanes") for name in batch.methods]
    cost = np.array(
        [operations(problem.model, name, tol) if done else 0.0 for name, done in zip(names, by_method, strict=True)]
    )
    steps = float(by_method.sum())
    return steps, rejected, float(by_method @ cost) * (1 + rejected / max(steps, 1.0))


def clocked(run: Any, starts: Array, params: Array, tol: float) -> float:
    """Seconds of one call."""
    begun = time.perf_counter()
    run(starts, params, tol)
    return time.perf_counter() - begun
