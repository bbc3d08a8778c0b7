"""Base optimizers as data: which one descends is one argument (``optimizer=``) of every builder and of every model.

Plain gradient flow is None. The others change a flow x' = f(x) into

``HeavyBall(friction)``     x'' + friction x' = f(x), velocities ``v_<state>`` starting at 0 (Polyak 1964);
``Descent(step)``           the map x -> x + step f(x); time then counts steps;
``Preconditioned(rates)``   x_i' = rate_i f_i(x): the metric of the flow times a positive diagonal matrix;
``GradientNoise(...)``      dx = f(x) dt + B dW in the sense of Ito, additive or multiplicative.

Their numbers may be symbols, whose defaults stand among the ``params`` of the builder or of :func:`with_optimizer`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import sympy as sp

from toymesa.errors import ArgumentError, DomainError, ModelError, did_you_mean
from toymesa.symbolic.checks import expression
from toymesa.symbolic.linear_flow import with_linear_solution
from toymesa.symbolic.model import TIME, Model


def _amount(value: Any, what: str) -> sp.Expr:
    """A positive expression: a number above zero, or an expression whose sign its assumptions leave open or positive."""
    expr = expression(value)
    if expr.is_nonpositive or (expr.is_number and not expr.is_positive):
        raise DomainError(f"{what} must be positive; got {value}")
    return expr


def _changed(model: Model, suffix: str, params: Mapping[Any, Any], **changes: Any) -> Model:
    """A copy whose flow is another: what was exact about the old flow is dropped, unless it is given anew."""
    lost: dict[str, Any] = {"potential": None, "metric": None, "invariants": {}, "closed_forms": ()}
    return model.with_(**{**lost, "name": f"{model.name}_{suffix}", "params": {**model.params, **params}, **changes})


@dataclass(frozen=True)
class HeavyBall:
    """Momentum: x'' + friction x' = f(x). friction: positive, per unit of training time."""

    friction: Any

    def apply(self, model: Model, params: Mapping[Any, Any]) -> Model:
        """The model with velocities ``v_<state>`` behind its states."""
        if model.discrete or model.algebraic or model.noise is not None:
            raise ModelError(f"momentum needs a flow without algebraic states and noise; got model {model.name!r}")
        friction = _amount(self.friction, "friction")
        velocity = {s: sp.Symbol(f"v_{s.name}", real=True) for s in model.flow}
        flow = dict(velocity) | {velocity[s]: rate - friction * velocity[s] for s, rate in model.flow.items()}
        return _changed(model, "momentum", params, flow=flow)


@dataclass(frozen=True)
class Descent:
    """Discrete steps: x -> x + step f(x). step: positive, in units of training time."""

    step: Any

    def apply(self, model: Model, params: Mapping[Any, Any]) -> Model:
        """The model as a map."""
        if model.discrete or model.algebraic or model.noise is not None or not model.autonomous:
            raise ModelError(
                f"discrete steps need an autonomous flow without algebraic states and noise; got model {model.name!r}"
            )
        step = _amount(self.step, "step")
        flow = {s: s + step * rate for s, rate in model.flow.items()}
        return _changed(model, "descent", params, flow=flow, discrete=True)


@dataclass(frozen=True)
class Preconditioned:
    """Another speed for each state: x_i' = rate_i f_i(x). rates: state (or name) -> positive expression, default 1."""

    rates: Mapping[Any, Any]

    def apply(self, model: Model, params: Mapping[Any, Any]) -> Model:
        """The model in the other metric; its potential still falls."""
        if model.discrete or model.algebraic:
            raise ModelError(f"a preconditioner needs a flow without algebraic states; got model {model.name!r}")
        rates = {_state(model, k, "the preconditioner"): _amount(r, f"rate of {k}") for k, r in self.rates.items()}
        if model.metric is not None and not model.metric.is_diagonal() and len({*rates.values()}) > 1:
            raise ModelError(
                f"model {model.name!r} has a metric that is not diagonal: only one common rate goes with it"
            )
        scale = sp.diag(*[rates.get(s, sp.Integer(1)) for s in model.states])
        flow = {s: rates.get(s, sp.Integer(1)) * e for s, e in model.flow.items()}
        metric = None if model.metric is None else sp.ImmutableMatrix(scale * model.metric)
        kept = {"potential": model.potential, "metric": metric, "noise": model.noise} if metric is not None else {}
        return _changed(model, "preconditioned", params, flow=flow, **kept)


@dataclass(frozen=True)
class GradientNoise:
    """Noise beside the drift: dx = f(x) dt + B dW (Ito).

    temperature: B = sqrt(2 T G) for a constant diagonal metric G (identity where the model has none), so that a
    gradient flow has the stationary density exp(-V/T). Or amplitudes: state (or name) -> expression in states and
    parameters, independent noise of that amplitude in each (multiplicative where it depends on states), none elsewhere.
    """

    temperature: Any = None
    amplitudes: Mapping[Any, Any] | None = None

    def __post_init__(self) -> None:
        if (self.temperature is None) == (self.amplitudes is None):
            raise ArgumentError("GradientNoise needs either temperature or amplitudes")

    def apply(self, model: Model, params: Mapping[Any, Any]) -> Model:
        """The model with noise; the drift, its potential and its metric stay."""
        if model.discrete or model.algebraic or model.inner_run is not None or model.noise is not None:
            raise ModelError(
                f"noise needs a flow without algebraic states, inner run and noise of its own; got model {model.name!r}"
            )
        kept = {"potential": model.potential, "metric": model.metric}
        return _changed(model, "noise", params, noise=self._matrix(model), **kept)

    def _matrix(self, model: Model) -> sp.ImmutableMatrix:
        if self.amplitudes is not None:
            given = {_state(model, k, "the noise"): expression(e) for k, e in self.amplitudes.items()}
            columns = [s for s in model.states if given.get(s, 0) != 0]
            if not columns:
                raise ModelError(f"model {model.name!r}: the noise has no amplitude other than zero")
            return sp.ImmutableMatrix([[given[s] if s == c else 0 for c in columns] for s in model.states])
        temperature = _amount(self.temperature, "temperature")
        metric = sp.eye(len(model.states)) if model.metric is None else sp.Matrix(model.metric)
        if not metric.is_diagonal() or metric.has(*model.states, TIME):
            raise ModelError(
                f"model {model.name!r}: a temperature needs a constant diagonal metric; give amplitudes instead"
            )
        return sp.ImmutableMatrix(sp.diag(*[sp.sqrt(2 * temperature * g) for g in metric.diagonal()]))


OPTIMIZERS = ("HeavyBall", "Descent", "Preconditioned", "GradientNoise")
Optimizer = HeavyBall | Descent | Preconditioned | GradientNoise


def _state(model: Model, key: Any, who: str) -> sp.Symbol:
    name = getattr(key, "name", key)
    for s in model.states:
        if s.name == name:
            return s
    raise ModelError(f"{who} names an unknown state {name!r}{did_you_mean(str(name), model.state_names)}")


def with_optimizer(model: Model, optimizer: Optimizer | None, *, params: Mapping[Any, Any] | None = None) -> Model:
    """The model under another base optimizer; None leaves gradient flow.

    params: defaults of the symbols that the optimizer brings in. What is exact about the old flow (invariants, closed
    forms; for momentum and steps the potential too) does not hold for the new one and is dropped. A linear flow gets
    the exact solution of the new one (:mod:`toymesa.symbolic.linear_flow`).
    Raises ModelError where the two do not go together, ArgumentError for what is no optimizer.
    """
    if optimizer is None:
        return model
    if not isinstance(optimizer, Optimizer):
        raise ArgumentError(f"an optimizer is None or one of {', '.join(OPTIMIZERS)}; got {optimizer!r}")
    return with_linear_solution(optimizer.apply(model, params or {}))


def build(optimizer: Optimizer | None, params: Mapping[Any, Any], **fields: Any) -> Model:
    """A Model from its fields under a base optimizer; parameters that only the optimizer uses go to it."""
    if optimizer is None:
        return Model(params=params, **fields)
    brought = _names(vars(optimizer).values()) if isinstance(optimizer, Optimizer) else set()
    brought -= _names(value for name, value in fields.items() if name not in ("charts", "meanings"))
    own = {k: v for k, v in params.items() if getattr(k, "name", k) in brought}
    model = Model(params={k: v for k, v in params.items() if k not in own}, **fields)
    return with_optimizer(model, optimizer, params=own)


def _names(values: Iterable[Any]) -> set[str]:
    """Names of the symbols in expressions, also inside mappings."""
    out: set[str] = set()
    for value in values:
        if isinstance(value, Mapping):
            out |= _names(value.values())
        elif isinstance(value, sp.Basic | sp.MatrixBase):
            out |= {s.name for s in value.free_symbols}
    return out
