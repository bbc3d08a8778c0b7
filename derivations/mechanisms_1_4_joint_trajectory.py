r"""Mechanisms 1.4: the joint trajectory, and by how much it amplifies a small imbalance.

*Trajectory.* K equal mechanisms (rate 1, equal fidelity f and prior) that start at equal contents and p = 1/K stay
equal, at every diversity and pressure: c(t) = c_0 X + (f/(K a)) (1 - X), X = e^(-at), a = lam + f^2/K + (1-f^2)/K^2.
For f = 1 and c_0 = 0 the error is g = g_inf + (1 - g_inf) X, and internal time s = g_inf t + (1 - g_inf)(1 - X)/a.

*Linear instability (f = 1).* Perturbations delta c and delta ln p, each of sum 0 over the mechanisms, obey

.. math::
    \delta c' = g\,\delta p - \lambda\,\delta c, \qquad
    \delta p' = \frac{\eta_p n g}{K}\,\delta c - \eta_p \mu\,\delta p, \qquad \delta p = \tfrac1K\,\delta \ln p,

whatever their shape: all K - 1 directions are alike. With kappa = sqrt(n eta_p/K), k = sqrt(n eta_p K), and delta c = 0
at the start, delta p grows by the factor

* cosh(k (1 - e^(-t/K))) for lam = mu = 0;
* k x^nu [I_{nu-1}(kx) K_nu(k) + K_{nu-1}(kx) I_nu(k)], x = e^(-t/K), nu = (1 + K eta_p mu)/2, for lam = 0;
* e^(-lam t) cosh(kappa s(t)) on the line lam = eta_p mu, which unites the two;
* in general, with y = delta p +- kappa delta c, x = e^(-at), gamma = g_inf kappa/a, beta = kappa/(K a^2),
  M, D = (eta_p mu +- lam)/(2a), R = sqrt(gamma^2 + D^2), a' = R + gamma, b' = 1 + 2R and z = 2 beta x, a combination of
  x^(M+R) e^(-beta x) times (D M(a', b', z), a' M(a'+1, b', z)) and (U(a', b', z), -D U(a'+1, b', z)), where M and U
  are Kummer's and Tricomi's functions. With the Wronskian w = D^2 M U^+ + a' M^+ U at x = 1 (a plus marks a'+1),

  .. math::
      \frac{\delta p}{u_0} = \frac{x^{M+R} e^{\beta(1-x)}}{2w}
      \bigl\{(U_1 + D U_1^+)(D M + a' M^+) + (a' M_1^+ - D M_1)(U - D U^+)\bigr\}.

Derivation. The first statement is read off the model's flow, the second off its Jacobian, for K = 2, 3 and 4. The
solutions are then checked by substitution, with the special functions as symbols whose derivatives are the known
recurrences (DLMF 10.29.2 for I and K, the differentiation formulas of DLMF 13.3(ii) for M and U).
"""

from __future__ import annotations

from collections.abc import Mapping

import sympy as sp

from toymesa.models.mechanisms import mechanisms
from toymesa.symbolic.claims import Claim
from toymesa.symbolic.model import TIME, Model, at_start

NAMES = ("a", "b", "d", "e")
N, ETA_P = sp.symbols("diversity gate_rate", positive=True)
LAM, MU = sp.symbols("lam mu", nonnegative=True)
F, C, C0 = sp.symbols("f c c_0", real=True)
RATE = sp.Symbol("eta", positive=True)


def _claim(name: str, statement: str, lhs: sp.Expr, rhs: sp.Expr) -> Claim:
    return Claim(
        name=name, statement=statement, kind="identity", lhs=lhs, rhs=rhs, derivation="mechanisms_1_4_joint_trajectory"
    )


# ---------------------------------------------------------------- on the model: K = 2, 3, 4


def equal(model: Model, fidelity: sp.Expr) -> dict[sp.Symbol, sp.Expr]:
    """Equal mechanisms of rate 1 at the joint point of content c."""
    values = {"rate": sp.S(1), "bits": sp.S(0), "fidelity": fidelity, "logit": sp.S(0), "c": C}
    symbols = [*model.states, *model.params]
    return {s: values[s.name.partition("_")[0]] for s in symbols if s.name.partition("_")[0] in values}


def number(expr: sp.Expr) -> sp.Expr:
    """Log-sum-exps of numbers as logarithms."""
    return sp.expand_log(expr.rewrite(sp.log), force=True)


def joint_rates(k: int) -> list[sp.Expr]:
    """The flow at the joint point."""
    model = mechanisms(NAMES[:k])
    return [number(rate.subs(equal(model, F))) for rate in model.flow.values()]


def perturbed(k: int) -> list[tuple[sp.Expr, sp.Expr]]:
    """Rates of any perturbation of sum 0 by the model's Jacobian (f = 1), and by the reduced equations."""
    model = mechanisms(NAMES[:k])
    jacobian = model.jacobian().subs(equal(model, sp.S(1))).applyfunc(number)
    w = [*sp.symbols(f"w_1:{k}", real=True)]
    u = [*sp.symbols(f"u_1:{k}", real=True)]
    w, u = [*w, -sum(w)], [*u, -sum(u)]
    moved = jacobian * sp.Matrix([*w, *(v - u[-1] for v in u[:-1])])
    g = 1 - C
    content = [g * v / k - LAM * c for c, v in zip(w, u, strict=True)]
    odds = [ETA_P * N * g * c - ETA_P * MU * v for c, v in zip(w, u, strict=True)]
    reduced = [*content, *(v - odds[-1] for v in odds[:-1])]
    return list(zip(moved, reduced, strict=True))


def on_the_model(k: int) -> list[Claim]:
    model = mechanisms(NAMES[:k])
    (form,) = model.closed_forms
    here = equal(model, F) | {s: RATE for s in model.params if s.name.startswith("rate_")}
    own = {at_start(s): C0 for s in model.states if s.name.startswith("c_")}
    kept = form.states[model.states[0]].subs(own).subs(here)
    a = LAM + F**2 / k + (1 - F**2) / sp.Integer(k) ** 2
    solution = C0 * sp.exp(-a * TIME) + F / (k * a) * (1 - sp.exp(-a * TIME))
    rates = joint_rates(k)
    return [
        _claim(
            f"joint_form_{k}",
            f"the closed form of the model solves the flow of the contents, at any common rate (K = {k})",
            sp.diff(kept, TIME),
            number(model.flow[model.states[0]].subs(here)).subs(C, kept),
        ),
        _claim(f"joint_form_start_{k}", f"and starts at c_0 (K = {k})", kept.subs(TIME, 0), C0),
        _claim(
            f"joint_form_rate_1_{k}",
            f"which at the rate 1 is c(t) as above (K = {k})",
            kept.subs(RATE, 1),
            solution,
        ),
        _claim(
            f"joint_content_{k}",
            f"c(t) solves the flow of the contents at the joint point (K = {k})",
            sp.diff(solution, TIME),
            rates[0].subs(C, solution),
        ),
        _claim(
            f"joint_stays_{k}",
            f"contents stay equal and reliances stay 1/K, at every diversity and pressure (K = {k})",
            sp.Matrix([r - rates[0] for r in rates[1:k]] + rates[k:]),
            sp.zeros(2 * k - 2, 1),
        ),
        _claim(
            f"joint_perturbation_{k}",
            f"every perturbation of sum 0 obeys the same two equations (K = {k})",
            sp.Matrix([m for m, _ in perturbed(k)]),
            sp.Matrix([r for _, r in perturbed(k)]),
        ),
    ]


# ---------------------------------------------------------------- the two equations, solved
# kappa = sqrt(n eta_p/K): delta p' = kappa g v - m delta p, v' = kappa g delta p - lam v with v = kappa delta c

K, KAPPA, M_RATE, X = sp.symbols("K kappa m x", positive=True)  # m = eta_p mu
A = LAM + 1 / K
REST = LAM / A
ERROR = REST + (1 - REST) * X


def along(expr: sp.Expr, rates: Mapping[sp.Symbol, sp.Expr]) -> sp.Expr:
    """Derivative of an expression whose symbols move at these rates."""
    return sp.Add(*(sp.diff(expr, s) * rate for s, rate in rates.items()))


# internal time: X' = -a X, so that s' = g
INTERNAL = REST * TIME + (1 - REST) * (1 - X) / A
CLOCK = {TIME: sp.S(1), X: -A * X}

# on the line m = lam: E = e^(kappa s) and Y = e^(-lam t)
E, Y = sp.symbols("E Y", positive=True)
LINE = {E: KAPPA * ERROR * E, Y: -LAM * Y, X: -A * X}
P_LINE, V_LINE = Y * (E + 1 / E) / 2, Y * (E - 1 / E) / 2

# lam = 0: Bessel functions of z = k x, k = kappa K; d/dx of I_{nu-1}, I_nu, K_{nu-1}, K_nu; x' = -x/K
I0, I1, K0, K1, I0_1, I1_1, K0_1, K1_1 = sp.symbols("I0 I1 K0 K1 I0_1 I1_1 K0_1 K1_1", positive=True)
SLOPE = KAPPA * K
NU = (1 + K * M_RATE) / 2
BESSEL = {
    X: sp.S(1),
    I0: SLOPE * I1 + (NU - 1) / X * I0,
    I1: SLOPE * I0 - NU / X * I1,
    K0: -SLOPE * K1 + (NU - 1) / X * K0,
    K1: -SLOPE * K0 - NU / X * K1,
}
P_BESSEL = SLOPE * X**NU * (I0 * K1_1 + K0 * I1_1)
V_BESSEL = SLOPE * X**NU * (K1 * I1_1 - I1 * K1_1)
Z = sp.Symbol("z", positive=True)
HALF = {  # Bessel functions of order -1/2 and 1/2
    "I0": sp.sqrt(2 / (sp.pi * Z)) * sp.cosh(Z),
    "I1": sp.sqrt(2 / (sp.pi * Z)) * sp.sinh(Z),
    "K": sp.sqrt(sp.pi / (2 * Z)) * sp.exp(-Z),
}

# in general: a' = ALPHA^2 = R + gamma and R - gamma = DELTA^2 make R^2 = gamma^2 + D^2 rational
ALPHA, BETA, MEAN = sp.symbols("alpha beta M", positive=True)
DELTA = sp.Symbol("delta", real=True)
R, GAMMA, D = (ALPHA**2 + DELTA**2) / 2, (ALPHA**2 - DELTA**2) / 2, ALPHA * DELTA
M0, M1, U0, U1, POWER = sp.symbols("M_0 M_1 U_0 U_1 W", positive=True)  # at a', a'+1; W = x^(M+R) e^(-beta x)
M0_1, M1_1, U0_1, U1_1 = sp.symbols("M_0_1 M_1_1 U_0_1 U_1_1", positive=True)  # the same at x = 1
AA, BB, ZZ = ALPHA**2, 1 + 2 * R, 2 * BETA * X
KUMMER = {  # x d/dx
    POWER: (MEAN + R - BETA * X) * POWER,
    M0: AA * (M1 - M0),
    M1: (BB - AA - 1) * M0 + (AA + 1 - BB + ZZ) * M1,
    U0: AA * (1 + AA - BB) * U1 - AA * U0,
    U1: -U0 + (AA + 1 - BB + ZZ) * U1,
}
FIRST = (POWER * D * M0, POWER * AA * M1)
SECOND = (POWER * U0, -POWER * D * U1)
WRONSKIAN = D**2 * M0_1 * U1_1 + AA * M1_1 * U0_1
WEIGHTS = ((U0_1 + D * U1_1) / WRONSKIAN, (AA * M1_1 - D * M0_1) / WRONSKIAN)
AT_ONE = {POWER: 1, M0: M0_1, M1: M1_1, U0: U0_1, U1: U1_1}


def system(plus: sp.Expr, minus: sp.Expr) -> sp.Matrix:
    """x dy/dx for y = delta p +- v."""
    return sp.Matrix([(MEAN - GAMMA - BETA * X) * plus + D * minus, (MEAN + GAMMA + BETA * X) * minus + D * plus])


PLUS, MINUS = (WEIGHTS[0] * f + WEIGHTS[1] * s for f, s in zip(FIRST, SECOND, strict=True))
GROWTH = POWER / (2 * WRONSKIAN) * ((U0_1 + D * U1_1) * (D * M0 + AA * M1) + (AA * M1_1 - D * M0_1) * (U0 - D * U1))
DP, V, G_RATE, B_RATE, MEAN_RATE, HALF_RATE = sp.symbols("dp v gamma_ beta_ mean_ half_", real=True)
NAMED = {
    G_RATE: REST * KAPPA / A,
    B_RATE: (1 - REST) * KAPPA / A,
    MEAN_RATE: (M_RATE + LAM) / (2 * A),
    HALF_RATE: (M_RATE - LAM) / (2 * A),
}


def in_x(sign: int) -> tuple[sp.Expr, sp.Expr]:
    """x d/dx of delta p +- v from the equations in time, and from the system in x."""
    rates = (KAPPA * ERROR * V - M_RATE * DP, KAPPA * ERROR * DP - LAM * V)
    swing = MEAN_RATE - sign * (G_RATE + B_RATE * X)
    return -(rates[0] + sign * rates[1]) / A, (swing * (DP + sign * V) + HALF_RATE * (DP - sign * V)).subs(NAMED)


CLAIMS = (
    *(claim for k in (2, 3, 4) for claim in on_the_model(k)),
    _claim("internal_time", "the derivative of s(t) is g", along(INTERNAL, CLOCK), ERROR),
    _claim(
        "line_reliance",
        "on the line lam = eta_p mu: e^(-lam t) cosh(kappa s) solves the equation of the reliances",
        along(P_LINE, LINE),
        KAPPA * ERROR * V_LINE - LAM * P_LINE,
    ),
    _claim(
        "line_content",
        "on the line lam = eta_p mu: e^(-lam t) sinh(kappa s) solves that of the contents; lam = mu = 0 is on it",
        along(V_LINE, LINE),
        KAPPA * ERROR * P_LINE - LAM * V_LINE,
    ),
    _claim(
        "pressure_reliance",
        "lam = 0: the Bessel combination solves the equation of the reliances",
        -X / K * along(P_BESSEL, BESSEL),
        KAPPA * X * V_BESSEL - M_RATE * P_BESSEL,
    ),
    _claim(
        "pressure_content",
        "lam = 0: and that of the contents, which are 0 at x = 1",
        -X / K * along(V_BESSEL, BESSEL),
        KAPPA * X * P_BESSEL,
    ),
    _claim(
        "pressure_start",
        "x (I_{nu-1} K_nu + K_{nu-1} I_nu) is constant (and 1/k by its limit at 0, DLMF 10.28.2): the factor starts at 1",
        along(X * (I0 * K1 + K0 * I1), BESSEL),
        sp.S(0),
    ),
    _claim(
        "pressure_to_none",
        "mu = 0, nu = 1/2: the Bessel combination is cosh(k - k x), here with z = k x and k = z + y",
        (sp.sqrt(Z * (Z + Y)) * (HALF["I0"] * HALF["K"].subs(Z, Z + Y) + HALF["K"] * HALF["I1"].subs(Z, Z + Y))),
        sp.cosh(Y),
    ),
    *(
        _claim(f"in_x_{name}", "the two equations in x = e^(-at)", *in_x(sign))
        for name, sign in (("plus", 1), ("minus", -1))
    ),
    *(
        _claim(
            f"confluent_{name}",
            f"the solution with {function} functions solves the system",
            sp.Matrix([along(y, {**KUMMER, X: X}) for y in pair]),
            system(*pair),
        )
        for name, function, pair in (("first", "Kummer's", FIRST), ("second", "Tricomi's", SECOND))
    ),
    _claim("confluent_start", "at x = 1 both combinations are 1", sp.Matrix([PLUS, MINUS]).subs(AT_ONE), sp.ones(2, 1)),
    _claim("confluent_growth", "half their sum is the growth factor", (PLUS + MINUS) / 2, GROWTH),
)
