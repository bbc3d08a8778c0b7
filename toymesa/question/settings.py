"""What the main job was asked, checked once at the border."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toymesa.arguments import scalar
from toymesa.errors import ArgumentError, DomainError
from toymesa.models.mechanisms import NAMES, mechanisms
from toymesa.scaling import Law, fit, get_law, read_runs

Progress = bool | Callable[[int, int], None]
_OPEN = {"low_open": True, "high_open": True}


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Arguments of ``answer``, validated.

    compute: FLOP, one row of the table each. diversity: effective tasks, one row of the map each. names: mechanisms.
    perturbation u0 and threshold theta: the model counts as joint while max|p - 1/K|, grown from u0, stays below theta.
    noise: temperature T of gradient noise on reliances. lam, mu: decay and pressure of the converged state.
    """

    law: Law
    compute: NDArray[np.float64]
    diversity: NDArray[np.float64]
    names: tuple[str, ...]
    perturbation: float
    threshold: float
    noise: float
    lam: float
    mu: float

    @property
    def count(self) -> int:
        """K, the number of mechanisms."""
        return len(self.names)


def settings(
    *,
    law: str | Law,
    runs: Any,
    compute: tuple[float, float],
    diversity: tuple[float, float],
    mechanisms_: Sequence[str] | None,
    perturbation: float,
    threshold: float,
    noise: float,
    lam: float,
    mu: float,
    initial_loss: float | None,
) -> Settings:
    """Check every argument of ``answer``; DomainError or ArgumentError with one line for the first that is unusable."""
    names = NAMES if mechanisms_ is None else tuple(mechanisms_)
    mechanisms(names)  # refuses unusable names itself
    limit = 1 - 1 / len(names)
    u0 = scalar("perturbation", perturbation, 0.0, 1 / len(names), **_OPEN)
    theta = scalar(
        "threshold", threshold, u0, limit, why="above the perturbation, below what one mechanism can reach", **_OPEN
    )
    chosen = _law(law, runs)
    if initial_loss is not None:
        chosen = chosen.with_initial_loss(initial_loss)
    return Settings(
        law=chosen,
        compute=_decades(compute, "compute", 1),
        diversity=_decades(diversity, "diversity", 4),
        names=names,
        perturbation=u0,
        threshold=theta,
        noise=scalar("noise", noise, 0.0),
        lam=scalar("lam", lam, 0.0),
        mu=scalar("mu", mu, 0.0),
    )


def _law(law: str | Law, runs: Any) -> Law:
    if runs is not None:
        return fit(read_runs(runs)).law
    return get_law(law) if isinstance(law, str) else law


def _decades(ends: tuple[float, float], name: str, per_decade: int) -> NDArray[np.float64]:
    try:
        low, high = (float(e) for e in ends)
    except (TypeError, ValueError) as error:
        raise ArgumentError(f"{name} must be a pair (low, high); got {ends!r}") from error
    if not (0 < low <= high < math.inf):
        raise DomainError(f"{name} must satisfy 0 < low <= high < inf; got {low:g}:{high:g}")
    decades = math.log10(high) - math.log10(low)
    count = math.ceil(per_decade * decades - 1e-9) + 1
    if count > 200:
        raise DomainError(f"{name} spans {decades:.0f} decades; at most {200 // per_decade} are allowed")
    return np.geomspace(low, high, count) if count > 1 else np.array([low])
