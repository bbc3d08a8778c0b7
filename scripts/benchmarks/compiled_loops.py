"""numbalsoda and CyRK: compiled solvers called from a compiled, parallel loop over the points."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from benchmarks.contender import Array, Contender, Run, needs, silent
from benchmarks.problems import Problem
from benchmarks.sources import function

MAX_STEPS = 10_000_000


def numbalsoda(problem: Problem, method: str) -> Run:
    """``lsoda`` or ``dop853`` of numbalsoda."""
    needs("numbalsoda", "numba")
    import numba as nb
    import numbalsoda as nbs

    rates = nb.cfunc(nbs.lsoda_sig)(function(problem, "lsoda"))
    address, solver, n = rates.address, {"lsoda": nbs.lsoda, "dop853": nbs.dop853}[method], problem.n
    times = np.array([0.0, problem.end])

    @nb.njit(parallel=True)
    def every(starts: Any, params: Any, tol: Any, out: Any) -> None:
        for i in nb.prange(starts.shape[0]):
            states, success = solver(address, starts[i], times, params[i], tol, tol, MAX_STEPS)
            for k in range(n):
                out[i, k] = states[1, k] if success else np.nan

    def run(starts: Array, params: Array, tol: float) -> Array:
        out = np.empty_like(starts)
        with silent():  # its DOP853 prints to the console
            every(starts, params, tol, out)
        return out

    return run


def cyrk(problem: Problem, method: str) -> Run:
    """CyRK's C++ solver by its numba entry point."""
    needs("CyRK", "numba")
    import numba as nb
    from CyRK import nb_diffeq_addr, nbsolve2_ivp

    address, n, span = nb_diffeq_addr(function(problem, "cyrk")), problem.n, (0.0, problem.end)

    @nb.njit(parallel=True)
    def every(starts: Any, params: Any, tol: Any, out: Any) -> None:
        for i in nb.prange(starts.shape[0]):
            found = nbsolve2_ivp(address, span, starts[i], method=method, args=params[i], rtol=tol, atol=tol)
            last = found.size - 1
            for k in range(n):
                out[i, k] = found.y[k, last] if found.success else np.nan
            found.free()

    def run(starts: Array, params: Array, tol: float) -> Array:
        out = np.empty_like(starts)
        every(starts, params, tol, out)
        return out

    return run


def contenders(problem: Problem) -> list[Contender]:
    """The methods that suit the problem."""
    lsoda = ["lsoda"] if problem.stiff else ["lsoda", "dop853"]
    names = ["Radau", "LSODA", "BDF"] if problem.stiff else ["DOP853", "Vern7", "Tsit5"]
    found = [Contender(f"numbalsoda {m}", "numbalsoda", partial(numbalsoda, problem, m)) for m in lsoda]
    return found + [Contender(f"CyRK {m}", "CyRK", partial(cyrk, problem, m)) for m in names]
