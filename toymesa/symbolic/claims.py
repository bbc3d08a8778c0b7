"""Statements about models, as data; :mod:`toymesa.symbolic.verdicts` says whether a machine can prove them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import sympy as sp
from sympy.logic.boolalg import Boolean

from toymesa.errors import ArgumentError, ModelError, did_you_mean
from toymesa.symbolic.checks import check_domain, expression
from toymesa.symbolic.model import Domain, Model

KINDS = ("solution", "invariant", "lyapunov", "fixed_point", "identity", "limit", "inequality", "numerical")
_NEEDS = {
    "solution": ("model", "solution"),
    "invariant": ("model", "expr"),
    "lyapunov": ("model",),
    "fixed_point": ("model", "point"),
    "identity": ("lhs", "rhs"),
    "limit": ("expr", "variable", "target", "value"),
    "inequality": ("expr",),
    "numerical": ("measure",),
}


@dataclass(frozen=True, kw_only=True, eq=False)
class Claim:
    """One statement.

    kind : what is claimed.
        "solution": ``solution`` (state -> expression in ``TIME``, parameters and start symbols) solves the flow (or the
        map) and starts at the start symbols. "invariant": ``expr`` is conserved along it. "lyapunov": ``expr`` (default:
        the model's potential) never rises. "fixed_point": the rates vanish at ``point``. "identity": ``lhs`` equals
        ``rhs``. "limit": ``expr`` tends to ``value`` as ``variable`` tends to ``target`` (from ``direction``).
        "inequality": ``expr`` >= 0 (> 0 if ``strict``). "numerical": ``measure()`` returns the deviation that was
        measured and the one that the statement allows (statistical or truncation error); the verdict is then NUMERICAL,
        never PROVED, and REFUTED without a counterexample where the deviation is larger.
    where : symbol -> value of its sign, substituted (``{lam: 0}``).
    conditions : relations that restrict the domain; ``Eq`` of a symbol is substituted, others restrict the search for
        counterexamples. domain : symbol -> Domain; default the parameters' domains and the symbols' assumptions.
    derivation, reference : where it comes from.

    Every kind speaks of the points at which its expressions are defined: a solution holds until it first is not. Floats
    count as the rational numbers that they are. A limit is one for parameters in general position.
    Raises ModelError, ArgumentError or DomainError where the claim is not complete or contradicts itself.
    """

    name: str
    statement: str
    kind: str
    model: Model | None = None
    solution: Mapping[sp.Symbol, Any] | None = None
    point: Mapping[sp.Symbol, Any] | None = None
    expr: Any = None
    lhs: Any = None
    rhs: Any = None
    variable: sp.Symbol | None = None
    target: Any = None
    value: Any = None
    direction: str = "+"
    strict: bool = False
    measure: Callable[[], tuple[float, float]] | None = None
    where: Mapping[sp.Symbol, Any] = field(default_factory=dict)
    conditions: Sequence[Boolean] = ()
    domain: Mapping[sp.Symbol, Domain] = field(default_factory=dict)
    derivation: str = ""
    reference: str = ""

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ArgumentError(f"a claim has no kind {self.kind!r}{did_you_mean(str(self.kind), KINDS)}")
        if missing := [n for n in _NEEDS[self.kind] if getattr(self, n) is None]:
            raise ArgumentError(f"a claim of kind {self.kind!r} needs {', '.join(missing)}")
        if self.model is not None:
            if self.model.inner_run is not None:
                raise ModelError(
                    "claims about a model with a nested inner run are not supported: it has no symbolic rates"
                )
            if self.model.noise is not None and self.kind != "fixed_point":
                raise ModelError(f"claim {self.name!r}: a claim of kind {self.kind!r} needs a model without noise")
            for what in ("solution", "point"):
                given = getattr(self, what)
                if given is not None and set(given) != set(self.model.states):
                    raise ModelError(
                        f"claim {self.name!r}: {what} must give every state {list(self.model.state_names)}"
                    )
        shapes = [getattr(side, "shape", ()) for side in (self.lhs, self.rhs)]
        if self.kind == "identity" and shapes[0] != shapes[1]:
            raise ModelError(f"claim {self.name!r}: lhs and rhs must have one shape; got {shapes[0]} and {shapes[1]}")
        for side in ("lhs", "rhs", "expr", "value"):
            if isinstance(getattr(self, side), Boolean | bool) and not isinstance(getattr(self, side), sp.Symbol):
                raise ArgumentError(f"claim {self.name!r}: {side} must be an expression; got {getattr(self, side)!r}")
        if self.kind == "limit":
            expression(self.target)
        if self.direction not in ("+", "-", "+-"):
            raise ArgumentError(f"claim {self.name!r}: direction must be '+', '-' or '+-'; got {self.direction!r}")
        for condition in self.conditions:
            if not isinstance(condition, Boolean | bool) or isinstance(condition, sp.Symbol):
                raise ArgumentError(f"claim {self.name!r}: a condition must be a relation; got {condition!r}")
        for symbol, domain in self.domain.items():
            if not isinstance(symbol, sp.Symbol) or not isinstance(domain, Domain):
                raise ArgumentError(
                    f"claim {self.name!r}: domain goes from symbols to Domains; got {symbol!r}: {domain!r}"
                )
            check_domain(symbol, domain, f"claim {self.name!r}")
        if self.kind == "lyapunov" and self.expr is None and (self.model is None or self.model.potential is None):
            raise ModelError(f"claim {self.name!r}: the model has no potential; give expr")
