r"""Coopetition 12.1: what is conserved, where training can end, and that mechanism 1 cannot last.

*Balance.* b^2 - c^2 is conserved, and a^2 + d^2 - b^2 changes at the rate -4 alpha a^2 d^2: it never rises, and stands
still only where the mechanisms are not both in use.

*Fixed points.* Along the flow, bc times (a a' + d d' - b b') is both -2 alpha a^2 d^2 bc and, at a fixed point, 0. So with
alpha > 0 and bc != 0 every fixed point has ad = 0: none uses both mechanisms. With a = 0 the rate of d demands v = 1, and
the rate of a, bc (l_2 + m_2), then demands m_2 = 0: mechanism 2 alone is a surface of fixed points {a = 0, bcd = 1} if
m_2 = 0, and none otherwise. In the same way mechanism 1 alone, {d = 0, abc = 1}, consists of fixed points iff m_1 = 0; for
m_1 > 0 the other mechanism starts to grow there at the rate d' = bc m_1. With bc = 0 all of b, c, ad vanish: saddles.
If both floors are positive there is no fixed point but these.

*Stability of mechanism 2 alone* (m_2 = 0). The Hessian there is (1/2 + m_1) grad v (grad v)^T + alpha d^2 e_a e_a^T: rates
(1/2 + m_1)(c^2 d^2 + b^2 d^2 + b^2 c^2) and alpha d^2, and two zeros along the surface. It is stable for every floor m_1,
a drift along the surface, and a goes to 0: mechanism 1 is given up altogether.
"""

from __future__ import annotations

import sympy as sp

from toymesa.models.coopetition import ALPHA, LOSS, LOSS_1, LOSS_2, M1, M2, SECOND, A, B, C, D, coopetition
from toymesa.symbolic.claims import Claim

MODEL = coopetition()
RATE = dict(MODEL.flow)
PARTS = {"l_1 + m_1": LOSS_1 + M1, "l_2 + m_2": LOSS_2 + M2}


def _claim(name: str, statement: str, **what: object) -> Claim:
    return Claim(name=name, statement=statement, derivation="coopetition_12_1_fixed_points", **what)


def at_second(expr: sp.Expr) -> sp.Expr:
    """On the surface of mechanism 2 alone, with m_2 = 0."""
    return sp.sympify(expr).subs({A: 0, M2: 0}).subs(D, 1 / (B * C))


def at_first(expr: sp.Expr) -> sp.Expr:
    """On the surface of mechanism 1 alone."""
    return sp.sympify(expr).subs(D, 0).subs(A, 1 / (B * C))


STATES = (A, B, C, D)
HESSIAN = sp.hessian(LOSS, STATES).applyfunc(at_second)
SLOPE = sp.Matrix([at_second(sp.diff(SECOND, s)) for s in STATES])
EXPECTED = (sp.Rational(1, 2) + M1) * SLOPE * SLOPE.T
EXPECTED[0, 0] += ALPHA / (B * C) ** 2

CLAIMS = (
    _claim("balance", "b^2 - c^2 is conserved", kind="invariant", model=MODEL, expr=MODEL.invariants["balance"].expr),
    _claim(
        "conflict",
        "a^2 + d^2 - b^2 changes at the rate -4 alpha a^2 d^2",
        kind="identity",
        lhs=sum(sp.diff(A**2 + D**2 - B**2, s) * r for s, r in RATE.items()),
        rhs=-4 * ALPHA * A**2 * D**2,
    ),
    _claim("coopetition_falls", "the loss never rises", kind="lyapunov", model=MODEL),
    _claim(
        "second_is_fixed",
        "mechanism 2 alone is a surface of fixed points if m_2 = 0",
        kind="identity",
        lhs=sp.Matrix([at_second(r) for r in RATE.values()]),
        rhs=sp.zeros(4, 1),
    ),
    _claim(
        "second_needs_no_floor",
        "with a floor m_2 the rate of a there is bc m_2",
        kind="identity",
        lhs=RATE[A].subs(A, 0).subs(D, 1 / (B * C)),
        rhs=B * C * M2,
    ),
    _claim(
        "first_is_not",
        "on mechanism 1 alone the rate of d is bc m_1, and it is the only one",
        kind="identity",
        lhs=sp.Matrix([at_first(r) for r in RATE.values()]),
        rhs=sp.Matrix([0, 0, 0, B * C * M1]),
    ),
    _claim(
        "second_alone_demands_v",
        "with a = 0 the rate of d is bc (1 - v)(l_1 + m_1)",
        kind="identity",
        lhs=RATE[D].subs(A, 0),
        rhs=(B * C * (1 - SECOND) * PARTS["l_1 + m_1"]).subs(A, 0),
    ),
    _claim(
        "second_hessian",
        "the Hessian on mechanism 2 alone",
        kind="identity",
        lhs=HESSIAN,
        rhs=EXPECTED,
    ),
    _claim(
        "second_rate",
        "its rate across the surface: grad v is an eigenvector (a is orthogonal to it)",
        kind="identity",
        lhs=HESSIAN * SLOPE,
        rhs=(sp.Rational(1, 2) + M1) * (SLOPE.T * SLOPE)[0] * SLOPE,
    ),
)
