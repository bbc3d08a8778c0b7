"""Two optimizers, two objectives: a base loss that trains theta, a mesa-objective that picks an action a.

``bilevel`` composes any pair (base loss L, mesa-objective O) in one of three couplings:

``joint``        theta' = -G dL/dtheta, a' = -(1/rate) dO/da: both descend at once, the inner one faster by 1/rate.
``equilibrium``  a is always at its optimum a*(theta); the base optimizer differentiates through it. Where the
                 optimum has a closed form it is eliminated exactly; elsewhere a stays an algebraic state, and the
                 implicit function theorem gives the gradient.
``unrolled``     the inner optimizer runs for inner time tau, or for k steps of size h, from a fixed start; the base
                 optimizer differentiates through the run.

The code always minimizes. Task variables are independent and are averaged out exactly by their moments, which needs
losses that are polynomial in them; they are standardized (mean 0, variance 1) unless their moments are given.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import sympy as sp

from toymesa.errors import ArgumentError, ModelError, did_you_mean
from toymesa.symbolic.checks import expression
from toymesa.symbolic.flows import Geometry, Metric
from toymesa.symbolic.model import TIME, InnerRun, Model
from toymesa.symbolic.optimizers import Optimizer, build

COUPLINGS = ("joint", "equilibrium", "unrolled")

Law = str | Callable[[int], Any]
"""The distribution of a task variable: a name, or its moments as a function of their order."""

# moments E[x^k] of standardized task variables, by the name of their distribution
_MOMENTS: dict[str, Any] = {
    "normal": lambda k: sp.Integer(0) if k % 2 else sp.factorial2(k - 1),
    "rademacher": lambda k: sp.Integer((k + 1) % 2),
    "uniform": lambda k: sp.Integer(0) if k % 2 else sp.sqrt(3) ** k / (k + 1),
}


def bilevel(
    base_loss: Any,
    mesa_objective: Any,
    *,
    outer: Sequence[sp.Symbol],
    inner: Sequence[sp.Symbol],
    coupling: str,
    rate: Any = None,
    inner_time: Any = None,
    steps: int | None = None,
    step: Any = None,
    tasks: Sequence[sp.Symbol] | Mapping[sp.Symbol, Law] = (),
    regularizer: Any = 0,
    metric: Metric = None,
    params: Mapping[Any, Any] | None = None,
    start: Mapping[Any, Any] | None = None,
    observables: Mapping[str, Any] | None = None,
    optimizer: Optimizer | None = None,
    name: str = "bilevel",
    **more: Any,
) -> Model:
    """Compose a base loss and a mesa-objective into a :class:`Model`.

    Parameters
    ----------
    base_loss, mesa_objective : expressions in outer, inner, task and parameter symbols; both are minimized.
    outer, inner : symbols of the base optimizer's and of the inner optimizer's variables.
    coupling : "joint", "equilibrium" or "unrolled".
    rate : for ``joint``, the ratio eps of the time scales (positive; default 1, inner faster as it falls).
    inner_time : for ``unrolled``, the inner time tau; or
    steps, step : for ``unrolled``, the number k of inner gradient steps and their size h.
    tasks : standardized independent task variables. Losses of degree above 2 in one of them need its distribution:
        a mapping to "normal", "rademacher" or "uniform", or to a function that gives its k-th moment as an expression
        in parameters (such a variable need not be standardized).
    regularizer : added to the base loss, an expression in outer variables and parameters.
    metric : of the base optimizer, as in :func:`toymesa.symbolic.flows.gradient_flow`.
    optimizer : another base optimizer than gradient flow, see :mod:`toymesa.symbolic.optimizers`; with ``joint`` it
        moves the inner variables too.
    params, start, observables, name, **more : as in :class:`Model`. The start of an inner variable is where it starts
        (``joint``), where the search for its optimum starts (``equilibrium`` without closed form), or where its run
        starts every time (``unrolled``). Observables may use inner variables.

    Returns a Model with the observable ``loss`` (the base loss averaged over tasks, without regularizer) beside the
    shares of simplices, the inner variables that were eliminated and the ones given.

    Exact: the averages, the gradients, and the elimination. Numerical: an algebraic inner optimum (kept by Newton's
    method) and an inner run that is not linear (integrated at every evaluation).
    Raises ModelError where the definition contradicts itself or a coupling would be empty, ArgumentError for wrong
    argument combinations.
    """
    if coupling not in COUPLINGS:
        raise ArgumentError(f"coupling must be one of {', '.join(COUPLINGS)}; got {coupling!r}")
    _check_coupling_arguments(coupling, rate=rate, inner_time=inner_time, steps=steps, step=step)
    pair = _Pair(base_loss, mesa_objective, outer, inner, tasks, regularizer, metric, start, observables, name)
    pair.refuse_empty(coupling, [expression(e) for e in (inner_time, step) if e is not None])
    if coupling == "joint":
        parts = _joint(pair, expression(1 if rate is None else rate))
    elif coupling == "equilibrium":
        parts = _equilibrium(pair)
    elif steps is not None:
        parts = _unrolled_steps(pair, steps, expression(step))
    else:
        parts = _unrolled_time(pair, expression(inner_time))
    return build(optimizer, params or {}, name=name, charts=pair.geometry.charts(), **{**parts, **more})


def _check_coupling_arguments(coupling: str, **given: Any) -> None:
    allowed = {"joint": {"rate"}, "equilibrium": set(), "unrolled": {"inner_time", "steps", "step"}}[coupling]
    for key, value in given.items():
        if value is not None and key not in allowed:
            takes = ", ".join(sorted(allowed)) or "neither rate nor steps"
            raise ArgumentError(f"coupling {coupling!r} takes {takes}; got {key}={value}")
    if coupling != "unrolled":
        return
    if (given["inner_time"] is None) == (given["steps"] is None):
        raise ArgumentError("coupling 'unrolled' needs either inner_time, or steps with step")
    if (given["steps"] is None) != (given["step"] is None):
        raise ArgumentError("coupling 'unrolled' needs steps and step together")
    steps = given["steps"]
    if steps is not None and (not isinstance(steps, int) or isinstance(steps, bool) or not 1 <= steps <= 50):
        raise ArgumentError(f"steps must be a whole number from 1 to 50; got {steps!r}")


class _Pair:
    """The two objectives and the coordinates they are written in, checked."""

    def __init__(
        self,
        base_loss: Any,
        mesa_objective: Any,
        outer: Sequence[sp.Symbol],
        inner: Sequence[sp.Symbol],
        tasks: Sequence[sp.Symbol] | Mapping[sp.Symbol, Law],
        regularizer: Any,
        metric: Metric,
        start: Mapping[Any, Any] | None,
        observables: Mapping[str, Any] | None,
        name: str,
    ) -> None:
        self.name = name
        self.base = expression(base_loss)
        self.mesa = expression(mesa_objective)
        self.regularizer = expression(regularizer)
        self.outer, self.inner = tuple(outer), tuple(inner)
        self.laws = dict(tasks) if isinstance(tasks, Mapping) else dict.fromkeys(tasks, "")
        self.tasks = tuple(self.laws)
        self.observables = {n: expression(e) for n, e in (observables or {}).items()}
        if not self.inner:
            raise ModelError(f"model {name!r}: a bilevel model needs at least one inner variable")
        names = [s.name for s in (*self.outer, *self.inner, *self.tasks)]
        if len(set(names)) < len(names):
            raise ModelError(f"model {name!r}: outer, inner and task names must differ; got {names}")
        for law in self.laws.values():
            if not callable(law) and law and law not in _MOMENTS:
                raise ModelError(f"model {name!r}: unknown task distribution {law!r}{did_you_mean(law, _MOMENTS)}")
        if bad := self.regularizer.free_symbols & {*self.inner, *self.tasks}:
            raise ModelError(f"model {name!r}: the regularizer must not use inner or task variables; got {bad}")
        self.geometry = Geometry.of(self.outer, metric)
        begin = {getattr(k, "name", k): v for k, v in (start or {}).items()}
        self.inner_start = {a: expression(begin.pop(a.name, 0)) for a in self.inner}
        self.start = self.geometry.start(begin)

    def refuse_empty(self, coupling: str, schedule: Sequence[sp.Expr]) -> None:
        """ModelError where the base optimizer would have nothing to do. schedule: what sets the length of an inner run."""
        others = ", ".join(repr(c) for c in COUPLINGS if c != coupling)
        outer, inner = set(self.outer), set(self.inner)
        if not self.mesa.free_symbols & inner:
            raise ModelError(f"model {self.name!r}: the mesa-objective depends on no inner variable {list(self.inner)}")
        direct = self.base.free_symbols & outer
        moved = self.mesa.free_symbols.union(*[e.free_symbols for e in schedule])
        through = self.base.free_symbols & inner and moved & outer
        if coupling == "joint" and not direct:
            raise ModelError(
                f"model {self.name!r}: coupling 'joint' is empty, since the base loss depends on no outer variable "
                f"{[s.name for s in self.outer]}; use one of {others}"
            )
        if coupling != "joint" and not direct and not through:
            raise ModelError(
                f"model {self.name!r}: coupling {coupling!r} is empty, since the base loss depends on no outer "
                f"variable, neither directly nor through the inner optimum; so would be {others}"
            )

    def average(self, expr: sp.Expr, what: str) -> sp.Expr:
        """The exact expectation over the tasks of an expression polynomial in them."""
        tasks = [t for t in self.tasks if expr.has(t)]
        if not tasks:
            return expr
        try:
            terms = sp.Poly(expr, *tasks).terms()
        except sp.PolynomialError as error:
            raise ModelError(
                f"model {self.name!r}: the {what} must be polynomial in the task variables "
                f"{[t.name for t in tasks]} to be averaged exactly"
            ) from error
        total = sp.Integer(0)
        # of high degree where the moments are given: derivatives would grow out of hand, Poly's coefficients do not
        given = any(callable(self.laws[t]) for t in tasks)
        for powers, coefficient in terms:
            weight = sp.Integer(1)
            for task, power in zip(tasks, powers, strict=True):
                weight *= self._moment(task, power, what)
            if weight == 0:
                continue
            if given:
                total += weight * coefficient
                continue
            # a Taylor coefficient, not Poly's: derivatives keep squares as squares, so that small losses stay accurate
            part = expr
            for task, power in zip(tasks, powers, strict=True):
                part = sp.diff(part, task, power) / sp.factorial(power) if power else part
            total += weight * part.subs(dict.fromkeys(tasks, 0))
        return total

    def _moment(self, task: sp.Symbol, power: int, what: str) -> sp.Expr:
        law = self.laws[task]
        if callable(law):
            return expression(law(power)) if power else sp.Integer(1)
        if power <= 2:
            return sp.Integer((1, 0, 1)[power])
        if not law:
            raise ModelError(
                f"model {self.name!r}: the {what} is of degree {power} in task variable {task.name!r}; "
                f"give its distribution: tasks={{{task.name}: one of {', '.join(_MOMENTS)}}}"
            )
        return sp.sympify(_MOMENTS[law](power), strict=True)

    def parts(self, loss: sp.Expr, seen: Mapping[sp.Symbol, sp.Expr], **more: Any) -> dict[str, Any]:
        """Model fields common to the couplings; ``seen`` replaces inner variables in observables."""
        on = self.geometry.on_states
        observables = {"loss": on(loss)} if loss.free_symbols else {}
        observables |= self.geometry.share_observables()
        for a, value in seen.items():
            if a != value and not value.has(*self.tasks) and value.free_symbols:
                observables[a.name] = on(value)
        for n, e in self.observables.items():
            observables[n] = on(self.average(self.geometry.normalized(e.xreplace(dict(seen))), f"observable {n!r}"))
        return {"start": self.start, "observables": observables, **more}

    def reduced(self, solution: Mapping[sp.Symbol, sp.Expr]) -> dict[str, Any]:
        """A coupling whose inner variables are explicit in the outer ones: gradient flow of the averaged base loss."""
        base = self.geometry.normalized(self.base.xreplace(dict(solution)))
        loss = self.average(base, "base loss")
        potential = loss + self.regularizer
        gradient = {c: sp.diff(potential, c) for c in self.geometry.coordinates}
        return self.parts(
            loss,
            solution,
            flow=self.geometry.flow(gradient),
            potential=self.geometry.on_states(potential),
            metric=self.geometry.matrix(),
        )

    def no_tasks_inside(self, why: str) -> None:
        """ModelError if the inner problem depends on the task where it cannot be averaged."""
        if self.mesa.has(*self.tasks) if self.tasks else False:
            raise ModelError(
                f"model {self.name!r}: the inner variables depend on the task, and {why}: "
                "an exact average over tasks needs a mesa-objective that is quadratic in the inner variables"
            )


# ---------------------------------------------------------------------------- the three couplings


def _joint(pair: _Pair, rate: sp.Expr) -> dict[str, Any]:
    base = pair.average(pair.base, "base loss")
    mesa = pair.average(pair.mesa, "mesa-objective")
    gradient = {c: sp.diff(base + pair.regularizer, c) for c in pair.geometry.coordinates}
    on = pair.geometry.on_states
    flow = pair.geometry.flow(gradient) | {a: on(-sp.diff(mesa, a) / rate) for a in pair.inner}
    parts = pair.parts(base, {}, flow=flow)
    if mesa.free_symbols:
        parts["observables"].setdefault("mesa_objective", on(mesa))
    return parts | {"start": pair.start | pair.inner_start}


def _equilibrium(pair: _Pair) -> dict[str, Any]:
    conditions = [pair.geometry.normalized(sp.diff(pair.mesa, a)) for a in pair.inner]
    curvature = pair.geometry.normalized(sp.hessian(pair.mesa, pair.inner))
    solution = _solve_inner(pair, conditions, curvature)
    if solution is None:
        return _implicit(pair, conditions, curvature)
    requires = _minimum_conditions(pair, curvature.xreplace(solution))
    return pair.reduced(solution) | {"requires": requires}


def _solve_inner(pair: _Pair, conditions: Sequence[sp.Expr], curvature: sp.Matrix) -> dict[sp.Symbol, sp.Expr] | None:
    """The inner optimum in closed form where it is unique and explicit; None where it must stay implicit."""
    if not curvature.has(*pair.inner):
        if curvature.det() == 0:
            raise ModelError(
                f"model {pair.name!r}: the mesa-objective has no unique optimum in {[a.name for a in pair.inner]}: "
                "its curvature is singular"
            )
        at_zero = sp.Matrix([c.subs(dict.fromkeys(pair.inner, 0)) for c in conditions])
        values = -curvature.LUsolve(at_zero)
        return {
            a: pair.geometry.normalized(sp.cancel(v) if len(pair.inner) > 1 else v)
            for a, v in zip(pair.inner, values, strict=True)
        }
    if len(pair.inner) > 1 or conditions[0].count_ops() > 60:
        return None
    a = pair.inner[0]
    if conditions[0].is_polynomial(a) and sp.degree(conditions[0], a) > 2:
        return None  # roots by radicals leave the reals on the way: an algebraic state is safer and no less accurate
    try:
        roots = sp.solve(conditions[0], a)
    except NotImplementedError:
        return None
    minima = [r for r in roots if r.is_real and curvature[0].subs(a, r).is_positive]
    return {a: minima[0]} if len(minima) == 1 else None


def _minimum_conditions(pair: _Pair, curvature: sp.Matrix) -> dict[str, sp.Expr]:
    """Leading minors of the curvature that must be positive, where the assumptions do not already say so."""
    if curvature.has(*pair.tasks) if pair.tasks else False:
        raise ModelError(f"model {pair.name!r}: the curvature of the mesa-objective must not depend on the task")
    out: dict[str, sp.Expr] = {}
    for k in range(1, curvature.rows + 1):
        minor = pair.geometry.on_states(sp.factor(curvature[:k, :k].det()))
        if minor.is_nonpositive:
            raise ModelError(
                f"model {pair.name!r}: the mesa-objective has no minimum in {[a.name for a in pair.inner]}: "
                f"its curvature has the leading minor {minor}; objectives are minimized"
            )
        if not minor.is_positive:
            out[f"inner_curvature_{k}"] = minor
    return out


def _implicit(pair: _Pair, conditions: Sequence[sp.Expr], curvature: sp.Matrix) -> dict[str, Any]:
    pair.no_tasks_inside("their optimum has no closed form")
    base = pair.average(pair.base, "base loss")
    objective = base + pair.regularizer
    inner = sp.Matrix(pair.inner)
    coords = pair.geometry.coordinates
    pull = curvature.LUsolve(sp.Matrix([sp.diff(objective, a) for a in inner]))
    mixed = sp.Matrix(conditions).jacobian(coords)
    gradient = {c: sp.diff(objective, c) - (mixed[:, i].T * pull)[0] for i, c in enumerate(coords)}
    on = pair.geometry.on_states
    outer_flow = pair.geometry.flow(gradient)
    residual = sp.Matrix([on(c) for c in conditions])
    moved = residual.jacobian(list(outer_flow)) * sp.Matrix(list(outer_flow.values())) + residual.diff(TIME)
    inner_rates = -curvature.applyfunc(on).LUsolve(moved)
    parts = pair.parts(
        base,
        {},
        flow=outer_flow | dict(zip(pair.inner, inner_rates, strict=True)),
        algebraic=dict(zip(pair.inner, residual, strict=True)),
        requires=_minimum_conditions(pair, curvature),
    )
    return parts | {"start": pair.start | pair.inner_start}


def _unrolled_steps(pair: _Pair, steps: int, step: sp.Expr) -> dict[str, Any]:
    where = dict(pair.inner_start)
    slope = {a: sp.diff(pair.mesa, a) for a in pair.inner}
    for _ in range(steps):
        where = {a: pair.geometry.normalized(where[a] - step * slope[a].subs(where, simultaneous=True)) for a in where}
        if max(e.count_ops() for e in where.values()) > 20_000:
            raise ModelError(
                f"model {pair.name!r}: {steps} inner steps make a formula too large; use fewer steps or inner_time"
            )
    return pair.reduced(where)


def _unrolled_time(pair: _Pair, tau: sp.Expr) -> dict[str, Any]:
    curvature = pair.geometry.normalized(sp.hessian(pair.mesa, pair.inner))
    if curvature.is_diagonal() and not curvature.has(*pair.inner):
        return pair.reduced(_linear_run(pair, curvature, tau))
    pair.no_tasks_inside("their run has no closed form")
    return _sensitivity_run(pair, tau)


def _linear_run(pair: _Pair, curvature: sp.Matrix, tau: sp.Expr) -> dict[sp.Symbol, sp.Expr]:
    """a(tau) of a quadratic mesa-objective: relaxation to the optimum at the rate of its curvature."""
    out: dict[sp.Symbol, sp.Expr] = {}
    for i, a in enumerate(pair.inner):
        slope = pair.geometry.normalized(sp.diff(pair.mesa, a).subs(a, pair.inner_start[a]))
        h = curvature[i, i]
        if h == 0:
            out[a] = pair.inner_start[a] - slope * tau
        elif h.is_nonzero:
            out[a] = pair.inner_start[a] - slope * (1 - sp.exp(-h * tau)) / h
        else:  # the curvature may vanish somewhere: its limit there is the straight run
            ratio = sp.Piecewise((tau, sp.Eq(h, 0)), ((1 - sp.exp(-h * tau)) / h, True))
            out[a] = pair.inner_start[a] - slope * ratio
    return out


def _sensitivity_run(pair: _Pair, tau: sp.Expr) -> dict[str, Any]:
    """Inner states and their sensitivities to the outer coordinates, integrated together at every evaluation."""
    base = pair.average(pair.base, "base loss")
    objective = base + pair.regularizer
    inner, coords = pair.inner, pair.geometry.coordinates
    slope = sp.Matrix([sp.diff(pair.mesa, a) for a in inner])
    curvature, mixed = slope.jacobian(inner), slope.jacobian(coords)
    names = [[sp.Symbol(f"d{a.name}_d{c.name}", real=True) for c in coords] for a in inner]
    sensitivity = sp.Matrix(names)
    growth = -(curvature * sensitivity) - mixed
    begin = sp.Matrix([pair.inner_start[a] for a in inner]).jacobian(coords)
    on = pair.geometry.on_states
    run = InnerRun(
        rates={a: on(-slope[i]) for i, a in enumerate(inner)}
        | {names[i][j]: on(growth[i, j]) for i, j in itertools.product(range(len(inner)), range(len(coords)))},
        start={a: on(pair.inner_start[a]) for a in inner}
        | {names[i][j]: on(begin[i, j]) for i, j in itertools.product(range(len(inner)), range(len(coords)))},
        time=on(tau),
    )
    pull = sp.Matrix([[sp.diff(objective, a) for a in inner]]) * sensitivity
    gradient = {c: sp.diff(objective, c) + pull[j] for j, c in enumerate(coords)}
    parts = pair.parts(base, {}, flow=pair.geometry.flow(gradient), inner_run=run)
    parts["observables"] |= {a.name: a for a in inner}
    return parts
