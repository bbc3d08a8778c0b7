"""Fixed points and linear stability as symbols: the equations that vanish, their Jacobian, conditions on parameters."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sympy as sp

from toymesa.errors import ArgumentError, DomainError, ModelError, did_you_mean
from toymesa.symbolic.model import Model
from toymesa.symbolic.parse import parse
from toymesa.symbolic.patience import OutOfTime, within
from toymesa.symbolic.prove import is_nonnegative, is_zero, plain
from toymesa.symbolic.rational import factored


def fixed_point_equations(model: Model) -> dict[sp.Symbol, sp.Expr]:
    """State -> expression; a point is a fixed point iff all of them vanish there.

    The rate of a state; the residual of an algebraic state, whose own rate only keeps the residual constant; the step
    f(x) - x of a map. Raises ModelError where the rates depend on time, or need a nested inner run.
    """
    if not model.autonomous:
        raise ModelError(f"model {model.name!r} depends on time t: it has no fixed points")
    if model.inner_run is not None:
        raise ModelError(f"model {model.name!r} has a nested inner run: its rates have no symbolic form")
    if model.discrete:
        return {s: e - s for s, e in model.flow.items()}
    return {s: model.algebraic.get(s, e) for s, e in model.flow.items()}


def equation_jacobian(model: Model) -> list[list[sp.Expr]]:
    """The partial derivatives of :func:`fixed_point_equations` with respect to the states, row by row."""
    equations = fixed_point_equations(model)
    rows = []
    for i, (s, e) in enumerate(equations.items()):
        if s in model.algebraic:
            rows.append([sp.diff(e, x) for x in model.states])
        else:
            rows.append([d - int(model.discrete and i == j) for j, d in enumerate(model.jacobian().row(i))])
    return rows


def linearization(jacobian: Any, model: Model) -> Any:
    """The matrix whose eigenvalues decide stability, from the Jacobian of :func:`fixed_point_equations`.

    jacobian: a SymPy matrix or an ``arb_mat``. For a map its multipliers (the identity is added back); with algebraic
    states z, whose residuals g(y, z) vanish, dF/dy - dF/dz (dg/dz)^-1 dg/dy. None where dg/dz has no inverse.
    """
    n = len(model.states)
    make = type(jacobian)
    if model.discrete:
        return jacobian + make([[int(i == j) for j in range(n)] for i in range(n)])
    z = [i for i, s in enumerate(model.states) if s in model.algebraic]
    if not z:
        return jacobian
    y = [i for i in range(n) if i not in z]

    def block(rows: list[int], columns: list[int]) -> Any:
        return make([[jacobian[i, j] for j in columns] for i in rows])

    try:
        inverse = block(z, z).inv()
    except (ZeroDivisionError, ValueError):  # singular, for certain or as far as one can tell
        return None
    return block(y, y) - block(y, z) * inverse * block(z, y)


def at_params(exprs: Sequence[sp.Expr], model: Model, values: Mapping[str, float]) -> list[sp.Expr]:
    """Expressions with the parameters put in; every float is taken as the decimal number that it prints as."""
    given = {s: decimal(values[s.name]) for s in model.params}
    return [_exact(e).xreplace(given) for e in exprs]


def decimal(value: float) -> sp.Rational:
    """The decimal number that a float prints as: 0.1 is 1/10."""
    return sp.Rational(repr(float(value)))


def _exact(expr: sp.Expr) -> sp.Expr:
    return expr.xreplace({f: decimal(float(f)) for f in expr.atoms(sp.Float)})


# ---------------------------------------------------------------- conditions on the parameters


@dataclass(frozen=True, kw_only=True, repr=False)
class Conditions:
    """When a fixed point is linearly stable: all of ``conditions`` hold. Exact, and both necessary and sufficient.

    conditions : relations in the parameters, simplified by their assumptions; empty: always stable, ``false``: never.
    status : "exact", or "too large" where the time limit ended the work (``conditions`` is then None). reason : a
    sentence. characteristic : the factors of the characteristic polynomial that they came from, in ``eigenvalue``.
    """

    model: str
    conditions: tuple[Any, ...] | None
    status: str
    reason: str
    characteristic: tuple[sp.Expr, ...]
    eigenvalue: sp.Symbol
    seconds: float

    def holds(self, params: Mapping[Any, float]) -> bool:
        """Whether they hold at numerical parameters (name or symbol -> number), by exact rational arithmetic.

        Raises DomainError where the status is "too large", ArgumentError for a parameter that is missing.
        """
        if self.conditions is None:
            raise DomainError(f"the conditions of model {self.model!r} are not known: {self.reason}")
        named = {getattr(k, "name", k): v for k, v in params.items()}
        for condition in self.conditions:
            symbols = condition.free_symbols
            if missing := sorted(s.name for s in symbols if s.name not in named):
                raise ArgumentError(f"the conditions need a value of {', '.join(missing)}")
            if not bool(condition.subs({s: decimal(named[s.name]) for s in symbols})):
                return False
        return True

    def __str__(self) -> str:
        if self.conditions is None:
            return f"{self.model}: {self.status}: {self.reason}"
        if not self.conditions:
            return f"{self.model}: stable for all parameters"
        if self.conditions == (sp.false,):
            return f"{self.model}: never stable: {self.reason}"
        return "\n".join([f"{self.model}: stable iff", *(f"  {c}" for c in self.conditions)])

    __repr__ = __str__

    def _repr_latex_(self) -> str:
        if not self.conditions:
            return str(self)
        return r"$\displaystyle " + r" \;\wedge\; ".join(sp.latex(c) for c in self.conditions) + "$"


def stability_conditions(model: Model, fixed_point: Mapping[Any, Any], *, time_limit: float = 20.0) -> Conditions:
    """The conditions on the parameters under which a fixed point is linearly stable.

    fixed_point : state -> expression in the parameters (a formula in text or a number will do); all shares of a simplex
        may be given instead of its log-odds. time_limit : seconds, positive.

    The characteristic polynomial is factored, and each factor treated by the criterion of Routh and Hurwitz in the form
    of Lienard and Chipart 1914 (Gantmacher 1959, vol. 2, chapter XV, section 13); for a map after z = (1+s)/(1-s), which
    gives the criterion of Jury. Exact. Raises ModelError where the point is no fixed point, ArgumentError for a state
    that is missing.
    """
    if isinstance(time_limit, bool) or not isinstance(time_limit, int | float) or not time_limit > 0:
        raise DomainError(f"time_limit must be a positive number of seconds; got {time_limit!r}")
    begun = time.monotonic()
    eigenvalue = sp.Symbol("s")
    point = _point(model, fixed_point)

    def answer(conditions: tuple[Any, ...] | None, status: str, reason: str, factors: Sequence[sp.Expr]) -> Conditions:
        return Conditions(
            model=model.name, conditions=conditions, status=status, reason=reason, characteristic=tuple(factors),
            eigenvalue=eigenvalue, seconds=time.monotonic() - begun,
        )  # fmt: skip

    try:
        with within(float(time_limit)):
            factors = _characteristic(model, point, eigenvalue)
            wanted = [c for f in factors for c in _criterion(sp.Poly(f, eigenvalue), discrete=model.discrete)]
            found: list[Any] = []
            for expr in wanted:
                relation = _positive(expr)
                if relation is False:
                    return answer((sp.false,), "exact", f"{expr} cannot be positive", factors)
                if relation is not True and relation not in found:
                    found.append(relation)
            return answer(tuple(found), "exact", "Routh-Hurwitz", factors)
    except OutOfTime:
        return answer(None, "too large", f"no simplified conditions within {time_limit:g} s; raise time_limit", ())


def _point(model: Model, given: Mapping[Any, Any]) -> dict[sp.Symbol, sp.Expr]:
    """Every state as an expression in the parameters."""
    scope = {s.name: s for s in model.params}
    charts = {c.name: c for chart in model.charts for c in chart.coordinates}
    allowed = {s.name: s for s in model.states} | charts
    named: dict[sp.Symbol, sp.Expr] = {}
    for key, value in given.items():
        name = key if isinstance(key, str) else getattr(key, "name", repr(key))
        if name not in allowed:
            raise ArgumentError(f"model {model.name!r} has no state {name!r}{did_you_mean(name, allowed)}")
        expr = parse(value, scope) if isinstance(value, str) else sp.sympify(value, strict=True)
        if unknown := sorted(s.name for s in expr.free_symbols if s not in model.params):
            raise ArgumentError(f"the fixed point must be given in the parameters; {name!r} has {', '.join(unknown)}")
        named[allowed[name]] = _exact(expr)
    for chart in model.charts:
        if all(c in named for c in chart.coordinates):
            named |= {s: e.xreplace(named) for s, e in chart.to_states.items()}
    if missing := [s.name for s in model.states if s not in named]:
        raise ArgumentError(
            f"the fixed point has no value for {', '.join(missing)}; model {model.name!r} needs all states"
        )
    return {s: named[s] for s in model.states}


def _characteristic(model: Model, point: Mapping[sp.Symbol, sp.Expr], eigenvalue: sp.Symbol) -> list[sp.Expr]:
    """The different factors of the characteristic polynomial at the point; ModelError where it is no fixed point."""

    def there(expr: sp.Expr) -> sp.Expr:
        return sp.factor(sp.simplify(plain(expr.subs(point))))

    equations = {s: _exact(e) for s, e in fixed_point_equations(model).items()}
    for s, e in equations.items():
        if not is_zero(e.subs(point)):
            raise ModelError(
                f"the point is not a fixed point of model {model.name!r}: the rate of {s.name!r} is {there(e)}"
            )
    jacobian = sp.Matrix([[there(sp.diff(e, s)) for s in equations] for e in equations.values()])
    matrix = linearization(jacobian, model)
    if matrix is None:
        raise ModelError(f"the algebraic states of model {model.name!r} are degenerate at the point")
    whole, _ = sp.fraction(factored(matrix.applyfunc(sp.together).charpoly(eigenvalue).as_expr()))
    return [f for f, _ in _factors(whole) if f.has(eigenvalue)]


def _criterion(poly: sp.Poly, *, discrete: bool) -> list[sp.Expr]:
    """Expressions that are all positive iff every root of the polynomial has a negative real part (modulus below 1)."""
    a = poly.all_coeffs()
    out: list[sp.Expr] = []
    if discrete:
        s = sp.Dummy("s")
        n = len(a) - 1
        moved = sp.expand(sum(c * (1 + s) ** (n - i) * (1 - s) ** i for i, c in enumerate(a)))
        lead = a[0]
        a = [factored(c / lead) for c in sp.Poly(moved, s).all_coeffs()] if moved.has(s) else [sp.Integer(0)]
        a = [sp.Integer(0)] * (n + 1 - len(a)) + a
        out = [a[0]]
    else:
        a = [factored(c / a[0]) for c in a]
    n = len(a) - 1
    hurwitz = sp.Matrix(n, n, lambda i, j: a[2 * (j + 1) - (i + 1)] if 0 <= 2 * (j + 1) - (i + 1) <= n else 0)
    out += [a[i] for i in range(n, 0, -2)]
    out += [hurwitz[:k, :k].det() for k in range(n - 1, 0, -2)]
    return out


def _positive(expr: sp.Expr) -> Any:
    """``expr > 0`` without the factors whose sign the assumptions give; True or False where they decide it."""
    top, bottom = sp.fraction(factored(expr))
    sign, left = 1, sp.Integer(1)
    factors = [(f, n) for side in (top, bottom) for f, n in _factors(side)]
    for factor, power in factors:
        if factor == 0:
            return False
        if is_nonnegative(factor, strict=True):
            continue
        if is_nonnegative(-factor, strict=True):
            sign *= (-1) ** power
            continue
        left *= factor if power % 2 else factor**2
    if left == 1:
        return sign > 0
    return _balanced(sp.expand(sign * left)) if left.is_polynomial() else sp.Gt(sign * left, 0)


def _factors(expr: sp.Expr) -> list[tuple[sp.Expr, int]]:
    """Base and power of every factor of what is factored already."""
    out: list[tuple[sp.Expr, int]] = []
    for factor in sp.Mul.make_args(expr):
        base, power = factor.as_base_exp()
        out.append((base, int(power)) if power.is_Integer and power.is_positive else (factor, 1))
    return out


def _balanced(expr: sp.Expr) -> Any:
    """``expr > 0`` with the negative terms on the other side."""
    terms = sp.Add.make_args(expr)
    minus = [-t for t in terms if t.could_extract_minus_sign()]
    plus = [t for t in terms if not t.could_extract_minus_sign()]
    return sp.Gt(factored(sp.Add(*plus)), factored(sp.Add(*minus)))
