"""What is read off every cell of a sweep.

A measure is made by one of the functions below, or is given as a name (a state or observable), a formula in text or in
SymPy, or a function of the user's. Each says which variables it fills; where a trajectory failed they hold NaN, or -1
for labels: -1 is a label too, "none of them".
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import sympy as sp
from numpy.typing import NDArray

from toymesa.arguments import numbers
from toymesa.errors import ArgumentError, DomainError, ToymesaError, did_you_mean
from toymesa.kernels.arrays import relation_function
from toymesa.solver.events import events_of
from toymesa.sweep.axes import RESERVED
from toymesa.sweep.cells import Solved
from toymesa.sweep.spectrum import KINDS, kinds, leading, spectrum
from toymesa.symbolic.model import TIME, Model, check_name
from toymesa.symbolic.parse import parse, parse_relation

__all__ = ["event_time", "function", "growth", "label", "leader", "stability", "steady", "value"]


@dataclass(frozen=True)
class Variable:
    """One variable of the result. times: None for one number a cell, else the times it has."""

    name: str
    dtype: str = "float64"
    times: tuple[float, ...] | None = None
    attrs: tuple[tuple[str, Any], ...] = ()

    @property
    def fill(self) -> Any:
        """What stands where there is no value."""
        return float("nan") if self.dtype == "float64" else -1


class Measure(Protocol):
    """What every measure can do."""

    def describe(self) -> dict[str, Any]:
        """The measure as JSON data; a resumed sweep must have the same."""

    def variables(self, model: Model, times: tuple[float, ...] | None) -> tuple[Variable, ...]:
        """What it fills for this model, or an error in one line. times: of the sweep, None if only the end is wanted."""

    def read(self, solved: Solved) -> dict[str, NDArray[Any]]:
        """Its variables for the rows of one solved batch: (row,) or (row, time)."""


# ---------------------------------------------------------------- quantities


@dataclass(frozen=True)
class _Value:
    what: Any
    name: str
    at: str | None  # None: all times of the sweep; "end"; "steady"; or the name of an event

    def describe(self) -> dict[str, Any]:
        return {"measure": "value", "what": str(self.what), "name": self.name, "at": self.at}

    def variables(self, model: Model, times: tuple[float, ...] | None) -> tuple[Variable, ...]:
        _expression(model, self.what, self.name)
        meaning = model.meanings.get(self.what, "") if isinstance(self.what, str) else ""
        attrs = (("long_name", meaning),) if meaning else ()
        return (Variable(self.name, times=times if self.at is None else None, attrs=attrs),)

    def read(self, solved: Solved) -> dict[str, NDArray[Any]]:
        expr = _expression(solved.model, self.what, self.name)
        if self.at not in (None, "end", "steady"):
            return {self.name: solved.main.at_event(str(self.at), expr)}
        values = (solved.steady if self.at == "steady" else solved.main).evaluate(expr)
        return {self.name: values if self.at is None and solved.timed else values[:, -1]}


def value(what: Any, name: str | None = None, *, at: str | None = None) -> Measure:
    """A state, observable or formula (text or SymPy, over states, observables, parameters and t).

    at: None (at every time of the sweep, or at its end where ``t`` is one number), "end", "steady" (the steady state,
    found by a second solve), or the name of an event (its first crossing; NaN without one). Raises ArgumentError for a
    formula without a name.
    """
    if at is not None and not isinstance(at, str):
        raise ArgumentError(f"at must be None, 'end', 'steady' or the name of an event; got {at!r}")
    if name is None:
        name = what if isinstance(what, str) else getattr(what, "name", None)
        if not isinstance(name, str) or not name.isidentifier():
            raise ArgumentError(f"a formula needs a name, as in {{'gap': {what!s}}}")
    return _Value(what, _named(name), at)


def steady(what: Any, name: str | None = None) -> Measure:
    """A state, observable or formula at the steady state; short for ``value(what, name, at="steady")``."""
    return value(what, name, at="steady")


def _expression(model: Model, what: Any, name: str) -> sp.Expr:
    """What is measured, as an expression in states, parameters and time."""
    if isinstance(what, sp.Expr):
        expr = what
        known = {*model.states, *model.params, TIME}
        if unknown := sorted(s.name for s in expr.free_symbols - known):
            raise ArgumentError(
                f"measure {name!r} uses unknown {unknown[0]!r} of model {model.name!r}"
                f"{did_you_mean(unknown[0], model.symbols())}"
            )
        return expr
    if not isinstance(what, str):
        raise ArgumentError(f"measure {name!r} must be a name, a formula or a function; got {what!r}")
    if what in model.observables:
        return model.observables[what]
    if what in model.state_names:
        return model.state(what)
    if what.isidentifier() and what not in model.symbols():
        allowed = [*model.observables, *model.state_names]
        raise ArgumentError(f"model {model.name!r} has no observable {what!r}{did_you_mean(what, allowed)}")
    symbols = {n: sp.Symbol(n, real=True) for n in model.observables}
    parsed = parse(what, symbols | model.symbols(), what=f"measure {name!r}")
    return parsed.xreplace({symbols[n]: e for n, e in model.observables.items()})


# ---------------------------------------------------------------- labels


@dataclass(frozen=True)
class _Label:
    labels: tuple[tuple[str, Any], ...]
    name: str

    def describe(self) -> dict[str, Any]:
        return {"measure": "label", "labels": {k: str(v) for k, v in self.labels}, "name": self.name}

    def variables(self, model: Model, times: tuple[float, ...] | None) -> tuple[Variable, ...]:
        self._relations(model)
        return (Variable(self.name, "int8", attrs=_flags([k for k, _ in self.labels])),)

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
    return _Label(tuple((str(k), v) for k, v in labels.items()), _named(name))


@dataclass(frozen=True)
class _Leader:
    names: tuple[str, ...]
    name: str

    def describe(self) -> dict[str, Any]:
        return {"measure": "leader", "names": list(self.names), "name": self.name}

    def variables(self, model: Model, times: tuple[float, ...] | None) -> tuple[Variable, ...]:
        for n in self.names:
            _expression(model, n, self.name)
        return (Variable(self.name, "int8", attrs=_flags(self.names)),)

    def read(self, solved: Solved) -> dict[str, NDArray[Any]]:
        columns = [solved.main.evaluate(_expression(solved.model, n, self.name))[:, -1] for n in self.names]
        table = np.stack(columns, axis=1)
        fine = np.asarray(np.isfinite(table).all(axis=1))
        return {self.name: np.where(fine, np.where(fine[:, None], table, 0.0).argmax(axis=1), -1).astype(np.int8)}


def leader(*names: str, name: str = "leader") -> Measure:
    """Which of some states or observables is largest at the end; the first of equal ones, -1 where the cell failed."""
    if not 2 <= len(names) <= 127:
        raise ArgumentError(f"leader needs 2 to 127 names; got {len(names)}")
    return _Leader(tuple(names), _named(name))


def _flags(labels: Sequence[str]) -> tuple[tuple[str, Any], ...]:
    words = ["none", *("_".join(str(k).split()) for k in labels)]
    return (("flag_values", list(range(-1, len(labels)))), ("flag_meanings", " ".join(words)))


# ---------------------------------------------------------------- events


@dataclass(frozen=True)
class _EventTime:
    event: str
    which: str
    name: str

    def describe(self) -> dict[str, Any]:
        return {"measure": "event_time", "event": self.event, "which": self.which, "name": self.name}

    def variables(self, model: Model, times: tuple[float, ...] | None) -> tuple[Variable, ...]:
        if self.which == "count":
            return (Variable(self.name, "int32", attrs=(("long_name", f"number of {self.event}"),)),)
        return (Variable(self.name, attrs=(("long_name", f"{self.which} time of {self.event}"),)),)

    def read(self, solved: Solved) -> dict[str, NDArray[Any]]:
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
    return _EventTime(event, which, _named(name or (f"{event}_time" if which != "count" else f"{event}_count")))


# ---------------------------------------------------------------- stability


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
            return (Variable(self.name, "int8", attrs=_flags(KINDS)),)
        return (Variable(self.name, attrs=(("long_name", "growth rate of the leading eigenvalue"),)),)

    def read(self, solved: Solved) -> dict[str, NDArray[Any]]:
        run = solved.steady if self.at == "steady" else solved.main
        eigenvalues = spectrum(solved.model, run.columns(-1))
        if self.kind:
            return {self.name: kinds(eigenvalues, discrete=solved.model.discrete)}
        return {self.name: leading(eigenvalues, discrete=solved.model.discrete)}


def stability(name: str = "kind", *, at: str = "steady") -> Measure:
    """Kind of the steady state that training reaches, by the eigenvalues there (``flag_meanings`` has the names).

    at: "steady", or "end": the linearization where training stops. -1 where the cell failed.
    """
    return _Stability(_named(name), _place(at), True)


def growth(name: str = "growth", *, at: str = "steady") -> Measure:
    """Growth rate there: the largest real part of an eigenvalue (of a map: the logarithm of the largest modulus).

    Negative: stable; its sign is a margin for :func:`toymesa.refine`.
    """
    return _Stability(_named(name), _place(at), False)


def _place(at: str) -> str:
    if at not in ("steady", "end"):
        raise DomainError(f"at must be 'steady' or 'end'; got {at!r}")
    return at


# ---------------------------------------------------------------- a user's own


@dataclass(frozen=True)
class _Function:
    call: Callable[..., Any]
    names: tuple[str, ...]
    random: bool

    def describe(self) -> dict[str, Any]:
        return {"measure": "function", "names": list(self.names), "code": function_fingerprint(self.call)}

    def variables(self, model: Model, times: tuple[float, ...] | None) -> tuple[Variable, ...]:
        return tuple(Variable(n) for n in self.names)

    def read(self, solved: Solved) -> dict[str, NDArray[Any]]:
        out = np.full((len(self.names), solved.rows), np.nan)
        for row in map(int, np.flatnonzero(solved.main.ok)):
            try:
                given = (solved.stream(row),) if self.random else ()
                got = self.call(solved.cell(row), *given)
                found = [got[n] for n in self.names] if isinstance(got, Mapping) else np.atleast_1d(got)
                out[:, row] = [numbers(f"measure {n!r}", v).item() for n, v in zip(self.names, found, strict=True)]
            except Exception as error:  # a user's code may raise anything; one cell must not cost the others
                solved.failed(row, f"measure {self.names[0]!r}: {type(error).__name__}: {error}")
        return dict(zip(self.names, out, strict=True))


def function(call: Callable[..., Any], name: str | Sequence[str] | None = None, *, random: bool = False) -> Measure:
    """A function of yours, called for every cell that was solved.

    call : takes the cell's trajectory as an ``xarray.Dataset`` (states and observables over ``time``, parameters as
        scalar variables) and returns a number, or as many as there are names (a sequence or a mapping).
    name : of the result, or a list of names; default the function's name. random: pass a second argument, a Generator of
        the cell's own. An exception gives the cell the status ``measure_failed``; the first message is kept in the
        result's attribute ``notes``. For other processes the function must be defined in a module they can import.
    """
    if not callable(call):
        raise ArgumentError(f"a measure function must be callable; got {call!r}")
    if name is None:
        name = getattr(call, "__name__", "")
    names = (name,) if isinstance(name, str) else tuple(name)
    if not names or not all(isinstance(n, str) and n.isidentifier() for n in names):
        raise ArgumentError(f"a measure function needs a name that is an identifier; got {name!r}")
    return _Function(call, tuple(_named(n) for n in names), random)


def function_fingerprint(call: Callable[..., Any]) -> str:
    """Name and a hash of the compiled body: enough to notice that a function was changed between two runs."""
    code = getattr(call, "__code__", None)
    name = f"{getattr(call, '__module__', '?')}.{getattr(call, '__qualname__', type(call).__name__)}"
    if code is None:
        return name
    body = repr((code.co_code, [c for c in code.co_consts if not hasattr(c, "co_code")], code.co_names)).encode()
    return f"{name}:{hashlib.sha256(body).hexdigest()[:16]}"


# ---------------------------------------------------------------- what a user passes


def measures(given: Any, models: Sequence[Model], events: Any) -> tuple[Measure, ...]:
    """The ``measure`` argument of a sweep: a list of measures, or a mapping from name to measure; None: observables."""
    if given is None:
        shared = [n for n in models[0].observables if all(n in m.observables for m in models)]
        given = shared or [n for n in models[0].state_names if all(n in m.state_names for m in models)]
    if isinstance(given, Mapping):
        out = tuple(_made(v, str(k)) for k, v in given.items())
    elif isinstance(given, str) or not isinstance(given, Sequence):
        out = (_made(given, None),)
    else:
        out = tuple(_made(v, None) for v in given)
    if not out:
        raise DomainError("measure must not be empty")
    names = {} if events is None else {e.name for e in events_of(models[0], events)}
    for m in out:
        needs = m.event if isinstance(m, _EventTime) else m.at if isinstance(m, _Value) else None
        if needs not in (None, "end", "steady", *names) or (isinstance(m, _EventTime) and m.event not in names):
            raise ArgumentError(
                f"events has no event {needs!r}{did_you_mean(str(needs), names) or ': give events={...}'}"
            )
    return out


def _made(given: Any, name: str | None) -> Measure:
    if hasattr(given, "describe") and hasattr(given, "read"):
        measure: Measure = given
        if name is None:
            return measure
        if isinstance(measure, _Function):
            if len(measure.names) > 1:
                raise ArgumentError(f"{name!r} names a measure of several variables {list(measure.names)}; use a list")
            return replace(measure, names=(_named(name),))
        return replace(measure, name=_named(name))  # type: ignore[type-var]
    if isinstance(given, str | sp.Expr):
        return value(given, name)
    if callable(given):
        return function(given, name)
    raise ArgumentError(f"a measure must be a name, a formula, a function or one of toymesa.measures; got {given!r}")


def _named(name: str) -> str:
    check_name(name, "a measure's name")
    if name in RESERVED:
        raise DomainError(f"a measure must not be called {name!r}: the name is reserved")
    return name
