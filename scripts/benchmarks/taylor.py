"""heyoka: batches of Taylor integrators, one copy a thread, states and parameters overwritten in place."""

from __future__ import annotations

import copy
from functools import partial
from typing import Any

import numpy as np

from benchmarks.contender import THREADS, Array, Contender, Run, needs, on_threads
from benchmarks.problems import Problem

PACKAGE = "heyoka"


def equations(problem: Problem) -> list[Any]:
    """The system as heyoka expressions, parameters at run time."""
    import heyoka as hy

    x = hy.make_vars(*problem.starts) if problem.n > 1 else [hy.make_vars(*problem.starts)]
    p = [hy.par[i] for i in range(len(problem.params))]
    return list(zip(x, problem.rates(x, p, hy.tanh), strict=True))


def batches(problem: Problem, size: int, *, sort: bool) -> Run:
    """Ensembles in batches of ``size``, points of like stiffness together."""
    needs("heyoka")
    import heyoka as hy

    system = equations(problem)
    made: dict[float, list[Any]] = {}

    def integrators(tol: float) -> list[Any]:
        if tol not in made:
            made.clear()
            first = hy.taylor_adaptive_batch(
                system, np.zeros((problem.n, size)), tol=tol, pars=np.zeros((len(problem.params), size))
            )
            made[tol] = [first, *(copy.copy(first) for _ in range(THREADS - 1))]
        return list(made[tol])

    def run(starts: Array, params: Array, tol: float) -> Array:
        count, workers = len(starts), integrators(tol)
        order = np.argsort(problem.proxy(starts, params)) if sort else np.arange(count)
        x, p, out = starts[order].T, params[order].T, np.empty((count, problem.n))

        def work(thread: int, rows: slice) -> None:
            ta, here = workers[thread], rows.stop - rows.start
            ta.set_time(0.0)
            ta.state[:, :here], ta.pars[:, :here] = x[:, rows], p[:, rows]
            if here < size:  # the last batch is filled up with copies
                ta.state[:, here:], ta.pars[:, here:] = x[:, rows][:, -1:], p[:, rows][:, -1:]
            ta.propagate_until(problem.end)
            out[order[rows]] = ta.state[:, :here].T

        on_threads(work, count, size)
        return out

    return run


def contenders(problem: Problem) -> list[Contender]:
    """Batches of 16 and 8, sorted, and of 8 as they come; on a stiff problem one, for completeness."""
    ways = [(8, True)] if problem.stiff else [(16, True), (8, True), (8, False)]
    return [
        Contender(f"heyoka, batch {b}, {'sorted' if s else 'unsorted'}", PACKAGE, partial(batches, problem, b, sort=s))
        for b, s in ways
    ]
