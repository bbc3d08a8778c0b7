"""Every crossing of events, in order, for many trajectories at once, from the steps within which they may be zero.

On each step an event is a smooth function of theta in [0, 1] (the interpolant put into its expression). Its step is halved,
all steps at once, until on each piece its Chebyshev series shows that it has no zero or is monotone; then the signs at the
ends of pieces, along the trajectory, say where the crossings are. A zero without a change of sign is none, and neither is a pole.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toymesa.arguments import Array
from toymesa.kernels.blocks import in_blocks
from toymesa.kernels.chebyshev import NODES, shape
from toymesa.kernels.columns import Columns
from toymesa.kernels.events import Event
from toymesa.kernels.watched import Steps, Watch, bit, joined

Index = NDArray[np.int64]
Bools = NDArray[np.bool_]
_BLOCK = 2048  # steps whose values at the nodes stay in a cache
# how often a step is halved: where its series does not converge, as at a jump, and where it does, as at a tangency
_ROUGH, _SMOOTH = 12, 26
_CROWDED = 2**_ROUGH // 4  # so many pieces of a step that are rough to the last are no jumps
_EPS = 2.220446049250313e-16


@dataclass(frozen=True)
class Found:
    """Crossings of one event: of which row, (crossing,), at which elapsed time, and the states there, (crossing, state).

    By row, and in a row in order of travel. crowded: rows in a step of which there are too many to tell them apart.
    """

    rows: Index
    elapsed: Array
    states: Array
    crowded: Index

    def until(self, ends: Array) -> Found:
        """Those no later than the end of their row."""
        kept = self.elapsed <= ends[self.rows]
        return replace(self, rows=self.rows[kept], elapsed=self.elapsed[kept], states=self.states[kept])


def locate(
    watch: Watch, params: Columns, span: float, *, threads: int | None = None
) -> tuple[dict[str, Found], Array, Bools]:
    """Crossings of every event up to the first of a terminal one, when that was, and which events were no numbers by then.

    When: (row,), inf where there was none; which: (row, event). span: how long a trajectory runs; a crossing within 2e-13
    (or 2e-13 of a span below 1) of the start is the start's own zero as rounding left it, and none.
    """
    steps = joined(watch.steps, len(watch.model.states))

    def crossings(event: Event, here: Steps) -> Found:
        return _crossings(watch, event, here, params, span, threads)

    mine = [steps.take((steps.events & bit(i)) != 0) for i in range(len(watch.events))]
    found = {e.name: crossings(e, here) for e, here in zip(watch.events, mine, strict=True)}
    ends = np.full(watch.ended.size, math.inf)
    for event in watch.events:
        if event.terminal:
            np.minimum.at(ends, found[event.name].rows, found[event.name].elapsed)
    lost = watch.lost < ends[:, None]
    for i, event in enumerate(watch.events):
        rows = np.flatnonzero(lost[:, i] & np.isfinite(ends))
        if not rows.size:
            continue
        # in the step that a terminal event ends an event may be no number only behind that end
        whole = _cut(watch, event, steps, rows, watch.lost[:, i], ends, params)
        lost[whole.rows, i] = False
        found[event.name] = crossings(event, joined([mine[i], whole], len(watch.model.states)))
        if event.terminal:
            np.minimum.at(ends, found[event.name].rows, found[event.name].elapsed)
    return {name: f.until(ends) for name, f in found.items()}, ends, lost


def _cut(
    watch: Watch, event: Event, steps: Steps, rows: Index, lost: Array, ends: Array, params: Columns
) -> Steps:  # fmt: skip
    """The last steps of some rows up to their ends, where an event that is lost in these steps is a number until then."""
    last = np.full(ends.size, -1)
    begun = np.flatnonzero(steps.before < ends[steps.rows])
    np.maximum.at(last, steps.rows[begun], begun)
    which = last[rows]
    which = which[(which >= 0) & (lost[rows] >= steps.before[which])]
    short = steps.take(which)
    short = short.until((ends[short.rows] - short.before) / short.used)
    samples = watch.values(
        event, short, np.arange(which.size), np.broadcast_to(NODES, (which.size, NODES.size)), params
    )
    return short.take(np.isfinite(samples).all(axis=1))


def _crossings(watch: Watch, event: Event, steps: Steps, params: Columns, span: float, threads: int | None) -> Found:
    def value(which: Index, theta: Array) -> Array:
        return watch.values(event, steps, which, theta, params)

    signs = [_signs(np.empty(0, dtype=np.int64), value)]

    def work(block: slice) -> None:
        signs.append(_signs(np.arange(block.start, block.stop), value))

    in_blocks(steps.rows.size, _BLOCK, work, threads=threads, least=4)
    which, theta, sign, crowded = (np.concatenate(a) for a in zip(*signs, strict=True))
    order = np.lexsort((theta, which))
    which, theta, sign = which[order], theta[order], sign[order]
    # neighbours among the places where the event is not zero
    before, after = np.flatnonzero(sign)[:-1], np.flatnonzero(sign)[1:]
    change = (steps.rows[which[before]] == steps.rows[which[after]]) & (sign[before] != sign[after])
    if event.direction:
        change &= sign[after] == event.direction
    inside = change & (which[before] == which[after])
    low, high = before[inside], after[inside]
    roots = _roots(value, which[low], theta[low], theta[high])
    # a zero at the end of a step, from which the next one goes on: the first place after the last value
    joint = change & (which[before] != which[after])
    zero = before[joint] + 1
    zero = zero[(which[zero] == which[before[joint]]) & (sign[zero] == 0)]
    where, part = np.concatenate([which[low], which[zero]]), np.concatenate([roots, theta[zero]])
    elapsed = steps.before[where] + steps.used[where] * part
    kept = elapsed > 2e-13 * min(1.0, span)  # and no NaN
    where, part, elapsed = where[kept], part[kept], elapsed[kept]
    order = np.lexsort((part, where))
    where, part = where[order], part[order]
    return Found(steps.rows[where], elapsed[order], steps.at(where, part), np.unique(steps.rows[crowded]))


def _signs(which: Index, value: Callable[[Index, Array], Array]) -> tuple[Index, Array, Array, Index]:
    """Places in steps and the sign there, such that an event changes its sign at most once between two neighbours.

    And the steps in which it may do so more often.
    """
    low, width = np.zeros(which.size), 1.0
    places: list[tuple[Index, Array, Array]] = [(which[:0], low[:0], low[:0])]
    scale, index = np.zeros(which.size), np.arange(which.size)  # and which of them each piece is of
    crowded = which[:0]
    for depth in range(_SMOOTH + 1):
        if not index.size:
            break
        samples = value(which[index], low[:, None] + width * NODES)
        found = shape(samples)
        ends = np.sign(samples[:, [0, -1]])
        settled = found.nonzero | (found.monotone & ~found.rough)
        if depth == 0:
            scale = found.size
        known = settled if depth else found.defined
        for column, theta in ((0, low), (1, low + width)):
            places.append((which[index[known]], theta[known], ends[known, column]))
        # what is left is halved, unless it is no larger than rounding, or a jump that was closed in on
        level = np.abs(samples).max(axis=1) > 8.0 * _EPS * scale[index]
        left = found.defined & ~settled & level
        if depth == _ROUGH:
            crowded = which[np.bincount(index[left & found.rough], minlength=which.size) > _CROWDED]
        if depth >= _ROUGH:
            left &= ~found.rough
        width /= 2.0
        index = np.concatenate([index[left], index[left]])
        low = np.concatenate([low[left], low[left] + width])
    where, theta, sign = (np.concatenate(a) for a in zip(*places, strict=True))
    return where, theta, sign, crowded


def _roots(value: Callable[[Index, Array], Array], which: Index, low: Array, high: Array) -> Array:
    """A zero in each bracket, to rounding, by Chandrupatla's method (1997); NaN where it holds a pole instead."""
    from scipy.optimize import elementwise

    if not which.size:
        return low

    def function(theta: Any, step: Any) -> Any:
        return value(step.astype(np.int64), theta)

    find: Any = elementwise.find_root  # its types know no further arguments
    found = find(
        function, (low, high), args=(which,),
        tolerances={"xatol": 1e-300, "xrtol": 4 * _EPS, "fatol": 0.0, "frtol": 0.0},
    )  # fmt: skip
    ends = np.maximum(np.abs(value(which, low)), np.abs(value(which, high)))
    return np.where(np.abs(found.f_x) <= 2.0 * ends, found.x, np.nan)
