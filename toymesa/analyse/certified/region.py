"""Where fixed points are looked for: the box a user gave, the domains of the model, and which points count as inside."""

from __future__ import annotations

import math
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import numpy as np
import sympy as sp
from numpy.typing import NDArray

from toymesa.analyse.certified.tape import Tape
from toymesa.arguments import numbers
from toymesa.errors import ArgumentError, DomainError, did_you_mean
from toymesa.symbolic.model import Chart, Domain, Model

Array = NDArray[np.float64]
SMALLEST_SHARE = 1e-6  # of a simplex, where no box is given: log-odds are unbounded


class Region:
    """Bounds of every state, infinite where none are known, and bounds of shares where those were given.

    given: whether the user gave a box. notes: what was assumed.
    """

    def __init__(self, model: Model, box: Any) -> None:
        self.model = model
        bounds = _given(model, box)
        self.given = bool(bounds)
        self.notes: list[str] = []
        self.shares: dict[sp.Symbol, tuple[float, float]] = {}
        ends = {s: bounds.pop(s.name) if s.name in bounds else _domain(model.domains[s]) for s in model.states}
        for chart in model.charts:
            ends |= self._from_chart(chart, ends, bounds)
        self.lo = np.array([ends[s][0] for s in model.states])
        self.hi = np.array([ends[s][1] for s in model.states])

    def _from_chart(
        self, chart: Chart, ends: Mapping[sp.Symbol, tuple[float, float]], bounds: dict[str, tuple[float, float]]
    ) -> dict[sp.Symbol, tuple[float, float]]:
        """Bounds of the states of a simplex: what was given for its shares, or all shares that are not tiny."""
        named = {c: bounds[c.name] for c in chart.coordinates if c.name in bounds}
        if not named:
            if all(math.isfinite(e) for s in chart.to_states for e in ends[s]):
                return {}
            tail = SMALLEST_SHARE
            named = dict.fromkeys(chart.coordinates, (tail, 1.0 - tail))
            open_ = [s for s in chart.to_states if not all(math.isfinite(e) for e in ends[s])]
            self.notes.append(
                f"shares below {tail:g} ({', '.join(c.name for c in chart.coordinates)}) are not searched"
            )
        else:
            open_ = list(chart.to_states)
            self.shares |= named
        full = _completed(chart, named)
        symbols = list(full)
        tape = Tape(symbols, [chart.to_states[s] for s in open_])
        lo, hi, _ = tape(np.array([[full[c][0] for c in symbols]]), np.array([[full[c][1] for c in symbols]]))
        if not (np.isfinite(lo).all() and np.isfinite(hi).all()):
            raise DomainError(
                f"the box of {[c.name for c in named]} must keep off 0 and 1: log-odds are unbounded there"
            )
        return {s: (float(lo[0, i]), float(hi[0, i])) for i, s in enumerate(open_)}

    def missing(self, states: Any = None) -> list[str]:
        """Names of the states (positions) whose bounds are not known."""
        known = np.isfinite(self.lo) & np.isfinite(self.hi)
        wanted = range(len(known)) if states is None else states
        return [self.model.state_names[i] for i in wanted if not known[i]]

    def require(self, states: Any = None, *, why: str = "") -> None:
        """DomainError where bounds are missing, with the call that would do."""
        if names := self.missing(states):
            example = ", ".join(f"{n!r}: (-10, 10)" for n in names)
            reason = f"{why}; " if why else ""
            raise DomainError(f"model {self.model.name!r}: {reason}give box={{{example}}} or other bounds")

    def excludes(self, lo: Array, hi: Array) -> bool:
        """Whether an enclosure lies outside for certain (of the closed box)."""
        return bool((hi < self.lo).any() or (lo > self.hi).any())

    def describe(self) -> dict[str, tuple[float, float]] | None:
        """The bounds by name; None if there are none."""
        names = self.model.state_names
        out = {n: (float(self.lo[i]), float(self.hi[i])) for i, n in enumerate(names) if n not in self.missing([i])}
        return out or None


def _given(model: Model, box: Any) -> dict[str, tuple[float, float]]:
    if box is None:
        return {}
    if not isinstance(box, Mapping):
        raise ArgumentError(f"box must be a mapping from name to (low, high); got {box!r}")
    allowed = [*model.state_names, *(c.name for chart in model.charts for c in chart.coordinates)]
    out: dict[str, tuple[float, float]] = {}
    for key, value in box.items():
        name = key if isinstance(key, str) else getattr(key, "name", repr(key))
        if name not in allowed:
            raise ArgumentError(f"model {model.name!r} has no state {name!r}{did_you_mean(name, allowed)}")
        ends = numbers(f"box of {name!r}", value)
        if ends.shape != (2,):
            raise DomainError(f"box of {name!r} must be (low, high); got {value!r}")
        low, high = float(ends[0]), float(ends[1])
        if not (math.isfinite(low) and math.isfinite(high) and low < high):
            raise DomainError(f"box of {name!r} must be finite with low < high; got {low:g} to {high:g}")
        out[name] = (low, high)
    for chart in model.charts:
        shares = [c.name for c in chart.coordinates if c.name in out]
        odds = [s.name for s in chart.to_states if s.name in out]
        if shares and odds:
            raise ArgumentError(f"box gives both {shares} and {odds}, which are the same thing")
    return out


def _domain(domain: Domain) -> tuple[float, float]:
    return domain.low, domain.high


def _completed(chart: Chart, named: Mapping[sp.Symbol, tuple[float, float]]) -> dict[sp.Symbol, tuple[float, float]]:
    """Bounds of all shares: those not given by the constraint that shares sum to one."""
    tail = SMALLEST_SHARE
    out = {c: named.get(c, (tail, 1.0 - tail)) for c in chart.coordinates}
    if chart.constraint is None or any(sp.diff(chart.constraint, c) != 1 for c in out):
        return out
    for c in out:  # p_c = 1 - (sum of the others), outwards by exact arithmetic
        others = [out[o] for o in out if o != c]
        low = 1 - sum((Fraction(e[1]) for e in others), Fraction(0))
        high = 1 - sum((Fraction(e[0]) for e in others), Fraction(0))
        tight = max(out[c][0], float(low) - 1e-15), min(out[c][1], float(high) + 1e-15)
        if tight[0] > tight[1]:
            raise DomainError(f"the box of {[n.name for n in named]} holds no shares that sum to 1")
        out[c] = tight
    return out
