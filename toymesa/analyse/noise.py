"""What noise makes of outcomes: the probability of each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr

from toymesa.analyse.outcomes import NEAR, UNRESOLVED, end_of, outcomes_of
from toymesa.analyse.proportions import confidence, interval_of, proportion
from toymesa.errors import ArgumentError, named_arguments
from toymesa.solver.inputs import cells
from toymesa.solver.options import Progress
from toymesa.solver.simulate import every_path, simulate
from toymesa.symbolic.model import Model


@named_arguments
def outcome_probabilities(
    model: Model,
    t: Any,
    outcomes: Any,
    *,
    paths: int = 1000,
    step: float | None = None,
    method: str = "auto",
    start: Any = None,
    params: Any = None,
    near: float = NEAR,
    level: float = 0.95,
    interval: str = "wilson",
    rng: Any = None,
    threads: int | None = None,
    progress: Progress = False,
) -> xr.Dataset:
    """Probability of each outcome at time t of a model with noise, with intervals.

    outcomes, near : as in :func:`toymesa.basins`. t, paths, step, method, start, params, rng : as in
    :func:`toymesa.simulate`; of a list of times the last one counts. interval : "wilson" or "exact" (Clopper-Pearson),
    both at ``level``; they cover the sampling error of ``paths`` independent paths, not the bias of ``step``.

    Returns a Dataset over the swept names, ``path`` and ``outcome``: ``label`` (-1 where no outcome holds or the path
    failed), ``status``; ``count``, ``probability``, ``probability_low``, ``probability_high``; ``unresolved`` (share).
    Raises ArgumentError and DomainError for unusable arguments.
    """
    level, kind = confidence(level), interval_of(interval)
    if not isinstance(model, Model):
        raise ArgumentError(f"model must be a toymesa Model; got {type(model).__name__}")
    named = outcomes_of(model, outcomes, near=near)
    if _draws(start) or _draws(params):
        raise ArgumentError("start and params must be numbers, lists or DataArrays here: draw them before the call")
    run = simulate(
        model, t, paths=paths, step=step, method=method, start=start, params=params, rng=rng, threads=threads,
        progress=progress,
    )  # fmt: skip
    last = run.isel(time=-1)
    every, _ = every_path(cells(model, start, params, np.random.default_rng(0)), int(run.sizes["path"]))
    label = named.label(end_of(model, last, every.params, float(last["time"])))
    grid = xr.DataArray(label.reshape(every.shape), dims=every.dims)
    count = np.stack([(grid == i).sum("path").values for i in range(len(named.names))], axis=-1)
    share, low, high = proportion(count, grid.sizes["path"], level, kind)
    dims = (*every.dims[:-1], "outcome")
    data = last[["status"]].drop_vars("time")
    data["label"] = grid.astype(np.int32).assign_attrs(long_name="position of the outcome, -1 unresolved")
    data["count"] = (dims, count, {"long_name": "paths with this outcome"})
    data["probability"] = (dims, share, {"long_name": "share of the paths"})
    data["probability_low"] = (dims, low, {"long_name": f"lower end of the {level:.4g} {kind} interval"})
    data["probability_high"] = (dims, high, {"long_name": f"upper end of the {level:.4g} {kind} interval"})
    data["unresolved"] = (grid == UNRESOLVED).mean("path").assign_attrs(long_name="share of unresolved paths")
    data.attrs |= {"t": float(last["time"]), "level": level, "interval": kind}
    return data.assign_coords(outcome=list(named.names))


def _draws(given: Any) -> bool:
    values = given.values() if isinstance(given, Mapping) else [given]
    return any(callable(v) and not isinstance(v, xr.DataArray) for v in values)
