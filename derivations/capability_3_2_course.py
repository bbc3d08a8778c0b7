r"""Capability 3.2: the whole course in training time.

With omega = sqrt(eta_k eta_w) the factors F = kappa/sqrt(eta_k) + w/sqrt(eta_w) and H = kappa/sqrt(eta_k) - w/sqrt(eta_w)
obey F' = omega (b - p) F, H' = -omega (b - p) H, with p = kappa w = omega (F^2 - H^2)/4. So F = F_0 sqrt(q), H = H_0/sqrt(q)
with

.. math:: \dot q = \alpha + \beta q - \gamma q^2, \quad q(0) = 1, \qquad
          \alpha = \tfrac12\omega^2 H_0^2, \quad \beta = 2\omega b, \quad \gamma = \tfrac12\omega^2 F_0^2,

a Riccati equation with constant coefficients. With rho = sqrt(beta^2 + 4 alpha gamma) and E = e^(-rho t),

.. math:: q = \frac{(\rho+\beta) + (\rho-\beta) E + 2\alpha(1-E)}{(\rho-\beta) + (\rho+\beta) E + 2\gamma(1-E)},
          \qquad \frac{1+\alpha t}{1+\gamma t} \quad (\rho = 0),

where rho - |beta| = 4 alpha gamma/(rho + |beta|): sums of positive terms. It holds for balanced starts too.

*The product.* C = omega |kappa^2/eta_k - w^2/eta_w| (|kappa^2 - w^2| for equal rates) gives p' = omega (b - p)
sqrt(C^2 + 4p^2), since omega (F^2 + H^2)/2 is that root. With p = (C/2) sinh(2 artanh x) = C x/(1-x^2) it is
x' = -omega b (x - x_+)(x - x_-), x_pm = (-C pm sqrt(C^2 + 4b^2))/(2b). For C = 0 and p > 0 it is the logistic of rate
2 omega b (Saxe, McClelland and Ganguli 2014, arXiv 1312.6120, for equal rates, both cases).

*Time to a product.* With P = 2p + sqrt(C^2+4p^2), likewise P_b at b, and R = sqrt(C^2 + 4b^2),

.. math:: \omega R\, t = \ln\frac{(P + C^2/P_b)\,(P_b - P_0)}{(P_b - P)\,(P_0 + C^2/P_b)} .

Derivation. rho replaces alpha, so that every residual is rational in E; in the last line P replaces p = (P - C^2/P)/4.
"""

from __future__ import annotations

import sympy as sp

from toymesa.models.capability import (
    ETA_K,
    ETA_W,
    KAPPA,
    B,
    W,
    capability,
    course,
    factors,
    imbalance,
    ratio,
    riccati,
)
from toymesa.symbolic.claims import Claim
from toymesa.symbolic.model import TIME, at_start

Q, RHO, GAMMA, ALPHA, C, P0, OMEGA = sp.symbols("q rho gamma alpha C p0 omega", positive=True)
PB, PP = sp.symbols("P_b P", positive=True)
SPEED, LEFT = sp.symbols("beta E", positive=True)
X, Y = sp.symbols("x p", real=True)
WANTED = sp.Symbol("b", positive=True)
MODEL = capability()


def _claim(name: str, statement: str, lhs: sp.Expr, rhs: sp.Expr) -> Claim:
    return Claim(name=name, statement=statement, kind="identity", lhs=lhs, rhs=rhs, derivation="capability_3_2_course")


def in_rho(beta: sp.Expr) -> tuple[sp.Expr, sp.Expr]:
    """q for that sign of beta, in E = e^(-rho t), and q' - (alpha + beta q - gamma q^2), where dE/dt = -rho E."""
    alpha = (RHO**2 - beta**2) / (4 * GAMMA)
    q = ratio(ALPHA, beta, GAMMA, TIME).subs(sp.sqrt(beta**2 + 4 * ALPHA * GAMMA), RHO).subs(ALPHA, alpha)
    q = q.subs(sp.exp(-RHO * TIME), LEFT)
    return q, -RHO * LEFT * sp.diff(q, LEFT) - (alpha + beta * q - GAMMA * q**2)


STATES = {s: e.replace(sp.Piecewise, lambda *pieces: pieces[-1][0]) for s, e in course(Q).items()}
ALPHA_, BETA_, GAMMA_ = riccati()
CHANGE = ALPHA_ + BETA_ * Q - GAMMA_ * Q**2
PLUS, MINUS = factors(KAPPA, W)
OMEGA_ = sp.sqrt(ETA_K * ETA_W)
ROOT = C * (1 + X**2) / (1 - X**2)  # sqrt(C^2 + 4p^2) for p = C x/(1-x^2), |x| < 1
X_SLOPE = WANTED * (1 - X**2) - C * X
BALANCED = ratio(sp.Integer(0), 2 * OMEGA * WANTED, 2 * OMEGA * P0, TIME)
OF_P = (PP - C**2 / PP) / 4
B_OF = (PB - C**2 / PB) / 4
TIME_SLOPE = 1 / (PP + C**2 / PB) + 1 / (PB - PP)  # d(omega R t)/dP

CLAIMS = (
    *(
        _claim(f"riccati_{label}", f"q solves its Riccati equation (b {label})", in_rho(beta)[1], 0)
        for label, beta in (("positive", SPEED), ("negative", -SPEED))
    ),
    *(
        _claim(f"riccati_start_{label}", f"q(0) = 1 (b {label})", in_rho(beta)[0].subs(LEFT, 1), 1)
        for label, beta in (("positive", SPEED), ("negative", -SPEED))
    ),
    *(
        _claim(
            f"riccati_still_{label}",
            "q solves its Riccati equation (b = 0, balanced)",
            sp.diff(ratio(alpha, sp.Integer(0), gamma, TIME), TIME),
            alpha - gamma * ratio(alpha, sp.Integer(0), gamma, TIME) ** 2,
        )
        for label, alpha, gamma in (("grows", ALPHA, sp.Integer(0)), ("falls", sp.Integer(0), GAMMA))
    ),
    *(
        _claim(
            f"factor_{label}",
            "the factors grow and fall at the rate omega (b - p)",
            factor.subs({KAPPA: MODEL.flow[KAPPA], W: MODEL.flow[W]}, simultaneous=True),
            sign * OMEGA_ * (B - KAPPA * W) * factor,
        )
        for label, factor, sign in (("plus", PLUS, 1), ("minus", MINUS, -1))
    ),
    *(
        _claim(
            f"course_{state.name}",
            f"{state.name}(t) of the closed form solves the flow",
            sp.diff(expr, Q) * CHANGE,
            MODEL.flow[state].subs(STATES, simultaneous=True),
        )
        for state, expr in STATES.items()
    ),
    *(
        _claim(
            f"course_start_{state.name}", f"{state.name}(t) starts at {state.name}_0", expr.subs(Q, 1), at_start(state)
        )
        for state, expr in STATES.items()
    ),
    _claim(
        "imbalance_root",
        "C^2 + 4 p^2 is the square of (eta_w kappa^2 + eta_k w^2)/omega",
        OMEGA_**2 * imbalance(KAPPA, W) ** 2 + 4 * (KAPPA * W) ** 2,
        ((ETA_W * KAPPA**2 + ETA_K * W**2) / OMEGA_) ** 2,
    ),
    _claim(
        "product_rate",
        "p' = omega (b - p) sqrt(C^2 + 4 p^2)",
        MODEL.flow[KAPPA] * W + MODEL.flow[W] * KAPPA,
        OMEGA_ * (B - KAPPA * W) * (ETA_W * KAPPA**2 + ETA_K * W**2) / OMEGA_,
    ),
    _claim(
        "half_angle",
        "(C/2) sinh(2 artanh x) = C x/(1-x^2)",
        C / 2 * sp.sinh(2 * sp.atanh(X)).expand(trig=True),
        C * X / (1 - X**2),
    ),
    _claim("root_in_x", "sqrt(C^2+4p^2) = C (1+x^2)/(1-x^2)", ROOT**2, C**2 + 4 * (C * X / (1 - X**2)) ** 2),
    _claim(
        "x_rate",
        "x' = b (1-x^2) - C x gives p' = (b - p) sqrt(C^2 + 4p^2) (omega = 1)",
        sp.diff(C * X / (1 - X**2), X) * X_SLOPE,
        (WANTED - C * X / (1 - X**2)) * ROOT,
    ),
    _claim(
        "x_roots",
        "x' = -b (x - x_+)(x - x_-)",
        X_SLOPE,
        -WANTED
        * (X - (-C + sp.sqrt(C**2 + 4 * WANTED**2)) / (2 * WANTED))
        * (X - (-C - sp.sqrt(C**2 + 4 * WANTED**2)) / (2 * WANTED)),
    ),
    _claim(
        "logistic",
        "balanced (C = 0), p = p_0 q is the logistic of rate 2 omega b",
        P0 * BALANCED,
        WANTED / (1 + (WANTED / P0 - 1) * sp.exp(-2 * OMEGA * WANTED * TIME)),
    ),
    _claim(
        "time_rate",
        "dt/dp = 1/(omega (b-p) sqrt(C^2+4p^2))",
        TIME_SLOPE / ((PB + C**2 / PB) / 2) / sp.diff(OF_P, PP),
        1 / ((B_OF - OF_P) * (PP + C**2 / PP) / 2),
    ),
)
