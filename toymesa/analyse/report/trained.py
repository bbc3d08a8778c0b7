"""What one run of training did: the record that reports are written from."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import xarray as xr


@dataclass
class Training:
    """One run from the start, and a second from a start a little off it.

    start, end : state -> value; end is None where the run does not rest. ends_in : "rest" (at a fixed point), "line" (on a
    line or surface of them), "cycle", "away" (grows beyond every bound), "wandering" (neither rests nor repeats), "open"
    (failed, or the time was spent). point : number of the fixed point. settle : time from which it stays within 1 % of
    its largest distance from the end. period, low, high : of a cycle. status : of the solver.
    n_eff : effective number of shares as {"start", "end", "least", "least_at", "half_at"}, half_at the time at which half of
    the way from start to end is made; empty for a model without shares. shares : at the end.
    shifted : the second run; shift : state -> by how much. leave : time at which the two are a tenth of their final distance
    apart (None where they end together); amplified : the most that the distance between them grew, as a factor.
    growth, growth_at : the most that any small perturbation of the start grows until the run settles (lengths in the
    states, from the variational equations), and when; None for more than 4 states, whose derivatives may take long.
    left : what there was no time for.
    """

    start: Mapping[str, float]
    ends_in: str
    status: str
    end: Mapping[str, float] | None = None
    point: int | None = None
    time: float = math.nan
    settle: float | None = None
    period: float | None = None
    low: Mapping[str, float] = field(default_factory=dict)
    high: Mapping[str, float] = field(default_factory=dict)
    n_eff: Mapping[str, float] = field(default_factory=dict)
    shares: Mapping[str, float] = field(default_factory=dict)
    course: xr.Dataset | None = None
    shifted: Training | None = None
    shift: Mapping[str, float] = field(default_factory=dict)
    leave: float | None = None
    amplified: float | None = None
    growth: float | None = None
    growth_at: float | None = None
    left: list[str] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """JSON data; what is not known or not finite is null."""
        return {
            "start": dict(self.start),
            "ends_in": self.ends_in,
            "status": self.status,
            "end": None if self.end is None else dict(self.end),
            "point": self.point,
            "time": _plain(self.time),
            "settle": self.settle,
            "period": self.period,
            "low": dict(self.low),
            "high": dict(self.high),
            "n_eff": dict(self.n_eff),
            "shares": dict(self.shares),
            "shift": dict(self.shift),
            "leave": self.leave,
            "amplified": self.amplified,
            "growth": self.growth,
            "growth_at": self.growth_at,
            "shifted": None if self.shifted is None else self.shifted.to_dict(),
        }


def _plain(x: float) -> float | None:
    return x if math.isfinite(x) else None
