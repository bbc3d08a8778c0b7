"""Programs of the explicit pairs: steps of Tsit5 or DOP853, each lane with its own step size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from toymesa.kernels.lanes.control import Ending, finish, largest
from toymesa.kernels.lanes.emit import Program, Value
from toymesa.kernels.lanes.formulas import Formulas
from toymesa.kernels.lanes.functions import rough_power
from toymesa.kernels.lanes.layout import (
    DIRECTION,
    ERROR,
    FIXED_SHARED,
    HELD,
    RTOL,
    START_TIME,
    STIFF,
    Layout,
)
from toymesa.kernels.tableaus import (
    DOP853_A,
    DOP853_C,
    DOP853_E3,
    DOP853_E5,
    TSIT5_A,
    TSIT5_C,
    TSIT5_E,
)


@dataclass(frozen=True)
class Pair:
    """An embedded pair whose last stage is the rate at the end of the step.

    stages: without that last one. errors: weights of the error estimate, or of two that are combined as in DOP853.
    limit: h times the largest rate constant at which stability rather than accuracy limits the step.
    """

    name: str
    order: int
    stages: int
    a: NDArray[np.float64]
    c: NDArray[np.float64]
    errors: tuple[NDArray[np.float64], ...]
    limit: float


TSIT5_PAIR = Pair("tsit5", 5, 6, TSIT5_A, TSIT5_C, (TSIT5_E,), 3.0)
DOP853_PAIR = Pair("dop853", 8, 12, DOP853_A, DOP853_C, (DOP853_E5, DOP853_E3), 5.5)


def advance(pair: Pair, layout: Layout, formulas: Formulas, lanes: int, *, hand_over: bool, ending: Ending) -> str:
    """Source of ``advance``: steps in all lanes until one of them has arrived, failed, or has something to hand over."""
    p = Program("advance", lanes, loop=True)
    n = layout.n
    x = [p.row(layout.state + i) for i in range(n)]
    first = [p.row(layout.rate + i) for i in range(n)]
    elapsed, h, last = ending.clipped(p)
    direction, start_time = p.shared(DIRECTION), p.shared(START_TIME)
    signed = h * direction

    def at(c: float, y: Sequence[Value]) -> list[Value]:
        return formulas.rates(p, start_time + direction * (elapsed + h * c), y)

    K, y = [first], x
    for s in range(1, pair.stages):
        y = _moved(p, x, signed, pair.a[s, :s], K)
        K.append(at(float(pair.c[s]), y))
    new = _moved(p, x, signed, pair.a[pair.stages, : pair.stages], K)
    K.append(at(1.0, new))
    error = _error(p, pair, h, x, new, K)
    # proportional-integral control; a step after a rejected one does not grow
    before, rejected = p.row(ERROR), p.row(HELD)
    bounded = p.minimum(p.maximum(error, 1e-10), 1e10)
    grown = 0.9 * rough_power(p, bounded, -(1.0 / pair.order - 0.03)) * rough_power(p, before, 0.04)
    grown = p.minimum(p.maximum(grown, 0.2), p.select(rejected > 0.0, 1.0, 8.0))
    shrunk = p.select(error < 1e10, p.maximum(0.9 * rough_power(p, bounded, -1.0 / pair.order), 0.2), 0.2)
    sound = ending.finite(p, new) & (error < float("inf"))
    good = sound & (error <= 1.0)
    p.store(ERROR, p.select(good, p.maximum(bounded, 1e-4), before))
    hits = p.row(STIFF)
    if hand_over:
        hits = _stiff(p, pair, h, good, hits, new, y, K)
        p.store(STIFF, hits)
    return finish(
        p, layout, ending, accepted=good, sound=sound, h=h, last=last, factor=p.select(good, grown, shrunk), x=x, new=new,
        rate=first, new_rate=K[-1], hits=hits if hand_over else None, kept=K if layout.stages else None,
    )  # fmt: skip


def _moved(
    p: Program, x: Sequence[Value], h: Value, row: NDArray[np.float64], K: Sequence[Sequence[Value]]
) -> list[Value]:
    return [v + h * slope for v, slope in zip(x, p.combine(row.tolist(), K), strict=True)]


def _error(p: Program, pair: Pair, h: Value, x: Sequence[Value], new: Sequence[Value], K: list[list[Value]]) -> Value:
    """The largest component of the error in units of its tolerance; one division for all of them."""
    estimates = [p.combine(e.tolist()[: len(K)], K) for e in pair.errors]
    rtol = p.shared(RTOL)
    scales = [p.shared(FIXED_SHARED + i) + rtol * p.maximum(abs(x[i]), abs(new[i])) for i in range(len(x))]
    if len(estimates) == 1:
        top, bottom, _ = largest(p, [abs(e) for e in estimates[0]], scales, None)
        return h * top / bottom
    top, bottom, other = largest(p, [abs(e) for e in estimates[0]], scales, [abs(e) for e in estimates[1]])
    assert other is not None
    unit = h / bottom
    fine, low = top * unit, other * unit
    total = fine * fine + 0.01 * (low * low)
    return p.select(p.compare("oeq", total, 0.0), 0.0, fine * fine / p.call("sqrt", total))


def _stiff(
    p: Program, pair: Pair, h: Value, good: Value, hits: Value, new: Sequence[Value], y: Sequence[Value],
    K: list[list[Value]],
) -> Value:  # fmt: skip
    """How often the step was at the limit of stability of late: two rates at the end of the step (Hairer, Wanner, IV.2)."""
    above = p.sum([(a - b) * (a - b) for a, b in zip(K[-1], K[-2], strict=True)])
    below = p.sum([(a - b) * (a - b) for a, b in zip(new, y, strict=True)])
    bound = (0.8 * pair.limit) ** 2
    limited = (h * h) * above > bound * below
    counted = p.select(limited, hits + 1.0, p.maximum(hits - 1.0, 0.0))
    return p.select(good, counted, hits)
