"""Closed forms of a model: where they hold, and their values."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import sympy as sp
from numpy.typing import NDArray

from toymesa.errors import DomainError
from toymesa.kernels.arrays import array_function, relation_function, symbols_of
from toymesa.kernels.lanes.grid import LANES, grid_function
from toymesa.solver.inputs import Cells
from toymesa.solver.internal_time import states_at
from toymesa.status import Status
from toymesa.symbolic.model import TIME, ClosedForm, InternalTimeForm, Model, at_start

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Exact:
    """A closed form that holds for every usable cell, or the reason why none does."""

    form: ClosedForm | InternalTimeForm | None
    reason: str

    @property
    def label(self) -> str:
        """The method's name in results."""
        return "closed (internal time)" if isinstance(self.form, InternalTimeForm) else "closed"


def choose(model: Model, cells: Cells, times: Array, *, steady: bool) -> Exact:
    """The first closed form whose conditions hold in all cells that are not already unusable."""
    if not model.closed_forms:
        return Exact(None, f"model {model.name!r} has no closed form")
    reasons = []
    usable = ~cells.bad
    for form in model.closed_forms:
        internal = isinstance(form, InternalTimeForm)
        if internal and times[-1] < 0:
            reasons.append("the internal-time form runs forward only")
            continue
        if steady and not internal:
            reasons.append("a closed form in time has no end of its own; steady states are found numerically")
            continue
        failed = next(((c, f) for c in form.conditions if (f := ~_held(model, c, cells) & usable).any()), None)
        if failed is None:
            return Exact(form, "")
        relation, where = failed
        row = int(np.flatnonzero(where)[0])
        columns = _columns(model, cells).items()
        values = {s: np.broadcast_to(v, cells.bad.size)[row] for s, v in columns if s in symbols_of(relation)}
        shown = ", ".join(f"{s} = {v:g}" for s, v in values.items())
        reasons.append(f"its condition {relation} does not hold ({shown})")
    return Exact(None, "; ".join(reasons))


def holds(model: Model, form: ClosedForm | InternalTimeForm, cells: Cells) -> NDArray[np.bool_]:
    """For which cells every condition of a closed form is met, (row,)."""
    out = ~cells.bad
    for relation in form.conditions:
        out &= _held(model, relation, cells)
    return out


def _columns(model: Model, cells: Cells) -> dict[sp.Symbol, Array | float]:
    """What the formulas of a closed form are of, for all cells."""
    names = [*model.params, *(at_start(s) for s in model.states)]
    return dict(zip(names, [*cells.param_columns, *cells.start_columns], strict=True))


def _held(model: Model, relation: Any, cells: Cells) -> NDArray[np.bool_]:
    """Where a condition is met, (row,), or () where it is of nothing that varies."""
    used = {s: c for s, c in _columns(model, cells).items() if s in symbols_of(relation)}
    (held,) = relation_function(list(used), [relation])(*used.values())
    return held


def require(model: Model, exact: Exact) -> ClosedForm | InternalTimeForm:
    """The chosen form; DomainError with the reason where there is none."""
    if exact.form is None:
        raise DomainError(f"method='closed' cannot be used for model {model.name!r}: {exact.reason}")
    return exact.form


def evaluate(
    model: Model, form: ClosedForm | InternalTimeForm, cells: Cells, times: Array, *, steady: bool,
    threads: int | None = None, progress: Callable[[int, int], None] | None = None,
) -> tuple[Array, NDArray[np.uint8]]:  # fmt: skip
    """States (row, time, state) by the closed form, and a status for each row; NaN where it is not OK.

    ``steady``: the converged state alone. In internal time a row whose rate has no root within reach does not converge:
    NOT_STEADY; one whose rate is not positive at the start has no internal time: BAD_PARAM.
    """
    if isinstance(form, ClosedForm):
        block = np.empty((len(model.states), cells.bad.size, times.size))
        over_grid(model, form, cells, times, [*block], threads=threads)
        return _judged(np.moveaxis(block, 0, 2), cells)
    moments = np.array([math.inf]) if steady else times
    good = np.flatnonzero(~cells.bad)
    out, ends = np.full((cells.bad.size, moments.size, len(model.states)), np.nan), np.full(cells.bad.size, np.nan)
    out[good], ends[good] = states_at(
        model, form, cells.param_columns.take(good), cells.start_columns.take(good), moments, threads=threads,
        progress=progress,
    )  # fmt: skip
    out, status = _judged(out, cells)
    status[ends == math.inf], status[ends == 0.0] = Status.NOT_STEADY, Status.BAD_PARAM
    return out, status


def over_grid(
    model: Model, form: ClosedForm, cells: Cells, times: Array, out: Sequence[Array], *, threads: int | None = None
) -> None:
    """Fill ``out``, an array (row, time) for each state, with a closed form in time; what is no number stays so."""
    given = [*model.params, *(at_start(s) for s in model.states)]
    columns = [*cells.param_columns, *cells.start_columns]
    exprs = [form.states[s] for s in model.states]
    # along the times, or along the cells where the times are few; chosen by the times alone, and a value with them
    long = times.size >= LANES
    function = grid_function(given, [TIME], exprs) if long else grid_function([TIME], given, exprs)
    if function is None:  # a special function: array by array
        values = array_function([*given, TIME], exprs)(*(np.reshape(c, (-1, 1)) for c in columns), times[None, :])
        for result, value in zip(out, values, strict=True):
            result[:] = value
    elif long:
        function(np.concatenate([cells.params, cells.starts], axis=1), [times], out, threads=threads)
    elif times.size == 1:
        function(times[:, None], columns, [result.T for result in out], threads=threads)
    else:
        turned = np.empty((len(exprs), times.size, cells.bad.size))
        function(times[:, None], columns, [*turned], threads=threads)
        for result, value in zip(out, turned, strict=True):
            result[:] = value.T


def _judged(states: Array, cells: Cells) -> tuple[Array, NDArray[np.uint8]]:
    """NaN in unusable rows, and the status that finite or infinite values stand for."""
    states[cells.bad] = np.nan
    fine = np.isfinite(states).all(axis=(1, 2))
    return states, np.where(fine, Status.OK, np.where(cells.bad, Status.BAD_PARAM, Status.OVERFLOW)).astype(np.uint8)
