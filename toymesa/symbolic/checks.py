"""What a model must satisfy to be one; each contradiction is one clear line, found when the model is made."""

from __future__ import annotations

import keyword
import math
import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import sympy as sp
from sympy.core.function import AppliedUndef

from toymesa.errors import ArgumentError, DomainError, ModelError, did_you_mean
from toymesa.symbolic.parts import TIME, ClosedForm, Domain, InternalTimeForm, Parameter, at_start, number

if TYPE_CHECKING:
    from toymesa.symbolic.model import Model

_RESERVED = frozenset({"t", "time", "status", "nsteps"})
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")


def frozen(mapping: Mapping[Any, Any]) -> Mapping[Any, Any]:
    """A read-only copy of a mapping."""
    return MappingProxyType(dict(mapping))


def expression(value: object) -> sp.Expr:
    """A SymPy expression; text is refused, because SymPy would execute it."""
    try:
        return sp.sympify(value, strict=True)
    except (sp.SympifyError, TypeError) as error:
        hint = " (toymesa.parse reads a formula in text)" if isinstance(value, str) else ""
        raise ModelError(f"an expression must be made of SymPy symbols and numbers; got {value!r}{hint}") from error


def symbols_by_name(model: Model) -> dict[str, sp.Symbol]:
    """Every symbol that the definition uses, by name; those of the flow come first."""
    exprs = [*model.flow.values(), *map(expression, model.observables.values()), *model.algebraic.values()]
    if model.inner_run:
        exprs += [*model.inner_run.rates.values(), *model.inner_run.start.values(), model.inner_run.time]
    exprs += [] if model.noise is None else list(model.noise)
    exprs += [expression(e) for e in model.start.values()]
    found = {s.name: s for e in reversed(exprs) for s in sorted(expression(e).free_symbols, key=str)}
    return found | {s.name: s for s in model.flow}


def keyed(mapping: Mapping[Any, Any], named: Mapping[str, sp.Symbol]) -> dict[sp.Symbol, Any]:
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


def parameter(symbol: sp.Symbol, given: object) -> Parameter:
    """A Parameter, made from a bare default where that was given."""
    if isinstance(given, Parameter):
        return given
    return Parameter(default=number(given, f"parameter {symbol}"), domain=Domain.of(symbol))


def lookup(where: Mapping[sp.Symbol, Any], name: str | sp.Symbol, what: str, model: str) -> sp.Symbol:
    """The symbol of that name among the keys; ArgumentError with the nearest name otherwise."""
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


def check_domain(symbol: sp.Symbol, domain: Domain, where: str) -> None:
    """Raise DomainError if a domain reaches beyond the assumptions of its symbol, which SymPy has already used."""
    widest = Domain.of(symbol)
    low = domain.low > widest.low or (domain.low == widest.low and domain.low_open >= widest.low_open)
    high = domain.high < widest.high or (domain.high == widest.high and domain.high_open >= widest.high_open)
    if not (low or widest.low == -math.inf) or not (high or widest.high == math.inf):
        raise DomainError(
            f"{where}: the domain of {symbol.name!r} must lie in {widest}, the assumptions of its symbol; got {domain}"
        )


_MAPPINGS = ("flow", "params", "start", "observables", "domains", "algebraic", "requires", "invariants", "meanings")


def check_mappings(model: Model) -> None:
    """Raise ArgumentError for a field that should go from names to values and does not."""
    for name in _MAPPINGS:
        value = getattr(model, name)
        if not isinstance(value, Mapping):
            what = "state symbol to its rate" if name == "flow" else "name to value"
            raise ArgumentError(f"{name} must be a mapping from {what}; got {type(value).__name__}: {value}")


def validate(model: Model) -> None:
    """Raise ModelError for the first contradiction in a model's definition."""
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
    if model.noise is not None and (model.noise.rows != len(states) or model.discrete or model.algebraic or nested):
        raise ModelError(
            f"model {model.name!r}: noise needs a flow without algebraic states and inner run, and a row for each of "
            f"{len(states)} states; got a matrix of {model.noise.rows} x {model.noise.cols}"
        )
    for title, pairs, allowed in _expressions(model):
        for name, expr in pairs:
            _check_symbols(model.name, f"{title} {name!r}", expr, allowed)
    for mapping, what in ((model.start, "start"), (model.domains, "domain"), (model.algebraic, "algebraic equation")):
        for symbol in mapping:
            if symbol not in states:
                hint = did_you_mean(str(symbol), model.state_names)
                raise ModelError(f"model {model.name!r}: {what} of {symbol}, which is not a state{hint}")
    for symbol, domain in [(s, p.domain) for s, p in model.params.items()] + list(model.domains.items()):
        check_domain(symbol, domain, f"model {model.name!r}")
    for name, expr in model.observables.items():
        if not expr.free_symbols:
            raise ModelError(f"model {model.name!r}: observable {name!r} depends on nothing; got {expr}")
    used = set().union(*(e.free_symbols for _, pairs, _ in _expressions(model) for _, e in pairs))
    if unused := [s.name for s in model.params if s not in used]:
        raise ModelError(f"model {model.name!r}: nothing depends on parameter {', '.join(map(repr, unused))}")
    _check_start(model)
    if model.metric is not None and model.metric.shape != (len(states), len(states)):
        raise ModelError(
            f"model {model.name!r}: metric must have shape {(len(states), len(states))}; got {model.metric.shape}"
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
    if model.noise is not None:
        yield "noise of", [(s.name, e) for i, s in enumerate(model.flow) for e in model.noise.row(i)], now
    yield "requirement", list(model.requires.items()), everything
    yield "invariant", [(n, i.expr) for n, i in model.invariants.items()], everything
    if model.metric is not None:
        yield "entry of the metric of", [(model.name, e) for e in model.metric], states | params | {TIME}
    if model.potential is not None:
        yield "potential of", [(model.name, model.potential)], states | params
    for chart in model.charts:
        yield "coordinate", [(s.name, e) for s, e in chart.from_states.items()], states | params


def _check_symbols(model: str, what: str, expr: sp.Expr, allowed: set[sp.Symbol]) -> None:
    if not isinstance(expr, sp.Expr):
        raise ModelError(f"model {model!r}: {what} must be an expression; got {type(expr).__name__}")
    if getattr(expr, "is_Matrix", False):
        raise ModelError(f"model {model!r}: {what} must be one expression; got a matrix of shape {expr.shape}")
    if expr.has(sp.nan, sp.zoo, sp.oo, -sp.oo):
        raise ModelError(f"model {model!r}: {what} is not finite: {expr}")
    if calls := sorted(str(f.func) for f in expr.atoms(AppliedUndef)):
        raise ModelError(f"model {model!r}: {what} uses a function that has no definition: {', '.join(calls)}")
    names = {s.name: s for s in allowed}
    unknown = sorted(expr.free_symbols - allowed, key=str)
    if twins := [s.name for s in unknown if s.name in names]:
        raise ModelError(
            f"model {model!r}: {what} uses a symbol {twins[0]!r} with other assumptions than the one declared"
        )
    if unknown:
        hint = did_you_mean(unknown[0].name, sorted(names))
        raise ModelError(f"model {model!r}: {what} uses undeclared {', '.join(repr(s.name) for s in unknown)}{hint}")


def _check_form(model: Model, form: ClosedForm | InternalTimeForm, known: set[sp.Symbol]) -> None:
    allowed = known - set(model.flow) | {at_start(s) for s in model.flow}
    allowed |= {form.internal} if isinstance(form, InternalTimeForm) else {TIME}
    exprs = [(s.name, e) for s, e in form.states.items()]
    if isinstance(form, InternalTimeForm):
        exprs.append(("its rate", form.rate))
    for name, expr in exprs:
        _check_symbols(model.name, f"closed form of {name!r}", expression(expr), allowed)


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
