"""What the named mechanisms do at the stop, over diversity and compute.

One trajectory a diversity: its own steady state gives the floor that the loss would reach, and training at compute C
stops when the part of the loss above that floor has fallen to the fraction r(C).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import sympy as sp
import xarray as xr
from numpy.typing import NDArray

from toymesa.kernels.arrays import array_function
from toymesa.models.mechanisms import mechanisms
from toymesa.solver import solve
from toymesa.symbolic.model import Model, Parameter

MAP_OBSERVABLES = ("n_eff", "expected_bits", "deployment_loss", "loss")


def stopped_map(
    names: Sequence[str],
    diversity: NDArray[np.float64],
    compute: NDArray[np.float64],
    residual: NDArray[np.float64],
    *,
    lam: float,
    mu: float,
) -> xr.Dataset:
    """State of the mechanism model where training stops, over (diversity, compute).

    Variables: p (diversity, compute, mechanism), leader (its name), n_eff, expected_bits, deployment_loss, loss, the time
    of the stop and the floor of the loss (diversity). Numerical throughout (rtol 1e-8). NaN where a cell failed or its
    trajectory has no loss left to remove; ``status`` of the trajectory says which.
    """
    model = mechanisms(names).with_params(lam=lam, mu=mu)
    levels = [sp.Symbol(f"level_{j}", real=True) for j in range(residual.size)]
    loss = model.observables["loss"]
    watched = model.with_(
        params={**model.params, **{s: Parameter(default=0.0) for s in levels}},
        observables={**model.observables, **{f"above_{j}": loss - s for j, s in enumerate(levels)}},
        closed_forms=(),
    )
    axis = xr.DataArray(diversity, dims="diversity", coords={"diversity": diversity})
    rest = solve(model, 1e9, params={"diversity": axis}, until="steady", on_fail="status")
    first = solve(model, [0.0], params={"diversity": axis}, on_fail="status")["loss"].isel(time=0)
    floor = rest["loss"]
    heights = {s.name: floor + r * (first - floor) for s, r in zip(levels, residual, strict=True)}
    end = float(np.nanmax(rest["t_steady"].values))
    run = solve(
        watched,
        [0.0, end],
        params={"diversity": axis, **heights},
        events={f"stop_{j}": (f"above_{j}", {"direction": -1}) for j in range(residual.size)},
        on_fail="status",
    )
    return _at_stops(model, run, names, diversity, compute).assign(floor=floor, status=run["status"])


def _at_stops(
    model: Model, run: xr.Dataset, names: Sequence[str], diversity: NDArray[np.float64], compute: NDArray[np.float64]
) -> xr.Dataset:
    states = np.stack([_first(run, f"event_stop_{j}_state") for j in range(compute.size)], axis=1)
    times = np.stack([_first(run, f"event_stop_{j}") for j in range(compute.size)], axis=1)
    wanted = [f"p_{n}" for n in names] + list(MAP_OBSERVABLES)
    arguments = [*model.states, *model.params]
    evaluate = array_function(arguments, [model.observables[n] for n in wanted])
    constants = {s.name: p.default for s, p in model.params.items()}
    columns: list[Any] = [states[..., i] for i in range(len(model.states))]
    columns += [diversity[:, None] if s.name == "diversity" else np.float64(constants[s.name]) for s in model.params]
    values = dict(zip(wanted, np.broadcast_arrays(*evaluate(*columns), times), strict=False))
    shares = np.stack([values[f"p_{n}"] for n in names], axis=-1)
    known = np.isfinite(shares).all(axis=-1)
    leader = np.where(known, np.asarray(names, dtype=object)[np.where(known, shares.argmax(axis=-1), 0)], "")
    dims = ("diversity", "compute")
    return xr.Dataset(
        {
            "p": ((*dims, "mechanism"), shares, {"long_name": "reliance at the stop"}),
            "leader": (dims, leader.astype(str), {"long_name": "mechanism with the largest reliance"}),
            "stop_time": (dims, times, {"long_name": "training time at the stop"}),
            **{n: (dims, values[n], {"long_name": model.meanings[n]}) for n in MAP_OBSERVABLES},
        },
        coords={"diversity": diversity, "compute": ("compute", compute, {"units": "FLOP"}), "mechanism": list(names)},
    )


def _first(run: xr.Dataset, name: str) -> NDArray[np.float64]:
    """The first crossing of an event, NaN where there was none."""
    index = f"{name.removesuffix('_state')}_index"
    array = run[name]
    if array.sizes[index] == 0:
        return np.full([array.sizes[d] for d in array.dims if d != index], np.nan)
    return np.asarray(array.isel({index: 0}).values)
