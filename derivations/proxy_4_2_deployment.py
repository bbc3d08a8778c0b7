r"""Proxy alignment 4.2: the deployment loss along the way, and the times at which it is stationary.

With any deployment covariance Sigma_d and the base target realizable there (w_d = w*), the deviation is
w - w* = u_1 e^(-lambda_1 t) + u_2 e^(-lambda_2 t), u_i its parts along the eigenvectors of Sigma, and

.. math:: L_d = A e^{-2\lambda_1 t} + B e^{-(\lambda_1+\lambda_2)t} + C e^{-2\lambda_2 t}, \qquad
          A = \tfrac12 u_1^T\Sigma_d u_1,\; B = u_1^T\Sigma_d u_2,\; C = \tfrac12 u_2^T\Sigma_d u_2.

    dL_d/dt = -e^(-2 lambda_2 t) [2 lambda_1 A y^2 + (lambda_1 + lambda_2) B y + 2 lambda_2 C],  y = e^(-(lambda_1-lambda_2) t):

a quadratic in y, so at most two stationary times. It ends at 0, but can rise above its start on the way: from w_0 = 0 its
first slope is -(s_1^2 + alpha rho r s_1 s_2), positive where the correlation is reversed in deployment and the proxy
large (witness below). Then stopping early is worse than not training at all.

With a shifted target, w_d = w* + d, the loss is that plus -d.Sigma_d (u_1 e^(-lambda_1 t) + u_2 e^(-lambda_2 t)) + a
constant; with label noise of variance s^2 and n samples whose covariance is Sigma (a fixed design), the expected loss
gains (s^2/2n) sum_i q_i (1 - e^(-lambda_i t))^2/lambda_i, q_i = e_i.Sigma_d e_i. Its slope is positive for all t > 0: an
interior best stopping time needs one of the two.
"""

from __future__ import annotations

from typing import Any

import sympy as sp

from toymesa.models.proxy import (
    ALPHA,
    DEPLOY_PROXY,
    DEPLOY_RHO,
    DEPLOY_TRUE,
    PROXY,
    RHO,
    TARGET_PROXY,
    TARGET_TRUE,
    TRUE,
    proxy,
)
from toymesa.symbolic.claims import Claim
from toymesa.symbolic.model import TIME

HERE = "proxy_4_2_deployment"
MODEL = proxy()
LOSS = MODEL.observables["deployment_loss"]
L2, EXTRA = sp.symbols("lambda_2 delta", positive=True)
L1 = L2 + EXTRA
U11, U12, U21, U22, D1, D2 = sp.symbols("u_11 u_12 u_21 u_22 d_1 d_2", real=True)
U1, U2, SHIFT = sp.Matrix([U11, U12]), sp.Matrix([U21, U22]), sp.Matrix([D1, D2])
E1, E2 = sp.exp(-L1 * TIME), sp.exp(-L2 * TIME)
CROSS = DEPLOY_RHO * DEPLOY_TRUE * DEPLOY_PROXY
DEPLOYED = sp.Matrix([[DEPLOY_TRUE**2, CROSS], [CROSS, DEPLOY_PROXY**2]])
A, B, C = (U1.T * DEPLOYED * U1)[0] / 2, (U1.T * DEPLOYED * U2)[0], (U2.T * DEPLOYED * U2)[0] / 2
Y = sp.exp(-EXTRA * TIME)
COURSE = A * E1**2 + B * E1 * E2 + C * E2**2
HOME = {TARGET_TRUE: 1, TARGET_PROXY: 0}
DEVIATION = U1 * E1 + U2 * E2
ON_THE_WAY = {TRUE: 1 + DEVIATION[0], PROXY: DEVIATION[1]}
NOISE, SAMPLES, Q1, Q2 = sp.symbols("noise n q_1 q_2", positive=True)
SPREAD = NOISE / (2 * SAMPLES) * (Q1 * (1 - E1) ** 2 / L1 + Q2 * (1 - E2) ** 2 / L2)
SLOPE = sum(sp.diff(LOSS, s) * e for s, e in MODEL.flow.items())
WITNESS = {ALPHA: 2, RHO: sp.Rational(9, 10), DEPLOY_TRUE: 1, DEPLOY_PROXY: 2, DEPLOY_RHO: -sp.Rational(9, 10)}


def _claim(name: str, statement: str, lhs: Any, rhs: Any) -> Claim:
    return Claim(name=name, statement=statement, kind="identity", lhs=lhs, rhs=rhs, derivation=HERE)


CLAIMS = (
    _claim(
        "course", "the deployment loss is A e^(-2 l1 t) + B e^(-(l1+l2) t) + C e^(-2 l2 t)",
        LOSS.subs(HOME).subs(ON_THE_WAY), COURSE,
    ),
    _claim(
        "stationary", "its slope is a quadratic in y = e^(-(l1-l2) t)",
        sp.diff(COURSE, TIME), -(E2**2) * (2 * L1 * A * Y**2 + (L1 + L2) * B * Y + 2 * L2 * C),
    ),
    Claim(
        name="end", statement="a realizable target is reached: it ends at 0", kind="limit",
        expr=(Q1 * E1**2 + D1 * E1 * E2 + Q2 * E2**2), variable=TIME, target=sp.oo, value=0, direction="-", derivation=HERE,
    ),
    _claim(
        "first_slope", "from w_0 = 0 the first slope is -(s_1^2 + alpha rho r s_1 s_2)",
        SLOPE.subs(HOME).subs({TRUE: 0, PROXY: 0}), -(DEPLOY_TRUE**2 + ALPHA * RHO * CROSS),
    ),
    Claim(
        name="rises", statement="it can rise above its start", kind="inequality", strict=True,
        expr=SLOPE.subs(HOME).subs({TRUE: 0, PROXY: 0}).subs(WITNESS), derivation=HERE,
    ),
    _claim(
        "shifted", "with a shifted target d: plus -d.Sigma_d u e^(-lambda t), plus a constant",
        LOSS.subs({TARGET_TRUE: 1 + D1, TARGET_PROXY: D2}).subs(ON_THE_WAY),
        COURSE - (SHIFT.T * DEPLOYED * DEVIATION)[0] + (SHIFT.T * DEPLOYED * SHIFT)[0] / 2,
    ),
    _claim(
        "noise_slope", "the slope of the noise term is (s^2/n) sum q_i e^(-l_i t)(1 - e^(-l_i t))",
        sp.diff(SPREAD, TIME), NOISE / SAMPLES * (Q1 * E1 * (1 - E1) + Q2 * E2 * (1 - E2)),
    ),
    Claim(
        name="noise_end", statement="each direction ends at the risk of least squares, (s^2/2n) q_i/lambda_i", kind="limit",
        expr=SPREAD.subs(Q1, 0), variable=TIME, target=sp.oo, value=NOISE / (2 * SAMPLES) * Q2 / L2, direction="-",
        derivation=HERE,
    ),
    Claim(
        name="noise_flat", statement="a direction without variance in training collects no noise", kind="limit",
        expr=(1 - E2) ** 2 / L2, variable=L2, target=0, value=0, derivation=HERE,
    ),
)  # fmt: skip
