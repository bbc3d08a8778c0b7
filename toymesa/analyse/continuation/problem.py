"""Fixed points over a few free parameters, in units in which states, parameters and rates are about 1.

Everything that is followed or solved for lives in one vector u = (y, q): y are coordinates of the states on their level
set, q the free parameters as fractions of their ranges. Conserved linear combinations of the states are found and
divided out, so that a closed system has regular fixed points.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import sympy as sp
from numpy.typing import NDArray
from scipy.stats import qmc

from toymesa.analyse.rates import rates_of
from toymesa.errors import ModelError
from toymesa.kernels.points import point_function
from toymesa.symbolic.linear import equation_jacobian, fixed_point_equations
from toymesa.symbolic.model import Model

Array = NDArray[np.float64]
_CONSERVED = 1e-11  # a combination of rates that never exceeds this fraction of them is conserved
_SAMPLES = 64


class Problem:
    """F(u) = 0 with u = (y, q): ``residual`` has n entries, ``matrix`` n rows and n + m columns.

    model : a flow without explicit time, or a map, whose F is f(x) - x. params : values of all parameters. free : positions
    of the m free ones.
    low, high : their ranges. box : (states, 2), where states are looked for; its widths set their units. start : a state on
    the level set, where something is conserved. n is the number of states less the conserved combinations.
    """

    def __init__(
        self, model: Model, params: Array, free: Sequence[int], low: Array, high: Array, box: Array, start: Array
    ) -> None:
        self.model, self.params, self.free = model, np.array(params, dtype=np.float64), list(free)
        self.low, self.span, self.m = np.asarray(low, dtype=np.float64), np.asarray(high) - np.asarray(low), len(free)
        self.box = np.asarray(box, dtype=np.float64)
        self.start = np.asarray(start, dtype=np.float64)
        self.rates = rates_of(model)
        self.algebraic, self.differential = self.rates.algebraic, self.rates.differential
        self.discrete = model.discrete
        self._values, self._jacobian, self._by_param = _scalar_rates(self)
        scale = np.diff(self.box, axis=1)[:, 0] / 8
        self.units = np.diag(scale)
        self.conserved = _conserved(self, scale)
        complement = np.linalg.svd(np.vstack([self.conserved, np.zeros(len(scale))]))[2][len(self.conserved) :]
        self.n = len(complement)
        if not len(self.conserved):  # keep the model's own order and signs
            complement = np.eye(self.n)
        # x = origin + basis y; y' = project x'
        self.basis, self.project = scale[:, None] * complement.T, complement / scale
        self.origin = self.start - self.basis @ (self.project @ self.start) if len(self.conserved) else 0.0 * self.start
        self.rate = self._rate()

    def _rate(self) -> float:
        middle = self.box.mean(axis=1)
        points = [
            self.start,
            middle,
            *qmc.Halton(len(middle), scramble=False).random(9)[1:] * np.diff(self.box).T + self.box[:, 0],
        ]
        if self.discrete:  # a step is a step: the multipliers have no unit
            return 1.0
        sizes = [np.abs(self.project @ self._jacobian(x, self.params) @ self.basis).max() for x in points]
        sizes = [s for s in sizes if np.isfinite(s) and s > 0]
        return float(np.median(sizes)) if sizes else 1.0

    def tune(self, points: Sequence[Array]) -> None:
        """Make the rates at these fixed points about 1: those of the whole box may be much larger."""
        sizes = [float(np.abs(self.linearization(u)).max()) for u in points]
        top = max((s for s in sizes if np.isfinite(s)), default=0.0)
        if top > 0 and not self.discrete:  # at a special point the linearization may vanish
            self.rate *= float(np.median([s for s in sizes if s > 1e-6 * top]))

    # ---------------------------------------------------------------- coordinates

    def state(self, u: Array) -> Array:
        """The states x at u, in the model's units and order."""
        return np.asarray(self.origin + self.basis @ u[: self.n])

    def values(self, u: Array) -> Array:
        """All parameters at u, in the model's units and order."""
        p = self.params.copy()
        p[self.free] = self.low + u[self.n : self.n + self.m] * self.span
        return p

    def unknown(self, x: Array, free: Array) -> Array:
        """u at a state and values of the free parameters."""
        return np.concatenate([self.project @ (np.asarray(x) - self.origin), (np.asarray(free) - self.low) / self.span])

    # ---------------------------------------------------------------- equations

    def residual(self, u: Array) -> Array:
        """F(u), (n,)."""
        return np.asarray(self.project @ self._values(self.state(u), self.values(u)) / self.rate)

    def matrix(self, u: Array) -> Array:
        """dF/du, (n, n + m)."""
        x, p = self.state(u), self.values(u)
        by_state = self.project @ self._jacobian(x, p) @ self.basis
        by_param = self.project @ self._by_param(x, p) * self.span
        return np.hstack([by_state, by_param]) / self.rate

    def residuals(self, y: Array, q: Array) -> Array:
        """F at many y (..., n) for the same free parameters q."""
        x = self.origin + y @ self.basis.T
        return np.asarray(self.rates.residual(x, self._values_at(q)) @ self.project.T / self.rate)

    def jacobians(self, y: Array, q: Array) -> Array:
        """F_y at many y, (..., n, n)."""
        x = self.origin + y @ self.basis.T
        return np.asarray(self.project @ self.rates.jacobian(x, self._values_at(q)) @ self.basis / self.rate)

    def _values_at(self, q: Array) -> Array:
        return self.values(np.concatenate([np.zeros(self.n), q]))

    def linearization(self, u: Array) -> Array:
        """The matrix A whose eigenvalues, times ``rate``, decide stability; algebraic states are eliminated.

        Of a map it is df/dx - 1, and ``rate`` is 1.
        """
        x, p = self.state(u), self.values(u)
        full = self._jacobian(x, p)
        if not self.algebraic:
            return np.asarray(self.project @ full @ self.basis / self.rate)
        d, a = np.asarray(self.differential), np.asarray(self.algebraic)
        try:
            through = np.linalg.solve(full[np.ix_(a, a)], full[np.ix_(a, d)])
        except np.linalg.LinAlgError:
            return np.full((len(d), len(d)), np.nan)
        units = np.diag(self.basis)[d]
        return np.asarray((full[np.ix_(d, d)] - full[np.ix_(d, a)] @ through) * units / units[:, None] / self.rate)

    def derivatives(self, u: Array, of: Callable[[Array], Array]) -> Array:
        """Central differences of a matrix function along every entry of u, (n + m, ...): accurate to about 1e-10."""
        h = 6e-6
        out = []
        for j in range(self.n + self.m):
            step = np.zeros(u.size)
            step[j] = h
            out.append((of(u + step) - of(u - step)) / (2 * h))
        return np.array(out)

    def growth(self, values: NDArray[Any]) -> Array:
        """What of eigenvalues of the linearization is positive for those that grow: Re, or |multiplier| - 1 of a map."""
        return np.asarray(np.abs(1.0 + values) - 1.0 if self.discrete else values.real)

    def eigenvalues(self, u: Array) -> NDArray[np.complex128]:
        """Eigenvalues of the linearization in the model's unit of time, largest real part first; multipliers of a map,
        the largest first."""
        a = self.linearization(u)
        if not np.isfinite(a).all():
            return np.full(len(a), np.nan + 0j)
        found = np.asarray(np.linalg.eigvals(a), dtype=np.complex128) * self.rate
        if self.discrete:
            found = found + 1.0
            return found[np.lexsort((-found.imag, -found.real, -np.abs(found).round(12)))]
        return found[np.lexsort((-found.imag, -found.real))]


def _scalar_rates(problem: Problem) -> tuple[Callable[..., Array], Callable[..., Array], Callable[..., Array]]:
    """F, dF/dx and dF/dp by free parameters at one point (x, p) in the model's units."""
    model, rates, free = problem.model, problem.rates, problem.free
    n, m = len(model.states), len(free)
    try:
        args = [*model.states, *model.params]
        equations = list(fixed_point_equations(model).values())
        params = list(model.params)
        f = point_function(args, equations)
        j = point_function(args, [d for row in equation_jacobian(model) for d in row])
        b = point_function(args, [sp.diff(e, params[i]) for e in equations for i in free])
    except ModelError:  # a nested inner run, or a function without a scalar form
        return (
            rates.residual,
            rates.jacobian,
            lambda x, p: np.asarray(rates.by_param(x, p))[:, free],
        )

    def join(x: Array, p: Array) -> list[float]:
        return [*x.tolist(), *p.tolist()]

    return (
        lambda x, p: f(join(x, p)),
        lambda x, p: j(join(x, p)).reshape(n, n),
        lambda x, p: b(join(x, p)).reshape(n, m),
    )


def _conserved(problem: Problem, scale: Array) -> Array:
    """Orthonormal combinations of the scaled states that the flow never changes, (number, states): numerical rank."""
    model = problem.model
    n = len(model.states)
    if model.algebraic or n == 1:
        return np.empty((0, n))
    draws = qmc.Halton(n + problem.m, scramble=False).random(_SAMPLES + 1)[1:]
    rows = []
    for draw in draws:
        p = problem.params.copy()
        p[problem.free] = problem.low + draw[n:] * problem.span
        x = problem.box[:, 0] + draw[:n] * (problem.box[:, 1] - problem.box[:, 0])
        row = problem._values(x, p) / scale
        size = np.abs(row).max()
        if np.isfinite(size) and size > 0:
            rows.append(row / size)
    if len(rows) < n:
        return np.empty((0, n))
    _, sizes, right = np.linalg.svd(np.array(rows))
    return np.asarray(right[sizes < _CONSERVED * sizes[0]])
