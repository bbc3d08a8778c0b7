"""The symbolic definition of a model: what the equations are, once, as data.

A :class:`Model` is frozen and checks itself when it is made. Everything else in the package reads it: kernels are
generated from it, solvers run it, claims are verified about it. Builders that derive one from a loss or from two
objectives are in :mod:`toymesa.symbolic.flows` and :mod:`toymesa.symbolic.bilevel`; a flow can also be given as is.
"""

from __future__ import annotations

import hashlib
import keyword
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, NamedTuple

import sympy as sp
from sympy.logic.boolalg import Boolean

from toymesa.errors import ArgumentError, DomainError, ModelError, did_you_mean

TIME = sp.Symbol("t", real=True)
"""The time of every flow: reserved, never a state or a parameter."""

_RESERVED = frozenset({"t", "time", "status", "nsteps"})
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")


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
        left = "(" if self.low_open or self.low == -math.inf else "["
        right = ")" if self.high_open or self.high == math.inf else "]"
        return f"{left}{self.low:g}, {self.high:g}{right}"

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
        object.__setattr__(self, "default", _number(self.default, "a parameter's default"))
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
    observables : name -> expression in states, parameters and ``TIME``.
    domains : state symbol -> :class:`Domain` of admissible starts.
    algebraic : state symbol -> expression that must vanish along the flow. Its entry in ``flow`` keeps it at zero in
        exact arithmetic; the solver also projects on it.
    requires : name -> expression that must stay positive (for instance the curvature of an inner optimum).
    charts : other coordinates for starts.
    potential, metric : V and G with flow = -G grad V, if it is such a flow; V then decreases along it.
    invariants : name -> :class:`Invariant`.
    closed_forms : exact solutions, tried in order by ``solve``.
    inner_run : a nested run whose end values the rates may use, or None.
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
    discrete: bool = False
    meanings: Mapping[str, str] = field(default_factory=dict)
    question: str = ""
    reference: str = ""

    def __post_init__(self) -> None:
        put = object.__setattr__
        put(self, "flow", _frozen({s: _expr(e) for s, e in dict(self.flow).items()}))
        named = _symbols_by_name(self)
        put(self, "params", _frozen({s: _parameter(s, p) for s, p in _keyed(self.params, named).items()}))
        start = {s: _expr(e) for s, e in _keyed(self.start, named).items()}
        put(self, "start", _frozen({s: start.pop(s, sp.Integer(0)) for s in self.flow} | start))
        put(self, "observables", _frozen({n: _expr(e) for n, e in dict(self.observables).items()}))
        domains = _keyed(self.domains, named)
        put(self, "domains", _frozen({s: domains.get(s, Domain.of(s)) for s in self.flow} | domains))
        for name in ("algebraic", "requires", "invariants", "meanings"):
            put(self, name, _frozen(getattr(self, name)))
        put(self, "charts", tuple(self.charts))
        put(self, "closed_forms", tuple(self.closed_forms))
        if self.potential is not None:
            put(self, "potential", _expr(self.potential))
        if self.metric is not None:
            put(self, "metric", sp.ImmutableMatrix(self.metric))
        _validate(self)

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
        return _lookup(self.flow, name, "state", self.name)

    def param(self, name: str | sp.Symbol) -> sp.Symbol:
        """The parameter symbol of that name; an ArgumentError with the nearest name otherwise."""
        return _lookup(self.params, name, "parameter", self.name)

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
            number = _number(value, f"parameter {symbol.name!r}")
            domain = changed[symbol].domain
            if number not in domain:
                raise DomainError(f"parameter {symbol.name!r} must lie in {domain}; got {number:g}")
            changed[symbol] = replace(changed[symbol], default=number)
        return replace(self, params=changed)

    def with_(self, **changes: Any) -> Model:
        """A copy with other fields, checked again: ``model.with_(observables={...})``."""
        return replace(self, **changes)

    @property
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
        ):
            parts += [f"{title}:{n}={sp.srepr(e)}" for n, e in pairs]
        parts += [f"param:{s.name}={p.default!r}:{tuple(p.domain)!r}" for s, p in self.params.items()]
        parts += [f"domain:{s.name}={tuple(d)!r}" for s, d in self.domains.items()]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]

    # ---------------------------------------------------------------- to look at

    def latex(self) -> str:
        """The equations as LaTeX lines of an ``aligned`` environment."""
        lines = []
        for s, e in self.flow.items():
            left = rf"{sp.latex(s)}_{{k+1}}" if self.discrete else rf"\dot{{{sp.latex(s)}}}"
            lines.append(rf"{left} &= {sp.latex(e)}")
        lines += [rf"0 &= {sp.latex(e)}" for e in self.algebraic.values()]
        return "\\begin{aligned}\n" + " \\\\\n".join(lines) + "\n\\end{aligned}"

    def _repr_latex_(self) -> str:
        return f"$\\displaystyle {self.latex()}$"

    def __repr__(self) -> str:
        kind = "map" if self.discrete else "flow"
        params = ", ".join(f"{n}={v:g}" for n, v in self.defaults().items())
        return f"<Model {self.name}: {kind} of {', '.join(self.state_names)}; {params or 'no parameters'}>"


# -------------------------------------------------------------------- checks


def _frozen(mapping: Mapping[Any, Any]) -> Mapping[Any, Any]:
    return MappingProxyType(dict(mapping))


def _expr(value: object) -> sp.Expr:
    """A SymPy expression; text is refused, because SymPy would execute it."""
    try:
        return sp.sympify(value, strict=True)
    except (sp.SympifyError, TypeError) as error:
        raise ModelError(f"an expression must be made of SymPy symbols and numbers; got {value!r}") from error


def _number(value: object, what: str) -> float:
    if isinstance(value, (bool, str, bytes, complex)) or value is None:
        raise ArgumentError(f"{what} must be a real number; got {value!r}")
    try:
        return float(value)  # type: ignore[arg-type]  # whatever else cannot be a float says so itself
    except (TypeError, ValueError) as error:
        raise ArgumentError(f"{what} must be a real number; got {value!r}") from error


def _symbols_by_name(model: Model) -> dict[str, sp.Symbol]:
    """Every symbol that the definition uses, by name; those of the flow come first."""
    exprs = [*model.flow.values(), *map(_expr, model.observables.values()), *model.algebraic.values()]
    if model.inner_run:
        exprs += [*model.inner_run.rates.values(), *model.inner_run.start.values(), model.inner_run.time]
    exprs += [_expr(e) for e in model.start.values()]
    found = {s.name: s for e in reversed(exprs) for s in sorted(_expr(e).free_symbols, key=str)}
    return found | {s.name: s for s in model.flow}


def _keyed(mapping: Mapping[Any, Any], named: Mapping[str, sp.Symbol]) -> dict[sp.Symbol, Any]:
    """A mapping whose keys may be names, keyed by the symbols that the definition uses."""
    out: dict[sp.Symbol, Any] = {}
    for key, value in dict(mapping).items():
        symbol = named.get(key, sp.Symbol(check_name(key, "a key"))) if isinstance(key, str) else key
        if not isinstance(symbol, sp.Symbol):
            raise ModelError(f"a key must be a symbol or its name; got {key!r}")
        if symbol in out:
            raise ModelError(f"{symbol.name!r} is given twice, as a symbol and as a name")
        out[symbol] = value
    return out


def _parameter(symbol: sp.Symbol, given: object) -> Parameter:
    if isinstance(given, Parameter):
        return given
    return Parameter(default=_number(given, f"parameter {symbol}"), domain=Domain.of(symbol))


def _lookup(where: Mapping[sp.Symbol, Any], name: str | sp.Symbol, what: str, model: str) -> sp.Symbol:
    wanted = name.name if isinstance(name, sp.Symbol) else name
    for symbol in where:
        if symbol.name == wanted:
            return symbol
    raise ArgumentError(f"model {model!r} has no {what} {wanted!r}{did_you_mean(str(wanted), [s.name for s in where])}")


def check_name(name: object, what: str) -> str:
    """Return ``name`` if it is a plain ASCII identifier that no keyword or reserved word takes; ModelError otherwise.

    Generated code carries these names, so nothing but an identifier may ever pass.
    """
    if not isinstance(name, str) or not _IDENTIFIER.match(name) or keyword.iskeyword(name):
        raise ModelError(f"{what} must be an identifier (letters, digits, underscore, no keyword); got {name!r}")
    if name in _RESERVED:
        raise ModelError(
            f"{what} must not be {name!r}: the word is reserved (reserved: {', '.join(sorted(_RESERVED))})"
        )
    return name


def _validate(model: Model) -> None:
    check_name(model.name, "a model's name")
    if not model.flow:
        raise ModelError(f"model {model.name!r} has no states")
    owner: dict[str, str] = {}
    nested = {s.name for s in model.inner_run.rates} if model.inner_run else set()
    for what, names in (
        ("state", [s.name for s in model.flow]),
        ("parameter", [s.name for s in model.params]),
        ("observable", list(model.observables)),
    ):
        for name in names:
            check_name(name, f"the name of a {what}")
            if name in owner and not (what == "observable" and name in nested):
                raise ModelError(f"model {model.name!r}: {name!r} is both a {owner[name]} and a {what}")
            owner[name] = what
    states, params = set(model.flow), set(model.params)
    for title, pairs, allowed in _expressions(model):
        for name, expr in pairs:
            _check_symbols(model.name, f"{title} {name!r}", expr, allowed)
    for mapping, what in ((model.start, "start"), (model.domains, "domain"), (model.algebraic, "algebraic equation")):
        for symbol in mapping:
            if symbol not in states:
                hint = did_you_mean(str(symbol), model.state_names)
                raise ModelError(f"model {model.name!r}: {what} of {symbol}, which is not a state{hint}")
    for name, expr in model.observables.items():
        if not expr.free_symbols:
            raise ModelError(f"model {model.name!r}: observable {name!r} depends on nothing; got {expr}")
    used = set().union(*(e.free_symbols for _, pairs, _ in _expressions(model) for _, e in pairs))
    if unused := [s.name for s in model.params if s not in used]:
        raise ModelError(f"model {model.name!r}: nothing depends on parameter {', '.join(map(repr, unused))}")
    _check_start(model)
    if model.metric is not None and model.metric.shape != (len(states), len(states)):
        raise ModelError(
            f"model {model.name!r}: metric must be {len(states)} x {len(states)}; got {model.metric.shape}"
        )
    for form in model.closed_forms:
        if set(form.states) != states:
            raise ModelError(f"model {model.name!r}: a closed form must give every state; got {list(form.states)}")
        _check_form(model, form, states | params)


def _expressions(model: Model) -> Iterable[tuple[str, list[tuple[str, sp.Expr]], set[sp.Symbol]]]:
    states, params = set(model.flow), set(model.params)
    run = model.inner_run
    nested = set(run.rates) if run else set()
    everything = states | params | nested | {TIME}
    now = everything - {TIME} if model.discrete else everything
    if run:
        yield "inner rate of", [(s.name, e) for s, e in run.rates.items()], states | params | nested
        yield "inner start of", [(s.name, e) for s, e in run.start.items()], states | params
        yield "inner time of", [(model.name, run.time)], states | params
    yield "rate of", [(s.name, e) for s, e in model.flow.items()], now
    yield "start of", [(s.name, e) for s, e in model.start.items()], params
    yield "observable", list(model.observables.items()), everything
    yield "algebraic equation of", [(s.name, e) for s, e in model.algebraic.items()], everything
    yield "requirement", list(model.requires.items()), everything
    yield "invariant", [(n, i.expr) for n, i in model.invariants.items()], everything
    if model.potential is not None:
        yield "potential of", [(model.name, model.potential)], states | params
    for chart in model.charts:
        yield "coordinate", [(s.name, e) for s, e in chart.from_states.items()], states | params


def _check_symbols(model: str, what: str, expr: sp.Expr, allowed: set[sp.Symbol]) -> None:
    if not isinstance(expr, sp.Expr):
        raise ModelError(f"model {model!r}: {what} must be an expression; got {type(expr).__name__}")
    if expr.has(sp.nan, sp.zoo, sp.oo, -sp.oo):
        raise ModelError(f"model {model!r}: {what} is not finite: {expr}")
    names = {s.name: s for s in allowed}
    for symbol in sorted(expr.free_symbols, key=str):
        if symbol in allowed:
            continue
        if symbol.name in names:
            raise ModelError(
                f"model {model!r}: {what} uses a symbol {symbol.name!r} with other assumptions than the one declared"
            )
        raise ModelError(
            f"model {model!r}: {what} uses undeclared {symbol.name!r}{did_you_mean(symbol.name, sorted(names))}"
        )


def _check_form(model: Model, form: ClosedForm | InternalTimeForm, known: set[sp.Symbol]) -> None:
    allowed = known - set(model.flow) | {at_start(s) for s in model.flow}
    allowed |= {form.internal} if isinstance(form, InternalTimeForm) else {TIME}
    exprs = [(s.name, e) for s, e in form.states.items()]
    if isinstance(form, InternalTimeForm):
        exprs.append(("its rate", form.rate))
    for name, expr in exprs:
        _check_symbols(model.name, f"closed form of {name!r}", _expr(expr), allowed)


def _check_start(model: Model) -> None:
    values = {s: sp.Float(p.default) for s, p in model.params.items()}
    for symbol, expr in model.start.items():
        number = expr.subs(values).evalf()
        if not number.is_real:
            raise ModelError(f"model {model.name!r}: start of {symbol.name!r} is not a real number: {expr}")
        if float(number) not in model.domains[symbol]:
            raise ModelError(
                f"model {model.name!r}: start of {symbol.name!r} must lie in {model.domains[symbol]}; got {number}"
            )
