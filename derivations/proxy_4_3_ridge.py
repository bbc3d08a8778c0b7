r"""Proxy alignment 4.3: stopping at time t against ridge regression with the penalty 1/t.

Along an eigenvector of eigenvalue lambda the flow has learned 1 - e^(-x) of the target, x = lambda t, and ridge with the
penalty 1/t (towards the same start) x/(1+x). Their ratio f(x) = (1 - e^(-x))(1 + x)/x has

    f'(x) = [e^(-x)(1 + x + x^2) - 1]/x^2,  and  h(x) = x - ln(1 + x + x^2),  h'(x) = x(x - 1)/(1 + x + x^2):

h falls to x = 1 and rises from there, so that f has one stationary point x* > 1, a maximum, and there
f = (1 + x)^2/(1 + x + x^2), which falls with x > 1. The bracket 1.79328 < x* < 1.79329 gives max f = 1.29843 (Ali, Kolter and
Tibshirani 2019 print 1.2985). What is left to learn is smaller for the flow, e^(-x) <= 1/(1+x); so its
expected risk (bias and variance of every direction) is at most 1.29843^2 = 1.6859 times that of ridge, whatever the
covariance (they print 1.6862).
"""

from __future__ import annotations

from typing import Any

import sympy as sp

from toymesa.symbolic.claims import Claim

HERE = "proxy_4_3_ridge"
X = sp.Symbol("x", positive=True)
FLOW, RIDGE = 1 - sp.exp(-X), X / (1 + X)
RATIO = FLOW / RIDGE
HEIGHT = X - sp.log(1 + X + X**2)
TOP = (1 + X) ** 2 / (1 + X + X**2)
LOW, HIGH = sp.Rational(179328, 100000), sp.Rational(179329, 100000)
BOUND = sp.Rational(129843, 100000)
DIGIT = sp.Rational(1, 100000)


def _claim(name: str, statement: str, lhs: Any, rhs: Any) -> Claim:
    return Claim(name=name, statement=statement, kind="identity", lhs=lhs, rhs=rhs, derivation=HERE)


def _positive(name: str, statement: str, expr: sp.Expr) -> Claim:
    return Claim(name=name, statement=statement, kind="inequality", expr=expr, strict=True, derivation=HERE)


CLAIMS = (
    _claim("slope", "f' = [e^(-x)(1 + x + x^2) - 1]/x^2", sp.diff(RATIO, X), (sp.exp(-X) * (1 + X + X**2) - 1) / X**2),
    _claim("height", "h' = x(x - 1)/(1 + x + x^2)", sp.diff(HEIGHT, X), X * (X - 1) / (1 + X + X**2)),
    _positive("below", "h < 0 at 1.79328: f still rises", -HEIGHT.subs(X, LOW)),
    _positive("above", "h > 0 at 1.79329: f falls", HEIGHT.subs(X, HIGH)),
    _claim(
        "at_the_top", "where e^(-x) = 1/(1 + x + x^2), f = (1 + x)^2/(1 + x + x^2)",
        (1 - 1 / (1 + X + X**2)) / RIDGE, TOP,
    ),
    _claim("top_slope", "which falls for x > 1", sp.diff(TOP, X), -(X + 1) * (X - 1) / (1 + X + X**2) ** 2),
    _positive("bound", "so max f < 1.29843 + 5e-6", BOUND + DIGIT / 2 - TOP.subs(X, LOW)),
    _positive("bound_reached", "and max f > 1.29843 - 5e-6", TOP.subs(X, HIGH) - BOUND + DIGIT / 2),
    _claim("left_to_learn", "d/dx [x - ln(1+x)] = x/(1+x) >= 0: e^(-x) <= 1/(1+x)", sp.diff(X - sp.log(1 + X), X), RIDGE),
    Claim(name="short", statement="f -> 1 as x -> 0", kind="limit", expr=RATIO, variable=X, target=0, value=1, derivation=HERE),
    Claim(
        name="long", statement="f -> 1 as x -> infinity", kind="limit", expr=RATIO, variable=X, target=sp.oo, value=1,
        direction="-", derivation=HERE,
    ),
    _positive("risk", "the risk bound: 1.29843^2 < 1.6862", sp.Rational(16862, 10000) - BOUND**2),
)  # fmt: skip
