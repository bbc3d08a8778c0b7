"""W4: one trajectory of W1 with 1,000 dense points, warm."""

from __future__ import annotations

import importlib.util
import time
import warnings
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from typing import Any

import numpy as np

import toymesa as tm
from benchmarks import fresh, own, taylor
from benchmarks.contender import Array, Run, error, needs, silent
from benchmarks.measure import Measured, guarded, ratios, tune
from benchmarks.problems import W1, Problem
from benchmarks.report import Section, Settings, best, duration, judge, labelled, peer, table, times
from benchmarks.sources import function
from toymesa.kernels.batch import Controls, run_batch
from toymesa.kernels.generate import compile_model
from toymesa.kernels.lanes.drive import compiled_drive

TARGET = 1e-6
COUNT = 1000
CALLS_SECONDS = 0.05  # calls are repeated until a round takes this long
MAX_STEPS = 10_000_000
TIMES = np.linspace(0.0, W1.end, COUNT)


def solved(problem: Problem, method: str) -> Run:
    """``toymesa.solve``, labels and all."""
    own.known(method)

    def run(start: Array, params: Array, tol: float) -> Array:
        first, given = (dict(zip(n, x.tolist(), strict=True)) for n, x in
                        ((problem.starts, start), (problem.params, params)))  # fmt: skip
        data = tm.solve(problem.model, TIMES, start=first, params=given, method=method, rtol=tol, atol=tol)
        return np.stack([data[s].values for s in problem.starts], axis=1)

    return run


def kernel(problem: Problem, method: str) -> Run:
    """The compiled code of toymesa alone."""
    own.known(method)
    compiled = compile_model(problem.model)

    def run(start: Array, params: Array, tol: float) -> Array:
        how = Controls(method=method, rtol=tol, atol=tol)
        return run_batch(compiled, TIMES, start[None, :], params[None, :], how, threads=1).states[0]

    return run


def heyoka(problem: Problem) -> Run:
    """``propagate_grid`` of a scalar integrator made once."""
    needs("heyoka")
    import heyoka as hy

    made: dict[float, Any] = {}

    def run(start: Array, params: Array, tol: float) -> Array:
        if tol not in made:
            made.clear()
            made[tol] = hy.taylor_adaptive(
                taylor.equations(problem), np.zeros(problem.n), tol=tol, pars=np.zeros(len(problem.params))
            )
        ta = made[tol]
        ta.time = 0.0
        ta.state[:], ta.pars[:] = start, params
        return np.asarray(ta.propagate_grid(TIMES)[-1])

    return run


def numbalsoda(problem: Problem, method: str) -> Run:
    """numbalsoda's solvers with all times at once."""
    needs("numbalsoda", "numba")
    import numba as nb
    import numbalsoda as nbs

    rates = nb.cfunc(nbs.lsoda_sig)(function(problem, "lsoda"))
    solver, address = {"lsoda": nbs.lsoda, "dop853": nbs.dop853}[method], rates.address

    def run(start: Array, params: Array, tol: float) -> Array:
        assert rates is not None  # its code must outlive the address
        found, success = solver(address, start, TIMES, params, tol, tol, MAX_STEPS)
        return np.asarray(found) if success else np.full((COUNT, problem.n), np.nan)

    return run


def cyrk(problem: Problem, method: str) -> Run:
    """CyRK's numba entry point."""
    needs("CyRK", "numba")
    import numba as nb
    from CyRK import cyjit, nbsolve2_ivp

    rates = cyjit(function(problem, "cyrk"))
    address, span = rates.address, (0.0, problem.end)

    @nb.njit
    def one(start: Any, params: Any, tol: Any) -> Any:
        found = nbsolve2_ivp(address, span, start, method=method, t_eval=TIMES, args=params, rtol=tol, atol=tol)
        out = found.y.copy()
        found.free()
        return out

    def run(start: Array, params: Array, tol: float) -> Array:
        assert rates is not None
        return np.asarray(one(start, params, tol)).T

    return run


def scipy(problem: Problem, method: str) -> Run:
    """``odeint``, or ``solve_ivp``, with a compiled right-hand side."""
    import numba as nb
    from scipy.integrate import odeint, solve_ivp

    rates, jacobian = nb.njit(function(problem, "scipy")), nb.njit(function(problem, "jacobian"))

    def run(start: Array, params: Array, tol: float) -> Array:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if method == "odeint":
                return np.asarray(
                    odeint(rates, start, TIMES, (params,), jacobian, tfirst=True, rtol=tol, atol=tol, mxstep=MAX_STEPS)
                )
            found = solve_ivp(rates, (0.0, problem.end), start, method, TIMES, args=(params,), rtol=tol, atol=tol)
        return np.asarray(found.y.T)

    return run


def diffrax(problem: Problem) -> Run:
    """A jitted Tsit5 with all times saved."""
    needs("jax", "diffrax")
    import diffrax as dfx
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", True)
    term = dfx.ODETerm(lambda t, x, p: jnp.stack(problem.rates(x, p, jnp.tanh)))

    @jax.jit
    def one(start: Any, params: Any, tol: Any) -> Any:
        return dfx.diffeqsolve(
            term, dfx.Tsit5(), 0.0, problem.end, None, start, params, saveat=dfx.SaveAt(ts=jnp.asarray(TIMES)),
            stepsize_controller=dfx.PIDController(rtol=tol, atol=tol), max_steps=None, throw=False,
        ).ys  # fmt: skip

    return lambda start, params, tol: np.asarray(one(start, params, tol))


def contenders(problem: Problem) -> list[tuple[str, str, Callable[[], Run]]]:
    """Name, package, and what makes each."""
    tried = [m for m in own.SOLVE if m != "rodas5p-lanes"]
    found: list[tuple[str, str, Callable[[], Run]]] = [
        *((f"toymesa {m}", "toymesa", partial(solved, problem, m)) for m in tried),
        *((f"toymesa {m}, kernel alone", "toymesa", partial(kernel, problem, m)) for m in ("lanes", "tsit5", "dop853")),
    ]
    found += [("heyoka propagate_grid", "heyoka", partial(heyoka, problem))]
    found += [(f"numbalsoda {m}", "numbalsoda", partial(numbalsoda, problem, m)) for m in ("lsoda", "dop853")]
    found += [("CyRK Vern7", "CyRK", partial(cyrk, problem, "Vern7"))]
    found += [("diffrax Tsit5", "diffrax", partial(diffrax, problem))]
    return found + [(f"scipy {m}", "scipy", partial(scipy, problem, m)) for m in ("odeint", "LSODA", "DOP853")]


def measure(settings: Settings) -> Section:
    """Tune on the 1,000 points, race, and then time fresh processes."""
    compiled_drive()  # as in every process that has solved an ensemble
    problem = W1
    starts, params = problem.draw(1)
    start, p = starts[0], params[0]
    truth = kernel(problem, "dop853")(start, p, 1e-13)
    tight = (heyoka(problem), 1e-15) if importlib.util.find_spec("heyoka") else (kernel(problem, "rodas5p"), 1e-12)
    other = tight[0](start, p, tight[1])
    if not error(other, truth) < 1e-10:
        raise ArithmeticError(f"W4: the two reference codes differ by {error(other, truth):.1e}")
    every, runs = [], {}
    for name, package, prepare in (c for c in contenders(problem) if settings.wants(c[1])):
        m = Measured(name, package, points=1, tuned_on=1)
        every.append(m)
        run, m.note = guarded(prepare)
        if run is None:
            continue
        with silent():
            m.tolerance, m.error = tune(partial(_error, run, start, p, truth), TARGET)
        if m.tolerance > 0:
            runs[name] = run
        else:
            m.note = f"does not reach {TARGET:g}"
        settings.log(f"  {name}: {m.note or f'tolerance {m.tolerance:.1e}, error {m.error:.1e}'}")
    race(every, runs, start, p, settings.rounds)
    section = Section("W4", "", {"dense": [asdict(m) for m in every]})
    against = next((m for m in every if m.name.startswith("heyoka") and m.seconds), best(every, peer))
    judge(section, "W4, one dense trajectory", 2.0, best(every, labelled), against, "heyoka propagate_grid")
    alone = best(every, lambda m: "alone" in m.name)
    judge(section, "W4, one dense trajectory, kernel alone", 2.0, alone, against, "heyoka propagate_grid")
    cold = fresh.measure(settings, section)
    section.data["fresh"] = cold[1]
    section.text = "\n\n".join(
        [f"### W4: one trajectory of W1, {COUNT} dense points, warm", f"Tuned to an error of {TARGET:g} over all points.",
         rows(every, against), "### W4: a fresh process: import, compile, first answer", cold[0]]
    )  # fmt: skip
    return section


def _error(run: Run, start: Array, params: Array, truth: Array, tol: float) -> float:
    found, note = guarded(run, start, params, tol)
    return float("inf") if note or found.shape != truth.shape else error(found, truth)


def race(every: list[Measured], runs: dict[str, Run], start: Array, params: Array, rounds: int) -> None:
    """Rounds over all contenders; each makes as many calls as fill its time."""
    running = [(m, runs[m.name]) for m in every if m.name in runs]
    repeats: dict[str, int] = {}
    with silent():
        for m, run in running:
            begun = time.perf_counter()
            run(start, params, m.tolerance)
            repeats[m.name] = max(1, int(CALLS_SECONDS / (time.perf_counter() - begun)))
        for r in range(rounds):
            for m, run in running if r % 2 == 0 else running[::-1]:
                begun = time.perf_counter()
                for _ in range(repeats[m.name]):
                    run(start, params, m.tolerance)
                m.seconds.append((time.perf_counter() - begun) / repeats[m.name])


def rows(every: list[Measured], against: Measured | None) -> str:
    """The table, fastest first."""
    out = []
    for m in sorted(every, key=lambda m: m.median if m.seconds else float("inf")):
        if not m.seconds:
            out.append([m.name, "-", "-", "-", "-", m.note])
            continue
        ratio = times(ratios(m, against)) if against else "-"
        out.append([m.name, f"{m.tolerance:.1e}", f"{m.error:.1e}", duration(m.median), ratio, ""])
    name = against.name if against else "-"
    return table(["contender", "tolerance", "error", "time", f"x {name}, median (range)", "note"], out)
