"""The effective number of shares of a simplex: how many still take part."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toymesa.kernels.arrays import array_function
from toymesa.symbolic.model import Chart, Model

Array = NDArray[np.float64]


def simplex(model: Model) -> Chart | None:
    """The first chart of the model whose coordinates are shares that sum to one."""
    return next((c for c in model.charts if c.constraint is not None and len(c.coordinates) > 1), None)


def shares(model: Model, states: Mapping[str, Any], params: Mapping[str, float]) -> dict[str, Array]:
    """Share -> values at the states (numbers or arrays); empty without a simplex."""
    chart = simplex(model)
    if chart is None:
        return {}
    function = array_function([*model.states, *model.params], [chart.from_states[c] for c in chart.coordinates])
    values = function(*(states[n] for n in model.state_names), *(params[n] for n in model.param_names))
    return {c.name: np.asarray(v, dtype=float) for c, v in zip(chart.coordinates, values, strict=True)}


def effective_number(model: Model, states: Mapping[str, Any], params: Mapping[str, float]) -> Any:
    """exp of the entropy of the shares, 1 (one rules) to their number; None for a model without shares."""
    parts = shares(model, states, params)
    if not parts:
        return None
    p = np.array(list(parts.values()))
    with np.errstate(divide="ignore", invalid="ignore"):
        entropy = -np.where(p > 0, p * np.log(np.where(p > 0, p, 1.0)), 0.0).sum(axis=0)
    out = np.exp(entropy)
    return float(out) if out.ndim == 0 else out
