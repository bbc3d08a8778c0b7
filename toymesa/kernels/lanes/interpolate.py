"""Programs that read a step off between its ends: ``between`` makes the interpolant, ``read_off`` evaluates it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from toymesa.kernels.lanes import layout as rows
from toymesa.kernels.lanes.emit import Program, Value
from toymesa.kernels.lanes.formulas import Formulas
from toymesa.kernels.lanes.layout import Layout
from toymesa.kernels.tableaus import DOP853_A, DOP853_C, DOP853_D, RODAS5P_H, TSIT5_P

Array = NDArray[np.float64]
# stages that a step keeps, coefficients a state of the interpolant
SIZES = {"tsit5": (7, 4), "dop853": (13, 7), "rodas5p": (8, 4)}


def between(method: str, layout: Layout, formulas: Formulas, lanes: int) -> str:
    """Source of ``between``: from the stages of the last step to the coefficients of its interpolant."""
    p = Program("between", lanes)
    if method == "taylor":  # its coefficients are the interpolant
        return p.source()
    n = layout.n
    x = [p.row(layout.before + i) for i in range(n)]
    new = [p.row(layout.state + i) for i in range(n)]
    kept = [[p.row(layout.kept + s * n + i) for i in range(n)] for s in range(layout.stages)]
    h = p.row(rows.USED) * p.shared(rows.DIRECTION)
    if method == "tsit5":
        levels = [[h * v for v in p.combine(TSIT5_P[:, k].tolist(), kept)] for k in range(4)]
    elif method == "dop853":
        levels = _dop853(p, formulas, x, new, kept, h)
    else:
        levels = rosenbrock_levels(p, x, new, kept)
    for k, level in enumerate(levels):
        for i in range(n):
            p.store(layout.interpolant + k * n + i, level[i])
    return p.source()


def _dop853(
    p: Program, formulas: Formulas, x: Sequence[Value], new: Sequence[Value], kept: list[list[Value]], h: Value
) -> list[list[Value]]:
    """Three more rates, and the levels of the published nested form in theta and 1 - theta."""
    n, elapsed = len(x), p.row(rows.BEFORE)
    K = list(kept)
    for s in range(13, 16):
        y = [v + h * slope for v, slope in zip(x, p.combine(DOP853_A[s, :s].tolist(), K), strict=True)]
        t = p.shared(rows.START_TIME) + p.shared(rows.DIRECTION) * elapsed + h * float(DOP853_C[s])
        K.append(formulas.rates(p, t, y))
    moved = [new[i] - x[i] for i in range(n)]
    second = [h * K[0][i] - moved[i] for i in range(n)]
    third = [2.0 * moved[i] - h * (K[12][i] + K[0][i]) for i in range(n)]
    rest = [[h * v for v in p.combine(DOP853_D[k].tolist(), K)] for k in range(4)]
    return [moved, second, third, *rest]


def rosenbrock_levels(
    p: Program, x: Sequence[Value], new: Sequence[Value], U: Sequence[Sequence[Value]]
) -> list[list[Value]]:
    """Coefficients of theta to theta^4 of the interpolant of Rodas5P."""
    a, b, c = (p.combine(RODAS5P_H[k].tolist(), U) for k in range(3))
    n = range(len(x))
    return [
        [new[i] - x[i] + a[i] for i in n], [b[i] - a[i] for i in n], [c[i] - b[i] for i in n], [-c[i] for i in n]
    ]  # fmt: skip


def read_off(method: str, layout: Layout, lanes: int) -> str:
    """Source of ``read_off``: the state at each lane's next output time."""
    p = Program("read_off", lanes)
    theta = p.row(rows.NEXT) - p.row(rows.BEFORE)
    if method != "taylor":  # whose powers are of time itself
        theta = theta / p.row(rows.USED)
    for i, value in enumerate(inside(p, method, layout, theta)):
        p.store(layout.read_off + i, value)
    return p.source()


def inside(p: Program, method: str, layout: Layout, theta: Value) -> list[Value]:
    """The interpolant at theta: the part of the step, or for Taylor's method the time, that has passed in it."""
    n, out = layout.n, []
    for i in range(n):
        levels = [p.row(layout.interpolant + k * n + i) for k in range(layout.powers)]
        total = levels[-1]
        for k in range(layout.powers - 2, -1, -1):
            # nested: theta (F0 + (1 - theta) (F1 + theta (F2 + ...))); else powers of theta
            total = levels[k] + (theta if method != "dop853" or k % 2 else 1.0 - theta) * total
        out.append(p.row(layout.before + i) + theta * total)
    return out


def powers_of(method: str, before: Array, levels: Array, used: Array) -> Array:
    """Interpolants as (step, power of theta, state), from states before and (step, level, state) as ``between`` left them."""
    rest = levels[:, -1:]
    for k in range(levels.shape[1] - 2, -1, -1):
        level = levels[:, k : k + 1]
        wide = np.concatenate([level, rest], axis=1)
        if method == "dop853" and k % 2 == 0:  # level + (1 - theta) rest, not level + theta rest
            wide[:, 1:] *= -1.0
            wide[:, :-1] += rest
        rest = wide
    if method == "taylor":
        for k in range(rest.shape[1]):  # one factor after the other: a power of a very long step overflows
            rest[:, k:] *= used[:, None, None]
    return np.concatenate([before[:, None], rest], axis=1)
