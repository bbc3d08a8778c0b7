"""The fixed point that a caller means: given by name or by position, rounded, or on the open end of a domain."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import sympy as sp

from toymesa.analyse.certified.census import FixedPoint
from toymesa.analyse.rates import Rates
from toymesa.arguments import Array, numbers, scalar
from toymesa.errors import ArgumentError, DomainError, did_you_mean
from toymesa.solver.inputs import cells
from toymesa.symbolic.linear import at_params
from toymesa.symbolic.model import Model

_NEAR = 1e-5  # how far (relative) from a fixed point a given point may be


def with_numbers(model: Model, values: Mapping[str, float]) -> Model:
    """The equations with the parameters put in: x^(2 - 2/d) has no slope at 0 in symbols, and one for d = 2."""

    def put(formulas: Mapping[sp.Symbol, sp.Expr]) -> dict[sp.Symbol, sp.Expr]:
        return dict(zip(formulas, at_params(list(formulas.values()), model, values), strict=True))

    domains = {s: model.domains[s] for s in model.states}
    return Model(
        name=model.name, flow=put(model.flow), start=put(model.start), domains=domains, algebraic=put(model.algebraic),
        discrete=model.discrete,
    )  # fmt: skip


def given_point(model: Model, rates: Rates, point: Any, values: Mapping[str, float], p: Array) -> Array:
    """The point as an array in packing order."""
    if isinstance(point, FixedPoint):
        point = point.state
    if isinstance(point, Mapping):
        names = {k if isinstance(k, str) else getattr(k, "name", repr(k)) for k in point}
        allowed = [*model.state_names, *(c.name for chart in model.charts for c in chart.coordinates)]
        for name in names:
            if name not in allowed:
                raise ArgumentError(f"model {model.name!r} has no state {name!r}{did_you_mean(name, allowed)}")
        if names == set(model.state_names):
            return _on_the_edge(model, point)
        batch = cells(model, point, values, np.random.default_rng(0))
        if batch.dims:
            raise DomainError("a point has one value a state")
        covered = {s.name for chart in model.charts for s in chart.to_states} if _has_shares(model, names) else set()
        missing = [n for n in model.state_names if n not in names | covered]
        algebraic = {s.name for s in model.algebraic}
        if hard := [n for n in missing if n not in algebraic]:
            raise ArgumentError(f"the point has no value for {', '.join(hard)}; model {model.name!r} needs all states")
        x = batch.starts[0]
        return _solve_algebraic(rates, x, p) if missing else x
    x = numbers("point", point)
    if x.shape != (rates.n,):
        raise DomainError(f"the point must have {rates.n} values, {', '.join(model.state_names)}; got shape {x.shape}")
    if not np.isfinite(x).all():
        raise DomainError("the point must be finite")
    return x


def _on_the_edge(model: Model, point: Mapping[Any, Any]) -> Array:
    """A value for every state; unlike a start, a fixed point may lie on the open end of a domain."""
    named = {getattr(k, "name", k): v for k, v in point.items()}
    x = np.empty(len(model.states))
    if any(np.ndim(v) for v in named.values()):
        raise DomainError("a point has one value a state")
    for i, s in enumerate(model.states):
        domain, x[i] = model.domains[s], scalar(f"point {s.name!r}", named[s.name])
        if not domain.low <= x[i] <= domain.high:
            raise DomainError(f"point {s.name!r} must lie in {domain}, or on its end; got {x[i]:g}")
    return x


def _has_shares(model: Model, names: set[str]) -> bool:
    return any(c.name in names for chart in model.charts for c in chart.coordinates)


def _solve_algebraic(rates: Rates, x: Array, p: Array) -> Array:
    """Newton's method for the algebraic states that were not given."""
    a = rates.algebraic
    for _ in range(60):
        step = np.linalg.lstsq(rates.jacobian(x, p)[np.ix_(a, a)], -rates.residual(x, p)[a], rcond=None)[0]
        x = x.copy()
        x[a] += step
        if np.abs(step).max() <= 1e-15 * (1.0 + np.abs(x[a]).max()):
            break
    return x


def settled(model: Model, rates: Rates, given: Array, p: Array) -> Array:
    """The fixed point at the given one, by Gauss-Newton steps; DomainError where there is none within reach."""
    x = given.copy()
    reach = _NEAR * (1.0 + np.abs(given))
    first = rates.residual(given, p)
    for _ in range(40):
        f, j = rates.residual(x, p), rates.jacobian(x, p)
        if not (np.isfinite(f).all() and np.isfinite(j).all()):
            raise DomainError(f"the rates of model {model.name!r} are not finite at that point")
        step = -np.linalg.pinv(j, rcond=1e-9) @ f
        if (np.abs(x + step - given) > reach).any():
            break
        x = x + step
        if np.abs(step).max() <= 4e-16 * (1.0 + np.abs(x).max()):
            break
    size = np.abs(rates.jacobian(x, p)) @ (1.0 + np.abs(x)) + np.finfo(float).tiny
    worst = int(np.argmax(np.abs(first)))
    if (np.abs(rates.residual(x, p)) > 1e-9 * size).any() or not np.isfinite(first).all():
        what = "step" if model.discrete else "rate"
        raise DomainError(
            f"the point is not a fixed point of model {model.name!r}: "
            f"the {what} of {model.state_names[worst]!r} there is {first[worst]:.6g}"
        )
    return x
