"""W5: the closed form x(t) = s e^(2st) / (e^(2st) - 1 + s/x0) on a grid of cells by times."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from functools import partial
from typing import Any

import numpy as np
import sympy as sp
import xarray as xr

import toymesa as tm
from benchmarks.contender import THREADS, Array, needs
from benchmarks.measure import Measured, guarded, ratios
from benchmarks.report import Section, Settings, best, judge, labelled, number, table, times

CELLS, TIMES = 100_000, 1000
END = 5.0
BLOCK = 16  # cells of 1000 times: what fits the first caches
# (s, x0, t, out) -> values (cell, time); ``out`` is filled where the interface allows
Call = Callable[[Array, Array, Array, Array], Any]
ALLOWED = 20.0  # seconds a call may take before it runs on a part


def model(*, one_division: bool) -> tm.Model:
    """Logistic growth with its solution."""
    x, s = sp.Symbol("x", positive=True), sp.Symbol("s", positive=True)
    grown = sp.exp(2 * s * tm.TIME)
    solution = s * grown / (grown - 1 + s / tm.at_start(x))
    if one_division:
        solution = s / (1 + (s / tm.at_start(x) - 1) / grown)
    form = tm.ClosedForm(states={x: solution})
    return tm.Model(
        name="logistic",
        flow={x: 2 * x * (s - x)},
        params={s: tm.Parameter(default=1.0, domain=tm.Domain.of(s))},
        start={x: 0.1},
        closed_forms=(form,),
    )


def filled(*, one_division: bool) -> Call:
    """``toymesa.closed_form`` into the given array."""
    logistic = model(one_division=one_division)

    def call(s: Array, x0: Array, t: Array, out: Array) -> Any:
        start, params = {"x": xr.DataArray(x0, dims="cell")}, {"s": xr.DataArray(s, dims="cell")}
        return tm.closed_form(logistic, t, start=start, params=params, out={"x": out}, threads=THREADS)["x"].values

    return call


def own(method: str) -> Call:
    """``toymesa.solve`` by closed form, with statuses."""
    logistic = model(one_division=True)

    def call(s: Array, x0: Array, t: Array, out: Array) -> Any:
        start, params = {"x": xr.DataArray(x0, dims="cell")}, {"s": xr.DataArray(s, dims="cell")}
        return tm.solve(logistic, t, start=start, params=params, method=method)["x"].values

    return call


def blocked(threads: int, *, one_division: bool) -> Call:
    """numpy in blocks that stay in cache, every operation in place."""

    def part(s: Array, x0: Array, t: Array, out: Array, rows: slice) -> None:
        scratch = np.empty((BLOCK, t.size))
        for i in range(rows.start, rows.stop, BLOCK):
            j = min(i + BLOCK, rows.stop)
            e, o, a = scratch[: j - i], out[i:j], s[i:j, None]
            if one_division:  # s / (1 + (s/x0 - 1) e^(-2st))
                np.multiply(-2.0 * a, t, out=o)
                np.exp(o, out=o)
                np.multiply(o, a / x0[i:j, None] - 1.0, out=o)
                np.add(o, 1.0, out=o)
                np.divide(a, o, out=o)
            else:
                np.multiply(2.0 * a, t, out=e)
                np.exp(e, out=e)
                np.add(e, a / x0[i:j, None] - 1.0, out=o)
                np.divide(e, o, out=o)
                np.multiply(o, a, out=o)

    def call(s: Array, x0: Array, t: Array, out: Array) -> Any:
        edges = np.linspace(0, s.size, threads + 1).astype(int)
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(lambda k: part(s, x0, t, out, slice(edges[k], edges[k + 1])), range(threads)))
        return out

    return call


def naive() -> Call:
    """numpy as one writes it first."""

    def call(s: Array, x0: Array, t: Array, out: Array) -> Any:
        a = s[:, None]
        e = np.exp(2 * a * t)
        return a * e / (e - 1 + a / x0[:, None])

    return call


def numexpr() -> Call:
    """numexpr with all threads, into the output."""
    needs("numexpr")
    import numexpr as ne

    ne.set_num_threads(THREADS)

    def call(s: Array, x0: Array, t: Array, out: Array) -> Any:
        a, r = s[:, None], (s / x0)[:, None]
        return ne.evaluate("a / (1 + (r - 1) * exp(-2 * a * t))", {"a": a, "r": r, "t": t[None, :]}, out=out)

    return call


def jax() -> Call:
    """A jitted function; JAX allocates its result."""
    needs("jax")
    import jax as j
    import jax.numpy as jnp

    j.config.update("jax_enable_x64", True)
    compiled = j.jit(lambda s, x0, t: s[:, None] / (1 + (s / x0 - 1)[:, None] * jnp.exp(-2 * s[:, None] * t)))
    return lambda s, x0, t, out: compiled(s, x0, t).block_until_ready()


def numba() -> Call:
    """A parallel loop with ``math.exp``."""
    import math

    import numba as nb

    @nb.njit(parallel=True)
    def compiled(s: Any, x0: Any, t: Any, out: Any) -> None:
        for i in nb.prange(s.size):
            a, r = s[i], s[i] / x0[i] - 1.0
            for k in range(t.size):
                out[i, k] = a / (1.0 + r * math.exp(-2.0 * a * t[k]))

    def call(s: Array, x0: Array, t: Array, out: Array) -> Any:
        compiled(s, x0, t, out)
        return out

    return call


def fill() -> Call:
    """Not a solution: writing the output once, the limit of memory."""

    def call(s: Array, x0: Array, t: Array, out: Array) -> Any:
        edges = np.linspace(0, s.size, THREADS + 1).astype(int)
        with ThreadPoolExecutor(THREADS) as pool:
            list(pool.map(lambda k: out[edges[k] : edges[k + 1]].fill(1.0), range(THREADS)))
        return None

    return call


def contenders() -> list[tuple[str, str, Callable[[], Call]]]:
    """Name, package, and what makes each."""
    blocks = f"numpy in blocks, {THREADS} threads"
    found: list[tuple[str, str, Callable[[], Call]]] = [
        ("toymesa closed_form, one division", "toymesa", partial(filled, one_division=True)),
        ("toymesa closed_form, as given", "toymesa", partial(filled, one_division=False)),
        ("toymesa solve, closed", "toymesa", partial(own, "closed")),
    ]
    found += [
        (f"{blocks}, one division", "numpy", partial(blocked, THREADS, one_division=True)),
        (f"{blocks}, as given", "numpy", partial(blocked, THREADS, one_division=False)),
        ("numpy in blocks, 1 thread, one division", "numpy", partial(blocked, 1, one_division=True)),
        ("limit: the output filled once", "-", fill),
    ]
    found += [("numpy broadcasting", "numpy", naive), ("numba prange, math.exp", "numba", numba)]
    return [*found, ("numexpr", "numexpr", numexpr), ("JAX jit", "jax", jax)]


def measure(settings: Settings) -> Section:
    """Time rounds over all contenders; errors against extended precision on the first cells."""
    cells = settings.size(CELLS, 200)
    rng = np.random.default_rng(5)
    s, x0, t = rng.uniform(0.5, 2.0, cells), rng.uniform(0.01, 0.5, cells), np.linspace(0.0, END, TIMES)
    out = np.empty((cells, TIMES))
    out.fill(0.0)  # its pages exist
    right = exact(s[:200], x0[:200], t)
    every, calls = [], {}
    for name, package, prepare in (c for c in contenders() if settings.wants(c[1])):
        m = Measured(name, package)
        every.append(m)
        call, m.note = guarded(prepare)
        if call is None:
            continue
        few, m.note = guarded(call, s[:200], x0[:200], t, out[:200])
        if m.note:
            continue
        if few is not None:
            m.error = float(np.max(np.abs(np.asarray(few) - right) / right))
        cost = clocked(call, s, x0, t, out, min(cells, 2000))
        m.points = cells if cost * cells < ALLOWED else max(2000, int(ALLOWED / cost))
        calls[name] = call
        settings.log(f"  {name}: error {m.error:.1e}, {m.points * TIMES:.1e} points a round")
    for r in range(settings.rounds):
        running = [m for m in every if m.name in calls]
        for m in running if r % 2 == 0 else running[::-1]:
            m.seconds.append(clocked(calls[m.name], s, x0, t, out, m.points))
    section = Section("W5", "", {"cells": cells, "times": TIMES, "race": [asdict(m) for m in every]})
    against = best(every, lambda m: m.package == "numpy" and f"{THREADS} threads" in m.name)
    judge(section, "W5, closed form", 3.0, best(every, labelled), against, against.name if against else "numpy")
    section.text = "\n\n".join(
        [f"### W5: closed form on {cells * TIMES:.0e} points, {cells:,} cells by {TIMES:,} times, t 0..{END:g}",
         rows(every, against, cells)]
    )  # fmt: skip
    return section


def clocked(call: Call, s: Array, x0: Array, t: Array, out: Array, cells: int) -> float:
    """Seconds a cell of one call."""
    begun = time.perf_counter()
    call(s[:cells], x0[:cells], t, out[:cells])
    return (time.perf_counter() - begun) / cells


def exact(s: Array, x0: Array, t: Array) -> Array:
    """The closed form in the longest floating-point numbers of the machine."""
    a, e = s.astype(np.longdouble)[:, None], np.exp(-2 * s.astype(np.longdouble)[:, None] * t.astype(np.longdouble))
    return (a / (1 + (a / x0.astype(np.longdouble)[:, None] - 1) * e)).astype(np.float64)


def rows(every: list[Measured], against: Measured | None, cells: int) -> str:
    """The table, fastest first."""
    out = []
    for m in sorted(every, key=lambda m: m.median if m.seconds else float("inf")):
        if not m.seconds or against is None:
            out.append([m.name, "-", "-", "-", "-", m.note])
            continue
        note = f"{m.points * TIMES:.0e} points, scaled" if m.points < cells else ""
        shown = f"{m.error:.1e}" if m.package != "-" else "-"
        out.append(
            [m.name, f"{number(m.median * cells * 1e3)} ms", f"{number(m.median / TIMES * 1e9)} ns", shown,
             times(ratios(m, against)), note]
        )  # fmt: skip
    ratio = f"x {against.name if against else '-'}, median (range)"
    return table(["way", "time", "a point", "largest relative error", ratio, "note"], out)
