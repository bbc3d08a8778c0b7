"""Programs of Rodas5P: linearly implicit steps in all lanes, the linear systems solved without branches."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from toymesa.kernels.lanes import layout as rows
from toymesa.kernels.lanes.control import Ending, finish, largest
from toymesa.kernels.lanes.emit import Program, Value
from toymesa.kernels.lanes.formulas import Formulas
from toymesa.kernels.lanes.functions import rough_power
from toymesa.kernels.lanes.interpolate import rosenbrock_levels
from toymesa.kernels.lanes.layout import FIXED_SHARED, RTOL, Layout
from toymesa.kernels.tableaus import RODAS5P_A, RODAS5P_B, RODAS5P_C, RODAS5P_D, RODAS5P_GAMMA

_STAGES = 8


def advance(layout: Layout, formulas: Formulas, lanes: int, *, ending: Ending) -> str:
    """Source of ``advance``: steps of Rodas5P until a lane has arrived or failed; no pivots are chosen.

    Pivots are those of 1/(h gamma) - J in the order of the states. Where one is lost in rounding the lane says so, and
    its trajectory belongs to a method that chooses pivots.
    """
    p = Program("advance", lanes, loop=True)
    n = layout.n
    x = [p.row(layout.state + i) for i in range(n)]
    elapsed, h, last = ending.clipped(p)
    direction, start_time = p.shared(rows.DIRECTION), p.shared(rows.START_TIME)
    signed = h * direction
    here, jacobian, drift = formulas.local(p, start_time + direction * elapsed, x)
    over = 1.0 / signed
    shift = over * (1.0 / RODAS5P_GAMMA)
    solve, lost = _factorized(p, jacobian, shift)
    U: list[list[Value]] = []
    y: list[Value] = list(x)
    for s in range(_STAGES):
        if s:
            y = [v + moved for v, moved in zip(x, p.combine(RODAS5P_A[s, :s].tolist(), U), strict=True)]
        f = here if s == 0 else formulas.rates(p, start_time + direction * (elapsed + h * float(RODAS5P_C[s])), y)
        right, held = [], p.combine(RODAS5P_B[s, :s].tolist(), U) if s else []
        for i in range(n):
            total = f[i] + over * held[i] if s else f[i]
            slope = drift[i]
            if slope is not None and RODAS5P_D[s] != 0.0:
                total = total + (signed * float(RODAS5P_D[s])) * slope
            right.append(total)
        U.append(solve(right))
    new = [y[i] + U[-1][i] for i in range(n)]
    rtol = p.shared(RTOL)
    scales = [p.shared(FIXED_SHARED + i) + rtol * p.maximum(abs(x[i]), abs(new[i])) for i in range(n)]
    top, bottom, _ = largest(p, [abs(u) for u in U[-1]], scales, None)
    error = top / bottom
    if ending.dense:  # the interpolant is held to the same tolerance as the step
        middle = _defect(p, formulas, start_time + direction * (elapsed + 0.5 * h), signed, x, new, U)
        top, bottom, _ = largest(p, [abs(u) for u in solve(middle)], scales, None)
        error = p.maximum(top / bottom, error)
    bounded = p.minimum(p.maximum(error, 1e-10), 1e10)
    factor = 0.9 * rough_power(p, bounded, -0.2)
    sound = ending.finite(p, new) & (error < float("inf"))
    good = sound & (error <= 1.0) & ~lost
    grown = p.minimum(p.maximum(factor, 0.2), p.select(p.row(rows.HELD) > 0.0, 1.0, 8.0))
    shrunk = p.select(error < 1e10, p.maximum(factor, 0.2), 0.2)
    return finish(
        p, layout, ending, accepted=good, sound=sound, h=h, last=last, factor=p.select(good, grown, shrunk), x=x, new=new,
        rate=here, new_rate=here, hits=None, kept=U if layout.stages else None, lost=lost,
    )  # fmt: skip


def _defect(
    p: Program, formulas: Formulas, t: Value, h: Value, x: Sequence[Value], new: Sequence[Value],
    U: Sequence[Sequence[Value]],
) -> list[Value]:  # fmt: skip
    """By how much the interpolant misses the rates in the middle of the step (Steinebach 2023)."""
    levels = rosenbrock_levels(p, x, new, U)
    middle = [v + moved for v, moved in zip(x, p.combine([0.5, 0.25, 0.125, 0.0625], levels), strict=True)]
    slopes = p.combine([1.0, 1.0, 0.75, 0.5], levels)
    return [f - slope / h for f, slope in zip(formulas.rates(p, t, middle), slopes, strict=True)]


def _factorized(
    p: Program, jacobian: list[list[Value | None]], shift: Value
) -> tuple[Callable[[Sequence[Value]], list[Value]], Value]:
    """The solver of (shift - J) u = b by elimination, zeros skipped, and whether a pivot was lost in rounding."""
    n = len(jacobian)
    W: list[list[Value | None]] = [[None if e is None else -e for e in line] for line in jacobian]
    for i in range(n):
        entry = W[i][i]
        W[i][i] = shift if entry is None else shift + entry
    factors: dict[tuple[int, int], Value] = {}
    inverse: list[Value] = []
    lost = p.truth(False)
    for k in range(n):
        pivot = W[k][k]
        assert pivot is not None
        # cancellation to below 1e-10 of what was there, or no number: elimination in this order is not to be trusted
        lost = lost | ~(abs(pivot) > 1e-10 * abs(shift))
        inverse.append(1.0 / pivot)
        for i in range(k + 1, n):
            below = W[i][k]
            if below is None:
                continue
            factors[i, k] = factor = below * inverse[k]
            for j in range(k + 1, n):
                right = W[k][j]
                if right is not None:
                    entry = W[i][j]
                    W[i][j] = -(factor * right) if entry is None else entry - factor * right

    def solve(b: Sequence[Value]) -> list[Value]:
        u = list(b)
        for k in range(n):
            for i in range(k + 1, n):
                if (i, k) in factors:
                    u[i] = u[i] - factors[i, k] * u[k]
        for i in range(n - 1, -1, -1):
            total = u[i]
            for j in range(i + 1, n):
                entry = W[i][j]
                if entry is not None:
                    total = total - entry * u[j]
            u[i] = total * inverse[i]
        return u

    return solve, lost
