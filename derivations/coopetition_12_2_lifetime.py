r"""Coopetition 12.2: how long mechanism 1 lives once it is learned.

Let m_2 = 0 and let mechanism 1 rule, u = 1. For given a (and bc = 1/a) the loss is lowest at

.. math:: d = \frac{m_1 a^3}{a^{-2}(\ldots)} = \frac{m_1\,bc}{m_1 (bc)^2 + \alpha a^2}, \qquad
    V(a) = \tfrac12\,\frac{m_1\,\alpha a^4}{m_1 + \alpha a^4},

which falls as a falls: the valley of mechanism 1 is not level but sinks towards a = 0, and the state drifts along it. With
b^2 - c^2 = kappa, a step da moves b and c by (da)^2 / (a^4 sqrt(kappa^2 + 4/a^2)) in square, so to leading order in
m_1/alpha, for strong competition

.. math::
    \dot a = -\frac{2 m_1^2}{\alpha a^5}\Bigl[1 + \frac{1}{a^3\sqrt{\kappa^2a^2 + 4}}\Bigr]^{-1}, \qquad
    T = \frac{\alpha}{2 m_1^2} \int_0^{a_1} \Bigl[a^5 + \frac{a^2}{\sqrt{\kappa^2a^2+4}}\Bigr] da,

and with b = c (kappa = 0) T = alpha (a_1^6 + a_1^3)/(12 m_1^2). While mechanism 1 is being learned d is negligible, a^2 -
b^2 and a^2 - c^2 are conserved, and a_1 is the root of a^2 (a^2 - a_0^2 + b_0^2)(a^2 - a_0^2 + c_0^2) = 1: 1 for small
starts, where T = alpha/(6 m_1^2). So the lifetime of what short training found grows with the competition and with the
inverse square of the floor: a mechanism that is nearly good enough lasts long, and is given up all the same.

Derivation. Minimize over d, differentiate along the valley, divide by the square of the tangent's length, integrate. That
the true lifetime approaches T is a numerical statement.
"""

from __future__ import annotations

import sympy as sp

from toymesa.models.coopetition import ALPHA, LOSS, M1, M2, A, B, C, D
from toymesa.symbolic.claims import Claim

X, W, KAPPA, FLOOR, STRENGTH = sp.symbols("a w kappa m alpha", positive=True)


def _claim(name: str, statement: str, **what: object) -> Claim:
    return Claim(name=name, statement=statement, derivation="coopetition_12_2_lifetime", **what)


def valley(expr: sp.Expr) -> sp.Expr:
    """With u = 1: bc = 1/a, m_2 = 0."""
    return sp.sympify(expr).subs(C, 1 / (A * B)).subs({A: X, M1: FLOOR, M2: 0, ALPHA: STRENGTH})


PLACE = FLOOR * W / (FLOOR * W**2 + STRENGTH * X**2)
DEPTH = FLOOR * STRENGTH * X**4 / (2 * (FLOOR + STRENGTH * X**4))
TANGENT = 1 + 1 / (X**3 * sp.sqrt(KAPPA**2 * X**2 + 4))
DRIFT = -2 * FLOOR**2 / (STRENGTH * X**5) / TANGENT
# b and c from their product w = 1/a and b^2 - c^2 = kappa
SUM = sp.sqrt(KAPPA**2 + 4 * W**2)  # b^2 + c^2
UP, DOWN = sp.sqrt((SUM + KAPPA) / 2), sp.sqrt((SUM - KAPPA) / 2)


def lifetime_gap() -> tuple[float, float]:
    """How far the measured lifetime is from the formula under strong competition, and what is allowed."""
    from toymesa.theorems import coopetition as theorems

    start = {"own": 0.3, "shared": (0.1, 0.1)}
    stated = theorems.lifetime(competition=20.0, floor=0.02, **start)
    return abs(theorems.measured_lifetime(competition=20.0, floor=0.02, second=0.01, **start) / stated - 1), 0.03


CLAIMS = (
    _claim(
        "valley_floor",
        "the loss over d is lowest at m_1 bc / (m_1 (bc)^2 + alpha a^2)",
        kind="identity",
        lhs=sp.diff(valley(LOSS), D).subs(D, PLACE.subs(W, 1 / X)),
        rhs=0,
    ),
    _claim(
        "valley_depth",
        "and is V(a) there",
        kind="identity",
        lhs=valley(LOSS).subs(D, PLACE.subs(W, 1 / X)),
        rhs=DEPTH,
    ),
    _claim(
        "valley_sinks", "V rises with a, so a falls", kind="inequality", expr=sp.factor(sp.diff(DEPTH, X)), strict=True
    ),
    _claim(
        "valley_slope",
        "its slope is 2 m_1^2/(alpha a^5) to leading order in m_1",
        kind="limit",
        expr=sp.diff(DEPTH, X) / FLOOR**2,
        variable=FLOOR,
        target=0,
        value=2 / (STRENGTH * X**5),
    ),
    _claim(
        "valley_tangent",
        "(db/dw)^2 + (dc/dw)^2 = 1/(b^2 + c^2) at constant b^2 - c^2",
        kind="identity",
        lhs=(sp.diff(UP, W) ** 2 + sp.diff(DOWN, W) ** 2) * SUM,
        rhs=1,
    ),
    _claim("valley_product", "b c = w", kind="identity", lhs=UP**2 * DOWN**2, rhs=W**2),
    _claim(
        "valley_length",
        "so the square of the tangent is 1 + 1/(a^3 sqrt(kappa^2 a^2 + 4))",
        kind="identity",
        lhs=(1 + 1 / (X**4 * SUM.subs(W, 1 / X))),
        rhs=TANGENT,
    ),
    _claim(
        "lifetime_integrand",
        "dt/da along the valley",
        kind="identity",
        lhs=-1 / DRIFT * 2 * FLOOR**2 / STRENGTH,
        rhs=X**5 + X**2 / sp.sqrt(KAPPA**2 * X**2 + 4),
    ),
    _claim(
        "lifetime_balanced",
        "with b = c the integral is (a_1^6 + a_1^3)/6",
        kind="identity",
        lhs=sp.integrate(X**5 + X**2 / 2, (X, 0, X)),
        rhs=(X**6 + X**3) / 6,
    ),
    _claim(
        "lifetime_measured",
        "the measured lifetime is within 3 % of the formula at alpha = 20, m_1 = 0.02",
        kind="numerical",
        measure=lifetime_gap,
    ),
)
