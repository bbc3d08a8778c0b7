r"""Capability 3.3: the saddle that makes the plateau, and the curvature at convergence.

*Origin.* At kappa = w = 0 the Jacobian has the eigenvalues omega b and -omega b, omega = sqrt(eta_k eta_w): a saddle for
b != 0. Training from a small start leaves it like e^(omega b t); the product grows like e^(2 omega b t).

*Convergence.* kappa w = b is a curve of rest points. One eigenvalue there is 0 (drift along the curve), the other is

.. math:: -(\eta_w \kappa^2 + \eta_\kappa w^2) = -\omega\sqrt{C^2 + 4b^2},

with C conserved from the start: balanced starts (C = 0) end at the flattest point of the curve. Discrete descent of step h
has the multipliers 1 and 1 - h omega sqrt(C^2 + 4b^2): it is stable iff h is below 2/(omega sqrt(C^2 + 4b^2)), the edge of
stability at curvature 2/h. Momentum of friction f has sigma^2 + f sigma = eigenvalue: it stays stable.
"""

from __future__ import annotations

import sympy as sp

from toymesa.models.capability import ETA_K, ETA_W, KAPPA, B, W, capability, imbalance
from toymesa.symbolic.claims import Claim
from toymesa.symbolic.optimizers import Descent, HeavyBall, with_optimizer

SIGMA = sp.Symbol("sigma")
STEP, FRICTION = sp.symbols("step friction", positive=True)
OMEGA = sp.sqrt(ETA_K * ETA_W)
REST = {W: B / KAPPA}
FLOW = capability()
CURVATURE = ETA_W * KAPPA**2 + ETA_K * W**2


def _claim(name: str, statement: str, lhs: sp.Expr, rhs: sp.Expr) -> Claim:
    return Claim(
        name=name, statement=statement, kind="identity", lhs=lhs, rhs=rhs, derivation="capability_3_3_stability"
    )


def polynomial(matrix: sp.Matrix) -> sp.Expr:
    """det(sigma - J)."""
    return (SIGMA * sp.eye(matrix.rows) - matrix).det()


def jacobian(optimizer: Descent | HeavyBall, number: sp.Symbol) -> sp.Matrix:
    """The Jacobian on the curve of rest points under another base optimizer (velocities at 0)."""
    model = with_optimizer(FLOW, optimizer, params={number: 0.1})
    still = dict.fromkeys(model.states[2:], 0)
    return sp.Matrix(model.jacobian()).subs(still).subs(REST)


CLAIMS = (
    Claim(
        name="origin",
        statement="kappa = w = 0 is at rest",
        kind="fixed_point",
        model=FLOW,
        point={KAPPA: 0, W: 0},
        derivation="capability_3_3_stability",
    ),
    _claim(
        "saddle",
        "its eigenvalues are omega b and -omega b",
        polynomial(sp.Matrix(FLOW.jacobian()).subs({KAPPA: 0, W: 0})),
        (SIGMA - OMEGA * B) * (SIGMA + OMEGA * B),
    ),
    Claim(
        name="rest",
        statement="kappa w = b is at rest",
        kind="fixed_point",
        model=FLOW,
        point={KAPPA: KAPPA, W: B / KAPPA},
        derivation="capability_3_3_stability",
    ),
    _claim(
        "drift",
        "its eigenvalues are 0 along the curve and -(eta_w kappa^2 + eta_k w^2) across",
        polynomial(sp.Matrix(FLOW.jacobian()).subs(REST)),
        SIGMA * (SIGMA + CURVATURE.subs(REST)),
    ),
    _claim(
        "curvature",
        "which is omega sqrt(C^2 + 4 b^2)",
        CURVATURE.subs(REST) ** 2,
        OMEGA**2 * ((OMEGA * imbalance(KAPPA, W)).subs(REST) ** 2 + 4 * B**2),
    ),
    _claim(
        "edge_of_stability",
        "descent of step h has the multipliers 1 and 1 - h omega sqrt(C^2 + 4 b^2)",
        polynomial(jacobian(Descent(STEP), STEP)),
        (SIGMA - 1) * (SIGMA - 1 + STEP * CURVATURE.subs(REST)),
    ),
    _claim(
        "momentum",
        "momentum has the roots of sigma^2 + f sigma = eigenvalue",
        polynomial(jacobian(HeavyBall(FRICTION), FRICTION)),
        (SIGMA**2 + FRICTION * SIGMA) * (SIGMA**2 + FRICTION * SIGMA + CURVATURE.subs(REST)),
    ),
)
