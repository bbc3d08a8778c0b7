r"""In context 5.6: separate rank-one heads learn one feature after the other, from saddle to saddle.

A head with a value, a key and a query of its own, aligned with feature i, applies p_i = v_i k_i q_i there. The losses of
diagonal preconditioners add up (derivation 5.4), so the heads do not disturb each other; balanced factors v = k = q = x
stay balanced, and

.. math:: \dot x_i = \frac{\lambda_i^2}{d}\, x_i^2\,(1 - \Gamma_i x_i^3), \qquad
    t = \frac{d}{\lambda_i^2} \int_{x_0}^{x} \frac{d\xi}{\xi^2(1-\Gamma_i\xi^3)} .

so that p = x^3 is a mode of depth 3 (model ``depth``) with the target 1/Gamma, in the time lambda^2 Gamma t/d. From a
small start x_0 a head leaves its plateau at d/(lambda_i^2 x_0), up to a bounded time: the largest variance first.
Every set of learned heads is a fixed point, a saddle as long as one is missing, and after m heads the loss is

.. math:: \ell_m = \tfrac1{2d}\Bigl[\operatorname{tr}\Lambda - \sum_{i\le m}
    \frac{\lambda_i}{1 + (1 + (\operatorname{tr}\Lambda + \sigma^2)/\lambda_i)/n}\Bigr]

(Zhang, Singh, Latham and Saxe 2025, arXiv 2501.16265, without the 1/(2d) and the noise).

Derivation. By differentiation. At x = 0 the rate and its slope vanish and its curvature is positive: the plateau is left
as a power, which no eigenvalue shows.
"""

from __future__ import annotations

import itertools

import sympy as sp

from toymesa.models.in_context import NOISE, N, in_context, separate_loss, spread
from toymesa.symbolic.claims import Claim

X, X0, G, Y = sp.symbols("x x_0 Gamma y", positive=True)
D = sp.Symbol("d", positive=True)
MODEL = in_context(features=2, heads="separate")
L = [MODEL.param("variance_1"), MODEL.param("variance_2")]
GAMMA = spread(L, N, NOISE)
HEADS = MODEL.states
FACTORS = sp.symbols("v k q", real=True)


def _claim(name: str, statement: str, kind: str = "identity", **what: object) -> Claim:
    return Claim(name=name, statement=statement, kind=kind, derivation="in_context_5_6_separate_heads", **what)


def won(i: int) -> sp.Expr:
    return L[i] / (1 + (1 + (sum(L) + NOISE) / L[i]) / N)


def learned(which: tuple[int, ...]) -> dict[sp.Symbol, sp.Expr]:
    return {x: GAMMA[i] ** sp.Rational(-1, 3) if i in which else sp.Integer(0) for i, x in enumerate(HEADS)}


SETS = [s for m in range(3) for s in itertools.combinations(range(2), m)]
PRODUCT = sp.Mul(*FACTORS)
APPLIED = (L[0] - 2 * L[0] ** 2 * PRODUCT + L[0] ** 2 * GAMMA[0] * PRODUCT**2) / 4
GROWN = -1 / Y - sp.log(1 - Y) / 3 + sp.log(1 + Y + Y**2) / 6 - sp.atan((2 * Y + 1) / sp.sqrt(3)) / sp.sqrt(3)
LATE = sp.Rational(3, 4)

CLAIMS = (
    *(
        _claim(
            f"heads_flow_{i + 1}",
            f"x_{i + 1}' = (lambda^2/d) x^2 (1 - Gamma x^3)",
            lhs=MODEL.flow[x],
            rhs=L[i] ** 2 / 2 * x**2 * (1 - GAMMA[i] * x**3),
        )
        for i, x in enumerate(HEADS)
    ),
    _claim(
        "heads_depth",
        "p = x^3 is a mode of depth 3, p' = 3 p^(4/3) (1/Gamma - p), in the time lambda^2 Gamma t/d",
        lhs=3 * X**2 * MODEL.flow[HEADS[0]].subs(HEADS[0], X),
        rhs=L[0] ** 2 * GAMMA[0] / 2 * 3 * X**4 * (1 / GAMMA[0] - X**3),
    ),
    *(
        _claim(
            f"heads_factor_{f.name}",
            "each of three balanced factors moves like that",
            lhs=-sp.diff(APPLIED, f).subs(dict.fromkeys(FACTORS, X)),
            rhs=L[0] ** 2 / 2 * X**2 * (1 - GAMMA[0] * X**3),
        )
        for f in FACTORS
    ),
    _claim(
        "heads_loss",
        "the model's loss is that of the diagonal preconditioner p_i = x_i^3",
        lhs=separate_loss(L, HEADS, N, NOISE),
        rhs=sum(l - 2 * l**2 * x**3 + l**2 * g * x**6 for l, g, x in zip(L, GAMMA, HEADS, strict=True)) / 4,
    ),
    _claim(
        "heads_deployment",
        "and so in deployment",
        lhs=MODEL.observables["deployment_loss"].subs(
            {MODEL.param("deploy_context"): N, MODEL.param("deploy_noise"): NOISE}
        ),
        rhs=MODEL.observables["loss"],
    ),
    *(
        _claim(
            f"heads_rest_{len(s)}{''.join(str(i + 1) for i in s)}",
            f"the heads {[i + 1 for i in s]} learned and no other is a fixed point",
            "fixed_point",
            model=MODEL,
            point=learned(s),
        )
        for s in SETS
    ),
    *(
        _claim(
            f"heads_saddle_loss_{len(s)}{''.join(str(i + 1) for i in s)}",
            f"its loss, heads {[i + 1 for i in s]}",
            lhs=MODEL.observables["loss"].subs(learned(s)),
            rhs=(sum(L) - sum(won(i) for i in s)) / 4,
        )
        for s in SETS
    ),
    _claim(
        "heads_time",
        "the antiderivative of 1/(y^2 (1 - y^3))",
        lhs=sp.diff(GROWN, Y),
        rhs=1 / (Y**2 * (1 - Y**3)),
    ),
    _claim(
        "heads_plateau",
        "time to 3/4 of the end, times x_0: it tends to 1 in units of d/lambda^2",
        "limit",
        expr=X0 * (GROWN.subs(Y, LATE) - GROWN.subs(Y, X0)),
        variable=X0,
        target=0,
        value=1,
    ),
    _claim(
        "heads_order",
        "so of two heads that start alike the one of larger variance leaves first",
        "inequality",
        expr=(D / L[1] ** 2 - D / (L[1] + G) ** 2) / X0,
        strict=True,
    ),
    _claim(
        "heads_power_law",
        "no eigenvalue at a missing head: the rate and its slope vanish, its curvature is positive",
        lhs=sp.Matrix([sp.diff(MODEL.flow[HEADS[0]], HEADS[0], k).subs(HEADS[0], 0) for k in range(3)]),
        rhs=sp.Matrix([0, 0, L[0] ** 2]),
    ),
)
