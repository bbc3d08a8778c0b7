"""scipy, scikit-sundae and JiTCODE: a Python loop over the points, with a compiled right-hand side."""

from __future__ import annotations

import contextlib
import logging
import tempfile
import warnings
from collections.abc import Callable
from functools import partial

import numpy as np

from benchmarks.contender import Array, Contender, Run, needs
from benchmarks.problems import Problem
from benchmarks.sources import function

MAX_STEPS = 10_000_000


def _looped(n: int, one: Callable[[Array, Array, float], Array]) -> Run:
    def run(starts: Array, params: Array, tol: float) -> Array:
        out = np.full((len(starts), n), np.nan)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for i, (x, p) in enumerate(zip(starts, params, strict=True)):
                out[i] = one(x, p, tol)
        return out

    return run


def scipy(problem: Problem, method: str) -> Run:
    """``solve_ivp`` with a numba right-hand side."""
    import numba as nb
    from scipy.integrate import solve_ivp

    rates = nb.njit(function(problem, "scipy"))
    jacobian = nb.njit(function(problem, "jacobian")) if method in ("Radau", "LSODA") else None

    def one(x: Array, p: Array, tol: float) -> Array:
        more = {} if jacobian is None else {"jac": jacobian}
        found = solve_ivp(rates, (0.0, problem.end), x, method, args=(p,), rtol=tol, atol=tol, **more)
        return found.y[:, -1] if found.success else np.full(problem.n, np.nan)

    return _looped(problem.n, one)


def sundae(problem: Problem) -> Run:
    """CVODE by scikit-sundae: BDF where stiff, else Adams."""
    needs("sksundae")
    import numba as nb
    from sksundae.cvode import CVODE

    rates = nb.njit(function(problem, "fill"))

    def one(x: Array, p: Array, tol: float) -> Array:
        solver = CVODE(
            rates, userdata=(p,), rtol=tol, atol=tol, method="BDF" if problem.stiff else "Adams",
            max_num_steps=MAX_STEPS,
        )  # fmt: skip
        found = solver.solve(np.array([0.0, problem.end]), x)
        return np.asarray(found.y[-1]) if found.success else np.full(problem.n, np.nan)

    return _looped(problem.n, one)


def jitcode(problem: Problem) -> Run:
    """JiTCODE's compiled right-hand side under DOP853."""
    needs("jitcode", "symengine")
    import symengine
    from jitcode import jitcode as Jit
    from jitcode import y as state

    p = [symengine.Symbol(s) for s in problem.params]
    rates = problem.rates([state(i) for i in range(problem.n)], p, symengine.tanh)
    ode = Jit(rates, n=problem.n, control_pars=p, verbose=False)
    level = logging.getLogger().level
    with (
        tempfile.TemporaryDirectory() as place,
        contextlib.chdir(place),
    ):  # its build reads a pyproject.toml where it runs
        ode.compile_C()
    logging.getLogger().setLevel(level)  # which the build sets to its own

    def one(x: Array, p: Array, tol: float) -> Array:
        ode.set_parameters(p)
        ode.set_initial_value(x, 0.0)
        ode.set_integrator("dop853", rtol=tol, atol=tol, nsteps=MAX_STEPS)
        return np.asarray(ode.integrate(problem.end))

    return _looped(problem.n, one)


def contenders(problem: Problem) -> list[Contender]:
    """All of them, by what suits the problem."""
    methods = ["LSODA", "Radau"] if problem.stiff else ["LSODA", "DOP853"]
    found = [Contender(f"scipy {m}", "scipy", partial(scipy, problem, m), least=4, loop=True) for m in methods]
    found.append(Contender("scikit-sundae CVODE", "scikit-sundae", partial(sundae, problem), least=4, loop=True))
    if not problem.stiff:
        found.append(Contender("JiTCODE DOP853", "jitcode", partial(jitcode, problem), least=4, loop=True))
    return found
