"""What is read off every cell of a sweep.

A measure is made by one of the functions here, or is given as a name (a state or observable), a formula in text or in
SymPy, or a function of the user's. Where a trajectory failed it holds NaN, or -1 for labels: -1 is a label too, "none of
them".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import sympy as sp

from toymesa.errors import ArgumentError, DomainError, did_you_mean
from toymesa.solver.events import events_of
from toymesa.sweep.behaviour import critical, growth, stability
from toymesa.sweep.own import Function, function
from toymesa.sweep.quantities import EventTime, Value, event_time, label, leader, steady, value
from toymesa.sweep.reading import Measure, named
from toymesa.symbolic.model import Model

__all__ = ["critical", "event_time", "function", "growth", "label", "leader", "stability", "steady", "value"]


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
        needs = m.event if isinstance(m, EventTime) else m.at if isinstance(m, Value) else None
        if needs not in (None, "end", "steady", *names) or (isinstance(m, EventTime) and m.event not in names):
            raise ArgumentError(
                f"events has no event {needs!r}{did_you_mean(str(needs), names) or ': give events={...}'}"
            )
    return out


def _made(given: Any, name: str | None) -> Measure:
    if hasattr(given, "describe") and hasattr(given, "read"):
        measure: Measure = given
        if name is None:
            return measure
        if isinstance(measure, Function):
            if len(measure.names) > 1:
                raise ArgumentError(f"{name!r} names a measure of several variables {list(measure.names)}; use a list")
            return replace(measure, names=(named(name),))
        return replace(measure, name=named(name))  # type: ignore[type-var]
    if isinstance(given, str | sp.Expr):
        return value(given, name)
    if callable(given):
        return function(given, name)
    raise ArgumentError(f"a measure must be a name, a formula, a function or one of toymesa.measures; got {given!r}")
