"""Measures of a model with noise: means, variances, and shares of outcomes, over the paths of a cell."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from toymesa.analyse.outcomes import NEAR, UNRESOLVED, End, outcomes_of
from toymesa.analyse.proportions import confidence, interval_of, proportion
from toymesa.arguments import Array, scalar
from toymesa.errors import ArgumentError
from toymesa.status import Status
from toymesa.sweep.ensemble import Ensemble, Simulated
from toymesa.sweep.own import function_fingerprint
from toymesa.sweep.reading import Measure, Variable, expression, name_of, named
from toymesa.symbolic.model import TIME, Model


@dataclass(frozen=True)
class _Moment:
    """A mean or a variance with its standard error."""

    what: Any
    name: str
    kind: str  # "mean" or "variance"
    noise: ClassVar[bool] = True

    def describe(self) -> dict[str, Any]:
        return {"measure": self.kind, "what": str(self.what), "name": self.name}

    def variables(self, model: Model, times: tuple[float, ...] | None) -> tuple[Variable, ...]:
        expression(model, self.what, self.name)
        names = f"{self.name}_{self.kind}", self._error
        texts = f"{self.kind} of {self.name} over the paths", f"standard error of the {self.kind} of {self.name}"
        return tuple(Variable(n, times=times, attrs=(("long_name", t),)) for n, t in zip(names, texts, strict=True))

    @property
    def _error(self) -> str:
        return f"{self.name}_error" if self.kind == "mean" else f"{self.name}_variance_error"

    def read(self, solved: Simulated) -> dict[str, NDArray[Any]]:
        values = solved.main.evaluate(expression(solved.model, self.what, self.name))
        if not solved.timed:
            values = values[:, :, -1:]
        found = np.full((2, solved.rows, values.shape[2]), np.nan)
        for row in range(solved.rows):  # a row at a time: the order of a sum must not follow the batch
            table = np.ascontiguousarray(values[row].T)
            fine = np.isfinite(table).all(axis=1)
            found[:, row, fine] = _moment(table[fine], self.kind)
        names = f"{self.name}_{self.kind}", self._error
        return {n: v if solved.timed else v[:, 0] for n, v in zip(names, found, strict=True)}


def _moment(table: Array, kind: str) -> tuple[Array, Array]:
    """Mean or variance along the last axis, and its standard error; NaN where one path is too few."""
    count = table.shape[1]
    middle = table.mean(axis=1)
    if count < 2:
        return (middle if kind == "mean" else np.full_like(middle, math.nan)), np.full_like(middle, math.nan)
    off = (table - middle[:, None]) ** 2
    variance = off.sum(axis=1) / (count - 1)
    if kind == "mean":
        return middle, np.sqrt(variance / count)
    fourth = (off**2).mean(axis=1)
    # of s^2 from n draws: (m4 - s^4 (n - 3)/(n - 1))/n (Mood, Graybill and Boes 1974, VI.2.3)
    return variance, np.sqrt(np.maximum(fourth - variance**2 * (count - 3) / (count - 1), 0.0) / count)


def mean(what: Any, name: str | None = None) -> Measure:
    """Mean of a state, observable or formula over the paths of a cell, at the times of the sweep.

    Gives ``<name>_mean`` and ``<name>_error``, its standard error (NaN for a single path); NaN from the time at which a path
    of the cell failed. A plain name or formula among the measures of a model with noise means this.
    """
    return _Moment(what, name_of(what, name), "mean")


def variance(what: Any, name: str | None = None) -> Measure:
    """Variance (of the model, estimated without bias) of a state, observable or formula over the paths, at these times.

    Gives ``<name>_variance`` and ``<name>_variance_error``, its standard error for any distribution with a fourth moment.
    """
    return _Moment(what, name_of(what, name), "variance")


@dataclass(frozen=True)
class _Shares:
    outcomes: tuple[tuple[str, Any], ...]
    name: str
    level: float
    interval: str
    near: float
    noise: ClassVar[bool] = True

    def describe(self) -> dict[str, Any]:
        given = {k: function_fingerprint(v) if _is_function(v) else str(v) for k, v in self.outcomes}
        rest = {"name": self.name, "level": self.level, "interval": self.interval, "near": self.near}
        return {"measure": "shares", "outcomes": given, **rest}

    def variables(self, model: Model, times: tuple[float, ...] | None) -> tuple[Variable, ...]:
        found = outcomes_of(model, dict(self.outcomes), near=self.near)
        kind = f"{self.level:.4g} {self.interval} interval"
        texts = {"share": "share of the paths", "low": f"lower end of its {kind}", "high": f"upper end of its {kind}"}
        out = [
            Variable(f"{self.name}_{k}", times=times, attrs=(("long_name", t),), outcomes=(self.name, found.names))
            for k, t in texts.items()
        ]
        none = (("long_name", "share of the paths that no outcome describes, or that failed"),)
        return (*out, Variable(f"{self.name}_unresolved", times=times, attrs=none))

    def read(self, solved: Simulated) -> dict[str, NDArray[Any]]:
        outcomes = outcomes_of(solved.model, dict(self.outcomes), near=self.near)
        run, paths = solved.main, solved.main.states.shape[1]
        wanted = range(run.times.size) if solved.timed else (run.times.size - 1,)
        label = np.stack([outcomes.label(_ends(run, k)).reshape(run.rows, paths) for k in wanted], axis=1)
        count = np.stack([(label == i).sum(axis=2) for i in range(len(outcomes.names))], axis=-1)
        share, low, high = proportion(count, paths, self.level, self.interval)
        out = {"share": share, "low": low, "high": high, "unresolved": (label == UNRESOLVED).sum(axis=2) / paths}
        return {f"{self.name}_{k}": v if solved.timed else v[:, 0] for k, v in out.items()}


def _is_function(value: Any) -> bool:
    return isinstance(value, Callable) and not hasattr(value, "free_symbols")  # type: ignore[arg-type]


def _ends(run: Ensemble, time: int) -> End:
    """Every path as if it ended at one of the output times; what failed later was fine until then."""
    values = {n: run.states[:, :, time, i].reshape(-1) for i, n in enumerate(run.model.state_names)}
    values |= {n: v[:, :, time].reshape(-1) for n, v in run.observed.items()}
    paths = run.states.shape[1]
    there = np.isfinite(run.states[:, :, time]).all(axis=2).reshape(-1)
    status = run.ended.reshape(-1).astype(np.int64)
    status = np.where(there & (status == Status.OVERFLOW) & (time < run.times.size - 1), int(Status.OK), status)
    values |= {s.name: np.repeat(p, paths) for s, p in zip(run.model.params, run.params, strict=True)}
    values[TIME.name] = np.full(status.size, run.times[time])
    return End(values, status, run.states[:, :, time].reshape(status.size, -1))


def shares(
    outcomes: Mapping[str, Any],
    name: str = "outcome",
    *,
    level: float = 0.95,
    interval: str = "wilson",
    near: float = NEAR,
) -> Measure:
    """Shares of the paths of a cell in each of some outcomes, at the times of the sweep, with intervals.

    outcomes, near : as in :func:`toymesa.basins`: label -> formula ("x > 0"), relation, function, fixed point or status;
    the first that holds counts. level, interval : "wilson" or "exact", as in :func:`toymesa.outcome_probabilities`.
    Gives ``<name>_share``, ``<name>_low``, ``<name>_high`` over a dimension ``<name>`` of the labels, and
    ``<name>_unresolved``. Paths that failed count as unresolved. The method "weak2" has the right moments, but steps on a
    lattice: shares need another one.
    """
    if not isinstance(outcomes, Mapping) or not outcomes:
        raise ArgumentError(f"outcomes must be a mapping from label to condition; got {outcomes!r}")
    given = tuple((str(k), v) for k, v in outcomes.items())
    return _Shares(
        given, named(name), confidence(level), interval_of(interval), scalar("near", near, 0.0, low_open=True)
    )
