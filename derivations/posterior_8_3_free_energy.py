r"""Posterior 8.3: under the free energy N l + lambda ln N two hypotheses can change places twice, by the Lambert function.

Hypothesis i beats j after N samples if gamma b_i ln 2 + N l_i + lambda_i ln N is the smaller. Let i be the worse one
(l_i > l_j) with the smaller learning coefficient, and

.. math:: a = \frac{\ell_i - \ell_j}{\lambda_j - \lambda_i} > 0, \qquad
    c = \gamma \ln 2\,\frac{b_j - b_i}{\lambda_j - \lambda_i}.

They are level where ln N + c = a N, that is at

.. math:: N = -\frac{W_0(-a e^{-c})}{a} \quad\text{and}\quad N = -\frac{W_{-1}(-a e^{-c})}{a},

two times for a e^(-c) < 1/e and none above; between them the simpler geometry (the smaller lambda) leads. With equal
description lengths (c = 0) these are the crossings of Watanabe's free energies.

Derivation. With w = -a N the condition is w e^w = -a e^(-c), which defines the branches of W. The advantage of i,
ln N + c - a N, is concave in N with its top at N = 1/a, where it is c - 1 - ln a: positive iff a e^(-c) < 1/e.
"""

from __future__ import annotations

import sympy as sp

from toymesa.models.posterior import GAMMA, posterior
from toymesa.symbolic.claims import Claim
from toymesa.symbolic.model import TIME, at_start

a, N, w, gap = sp.symbols("a N w Lambda", positive=True)  # gap: lambda_j - lambda_i
c = sp.Symbol("c", real=True)


def _claim(name: str, statement: str, **what: object) -> Claim:
    return Claim(name=name, statement=statement, derivation="posterior_8_3_free_energy", **what)


def log_odds() -> sp.Expr:
    """Of the first of two hypotheses after N samples, in a, c and lambda_j - lambda_i, from the model."""
    model = posterior(("i", "j"), law="free_energy")
    (state,) = model.states
    course = model.closed_forms[0].states[state].subs(at_start(state), model.start[state]).subs(TIME, N - 1)
    p = {s.name: s for s in model.params}
    return course.subs(
        {
            p["loss_i"]: p["loss_j"] + a * gap,
            p["lambda_j"]: p["lambda_i"] + gap,
            p["bits_j"]: p["bits_i"] + c * gap / (GAMMA * sp.log(2)),
        }
    )


ADVANTAGE = sp.log(N) + c - a * N
# a branch of W at -a e^-c is -w with w e^-w = a e^-c: then a = w e^(c - w)
ON_BRANCH = w * sp.exp(c - w)

CLAIMS = (
    _claim(
        "free_energy_odds",
        "the log-odds of the worse hypothesis are (lambda_j - lambda_i) (ln N + c - a N)",
        kind="identity",
        lhs=log_odds(),
        rhs=gap * ADVANTAGE,
    ),
    _claim(
        "free_energy_crossing",
        "on either branch of W they are level at N = -W/a",
        kind="identity",
        lhs=sp.expand_log(ADVANTAGE.subs(N, w / a).subs(a, ON_BRANCH)),
        rhs=0,
    ),
    _claim(
        "free_energy_top",
        "the advantage is largest at N = 1/a",
        kind="identity",
        lhs=sp.diff(ADVANTAGE, N).subs(N, 1 / a),
        rhs=0,
    ),
    _claim("free_energy_concave", "and concave", kind="inequality", expr=-sp.diff(ADVANTAGE, N, 2), strict=True),
    _claim(
        "free_energy_condition",
        "its top is -ln(e a e^-c): positive iff a e^-c < 1/e",
        kind="identity",
        lhs=sp.exp(ADVANTAGE.subs(N, 1 / a)),
        rhs=1 / (sp.E * a * sp.exp(-c)),
    ),
    _claim(
        "free_energy_late",
        "in the end the better hypothesis leads",
        kind="limit",
        expr=ADVANTAGE.subs({a: sp.Rational(1, 7), c: 2}) / N,
        variable=N,
        target=sp.oo,
        value=-sp.Rational(1, 7),
    ),
)
