"""Models whose rates need a run of the inner optimizer: the run is integrated inside every evaluation.

The inner quantities (state and sensitivities) are integrated together by the pair of Dormand and Prince 1980 at a
relative tolerance of 1e-12, so that the outer solver sees a smooth function. Derivatives of the outer rates are central
differences.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numba as nb
import numpy as np
import sympy as sp

from toymesa.kernels.explicit import FIELD
from toymesa.kernels.printer import ScalarPrinter, statements
from toymesa.symbolic.model import Model

# Dormand and Prince 1980, J. Comput. Appl. Math. 6, 19-26, table 2
_A = np.array(
    [
        [0, 0, 0, 0, 0, 0],
        [1 / 5, 0, 0, 0, 0, 0],
        [3 / 40, 9 / 40, 0, 0, 0, 0],
        [44 / 45, -56 / 15, 32 / 9, 0, 0, 0],
        [19372 / 6561, -25360 / 2187, 64448 / 6561, -212 / 729, 0, 0],
        [9017 / 3168, -355 / 33, 46732 / 5247, 49 / 176, -5103 / 18656, 0],
        [35 / 384, 0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84],
    ]
)
_E = np.array([71 / 57600, 0, -71 / 16695, 71 / 1920, -17253 / 339200, 22 / 525, -1 / 40])
_RTOL, _ATOL, _MOST = 1e-12, 1e-14, 100_000


@nb.njit(nb.void(FIELD, nb.float64, nb.float64[::1], nb.float64[::1]), error_model="numpy", nogil=True, cache=True)
def run_inner(inner, duration, y, px):
    """Advance ``y`` in place by ``duration``; NaN where that fails. ``px``: outer parameters and states, side by side."""
    n = y.size
    K, stage, new = np.empty((7, n)), np.empty(n), np.empty(n)
    if not (duration >= 0.0 and math.isfinite(duration)):
        y[:] = math.nan
        return
    inner(0, 0.0, y, px, K[0])
    t, h = 0.0, min(duration, 1e-3)
    for _ in range(_MOST):
        if t >= duration:
            return
        still = True
        for i in range(n):
            still = still and abs(K[0, i]) * (duration - t) <= 1e-16 * (1.0 + abs(y[i]))
        if still:  # at rest: the remaining time changes nothing
            return
        h = min(h, duration - t)
        for s in range(1, 7):
            for i in range(n):
                total = 0.0
                for j in range(s):
                    total += _A[s, j] * K[j, i]
                stage[i] = y[i] + h * total
            inner(0, 0.0, stage, px, K[s])
        error = 0.0
        for i in range(n):
            e = 0.0
            for j in range(7):
                e += _E[j] * K[j, i]
            new[i] = stage[i]
            error = max(error, abs(h * e) / (_ATOL + _RTOL * max(abs(y[i]), abs(new[i]))))
        if not math.isfinite(error):
            h *= 0.2
        elif error <= 1.0:
            t += h
            y[:] = new
            K[0, :] = K[6]
            h *= min(5.0, 0.9 * max(error, 1e-8) ** -0.2)
        else:
            h *= max(0.2, 0.9 * error**-0.2)
        if h < 1e-15 * duration and t < duration:
            break
    y[:] = math.nan


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
    lines = [header, "import numpy as np", "from toymesa.kernels.nested import run_inner", ""]
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
