r"""Linear joint flow 10.1: both optimizers at once: the solution, when it is stable, and how it ceases to be.

theta' = -(a theta + b phi), phi' = -(D phi + C theta)/eps. The characteristic polynomial is
sigma^2 + (a + D/eps) sigma + (aD - bC)/eps, so that (Hurwitz, degree 2: both coefficients positive)

    stable iff  a + D/eps > 0  and  aD - bC > 0.

The second does not depend on eps: it is lost through a *saddle*. The first is lost, where aD > bC, through a pair on the
imaginary axis: a *spiral*, the Hopf point eps* = -D/a with frequency sqrt(-a (aD - bC)/D). It needs a and D of opposite
sign, so bC < aD < 0. There d Re sigma/d eps = a^2/(2D): for a < 0 < D (a base loss that is unstable by itself, held by
the inner optimizer) the pair is stable below eps*, for D < 0 < a above it. A linear flow has no cycle of its own: at
eps* itself every orbit is an ellipse.

With T = a + D/eps and Delta = (aD - bC)/eps, both positive: heavy ball of friction gamma has the quartic
(sigma^2 + gamma sigma)^2 + T (sigma^2 + gamma sigma) + Delta, whose Hurwitz determinant is
gamma^2 (2 gamma^2 T + T^2 - 4 Delta): too little friction makes a stable spiral grow. Descent by steps h is stable iff
(Jury) h < T/Delta and 4 - 2hT + h^2 Delta > 0; the first is the edge of the spiral, the second of two real rates.

Exact solution: the exponential of the 2x2 matrix (``base_optimizers_1_linear``), under gradient flow, heavy ball,
discrete descent and other speeds alike.
"""

from __future__ import annotations

from typing import Any

import sympy as sp

from toymesa.models.linear_joint import EPS, PHI, THETA, A, B, C, D, linear_joint
from toymesa.symbolic.claims import Claim
from toymesa.symbolic.model import Model
from toymesa.symbolic.optimizers import Descent, HeavyBall, Preconditioned

HERE = "linear_joint_10_1_joint"
FRICTION, STEP, SPEED = sp.symbols("friction step speed", positive=True)
SIGMA = sp.Symbol("sigma")
FLOW = linear_joint("joint")
CASES: dict[str, Model] = {
    "flow": FLOW,
    "steps": linear_joint("joint", optimizer=Descent(STEP), params={STEP: 0.1}),
    "momentum": linear_joint("joint", optimizer=HeavyBall(FRICTION), params={FRICTION: 1.0}),
    "preconditioned": linear_joint("joint", optimizer=Preconditioned({THETA: SPEED}), params={SPEED: 2.0}),
    "blocks": linear_joint("joint", outer=2, inner=1),
}


def _claim(name: str, statement: str, lhs: Any, rhs: Any) -> Claim:
    return Claim(name=name, statement=statement, kind="identity", lhs=lhs, rhs=rhs, derivation=HERE)


def polynomial(matrix: sp.Matrix, at: sp.Expr) -> sp.Expr:
    """det(at - matrix)."""
    return (at * sp.eye(matrix.rows) - matrix).det(method="berkowitz")


TRACE, DETERMINANT = A + D / EPS, (A * D - B * C) / EPS  # minus the trace, and the determinant
HOPF = -D / A
OMEGA = sp.sqrt(-A * (A * D - B * C) / D)
REAL = -TRACE / 2  # the real part of a complex pair
OFF = sp.Symbol("delta", positive=True)
QUARTIC = sp.Poly(polynomial(CASES["momentum"].jacobian(), SIGMA), SIGMA).all_coeffs()
MULTIPLIERS = CASES["steps"].jacobian()
AGAINST, INNER = sp.symbols("alpha D_inner", positive=True)  # a = -alpha < 0 < D

CLAIMS = (
    *(
        Claim(
            name=f"solution_{name}", statement=f"the closed form solves the model ({name})", kind="solution", model=m,
            solution=m.closed_forms[0].states, derivation=HERE,
        )
        for name, m in CASES.items()
    ),
    _claim("rate_theta", "theta' = -(a theta + b phi)", FLOW.flow[THETA], -(A * THETA + B * PHI)),
    _claim("rate_phi", "phi' = -(D phi + C theta)/eps", FLOW.flow[PHI], -(D * PHI + C * THETA) / EPS),
    _claim(
        "characteristic", "the stability conditions are a + D/eps > 0 and aD - bC > 0",
        polynomial(FLOW.jacobian(), SIGMA), SIGMA**2 + TRACE * SIGMA + DETERMINANT,
    ),
    _claim("hopf", "at eps* = -D/a the trace vanishes", TRACE.subs(EPS, HOPF), 0),
    _claim(
        "hopf_pair", "the pair there is +- i omega, omega^2 = -a (aD - bC)/D",
        polynomial(FLOW.jacobian(), sp.I * OMEGA).subs(EPS, HOPF), 0,
    ),
    _claim("hopf_crossing", "d Re sigma/d eps = a^2/(2D) at eps*", sp.diff(REAL, EPS).subs(EPS, HOPF), A**2 / (2 * D)),
    Claim(
        name="stable_below", statement="a < 0 < D: the trace condition holds below eps*", kind="inequality", strict=True,
        expr=TRACE.subs({A: -AGAINST, D: INNER}).subs(EPS, INNER / AGAINST / (1 + OFF)), derivation=HERE,
    ),
    Claim(
        name="unstable_above", statement="a < 0 < D: it fails above eps*", kind="inequality", strict=True,
        expr=-TRACE.subs({A: -AGAINST, D: INNER}).subs(EPS, INNER / AGAINST * (1 + OFF)), derivation=HERE,
    ),
    Claim(
        name="stable_above", statement="D < 0 < a: the trace condition holds above eps*", kind="inequality", strict=True,
        expr=TRACE.subs({A: AGAINST, D: -INNER}).subs(EPS, INNER / AGAINST * (1 + OFF)), derivation=HERE,
    ),
    Claim(
        name="hopf_needs_attraction", statement="at the Hopf point bC < aD < 0: omega^2 (-D/a) = aD - bC", kind="identity",
        lhs=OMEGA**2 * HOPF, rhs=A * D - B * C, derivation=HERE,
    ),
    _claim(
        "momentum", "heavy ball: the Hurwitz determinant is gamma^2 (2 gamma^2 T + T^2 - 4 Delta)",
        QUARTIC[3] * QUARTIC[2] * QUARTIC[1] - QUARTIC[3] ** 2 - QUARTIC[1] ** 2 * QUARTIC[4],
        FRICTION**2 * (2 * FRICTION**2 * TRACE + TRACE**2 - 4 * DETERMINANT),
    ),
    _claim(
        "steps_spiral", "steps: the product of the multipliers is below 1 iff h < T/Delta",
        MULTIPLIERS.det() - 1, STEP * (STEP * DETERMINANT - TRACE),
    ),
    _claim(
        "steps_real", "steps: no multiplier passes -1 while 4 - 2hT + h^2 Delta > 0",
        polynomial(MULTIPLIERS, sp.Integer(-1)), 4 - 2 * STEP * TRACE + STEP**2 * DETERMINANT,
    ),
    _claim(
        "saddle", "on aD = bC an eigenvalue is zero, whatever eps",
        polynomial(FLOW.jacobian(), sp.S(0)).subs(A, B * C / D), 0,
    ),
)  # fmt: skip
