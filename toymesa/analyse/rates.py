"""The rates of a model and their derivatives as functions of arrays: what every numerical analysis evaluates.

No compilation: generated numpy code, immediate for a new model, and vectorized over any leading axes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import sympy as sp
import xarray as xr
from numpy.typing import NDArray

from toymesa.arguments import numbers, whole
from toymesa.errors import ArgumentError, DomainError, ModelError
from toymesa.kernels.arrays import array_function
from toymesa.kernels.generate import compile_model
from toymesa.solver.inputs import cells
from toymesa.symbolic.linear import equation_jacobian, fixed_point_equations
from toymesa.symbolic.model import Model

Array = NDArray[np.float64]


class Rates:
    """F(x, p), whose zeros are the fixed points, with dF/dx and dF/dp; and the linearization of the dynamics.

    F is the rates of a flow (for an algebraic state its residual, so that the combined system has regular zeros), and
    f(x) - x for a map. ``x`` has shape (..., n) and ``p`` (..., k), in packing order; leading axes broadcast.
    """

    def __init__(self, model: Model) -> None:
        if not model.autonomous:
            raise ModelError(f"model {model.name!r} depends on time t: it has no fixed points")
        self.model = model
        self.n, self.k = len(model.states), len(model.params)
        positions = {s: i for i, s in enumerate(model.states)}
        self.algebraic = [positions[s] for s in model.algebraic]
        self.differential = [i for i in range(self.n) if i not in self.algebraic]
        if model.inner_run is not None:
            field = compile_model(model).field
            self.residual = _pointwise(field, 0, self.n, (self.n,))
            self.jacobian = _pointwise(field, 1, self.n * self.n, (self.n, self.n))
            self.by_param = _differences(self.residual)
            return
        equations = list(fixed_point_equations(model).values())
        self.residual = _evaluator(model, equations, (self.n,))
        self.jacobian = _evaluator(model, [d for row in equation_jacobian(model) for d in row], (self.n, self.n))
        self.by_param = _on_demand(
            lambda: _evaluator(model, [sp.diff(e, s) for e in equations for s in model.params], (self.n, self.k))
        )

    # residual(x, p) -> (..., n); jacobian(x, p) -> (..., n, n); by_param(x, p) -> (..., n, k)
    residual: Callable[[Any, Any], Array]
    jacobian: Callable[[Any, Any], Array]
    by_param: Callable[[Any, Any], Array]

    def linearization(self, x: Any, p: Any) -> Array:
        """The matrix whose eigenvalues decide stability, shape (..., d, d): of a flow, or the multipliers of a map.

        Algebraic states follow the others: with residuals g(y, z) = 0 it is dF/dy - dF/dz (dg/dz)^-1 dg/dy.
        """
        matrix = self.jacobian(x, p)
        if self.model.discrete:
            return np.asarray(matrix + np.eye(self.n))
        if not self.algebraic:
            return matrix
        d, a = np.asarray(self.differential), np.asarray(self.algebraic)
        through = np.linalg.solve(matrix[..., a[:, None], a], matrix[..., a[:, None], d])
        return np.asarray(matrix[..., d[:, None], d] - matrix[..., d[:, None], a] @ through)


def rates_of(model: Model) -> Rates:
    """The :class:`Rates` of a model, kept with it; ModelError for rates that depend on time."""
    found: Rates | None = model.__dict__.get("_rates")
    if found is None:
        found = Rates(model)
        object.__setattr__(model, "_rates", found)  # a cache, not a field: the model itself stays as it was
    return found


def _on_demand(make: Callable[[], Callable[[Any, Any], Array]]) -> Callable[[Any, Any], Array]:
    """Derived at the first call: most analyses never ask."""
    made: list[Callable[[Any, Any], Array]] = []

    def evaluate(x: Any, p: Any) -> Array:
        if not made:
            made.append(make())
        return made[0](x, p)

    return evaluate


def _evaluator(model: Model, exprs: Sequence[sp.Expr], shape: tuple[int, ...]) -> Callable[[Any, Any], Array]:
    used = [i for i, e in enumerate(exprs) if e != 0]  # Jacobians are mostly zeros
    made: list[Callable[..., Any]] = []  # generated on first use

    def evaluate(x: Any, p: Any) -> Array:
        x, p = np.asarray(x, dtype=np.float64), np.asarray(p, dtype=np.float64)
        lead = np.broadcast_shapes(x.shape[:-1], p.shape[:-1])
        out = np.zeros((*lead, len(exprs)))
        if used:
            if not made:
                made.append(array_function([*model.states, *model.params], [exprs[i] for i in used]))
            values = made[0](*(x[..., i] for i in range(x.shape[-1])), *(p[..., i] for i in range(p.shape[-1])))
            for i, value in zip(used, values, strict=True):
                out[..., i] = value
        return out.reshape(*lead, *shape)

    return evaluate


def _pointwise(field: Any, what: int, size: int, shape: tuple[int, ...]) -> Callable[[Any, Any], Array]:
    """Rates that need a run of an inner optimizer have no formula: the compiled field, one point after another."""

    def evaluate(x: Any, p: Any) -> Array:
        x, p = np.asarray(x, dtype=np.float64), np.asarray(p, dtype=np.float64)
        lead = np.broadcast_shapes(x.shape[:-1], p.shape[:-1])
        count = int(np.prod(lead))
        points = np.array(np.broadcast_to(x, (*lead, x.shape[-1])), order="C").reshape(count, x.shape[-1])
        params = np.array(np.broadcast_to(p, (*lead, p.shape[-1])), order="C").reshape(count, p.shape[-1])
        out = np.empty((count, size))
        for i in range(count):
            field(what, 0.0, points[i], params[i], out[i])
        return out.reshape(*lead, *shape)

    return evaluate


def _differences(residual: Callable[[Any, Any], Array]) -> Callable[[Any, Any], Array]:
    """Central differences with respect to the parameters."""

    def evaluate(x: Any, p: Any) -> Array:
        x, p = np.asarray(x, dtype=np.float64), np.asarray(p, dtype=np.float64)
        columns = []
        for j in range(p.shape[-1]):
            h = 1e-4 * (1.0 + np.abs(p[..., j]))
            up, down = p.copy(), p.copy()
            up[..., j] += h
            down[..., j] -= h
            columns.append((residual(x, up) - residual(x, down)) / (2.0 * np.asarray(h)[..., None]))
        lead = np.broadcast_shapes(x.shape[:-1], p.shape[:-1])
        return np.stack(columns, axis=-1) if columns else np.zeros((*lead, x.shape[-1], 0))

    return evaluate


def sampled_rates(
    model: Model,
    over: Mapping[Any, Any],
    *,
    at: Mapping[Any, float] | None = None,
    params: Mapping[Any, float] | None = None,
    count: int = 81,
) -> xr.Dataset:
    """The rates (steps of a map) on a grid of one or two states, for a phase portrait.

    over: one or two states -> (low, high). at: values of the other states; default the model's start. Algebraic states
    are solved for at every place of the grid. count: places an axis, 2 or more.

    Returns a Dataset over the states of ``over`` with variables ``rate_<state>``; NaN where a rate is not finite, or an
    algebraic state was not found. Raises ArgumentError for unknown names.
    """
    names = [model.state(k).name for k in over]
    if len(names) not in (1, 2) or len(set(names)) < len(names):
        raise ArgumentError(f"over must name one or two different states; got {names}")
    count = whole("count", count, 2)
    rates = rates_of(model)
    if any(names[i] == model.state_names[a] for i in range(len(names)) for a in rates.algebraic):
        raise ArgumentError(f"over must name states with a rate; {', '.join(s.name for s in model.algebraic)} has none")
    axes = {}
    for name, value in zip(names, over.values(), strict=True):
        ends = numbers(f"over {name!r}", value)
        if ends.shape != (2,) or not np.isfinite(ends).all() or not ends[0] < ends[1]:
            raise DomainError(f"over {name!r} must be finite (low, high) with low < high; got {value!r}")
        axes[name] = np.linspace(ends[0], ends[1], count)
    batch = cells(model, at, params, np.random.default_rng(0))
    if batch.dims:
        raise DomainError("at and params must be one number each")
    shape = (count,) * len(names)
    x = np.broadcast_to(batch.starts[0], (*shape, rates.n)).copy()
    for i, name in enumerate(names):
        x[..., model.state_names.index(name)] = np.moveaxis(np.broadcast_to(axes[name], shape), -1, i)
    value = rates.residual(_solved(rates, x, batch.params[0]), batch.params[0])
    data = {
        f"rate_{n}": (names, np.where(np.isfinite(v := value[..., model.state_names.index(n)]), v, np.nan))
        for n in (model.state_names[i] for i in rates.differential)
    }
    return xr.Dataset(data, coords=axes, attrs={"model": model.name, "discrete": int(model.discrete)})


def _solved(rates: Rates, x: Array, p: Array) -> Array:
    """The algebraic states by Newton's method, at every place; NaN where it does not converge."""
    if not rates.algebraic:
        return x
    a = np.asarray(rates.algebraic)
    with np.errstate(all="ignore"):
        for _ in range(50):
            f, j = rates.residual(x, p)[..., a], rates.jacobian(x, p)[..., a[:, None], a]
            fine = np.isfinite(f).all(axis=-1) & np.isfinite(j).all(axis=(-2, -1))
            step = np.full(f.shape, np.nan)
            step[fine] = -(np.linalg.pinv(j[fine]) @ f[fine][..., None])[..., 0]
            x[..., a] += step
        bad = ~(np.abs(step) <= 1e-9 * (1.0 + np.abs(x[..., a]))).all(axis=-1)
    x[bad] = np.nan
    return x
