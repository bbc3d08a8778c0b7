"""Programs of Taylor's method: steps as long as the last two coefficients allow, each lane its own (Jorba and Zou 2005).

A step is chosen before it is made, from the size of its last terms, and then checked by its defect p' - f(p), at its end and
at two points inside. A pulse is nowhere in the terms of the quiet stretch before it: that steps no more than double keeps
the points at which a quiet stretch is looked at as close together, measured by how long it has lasted, as the stages of
DOP853, whose steps grow up to eightfold. Where rates have no series (a power at 0), or no step however short is good (at
a kink in disguise), the lane asks for a method that needs none.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from toymesa.kernels.lanes import layout as rows
from toymesa.kernels.lanes.control import Ending, finish, largest
from toymesa.kernels.lanes.emit import Program, Value
from toymesa.kernels.lanes.formulas import Formulas
from toymesa.kernels.lanes.functions import rough_power
from toymesa.kernels.lanes.layout import FIXED_SHARED, RTOL, Layout
from toymesa.kernels.lanes.series import Coefficient

_SAFETY = 0.9
_GROWTH = 2.0
_INSIDE = (0.3, 0.65)  # where in a step its defect is looked at besides the end
_LOST = 6.0  # more refused steps than that in a row, each half as long: there is no series, or one of no use


def best_order(rtol: float) -> int:
    """The order at which a given accuracy costs least, about -log(tolerance)/2 (Jorba and Zou 2005); the minimum is flat."""
    return min(max(math.ceil(-0.5 * math.log(rtol)), 5), 20)


def advance(order: int, layout: Layout, formulas: Formulas, lanes: int, *, hand_over: bool, ending: Ending) -> str:
    """Source of ``advance``: steps in all lanes until one of them has arrived, or another method must go on."""
    p = Program("advance", lanes, loop=True)
    n = layout.n
    x = [p.row(layout.state + i) for i in range(n)]
    elapsed, end = p.row(rows.ELAPSED), p.row(rows.END)
    direction, start_time, rtol = p.shared(rows.DIRECTION), p.shared(rows.START_TIME), p.shared(RTOL)
    coefficients, slopes_by_order = formulas.series(p, start_time + direction * elapsed, x, direction, order)
    scales = [p.shared(FIXED_SHARED + i) + rtol * abs(x[i]) for i in range(n)]
    last_but_one, last_one = (_size(p, coefficients[k], scales) for k in (order - 1, order))
    longest = p.minimum(_reach(p, last_but_one, order - 1), _reach(p, last_one, order)) * _SAFETY
    proposed = p.minimum(longest, p.row(rows.STEP))
    left = end - elapsed
    final = left <= proposed * (1.0 + 1e-12)
    h = p.select(final, left, proposed)
    # a step errs by less than its length times its largest defect; at the end that is mostly the first term left out,
    # whose defect is order + 1 times the error it makes, while inside that term's is small and what is seen is a surprise
    defects: list[Value] = [p.constant(0.0)] * n
    for theta, allowed in (*((theta, 1.0) for theta in _INSIDE), (1.0, 3.0 * (order + 1))):
        step = h * theta
        new = _polynomial(p, coefficients, step)
        slopes = _polynomial(p, slopes_by_order, step)
        there = formulas.rates(p, start_time + direction * (elapsed + step), new)
        sizes = [abs(f - slope) * (1.0 / allowed) for f, slope in zip(there, slopes, strict=True)]
        # not (size <= d): what is no number comes out on top, and stays
        larger = [~(size <= d) & p.compare("oeq", d, d) for size, d in zip(sizes, defects, strict=True)]
        defects = [p.select(c, size, d) for c, size, d in zip(larger, sizes, defects, strict=True)]
    ends = [p.shared(FIXED_SHARED + i) + rtol * p.maximum(abs(x[i]), abs(new[i])) for i in range(n)]
    top, bottom, _ = largest(p, defects, ends, None)
    error = h * top / bottom
    sound = ending.finite(p, new) & (error < float("inf"))
    good = sound & (error <= 1.0)
    refusals = p.select(good, 0.0, p.row(rows.ERROR) + 1.0)
    p.store(rows.ERROR, refusals)  # a row in which the pairs keep their last error
    hits = _stiff(p, order, h, longest, good, sound, last_but_one, last_one) if hand_over else None
    rate = _full(p, slopes_by_order[:1])[0]
    return finish(
        p, layout, ending, accepted=good, sound=sound, h=h, last=final, factor=p.select(good, _GROWTH, 0.5), x=x,
        new=new, rate=rate, new_rate=there, hits=hits,
        kept=_full(p, coefficients[1:]) if layout.powers else None, stuck=refusals > _LOST,
    )  # fmt: skip


def _stiff(
    p: Program, order: int, h: Value, longest: Value, good: Value, sound: Value, last_but_one: Value, last_one: Value
) -> Value:  # fmt: skip
    """How often the step was at the limit of stability of late: its terms h^k lambda^k / k! are of a mode that is all error.

    Of a step far shorter than the last terms allow these say nothing.
    """
    hits = p.row(rows.STIFF)
    rate_constant = float(order) * last_one
    limited = h * rate_constant > 0.6 * math.factorial(order) ** (1.0 / order) * last_but_one
    limited = limited & (8.0 * h > longest)
    # a refused step counts too, and the shorter one that follows it says nothing
    calmer = p.select(good & ~(p.row(rows.HELD) > 0.0), p.maximum(hits - 1.0, 0.0), hits)
    hits = p.select(limited & sound, hits + 1.0, calmer)
    p.store(rows.STIFF, hits)
    return hits


def _full(p: Program, coefficients: Sequence[Sequence[Coefficient]]) -> list[list[Value]]:
    return [[p.of(0.0) if v is None else v for v in line] for line in coefficients]


def _size(p: Program, coefficients: Sequence[Coefficient], scales: Sequence[Value]) -> Value:
    """The largest coefficient of one order in units of its tolerance."""
    some = [(abs(c), s) for c, s in zip(coefficients, scales, strict=True) if c is not None]
    if not some:
        return p.constant(0.0)
    top, bottom, _ = largest(p, [c for c, _ in some], [s for _, s in some], None)
    return top / bottom


def _reach(p: Program, size: Value, k: int) -> Value:
    """The step at which the term of order k is as large as its tolerance; no limit where that term underflows."""
    reach = rough_power(p, p.minimum(p.maximum(size, 1e-290), 1e290), -1.0 / k)
    return p.select(size > 1e-290, reach, float("inf"))


def _polynomial(p: Program, coefficients: Sequence[Sequence[Coefficient]], h: Value) -> list[Value]:
    """The series at h for every state, by Horner's rule."""
    out = []
    for i in range(len(coefficients[0])):
        total: Coefficient = None
        for c in reversed([line[i] for line in coefficients]):
            raised = None if total is None else total * h
            total = raised if c is None else (c if raised is None else c + raised)
        out.append(p.of(0.0) if total is None else total)
    return out
