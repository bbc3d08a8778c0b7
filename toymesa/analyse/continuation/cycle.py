"""One limit cycle and a family of them, and what is read off an orbit."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from toymesa.analyse.continuation.augmented import HopfSystem, newton
from toymesa.analyse.continuation.collocation import Orbits

Array = NDArray[np.float64]
PHASES = 65  # points at which an orbit is kept
_MULTIPLIER = 1e-6  # distance from the unit circle that counts as on it


@dataclass(frozen=True)
class Cycle:
    """One cycle: parameter fraction q, period (the model's time), extremes of the states, multipliers but the trivial one.

    orbit : states (PHASES, n) at evenly spaced fractions of the period, from 0 to 1. error : distance of the trivial
    multiplier from 1, which says how well the orbit is resolved.
    """

    q: float
    period: float
    low: Array
    high: Array
    multipliers: NDArray[np.complex128]
    error: float
    orbit: Array

    @property
    def stable(self) -> bool:
        """All multipliers inside the unit circle."""
        return bool((np.abs(self.multipliers) < 1).all())

    @property
    def unstable(self) -> int:
        """How many multipliers are outside the unit circle."""
        return int((np.abs(self.multipliers) > 1 + _MULTIPLIER).sum())


@dataclass
class Family:
    """Cycles in the order in which they were followed, special ones as (position, kind), and what the family ends in.

    ends_in : "hopf", "homoclinic", "saddle-node" (on the cycle), "low" or "high" end of the range, "unbounded",
    "centre" (all at one value of the parameter), "long", "points", "time", "step". at : the fixed point (y, q) that the
    last cycles come close to, or at which they vanish.
    """

    hopf: Array
    omega: float
    cycles: list[Cycle] = field(default_factory=list)
    specials: list[tuple[int, str]] = field(default_factory=list)
    ends_in: str = ""
    at: Array | None = None


def read(system: Orbits, w: Array) -> Cycle:
    """The cycle that w stands for, in the model's own units."""
    problem = system.problem
    x = problem.origin + system.fine(w) @ problem.basis.T
    try:
        multipliers = system.multipliers(w)
    except np.linalg.LinAlgError:
        multipliers = np.full(problem.n, np.nan + 0j)
    trivial = int(np.argmin(np.abs(multipliers - 1))) if np.isfinite(multipliers).all() else 0
    error = float(np.abs(multipliers[trivial] - 1))
    rest = np.delete(multipliers, trivial)
    rest = rest[np.argsort(-np.abs(rest))]
    orbit = problem.origin + system.read(w, np.linspace(0.0, 1.0, PHASES)) @ problem.basis.T
    return Cycle(float(w[-1]), float(np.exp(w[-2]) / problem.rate), x.min(axis=0), x.max(axis=0), rest, error, orbit)


def deviation(system: Orbits, w: Array) -> Array:
    """The orbit without its mean, scaled so that its length is the root mean square."""
    y = system.orbit(w)
    return np.asarray((y - y.mean(axis=0)).ravel() * system.weight)


def vanishing(system: Orbits, w: Array) -> Array:
    """The Hopf point (y, q) that a small cycle surrounds."""
    near = np.append(system.orbit(w).mean(axis=0), w[-1])
    hopf = HopfSystem(system.problem)
    found = newton(hopf, hopf.begin(near), 0.2)
    return near if found is None else found[0][: hopf.base]
