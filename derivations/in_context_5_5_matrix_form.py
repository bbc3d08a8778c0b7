r"""In context 5.5: the matrix form of Zhang, Frei and Bartlett (2023, arXiv 2306.09927).

One linear-attention layer with a scalar value u and a d x d key-query V applies the preconditioner P = u V. Gradient flow
on L = E|error|^2/2 = d l (derivation 5.4),

.. math:: \dot u = \operatorname{tr} \Lambda V\Lambda - u \operatorname{tr} V^T\Lambda V\,\Lambda\Gamma, \qquad
    \dot V = u\,(\Lambda^2 - u\,\Lambda V\,\Lambda\Gamma),

rests where u V = Gamma^(-1): it builds the preconditioner. For Lambda = I from V = v I it stays there, u' = d (1 - gamma
u v) v, v' = (1 - gamma u v) u with gamma = 1 + (d+1+sigma^2)/n, and balanced, u = sqrt(d) v, the product p = u v is

.. math:: \dot p = 2\sqrt d\,p\,(1 - \gamma p), \qquad
    p(t) = \frac{1/\gamma}{1 + (1/(\gamma p_0) - 1)\,e^{-2\sqrt d\,t}} .

In the model it is ``rate_value`` = d: l = L/d, and the d diagonal entries of V share the gradient of v.

Derivation. With matrices of size 2 and 3 for the flow; the logistic by differentiation.
"""

from __future__ import annotations

import sympy as sp

from toymesa.models.in_context import ETA_U, ETA_V, NOISE, D, N, in_context, spread
from toymesa.models.in_context import U as VALUE
from toymesa.models.in_context import V as KEY
from toymesa.symbolic.claims import Claim
from toymesa.symbolic.model import TIME

U, P0, W = sp.symbols("u p0 v", positive=True)
ROOT = sp.Symbol("rootd", positive=True)
MODEL = in_context()


def _claim(name: str, statement: str, kind: str = "identity", **what: object) -> Claim:
    return Claim(name=name, statement=statement, kind=kind, derivation="in_context_5_5_matrix_form", **what)


def pair(size: int, white: bool) -> tuple[sp.Matrix, sp.Matrix, sp.Matrix, sp.Expr]:
    """Lambda, Gamma, a free V, and the loss L of u V."""
    variances = [sp.Integer(1)] * size if white else list(sp.symbols(f"lambda_1:{size + 1}", positive=True))
    l, g = sp.diag(*variances), sp.diag(*spread(variances, N, NOISE))
    v = sp.Matrix(size, size, sp.symbols(f"v_1:{size * size + 1}", real=True))
    p = U * v
    return l, g, v, (l - l * (p + p.T) * l + p.T * l * p * l * g).trace() / 2


def descent(size: int, white: bool) -> tuple[sp.Expr, sp.Matrix, sp.Matrix]:
    """u' and V', and V."""
    _, _, v, loss = pair(size, white)
    return -sp.diff(loss, U), -v.applyfunc(lambda e: sp.diff(loss, e)), v


LAMBDA, GAMMA, FREE, _ = pair(2, False)
RATE_U, RATE_V, _ = descent(2, False)
AT_REST = dict(zip(FREE, GAMMA.inv() / U, strict=True))
WHITE = 1 + (D + 1 + NOISE) / N


def on_identity(size: int) -> tuple[sp.Expr, sp.Matrix]:
    rate_u, rate_v, v = descent(size, True)
    here = dict(zip(v, W * sp.eye(size), strict=True))
    return rate_u.subs(here), rate_v.subs(here)


P = (1 / WHITE) / (1 + (1 / (WHITE * P0) - 1) * sp.exp(-2 * ROOT * TIME))

CLAIMS = (
    _claim(
        "matrix_flow_value",
        "u' is the trace formula",
        lhs=RATE_U,
        rhs=(LAMBDA * FREE * LAMBDA).trace() - U * (FREE.T * LAMBDA * FREE * LAMBDA * GAMMA).trace(),
    ),
    _claim(
        "matrix_flow_key",
        "V' = u (Lambda^2 - u Lambda V Lambda Gamma)",
        lhs=RATE_V,
        rhs=U * (LAMBDA**2 - U * LAMBDA * FREE * LAMBDA * GAMMA),
    ),
    _claim("matrix_rest_value", "u rests at u V = Gamma^-1", lhs=RATE_U.subs(AT_REST), rhs=0),
    _claim("matrix_rest_key", "V rests at u V = Gamma^-1", lhs=RATE_V.subs(AT_REST), rhs=sp.zeros(2, 2)),
    *(
        _claim(
            f"matrix_white_{name}_{size}",
            f"white inputs, V = v I, d = {size}",
            lhs=on_identity(size)[i],
            rhs=rhs.subs(D, size) if i == 0 else rhs.subs(D, size) * sp.eye(size),
        )
        for size in (2, 3)
        for i, name, rhs in ((0, "value", D * (1 - WHITE * U * W) * W), (1, "key", (1 - WHITE * U * W) * U))
    ),
    *(
        _claim(
            f"matrix_model_{state.name}",
            "the model with rate_value = d is that flow",
            lhs=MODEL.flow[state].subs({ETA_U: D, ETA_V: 1, VALUE: U, KEY: W}),
            rhs=rhs,
        )
        for state, rhs in ((VALUE, D * (1 - WHITE * U * W) * W), (KEY, (1 - WHITE * U * W) * U))
    ),
    _claim(
        "matrix_product",
        "balanced, u = sqrt(d) v: p' = 2 sqrt(d) p (1 - gamma p)",
        lhs=(D * (1 - WHITE * U * W) * W * W + (1 - WHITE * U * W) * U * U).subs(U, ROOT * W).subs(D, ROOT**2),
        rhs=(2 * ROOT * (ROOT * W**2) * (1 - WHITE * ROOT * W**2)).subs(D, ROOT**2),
    ),
    _claim("matrix_logistic", "the logistic solves it", lhs=sp.diff(P, TIME), rhs=2 * ROOT * P * (1 - WHITE * P)),
    _claim("matrix_logistic_start", "and starts at p_0", lhs=P.subs(TIME, 0), rhs=P0),
)
