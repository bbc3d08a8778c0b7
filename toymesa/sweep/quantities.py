"""Measures of states and observables: values, labels of outcomes, times of events."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import sympy as sp
from numpy.typing import NDArray

from toymesa.errors import ArgumentError, DomainError, ToymesaError
from toymesa.kernels.arrays import relation_function
from toymesa.sweep.reading import Measure, Variable, expression, flags, name_of, named
from toymesa.sweep.solved import Solved
from toymesa.symbolic.model import TIME, Model
from toymesa.symbolic.parse import parse_relation


@dataclass(frozen=True)
class Value:
    """A state, observable or formula."""

    what: Any
    name: str
    at: str | None  # None: all times of the sweep; "end"; "steady"; or the name of an event

    def describe(self) -> dict[str, Any]:
        """The measure as JSON data."""
        return {"measure": "value", "what": str(self.what), "name": self.name, "at": self.at}

    def variables(self, model: Model, times: tuple[float, ...] | None) -> tuple[Variable, ...]:
        """What it fills, or an error in one line."""
        expression(model, self.what, self.name)
        meaning = model.meanings.get(self.what, "") if isinstance(self.what, str) else ""
        attrs = (("long_name", meaning),) if meaning else ()
        return (Variable(self.name, times=times if self.at is None else None, attrs=attrs),)

    def read(self, solved: Solved) -> dict[str, NDArray[Any]]:
        """Its values for the rows of one solved batch."""
        expr = expression(solved.model, self.what, self.name)
        if self.at not in (None, "end", "steady"):
            return {self.name: solved.main.at_event(str(self.at), expr)}
        values = (solved.steady if self.at == "steady" else solved.main).evaluate(expr)
        return {self.name: values if self.at is None and solved.timed else values[:, -1]}


def value(what: Any, name: str | None = None, *, at: str | None = None) -> Measure:
    """A state, observable or formula (text or SymPy, over states, observables, parameters and t).

    at: None (at every time of the sweep, or at its end where ``t`` is one number), "end", "steady" (the steady state,
    found by a second solve), or the name of an event (its first crossing; NaN without one). name: default that of a
    state or observable; a formula has its key among the measures.
    """
    if at is not None and not isinstance(at, str):
        raise ArgumentError(f"at must be None, 'end', 'steady' or the name of an event; got {at!r}")
    return Value(what, name_of(what, name), at)


def steady(what: Any, name: str | None = None) -> Measure:
    """A state, observable or formula at the steady state; short for ``value(what, name, at="steady")``."""
    return value(what, name, at="steady")


@dataclass(frozen=True)
class _Label:
    labels: tuple[tuple[str, Any], ...]
    name: str

    def describe(self) -> dict[str, Any]:
        return {"measure": "label", "labels": {k: str(v) for k, v in self.labels}, "name": self.name}

    def variables(self, model: Model, times: tuple[float, ...] | None) -> tuple[Variable, ...]:
        self._relations(model)
        return (Variable(self.name, "int8", attrs=flags([k for k, _ in self.labels])),)

    def _relations(self, model: Model) -> list[Any]:
        symbols = {n: sp.Symbol(n, real=True) for n in model.observables}
        out = []
        for key, condition in self.labels:
            if isinstance(condition, str):
                try:
                    parsed = parse_relation(condition, symbols | model.symbols())
                except ToymesaError as error:
                    raise type(error)(f"label {key!r} of {self.name!r}: {error}") from None
                condition = parsed.xreplace({symbols[n]: e for n, e in model.observables.items()})
            if not isinstance(condition, sp.core.relational.Relational):
                raise ArgumentError(
                    f"label {key!r} of {self.name!r} must be a relation such as 'x > 0'; got {condition!r}"
                )
            out.append(condition)
        return out

    def read(self, solved: Solved) -> dict[str, NDArray[Any]]:
        model = solved.model
        arguments = [*model.states, *model.params, TIME]
        held = relation_function(arguments, self._relations(model))(*solved.main.columns(-1))
        out = np.full(solved.rows, -1, dtype=np.int8)
        for i in reversed(range(len(held))):
            out[held[i]] = i
        finite = solved.main.finite
        out[~finite[:, -1]] = -1
        return {self.name: out}


def label(labels: Mapping[str, Any], name: str = "outcome") -> Measure:
    """Which of some conditions holds at the end: the position of the first that does, -1 if none.

    labels: label -> relation, in text ("p_a > 0.5") or SymPy, over states, observables, parameters and t; at most 127.
    The labels are in the variable's attribute ``flag_meanings``.
    """
    if not isinstance(labels, Mapping) or not 1 <= len(labels) <= 127:
        raise ArgumentError(f"labels must be a mapping from 1 to 127 labels to conditions; got {labels!r}")
    return _Label(tuple((str(k), v) for k, v in labels.items()), named(name))


@dataclass(frozen=True)
class _Leader:
    names: tuple[str, ...]
    name: str

    def describe(self) -> dict[str, Any]:
        return {"measure": "leader", "names": list(self.names), "name": self.name}

    def variables(self, model: Model, times: tuple[float, ...] | None) -> tuple[Variable, ...]:
        for n in self.names:
            expression(model, n, self.name)
        return (Variable(self.name, "int8", attrs=flags(self.names)),)

    def read(self, solved: Solved) -> dict[str, NDArray[Any]]:
        columns = [solved.main.evaluate(expression(solved.model, n, self.name))[:, -1] for n in self.names]
        table = np.stack(columns, axis=1)
        fine = np.asarray(np.isfinite(table).all(axis=1))
        return {self.name: np.where(fine, np.where(fine[:, None], table, 0.0).argmax(axis=1), -1).astype(np.int8)}


def leader(*names: str, name: str = "leader") -> Measure:
    """Which of some states or observables is largest at the end; the first of equal ones, -1 where the cell failed."""
    if not 2 <= len(names) <= 127:
        raise ArgumentError(f"leader needs 2 to 127 names; got {len(names)}")
    return _Leader(tuple(names), named(name))


@dataclass(frozen=True)
class EventTime:
    """Times or number of an event's crossings."""

    event: str
    which: str
    name: str

    def describe(self) -> dict[str, Any]:
        """The measure as JSON data."""
        return {"measure": "event_time", "event": self.event, "which": self.which, "name": self.name}

    def variables(self, model: Model, times: tuple[float, ...] | None) -> tuple[Variable, ...]:
        """What it fills, or an error in one line."""
        if self.which == "count":
            return (Variable(self.name, "int32", attrs=(("long_name", f"number of {self.event}"),)),)
        return (Variable(self.name, attrs=(("long_name", f"{self.which} time of {self.event}"),)),)

    def read(self, solved: Solved) -> dict[str, NDArray[Any]]:
        """Its values for the rows of one solved batch."""
        hits, count = solved.main.event(self.event)
        if self.which == "count":
            return {self.name: count.astype(np.int32)}
        out = np.full(solved.rows, np.nan)
        some = count > 0
        column = np.zeros(some.sum(), dtype=int) if self.which == "first" else count[some] - 1
        out[some] = hits[some, column]
        return {self.name: out}


def event_time(event: str, name: str | None = None, *, which: str = "first") -> Measure:
    """Time of an event named in ``events``: its "first" or "last" crossing (NaN if none), or the "count" of them."""
    if which not in ("first", "last", "count"):
        raise DomainError(f"which must be 'first', 'last' or 'count'; got {which!r}")
    return EventTime(event, which, named(name or (f"{event}_time" if which != "count" else f"{event}_count")))
