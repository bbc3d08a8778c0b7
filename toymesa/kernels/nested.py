"""Source of models whose rates need a run of the inner optimizer, which is integrated inside every evaluation.

Derivatives of the outer rates are central differences: ``kernels.inner_run`` keeps the run smooth enough for them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import sympy as sp

from toymesa.kernels.printer import ScalarPrinter, statements
from toymesa.symbolic.model import Model


def nested_source(
    model: Model,
    names: Mapping[sp.Symbol, str],
    header: str,
    decorator: str,
    *,
    read_off: Sequence[sp.Expr] | None = None,
) -> str:
    """Source of ``field`` for a model with an inner run; ``read_off``: what to fill in instead of the rates."""
    run = model.inner_run
    if run is None:
        raise ValueError("the model has no inner run")
    n, k, q = len(model.states), len(model.params), len(run.rates)
    inside = {s: f"x[{i}]" for i, s in enumerate(run.rates)}
    inside |= {s: f"p[{i}]" for i, s in enumerate(model.params)}
    inside |= {s: f"p[{k + i}]" for i, s in enumerate(model.states)}
    options = 'error_model="numpy", nogil=True, cache=True'
    lines = [header, "import numpy as np", "from toymesa.kernels.inner_run import run_inner", ""]
    lines += ["", decorator.format(options=options), "def inner(what, t, x, p, out):"]
    lines += _body(list(run.rates.values()), inside)
    outside = dict(names) | {s: f"y[{i}]" for i, s in enumerate(run.rates)}
    reads = [f"    x{i} = x[{i}]" for i in range(n)] + [f"    p{i} = p[{i}]" for i in range(k)]
    begin, values = statements([run.time, *run.start.values()], ScalarPrinter, names)
    # numba cannot keep functions on disk that hold another one as a value
    options = options.removesuffix(", cache=True")
    lines += ["", "", decorator.format(options=options), "def rates(what, t, x, p, out):"]
    lines += reads + [f"    {line}" for line in begin]
    lines += [f"    px = np.empty({n + k})", f"    px[:{k}] = p", f"    px[{k}:] = x", f"    y = np.empty({q})"]
    lines += [f"    y[{i}] = {value}" for i, value in enumerate(values[1:])]
    lines += [f"    run_inner(inner, {values[0]}, y, px)"]
    lines += _body(list(model.flow.values()) if read_off is None else list(read_off), outside)
    lines += ["", "", decorator.format(options=options), "def field(what, t, x, p, out):"]
    if read_off is not None:
        return "\n".join([*lines, "    rates(0, t, x, p, out)"]) + "\n"
    lines += _differences(n)
    return "\n".join(lines) + "\n"


def _body(exprs: Sequence[sp.Expr], names: Mapping[sp.Symbol, str]) -> list[str]:
    before, results = statements(exprs, ScalarPrinter, names)
    return [f"    {line}" for line in [*before, *(f"out[{i}] = {r}" for i, r in enumerate(results))]]


def _differences(n: int) -> list[str]:
    return f"""\
    if what == 0:
        rates(0, t, x, p, out)
        return
    low, high = np.empty({n}), np.empty({n})
    if what == 1:
        moved = x.copy()
        for j in range({n}):
            h = 1e-4 * (1.0 + abs(x[j]))
            moved[j] = x[j] + h
            rates(0, t, moved, p, high)
            moved[j] = x[j] - h
            rates(0, t, moved, p, low)
            moved[j] = x[j]
            for i in range({n}):
                out[i * {n} + j] = (high[i] - low[i]) / (2.0 * h)
    elif what == 2:
        h = 1e-4 * (1.0 + abs(t))
        rates(0, t + h, x, p, high)
        rates(0, t - h, x, p, low)
        for i in range({n}):
            out[i] = (high[i] - low[i]) / (2.0 * h)""".split("\n")
