r"""Mechanisms 1.8: how strong a prior asymmetry must be to beat gradient noise.

Noise sqrt(2T) dW acts on a reliance mode (T in units of reliance^2 per unit of training time); everything is linear in the
mode: first order in the perturbation, exact otherwise.

*At the joint fixed point* above n_c a perturbation moves by the block of 1.5 (f = 1). With its upper eigenvalue kappa > 0,

.. math:: v = \delta p + \frac{\eta_p n g}{K(\kappa + \lambda)}\,\delta c \quad\text{obeys}\quad
          dv = \kappa v\,dt + \sqrt{2T}\,dW.

v(t) is normal with mean v_0 e^(kappa t) and variance (T/kappa)(e^(2 kappa t) - 1), so that
P(v(t) > 0) = Phi(v_0 sqrt(kappa/T) / sqrt(1 - e^(-2 kappa t))), and in the end

.. math:: P(v \to +\infty) = \Phi\bigl(v_0 \sqrt{\kappa/T}\bigr)

(Phi the normal distribution function): the solution of the backward equation kappa v P' + T P'' = 0 with P(-inf) = 0 and
P(inf) = 1. An asymmetry v_0 beats the noise when it is a few times sqrt(T/kappa).

*Along the joint trajectory* of 1.4 (c(0) = 0, lam = mu = 0), at g = e^(-t/K) = y, a kick of the reliances at g = x > y has
grown by cosh(k (x - y)), k = sqrt(n eta_p K). Kicks are independent, and dt = -K dx/x:

.. math::
    \operatorname{Var} \delta p = 2KT \int_y^1 \cosh^2(k(x-y))\,\frac{dx}{x}
    = KT \Bigl[ \ln\tfrac1y + \cosh 2ky\,(\mathrm{Chi}\,2k - \mathrm{Chi}\,2ky)
                            - \sinh 2ky\,(\mathrm{Shi}\,2k - \mathrm{Shi}\,2ky) \Bigr].

The start u_0 adds the mean u_0 cosh(k (1 - y)), so that a perturbation of two mechanisms still has its sign at the stop
r = y^2 with probability Phi(u_0 cosh(k (1-y))/sqrt(Var)). (The mean of a normal variable over its standard deviation
decides the probability that it is positive.)

*Limits.* Var rises with n, from the diffusion 2KT ln(1/y) = 2Tt without amplification: noise alone reaches the threshold
theta at one n, the noise-limited n_stop, Var = theta^2, if 2KT ln(1/y) < theta^2. As training goes on (y to 0) Var grows
without bound, like 2KT ln(1/y) + KT (Chi 2k - gamma - ln 2k): gamma is Euler's constant.

Derivation. The unstable coordinate from the block, the probabilities from their backward equations, the variance twice:
from the kicks, and from the moment equations of (delta p, v = kappa delta c), which determine it.
"""

from __future__ import annotations

import sympy as sp

from toymesa.models.mechanisms import mechanisms
from toymesa.symbolic.claims import Claim

SOURCE = "mechanisms_1_8_noise"


def _claim(name: str, statement: str, lhs: sp.Expr, rhs: sp.Expr) -> Claim:
    return Claim(name=name, statement=statement, kind="identity", lhs=lhs, rhs=rhs, derivation=SOURCE)


def _limit(name: str, statement: str, expr: sp.Expr, variable: sp.Symbol, target: sp.Expr, value: sp.Expr) -> Claim:
    return Claim(
        name=name,
        statement=statement,
        kind="limit",
        expr=expr,
        variable=variable,
        target=target,
        value=value,
        derivation=SOURCE,
    )


def normal(x: sp.Expr) -> sp.Expr:
    """The normal distribution function."""
    return (1 + sp.erf(x / sp.sqrt(2))) / 2


# ---------------------------------------------------------------- at the joint fixed point

N, ETA_P, K, TEMPERATURE, RATE, G = sp.symbols("n eta_p K T kappa g", positive=True)
LAM = sp.Symbol("lam", nonnegative=True)
V, DP, DC, MEAN = sp.symbols("v dp dc m", real=True)
ELAPSED = sp.Symbol("s", positive=True)

PULL = ETA_P * N * G / K
M_RATE = (
    PULL * G / (RATE + LAM) - RATE
)  # eta_p mu, from the characteristic equation (kappa + lam)(kappa + eta_p mu) = ...
BLOCK = sp.Matrix([G * DP - LAM * DC, PULL * DC - M_RATE * DP])  # rates of delta c and delta p (1.4)
COORDINATE = DP + PULL / (RATE + LAM) * DC


def by_the_model() -> tuple[sp.Matrix, sp.Matrix]:
    """Rates of two opposite perturbations (delta c, -delta c) and delta p by the model (K = 2), and by the block."""
    model = mechanisms(("a", "b"))
    c_a, c_b, odds = model.states
    fixed = {c_a: 1 - G, c_b: 1 - G, odds: sp.S(0)}
    fixed |= {model.param(f"{kind}_{name}"): value for kind, value in (("rate", 1), ("fidelity", 1)) for name in "ab"}
    fixed |= {model.param(f"bits_{name}"): sp.S(0) for name in "ab"}
    fixed |= {model.param("lam"): LAM, model.param("mu"): M_RATE.subs(K, 2) / ETA_P}
    fixed |= {model.param("diversity"): N, model.param("gate_rate"): ETA_P}
    jacobian = model.jacobian().applyfunc(lambda e: e.rewrite(sp.log).subs(fixed))
    content, reliance = BLOCK.subs(K, 2)
    moved = jacobian * sp.Matrix([DC, -DC, 4 * DP])  # the log-odds change by 4 delta p at p = 1/2
    return moved, sp.Matrix([content, -content, 4 * reliance])


VARIANCE = TEMPERATURE / RATE * (sp.exp(2 * RATE * ELAPSED) - 1)
FINAL = normal(V * sp.sqrt(RATE / TEMPERATURE))
SPREAD = 1 - sp.exp(-2 * RATE * ELAPSED)
BY_THEN = normal(V * sp.sqrt(RATE / TEMPERATURE) / sp.sqrt(SPREAD))


def backward(probability: sp.Expr) -> sp.Expr:
    """The generator of dv = kappa v dt + sqrt(2T) dW."""
    return RATE * V * sp.diff(probability, V) + TEMPERATURE * sp.diff(probability, V, 2)


# ---------------------------------------------------------------- along the joint trajectory

X, Y, GROWTH, AHEAD = sp.symbols("x y k h", positive=True)


def accumulated(x: sp.Expr) -> sp.Expr:
    """The antiderivative in x of 2 cosh(k (x - y))^2/x."""
    angle = 2 * GROWTH * Y
    return sp.log(x) + sp.cosh(angle) * sp.Chi(2 * GROWTH * x) - sp.sinh(angle) * sp.Shi(2 * GROWTH * x)


def crossed(x: sp.Expr) -> sp.Expr:
    """The antiderivative in x of 2 cosh(k (x - y)) sinh(k (x - y))/x."""
    angle = 2 * GROWTH * Y
    return sp.cosh(angle) * sp.Shi(2 * GROWTH * x) - sp.sinh(angle) * sp.Chi(2 * GROWTH * x)


def variance(growth: sp.Expr, y: sp.Expr) -> sp.Expr:
    """Var delta p at g = y."""
    chi = sp.Chi(2 * growth) - sp.Chi(2 * growth * y)
    shi = sp.Shi(2 * growth) - sp.Shi(2 * growth * y)
    bracket = -sp.log(y) + sp.cosh(2 * growth * y) * chi - sp.sinh(2 * growth * y) * shi
    return K * TEMPERATURE * bracket


KICK = 2 * sp.cosh(GROWTH * (X - Y)) ** 2 / X
VAR_P = variance(GROWTH, Y)
COV = K * TEMPERATURE * (crossed(sp.S(1)) - crossed(Y))
VAR_V = VAR_P - 2 * K * TEMPERATURE * sp.log(1 / Y)


def in_time(expr: sp.Expr) -> sp.Expr:
    """d/dt, y' = -y/K."""
    return -Y / K * sp.diff(expr, Y)


DRIVE = GROWTH / K * Y  # kappa g of 1.4
U0, SIZE = sp.symbols("u_0 S", positive=True)

CLAIMS = (
    _claim("unstable_block", "the block is the Jacobian of the model (K = 2; every K: 1.4)", *by_the_model()),
    _claim(
        "unstable_coordinate",
        "v moves by itself at the rate kappa, and has the noise of delta p",
        COORDINATE.diff(DC) * BLOCK[0] + COORDINATE.diff(DP) * BLOCK[1],
        RATE * COORDINATE,
    ),
    _claim(
        "unstable_eigenvalue",
        "kappa is an eigenvalue of the block: its characteristic polynomial vanishes",
        (RATE * sp.eye(2) - BLOCK.jacobian([DC, DP])).det(),
        sp.S(0),
    ),
    _claim(
        "outcome_variance",
        "the variance of v solves Var' = 2 kappa Var + 2T and starts at 0",
        sp.Matrix([sp.diff(VARIANCE, ELAPSED), VARIANCE.subs(ELAPSED, 0)]),
        sp.Matrix([2 * RATE * VARIANCE + 2 * TEMPERATURE, 0]),
    ),
    _claim("outcome_backward", "Phi(v sqrt(kappa/T)) solves the backward equation", backward(FINAL), sp.S(0)),
    _limit("outcome_right", "and is 1 far on the right", FINAL, V, sp.oo, sp.S(1)),
    _limit("outcome_left", "and 0 far on the left", FINAL, V, -sp.oo, sp.S(0)),
    _claim(
        "outcome_in_time",
        "P(v(t) > 0) solves the backward equation in time",
        sp.diff(BY_THEN, ELAPSED),
        backward(BY_THEN),
    ),
    _claim(
        "outcome_normal",
        "its argument is the mean over the standard deviation (squared)",
        V**2 * sp.exp(2 * RATE * ELAPSED) / VARIANCE,
        V**2 * RATE / TEMPERATURE / SPREAD,
    ),
    _limit(
        "outcome_late", "1 - e^(-2 kappa t) tends to 1: in the end it is P(v to inf)", SPREAD, ELAPSED, sp.oo, sp.S(1)
    ),
    _claim(
        "kicks",
        "the antiderivative of the squared growth of a kick at x",
        sp.diff(accumulated(X), X),
        KICK,
    ),
    _claim(
        "kicks_variance",
        "Var delta p is KT times its increase from y to 1",
        VAR_P,
        K * TEMPERATURE * (accumulated(sp.S(1)) - accumulated(Y)),
    ),
    _claim(
        "moment_reliance",
        "the moment equations: Var delta p",
        in_time(VAR_P),
        2 * DRIVE * COV + 2 * TEMPERATURE,
    ),
    _claim("moment_cross", "the covariance of delta p and v", in_time(COV), DRIVE * (VAR_P + VAR_V)),
    _claim("moment_content", "and Var v", in_time(VAR_V), 2 * DRIVE * COV),
    _claim(
        "moment_start",
        "all of them 0 at the start, y = 1",
        sp.Matrix([VAR_P, COV, VAR_V]).subs(Y, 1),
        sp.zeros(3, 1),
    ),
    _claim(
        "leader",
        "P(positive) of a normal variable rises with its mean at the density of 0",
        sp.diff(normal(MEAN / SIZE), MEAN),
        sp.exp(-(MEAN**2) / (2 * SIZE**2)) / sp.sqrt(2 * sp.pi) / SIZE,
    ),
    _limit("leader_start", "and is 0 far on the left", normal(MEAN / SIZE), MEAN, -sp.oo, sp.S(0)),
    _claim(
        "rises",
        "a kick's squared growth rises with k, with x = y + h",
        sp.diff(KICK, GROWTH).subs(X, Y + AHEAD),
        2 * AHEAD * sp.sinh(2 * GROWTH * AHEAD) / (Y + AHEAD),
    ),
    Claim(
        name="rises_sign",
        statement="which is positive: Var rises with n",
        kind="inequality",
        expr=sp.diff(KICK, GROWTH).subs(X, Y + AHEAD),
        strict=True,
        derivation=SOURCE,
    ),
    _limit(
        "diffusion",
        "without amplification only diffusion is left, 2Tt with t = K ln(1/y)",
        VAR_P,
        GROWTH,
        sp.S(0),
        2 * K * TEMPERATURE * sp.log(1 / Y),
    ),
    _limit(
        "late",
        "as training goes on Var grows like 2KT ln(1/y) and a constant",
        VAR_P - 2 * K * TEMPERATURE * sp.log(1 / Y),
        Y,
        sp.S(0),
        K * TEMPERATURE * (sp.Chi(2 * GROWTH) - sp.EulerGamma - sp.log(2 * GROWTH)),
    ),
)
