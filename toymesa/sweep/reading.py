"""What every measure is made of: the variables it fills, and names and formulas as expressions of a model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import sympy as sp
from numpy.typing import NDArray

from toymesa.errors import ArgumentError, DomainError, did_you_mean
from toymesa.sweep.axes import RESERVED
from toymesa.symbolic.model import TIME, Model, check_name
from toymesa.symbolic.parse import parse


@dataclass(frozen=True)
class Variable:
    """One variable of the result.

    times: None for one number a cell, else the times it has. outcomes: a dimension of its own with its labels, if any.
    """

    name: str
    dtype: str = "float64"
    times: tuple[float, ...] | None = None
    attrs: tuple[tuple[str, Any], ...] = ()
    outcomes: tuple[str, tuple[str, ...]] | None = None

    @property
    def dims(self) -> tuple[str, ...]:
        """Dimensions behind those of the sweep."""
        return (*(("time",) if self.times else ()), *(self.outcomes[:1] if self.outcomes else ()))

    @property
    def sizes(self) -> tuple[int, ...]:
        """Sizes of these dimensions."""
        return (*((len(self.times),) if self.times else ()), *((len(self.outcomes[1]),) if self.outcomes else ()))

    @property
    def fill(self) -> Any:
        """What stands where there is no value."""
        return float("nan") if self.dtype == "float64" else -1


class Measure(Protocol):
    """What every measure can do."""

    # a class may say ``noise``: True if it reads the paths of a model with noise, None if either; without: a trajectory

    def describe(self) -> dict[str, Any]:
        """The measure as JSON data; a resumed sweep must have the same."""

    def variables(self, model: Model, times: tuple[float, ...] | None) -> tuple[Variable, ...]:
        """What it fills for this model, or an error in one line. times: of the sweep, None if only the end is wanted."""

    def read(self, solved: Any) -> dict[str, NDArray[Any]]:
        """Its variables for the rows of one batch (``Solved`` or ``Simulated``): (row,), then dimensions of the variable."""


def expression(model: Model, what: Any, name: str) -> sp.Expr:
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


def flags(labels: Sequence[str]) -> tuple[tuple[str, Any], ...]:
    """Attributes of a variable of labels, by the conventions of CF; -1 is none of them."""
    words = ["none", *("_".join(str(k).split()) for k in labels)]
    return (("flag_values", list(range(-1, len(labels)))), ("flag_meanings", " ".join(words)))


def name_of(what: Any, name: str | None) -> str:
    """The name of a measure of a name or formula; empty where only a key among the measures can give it one."""
    if name is None:
        name = what if isinstance(what, str) else getattr(what, "name", None)
        if not isinstance(name, str) or not name.isidentifier():
            return ""
    return named(name)


def named(name: str) -> str:
    """The name of a measure, checked."""
    check_name(name, "a measure's name")
    if name in RESERVED:
        raise DomainError(f"a measure must not be called {name!r}: the name is reserved")
    return name
