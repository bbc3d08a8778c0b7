"""One row a compute budget: how short of convergence training stops, and what diversity it tolerates there."""

from __future__ import annotations

import numpy as np
import xarray as xr

from toymesa.question.measured import measured_stop_diversity
from toymesa.question.settings import Settings
from toymesa.theorems import mechanisms as theorems

EXACT = {
    "critical_diversity": "diversity at which the model is just joint when stopped at this compute (mechanisms 1.7)",
    "critical_diversity_converged": "the same for training to convergence, n_stop(0)",
    "critical_diversity_fixed_point": "linear stability of the converged joint state at the chosen decay and pressure, n_c",
}


def compute_table(asked: Settings) -> xr.Dataset:
    """The table as a Dataset over compute, symmetric model: equal rates and priors, perfect, no decay or pressure.

    Exact to first order in the perturbation: ``critical_diversity``. Numerical: ``measured_critical_diversity``,
    bisection on the full nonlinear model. With noise, ``noise_critical_diversity`` is the diversity at which noise alone
    reaches the threshold (mechanisms 1.8).
    """
    frontier = asked.law.frontier(asked.compute)
    short = asked.law.shortfall(asked.compute)
    residual = np.asarray(short.residual, dtype=float)
    growth = {"perturbation": asked.perturbation, "threshold": asked.threshold, "mechanisms": asked.count}
    columns = {
        "parameters": (frontier.parameters, "optimal model size"),
        "steps": (_column(frontier.steps, residual), "optimal number of training steps"),
        "tokens": (_column(frontier.tokens, residual), "optimal number of training tokens"),
        "excess": (short.excess, "L/L_inf - 1"),
        "share": (short.share, "1 - L_inf/L"),
        "reducible_ratio": (short.reducible_ratio, "training term of the loss over both reducible terms"),
        "residual": (residual, "share of what training removes that is still there"),
        "critical_diversity": (theorems.stop_diversity(residual, **growth), EXACT["critical_diversity"]),
        "critical_diversity_converged": (
            theorems.stop_diversity(np.zeros_like(residual), **growth),
            EXACT["critical_diversity_converged"],
        ),
        "critical_diversity_fixed_point": (
            np.full_like(residual, theorems.critical_diversity(asked.lam, asked.mu, mechanisms=asked.count)),
            EXACT["critical_diversity_fixed_point"],
        ),
        "measured_critical_diversity": (
            measured_stop_diversity(residual, asked.names, asked.perturbation, asked.threshold),
            "the same by bisection on the full nonlinear model",
        ),
        "gain": (theorems.early_stopping_gain(residual), "what stopping early buys, 1/(1 - sqrt r)^2"),
    }
    if asked.noise > 0:
        columns["noise_critical_diversity"] = (
            theorems.noise_stop_diversity(
                residual, temperature=asked.noise, threshold=asked.threshold, mechanisms=asked.count
            ),
            "diversity at which gradient noise alone reaches the threshold (mechanisms 1.8)",
        )
    return xr.Dataset(
        {n: ("compute", np.asarray(v, dtype=float), {"long_name": text}) for n, (v, text) in columns.items()},
        coords={"compute": ("compute", asked.compute, {"units": "FLOP"})},
        attrs={"law": asked.law.name, "source": asked.law.source},
    )


def _column(values: object, like: np.ndarray) -> np.ndarray:
    """A column that a law may not have, as NaN."""
    return np.full_like(like, np.nan) if values is None else np.asarray(values, dtype=float)
