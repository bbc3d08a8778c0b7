"""The symbolic definition of a model: what the equations are, once, as data.

A :class:`Model` is frozen and checks itself when it is made. Everything else in the package reads it: kernels are
generated from it, solvers run it, claims are verified about it. Builders that derive one from a loss or from two
objectives are in :mod:`toymesa.symbolic.flows` and :mod:`toymesa.symbolic.bilevel`; a flow can also be given as is.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from typing import Any

import sympy as sp

from toymesa.errors import DomainError, ModelError, named_fields
from toymesa.symbolic.checks import (
    check_mappings,
    check_name,
    expression,
    frozen,
    keyed,
    lookup,
    parameter,
    symbols_by_name,
    validate,
)
from toymesa.symbolic.parts import (
    EVERYWHERE,
    POSITIVE,
    TIME,
    Chart,
    ClosedForm,
    Domain,
    InnerRun,
    InternalTimeForm,
    Invariant,
    Parameter,
    at_start,
    number,
)

__all__ = [
    "EVERYWHERE",
    "POSITIVE",
    "TIME",
    "Chart",
    "ClosedForm",
    "Domain",
    "InnerRun",
    "InternalTimeForm",
    "Invariant",
    "Model",
    "Parameter",
    "at_start",
    "check_name",
]


@named_fields
@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Model:
    """A parameterized flow dx/dt = f(x, t; params), or the map x -> f(x; params), with all that is known about it.

    Parameters
    ----------
    name : identifier, the name on the command line and in results.
    flow : state symbol -> rate of change, or next value if ``discrete``; the order is the packing order of kernels.
    params : parameter symbol or name -> :class:`Parameter` (or a bare default; its domain is then the symbol's
        assumptions).
    start : state symbol or name -> initial value, a number or an expression in parameters. Missing ones start at 0.
    observables : name -> expression in states, parameters and ``TIME``. One that is defined in places only is a Piecewise
        without a last resort, and NaN elsewhere; any other value that is not finite is a failure.
    domains : state symbol -> :class:`Domain` of admissible starts.
    algebraic : state symbol -> expression that must vanish along the flow. Its entry in ``flow`` keeps it at zero in
        exact arithmetic; the solver also projects on it.
    requires : name -> expression that must stay positive (for instance the curvature of an inner optimum).
    charts : other coordinates for starts.
    potential, metric : V and G with flow = -G grad V, if it is such a flow; V then falls. G may
        depend on time.
    invariants : name -> :class:`Invariant`.
    closed_forms : exact solutions, tried in order by ``solve``.
    inner_run : a nested run whose end values the rates may use, or None.
    noise : the matrix B of dx = f dt + B dW (Ito), a row a state, or None; simulated, not solved.
    discrete : True for a map; time then counts its steps.
    meanings : state or observable name -> what it means.
    question, reference : what the model isolates and where it comes from.

    Raises
    ------
    ModelError
        A symbol that is neither state nor parameter, a parameter that nothing uses, a name that is not an identifier
        or stands for two things, a start outside its domain, an observable that depends on nothing.
    """

    name: str
    flow: Mapping[sp.Symbol, sp.Expr]
    params: Mapping[sp.Symbol, Parameter] = field(default_factory=dict)
    start: Mapping[sp.Symbol, sp.Expr] = field(default_factory=dict)
    observables: Mapping[str, sp.Expr] = field(default_factory=dict)
    domains: Mapping[sp.Symbol, Domain] = field(default_factory=dict)
    algebraic: Mapping[sp.Symbol, sp.Expr] = field(default_factory=dict)
    requires: Mapping[str, sp.Expr] = field(default_factory=dict)
    charts: tuple[Chart, ...] = ()
    potential: sp.Expr | None = None
    metric: sp.ImmutableMatrix | None = None
    invariants: Mapping[str, Invariant] = field(default_factory=dict)
    closed_forms: tuple[ClosedForm | InternalTimeForm, ...] = ()
    inner_run: InnerRun | None = None
    noise: sp.ImmutableMatrix | None = None
    discrete: bool = False
    meanings: Mapping[str, str] = field(default_factory=dict)
    question: str = ""
    reference: str = ""

    def __post_init__(self) -> None:
        put = object.__setattr__
        check_mappings(self)
        put(self, "flow", frozen({s: expression(e) for s, e in dict(self.flow).items()}))
        named = symbols_by_name(self)
        put(self, "params", frozen({s: parameter(s, p) for s, p in keyed(self.params, named).items()}))
        start = {s: expression(e) for s, e in keyed(self.start, named).items()}
        put(self, "start", frozen({s: start.pop(s, sp.Integer(0)) for s in self.flow} | start))
        put(self, "observables", frozen({n: expression(e) for n, e in dict(self.observables).items()}))
        domains = keyed(self.domains, named)
        put(self, "domains", frozen({s: domains.get(s, Domain.of(s)) for s in self.flow} | domains))
        for name in ("algebraic", "requires", "invariants", "meanings"):
            put(self, name, frozen(getattr(self, name)))
        put(self, "charts", tuple(self.charts))
        put(self, "closed_forms", tuple(self.closed_forms))
        if self.potential is not None:
            put(self, "potential", expression(self.potential))
        if self.metric is not None:
            try:
                put(self, "metric", sp.ImmutableMatrix(self.metric))
            except TypeError:
                raise ModelError(
                    f"model {self.name!r}: metric must be a square matrix in the order of the states; got "
                    f"{type(self.metric).__name__} (gradient_flow takes one entry a state)"
                ) from None
        if self.noise is not None:
            put(self, "noise", sp.ImmutableMatrix(self.noise))
        validate(self)

    def __getstate__(self) -> dict[str, Any]:
        """What a copy in another process is made from: the fields, without what was compiled or computed from them."""
        return {f.name: _portable(getattr(self, f.name)) for f in fields(self)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        for name, value in state.items():
            object.__setattr__(self, name, frozen(value) if isinstance(value, dict) else value)

    # ---------------------------------------------------------------- what it is made of

    @property
    def states(self) -> tuple[sp.Symbol, ...]:
        """The state symbols in packing order."""
        return tuple(self.flow)

    @property
    def state_names(self) -> tuple[str, ...]:
        """The names of the states in packing order."""
        return tuple(s.name for s in self.flow)

    @property
    def param_names(self) -> tuple[str, ...]:
        """The names of the parameters in packing order."""
        return tuple(s.name for s in self.params)

    @property
    def autonomous(self) -> bool:
        """Whether the rates do not depend on time."""
        return not any(e.has(TIME) for e in self.flow.values())

    def state(self, name: str | sp.Symbol) -> sp.Symbol:
        """The state symbol of that name; an ArgumentError with the nearest name otherwise."""
        return lookup(self.flow, name, "state", self.name)

    def param(self, name: str | sp.Symbol) -> sp.Symbol:
        """The parameter symbol of that name; an ArgumentError with the nearest name otherwise."""
        return lookup(self.params, name, "parameter", self.name)

    def symbols(self) -> dict[str, sp.Symbol]:
        """Every name a formula about this model may use (states, parameters and ``t``) and its symbol."""
        return {s.name: s for s in (*self.flow, *self.params)} | {TIME.name: TIME}

    # ---------------------------------------------------------------- derived from it

    def jacobian(self) -> sp.ImmutableMatrix:
        """The matrix of partial derivatives of the rates with respect to the states, symbolic.

        Raises ModelError for a model with a nested inner run: its derivatives are numerical.
        """
        if self.inner_run is not None:
            raise ModelError(f"model {self.name!r} has a nested inner run: its Jacobian has no symbolic form")
        return self._slopes

    @cached_property
    def _slopes(self) -> sp.ImmutableMatrix:
        """Derived once: every analysis needs it, and of a large model it takes a second."""
        return sp.ImmutableMatrix([[sp.diff(e, s) for s in self.flow] for e in self.flow.values()])

    def defaults(self) -> dict[str, float]:
        """Parameter name -> default value."""
        return {s.name: p.default for s, p in self.params.items()}

    def with_params(self, values: Mapping[str | sp.Symbol, float] | None = None, /, **named: float) -> Model:
        """The same model with other parameter defaults; the original is left as it was.

        Raises ArgumentError for a name that is no parameter and DomainError for a value outside its domain.
        """
        changed = dict(self.params)
        for name, value in [*(values or {}).items(), *named.items()]:
            symbol = self.param(name)
            given = number(value, f"parameter {symbol.name!r}")
            domain = changed[symbol].domain
            if given not in domain:
                raise DomainError(f"parameter {symbol.name!r} must lie in {domain}; got {given:g}")
            changed[symbol] = replace(changed[symbol], default=given)
        return replace(self, params=changed)

    def with_(self, **changes: Any) -> Model:
        """A copy with other fields, checked again: ``model.with_(observables={...})``."""
        return replace(self, **changes)

    @cached_property
    def fingerprint(self) -> str:
        """Sixteen hex digits that depend on the equations, parameters, starts and observables, and on nothing else."""
        parts = [f"discrete={self.discrete}"]
        for title, pairs in (
            ("flow", [(s.name, e) for s, e in self.flow.items()]),
            ("start", [(s.name, e) for s, e in self.start.items()]),
            ("algebraic", [(s.name, e) for s, e in self.algebraic.items()]),
            ("requires", list(self.requires.items())),
            ("observables", sorted(self.observables.items())),
            ("inner", [(s.name, e) for s, e in self.inner_run.rates.items()] if self.inner_run else []),
            ("inner start", [(s.name, e) for s, e in self.inner_run.start.items()] if self.inner_run else []),
            ("inner time", [("tau", self.inner_run.time)] if self.inner_run else []),
            ("noise", [("B", self.noise)] if self.noise is not None else []),
        ):
            parts += [f"{title}:{n}={sp.srepr(e)}" for n, e in pairs]
        parts += [f"param:{s.name}={p.default!r}:{tuple(p.domain)!r}" for s, p in self.params.items()]
        parts += [f"domain:{s.name}={tuple(d)!r}" for s, d in self.domains.items()]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]

    # ---------------------------------------------------------------- to look at

    def latex(self) -> str:
        """The equations as LaTeX lines of an ``aligned`` environment; shares of a simplex by their own symbols."""
        lines = []
        for s, e in self.flow.items():
            left = rf"{sp.latex(s)}_{{k+1}}" if self.discrete else rf"\dot{{{sp.latex(s)}}}"
            lines.append(rf"{left} &= {sp.latex(self._in_coordinates(e))}")
            if self.noise is not None:
                lines[-1] += self._noise_latex(s)
        lines += [rf"0 &= {sp.latex(self._in_coordinates(e))}" for e in self.algebraic.values()]
        for chart in self.charts:
            lines += [rf"{sp.latex(c)} &= {sp.latex(e)}" for c, e in chart.from_states.items()]
        return "\\begin{aligned}\n" + " \\\\\n".join(lines) + "\n\\end{aligned}"

    def _noise_latex(self, state: sp.Symbol) -> str:
        row = self.noise.row(self.states.index(state)) if self.noise is not None else ()
        return "".join(rf" + {sp.latex(b)}\,\xi_{{{j + 1}}}" for j, b in enumerate(row) if b != 0)

    def _in_coordinates(self, expr: sp.Expr) -> sp.Expr:
        for chart in self.charts:
            for c, e in chart.from_states.items() if chart.constraint is not None else ():
                expr = expr.subs(e, c).subs(sp.log(e), sp.log(c))
        return expr

    def _repr_latex_(self) -> str:
        return f"$\\displaystyle {self.latex()}$"

    def __repr__(self) -> str:
        kind = "map" if self.discrete else "flow"
        params = ", ".join(f"{n}={v:g}" for n, v in self.defaults().items())
        return f"<Model {self.name}: {kind} of {', '.join(self.state_names)}; {params or 'no parameters'}>"


def _portable(value: Any) -> Any:
    return dict(value) if isinstance(value, Mapping) else value
