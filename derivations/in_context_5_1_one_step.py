r"""In context 5.1: learning the step size of a single inner step is capability times objective (section 3).

One gradient step of size eta from 0 on the context leaves beta - eta (S beta + X^T noise/n), so with E tr S = d,
E tr S^2 = d (1 + (d+1)/n) and noise of variance sigma^2

.. math:: \ell(\eta) = \tfrac12\,(1 - 2\eta + \gamma\eta^2), \qquad \gamma = 1 + \frac{d + 1 + \sigma^2}{n},

with its minimum (1 - 1/gamma)/2 at eta = 1/gamma. With eta = u v, gradient flow is

.. math:: \dot u = \eta_u (1 - \gamma u v)\,v, \quad \dot v = \eta_v (1 - \gamma u v)\,u,

that is gamma times the flow of section 3 with the target b = 1/gamma; so u^2/eta_u - v^2/eta_v is conserved (for any
number of inner steps: the loss depends on u v alone) and the course is that of section 3 in the time gamma t. From a
balanced start the step size is a logistic of rate 2 omega, omega = sqrt(eta_u eta_v): half of 1/gamma is passed at
ln(1/(gamma p_0) - 1)/(2 omega), a plateau and then an abrupt rise.

With features of different variances, weighted by the mesa-objective, the loss is (c_0 - 2 c_1 eta + c_2 eta^2)/2
(derivation 5.4): the same with b = c_1/c_2, in the time c_2 t.

Derivation. As stated. The closed form is section 3's, whose Riccati equation is proved in capability 3.2: here alpha and
gamma of that equation are c_2 times those of section 3 (its rates), and beta is 2 omega c_1.
"""

from __future__ import annotations

import sympy as sp

from toymesa.models.capability import ETA_K, ETA_W, KAPPA, B, W, capability, ratio
from toymesa.models.in_context import ETA_U, ETA_V, NOISE, D, N, U, V, in_context, one_step, quadratic
from toymesa.symbolic.claims import Claim
from toymesa.symbolic.model import TIME, at_start

MODEL = in_context()
WEIGHTED = in_context(features=2)
GAMMA = 1 + (D + 1 + NOISE) / N
Q, P0 = sp.symbols("q p0", positive=True)
ETA = sp.Symbol("eta", real=True)
C = sp.symbols("c_0 c_1 c_2", positive=True)
U0, V0 = at_start(U), at_start(V)
OMEGA = sp.sqrt(ETA_U * ETA_V)


def _claim(name: str, statement: str, kind: str = "identity", **what: object) -> Claim:
    return Claim(name=name, statement=statement, kind=kind, derivation="in_context_5_1_one_step", **what)


# the factors of section 3 and its states once the squared growing factor is q times what it was
PLUS, MINUS = U0 / sp.sqrt(ETA_U) + V0 / sp.sqrt(ETA_V), U0 / sp.sqrt(ETA_U) - V0 / sp.sqrt(ETA_V)
REACHED = {
    U: sp.sqrt(ETA_U) * (PLUS * sp.sqrt(Q) + MINUS / sp.sqrt(Q)) / 2,
    V: sp.sqrt(ETA_V) * (PLUS * sp.sqrt(Q) - MINUS / sp.sqrt(Q)) / 2,
}


def change(c1: sp.Expr, c2: sp.Expr) -> sp.Expr:
    """The rate of q: alpha + beta q - gamma q^2."""
    return c2 * OMEGA**2 / 2 * (MINUS**2 - PLUS**2 * Q**2) + 2 * OMEGA * c1 * Q


def closed(model: object, c1: sp.Expr, c2: sp.Expr, state: sp.Symbol) -> tuple[sp.Expr, sp.Expr]:
    """The model's closed form and the one derived, away from starts without a growing or falling factor."""
    q = ratio(c2 * OMEGA**2 * MINUS**2 / 2, 2 * OMEGA * c1, c2 * OMEGA**2 * PLUS**2 / 2, TIME)
    found = model.closed_forms[0].states[state]  # type: ignore[attr-defined]
    point = {U0: sp.Rational(1, 3), V0: sp.Rational(1, 7), ETA_U: 4, ETA_V: 9, TIME: sp.Rational(2, 5), NOISE: 2}
    point |= dict.fromkeys((D, N), 3) | {s: sp.Rational(1, 2) for s in model.params if s.name[-1].isdigit()}  # type: ignore[attr-defined]
    return found.subs(point), REACHED[state].subs(Q, q).subs(point)


def logistic(p0: sp.Expr) -> sp.Expr:
    return (1 / GAMMA) / (1 + (1 / (GAMMA * p0) - 1) * sp.exp(-2 * OMEGA * TIME))


CLAIMS = (
    _claim(
        "one_step_loss",
        "the averaged loss after one step is (1 - 2 eta + gamma eta^2)/2",
        lhs=MODEL.observables["loss"],
        rhs=(1 - 2 * U * V + GAMMA * (U * V) ** 2) / 2,
    ),
    _claim(
        "one_step_coefficients",
        "so are the coefficients from which the course is made",
        lhs=quadratic(one_step(D, N, NOISE), U * V),
        rhs=MODEL.observables["loss"],
    ),
    _claim(
        "one_step_best",
        "its minimum is (1 - 1/gamma)/2, at eta = 1/gamma",
        lhs=(1 - 2 * ETA + GAMMA * ETA**2) / 2,
        rhs=(1 - 1 / GAMMA) / 2 + GAMMA * (ETA - 1 / GAMMA) ** 2 / 2,
    ),
    _claim(
        "one_step_square",
        "the completed square of the weighted loss is that loss",
        lhs=quadratic(C, ETA),
        rhs=(C[0] - 2 * C[1] * ETA + C[2] * ETA**2) / 2,
    ),
    *(
        _claim(
            f"one_step_flow_{state.name}",
            f"the flow of {state.name} is gamma times section 3's with b = 1/gamma",
            lhs=MODEL.flow[state],
            rhs=GAMMA
            * capability()
            .flow[other]
            .subs({KAPPA: U, W: V, B: 1 / GAMMA, ETA_K: ETA_U, ETA_W: ETA_V}, simultaneous=True),
        )
        for state, other in ((U, KAPPA), (V, W))
    ),
    *(
        _claim(
            f"one_step_course_{state.name}",
            f"{state.name} as a function of q solves the flow, q that of section 3 in the time c_2 t",
            lhs=sp.diff(REACHED[state], Q) * change(C[1], C[2]),
            rhs=(rate * (C[1] - C[2] * U * V) * other).subs(REACHED, simultaneous=True),
        )
        for state, rate, other in ((U, ETA_U, V), (V, ETA_V, U))
    ),
    *(
        _claim(
            f"one_step_closed_{label}_{state.name}",
            "the model's closed form is that course, at a rational point",
            lhs=closed(model, c1, c2, state)[0],
            rhs=closed(model, c1, c2, state)[1],
        )
        for label, model, c1, c2 in (
            ("equal", MODEL, sp.Integer(1), GAMMA),
            ("weighted", WEIGHTED, sp.Rational(1, 16), sp.Rational(1, 64) * (sp.Rational(2, 3) + 1)),
        )
        for state in (U, V)
    ),
    *(
        _claim(
            f"one_step_conserved_{k}",
            f"u^2/eta_u - v^2/eta_v is conserved, {k} inner steps",
            "invariant",
            model=in_context(steps=k),
            expr=in_context(steps=k).invariants["imbalance"].expr,
        )
        for k in (1, 2, 3)
    ),
    _claim(
        "one_step_logistic",
        "from a balanced start the step size is a logistic of rate 2 omega",
        lhs=sp.diff(logistic(P0), TIME),
        rhs=2 * OMEGA * (1 - GAMMA * logistic(P0)) * logistic(P0),
    ),
    _claim("one_step_logistic_start", "which starts at p_0", lhs=logistic(P0).subs(TIME, 0), rhs=P0),
    _claim(
        "one_step_plateau",
        "and passes half of its end at ln(1/(gamma p_0) - 1)/(2 omega)",
        lhs=logistic(P0).subs(TIME, sp.log(1 / (GAMMA * P0) - 1) / (2 * OMEGA)),
        rhs=1 / (2 * GAMMA),
    ),
)
