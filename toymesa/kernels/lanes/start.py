"""The program that prepares trajectories: their first rates and first steps, many at a time."""

from __future__ import annotations

from collections.abc import Sequence

from toymesa.kernels.lanes import layout as rows
from toymesa.kernels.lanes.emit import Program, Value
from toymesa.kernels.lanes.formulas import Formulas
from toymesa.kernels.lanes.functions import rough_power
from toymesa.kernels.lanes.layout import FIXED_SHARED, RTOL, Layout


def prepare(layout: Layout, formulas: Formulas, lanes: int, order: int) -> str:
    """Source of ``prepare``: rates, and a first step for a method of that order (Hairer, Norsett, Wanner 1993, II.4)."""
    p = Program("prepare", lanes)
    n = layout.n
    x = [p.row(layout.state + i) for i in range(n)]
    # a trajectory that another method began goes on from later than the start
    time = p.shared(rows.START_TIME) + p.shared(rows.DIRECTION) * p.row(rows.ELAPSED)
    rate = formulas.rates(p, time, x)
    h = _first_step(p, x, rate, layout, formulas, order)
    good = p.truth(True)
    for v in (*x, *rate):
        good = good & (abs(v) < float("inf"))
    for i in range(n):
        p.store(layout.rate + i, rate[i])
    p.store(rows.STEP, h)
    p.store(rows.CODE, p.select(good, rows.NOTHING, rows.COLLAPSED))
    return p.source()


def _first_step(p: Program, x: list[Value], rate: list[Value], layout: Layout, formulas: Formulas, order: int) -> Value:
    n, direction, start_time = layout.n, p.shared(rows.DIRECTION), p.shared(rows.START_TIME)
    rtol, end = p.shared(RTOL), p.row(rows.END)
    units = [1.0 / (p.shared(FIXED_SHARED + i) + rtol * abs(x[i])) for i in range(n)]
    d0, d1 = _norm(p, x, units), _norm(p, rate, units)
    h0 = p.select((d0 < 1e-5) | (d1 < 1e-5), 1e-6, 0.01 * d0 / d1)
    h0 = p.minimum(h0, end)
    there = formulas.rates(p, start_time + direction * h0, [x[i] + direction * h0 * rate[i] for i in range(n)])
    d2 = _norm(p, [a - b for a, b in zip(there, rate, strict=True)], units) / h0
    worst = p.maximum(d1, d2)
    h1 = rough_power(p, p.minimum(100.0 * p.maximum(worst, 1e-15), 1e290), -1.0 / (order + 1))
    h1 = p.select(worst > 1e-15, h1, p.maximum(h0 * 1e-3, 1e-6))
    h = p.minimum(p.minimum(100.0 * h0, h1), end)
    return p.select((h > 0.0) & (h < float("inf")), h, p.minimum(1e-6, end))


def _norm(p: Program, values: Sequence[Value], units: Sequence[Value]) -> Value:
    scaled = [v * u for v, u in zip(values, units, strict=True)]
    return p.call("sqrt", p.sum([s * s for s in scaled]) * (1.0 / len(scaled)))
