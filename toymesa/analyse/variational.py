"""Variational equations of a model, generated from its Jacobian, and frames of perturbations carried along a trajectory.

The extended model has the states, one perturbation, and the integral of the trace of the Jacobian; the columns of a frame
are its rows in a batch, so that its size grows with the number of states and not with its square.
"""

from __future__ import annotations

import math
from copy import copy
from dataclasses import dataclass

import numpy as np
import sympy as sp

from toymesa.arguments import Array
from toymesa.errors import ModelError, SolveError
from toymesa.kernels.arrays import array_function
from toymesa.kernels.batch import Controls, run_batch
from toymesa.kernels.generate import CompiledModel, compile_model
from toymesa.status import Status
from toymesa.symbolic.model import TIME, Model


def variational(model: Model) -> Model:
    """The model with ``tangent_<state>``, which obeys v' = J v (v -> J v for a map), and ``trace``, the integral of tr J.

    For a map ``trace`` stays 0. With algebraic states J is that of the whole flow, which keeps them; the trace is that of
    the other states, which the algebraic ones follow. Raises ModelError for a model with a nested inner run (its Jacobian
    has no formula) or noise.
    """
    if model.noise is not None:
        raise ModelError(f"model {model.name!r} has noise: take growth of the model without it")
    jacobian = sp.Matrix(model.jacobian())
    tangents = [sp.Symbol(_free(f"tangent_{n}", model), real=True) for n in model.state_names]
    trace = sp.Symbol(_free("trace", model), real=True)
    moved = jacobian * sp.Matrix(tangents)
    flow = dict(model.flow) | dict(zip(tangents, moved, strict=True))
    flow[trace] = trace if model.discrete else _reduced_trace(model, jacobian)
    return Model(
        name=f"{model.name}_variational", flow=flow, params=model.params, start=model.start, discrete=model.discrete,
        observables=model.observables, algebraic=model.algebraic, domains={s: model.domains[s] for s in model.states},
    )  # fmt: skip


def _reduced_trace(model: Model, jacobian: sp.Matrix) -> sp.Expr:
    if not model.algebraic:
        return jacobian.trace()
    free = [i for i, s in enumerate(model.states) if s not in model.algebraic]
    bound = [i for i, s in enumerate(model.states) if s in model.algebraic]
    residuals = sp.Matrix(list(model.algebraic.values()))
    followed = residuals.jacobian(list(model.algebraic)).LUsolve(residuals.jacobian([model.states[i] for i in free]))
    order = [list(model.algebraic).index(model.states[i]) for i in bound]
    inner = jacobian.extract(free, bound) * followed.extract(order, list(range(len(free))))
    return sp.Add(*(jacobian[i, i] for i in free)) - inner.trace()


def _free(name: str, model: Model) -> str:
    taken = {*model.symbols(), *model.observables}
    while name in taken:
        name += "_"
    return name


@dataclass
class Frame:
    """A trajectory and perturbations along it: time, state, columns (state, column), integral of the trace."""

    time: float
    state: Array
    columns: Array
    trace: float = 0.0


class Carrier:
    """Carries frames of one model at fixed parameters."""

    def __init__(self, model: Model, params: Array, how: Controls) -> None:
        self.model, self.params, self.n = model, params, len(model.states)
        self.extended = compile_model(variational(model))
        self.plain: CompiledModel = compile_model(model)
        self.free = np.array([i for i, s in enumerate(model.states) if s not in model.algebraic])
        slopes = [sp.diff(g, s) for g in model.algebraic.values() for s in model.states]
        self._constraints = array_function([*model.states, *model.params, TIME], slopes) if slopes else None
        absolute = how.absolute(self.n)  # of the states; the columns of a frame are of size 1
        every = np.concatenate([absolute, np.full(self.n + 1, absolute.min())])
        self.how = Controls(method=how.method, rtol=how.rtol, atol=every, max_steps=how.max_steps)

    def lift(self, state: Array, time: float) -> Array:
        """Perturbations of all states (state, column) for unit ones of those that are not algebraic, which these follow."""
        out = np.eye(self.n)[:, self.free]
        if self._constraints is not None:
            rows = np.array([float(v) for v in self._constraints(*state, *self.params, time)]).reshape(-1, self.n)
            bound = [self.model.states.index(s) for s in self.model.algebraic]
            out[bound] = -np.linalg.solve(rows[:, bound], rows[:, self.free])
        return out

    def settled(self, state: Array) -> Array:
        """The state with its algebraic part on its constraints."""
        if not self.model.algebraic:
            return state
        done = run_batch(
            self.plain, np.zeros(1), np.array([state]), np.array([self.params]), Controls(method="tsit5"), threads=1
        )
        if done.status[0] != Status.OK:
            self._fail(Status(int(done.status[0])), 0.0)
        return done.states[0, 0]

    def carried(self, frame: Frame, time: float) -> Frame:
        """The frame at another time; SolveError where the trajectory or a perturbation fails."""
        if time == frame.time:
            return frame
        if self.model.discrete:
            return self._iterated(frame, round(time))
        n, count = self.n, frame.columns.shape[1]
        rows, params = np.empty((count, 2 * n + 1)), np.empty((count, self.params.size))
        rows[:, :n], rows[:, n : 2 * n], rows[:, 2 * n] = frame.state, frame.columns.T, frame.trace
        params[:] = self.params
        done = run_batch(
            self.extended, np.array([time]), rows, params, self.how, t0=frame.time, threads=1
        )  # fmt: skip
        if (bad := done.status[done.status != Status.OK]).size:
            self._fail(Status(int(bad[0])), float(done.when.min()))
        end = done.states[:, 0]
        return Frame(time, end[0, :n].copy(), end[:, n : 2 * n].T.copy(), float(end[0, 2 * n]))

    def _iterated(self, frame: Frame, last: int) -> Frame:
        field, n = self.plain.field, self.n
        x, columns, trace = frame.state.copy(), frame.columns.copy(), frame.trace
        new, matrix = np.empty(n), np.empty(n * n)
        for step in range(round(frame.time), last):
            field(1, float(step), x, self.params, matrix)
            field(0, float(step), x, self.params, new)
            jacobian = matrix.reshape(n, n)
            columns = jacobian @ columns
            # of a map the logarithm of |det J| stands for the trace
            trace += float(np.linalg.slogdet(jacobian)[1])
            x[:] = new
            if not (np.isfinite(x).all() and np.isfinite(columns).all()):
                self._fail(Status.OVERFLOW, step + 1.0)
        return Frame(float(last), x, columns, trace)

    def _fail(self, status: Status, time: float) -> None:
        message = f"{self.model.name}: {status.label} at t = {time:g} along the trajectory: {status.advice}"
        raise SolveError(message, status=status.label)


class Propagator:
    """The map from perturbations at the start to perturbations now, as Q D U W with orthogonal Q and W and D = e^logs.

    D may range far beyond floating point: after a long run it is all that is left, and U converges. W is a generic frame, so
    that the largest growth comes first whatever the coordinates.
    """

    def __init__(self, n: int) -> None:
        frame, _ = np.linalg.qr(np.random.default_rng(0).normal(size=(n, n)))
        self.orthogonal, self.logs, self.upper, self.first = frame, np.zeros(n), np.eye(n), frame.T

    def followed(self, columns: Array) -> Propagator:
        """The propagator after one more segment, which took the columns of ``orthogonal`` to ``columns``."""
        q, r = np.linalg.qr(columns)
        diagonal = np.diag(r)
        if (diagonal == 0.0).any() or not np.isfinite(r).all():
            raise SolveError("a perturbation shrank to nothing, or grew beyond bounds: no exponents", status="singular")
        with np.errstate(over="ignore"):
            ratio = np.exp(np.minimum(self.logs[None, :] - self.logs[:, None], 700.0))
        out = copy(self)
        # D' U' = R D U with row i divided by |R_ii| D_i
        out.upper = np.triu((r / diagonal[:, None]) * ratio) @ self.upper
        out.logs = self.logs + np.log(np.abs(diagonal))
        out.orthogonal = q * np.sign(diagonal)
        return out

    def decomposed(self) -> tuple[Array, Array, Array]:
        """Logarithms of the singular values (largest first), and both singular frames as columns: after, before."""
        left, logs, rows = graded_svd(self.logs, self.upper)
        return logs, self.orthogonal @ left, (rows @ self.first).T

    def applied(self, start: Array, gradients: Array) -> Array:
        """What a perturbation of the start has become, along each of the gradients (row, state); inf beyond floating point."""
        inner = self.upper @ (self.first @ start)
        top = float(self.logs.max())
        moved = gradients @ (self.orthogonal @ (np.exp(self.logs - top) * inner))
        with np.errstate(over="ignore", invalid="ignore"):
            return np.asarray(np.where(moved == 0.0, 0.0, moved * np.exp(top)))


def graded_svd(logs: Array, rows: Array) -> tuple[Array, Array, Array]:
    """Singular value decomposition of diag(e^logs) rows = L diag(e^out) V^T by one-sided Jacobi rotations.

    The logarithms of the rows' sizes are kept apart, so that each singular value has its own relative accuracy however
    far apart they are (Demmel and Veselic 1992). Returns (L, out, V^T), largest first.
    """
    n = logs.size
    v, left = rows.copy(), np.eye(n)
    size = np.linalg.norm(v, axis=1)
    scale, v = logs + np.log(size), v / size[:, None]
    for _ in range(60):
        order = np.argsort(-scale, kind="stable")
        scale, v, left = scale[order], v[order], left[:, order]
        worst = 0.0
        for i in range(n - 1):
            for j in range(i + 1, n):
                if scale[j] > scale[i]:
                    for a in (scale, v):
                        a[[i, j]] = a[[j, i]]
                    left[:, [i, j]] = left[:, [j, i]]
                c = float(v[i] @ v[j])
                worst = max(worst, abs(c))
                if abs(c) < 1e-17:
                    continue
                ratio = math.exp(max(scale[j] - scale[i], -700.0))
                # tangent of the angle divided by the ratio of sizes, so that nothing small is lost
                gap = 1.0 - ratio * ratio
                slope = 2.0 * c / (gap + math.hypot(gap, 2.0 * ratio * c))
                tangent = slope * ratio
                cosine = 1.0 / math.hypot(1.0, tangent)
                big, small = cosine * (v[i] + ratio * tangent * v[j]), cosine * (v[j] - slope * v[i])
                first, second = left[:, i].copy(), left[:, j].copy()
                left[:, i], left[:, j] = cosine * (first + tangent * second), cosine * (second - tangent * first)
                for k, new in ((i, big), (j, small)):
                    length = float(np.linalg.norm(new))
                    v[k], scale[k] = new / length, scale[k] + math.log(length)
        if worst < 1e-15:
            break
    order = np.argsort(-scale, kind="stable")
    return left[:, order], scale[order], v[order]
