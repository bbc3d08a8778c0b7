"""The program that looks at a step as it was made: which events may be zero within it, and whether one ends the run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from toymesa.errors import ModelError
from toymesa.kernels.chebyshev import DEGREE, FIT, LAST, MARGIN, NODES
from toymesa.kernels.events import Event
from toymesa.kernels.lanes import layout as rows
from toymesa.kernels.lanes.emit import Program, Value
from toymesa.kernels.lanes.expressions import Reader, shared
from toymesa.kernels.lanes.interpolate import inside
from toymesa.kernels.lanes.layout import Layout
from toymesa.symbolic.model import TIME, Model

# what was seen in a step: nothing that ends it, a sure crossing of a terminal event, an interpolant without a value
GO_ON, CROSSED, NO_VALUE = 0.0, 1.0, 2.0
MOST_BITS = 50  # events beyond share the last bit


def watch(method: str, model: Model, events: Sequence[Event], layout: Layout, lanes: int) -> str:
    """Source of ``watch``: returns the lanes in whose last step something was seen.

    An event may be zero where its constant Chebyshev coefficient does not outweigh the others. A terminal one is surely
    crossed where its values at the ends of the step differ in sign, in the wanted direction, by more than rounding.
    """
    p = Program("watch", lanes)
    n = layout.n
    before, used = p.row(rows.BEFORE), p.row(rows.USED)
    known: dict[Any, Value] = {s: p.row(layout.params + i) for i, s in enumerate(model.params)}
    first = rows.FIXED_SHARED + n
    constants = [c for e in events for c in e.constants]
    for k, symbol in enumerate(constants):
        known[symbol] = p.shared(first + k)
    form = shared([e.form for e in events])
    samples: list[list[Value]] = [[] for _ in events]
    for j, node in enumerate(NODES.tolist()):
        elapsed = before + used * node
        if j == 0:
            states = [p.row(layout.before + i) for i in range(n)]
        elif j == DEGREE:
            states = [p.row(layout.state + i) for i in range(n)]
        else:
            states = inside(p, method, layout, used * node if method == "taylor" else p.constant(node))
        here = known | dict(zip(model.states, states, strict=True))
        here[TIME] = p.shared(rows.START_TIME) + p.shared(rows.DIRECTION) * elapsed
        reader = Reader(p, here)
        for symbol, value in form[0]:
            reader.define(symbol, value)
        for line, expr in zip(samples, form[1], strict=True):
            line.append(reader.read(expr))
    sound = p.truth(True)
    for k in range(layout.powers * n):
        sound = sound & (abs(p.row(layout.interpolant + k)) < float("inf"))
    flags, sure, seen = p.constant(0.0), p.truth(False), ~sound
    for e, (event, line) in enumerate(zip(events, samples, strict=True)):
        near, defined, crossed = _judged(p, event, line)
        flags = flags + p.select(near, 2.0**e if e < MOST_BITS else 0.0, 0.0)
        if e >= MOST_BITS:
            last = 2.0**MOST_BITS
            flags = p.select(near & (flags < last), flags + last, flags)
        seen = seen | near | ~defined
        if event.terminal:
            sure = sure | crossed
        p.store(layout.seen + 2 + e, p.select(defined, 0.0, 1.0))
    p.store(layout.seen, flags)
    p.store(layout.seen + 1, p.select(sound, p.select(sure, CROSSED, GO_ON), NO_VALUE))
    return p.source(seen)


def _judged(p: Program, event: Event, f: Sequence[Value]) -> tuple[Value, Value, Value]:
    """Whether an event may be zero, is a finite number at all nodes, and surely has a crossing as wanted."""
    half = DEGREE // 2
    sums = [*(f[j] + f[DEGREE - j] for j in range(half)), f[half]]
    differences = [f[j] - f[DEGREE - j] for j in range(half)]
    series = []
    for k in range(DEGREE + 1):
        folded = differences if k % 2 else sums
        series.append(p.sum([v * float(c) for v, c in zip(folded, FIT[k], strict=False) if c != 0.0]))
    sizes = [abs(c) for c in series]
    rest, tail = p.sum(sizes[1:]), sizes[-1]
    for s in sizes[-LAST:-1]:
        tail = p.maximum(s, tail)
    size = sizes[0] + rest
    defined = size < float("inf")
    near = defined & (sizes[0] <= rest * (1.0 + 1e-12) + MARGIN * tail) & (size > 0.0)
    low, high = f[0], f[-1]
    more = 1e-9 * size
    up, down = (low < -more) & (high > more), (low > more) & (high < -more)
    crossed = {1: up, -1: down, 0: up | down}[event.direction]
    return near, defined, crossed & defined


def unreadable(model: Model, events: Sequence[Event]) -> str | None:
    """The name of the first event that has no form in lanes, or None."""
    for event in events:
        p = Program("probe", 8)
        known: dict[Any, Value] = {s: p.constant(1.0) for s in (*event.constants, *model.states, *model.params, TIME)}
        try:
            Reader(p, known).read(event.form)
        except ModelError:
            return event.name
    return None
