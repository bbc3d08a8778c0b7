"""Which share of the starts around the fixed points ends at which of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import xarray as xr

from toymesa.analyse.basins import basins
from toymesa.analyse.report.trained import Training
from toymesa.analyse.report.view import extent, shown_states
from toymesa.symbolic.model import Model

_GRID = {1: 101, 2: 15}  # starts a coordinate
AWAY = "grows beyond every bound"


def basins_around(
    model: Model,
    params: Mapping[str, float],
    start: Mapping[str, float],
    points: Sequence[Any],
    run: Training,
    seconds: float,
) -> xr.Dataset | None:
    """Ends of a grid of starts over the one or two states that are shown, the others as at the start.

    None where there is nothing to tell apart: fewer than two fixed points, none of them stable, or an inner run at every
    evaluation. Outcomes are "fixed point <number>"; those of saddles end few starts.
    """
    calm = any(p.stability.kind.startswith("stable") for p in points)
    ends = {f"fixed point {i}": p.state for i, p in enumerate(points) if not p.stability.dimension}
    if not calm or len(points) < 2 or model.inner_run is not None:
        return None
    names = shown_states(model, start, points, run)
    over = {n: (*extent(model, n, start, points, run), _GRID[len(names)]) for n in names}
    rest = {n: v for n, v in start.items() if n not in names}
    return basins(model, over, outcomes={**ends, AWAY: "blow_up"}, params=params, start=rest, time_limit=seconds)
