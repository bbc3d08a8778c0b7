r"""Race 2.4: courses in training time, and the simplicity prior as a start.

*All depths 2, equal rates.* P_r' = 2 eta g P_r, so that all strengths stay in proportion and T = sum P is logistic,

.. math:: T(t) = \frac{1}{1 + (1/T_0 - 1)\,e^{-2\eta t}}, \qquad P_r = P_r(0)\,\frac{T}{T_0}.

*All depths 1.* P_r' = eta_r g: with A = sum eta the error relaxes, g = g_0 e^(-At), and P_r = P_r(0) + eta_r (g_0 - g)/A.

*Prior.* The start has the total strength ``scale`` and P_r(0)/P_q(0) = 2^(b_q - b_r).

Derivation. The closed forms of the model are put into its flow.
"""

from __future__ import annotations

import sympy as sp

from toymesa.models.race import SCALE, race, strength
from toymesa.symbolic.claims import Claim
from toymesa.symbolic.model import TIME, ClosedForm, Model, at_start


def _claim(name: str, statement: str, lhs: sp.Expr, rhs: sp.Expr) -> Claim:
    return Claim(name=name, statement=statement, kind="identity", lhs=lhs, rhs=rhs, derivation="race_2_4_training_time")


def timed(model: Model) -> ClosedForm:
    """The model's form in training time."""
    return next(f for f in model.closed_forms if isinstance(f, ClosedForm))


def solution(name: str, statement: str, model: Model) -> Claim:
    form = timed(model)
    return Claim(
        name=name,
        statement=statement,
        kind="solution",
        model=model,
        solution=form.states,
        conditions=form.conditions,
        derivation="race_2_4_training_time",
    )


TWO, ONE, MIXED = race((2, 2, 2)), race((1, 1)), race((1, 2, 3))
RATE = TWO.param("rate_m1")
STARTS = [strength(at_start(w), 2) for w in TWO.states]
TOTAL = sum(strength(timed(TWO).states[w], 2) for w in TWO.states)
LOGISTIC = 1 / (1 + (1 / sum(STARTS) - 1) * sp.exp(-2 * RATE * TIME))

SUM = sum(ONE.param(f"rate_{n}") for n in ("m1", "m2"))
BEGIN = sum(at_start(w) for w in ONE.states)
RELAXED = sum(timed(ONE).states.values())

BITS = [MIXED.param(f"bits_m{i}") for i in (1, 2, 3)]
PRIOR = [strength(MIXED.start[w], d).rewrite(sp.log) for w, d in zip(MIXED.states, (1, 2, 3), strict=True)]

CLAIMS = (
    solution("depth_2", "chains of depth 2 with equal rates keep their proportions", TWO),
    _claim("logistic", "their total strength is logistic, of rate 2 eta", sp.together(TOTAL), sp.together(LOGISTIC)),
    _claim(
        "proportion",
        "P_r = P_r(0) T/T_0",
        strength(timed(TWO).states[TWO.states[0]], 2),
        STARTS[0] * LOGISTIC / sum(STARTS),
    ),
    solution("depth_1", "chains of depth 1 in training time", ONE),
    _claim("relaxation", "their error is g_0 e^(-At)", 1 - RELAXED, (1 - BEGIN) * sp.exp(-SUM * TIME)),
    _claim("prior_total", "the start has the total strength scale", sum(PRIOR), SCALE),
    *(
        _claim(
            f"prior_{i + 1}_{j + 1}",
            "one bit halves the start",
            PRIOR[i] / PRIOR[j],
            sp.exp((BITS[j] - BITS[i]) * sp.log(2)),
        )
        for i, j in ((0, 1), (1, 2))
    ),
)
