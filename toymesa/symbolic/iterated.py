"""A map applied several times: its fixed points are the periodic orbits of the map."""

from __future__ import annotations

import sympy as sp

from toymesa.errors import ArgumentError, ModelError
from toymesa.symbolic.model import Model

_MOST_OPERATIONS = 200_000  # of the formulas; they grow as the power of the degree


def iterated(model: Model, times: int) -> Model:
    """The map x -> f(f(..f(x)..)), one step of which is ``times`` steps of a map.

    Its fixed points are the orbits of that period (and of its divisors): ``fixed_points`` finds them (for low periods),
    ``follow`` continues them, and a flip of the one map is a branch point of the other at which they begin.
    times : a whole number from 1. The formulas grow fast with it: ModelError where they become too large, or for a flow.
    Exact; what only holds along the flow of single steps (noise, closed forms, invariants of the flow) is dropped.
    """
    if not isinstance(model, Model):
        raise ArgumentError(f"model must be a toymesa Model; got {type(model).__name__}")
    if not model.discrete or model.algebraic:
        raise ModelError(f"only maps can be iterated; model {model.name!r} is a flow")
    if isinstance(times, bool) or not isinstance(times, int) or times < 1:
        raise ArgumentError(f"times must be a whole number from 1; got {times!r}")
    step = dict(model.flow)
    flow = step
    for _ in range(times - 1):
        flow = {s: e.xreplace(flow) for s, e in step.items()}
        size = sum(int(sp.count_ops(e)) for e in flow.values())
        if size > _MOST_OPERATIONS:
            raise ModelError(f"model {model.name!r} applied {times} times has formulas of more than {size} operations")
    return model.with_(
        name=f"{model.name}_{times}_times", flow=flow, noise=None, closed_forms=(), invariants={}, potential=None, metric=None
    )  # fmt: skip
