"""What the labelled layer costs: the mechanism model's million-point ensemble through ``solve``, and the kernel alone."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import xarray as xr

import toymesa as tm
from benchmarks.contender import THREADS
from benchmarks.report import Section, Settings, duration, number, table
from toymesa.kernels.batch import Controls, run_batch
from toymesa.kernels.generate import compile_model

POINTS, END, TOLERANCE = 1_000_000, 20.0, 1e-6
TRIED = ("lanes", "rodas5p-lanes")
WANTED = 0.10


def measure(settings: Settings) -> Section:
    """Rounds of solve and kernel in turn, by method."""
    points, model = settings.size(POINTS), tm.models.mechanisms()
    rng = np.random.default_rng(7)
    ranges = {"diversity": (1.0, 16.0), "lam": (1e-3, 0.1), "mu": (0.0, 0.3)}
    given = {name: rng.uniform(*between, points) for name, between in ranges.items()}
    columns = [given.get(s.name, np.full(points, p.default)) for s, p in model.params.items()]
    params, compiled = np.ascontiguousarray(np.stack(columns, axis=1)), compile_model(model)
    first = tm.solve(model, [0.0])
    starts = np.ascontiguousarray(np.tile([float(first[s].values[0]) for s in model.state_names], (points, 1)))
    labels = {n: xr.DataArray(v, dims="point") for n, v in given.items()}
    rows: list[list[str]] = []
    data: dict[str, Any] = {}
    section = Section("layer", "", data)
    for method in TRIED:

        def solve(n: int, method: str = method) -> Any:
            some = {k: v[:n] for k, v in labels.items()}
            return tm.solve(model, [END], params=some, method=method, rtol=TOLERANCE, atol=TOLERANCE, threads=THREADS)

        def kernel(n: int, method: str = method) -> Any:
            how = Controls(method=method, rtol=TOLERANCE, atol=TOLERANCE)
            return run_batch(compiled, np.array([END]), starts[:n], params[:n], how, threads=THREADS)

        solve(64), kernel(64)
        few = min(points, 2000)
        cost = clocked(solve, few) / few
        n = min(points, max(few, int(settings.budget / (2 * settings.rounds * cost))))
        pairs = [(clocked(solve, n), clocked(kernel, n)) for _ in range(settings.rounds)]
        data[method] = {"points": n, "solve and kernel": pairs}
        over = np.array([a / b - 1 for a, b in pairs])
        middle = [float(np.median(x)) for x in zip(*pairs, strict=True)]
        note = f"{n:,} points" if n < points else ""
        rows.append([method, duration(middle[0] / n), duration(middle[1] / n),
                     f"{np.median(over):.1%} ({over.min():.1%} to {over.max():.1%})", note])  # fmt: skip
        settings.log(f"  {method}: {number(n / middle[0])} trajectories/s through solve")
    judged(section)
    section.text = "\n\n".join(
        [f"### The labelled layer: mechanism model, {points:,} points, t 0..{END:g}, tolerance {TOLERANCE:g}",
         table(["method", "solve, a trajectory", "kernel alone", "overhead, median (range)", "note"], rows)]
    )  # fmt: skip
    return section


def judged(section: Section) -> None:
    """The goal, by the fastest method that ran."""
    if not section.data:
        return

    def cost(name: str) -> float:
        pairs = section.data[name]["solve and kernel"]
        return float(np.median([a for a, _ in pairs])) / section.data[name]["points"]

    name = min(section.data, key=cost)
    over = float(np.median([a / b - 1 for a, b in section.data[name]["solve and kernel"]]))
    said = f"{over:.1%} by {name}: " + ("met" if over < WANTED else f"missed by {over - WANTED:.1%}")
    section.goals.append(("overhead of solve, a million points", f"< {WANTED:.0%}", said, over < WANTED))


def clocked(call: Callable[[int], Any], n: int) -> float:
    """Seconds of one call."""
    begun = time.perf_counter()
    call(n)
    return time.perf_counter() - begun
