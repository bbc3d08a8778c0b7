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
from toymesa.sweep.moments import mean, shares, variance
from toymesa.sweep.own import Function, function
from toymesa.sweep.quantities import EventTime, Value, event_time, label, leader, steady, value
from toymesa.sweep.reading import Measure, named
from toymesa.symbolic.model import Model

__all__ = [
    "critical", "event_time", "function", "growth", "label", "leader", "mean", "shares", "stability", "steady", "value",
    "variance",
]  # fmt: skip


def measures(given: Any, models: Sequence[Model], events: Any) -> tuple[Measure, ...]:
    """The ``measure`` argument of a sweep: a list of measures, or a mapping from name to measure; None: observables."""
    if given is None:
        shared = [n for n in models[0].observables if all(n in m.observables for m in models)]
        given = shared or [n for n in models[0].state_names if all(n in m.state_names for m in models)]
    noisy = models[0].noise is not None
    if isinstance(given, Mapping):
        out = tuple(_made(v, str(k), noisy) for k, v in given.items())
    elif isinstance(given, str) or not isinstance(given, Sequence):
        out = (_made(given, None, noisy),)
    else:
        out = tuple(_made(v, None, noisy) for v in given)
    if not out:
        raise DomainError("measure must not be empty")
    names = {} if events is None else {e.name for e in events_of(models[0], events)}
    for m in out:
        _fits(m, models[0])
        needs = m.event if isinstance(m, EventTime) else m.at if isinstance(m, Value) else None
        if needs not in (None, "end", "steady", *names) or (isinstance(m, EventTime) and m.event not in names):
            raise ArgumentError(
                f"events has no event {needs!r}{did_you_mean(str(needs), names) or ': give events={...}'}"
            )
    return out


def _fits(measure: Measure, model: Model) -> None:
    """ArgumentError for a measure of paths where there is one trajectory a cell, and the other way round."""
    wants = getattr(measure, "noise", False)
    if wants is None or wants == (model.noise is not None):
        return
    kind = measure.describe()["measure"]
    if wants:
        raise ArgumentError(
            f"measure {kind!r} is over paths; model {model.name!r} has no noise, and one trajectory a cell"
        )
    raise ArgumentError(
        f"measure {kind!r} reads one trajectory; model {model.name!r} has noise: use mean, variance, shares or a function"
    )


def _require_name(measure: Any) -> None:
    if getattr(measure, "name", None) == "":
        raise ArgumentError(f"a formula needs a name, as in {{'gap': {measure.what!s}}}")


def _made(given: Any, name: str | None, noisy: bool) -> Measure:
    if hasattr(given, "describe") and hasattr(given, "read"):
        measure: Measure = given
        if name is None:
            _require_name(measure)
            return measure
        if isinstance(measure, Function):
            if len(measure.names) > 1:
                raise ArgumentError(f"{name!r} names a measure of several variables {list(measure.names)}; use a list")
            return replace(measure, names=(named(name),))
        return replace(measure, name=named(name))  # type: ignore[type-var]
    if isinstance(given, str | sp.Expr):
        found = mean(given, name) if noisy else value(given, name)
        _require_name(found)
        return found
    if callable(given):
        return function(given, name)
    raise ArgumentError(f"a measure must be a name, a formula, a function or one of toymesa.measures; got {given!r}")
