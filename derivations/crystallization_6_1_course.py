r"""Crystallization 6.1: the course of the mesa-objective, and how little of it a long training moves.

With x = 1 - d and u = T - t the agent minimizes (1-x)^2/2 + H (eta u)^2 x^2/2, so x* = 1/(1 + s^2), d* = s^2/(1+s^2) with
s = sqrt(H) eta u, and the base optimizer moves it by w' = eta x*^2 (1-w). Since d* does not depend on w, seeing through
the agent changes nothing. Then

.. math:: 1 - w(t) = (1 - w_0)\,e^{-(J(\eta T) - J(\eta u))}, \qquad
    J(a) = \int_0^a \frac{da'}{(1+Ha'^2)^2} = \frac12\Bigl[\frac{a}{1+Ha^2} + \frac{\arctan\sqrt H a}{\sqrt H}\Bigr],

at the end 1 - w(T) = (1-w_0) e^(-J(eta T)), and J tends to pi/(4 sqrt H) as T grows: however long training is, the
mesa-objective moves by less than the fraction 1 - e^(-pi/(4 sqrt H)) of its gap. For H -> 0, J = eta T: the plain flow.

With exact foresight it minimizes (1-x)^2/2 + H (eta u)^2 x^4/2, so 1 - x = 2 H (eta u)^2 x^3. With x = 1/(1+s^2) this is

.. math:: s^3 + s = \sqrt{2H}\,\eta u, \qquad
    J = \frac{1}{\sqrt{2H}} \Bigl[2\arctan s - \frac{s}{1+s^2}\Bigr] \to \frac{\pi}{\sqrt{2H}} .

An agent that foresees its drift better defers less, since deferring protects it more: it is moved further, by
pi/sqrt(2) = 2.22 against pi/4 = 0.785 over sqrt(H).

Derivation. By differentiation; for exact foresight with s as the variable, da/ds = (1 + 3s^2)/sqrt(2H).
"""

from __future__ import annotations

import sympy as sp

from toymesa.models.crystallization import (
    DURATION,
    FORESIGHT,
    PURSUIT,
    RATE,
    STAKES,
    W,
    crystallization,
    drift,
    drifted,
    mesa_objective,
    odds_root,
)
from toymesa.symbolic.claims import Claim
from toymesa.symbolic.model import TIME, at_start

H, A, U, S, Z, ETA, T = sp.symbols("H a u s z eta T", positive=True)
ENDS = {"linear": sp.pi / (4 * sp.sqrt(H)), "exact": sp.pi / sp.sqrt(2 * H)}
OF_S = {"linear": S / sp.sqrt(H), "exact": (S**3 + S) / sp.sqrt(2 * H)}  # ahead


def _claim(name: str, statement: str, kind: str = "identity", **what: object) -> Claim:
    for foresight in FORESIGHT:
        if name.endswith(f"_{foresight}"):
            statement += f" ({foresight} foresight)"
    return Claim(name=name, statement=statement, kind=kind, derivation="crystallization_6_1_course", **what)


def training(expr: sp.Expr) -> sp.Expr:
    """An expression of the model before T, in H, u, eta."""
    out = expr.xreplace({sp.Max(0, DURATION - TIME): U, STAKES: H, RATE: ETA})
    return out.replace(sp.Piecewise, lambda *pieces: pieces[0][0])


def grown(foresight: str) -> sp.Expr:
    """J as a function of s."""
    return drifted(S, foresight).subs(STAKES, H)


MODELS = {f: crystallization(f) for f in FORESIGHT}


def solved(foresight: str) -> sp.Expr:
    """w(u) from the model's closed form, with J(eta u) and J(eta T) as it has them."""
    return training(MODELS[foresight].closed_forms[0].states[W])


def flow_of(foresight: str) -> sp.Expr:
    """The rate that the closed form should have: eta (1-d*)^2 (1-w), with dJ/da = (1-d*)^2."""
    return training(MODELS[foresight].flow[W]).subs(W, solved(foresight))


SINH = 2 * sp.sinh(Z / 3) / sp.sqrt(3)

CLAIMS = (
    *(
        _claim(
            f"optimum_{f}",
            "the agent's pursuit 1/(1+s^2) is where its objective is stationary",
            lhs=sp.diff(mesa_objective(OF_S[f], power).subs(STAKES, H), PURSUIT).subs(PURSUIT, 1 / (1 + S**2)),
            rhs=0,
        )
        for f, power in (("linear", 1), ("exact", 2))
    ),
    *(
        _claim(
            f"optimum_minimum_{f}",
            "and a minimum",
            "inequality",
            expr=sp.diff(mesa_objective(A, power).subs(STAKES, H), PURSUIT, 2),
            strict=True,
        )
        for f, power in (("linear", 1), ("exact", 2))
    ),
    _claim(
        "cardano",
        "the hyperbolic form solves s^3 + s = sqrt(2H) a, with sinh z = (3 sqrt(3)/2) sqrt(2H) a",
        lhs=sp.expand(SINH**3 + SINH).rewrite(sp.exp),
        rhs=(2 / (3 * sp.sqrt(3)) * sp.sinh(Z)).rewrite(sp.exp),
    ),
    _claim(
        "cardano_model",
        "which is the model's",
        lhs=odds_root(A, "exact").subs(STAKES, H),
        rhs=SINH.subs(Z, sp.asinh(3 * sp.sqrt(3) / 2 * sp.sqrt(2 * H) * A)),
    ),
    _claim("linear_model", "s = sqrt(H) a", lhs=odds_root(A, "linear").subs(STAKES, H), rhs=sp.sqrt(H) * A),
    *(
        _claim(
            f"pursuit_{f}",
            "the model's pursuit is 1/(1+s^2)",
            lhs=training(MODELS[f].observables["pursuit"]),
            rhs=1 / (1 + odds_root(ETA * U, f).subs(STAKES, H) ** 2),
        )
        for f in FORESIGHT
    ),
    *(
        _claim(
            f"deferral_{f}",
            "and its deferral the rest",
            lhs=training(MODELS[f].observables["deferral"] + MODELS[f].observables["pursuit"]),
            rhs=1,
        )
        for f in FORESIGHT
    ),
    *(
        _claim(
            f"flow_{f}",
            "w' = eta (1-d*)^2 (1-w) before T",
            lhs=training(MODELS[f].flow[W]),
            rhs=ETA * (1 - W) / (1 + odds_root(ETA * U, f).subs(STAKES, H) ** 2) ** 2,
        )
        for f in FORESIGHT
    ),
    *(
        _claim(
            f"loss_{f}",
            "the base loss is that of the action w + d (1-w)",
            lhs=training(MODELS[f].observables["loss"]),
            rhs=(1 - (W + training(MODELS[f].observables["deferral"]) * (1 - W))) ** 2 / 2,
        )
        for f in FORESIGHT
    ),
    *(
        _claim(
            f"drift_{f}",
            "dJ/da = (1-d*)^2",
            lhs=sp.diff(grown(f), S) / sp.diff(OF_S[f], S),
            rhs=1 / (1 + S**2) ** 2,
        )
        for f in FORESIGHT
    ),
    *(
        _claim(f"drift_start_{f}", "J(0) = 0", lhs=drift(A, f).xreplace({STAKES: H}).subs(A, 0), rhs=0)
        for f in FORESIGHT
    ),
    *(
        _claim(
            f"course_{f}",
            "1 - w falls by the factor e^-(J(eta T) - J(eta u))",
            lhs=1 - solved(f),
            rhs=(1 - at_start(W)) * sp.exp(-(drift(ETA * DURATION, f) - drift(ETA * U, f)).xreplace({STAKES: H})),
        )
        for f in FORESIGHT
    ),
    _claim(
        "course_solves",
        "so it solves the flow (linear foresight, dt = -du)",
        lhs=-sp.diff(solved("linear"), U),
        rhs=flow_of("linear"),
    ),
    _claim(
        "course_stated",
        "J at the end of training, as stated",
        lhs=drift(ETA * T, "linear").xreplace({STAKES: H}),
        rhs=(ETA * T / (1 + H * ETA**2 * T**2) + sp.atan(sp.sqrt(H) * ETA * T) / sp.sqrt(H)) / 2,
    ),
    *(
        _claim(
            f"crystallized_{f}",
            "J tends to its end as T grows",
            "limit",
            expr=grown(f),
            variable=S,
            target=sp.oo,
            value=ENDS[f],
        )
        for f in FORESIGHT
    ),
    _claim(
        "no_stakes",
        "for H -> 0 it is the plain flow",
        "limit",
        expr=drift(A, "linear").xreplace({STAKES: H}),
        variable=H,
        target=0,
        value=A,
    ),
    _claim(
        "no_stakes_exact",
        "with exact foresight too: J/a = (2 arctan s - s/(1+s^2))/(s^3 + s)",
        "limit",
        expr=(grown("exact") / OF_S["exact"]),
        variable=S,
        target=0,
        value=1,
    ),
    *(
        _claim(
            f"no_stakes_model_{f}",
            "and so it is in the model at H = 0",
            lhs=MODELS[f]
            .closed_forms[0]
            .states[W]
            .xreplace({STAKES: sp.Integer(0), sp.Max(0, DURATION - TIME): DURATION - TIME}),
            rhs=1 - (1 - at_start(W)) * sp.exp(-RATE * TIME),
        )
        for f in FORESIGHT
    ),
)
