"""The ``events`` argument of ``solve``: functions of state and time whose zeros are wanted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sympy as sp

from toymesa.errors import ArgumentError, DomainError, did_you_mean
from toymesa.kernels.arrays import array_function
from toymesa.kernels.events import Event
from toymesa.symbolic.model import TIME, Model
from toymesa.symbolic.parse import parse


def events_of(model: Model, given: Any) -> tuple[Event, ...]:
    """The ``events`` argument of ``solve``, checked."""
    if given is None:
        return ()
    if not isinstance(given, Mapping):
        raise ArgumentError(f"events must be a mapping from name to expression; got {given!r}")
    return tuple(_event(model, name, value) for name, value in given.items())


def _event(model: Model, name: Any, value: Any) -> Event:
    if not isinstance(name, str) or not name.isidentifier():
        raise ArgumentError(f"an event's name must be an identifier; got {name!r}")
    options: Mapping[str, Any] = {}
    if isinstance(value, tuple):
        if len(value) != 2 or not isinstance(value[1], Mapping):
            raise ArgumentError(f"events[{name!r}] must be an expression or (expression, options); got {value!r}")
        value, options = value
    for key in options:
        if key not in ("direction", "terminal"):
            raise ArgumentError(f"events[{name!r}] has no option {key!r}{did_you_mean(key, ['direction', 'terminal'])}")
    direction = options.get("direction", 0)
    if direction not in (-1, 0, 1):
        raise DomainError(f"direction of events[{name!r}] must be -1, 0 or 1; got {direction!r}")
    if isinstance(value, str):
        symbols = {n: sp.Symbol(n, real=True) for n in model.observables}
        parsed = parse(value, symbols | model.symbols(), what=f"event {name!r}")
        expr = parsed.xreplace({symbols[n]: e for n, e in model.observables.items()})
    elif isinstance(value, sp.Expr):
        expr = value
    else:
        raise ArgumentError(f"events[{name!r}] must be an expression or a formula in text; got {value!r}")
    known = {*model.states, *model.params, TIME}
    if unknown := sorted(s.name for s in expr.free_symbols - known):
        raise ArgumentError(f"events[{name!r}] uses unknown {unknown[0]!r}{did_you_mean(unknown[0], model.symbols())}")
    array_function([*model.states, *model.params, TIME], expr)  # a function without a numerical form is refused here
    return Event(name, expr, int(direction), bool(options.get("terminal", False)))
