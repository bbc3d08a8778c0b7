"""What every stepping program shares: where a step ends, what a lane keeps of it, and when it asks for attention."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from toymesa.kernels.lanes import layout as rows
from toymesa.kernels.lanes.emit import Program, Value
from toymesa.kernels.lanes.functions import rough_power
from toymesa.kernels.lanes.layout import Layout

_EPS = 2.220446049250313e-16
_HUGE = 1e300


@dataclass(frozen=True)
class Ending:
    """When lanes ask for attention besides arriving and failing: at output times, when steady, after each step (``watched``).

    autonomous: the rates do not depend on time, so that rates of exactly 0 stay so. patience: steps before a trajectory
    may be steady, by which time a first step that was guessed too short has grown.
    """

    outputs: bool = False
    steady: bool = False
    watched: bool = False
    autonomous: bool = True
    patience: float = 5.0

    @property
    def dense(self) -> bool:
        """Whether a step keeps what its interpolant is made of."""
        return self.outputs or self.watched

    def clipped(self, p: Program) -> tuple[Value, Value, Value]:
        """Elapsed time, the step cut to end no later than the last time, and whether it is the last."""
        elapsed, end = p.row(rows.ELAPSED), p.row(rows.END)
        h, left = p.row(rows.STEP), end - elapsed
        last = left <= h * (1.0 + 1e-12)
        return elapsed, p.select(last, left, h), last

    def finite(self, p: Program, new: Sequence[Value]) -> Value:
        """Whether no component is NaN or infinite."""
        good = abs(new[0]) < float("inf")
        for v in new[1:]:
            good = good & (abs(v) < float("inf"))
        return good

    def is_steady(self, p: Program, layout: Layout, x: Sequence[Value], rate: Sequence[Value]) -> Value:
        """Moving on like this for as long again would change no state by more than its tolerance."""
        elapsed, rtol = p.row(rows.ELAPSED), p.shared(rows.RTOL)
        still, fixed = p.row(rows.ACCEPTED) >= self.patience, p.truth(True)
        for i in range(layout.n):
            bound = p.shared(rows.FIXED_SHARED + i) + rtol * abs(x[i])
            still = still & (abs(rate[i]) * elapsed < bound)
            fixed = fixed & p.compare("oeq", rate[i], 0.0)
        return still | fixed if self.autonomous else still


def largest(
    p: Program, tops: Sequence[Value], bottoms: Sequence[Value], others: Sequence[Value] | None
) -> tuple[Value, Value, Value | None]:
    """Numerator and denominator of the largest ratio (NaN wins), and what belongs to it of a third list."""
    top, bottom = tops[0], bottoms[0]
    other = None if others is None else others[0]
    for i in range(1, len(tops)):
        # not (a <= b): a NaN among the numerators comes out on top
        bigger = ~(tops[i] * bottom <= top * bottoms[i]) & p.compare("oeq", top, top)
        top, bottom = p.select(bigger, tops[i], top), p.select(bigger, bottoms[i], bottom)
        if others is not None and other is not None:
            other = p.select(bigger, others[i], other)
    return top, bottom, other


def finish(
    p: Program, layout: Layout, ending: Ending, *, accepted: Value, sound: Value, h: Value, last: Value, factor: Value,
    x: Sequence[Value], new: Sequence[Value], rate: Sequence[Value], new_rate: Sequence[Value],
    hits: Value | None, kept: Sequence[Sequence[Value]] | None, lost: Value | None = None, stuck: Value | None = None,
) -> str:  # fmt: skip
    """Write back what a lane keeps of the step, and the reason why it asks for attention; returns the program's source."""
    elapsed, end = p.row(rows.ELAPSED), p.row(rows.END)
    steady, arrived = None, accepted & last
    if ending.steady:  # told by the rates at the start of a step, also of one of no length at the last time
        steady, arrived = ending.is_steady(p, layout, x, rate), elapsed >= end
        accepted = accepted & ~steady & ~arrived
    reached = p.select(accepted, p.select(last, end, elapsed + h), elapsed)
    step = p.minimum(h * factor, p.shared(rows.LONGEST))
    done, refused = p.row(rows.ACCEPTED), p.row(rows.REJECTED)
    done = p.select(accepted, done + 1.0, done)
    refused = p.select(accepted, refused, refused + 1.0)
    size = abs(new[0])
    for v in new[1:]:
        size = p.maximum(abs(v), size)
    # the last reason that holds is the one given; an output time within the step is seen whatever else there is
    code = p.constant(rows.NOTHING)
    if ending.outputs:
        code = p.select(accepted & (reached >= p.row(rows.NEXT)), rows.OUTPUT, code)
    code = p.select(done + refused >= p.shared(rows.MOST_STEPS), rows.OUT_OF_STEPS, code)
    if hits is not None:
        # worth it where more explicit steps are left than the implicit method, of order 5, will take for the rest: about
        # 1.5 rtol^(-1/5), as measured
        implicit = 1.5 * rough_power(p, p.shared(rows.RTOL), -0.2)
        code = p.select((hits >= 12.0) & (end - reached > implicit * h), rows.TURNED_STIFF, code)
    floor = (16.0 * _EPS) * p.maximum(reached, 1e-290)
    collapsed = rows.COLLAPSED if stuck is None else rows.NO_SERIES
    code = p.select(step < floor, collapsed, code)
    code = p.select(~(step >= 0.0), collapsed, code)
    if stuck is not None:
        code = p.select(stuck, rows.NO_SERIES, code)
    if lost is not None:
        code = p.select(lost, rows.LOST_PIVOT, code)
    if steady is not None:
        code = p.select(accepted & last, rows.NOTHING, code)
    code = p.select(accepted & (size > _HUGE), rows.TOO_LARGE, code)
    code = p.select(arrived, rows.ARRIVED, code)
    if steady is not None:
        code = p.select(steady, rows.STEADY, code)
    for i in range(layout.n):
        if ending.dense:
            p.store(layout.before + i, x[i])
        p.store(layout.state + i, p.select(accepted, new[i], x[i]))
        p.store(layout.rate + i, p.select(accepted, new_rate[i], rate[i]))
    if kept is not None:
        first = layout.kept if layout.stages else layout.interpolant
        for s, stage in enumerate(kept):
            for i in range(layout.n):
                p.store(first + s * layout.n + i, stage[i])
    p.store(rows.HELD, p.select(accepted, rows.TAKEN, p.select(sound, rows.REFUSED, rows.UNDEFINED)))
    if ending.dense:
        p.store(rows.BEFORE, elapsed)
        p.store(rows.USED, h)
    p.store(rows.ELAPSED, reached)
    p.store(rows.STEP, step)
    p.store(rows.ACCEPTED, done)
    p.store(rows.REJECTED, refused)
    p.store(rows.CODE, code)
    wanted = (code > 0.0) | accepted if ending.watched else code > 0.0
    return p.source((p.row(rows.ACTIVE) > 0.0) & wanted)
