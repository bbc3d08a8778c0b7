r"""In context 5.4: one inner step with any covariance, any preconditioner, and a misaligned mesa-objective.

Inputs with covariance Lambda. For symmetric A

.. math:: \mathbb{E}\, S A S = \frac{(n+1)\,\Lambda A\Lambda + \operatorname{tr}(\Lambda A)\,\Lambda}{n},

so with Gamma = (1+1/n) Lambda + (tr Lambda + sigma^2)/n I one step with the preconditioner P has the loss

.. math:: \ell(P) = \tfrac1{2d}\operatorname{tr}\bigl[\Lambda - \Lambda(P+P^T)\Lambda + P^T\Lambda P\,\Lambda\Gamma\bigr],

whose minimum is at P = Gamma^(-1). The step size alone (P = eta I) is best at tr Lambda^2 / tr Lambda^2 Gamma.

A mesa-objective on weighted features, sum (y_i - w . M x_i)^2/(2n) with the action w . M x, is in one step of size eta
the preconditioner P = eta M^2. Its best step, and what it cannot reach,

.. math:: \eta^* = \frac{\operatorname{tr}\Lambda M^2\Lambda}{\operatorname{tr} M^2\Lambda M^2\Lambda\Gamma}, \qquad
    \ell^* = \tfrac1{2d}\Bigl[\operatorname{tr}\Lambda
        - \frac{(\operatorname{tr}\Lambda M^2\Lambda)^2}{\operatorname{tr} M^2\Lambda M^2\Lambda\Gamma}\Bigr],

is the loss of the best preconditioner if M^2 is proportional to Gamma^(-1) (aligned) and more otherwise. In deployment
l(eta* M^2) with other Lambda', n', sigma' is exact as well.

Derivation. The average is computed entry by entry for d = 2 from the moments of normal variables; the other lines are
identities between matrices, in the coordinates in which Lambda is diagonal, with P and M free.
"""

from __future__ import annotations

import itertools

import sympy as sp

from toymesa.models.in_context import NOISE, N, U, V, in_context, quadratic, spread, weighted_step
from toymesa.symbolic.claims import Claim

L = sp.symbols("variance_1 variance_2", positive=True)
M = sp.symbols("weight_1 weight_2", positive=True)
P = sp.Matrix(2, 2, sp.symbols("p_11 p_12 p_21 p_22", real=True))
A = sp.Matrix([sp.symbols("a_11 a_12", real=True), sp.symbols("a_12 a_22", real=True)])
X = sp.symbols("x_1 x_2", real=True)
ETA = sp.Symbol("eta", real=True)
LAMBDA = sp.diag(*L)
GAMMA = sp.diag(*spread(L, N, NOISE))
MODEL = in_context(features=2)


def _claim(name: str, statement: str, kind: str = "identity", **what: object) -> Claim:
    return Claim(name=name, statement=statement, kind=kind, derivation="in_context_5_4_covariance", **what)


def mean(expr: sp.Expr) -> sp.Expr:
    """The average of a polynomial in x ~ N(0, Lambda)."""
    total = sp.Integer(0)
    for powers, c in sp.Poly(expr, *X).terms():
        if all(k % 2 == 0 for k in powers):
            total += c * sp.prod(sp.factorial2(k - 1) * l ** (k // 2) for k, l in zip(powers, L, strict=True))
    return total


def sandwiched(a: sp.Matrix) -> sp.Matrix:
    """E S A S: n terms of one example twice, n(n-1) of two."""
    x = sp.Matrix(X)
    once = (x * (x.T * a * x)[0] * x.T).applyfunc(mean)
    return (N * once + N * (N - 1) * LAMBDA * a * LAMBDA) / N**2


def loss(p: sp.Matrix) -> sp.Expr:
    """E |x.(P (S beta + X^T noise/n) - beta)|^2/(2d), the average over contexts taken as above."""
    pull = p.T * LAMBDA * p
    noisy = NOISE / N * (pull * LAMBDA).trace()
    return (LAMBDA.trace() - 2 * (LAMBDA * p * LAMBDA).trace() + sandwiched(pull).trace() + noisy) / 4


def stated(p: sp.Matrix) -> sp.Expr:
    return (LAMBDA - LAMBDA * (p + p.T) * LAMBDA + p.T * LAMBDA * p * LAMBDA * GAMMA).trace() / 4


MESA = sp.diag(*[m**2 for m in M])
TOP, BOTTOM = (LAMBDA * MESA * LAMBDA).trace(), (MESA * LAMBDA * MESA * LAMBDA * GAMMA).trace()
C0, C1, C2 = weighted_step(L, M, N, NOISE)
BEST = (LAMBDA - LAMBDA**2 * GAMMA.inv()).trace() / 4

CLAIMS = (
    _claim(
        "covariance_sandwich",
        "E S A S = ((n+1) Lambda A Lambda + tr(Lambda A) Lambda)/n",
        lhs=sandwiched(A),
        rhs=((N + 1) * LAMBDA * A * LAMBDA + (LAMBDA * A).trace() * LAMBDA) / N,
    ),
    _claim("covariance_loss", "the loss of one step with a preconditioner", lhs=loss(P), rhs=stated(P)),
    *(
        _claim(
            f"covariance_best_{i + 1}{j + 1}",
            "the loss is stationary at Gamma^-1",
            lhs=sp.diff(stated(P), P[i, j]).subs(dict(zip(P, GAMMA.inv(), strict=True))),
            rhs=0,
        )
        for i, j in itertools.product(range(2), range(2))
    ),
    *(
        _claim(
            f"covariance_minimum_{i + 1}{j + 1}",
            "and a minimum: a sum of squares in the entries of P, each with a positive weight",
            "inequality",
            expr=sp.diff(stated(P), P[i, j], 2),
            strict=True,
        )
        for i, j in itertools.product(range(2), range(2))
    ),
    _claim(
        "covariance_separate",
        "the entries of P do not mix",
        lhs=sp.hessian(stated(P), list(P)) - sp.diag(*[sp.diff(stated(P), e, 2) for e in P]),
        rhs=sp.zeros(4, 4),
    ),
    _claim("covariance_best_loss", "its loss is tr(Lambda - Lambda^2/Gamma)/(2d)", lhs=stated(GAMMA.inv()), rhs=BEST),
    _claim(
        "step_alone",
        "the best step size alone is tr Lambda^2 / tr Lambda^2 Gamma",
        lhs=sp.diff(stated(ETA * sp.eye(2)), ETA).subs(ETA, (LAMBDA**2).trace() / (LAMBDA**2 * GAMMA).trace()),
        rhs=0,
    ),
    _claim(
        "mesa_loss",
        "the model's loss is that of the preconditioner eta M^2",
        lhs=MODEL.observables["loss"],
        rhs=stated(U * V * MESA),
    ),
    _claim(
        "mesa_deployment",
        "and so in deployment",
        lhs=MODEL.observables["deployment_loss"].subs(
            {MODEL.param("deploy_context"): N, MODEL.param("deploy_noise"): NOISE}
        ),
        rhs=stated(U * V * MESA),
    ),
    _claim(
        "mesa_step",
        "its best step is tr(Lambda M^2 Lambda)/tr(M^2 Lambda M^2 Lambda Gamma)",
        lhs=C1 / C2,
        rhs=TOP / BOTTOM,
    ),
    _claim(
        "mesa_best",
        "and its best loss falls short by the ratio stated",
        lhs=quadratic((C0, C1, C2), C1 / C2),
        rhs=(LAMBDA.trace() - TOP**2 / BOTTOM) / 4,
    ),
    _claim(
        "mesa_aligned",
        "M^2 proportional to Gamma^-1 is aligned: the loss of the best preconditioner",
        lhs=(LAMBDA.trace() - TOP**2 / BOTTOM).subs(
            dict(zip(M, [1 / sp.sqrt(g) for g in GAMMA.diagonal()], strict=True))
        )
        / 4,
        rhs=BEST,
    ),
    _claim(
        "mesa_gap",
        "any other M costs (Cauchy-Schwarz): the gap is a square over positive terms",
        lhs=(LAMBDA.trace() - TOP**2 / BOTTOM) / 4 - BEST,
        rhs=L[0] ** 2
        * L[1] ** 2
        * (M[0] ** 2 * GAMMA[0, 0] - M[1] ** 2 * GAMMA[1, 1]) ** 2
        / (4 * GAMMA[0, 0] * GAMMA[1, 1] * BOTTOM),
    ),
)
