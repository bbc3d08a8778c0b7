"""Named outcomes: what a trajectory may end in, and which of them a given end is.

An outcome is a statement about the end of a trajectory. The first that holds, in the order given, names the end; -1 is an
end that none of them describes, or a trajectory that failed. Used by basins and by probabilities under noise.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import sympy as sp
import xarray as xr
from numpy.typing import NDArray
from sympy.logic.boolalg import Boolean

from toymesa.arguments import Array, scalar
from toymesa.errors import ArgumentError, DomainError, ExpressionError, did_you_mean
from toymesa.kernels.arrays import relation_function
from toymesa.status import Status
from toymesa.symbolic.model import TIME, Model
from toymesa.symbolic.parse import parse, parse_relation

UNRESOLVED = -1
NEAR = 1e-3
Labels = NDArray[np.int64]
Bools = NDArray[np.bool_]
_COMPARES = re.compile(r"[<>]|==")


@dataclass(frozen=True)
class End:
    """Ends of trajectories. values: name of a state, observable or parameter, and ``t`` -> one number a row.

    reached: (row, state), where each of them got, also those that failed.
    """

    values: Mapping[str, Array]
    status: Labels
    reached: Array


def end_of(model: Model, data: xr.Dataset, params: Array, when: Any, reached: Array | None = None) -> End:
    """The ends in a Dataset without time, with ``params`` (row, parameter)."""
    rows = params.shape[0]
    values = {n: data[n].values.reshape(rows) for n in (*model.state_names, *model.observables)}
    values |= {n: params[:, i] for i, n in enumerate(model.param_names)}
    values[TIME.name] = np.broadcast_to(np.asarray(when, dtype=float).reshape(-1), rows)
    if reached is None:
        reached = np.stack([values[n] for n in model.state_names], axis=1)
    return End(values, data["status"].values.reshape(rows).astype(np.int64), reached)


@dataclass(frozen=True)
class Outcomes:
    """Named conditions in order; each takes an :class:`End` and says for every row whether it holds."""

    names: tuple[str, ...]
    conditions: tuple[Callable[[End], Bools], ...]

    def label(self, end: End) -> Labels:
        """Position of the first outcome that holds, a row an end; -1 where none does."""
        out = np.full(end.status.size, UNRESOLVED, dtype=np.int64)
        for i, holds in enumerate(self.conditions):
            out[(out == UNRESOLVED) & holds(end)] = i
        return out


def outcomes_of(model: Model, given: Any, *, near: float = NEAR) -> Outcomes:
    """The ``outcomes`` argument, checked.

    given: name -> one of: formula text ("p_a > p_b", or a formula that is then positive) over states, observables,
    parameters and ``t``; a SymPy relation or expression; a function of {name: array} that returns booleans; a fixed point
    (anything with ``.state``, or {state: value}), reached within ``near`` (1 + |value|); the name of a status such as
    "blow_up". Or a list of fixed points, named by their states.
    """
    near = scalar("near", near, 0.0, low_open=True)
    if hasattr(given, "points"):
        given = given.points
    if isinstance(given, Iterable) and not isinstance(given, str | bytes | Mapping):
        given = {state_text(_state_of(p, "outcomes")): p for p in given}
    if not isinstance(given, Mapping) or not given:
        raise ArgumentError(f"outcomes must be a mapping from name to condition, or fixed points; got {given!r}")
    for name in given:
        if not isinstance(name, str) or not name.strip():
            raise ArgumentError(f"an outcome's name must be text; got {name!r}")
        if name == "unresolved":
            raise DomainError("'unresolved' is the name of what no outcome describes; choose another")
    conditions = tuple(_condition(model, name, value, near) for name, value in given.items())
    return Outcomes(tuple(given), conditions)


def state_text(state: Mapping[str, float]) -> str:
    """A state as a name: ``x = 1, y = 0``."""
    return ", ".join(f"{n} = {v + 0.0:.4g}" for n, v in state.items())


def _condition(model: Model, name: str, value: Any, near: float) -> Callable[[End], Bools]:
    if isinstance(value, str):
        if not model.symbols().keys() & {value.strip()} and value.strip() in {s.label for s in Status}:
            return _ends_as(Status[value.strip().upper()])
        return _symbolic(model, name, _parsed(model, name, value))
    if isinstance(value, Status):
        return _ends_as(value)
    if isinstance(value, Boolean | sp.Expr):
        return _symbolic(model, name, value)
    if isinstance(value, Mapping) or hasattr(value, "state"):
        return _close_to(model, _state_of(value, f"outcome {name!r}"), near)
    if callable(value):
        return _function(name, value)
    raise ArgumentError(
        f"outcome {name!r} must be a formula, a relation, a function, a fixed point or a status; got {value!r}"
    )


def readable(model: Model) -> dict[str, sp.Symbol]:
    """Names that a formula about an end may use: observables, states, parameters and ``t``."""
    return {n: sp.Symbol(n, real=True) for n in model.observables} | model.symbols()


def _parsed(model: Model, name: str, text: str) -> Any:
    read = parse_relation if _COMPARES.search(text) else parse
    try:
        return read(text, readable(model), what="outcome")
    except ExpressionError as error:
        raise ExpressionError(f"outcome {name!r}: {error}") from None


def _symbolic(model: Model, name: str, expr: Any) -> Callable[[End], Bools]:
    known = readable(model)
    for s in sorted(expr.free_symbols, key=lambda s: s.name):
        if s.name not in known:
            raise ArgumentError(f"outcome {name!r} uses unknown {s.name!r}{did_you_mean(s.name, known)}")
    used = sorted(expr.free_symbols, key=lambda s: s.name)
    # an expression holds where it is positive
    function = relation_function(used, [expr if isinstance(expr, Boolean) else sp.Gt(expr, 0, evaluate=False)])

    def holds(end: End) -> Bools:
        columns = [end.values[s.name] for s in used]
        known_everywhere = np.logical_and.reduce([np.isfinite(c) for c in columns] or [np.ones(end.status.size, bool)])
        return np.broadcast_to(function(*columns)[0], end.status.shape) & known_everywhere & (end.status == Status.OK)

    return holds


def _function(name: str, function: Callable[..., Any]) -> Callable[[End], Bools]:
    def holds(end: End) -> Bools:
        try:
            found = np.asarray(function(dict(end.values)))
        except Exception as error:  # a user's function: its error is theirs, where it happened is ours
            error.add_note(f"in outcome {name!r}")
            raise
        if found.dtype != np.bool_ or found.shape not in ((), end.status.shape):
            raise ArgumentError(
                f"outcome {name!r} must return one boolean a start, shape {end.status.shape}; got {found.dtype} of shape "
                f"{found.shape}"
            )
        return np.broadcast_to(found, end.status.shape) & (end.status == Status.OK)

    return holds


def _ends_as(status: Status) -> Callable[[End], Bools]:
    return lambda end: np.asarray(end.status == status)


def _state_of(value: Any, what: str) -> dict[str, float]:
    state = getattr(value, "state", value)
    if not isinstance(state, Mapping) or not state:
        raise ArgumentError(f"{what} must be fixed points, with a state each; got {value!r}")
    return {k if isinstance(k, str) else getattr(k, "name", str(k)): scalar(what, v) for k, v in state.items()}


def _close_to(model: Model, state: Mapping[str, float], near: float) -> Callable[[End], Bools]:
    for n in state:
        if n not in model.state_names and n not in model.observables:
            model.state(n)  # raises with the nearest name

    def holds(end: End) -> Bools:
        out = np.asarray(end.status == Status.OK)
        for n, v in state.items():
            out = out & (np.abs(end.values[n] - v) <= near * (1.0 + abs(v)))
        return out

    return holds
