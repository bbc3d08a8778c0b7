"""What events do along many trajectories: the steps within which they may be zero, kept until all are made."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toymesa.kernels.arrays import symbols_of
from toymesa.kernels.chebyshev import NODES, shape
from toymesa.kernels.columns import Columns
from toymesa.kernels.events import Event
from toymesa.kernels.formulas import evaluate_formulas
from toymesa.symbolic.model import TIME, Model

Array = NDArray[np.float64]
Index = NDArray[np.int64]


@dataclass(frozen=True)
class Steps:
    """Accepted steps. rows: of which trajectory, (step,); before, used: elapsed time at the beginning, and length, both >= 0.

    coefficients: of the interpolant in the part theta of a step that has passed, (step, power, state). ends: states after
    the steps, (step, state). events: by bits, which may be zero in them.
    """

    rows: Index
    before: Array
    used: Array
    coefficients: Array
    ends: Array
    events: Index

    def take(self, which: Any) -> Steps:
        """Some of them."""
        return Steps(**{f.name: getattr(self, f.name)[which] for f in fields(self)})

    def until(self, theta: Array) -> Steps:
        """Each of them up to a part of it, (step,)."""
        powers = theta[:, None] ** np.arange(self.coefficients.shape[1])
        ends = self.at(np.arange(theta.size), theta)
        return replace(self, used=self.used * theta, coefficients=self.coefficients * powers[..., None], ends=ends)

    def at(self, which: Index, theta: Array) -> Array:
        """States within the steps ``which``: theta (place,) gives (place, state), (place, node) gives (place, node, state)."""
        return np.stack([self.component(i, which, theta) for i in range(self.ends.shape[1])], axis=-1)

    def component(self, state: int, which: Index, theta: Array) -> Array:
        """One component of the state, of the shape of theta."""
        each = (slice(None), *[None] * (theta.ndim - 1))
        powers = np.ascontiguousarray(self.coefficients[which, :, state].T)
        value = np.zeros(theta.shape)
        for c in powers[::-1]:
            value *= theta
            value += c[each]
        # where a step ends and the next begins they agree
        return np.where(theta == 1.0, self.ends[which, state][each], value)


def joined(parts: Sequence[Steps], n: int) -> Steps:
    """All of them by trajectory, in the order in which they were made."""
    powers = max((p.coefficients.shape[1] for p in parts), default=1)
    size = sum(p.rows.size for p in parts)
    every = Steps(
        np.empty(size, dtype=np.int64), np.empty(size), np.empty(size), np.zeros((size, powers, n)), np.empty((size, n)),
        np.empty(size, dtype=np.int64),
    )  # fmt: skip
    begin = 0
    for part in parts:
        here = slice(begin, begin + part.rows.size)
        for f in fields(Steps):
            whole, some = getattr(every, f.name), getattr(part, f.name)
            if some.ndim == 3:  # higher powers of some methods are 0 for others
                whole[here, : some.shape[1]] = some
            else:
                whole[here] = some
        begin = here.stop
    return every.take(np.lexsort((every.before, every.rows)))


class Watch:
    """Events of a batch, and what has been seen of them: steps; elapsed times at which an event was first no number.

    lost: (row, event), inf where it always was one. ended: rows that stopped for a terminal event.
    """

    def __init__(self, model: Model, events: Sequence[Event], rows: int, direction: float, t0: float = 0.0) -> None:
        self.model, self.events, self.direction, self.t0 = model, tuple(events), direction, t0
        self.lost = np.full((rows, len(self.events)), math.inf)
        self.ended = np.zeros(rows, dtype=bool)
        self.steps: list[Steps] = []

    def values(self, event: Event, steps: Steps, which: Index, theta: Array, params: Columns) -> Array:
        """An event within the steps ``which``, of the shape of theta; always by the same code, a number at a time."""
        nodes = theta if theta.ndim == 2 else theta[:, None]
        rows = steps.rows[which]
        columns: dict[Any, Array | float] = dict(zip(event.constants, map(float, event.values), strict=True))
        used = symbols_of(event.form)
        columns |= {
            s: c if isinstance(c, float) else c[rows][:, None]
            for s, c in zip(self.model.params, params, strict=True)
            if s in used
        }
        columns |= {s: steps.component(i, which, nodes) for i, s in enumerate(self.model.states) if s in used}
        if TIME in used:
            elapsed = steps.before[which][:, None] + steps.used[which][:, None] * nodes
            columns[TIME] = self.t0 + self.direction * elapsed
        out = np.empty(nodes.shape)
        evaluate_formulas([event.form], columns, [out])
        return out.reshape(theta.shape)

    def look(self, steps: Steps, params: Columns) -> None:
        """Keep of the steps of one trajectory, in order, those within which an event may be zero."""
        flags, every = np.zeros(steps.rows.size, dtype=np.int64), np.arange(steps.rows.size)
        for e, event in enumerate(self.events):
            samples = self.values(event, steps, every, np.broadcast_to(NODES, (every.size, NODES.size)), params)
            found = shape(samples)
            flags |= np.where(found.defined & ~found.nonzero & (found.size > 0), bit(e), 0)
            if not found.defined.all():
                first = int(np.argmin(found.defined))
                self.lost[steps.rows[first], e] = steps.before[first]
        self.steps.append(replace(steps, events=flags).take(flags != 0))

    def part(self, rows: Index) -> Watch:
        """The same events, of so many trajectories, nothing seen yet."""
        return Watch(self.model, self.events, rows.size, self.direction, self.t0)

    def put(self, rows: Index, other: Watch) -> None:
        """What was seen of these trajectories is what another watch saw."""
        self.lost[rows], self.ended[rows] = other.lost, other.ended
        self.steps = [s.take(~np.isin(s.rows, rows)) for s in self.steps]
        self.steps += [replace(s, rows=rows[s.rows]) for s in other.steps]


MOST_BITS = 50  # events beyond share the last bit


def bit(event: int) -> int:
    """The bit that stands for an event."""
    return 1 << min(event, MOST_BITS)
