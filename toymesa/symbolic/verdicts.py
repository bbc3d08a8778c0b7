"""Whether a machine can prove a claim.

A verdict is PROVED only by an exact argument, REFUTED only with a rational counterexample at which ball arithmetic
excludes the claim, and UNDECIDED otherwise: a numerical spot check never counts as a proof. Statements that no machine
here can prove (limits of random matrices, say) are numerical from the start: measured, and reported as such.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import sympy as sp
from sympy.logic.boolalg import Boolean

from toymesa.errors import ArgumentError, DomainError
from toymesa.symbolic.balls import Undecidable, decided, evaluate, sample
from toymesa.symbolic.checks import expression
from toymesa.symbolic.claims import Claim
from toymesa.symbolic.limits import contradicted
from toymesa.symbolic.model import TIME, Domain, at_start
from toymesa.symbolic.prove import is_nonnegative, is_zero, may_jump, plain


class _NoLimit(Exception):  # not an error: there is none, or SymPy cannot find it
    """What SymPy said instead of a limit."""


class Outcome(StrEnum):
    """What ``verify`` found."""

    PROVED = "PROVED"
    REFUTED = "REFUTED"
    UNDECIDED = "UNDECIDED"
    NUMERICAL = "NUMERICAL"


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """Outcome, why, and the evidence.

    counterexample: symbol name -> rational, if REFUTED. residual: the ball that was found there (or the widest one
    found). points and precision (bits): how hard was looked.
    """

    outcome: Outcome
    reason: str
    counterexample: dict[str, sp.Rational] | None = None
    residual: str = ""
    points: int = 0
    precision: int = 0
    seconds: float = 0.0

    def __bool__(self) -> bool:
        return self.outcome is Outcome.PROVED

    def __str__(self) -> str:
        if self.counterexample is None:
            return f"{self.outcome}: {self.reason}"
        where = ", ".join(f"{n} = {v}" for n, v in self.counterexample.items()) or "every point"
        return f"{self.outcome}: at {where} the residual is {self.residual} ({self.reason})"


def verify(claim: Claim, *, points: int = 20, precision: int = 256, seed: int = 0) -> Verdict:
    """Prove a claim, refute it with a counterexample, or say that it is undecided.

    points: rational points of the domain at which a counterexample is looked for. precision: bits of the balls there,
    doubled where they are too wide. Raises DomainError for unusable numbers.
    """
    for name, number, low in (("points", points, 1), ("precision", precision, 32)):
        if isinstance(number, bool) or not isinstance(number, int) or number < low:
            raise DomainError(f"{name} must be a whole number of at least {low}; got {number!r}")
    begun = time.monotonic()
    if claim.measure is not None:
        return _measured(claim.measure, begun)
    if claim.kind == "limit" and expression(claim.value).is_infinite:
        return Verdict(outcome=Outcome.UNDECIDED, reason="limits to infinity are not decided: state the reciprocal's")
    where, conditions = _substitutions(claim)
    try:
        parts = [(label, e.subs(where)) for label, e in _residuals(claim)]
    except _NoLimit as error:
        reason = f"SymPy finds no limit: {error}"
        return Verdict(outcome=Outcome.UNDECIDED, reason=reason, seconds=time.monotonic() - begun)
    symbols = sorted(
        {s for _, e in parts for s in e.free_symbols} | {s for c in conditions for s in c.free_symbols}, key=str
    )
    tried = sample(symbols, _domains(claim), conditions, points, seed)
    if claim.model is not None and claim.model.discrete:  # time counts steps
        tried = [p | {TIME: sp.Integer(i % 9)} if TIME in p else p for i, p in enumerate(tried)]
    search = _search(claim, parts, tried, precision)
    common: dict[str, Any] = {"points": len(tried), "precision": precision}
    if claim.kind == "limit" and _unlike_gruntz(claim, parts[0][1], conditions, seed):
        reason = "the limit that SymPy computes is not what the expression tends to near the target"
        return Verdict(outcome=Outcome.UNDECIDED, reason=reason, seconds=time.monotonic() - begun, **common)
    if search.counterexample is not None:
        return Verdict(
            outcome=Outcome.REFUTED, reason=search.reason, counterexample=search.counterexample, residual=search.residual,
            seconds=time.monotonic() - begun, **common,
        )  # fmt: skip
    if search.evaluated == 0:
        reason = "no point of the domain was found at which the claim can be evaluated"
        return Verdict(outcome=Outcome.UNDECIDED, reason=reason, seconds=time.monotonic() - begun, **common)
    argument = _argument(claim, parts)
    outcome = Outcome.UNDECIDED if argument is None else Outcome.PROVED
    reason = argument or f"no proof found; all balls at {search.evaluated} points contain the claimed value"
    return Verdict(outcome=outcome, reason=reason, residual=search.residual, seconds=time.monotonic() - begun, **common)


def _measured(measure: Callable[[], tuple[float, float]], begun: float) -> Verdict:
    try:
        deviation, allowed = map(float, measure())
    except (TypeError, ValueError) as error:
        raise ArgumentError(
            f"measure must return the deviation measured and the one allowed, two numbers: {error}"
        ) from error
    return Verdict(
        outcome=Outcome.NUMERICAL if deviation <= allowed else Outcome.REFUTED,
        reason=f"measured a deviation of {deviation:.3g}; {allowed:.3g} is allowed",
        residual=f"{deviation:.3g}",
        seconds=time.monotonic() - begun,
    )


# ---------------------------------------------------------------- what must vanish or not be negative


def _residuals(claim: Claim) -> list[tuple[str, sp.Expr]]:
    if claim.kind == "identity":
        left, right = claim.lhs, claim.rhs
        if isinstance(left, sp.MatrixBase) and isinstance(right, sp.MatrixBase):
            return [(f"entry {i}", _exact(e)) for i, e in enumerate(left - right)]
        return [("difference", _exact(left) - _exact(right))]
    if claim.kind == "inequality":
        return [("value", _exact(claim.expr))]
    if claim.kind == "limit":
        try:
            limit = sp.limit(_exact(claim.expr), claim.variable, _exact(claim.target), claim.direction)
        except Exception as error:  # of many kinds, TypeErrors inside SymPy among them
            raise _NoLimit(str(error)) from error
        return [("limit minus value", limit - _exact(claim.value))]
    model = claim.model
    assert model is not None  # checked when the claim was made
    flow = {s: _exact(e) for s, e in model.flow.items()}
    if claim.kind == "fixed_point":
        point = {s: _exact(e) for s, e in dict(claim.point or {}).items()}
        equations = {**flow, **{sp.Symbol(f"constraint of {s}"): _exact(e) for s, e in model.algebraic.items()}}
        rest = {s: (e - s if model.discrete and s in flow else e) for s, e in equations.items()}
        return [(f"rate of {s}", e.subs(point, simultaneous=True)) for s, e in rest.items()]
    if claim.kind == "solution":
        form = {s: _exact(e) for s, e in dict(claim.solution or {}).items()}
        out = []
        for s, rate in flow.items():
            moved = form[s].subs(TIME, TIME + 1) if model.discrete else sp.diff(form[s], TIME)
            what = "next value" if model.discrete else "rate"
            out.append((f"{what} of {s}", moved - rate.subs(form, simultaneous=True)))
            out.append((f"start of {s}", form[s].subs(TIME, 0) - at_start(s)))
        return out
    expr = _exact(claim.expr if claim.expr is not None else model.potential)
    if model.discrete:
        change = expr.subs(flow | {TIME: TIME + 1}, simultaneous=True) - expr
    else:
        change = sum((sp.diff(expr, s) * e for s, e in flow.items()), sp.diff(expr, TIME))
    return [("rate of change", change if claim.kind == "invariant" else -change)]


def _exact(value: object) -> sp.Expr:
    """An expression with its floats as the rational numbers that they are: sums of them must not be rounded."""
    expr = expression(value)
    return expr.xreplace({f: sp.Rational(f) for f in expr.atoms(sp.Float)})


def _unlike_gruntz(claim: Claim, residual: sp.Expr, conditions: Sequence[Boolean], seed: int) -> bool:
    """Whether balls near the target contradict the limit behind the residual."""
    where, _ = _substitutions(claim)
    expr, value = (_exact(e).subs(where) for e in (claim.expr, claim.value))
    assert claim.variable is not None  # checked when the claim was made
    symbols = sorted((expr.free_symbols | value.free_symbols) - {claim.variable}, key=str)
    domains = _domains(claim)
    points = sample(symbols, domains, conditions, 3, seed)
    special = [{**points[0], s: v} for s in symbols for v in (sp.Integer(0), sp.Integer(1)) if points]
    points += [
        p
        for p in special
        if all(float(v) in domains.get(s, Domain.of(s)) for s, v in p.items()) and _holds(conditions, p)
    ]
    return contradicted(expr, residual + value, (claim.variable, claim.target, claim.direction), points)


def _holds(conditions: Sequence[Boolean], point: Mapping[sp.Symbol, sp.Rational]) -> bool:
    try:
        return all(decided(c, point) for c in conditions)
    except (Undecidable, ValueError, ZeroDivisionError, KeyError):
        return False


def _substitutions(claim: Claim) -> tuple[dict[sp.Symbol, sp.Expr], list[Boolean]]:
    where = {s: _exact(e) for s, e in claim.where.items()}
    rest = []
    for c in map(sp.sympify, claim.conditions):
        if isinstance(c, sp.Equality) and c.lhs.is_Symbol:
            where[c.lhs] = _exact(c.rhs)
        else:
            rest.append(c)
    for s, value in where.items():
        # sqrt(k**2) is k for a positive k as soon as it is written: no value of another sign may follow. 0 is the closure
        if (s.is_nonnegative and value.is_negative) or (s.is_nonpositive and value.is_positive):
            raise DomainError(f"claim {claim.name!r}: {s} is {Domain.of(s)}; it cannot be replaced by {value}")
    return where, [c for c in (r.subs(where) for r in rest) if c != sp.true]


def _domains(claim: Claim) -> dict[sp.Symbol, Domain]:
    out: dict[sp.Symbol, Domain] = {TIME: Domain(0.0)}
    if claim.model is not None:
        out |= {s: p.domain for s, p in claim.model.params.items()} | dict(claim.model.domains)
        out |= {at_start(s): d for s, d in claim.model.domains.items()}
    return out | dict(claim.domain)


# ---------------------------------------------------------------- counterexamples


@dataclass
class _Search:
    evaluated: int = 0
    counterexample: dict[str, sp.Rational] | None = None
    residual: str = ""
    reason: str = ""


def _search(
    claim: Claim, parts: Sequence[tuple[str, sp.Expr]], tried: Sequence[Mapping[sp.Symbol, sp.Rational]], precision: int
) -> _Search:
    found = _Search()
    widest = 0.0
    signed = claim.kind in ("inequality", "lyapunov")
    for point in tried:
        for label, expr in parts:
            try:
                ball = evaluate(plain(expr), point, precision)
            except Undecidable:
                continue
            found.evaluated += 1
            wrong = (ball < 0 or (claim.strict and ball <= 0)) if signed else not ball.contains(0)
            if wrong:
                used = sorted(expr.free_symbols, key=str)
                found.counterexample = {s.name: point[s] for s in used}
                found.residual = ball.str(8)
                found.reason = f"{label} {'is negative' if signed else 'is not zero'}"
                return found
            if not signed and float(ball.abs_upper()) >= widest:
                widest = float(ball.abs_upper())
                found.residual = ball.str(8)
    return found


# ---------------------------------------------------------------- proofs


def _argument(claim: Claim, parts: Sequence[tuple[str, sp.Expr]]) -> str | None:
    if claim.kind == "inequality":
        return is_nonnegative(parts[0][1], strict=claim.strict)
    if claim.kind in ("solution", "invariant", "lyapunov") and _jumps(claim):
        return None
    if claim.kind == "lyapunov":
        return _falls(claim, parts[0][1])
    if all(is_zero(e) for _, e in parts):
        return "the residual reduces to zero" + (
            " (limit computed by Gruntz's algorithm)" if claim.kind == "limit" else ""
        )
    return None


def _jumps(claim: Claim) -> bool:
    """Whether what is claimed may be discontinuous along a trajectory, so that its derivative is not all of its change."""
    model = claim.model
    assert model is not None  # checked when the claim was made
    if model.discrete:
        return False
    given = list(claim.solution.values()) if claim.solution is not None else [claim.expr or model.potential or 0]
    return any(may_jump(expression(e), {TIME, *model.states}) for e in given)


def _falls(claim: Claim, fall: sp.Expr) -> str | None:
    """dV/dt <= 0: because the flow is minus a positive semidefinite metric times grad V, or by the sign of -dV/dt."""
    model = claim.model
    if model is not None and model.metric is not None and model.potential is not None:
        same = not model.discrete and (claim.expr is None or is_zero(_exact(claim.expr) - _exact(model.potential)))
        if same and _semidefinite(model.metric):
            gradient = sp.Matrix([sp.diff(model.potential, s) for s in model.states])
            residual = sp.Matrix(list(model.flow.values())) + model.metric * gradient
            if all(is_zero(_exact(e)) for e in residual):
                return "the flow is -G grad V with a positive semidefinite metric G, so dV/dt = -grad V.G.grad V"
    return is_nonnegative(fall)


def _semidefinite(metric: sp.Matrix) -> bool:
    """Diagonal blocks that are nonnegative, or diagonal plus a constant (the simplex metric in log-odds)."""
    n = metric.rows
    blocks = [{j for j in range(n) if j == i or metric[i, j] != 0} for i in range(n)]
    for i in range(n):
        off = next((metric[i, j] for j in blocks[i] if j != i), sp.Integer(0))
        if any(blocks[j] != blocks[i] or (j != i and metric[i, j] != off) for j in blocks[i]):
            return False
        if not off.is_nonnegative or not sp.expand(metric[i, i] - off).is_nonnegative:
            return False
    return bool(metric.is_symmetric())
