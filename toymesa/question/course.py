"""The simplicity prior against training time, and stopping early for better and for worse."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from toymesa.models.mechanisms import mechanisms
from toymesa.solver import solve
from toymesa.symbolic.model import Model
from toymesa.theorems import mechanisms as theorems

# a fast mechanism that takes half a bit more to describe, against a simple one of half its rate: the selection score
# log2(rate) - bits favours the fast one by half a bit, the prior the simple one by as much
FAST, SIMPLE = "fast", "simple"
RATES = (2.0, 1.0)
BITS = (0.5, 0.0)


@dataclass(frozen=True)
class Landmarks:
    """Times and diversities that the theorems give for a course.

    growth_ends: time by which 95 % of the amplification exponent of the joint trajectory has been spent (mechanisms 1.4,
    mean rate). decision: time at which reliance reaches the threshold odds, per diversity (mechanisms 1.9, exact for
    lam = mu = 0). crossover: diversity above which the free energy favours the fast mechanism (mechanisms 1.10).
    critical: diversity below which the joint state is stable (mechanisms 1.5, equal rates 1).
    """

    growth_ends: float
    decision: NDArray[np.float64]
    crossover: float
    critical: float


def prior_against_time(lam: float, mu: float) -> tuple[xr.Dataset, Landmarks]:
    """Expected bits over time for several diversities of the fast-against-simple pair, and the landmarks."""
    model = mechanisms((FAST, SIMPLE)).with_params(
        {"lam": lam, "mu": mu}
        | {f"rate_{n}": r for n, r in zip((FAST, SIMPLE), RATES, strict=True)}
        | {f"bits_{n}": b for n, b in zip((FAST, SIMPLE), BITS, strict=True)}
    )
    crossover = float(theorems.crossover_diversity(lam=lam, mu=mu, rates=RATES, bits=BITS))
    critical = float(theorems.critical_diversity(lam, mu))
    anchor = crossover if np.isfinite(crossover) and crossover > 0 else 10.0
    diversity = anchor * np.array([0.1, 0.5, 2.0, 10.0, 50.0])
    times = np.concatenate([[0.0], np.geomspace(0.02, 3e4, 400)])
    run = solve(model, times, params={"diversity": diversity}, on_fail="status")
    odds = float((BITS[1] - BITS[0]) * np.log(2.0))  # of the prior
    decision = np.asarray(theorems.decision_time(0.9, prior_log_odds=odds, rates=RATES, diversity=diversity).time)
    growth_ends = 2 / float(np.mean(RATES)) * np.log(20.0)
    return run, Landmarks(growth_ends, decision, crossover, critical)


@dataclass(frozen=True)
class Contrast:
    """Two courses of a symmetric pair: stopping early keeps one joint, and loses the other.

    Variables of each dataset over time: n_eff, asymmetry max|p - 1/2|, loss. ``stop``: the time at which training stops
    at the given residual.
    """

    better: xr.Dataset
    worse: xr.Dataset


def stopping_for_better_and_worse(residual: float) -> Contrast:
    """Mechanisms 1.7: one pair polarizes only after the stop, the other has recovered by the time it converges.

    residual: fraction of the reducible loss left at the stop, in (0, 1).
    """
    perturbation, theta = 1e-3, 0.4
    converged = float(theorems.stop_diversity(0.0, perturbation=perturbation, threshold=theta, mechanisms=2))
    between = converged * float(np.sqrt(theorems.early_stopping_gain(residual)))
    return Contrast(
        better=_pair(between, lam=0.0, mu=0.0, perturbation=perturbation, residual=residual),
        worse=_pair(60.0, lam=1e-4, mu=0.05, perturbation=perturbation, residual=residual),
    )


def _pair(diversity: float, *, lam: float, mu: float, perturbation: float, residual: float) -> xr.Dataset:
    model: Model = mechanisms(("first", "second")).with_params(lam=lam, mu=mu, diversity=diversity)
    odds = float(np.log((0.5 + perturbation) / (0.5 - perturbation)))
    times = np.concatenate([[0.0], np.geomspace(0.02, 3e4, 500)])
    level = residual * 0.5
    run = solve(
        model,
        times,
        start={"logit_first": odds},
        events={"stop": (model.observables["loss"] - level, {"direction": -1})},
        method="auto",
    )
    asymmetry = abs(run["p_first"] - 0.5).assign_attrs(long_name="asymmetry of reliance, max|p - 1/2|")
    stop = float(run["event_stop"].values[0]) if int(run["event_stop_count"]) else np.nan
    return run.assign(asymmetry=asymmetry).assign_attrs(
        stop=stop, diversity=diversity, lam=lam, mu=mu, perturbation=perturbation, residual=residual
    )
