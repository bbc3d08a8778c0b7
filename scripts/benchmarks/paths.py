"""W6: Euler-Maruyama on the double well dx = (x - x^3) dt + sigma dW."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from functools import partial
from typing import Any

import numpy as np
import sympy as sp

import toymesa as tm
from benchmarks.contender import THREADS, Absent, Array, needs
from benchmarks.measure import Measured, guarded, ratios
from benchmarks.report import Section, Settings, best, duration, judge, labelled, table, times

PATHS, STEPS = 100_000, 10_000
STEP, SIGMA, START = 1e-3, 0.7, 0.1
METHODS = ("euler", "euler-lanes")
ALLOWED = 10.0  # seconds a call may take before it runs fewer paths
# (paths, steps, seed) -> end values
Call = Callable[[int, int, int], Array]


def own(method: str) -> Call:
    """``toymesa.simulate``."""
    x = sp.Symbol("x", real=True)
    well = tm.gradient_flow((x**2 - 1) ** 2 / 4, [x], start={x: START}, name="double_well")
    model = tm.with_optimizer(well, tm.GradientNoise(SIGMA**2 / 2))
    try:
        tm.simulate(model, STEP, paths=1, step=STEP, method=method, rng=0)
    except tm.DomainError as error:
        raise Absent("no such method in this version") from error

    def call(paths: int, steps: int, seed: int) -> Array:
        data = tm.simulate(model, steps * STEP, paths=paths, step=STEP, method=method, rng=seed, threads=THREADS)
        return np.asarray(data["x"].values[..., -1])

    return call


def numba() -> Call:
    """A parallel loop over paths with numba's own normal variates: the reference of the goal."""
    import numba as nb

    @nb.njit(parallel=True)
    def compiled(out: Any, steps: Any, seed: Any) -> None:
        root = SIGMA * math.sqrt(STEP)
        for k in nb.prange(THREADS):
            np.random.seed(seed + k)  # noqa: NPY002  # numba's own generator is what is measured
            for i in range(k * out.size // THREADS, (k + 1) * out.size // THREADS):
                x = START
                for _ in range(steps):
                    x += (x - x * x * x) * STEP + root * np.random.normal()  # noqa: NPY002
                out[i] = x

    def call(paths: int, steps: int, seed: int) -> Array:
        out = np.empty(paths)
        compiled(out, steps, seed)
        return out

    return call


def numpy_in_place() -> Call:
    """numpy with SFC64, in place, in blocks of paths that stay in cache, over threads."""

    def part(x: Array, steps: int, seed: np.random.SeedSequence) -> None:
        rng, root = np.random.Generator(np.random.SFC64(seed)), SIGMA * math.sqrt(STEP)
        noise, cube = np.empty_like(x), np.empty_like(x)
        for _ in range(steps):
            rng.standard_normal(out=noise)
            np.multiply(noise, root, out=noise)
            np.multiply(x, x, out=cube)
            np.subtract(1.0, cube, out=cube)
            np.multiply(cube, STEP, out=cube)
            np.add(cube, 1.0, out=cube)
            np.multiply(x, cube, out=x)
            np.add(x, noise, out=x)

    def call(paths: int, steps: int, seed: int) -> Array:
        out = np.full(paths, START)
        blocks = np.array_split(out, max(THREADS, paths // 4096))
        with ThreadPoolExecutor(THREADS) as pool:
            list(pool.map(part, blocks, [steps] * len(blocks), np.random.SeedSequence(seed).spawn(len(blocks))))
        return out

    return call


def jax(kind: str) -> Call:
    """A jitted ``fori_loop`` over steps, all paths at once."""
    needs("jax")
    import jax as j
    import jax.numpy as jnp

    j.config.update("jax_enable_x64", True)
    root = SIGMA * math.sqrt(STEP)

    def compiled(key: Any, steps: Any, paths: int) -> Any:
        def step(i: Any, x: Any) -> Any:
            return x + (x - x * x * x) * STEP + root * j.random.normal(j.random.fold_in(key, i), (paths,))

        return j.lax.fori_loop(0, steps, step, jnp.full(paths, START))

    run = j.jit(compiled, static_argnums=2)
    return lambda paths, steps, seed: np.asarray(run(j.random.key(seed, impl=kind), steps, paths))


def contenders() -> list[tuple[str, str, Callable[[], Call]]]:
    """Name, package, and what makes each."""
    found: list[tuple[str, str, Callable[[], Call]]] = [(f"toymesa {m}", "toymesa", partial(own, m)) for m in METHODS]
    found.append(("numba prange, np.random.normal", "numba", numba))
    found.append(("numpy SFC64 in place", "numpy", numpy_in_place))
    return found + [(f"JAX fori_loop, {k}", "jax", partial(jax, k)) for k in ("threefry2x32", "unsafe_rbg")]


def measure(settings: Settings) -> Section:
    """Rounds over all contenders, and whether their paths have the same distribution."""
    paths, steps = settings.size(PATHS, 500), STEPS if settings.scale >= 0.1 else 1000
    every, calls, ends = [], {}, {}
    for name, package, prepare in (c for c in contenders() if settings.wants(c[1])):
        m = Measured(name, package)
        every.append(m)
        call, m.note = guarded(prepare)
        if call is None:
            continue
        _, m.note = guarded(call, min(paths, 2000), 10, 0)
        if m.note:
            continue
        cost = clocked(call, min(paths, 2000), 200, 1)[0]
        m.points = paths if cost * paths * steps < ALLOWED else max(min(2000, paths), int(ALLOWED / (cost * steps)))
        _, ends[name] = clocked(call, m.points, steps, 2)
        calls[name] = call
        settings.log(f"  {name}: {m.points} paths a round, variance {ends[name].var():.4f}")
    for r in range(settings.rounds):
        running = [m for m in every if m.name in calls]
        for m in running if r % 2 == 0 else running[::-1]:
            m.seconds.append(clocked(calls[m.name], m.points, steps, 3 + r)[0])
    section = Section("W6", "", {"paths": paths, "steps": steps, "race": [asdict(m) for m in every]})
    against = next((m for m in every if m.package == "numba" and m.seconds), None)
    judge(section, "W6, Euler-Maruyama", 12.0, best(every, labelled), against, "numba prange, np.random.normal")
    section.data["moments"] = {n: [float((x**k).mean()) for k in (1, 2, 4)] for n, x in ends.items()}
    title = f"### W6: Euler-Maruyama, double well, {paths:,} paths by {steps:,} steps of {STEP:g}"
    section.text = "\n\n".join([title, rows(every, ends, against, paths)])
    return section


def clocked(call: Call, paths: int, steps: int, seed: int) -> tuple[float, Array]:
    """Seconds a path-step, and the ends."""
    begun = time.perf_counter()
    ends = call(paths, steps, seed)
    return (time.perf_counter() - begun) / (paths * steps), ends


def apart(x: Array, others: list[Array]) -> float:
    """The largest difference of the first, second and fourth moment from the pooled others, in standard errors."""
    if not others:
        return math.nan
    pool = np.concatenate(others)
    found = 0.0
    for power in (1, 2, 4):
        a, b = x**power, pool**power
        found = max(found, abs(a.mean() - b.mean()) / math.sqrt(a.var() / a.size + b.var() / b.size))
    return float(found)


def rows(every: list[Measured], ends: dict[str, Array], against: Measured | None, paths: int) -> str:
    """The table, fastest first."""
    out = []
    for m in sorted(every, key=lambda m: m.median if m.seconds else float("inf")):
        if not m.seconds or against is None:
            out.append([m.name, "-", "-", "-", m.note])
            continue
        z = apart(ends[m.name], [x for n, x in ends.items() if n != m.name])
        note = f"{m.points:,} paths, scaled" if m.points < paths else ""
        out.append([m.name, duration(m.median), times(ratios(m, against)), f"{z:.1f}", note])
    ratio = f"x {against.name if against else '-'}, median (range)"
    return table(["way", "a path-step", ratio, "moments apart (standard errors)", "note"], out)
