"""Measures of how a model behaves: stability where training ends, and where in a parameter that changes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toymesa.analyse import KINDS
from toymesa.arguments import Array, scalar, whole
from toymesa.errors import ArgumentError, DomainError
from toymesa.status import Status
from toymesa.sweep.axes import between, interval
from toymesa.sweep.cells import solve_rows
from toymesa.sweep.quantities import value
from toymesa.sweep.reading import Measure, Variable, flags, named
from toymesa.sweep.solved import Solved
from toymesa.sweep.spectrum import kinds, leading, spectrum
from toymesa.symbolic.model import Model

# growth rates that are not told from zero, against the largest: at a point that was solved for, and at one that was given
_SOLVED, _GIVEN = 1e-6, 1e-9


@dataclass(frozen=True)
class _Stability:
    name: str
    at: str
    kind: bool

    def describe(self) -> dict[str, Any]:
        return {"measure": "stability" if self.kind else "growth", "at": self.at, "name": self.name}

    def variables(self, model: Model, times: tuple[float, ...] | None) -> tuple[Variable, ...]:
        model.jacobian()
        if self.kind:
            return (Variable(self.name, "int8", attrs=flags(KINDS)),)
        return (Variable(self.name, attrs=(("long_name", "growth rate of the leading eigenvalue"),)),)

    def read(self, solved: Solved) -> dict[str, NDArray[Any]]:
        run = solved.steady if self.at == "steady" else solved.main
        eigenvalues = spectrum(solved.model, run.columns(-1))
        if self.kind:
            tiny = _SOLVED if self.at == "steady" else _GIVEN
            return {self.name: kinds(eigenvalues, discrete=solved.model.discrete, tiny=tiny)}
        return {self.name: leading(eigenvalues, discrete=solved.model.discrete)}


def stability(name: str = "kind", *, at: str = "steady") -> Measure:
    """Kind of the steady state that training reaches, by the eigenvalues there (``flag_meanings`` has the names).

    at: "steady", or "end": the linearization where training stops. -1 where the cell failed. By plain numbers, without a
    certificate; fixed points side by side (a drift) come out as "undecided".
    """
    return _Stability(named(name), _place(at), True)


def growth(name: str = "growth", *, at: str = "steady") -> Measure:
    """Growth rate there: the largest real part of an eigenvalue (of a map: the logarithm of the largest modulus).

    Negative: stable; its sign is a margin for :func:`toymesa.refine`.
    """
    return _Stability(named(name), _place(at), False)


def _place(at: str) -> str:
    if at not in ("steady", "end"):
        raise DomainError(f"at must be 'steady' or 'end'; got {at!r}")
    return at


@dataclass(frozen=True)
class _Critical:
    parameter: str
    between: tuple[float, float, str]
    phase: Measure
    by_sign: bool
    cells: int
    tol: float
    name: str

    def describe(self) -> dict[str, Any]:
        return {
            "measure": "critical", "parameter": self.parameter, "between": list(self.between), "by_sign": self.by_sign,
            "phase": self.phase.describe(), "cells": self.cells, "tol": self.tol, "name": self.name,
        }  # fmt: skip

    def variables(self, model: Model, times: tuple[float, ...] | None) -> tuple[Variable, ...]:
        model.param(self.parameter)
        inner = self.phase.variables(model, None)
        if len(inner) != 1:
            raise ArgumentError(f"{self.name!r} needs a label or margin of one variable; got {[v.name for v in inner]}")
        return (Variable(self.name, attrs=(("long_name", f"critical {self.parameter}"),)),)

    def _at(self, solved: Solved, unit: Array) -> Array:
        """The phase of every row at its own place in the interval; NaN where the model failed."""
        params = {**solved.params, self.parameter: between(self.between, unit)}
        run = solve_rows(solved.model, solved.setup, params, solved.starts, solved.rows)
        there = Solved(
            solved.model, solved.setup, params, solved.starts, solved.rows, False, solved.streams, run
        )  # fmt: skip
        (found,) = self.phase.read(there).values()
        return np.where(there.status == Status.OK, found.astype(float), np.nan)

    def _differ(self, a: Array, b: Array) -> NDArray[np.bool_]:
        both = np.isfinite(a) & np.isfinite(b)
        return np.asarray(both & ((a > 0) != (b > 0) if self.by_sign else a != b))

    def read(self, solved: Solved) -> dict[str, NDArray[Any]]:
        low, rows = np.full(solved.rows, np.nan), solved.rows
        high, at_low = low.copy(), low.copy()
        before = self._at(solved, np.zeros(rows))
        for i in range(self.cells):  # the first change on the way up
            after = self._at(solved, np.full(rows, (i + 1) / self.cells))
            new = np.isnan(low) & self._differ(before, after)
            low[new], high[new], at_low[new] = i / self.cells, (i + 1) / self.cells, before[new]
            before = after
        found = np.isfinite(low)
        for _ in range(max(0, math.ceil(math.log2(1 / (self.cells * self.tol))))) if found.any() else ():
            middle = np.where(found, (low + high) / 2, 0.5)
            here = self._at(solved, middle)
            beyond, short = found & self._differ(here, at_low), found & np.isfinite(here) & ~self._differ(here, at_low)
            high[beyond], low[short] = middle[beyond], middle[short]
        return {self.name: between(self.between, (low + high) / 2)}


def critical(
    parameter: str,
    between: Sequence[Any],
    *,
    margin: Any = None,
    label: Measure | None = None,
    cells: int = 8,
    tol: float = 1e-6,
    name: str | None = None,
) -> Measure:
    """The value of a parameter at which the phase changes, in every cell; NaN where it does not.

    parameter : one that is no axis of the sweep. between : (low, high) or (low, high, "log"). margin : a quantity whose
    sign is the phase (a name, formula or measure of one number), or label : a measure of labels; read at the end.
    cells : steps of the scan that looks for the first change on the way up, which is then halved for all cells at once
    until its bracket is narrower than ``tol`` of the interval. name : default ``critical_<parameter>``.
    """
    if (margin is None) == (label is None):
        raise ArgumentError("critical needs either margin= or label=")
    phase = label if label is not None else margin
    if not hasattr(phase, "read"):
        phase = value(phase, "margin", at="end")
    return _Critical(
        parameter, interval(between, parameter), phase, margin is not None, whole("cells", cells, 1, 10_000),
        scalar("tol", tol, 1e-15, 1.0), named(name or f"critical_{parameter}"),
    )  # fmt: skip
