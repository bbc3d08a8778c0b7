"""toymesa's contenders: the labelled call that users make, and the kernel alone beside it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import numpy as np
import xarray as xr

import toymesa as tm
from benchmarks.contender import THREADS, Absent, Array, Contender, Run
from benchmarks.problems import Problem
from toymesa.kernels.batch import Batch, Controls, run_batch
from toymesa.kernels.codes import LANES, METHODS
from toymesa.kernels.generate import compile_model

# "lanes" is what "auto" takes; a method without "-lanes" solves one trajectory at a time
SOLVE = ("lanes", "taylor-lanes", "tsit5-lanes", "dop853-lanes", "rodas5p-lanes", "dop853", "rodas5p")
KERNEL = ("lanes",)
EXPLICIT = ("taylor-lanes", "tsit5-lanes", "dop853-lanes", "dop853")
MAX_STEPS = 10_000_000


def columns(names: Mapping[str, object], table: Array) -> dict[str, xr.DataArray]:
    """Each column of a table as an array along the dimension ``point``."""
    return {name: xr.DataArray(table[:, i], dims="point") for i, name in enumerate(names)}


def known(method: str) -> None:
    """Raise Absent for a method that this version of toymesa does not have."""
    if method not in METHODS and method not in LANES:
        raise Absent("no such method in this version")


def ends(problem: Problem, starts: Array, params: Array, method: str, tol: float) -> xr.Dataset:
    """The labelled answer at the end time."""
    return tm.solve(
        problem.model, [problem.end], start=columns(problem.starts, starts), params=columns(problem.params, params),
        method=method, rtol=tol, atol=tol, max_steps=MAX_STEPS, on_fail="status", threads=THREADS,
    )  # fmt: skip


def solved(problem: Problem, method: str) -> Run:
    """``toymesa.solve`` as a contender."""
    known(method)

    def run(starts: Array, params: Array, tol: float) -> Array:
        data = ends(problem, starts, params, method, tol)
        return np.stack([data[s].values[..., -1] for s in problem.starts], axis=1)

    return run


def kernel(problem: Problem, starts: Array, params: Array, method: str, tol: float) -> Batch:
    """What the compiled code returns, without labels."""
    how = Controls(method=method, rtol=tol, atol=tol, max_steps=MAX_STEPS)
    return run_batch(compile_model(problem.model), np.array([problem.end]), starts, params, how, threads=THREADS)


def alone(problem: Problem, method: str) -> Run:
    """The kernel alone as a contender."""
    known(method)
    return lambda starts, params, tol: kernel(problem, starts, params, method, tol).states[:, -1]


def contenders(problem: Problem) -> list[Contender]:
    """Every method of toymesa that can solve the problem in reasonable time."""
    methods = [m for m in SOLVE if not (problem.stiff and m in EXPLICIT)]
    found = [Contender(f"toymesa {m}", "toymesa", partial(solved, problem, m)) for m in methods]
    return found + [Contender(f"toymesa {m}, kernel alone", "toymesa", partial(alone, problem, m)) for m in KERNEL]
