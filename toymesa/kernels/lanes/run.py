"""Large ensembles: a model's programs, built once, and the queue of trajectories over threads."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import sympy as sp
from numpy.typing import NDArray

from toymesa.kernels.integrate import REPORT
from toymesa.kernels.lanes import explicit, rosenbrock, start
from toymesa.kernels.lanes.build import Address, build
from toymesa.kernels.lanes.control import Ending
from toymesa.kernels.lanes.drive import HANDED_OVER, drive
from toymesa.kernels.lanes.emit import Program, Value
from toymesa.kernels.lanes.expressions import Reader, shared
from toymesa.kernels.lanes.layout import FIXED_SHARED, Layout
from toymesa.symbolic.model import TIME, Model

Array = NDArray[np.float64]
_BLOCK = 2048


def _known(p: Program, model: Model, layout: Layout, t: Value, x: Sequence[Value]) -> dict[Any, Value]:
    known: dict[Any, Value] = dict(zip(model.states, x, strict=True))
    known |= {s: p.row(layout.params + i, varies=False) for i, s in enumerate(model.params)}
    known[TIME] = t
    return known


class Emitter:
    """Writes what a model's formulas say into programs."""

    def __init__(self, model: Model, layout: Layout) -> None:
        self.model, self.layout = model, layout
        self._rates = shared(list(model.flow.values()))
        n = len(model.states)
        entries = [sp.diff(e, s) for e in model.flow.values() for s in model.states]
        drifts = [sp.diff(e, TIME) for e in model.flow.values()]
        self._zero = [e == 0 for e in (*entries, *drifts)]
        self._n = n
        self._local = shared([*model.flow.values(), *entries, *drifts])

    def _values(self, p: Program, form: Any, t: Value, x: Sequence[Value]) -> list[Value]:
        reader = Reader(p, _known(p, self.model, self.layout, t, x))
        for symbol, value in form[0]:
            reader.define(symbol, value)
        return [reader.read(e) for e in form[1]]

    def rates(self, p: Program, t: Value, x: Sequence[Value]) -> list[Value]:
        return self._values(p, self._rates, t, x)

    def local(self, p: Program, t: Value, x: Sequence[Value]) -> Any:
        values = self._values(p, self._local, t, x)
        n = self._n
        rest = [None if zero else v for zero, v in zip(self._zero, values[n:], strict=True)]
        return values[:n], [rest[i * n : (i + 1) * n] for i in range(n)], rest[n * n :]


def programs(model: Model, method: str, lanes: int, hand_over: bool, steady: bool) -> tuple[Layout, Mapping[str, Address]]:
    layout = Layout(len(model.states), len(model.params))
    e = Emitter(model, layout)
    ending = Ending(steady=steady)
    if method == "rodas5p":
        main = rosenbrock.advance(layout, e.local, e.rates, lanes, ending=ending)
        order = 5
    else:
        pair = {"tsit5": explicit.TSIT5_PAIR, "dop853": explicit.DOP853_PAIR}[method]
        main = explicit.advance(pair, layout, e.rates, lanes, hand_over=hand_over, ending=ending)
        order = pair.order
    return layout, build([("advance", main), ("prepare", start.prepare(layout, e.rates, lanes, order))])
