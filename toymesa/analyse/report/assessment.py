"""The report of ``assess``: everything found, as data, as a page, and as pictures."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import xarray as xr

from toymesa.analyse.certified.census import Census
from toymesa.analyse.report import page
from toymesa.analyse.report.scans import Scan
from toymesa.analyse.report.trained import Training
from toymesa.analyse.report.verdict import Verdict, verdict
from toymesa.analyse.stability import Stability
from toymesa.symbolic.linear import Conditions
from toymesa.symbolic.model import Model


@dataclass(frozen=True, kw_only=True)
class Point:
    """A fixed point of the report.

    shares : of a simplex. n_eff : effective number of them, None without. certified : proved to exist
    (for a point of a line or surface of fixed points: that there is one).
    """

    state: Mapping[str, float]
    stability: Stability
    n_eff: float | None
    certified: bool
    shares: Mapping[str, float] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """JSON data: that of :class:`Stability` with ``shares``, ``n_eff`` and ``exists`` ("proved" or "numerical")."""
        exists = "proved" if self.certified else "numerical"
        return self.stability.to_dict() | {"shares": dict(self.shares), "n_eff": self.n_eff, "exists": exists}


@dataclass(frozen=True, kw_only=True, repr=False)
class Assessment:
    """What :func:`toymesa.assess` found.

    model, params, start : what was looked at. census : of the fixed points (None if they could not be searched for).
    points : with their stability; focus : number of the one that the answer is about, None without any. conditions : exact
    conditions on the parameters for its stability, where it has a formula. training : the run from the start. basins : ends
    of a grid of starts (None with nothing to tell apart). scans : one a
    parameter that was varied. left : what was not looked at. seconds, budget : time taken and allowed.
    """

    model: Model
    params: Mapping[str, float]
    start: Mapping[str, float]
    census: Census | None
    points: tuple[Point, ...]
    focus: int | None
    conditions: Conditions | None
    training: Training
    basins: xr.Dataset | None
    scans: tuple[Scan, ...]
    left: tuple[str, ...]
    seconds: float
    budget: float

    @property
    def verdict(self) -> Verdict:
        """Whether joint optimization is stable, in which sense it is not, and in a sentence."""
        return verdict(self.model, self.points, self.focus, self.training)

    @property
    def complete(self) -> bool:
        """Whether every part was done: no fixed point undecided, nothing left out for want of time."""
        whole = self.census is not None and self.census.complete
        return whole and not any(s.left for s in self.scans) and not any("budget" in line for line in self.left)

    def to_dict(self) -> dict[str, Any]:
        """The JSON shape of ``toymesa assess --json``."""
        return {
            "model": self.model.name,
            "params": dict(self.params),
            "start": dict(self.start),
            "verdict": self.verdict.to_dict(),
            "points": [p.to_dict() for p in self.points],
            "undecided": [] if self.census is None else self.census.to_dict()["undecided"],
            "conditions": None if self.conditions is None else [str(c) for c in self.conditions.conditions or ()],
            "training": self.training.to_dict(),
            "basins": page.basin_rows(self),
            "scans": [s.to_dict() for s in self.scans],
            "not_looked_at": page.not_looked_at(self),
            "complete": self.complete,
            "seconds": round(self.seconds, 3),
        }

    def plot(self, where: Any = None) -> Any:
        """Draw it: into a directory (returns the files), or on the one or more Axes given (returns them).

        See :func:`toymesa.plot.assessment`.
        """
        # by name, when it is asked for: pictures build on analyses, not the reverse
        return importlib.import_module("toymesa.plot").assessment(self, where)

    def __str__(self) -> str:
        return page.page(self)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        from html import escape

        return f"<pre>{escape(str(self))}</pre>"
