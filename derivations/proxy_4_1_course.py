r"""Proxy alignment 4.1: the course of the weights, and the time it takes to leave the proxy.

w' = -Sigma (w - w*), w* = (1, 0), so w(t) = (1 - e^(-Sigma t)) w* + e^(-Sigma t) w_0, with the eigenvalues

.. math:: \lambda_{1,2} = \frac{1+\alpha^2}{2} \pm \sqrt{\Bigl(\frac{1-\alpha^2}{2}\Bigr)^2 + \alpha^2\rho^2}, \qquad
          \lambda_1\lambda_2 = \alpha^2 (1-\rho^2).

As rho -> +-1 the slow one is (1 - rho^2) alpha^2/(1 + alpha^2) to leading order, and never less than that: the time
ln(1/f)/lambda_2, in which the slow direction falls to the fraction f, diverges as 1/(1 - rho^2). At |rho| = 1 it never
falls: the direction w_true + alpha rho w_proxy = constant is a line of fixed points (drift). Under descent by steps the
largest stable step is 2/lambda_1; heavy ball is critically damped for the slow direction at friction 2 sqrt(lambda_2).
"""

from __future__ import annotations

from typing import Any

import sympy as sp

from toymesa.models.proxy import ALPHA, PROXY, REST, RHO, TRUE, proxy
from toymesa.symbolic.claims import Claim
from toymesa.symbolic.entire import PairFunction
from toymesa.symbolic.model import TIME, at_start
from toymesa.symbolic.optimizers import Descent, HeavyBall, Preconditioned

HERE = "proxy_4_1_course"
FRICTION, STEP, SPEED = sp.symbols("friction step speed", positive=True)
SIGMA = sp.Symbol("sigma")
MODEL = proxy()
CASES = {
    "flow": MODEL,
    "steps": proxy(optimizer=Descent(STEP), params={STEP: 0.1}),
    "momentum": proxy(optimizer=HeavyBall(FRICTION), params={FRICTION: 1.0}),
    "preconditioned": proxy(optimizer=Preconditioned({PROXY: SPEED}), params={SPEED: 2.0}),
}
COVARIANCE = sp.Matrix([[1, ALPHA * RHO], [ALPHA * RHO, ALPHA**2]])
LAW_OVER = (1 - RHO**2) * ALPHA**2 / (1 + ALPHA**2) ** 2
ROOT = sp.sqrt(((1 - ALPHA**2) / 2) ** 2 + ALPHA**2 * RHO**2)
FAST, SLOW = (1 + ALPHA**2) / 2 + ROOT, (1 + ALPHA**2) / 2 - ROOT
NEAR = (1 + ALPHA**2) / 2 * (1 + sp.sqrt(1 - 4 * LAW_OVER))  # lambda_1, written from rho = 1
LAW = (1 - RHO**2) * ALPHA**2 / (1 + ALPHA**2)
FRACTION = sp.Symbol("f", positive=True)
LEFT = sp.log(1 / FRACTION)
TIME_TO_LEAVE = LEFT / SLOW
GAP = sp.Symbol("g", positive=True)  # 1 - rho
W = sp.Matrix([TRUE, PROXY])
BASE = sp.Matrix([1, 0])
FROM_ZERO = {at_start(TRUE): 0, at_start(PROXY): 0}


def _claim(name: str, statement: str, lhs: Any, rhs: Any) -> Claim:
    return Claim(name=name, statement=statement, kind="identity", lhs=lhs, rhs=rhs, derivation=HERE)


def _limit(name: str, statement: str, expr: sp.Expr, value: Any) -> Claim:
    return Claim(
        name=name, statement=statement, kind="limit", expr=expr.subs(RHO, 1 - GAP), variable=GAP, target=0, value=value,
        derivation=HERE,
    )  # fmt: skip


PAIR = next(iter(MODEL.closed_forms[0].states[TRUE].atoms(PairFunction))).args

CLAIMS = (
    *(
        Claim(
            name=f"solution_{name}", statement=f"the closed form solves the model ({name})", kind="solution", model=m,
            solution=m.closed_forms[0].states, derivation=HERE,
        )
        for name, m in CASES.items()
    ),
    _claim("flow", "w' = -Sigma (w - w*)", sp.Matrix(list(MODEL.flow.values())), -COVARIANCE * (W - BASE)),
    _claim(
        "loss", "the base loss is (w - w*).Sigma (w - w*)/2",
        MODEL.observables["loss"], ((W - BASE).T * COVARIANCE * (W - BASE))[0] / 2,
    ),
    Claim(name="loss_falls", statement="the base loss never rises", kind="lyapunov", model=MODEL, derivation=HERE),
    Claim(name="rest", statement="w* is at rest", kind="fixed_point", model=MODEL, point=REST, derivation=HERE),
    _claim(
        "fast_and_slow", "lambda_1 and lambda_2 are the eigenvalues",
        (COVARIANCE - SIGMA * sp.eye(2)).det(), (SIGMA - FAST) * (SIGMA - SLOW),
    ),
    _claim(
        "near", "lambda_1 written from rho = 1: both forms of the square root have the same square",
        (NEAR - (1 + ALPHA**2) / 2) ** 2, ROOT**2,
    ),
    _claim("product", "lambda_1 lambda_2 = alpha^2 (1 - rho^2)", FAST * SLOW, ALPHA**2 * (1 - RHO**2)),
    _claim("pair_half", "the closed form uses their mean", PAIR[0], -(FAST + SLOW) / 2),
    _claim("pair_gap", "... their gap", PAIR[1], ((FAST - SLOW) / 2) ** 2),
    _claim("pair_product", "... and their product", PAIR[2], FAST * SLOW),
    _limit("slow_law", "lambda_2/(1 - rho^2) = alpha^2/lambda_1 -> alpha^2/(1 + alpha^2)", ALPHA**2 / NEAR, LAW / (1 - RHO**2)),
    _claim(
        "law_bound", "lambda_2 (1 + alpha^2 - lambda_2) = alpha^2 (1 - rho^2): the law is a lower bound",
        SLOW * (1 + ALPHA**2 - SLOW), (1 + ALPHA**2) * LAW,
    ),
    _limit(
        "divergence", "(1 - rho^2) times the time to leave the proxy -> (1 + 1/alpha^2) ln(1/f)",
        (TIME_TO_LEAVE * SLOW) * NEAR / ALPHA**2, LEFT * (1 + ALPHA**-2),
    ),
    _claim(
        "drift", "at rho = 1 every point of w_true + alpha w_proxy = 1 is at rest",
        sp.Matrix(list(MODEL.flow.values())).subs({RHO: 1, TRUE: 1 - ALPHA * PROXY}), sp.zeros(2, 1),
    ),
    Claim(
        name="drift_kept", statement="at rho = 1 alpha w_true - w_proxy never changes", kind="invariant", model=MODEL,
        expr=ALPHA * TRUE - PROXY, where={RHO: 1}, derivation=HERE,
    ),
    _claim(
        "edge_of_stability", "descent at h = 2/lambda_1 turns the fast direction round at every step",
        (CASES["steps"].jacobian().subs(STEP, 2 / FAST) + sp.eye(2)).det(), 0,
    ),
    _claim(
        "critical_damping", "heavy ball at friction 2 sqrt(lambda_2): both roots of the slow direction are -sqrt(lambda_2)",
        SIGMA**2 + 2 * sp.sqrt(SLOW) * SIGMA + SLOW, (SIGMA + sp.sqrt(SLOW)) ** 2,
    ),
    _claim(
        "momentum_polynomial", "heavy ball: sigma^2 + friction sigma is minus an eigenvalue of Sigma",
        CASES["momentum"].jacobian().charpoly(SIGMA).as_expr(),
        sp.expand((COVARIANCE + (SIGMA**2 + FRICTION * SIGMA) * sp.eye(2)).det()),
    ),
    _claim(
        "early", "from w_0 = 0 the proxy gains alpha rho t and the true feature t at first",
        sp.Matrix([sp.diff(e, TIME).subs({TIME: 0, **FROM_ZERO}) for e in MODEL.closed_forms[0].states.values()]),
        sp.Matrix([1, ALPHA * RHO]),
    ),
)  # fmt: skip
