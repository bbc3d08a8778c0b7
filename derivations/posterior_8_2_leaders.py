r"""Posterior 8.2: which hypothesis ever leads is the decreasing part of a lower convex hull, and when the lead changes.

Under the law e^(-t l) hypothesis i leads at time t if gamma b_i ln 2 + t l_i is smallest. Of two hypotheses the simpler
and worse i hands over to the better j at

.. math:: t_{ij} = \gamma \ln 2\,\frac{b_j - b_i}{\ell_i - \ell_j}.

Of three, with b_1 < b_2 < b_3 and l_1 > l_2 > l_3, the middle one leads for some time iff t_12 < t_23, which is iff the
point (l_2, b_2) lies below the chord of the other two:

.. math::
    t_{23} - t_{12} = \gamma \ln 2\,
        \frac{(\ell_1 - \ell_2)(b_3 - b_2) - (\ell_2 - \ell_3)(b_2 - b_1)}{(\ell_1 - \ell_2)(\ell_2 - \ell_3)},

whose numerator is twice the signed area of the triangle of the points. Three at a time this is the definition of the
lower convex hull, and t >= 0 keeps its decreasing part, from the simplest hypothesis to the best-fitting one. Whether the
middle one leads is the same at every prior strength and at every pace of evidence: these only move the times.

The same with N^(1-q) for t and b^v for b is the law of Wurgaft et al. 2025, whose crossover is

.. math:: N^* = \Bigl[\frac{\gamma \ln 2\,(b_M^v - b_G^v)}{k\,(\ell_G - \ell_M)}\Bigr]^{1/(1-q)}.

Derivation. Each time is where two lines cross; the last is the first at t = k N^(1-q).
"""

from __future__ import annotations

import sympy as sp

from toymesa.models.posterior import EXPONENT, GAMMA, PACE, SLOWING, posterior
from toymesa.symbolic.claims import Claim
from toymesa.symbolic.model import TIME

B = sp.symbols("b_1:4", nonnegative=True)
L = sp.symbols("l_1:4", real=True)
GAP = sp.symbols("d_1 d_2", positive=True)  # l_1 - l_2, l_2 - l_3
RISE = sp.symbols("r_1 r_2", positive=True)  # b_2 - b_1, b_3 - b_2


def _claim(name: str, statement: str, **what: object) -> Claim:
    return Claim(name=name, statement=statement, derivation="posterior_8_2_leaders", **what)


def crossing(i: int, j: int) -> sp.Expr:
    """When hypothesis i hands over to j."""
    return GAMMA * sp.log(2) * (B[j] - B[i]) / (L[i] - L[j])


def odds_at(law: str, t: sp.Expr) -> sp.Expr:
    """Log-odds of the first of two hypotheses at time t, from the model's own start and course."""
    model = posterior(("a", "b"), law=law)
    (state,) = model.states
    names = {"bits_a": B[0], "bits_b": B[1], "loss_a": L[0], "loss_b": L[1]}
    flow = sp.integrate(model.flow[state], (TIME, 0, t)) if law == "gradient_flow" else None
    course = model.closed_forms[0].states[state] if flow is None else model.start[state] + flow
    course = course.subs(sp.Symbol(f"{state.name}_0", real=True), model.start[state]).subs(TIME, t)
    return course.subs({model.param(n): s for n, s in names.items()})


AREA = (L[0] - L[1]) * (B[2] - B[1]) - (L[1] - L[2]) * (B[1] - B[0])
PUBLISHED = (GAMMA * sp.log(2) * (B[1] ** EXPONENT - B[0] ** EXPONENT) / (PACE * (L[0] - L[1]))) ** (1 / (1 - SLOWING))
# the power law in its own variable: evidence grows like k N^(1-q)
REACHED = sp.Symbol("E", positive=True)
LEFT, STRENGTH = sp.symbols("u g", positive=True)  # 1 - q and gamma, both above 0


def positive(expr: sp.Expr) -> sp.Expr:
    """The crossover in gaps that are positive."""
    return expr.subs({L[0]: L[1] + GAP[0], GAMMA: STRENGTH, SLOWING: 1 - LEFT}).subs(
        B[1] ** EXPONENT, B[0] ** EXPONENT + RISE[0]
    )


CLAIMS = (
    _claim(
        "lead_change",
        "at t_ij the two log posteriors are equal",
        kind="identity",
        lhs=odds_at("gradient_flow", crossing(0, 1)),
        rhs=0,
    ),
    _claim(
        "hull",
        "t_23 - t_12 has the sign of the triangle's area",
        kind="identity",
        lhs=crossing(1, 2) - crossing(0, 1),
        rhs=GAMMA * sp.log(2) * AREA / ((L[0] - L[1]) * (L[1] - L[2])),
    ),
    _claim(
        "hull_middle",
        "when the lead of 1 over 3 changes, the middle hypothesis is ahead of both by area/(l_1 - l_3)",
        kind="identity",
        lhs=(GAMMA * sp.log(2) * B[0] + crossing(0, 2) * L[0]) - (GAMMA * sp.log(2) * B[1] + crossing(0, 2) * L[1]),
        rhs=GAMMA * sp.log(2) * AREA / (L[0] - L[2]),
    ),
    _claim(
        "hull_convex",
        "a point on the chord has area zero",
        kind="identity",
        lhs=AREA.subs({L[0]: L[1] + GAP[0], L[2]: L[1] - GAP[1], B[0]: B[1] - RISE[0], B[2]: B[1] + RISE[1]}).subs(
            RISE[1], RISE[0] * GAP[1] / GAP[0]
        ),
        rhs=0,
    ),
    _claim(
        "power_crossover",
        "at N* the evidence k N^(1-q) (l_G - l_M) equals the prior's gap",
        kind="identity",
        lhs=PACE * positive(PUBLISHED) ** LEFT * GAP[0],
        rhs=STRENGTH * sp.log(2) * RISE[0],
    ),
    _claim(
        "power_odds",
        "the log-odds of the power law vanish where its evidence is the prior's gap",
        kind="identity",
        lhs=odds_at("power", TIME).subs((1 + TIME) ** (1 - SLOWING), REACHED / PACE),
        rhs=GAMMA * sp.log(2) * (B[1] ** EXPONENT - B[0] ** EXPONENT) - REACHED * (L[0] - L[1]),
    ),
)
