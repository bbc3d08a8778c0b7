r"""Mechanisms 1.11: two mechanisms of unequal prior, and coexistence of the joint and the polarized state.

*Unequal priors* (K = 2, perfect mechanisms of rate 1). With h = ln(2) (b_2 - b_1)/2 the fixed points are

.. math:: n(x; h) = \frac{2\mu\lambda}{x}\,\frac{\operatorname{artanh} x - h}{g(x)^2}, \qquad
          g(x) = \frac{1}{1 + (1+x^2)/(2\lambda)}, \qquad x = p_1 - p_2.

The branch on which the less simple mechanism leads has x of the sign opposite to h. With y = ``|x|``, H = ``|h|`` and
T = artanh y it exists from the minimum n_f of n(y) ~ (T + H)(2 lam + 1 + y^2)^2/y. The minimum is unique: n' has the sign
of psi = y T' - T - H + 4 y^2 (T + H)/(2 lam + 1 + y^2), which rises from -H to infinity. For small h

.. math:: n_f/n_c = 1 + 3 B^{1/3} (H/2)^{2/3} + \dots, \qquad B = \tfrac13 + \tfrac{2}{1+2\lambda}:

n/n_c = 1 + H/y + B y^2 up to higher orders, least at y^3 = H/(2B). A cusp at (h, n) = (0, n_c).

*Coexistence* (equal priors, K >= 3). With contents at their optimum the free energy is F = n g/2 + mu KL(p || 1/K). On
the branch of 1.6 (one mechanism favoured by x) F(x) - F(0) = 0 where

.. math:: \tfrac n2\,(g(0) - g(x)) = \mu\,\mathrm{KL}(p(x)\,\|\,1/K), \qquad n = n(x).

Along the branch F(x) - F(0) changes by n'(x) (g(x) - g(0))/2: it rises from 0 up to the fold, falls from there on, and
vanishes once. As lam grows without bound the condition becomes that of the mean-field Potts model, with the solution
p_1 = (K-1)/K.
"""

from __future__ import annotations

import sympy as sp

from toymesa.models.mechanisms import mechanisms
from toymesa.symbolic.claims import Claim
from toymesa.symbolic.functions import LogSumExp
from toymesa.symbolic.model import Model

SOURCE = "mechanisms_1_11_unequal_priors"
NAMES = ("a", "b", "d", "e")
LAM, MU, RATIO, K = sp.symbols("lam mu r K", positive=True)
X = sp.Symbol("x", real=True)
Y, H = sp.symbols("y H", positive=True)


def _claim(name: str, statement: str, lhs: sp.Expr, rhs: sp.Expr) -> Claim:
    return Claim(name=name, statement=statement, kind="identity", lhs=lhs, rhs=rhs, derivation=SOURCE)


def equal_but_bits(model: Model) -> dict[sp.Symbol, sp.Expr]:
    """Perfect mechanisms of rate 1, decay and pressure positive."""
    values = {"rate": 1, "fidelity": 1}
    put = {s: sp.S(values[s.name.partition("_")[0]]) for s in model.params if s.name.partition("_")[0] in values}
    return put | {model.param("lam"): LAM, model.param("mu"): MU}


# ---------------------------------------------------------------- two mechanisms of unequal prior


def unequal() -> Claim:
    """The branch is a fixed point of the model; r = p_1/p_2."""
    model = mechanisms(NAMES[:2])
    where = equal_but_bits(model)
    x = (RATIO - 1) / (RATIO + 1)
    g = 1 / (1 + (1 + x**2) / (2 * LAM))
    h = sp.log(2) * (model.param("bits_b") - model.param("bits_a")) / 2
    artanh = sp.log(RATIO) / 2
    where |= {model.param("diversity"): sp.together(2 * MU * LAM / x * (artanh - h) / g**2)}
    p = (RATIO / (1 + RATIO), 1 / (1 + RATIO))
    point = dict(zip(model.states, [p[0] * g / LAM, p[1] * g / LAM, sp.log(RATIO)], strict=True))
    return Claim(
        name="unequal_branch",
        statement="p_1 - p_2 = x is a fixed point at the diversity n(x; h), whatever the bits",
        kind="fixed_point",
        model=model,
        point=point,
        where=where,
        derivation=SOURCE,
    )


T = sp.log((1 + Y) / (1 - Y)) / 2
STIFF = 2 * LAM + 1 + Y**2
FAR = MU * (T + H) * STIFF**2 / (2 * LAM * Y)  # n on the far side, 2 mu lam (T + H)/(y g^2)
PSI = Y * sp.diff(T, Y) - T - H + 4 * Y**2 * (T + H) / STIFF
CRITICAL = MU * (1 + 2 * LAM) ** 2 / (2 * LAM)
B = sp.Rational(1, 3) + 2 / (1 + 2 * LAM)

# ---------------------------------------------------------------- coexistence


def reduced(k: int) -> tuple[sp.Expr, sp.Expr]:
    """n V of the model with contents at their optimum, and n g/2 + mu KL, in free reliances (equal priors)."""
    model = mechanisms(NAMES[:k])
    (chart,) = model.charts
    p = list(chart.coordinates)
    logs = [sp.Symbol(f"ln_{s.name}", real=True) for s in p]
    potential = model.potential.xreplace({LogSumExp(*chart.to_states, 0): -sp.log(p[-1])}).xreplace(
        dict(chart.to_states)
    )
    equal = {s: sp.S(0) for s in model.params if s.name.startswith("bits_")}
    potential = potential.subs(equal_but_bits(model) | equal).replace(
        lambda e: isinstance(e, LogSumExp), lambda e: sp.log(len(e.args))
    )
    potential = potential.xreplace({sp.log(s): log for s, log in zip(p, logs, strict=True)})
    g = 1 / (1 + sum(s**2 for s in p) / LAM)
    n = model.param("diversity")
    optimum = {c: s * g / LAM for c, s in zip(model.states, p, strict=False)}
    kl = sum(s * (log + sp.log(k)) for s, log in zip(p, logs, strict=True))
    return n * potential.subs(optimum), n * g / 2 + MU * kl


P_1, P_2 = (1 + (K - 1) * X) / K, (1 - X) / K
G = 1 / (1 + (1 + (K - 1) * X**2) / (K * LAM))
LOGS = sp.log(P_1) - sp.log(P_2)
DIVERSITY = MU * LAM * LOGS / X / G**2
KL = P_1 * sp.log(K * P_1) + (K - 1) * P_2 * sp.log(K * P_2)
EXCESS = DIVERSITY * (G - G.subs(X, 0)) / 2 + MU * KL  # F(x) - F(0) on the branch
GAINED = LOGS * X * (K - 1) / (2 * K)
LOSERS = sp.Symbol("w", positive=True)  # K - 1

CLAIMS = (
    unequal(),
    _claim(
        "artanh",
        "artanh x = ln(p_1/p_2)/2: both are 0 at 0 and have the same derivative",
        sp.Matrix([sp.diff(sp.atanh(Y), Y), sp.S(0)]),
        sp.Matrix([sp.diff(T, Y), T.subs(Y, 0)]),
    ),
    _claim("onset", "n_f: y n'/n times (T + H) is psi", Y * sp.diff(FAR, Y) / FAR * (T + H), PSI),
    _claim(
        "onset_unique",
        "psi rises: three positive terms",
        sp.diff(PSI, Y),
        2 * Y**2 / (1 - Y**2) ** 2 + 8 * Y * (2 * LAM + 1) * (T + H) / STIFF**2 + 4 * Y**2 / ((1 - Y**2) * STIFF),
    ),
    Claim(
        name="cusp_coefficient",
        statement="without tilt n/n_c = 1 + B y^2 + ...",
        kind="limit",
        expr=(FAR.subs(H, 0) / CRITICAL - 1) / Y**2,
        variable=Y,
        target=0,
        value=B,
        derivation=SOURCE,
    ),
    _claim(
        "cusp_tilt",
        "the tilt adds H/y to first order: y n(y; H)/n_c is H at y = 0",
        (Y * FAR / CRITICAL).subs(Y, 0) - H,
        sp.S(0),
    ),
    _claim(
        "cusp_minimum",
        "H/y + B y^2 is least at H = 2 B y^3, where it is 3 B^(1/3) (H/2)^(2/3)",
        sp.Matrix([sp.diff(H / Y + B * Y**2, Y), H / Y + B * Y**2]).subs(H, 2 * B * Y**3),
        sp.Matrix([0, 3 * B * Y**2]),
    ),
    *(
        _claim(
            f"reduced_{k}",
            f"with contents at their optimum the free energy is n g/2 + mu KL (K = {k})",
            *reduced(k),
        )
        for k in (2, 3, 4)
    ),
    _claim(
        "envelope",
        "along the branch F(x) - F(0) changes by n'(x) (g(x) - g(0))/2, for any K",
        sp.diff(EXCESS, X),
        sp.diff(DIVERSITY, X) * (G - G.subs(X, 0)) / 2,
    ),
    _claim(
        "coexistence",
        "n(x) (g(0) - g(x))/(2 mu) = (K-1) l x/(2K) (1 + (K-1) x^2/(K lam + 1)), l = ln(p_1/p_other)",
        DIVERSITY * (G.subs(X, 0) - G) / (2 * MU),
        GAINED * (1 + (K - 1) * X**2 / (K * LAM + 1)),
    ),
    _claim(
        "coexistence_mean_field",
        "lam to infinity: KL = (K-1) l x/(2K) holds at p_1 = (K-1)/K, with K - 1 = w",
        KL.subs(X, (K - 2) / (K - 1)).subs(K, LOSERS + 1),
        GAINED.subs(X, (K - 2) / (K - 1)).subs(K, LOSERS + 1),
    ),
)
