"""The part of the state space that a report shows: where its fixed points, its start and its runs lie."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toymesa.analyse.report.trained import Training
from toymesa.symbolic.model import Model

Array = NDArray[np.float64]
_ROOM = 0.35  # of the extent, around it


def shown_states(model: Model, start: Mapping[str, float], points: Sequence[Any], run: Training) -> list[str]:
    """The one or two differential states along which fixed points, start and runs lie farthest apart."""
    algebraic = {s.name for s in model.algebraic}
    names = [n for n in model.state_names if n not in algebraic]
    spread = {n: float(np.ptp(_places(n, start, points, run))) for n in names}
    first = sorted(names, key=lambda n: -spread[n])[:2]
    return [n for n in names if n in first]


def extent(
    model: Model, name: str, start: Mapping[str, float], points: Sequence[Any], run: Training
) -> tuple[float, float]:
    """An interval of a state that holds all of them with room around, inside its domain.

    Not beyond 0 where all of them lie on one side of it: many states are amounts.
    """
    values = _places(name, start, points, run)
    low, high = float(values.min()), float(values.max())
    apart = high - low > 1e-6 * (1.0 + abs(high))
    room = _ROOM * (high - low) if apart else 1.0 + abs(high)
    domain = model.domains[model.state(name)]
    least, most = (0.0 if apart and low >= 0 else -np.inf), (0.0 if apart and high <= 0 else np.inf)
    low, high = max(low - room, domain.low, least), min(high + room, domain.high, most)
    inner = 1e-6 * (high - low)  # open ends do not belong to the domain
    return (low if low in domain else low + inner), (high if high in domain else high - inner)


def _places(name: str, start: Mapping[str, float], points: Sequence[Any], run: Training) -> Array:
    parts = [start[name], *(p.state[name] for p in points)]
    for one in (run, run.shifted):
        if one is not None and one.course is not None:
            values = one.course[name].values
            parts += values[np.isfinite(values)].tolist()
    return np.array(parts)
