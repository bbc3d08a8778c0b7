"""The symmetric model stopped early, by simulation: what the exact curve is held against.

Equal mechanisms (rate 1, no description length, perfect fidelity) without decay or pressure start at content 0 with one
reliance raised by u0. Training stops when the reducible loss has fallen to the fraction r.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np
import sympy as sp
import xarray as xr
from numpy.typing import NDArray

from toymesa.models.mechanisms import mechanisms
from toymesa.solver import solve
from toymesa.symbolic.model import Domain, Model, Parameter

_RESIDUAL = sp.Symbol("residual", positive=True)


@cache
def symmetric(names: tuple[str, ...]) -> Model:
    """Equal, perfect mechanisms; the observable ``remaining`` passes zero when training stops at ``residual``."""
    model = mechanisms(names)
    equal = {f"{kind}_{n}": v for n in names for kind, v in (("rate", 1.0), ("bits", 0.0), ("fidelity", 1.0))}
    model = model.with_params(equal | {"lam": 0.0, "mu": 0.0})
    fraction = Parameter(default=0.5, domain=Domain(0.0, 1.0, True, True), meaning="fraction of the loss that is left")
    loss = model.observables["loss"]
    return model.with_(
        params={**model.params, _RESIDUAL: fraction},
        observables={**model.observables, "remaining": loss - _RESIDUAL / 2},
        closed_forms=(),
    )


def asymmetry_at_stop(
    diversity: xr.DataArray, residual: xr.DataArray, names: Sequence[str], perturbation: float
) -> xr.DataArray:
    """max_r |p_r - 1/K| when the loss has fallen to the fraction ``residual``; arguments broadcast by their dimensions.

    Numerical: the event is located to the solver's tolerance (rtol 1e-9).
    """
    count = len(names)
    raised = 1 / count + perturbation
    others = (1 - raised) / (count - 1)
    odds = {f"logit_{names[0]}": np.log(raised / others)} | {f"logit_{n}": 0.0 for n in names[1:-1]}
    # the slowest stop is that of the joint trajectory, c = 1 - exp(-t/K); an asymmetric start only hastens it
    slowest = -count * np.log(np.sqrt(float(residual.min())))
    run = solve(
        symmetric(tuple(names)),
        [0.0, 2.0 * slowest + 1.0],
        params={"diversity": diversity, "residual": residual},
        start=odds,
        rtol=1e-9,
        atol=1e-13,
        events={"stop": ("remaining", {"terminal": True})},
        on_fail="status",
    )
    logits = run["event_stop_state"].isel(event_stop_index=0).sel(state=[f"logit_{n}" for n in names[:-1]])
    full = np.concatenate([logits.values, np.zeros((*logits.shape[:-1], 1))], axis=-1)
    shares = np.exp(full - np.logaddexp.reduce(full, axis=-1, keepdims=True))
    worst = np.abs(shares - 1 / count).max(axis=-1)
    return xr.DataArray(
        worst, dims=logits.dims[:-1], coords={d: logits[d] for d in logits.dims[:-1] if d in logits.coords}
    )


def measured_stop_diversity(
    residual: NDArray[np.float64], names: Sequence[str], perturbation: float, threshold: float
) -> NDArray[np.float64]:
    """Diversity at which the asymmetry at the stop reaches the threshold, by bisection on the full nonlinear model.

    No formula goes in: the bracket grows from n = 1 until it holds the crossing. Relative width at the end: 1e-4.
    """
    rows = np.arange(residual.size)
    left = xr.DataArray(np.asarray(residual, dtype=float), dims="row", coords={"row": rows})
    low, high = np.full(residual.size, 0.25), np.full(residual.size, 4.0)

    def reached(n: NDArray[np.float64]) -> NDArray[np.bool_]:
        grid = xr.DataArray(n, dims="row", coords={"row": rows})
        return np.asarray(asymmetry_at_stop(grid, left, names, perturbation).values >= threshold)

    while not (done := reached(high)).all():
        low, high = np.where(done, low, high), np.where(done, high, 4 * high)
        if high.max() > 1e12:
            return np.where(done, high, np.inf)
    while (below := reached(low)).any():
        high, low = np.where(below, low, high), np.where(below, low / 4, low)
    while np.any(high / low > 1 + 1e-4):
        middle = np.sqrt(low * high)
        up = reached(middle)
        low, high = np.where(up, low, middle), np.where(up, middle, high)
    return np.sqrt(low * high)
