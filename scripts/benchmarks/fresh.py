"""A fresh process: import, make a four-state model, compile, first answer."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.contender import Absent, needs
from benchmarks.measure import guarded
from benchmarks.problems import Problem, modes
from benchmarks.report import Section, Settings, duration, table
from benchmarks.sources import assignments

WARM, COLD = 0.8, 3.0  # goals in seconds, for a model of four states
COLDEST = 2  # rounds in which everything is compiled anew

_TOYMESA = """
import sympy as sp
import toymesa as tm
a0, a1, b0, b1 = x = sp.symbols("a0 a1 b0 b1", real=True)
n, kappa, decay, rate, s0, s1 = p = sp.symbols("n kappa decay rate s0 s1", real=True)
loss = (n * ((s0 - a0*b0)**2 + (s1 - a1*b1)**2) + kappa * ((a0*b1)**2 + (a1*b0)**2) + decay * sum(s**2 for s in x)) / 2
model = tm.gradient_flow(loss + {extra} * a0**4, x, metric={{s: rate for s in x}}, params=dict(zip(p, {params})), name="four")
run = tm.solve(model, [20.0], start=dict(zip(("a0", "a1", "b0", "b1"), {start})))
assert int(run["status"]) == 1
"""
_HEAD = """
import numpy as np
from math import tanh
start, params = np.array({start}), np.array({params})
def rates(x, p):
{body}
"""
_REST = {
    "heyoka": """
import heyoka as hy
x = hy.make_vars("a0", "a1", "b0", "b1")
ta = hy.taylor_adaptive(list(zip(x, rates(x, [hy.par[i] for i in range(6)]))), start, pars=params, tol=1e-9)
ta.propagate_until(20.0)
""",
    "scipy LSODA, Python right-hand side": """
from scipy.integrate import solve_ivp
solve_ivp(lambda t, x: rates(x, params), (0.0, 20.0), start, "LSODA", rtol=1e-9, atol=1e-9)
""",
    "CyRK pysolve, Python right-hand side": """
from CyRK import pysolve_ivp
pysolve_ivp(lambda t, x: np.array(rates(x, params)), (0.0, 20.0), start, method="DOP853", rtol=1e-9, atol=1e-9,
            pass_dy_as_arg=False)
""",
    "diffrax": """
import jax, jax.numpy as jnp, diffrax as dfx
jax.config.update("jax_enable_x64", True)
dfx.diffeqsolve(dfx.ODETerm(lambda t, x, p: jnp.stack(rates(x, p))), dfx.Tsit5(), 0.0, 20.0, None, jnp.array(start),
                jnp.array(params), stepsize_controller=dfx.PIDController(rtol=1e-9, atol=1e-9)).ys.block_until_ready()
""",
    "numbalsoda": """
import numba as nb, numbalsoda as nbs
rates = nb.njit(rates)
@nb.cfunc(nbs.lsoda_sig)
def fill(t, x, dx, p):
    r = rates(nb.carray(x, 4), nb.carray(p, 6))
    for i in range(4):
        dx[i] = r[i]
nbs.lsoda(fill.address, start, np.array([0.0, 20.0]), params, rtol=1e-9, atol=1e-9)
""",
    "import of numba alone": "import numba\n",
    "import of numpy alone": "",
}
_MODULE = {
    "scipy LSODA": "scipy", "CyRK pysolve": "CyRK", "import of numba alone": "numba", "import of numpy alone": "numpy",
}  # fmt: skip


def snippets(problem: Problem) -> dict[str, str]:
    """Name -> program, of the peers."""
    starts, params = problem.draw(1)
    lines, results = assignments(problem)
    body = "".join(f"    {line}\n" for line in [*lines, f"return ({', '.join(results)})"])
    head = _HEAD.format(start=starts[0].tolist(), params=params[0].tolist(), body=body)
    return {name: head + rest for name, rest in _REST.items()}


def own_program(problem: Problem, extra: float) -> str:
    """toymesa's, on a model that differs in a constant."""
    starts, params = problem.draw(1)
    return _TOYMESA.format(start=starts[0].tolist(), params=params[0].tolist(), extra=extra)


def seconds(program: str, cache: Path | None = None) -> float:
    """How long a fresh interpreter takes for a program; Absent with its last line where it fails."""
    places = {"TOYMESA_CACHE_DIR": "toymesa", "NUMBA_CACHE_DIR": "numba"}
    moved = {} if cache is None else {name: str(cache / place) for name, place in places.items()}
    command = [sys.executable, "-c", program]
    begun = time.perf_counter()
    done = subprocess.run(command, env=os.environ | moved, capture_output=True, text=True, check=False)
    spent = time.perf_counter() - begun
    if done.returncode:
        raise Absent(f"failed: {(done.stderr.strip().splitlines() or ['?'])[-1][:120]}")
    return spent


def measure(settings: Settings, section: Section) -> tuple[str, dict[str, list[float] | str]]:
    """Rounds over all programs: the table, and the seconds by name or why there are none."""
    problem = modes(2)
    found: dict[str, list[float] | str] = {}
    peers = snippets(problem)
    for name in list(peers):
        module = _MODULE.get(name.split(",")[0], name.split(",")[0])
        if not settings.wants(module):
            del peers[name]
            continue
        _, note = guarded(needs, module)
        if not note:
            _, note = guarded(seconds, peers[name])  # files into memory
        if note:
            found[name] = note
            del peers[name]
    names = ("toymesa, warm cache", "toymesa, cold cache for the model", "toymesa, cold cache for everything")
    for name in (*names, *peers):
        found[name] = []
    with tempfile.TemporaryDirectory() as place:
        warm = Path(place) / "warm"
        seconds(own_program(problem, 0.001), warm)
        for r in range(settings.rounds):
            programs = [(own_program(problem, 0.001), warm), (own_program(problem, 0.002 + 0.001 * r), warm)]
            if r < COLDEST:
                programs.append((own_program(problem, 0.001), Path(place) / f"cold{r}"))
            for name, (program, cache) in zip(names, programs, strict=False):
                found[name].append(seconds(program, cache))  # type: ignore[union-attr]
            for name, program in peers.items():
                found[name].append(seconds(program))  # type: ignore[union-attr]
    for name, wanted in zip(names[:2], (WARM, COLD), strict=True):
        middle = float(np.median(found[name]))  # type: ignore[arg-type]
        said = f"{duration(middle)}: " + ("met" if middle <= wanted else f"missed by {duration(middle - wanted)}")
        section.goals.append((f"W4, fresh process, {name.split(', ')[1]}", f"<= {wanted:g} s", said, middle <= wanted))
    return rows(found), found


def rows(found: dict[str, list[float] | str]) -> str:
    """The table, fastest first."""
    out = []
    ran = [(n, v) for n, v in found.items() if isinstance(v, list)]
    for name, values in sorted(ran, key=lambda pair: float(np.median(pair[1]))):
        out.append([name, f"{np.median(values):.2f}", f"{min(values):.2f}-{max(values):.2f}"])
    out += [[name, "-", note] for name, note in found.items() if isinstance(note, str)]
    return table(["fresh process, 4 states", "seconds, median", "range"], out)
