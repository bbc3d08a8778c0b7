"""A model as a function of points: what boundary refinement and adaptive sampling evaluate."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from toymesa.arguments import Array, whole
from toymesa.errors import ArgumentError, DomainError, did_you_mean
from toymesa.status import Status
from toymesa.sweep.axes import Design, between, interval
from toymesa.sweep.engines import cores
from toymesa.sweep.plan import Plan
from toymesa.sweep.planning import plan
from toymesa.sweep.tasks import warm
from toymesa.symbolic.model import Model

_ROWS = 512  # points that a thread takes at once


@dataclass
class Pointwise:
    """One quantity of a model over a box. ranges: axis -> (low, high, scale); evaluations are counted.

    Points are given in the unit cube, (point, axis).
    """

    base: Plan
    ranges: dict[str, tuple[float, float, str]]
    quantity: str
    workers: int
    evaluations: int = 0

    def values(self, unit: Array) -> Array:
        """Points in the model's own coordinates."""
        columns = []
        for j, ranged in enumerate(self.ranges.values()):
            u, (low, high, _) = unit[:, j], ranged
            columns.append(np.where(u == 0.0, low, np.where(u == 1.0, high, between(ranged, u))))
        return np.stack(columns, axis=1)

    def __call__(self, unit: Array) -> Array:
        """The quantity at each point, NaN where the model failed."""
        return self.at(self.values(unit))

    def at(self, values: Array) -> Array:
        """The same at points in the model's own coordinates."""
        self.evaluations += len(values)
        pieces = [values[i : i + _ROWS] for i in range(0, len(values), _ROWS)]
        if len(pieces) <= 1:
            return self._piece(values) if len(values) else np.empty(0)
        with ThreadPoolExecutor(self.workers) as pool:
            return np.concatenate(list(pool.map(self._piece, pieces)))

    def _piece(self, values: Array) -> Array:
        columns = tuple(replace(c, values=values[:, j]) for j, c in enumerate(self.base.design.columns))
        here = replace(self.base, design=Design("points", {"point": len(values)}, columns), chunks=(len(values),))
        found, _ = here.evaluate(np.arange(len(values), dtype=np.int64)[:, None])
        fine = found["status"] == Status.OK
        return np.where(fine, found[self.quantity].astype(float), np.nan)


def pointwise(model: Any, over: Any, quantity: Any, name: str, workers: int | None, **solving: Any) -> Pointwise:
    """Check the arguments that ``refine`` and the adaptive learner share. solving: arguments of ``sweep``."""
    if not hasattr(over, "items") or not over:
        raise ArgumentError(f"over must be a mapping from name to (low, high) or (low, high, 'log'); got {over!r}")
    ranges = {getattr(k, "name", k): interval(v, str(k)) for k, v in over.items()}
    if isinstance(model, Model) and model.noise is not None:
        raise ArgumentError(f"{name} needs a model without noise; got {model.name!r}: sweep its shares over a grid")
    middle = {k: math.sqrt(a * b) if s == "log" else (a + b) / 2 for k, (a, b, s) in ranges.items()}
    options: dict[str, Any] = {
        "t": None, "until": None, "params": None, "start": None, "events": None, "method": "auto", "rtol": 1e-8,
        "atol": 1e-10, "max_step": math.inf, "first_step": None, "max_steps": 100_000, "rng": None,
    }  # fmt: skip
    for key in solving:
        if key not in options:
            raise ArgumentError(f"{name} has no argument {key!r}{did_you_mean(key, options)}")
    given = {"quantity": quantity} if isinstance(quantity, str) or callable(quantity) else [quantity]
    base = plan(model, [middle], measure=given, design_="points", samples=None, chunk=None, **(options | solving))
    if any(callable(v) for v in (*base.params.values(), *base.starts.values())):
        raise DomainError(
            f"{name} needs a model without random draws: a label must not change between two looks at a point"
        )
    variables = [v for v in base.variables if v.name != "nsteps"]
    if len(variables) != 1 or variables[0].sizes:
        raise ArgumentError(
            f"{name} needs one number a point; got {[v.name for v in variables]} at {len(base.setup.times)} times"
        )
    warm(base)
    return Pointwise(base, ranges, variables[0].name, cores() if workers is None else whole("workers", workers, 1))
