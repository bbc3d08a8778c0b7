"""diffrax: one jitted, vmapped solve over blocks of points, a block a thread at a time, double precision."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from benchmarks.contender import THREADS, Array, Contender, Run, needs, on_threads
from benchmarks.problems import Problem

BLOCK = 4096


def diffrax(problem: Problem, method: str) -> Run:
    """A solver of diffrax by its name."""
    needs("jax", "diffrax")
    import diffrax as dfx
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", True)
    term = dfx.ODETerm(lambda t, x, p: jnp.stack(problem.rates(x, p, jnp.tanh)))
    solver = getattr(dfx, method)()

    def one(start: Any, params: Any, tol: Any) -> Any:
        found = dfx.diffeqsolve(
            term, solver, 0.0, problem.end, None, start, params, saveat=dfx.SaveAt(t1=True), max_steps=None,
            stepsize_controller=dfx.PIDController(rtol=tol, atol=tol), throw=False,
        )  # fmt: skip
        return found.ys[-1]

    every = jax.jit(jax.vmap(one, in_axes=(0, 0, None)))

    def run(starts: Array, params: Array, tol: float) -> Array:
        out = np.empty_like(starts)
        block = min(BLOCK, -(-len(starts) // THREADS))

        def work(thread: int, rows: slice) -> None:
            filled = np.minimum(np.arange(rows.start, rows.start + block), len(starts) - 1)  # one shape, compiled once
            found = np.asarray(every(starts[filled], params[filled], tol))
            out[rows] = found[: rows.stop - rows.start]

        on_threads(work, len(starts), block)
        return out

    return run


def contenders(problem: Problem) -> list[Contender]:
    """Explicit or implicit methods, as the problem asks for."""
    names = ["Kvaerno3", "Kvaerno5"] if problem.stiff else ["Tsit5", "Dopri8"]
    return [Contender(f"diffrax {m}", "diffrax", partial(diffrax, problem, m), least=4096) for m in names]
