"""What a model is made of besides its equations: domains, parameters, closed forms, invariants, charts, inner runs."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import sympy as sp
from sympy.logic.boolalg import Boolean

from toymesa.errors import ArgumentError, ModelError, interval_text

TIME = sp.Symbol("t", real=True)
"""The time of every flow: reserved, never a state or a parameter."""


class Domain(NamedTuple):
    """The interval that a parameter or a state may lie in; either end may be open or infinite."""

    low: float = -math.inf
    high: float = math.inf
    low_open: bool = False
    high_open: bool = False

    def __contains__(self, value: object) -> bool:
        if not isinstance(value, (int, float)) or not math.isfinite(value):
            return False
        above = value > self.low if self.low_open else value >= self.low
        below = value < self.high if self.high_open else value <= self.high
        return above and below

    def __str__(self) -> str:
        return interval_text(*self)

    @staticmethod
    def of(symbol: sp.Symbol) -> Domain:
        """The widest interval that a symbol's own assumptions allow (``positive=True`` gives (0, inf))."""
        low, high = -math.inf, math.inf
        low_open = high_open = False
        if symbol.is_nonnegative:
            low, low_open = 0.0, bool(symbol.is_positive)
        if symbol.is_nonpositive:
            high, high_open = 0.0, bool(symbol.is_negative)
        return Domain(low, high, low_open, high_open)


EVERYWHERE = Domain()
POSITIVE = Domain(0.0, math.inf, True, False)


@dataclass(frozen=True, kw_only=True)
class Parameter:
    """A number that is constant along a trajectory: its default, the values it may take, what it means."""

    default: float
    domain: Domain = EVERYWHERE
    meaning: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "default", number(self.default, "a parameter's default"))
        if self.default not in self.domain:
            raise ModelError(f"a parameter's default must lie in {self.domain}; got {self.default:g}")


@dataclass(frozen=True, kw_only=True)
class ClosedForm:
    """An exact solution x(t), and when it holds.

    states: every state as an expression in ``TIME``, the parameters and the start symbols (:func:`at_start`).
    conditions: relations in parameters and start symbols, all of which must hold (``Eq`` is exact equality).
    """

    states: Mapping[sp.Symbol, sp.Expr]
    conditions: tuple[Boolean, ...] = ()
    derivation: str = ""


@dataclass(frozen=True, kw_only=True)
class InternalTimeForm:
    """An exact solution in internal time s, where ds = rate(s) dt and the rate ends at its first positive root.

    states: every state as an expression in ``internal``, the parameters and the start symbols.
    rate: g(s) = ds/dt, positive at s = 0, an expression in the same symbols.
    """

    states: Mapping[sp.Symbol, sp.Expr]
    rate: sp.Expr
    internal: sp.Symbol
    conditions: tuple[Boolean, ...] = ()
    derivation: str = ""


@dataclass(frozen=True, kw_only=True)
class Invariant:
    """A function of states, parameters and time that a trajectory conserves while the conditions hold."""

    expr: sp.Expr
    conditions: tuple[Boolean, ...] = ()
    derivation: str = ""


@dataclass(frozen=True, kw_only=True)
class Chart:
    """Other coordinates in which a start may be given, such as reliances instead of their log-odds.

    coordinates: symbol of each coordinate and its domain, for instance p_a, p_b, p_c in (0, 1).
    to_states: the states that they fix, as expressions in the coordinates (all of them must be given together).
    constraint: an expression that must vanish (sum of the p minus 1), or None.
    from_states: each coordinate as an expression in the states and parameters, so that one alone can be changed.
    """

    coordinates: Mapping[sp.Symbol, Domain]
    to_states: Mapping[sp.Symbol, sp.Expr]
    from_states: Mapping[sp.Symbol, sp.Expr]
    constraint: sp.Expr | None = None


@dataclass(frozen=True, kw_only=True)
class InnerRun:
    """A run of an inner optimizer from a fixed start, solved anew at every evaluation of the outer rates.

    rates, start: each inner quantity's rate and initial value, in outer states, parameters and (rates) each other.
    time: how long the run lasts, an expression in parameters and outer states, not negative.
    The outer model's rates and observables may use the inner symbols: they stand for the values at the end of the run.
    """

    rates: Mapping[sp.Symbol, sp.Expr]
    start: Mapping[sp.Symbol, sp.Expr]
    time: sp.Expr


def at_start(state: sp.Symbol) -> sp.Symbol:
    """The symbol that closed forms use for a state's value at time 0: ``x`` gives ``x_0``."""
    return sp.Symbol(f"{state.name}_0", **state._assumptions_orig)


def number(value: object, what: str) -> float:
    """A finite or infinite float; ArgumentError for text, booleans, complex numbers and None."""
    if isinstance(value, (bool, str, bytes, complex)) or value is None:
        raise ArgumentError(f"{what} must be a real number; got {value!r}")
    try:
        return float(value)  # type: ignore[arg-type]  # whatever else cannot be a float says so itself
    except (TypeError, ValueError) as error:
        raise ArgumentError(f"{what} must be a real number; got {value!r}") from error
