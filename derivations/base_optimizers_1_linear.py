r"""Base optimizers on linear flows: exact solutions, the edge of stability, critical damping.

*Functions of a pair.* For z_1, z_2 = p + sqrt q, p - sqrt q let M, S be the mean and the divided difference of
int_0^t e^(zs) ds over the pair, m and s those of e^(zt). Then m = M' = 1 + pM + qS and s = S' = M + pS: with the matrix
A = p + B, B^2 = q, the sum M + S B is the integral of e^(As) and m + s B = e^(At) = 1 + A (M + S B). All four are entire
in p and q; at q = 0 the slope of e^(zt) is t e^(zt), at z = 0 the integral is t. For the map 1 + A replace e^(zt) by
(1+z)^t and the integral by the sum over times before t. Hence the exact solutions

.. math:: x(t) = e^{At} x_0 + \int_0^t e^{As}ds\; b, \qquad x_t = (1+A)^t x_0 + \sum_{j<t} (1+A)^j\, b.

*Descent by steps h* of a mode x' = -lambda x multiplies it by 1 - h lambda: stable iff h < 2/lambda, the edge of
stability. A spiral of decay lambda and frequency omega has |1 + h z|^2 - 1 = h (h (lambda^2 + omega^2) - 2 lambda): its
edge is 2 lambda/(lambda^2 + omega^2), which vanishes with lambda.

*Heavy ball* x'' + gamma x' = -lambda x has the roots -gamma/2 +- sqrt(gamma^2/4 - lambda), of product lambda: the slower
decay is at most sqrt(lambda), reached where both are equal, at the critical friction gamma = 2 sqrt(lambda). There the
solution is e^(-gamma t/2) (x_0 + (v_0 + gamma x_0/2) t). A spiral (eigenvalues -lambda +- i omega of the flow) has the
characteristic polynomial (sigma^2 + gamma sigma + lambda)^2 + omega^2, whose Hurwitz determinant is
4 gamma^2 (lambda gamma^2 - omega^2): momentum keeps it stable iff gamma > omega/sqrt(lambda). On a gradient flow
(omega = 0) momentum never destabilizes; where two objectives chase each other, too little friction does.

*Gradient noise* dx = -lambda x dt + sqrt(2T) dW has the variance V' = -2 lambda V + 2T.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sympy as sp

from toymesa.symbolic.claims import Claim
from toymesa.symbolic.entire import (
    PAIRS,
    FlowSlope,
    PairFunction,
    StepMean,
    pair_value,
)
from toymesa.symbolic.linear_flow import linear_solution
from toymesa.symbolic.model import TIME, Model, at_start
from toymesa.symbolic.optimizers import Descent, HeavyBall, Optimizer, Preconditioned, with_optimizer

HERE = "base_optimizers_1_linear"


def _claim(name: str, statement: str, lhs: Any, rhs: Any) -> Claim:
    return Claim(name=name, statement=statement, kind="identity", lhs=lhs, rhs=rhs, derivation=HERE)


# ---------------------------------------------------------------- functions of a pair

Z1, Z2 = sp.symbols("z_1 z_2", positive=True)
PAIR = ((Z1 + Z2) / 2, ((Z1 - Z2) / 2) ** 2, Z1 * Z2)


def explicit(expr: sp.Expr) -> sp.Expr:
    """Every function of the pair written out in its two members."""
    return expr.replace(
        lambda e: isinstance(e, PairFunction),
        lambda e: pair_value(type(e), *e.args, sqrt=lambda _: (Z1 - Z2) / 2, exp=sp.exp),
    )


def pair_claims() -> list[Claim]:
    """The rules that the functions obey, on their definitions."""
    out = []
    for kind in PAIRS:
        for time in (3, 4) if kind.step else (TIME,):
            value = kind(*PAIR, sp.sympify(time))
            word = f"{kind.__name__}_{time}"
            out.append(
                _claim(f"reduced_{word}", f"{kind.__name__} in totals", explicit(value), explicit(value.reduced()))
            )
            if kind.step:
                late = kind(*PAIR, TIME + 1).reduced().subs(TIME, time)
                out.append(
                    _claim(
                        f"next_{word}", f"{kind.__name__} a step later", explicit(kind(*PAIR, time + 1)), explicit(late)
                    )
                )
            else:
                slope = sp.diff(explicit(value), TIME)
                out.append(_claim(f"rate_{word}", f"d/dt of {kind.__name__}", slope, explicit(value.fdiff())))
    return out


# ---------------------------------------------------------------- solutions

X, Y, W = sp.symbols("x y w", real=True)
A11, A12, A13, A21, A22, A23, A31, A32, A33 = sp.symbols("a_11:14 a_21:24 a_31:34", real=True)
B1, B2, B3 = sp.symbols("b_1:4", real=True)
FRICTION, STEP, RATE = sp.symbols("friction step rate", positive=True)
LAM = sp.Symbol("lam", positive=True)
OMEGA = sp.Symbol("omega", positive=True)


def model(
    flow: dict[sp.Symbol, sp.Expr], params: Sequence[sp.Symbol], optimizer: Optimizer | None = None, **brought: float
) -> Model:
    """A linear flow under a base optimizer, all parameters 1."""
    plain = Model(name="linear", flow=flow, params=dict.fromkeys(params, 1.0))
    return with_optimizer(plain, optimizer, params={sp.Symbol(n, positive=True): v for n, v in brought.items()})


ONE = {X: A11 * X + B1}
TWO = {X: A11 * X + A12 * Y + B1, Y: A21 * X + A22 * Y + B2}
THREE = {
    X: A11 * X + A12 * Y + A13 * W + B1,
    Y: A21 * X + A22 * Y + A23 * W + B2,
    W: A31 * X + A32 * Y + A33 * W + B3,
}
PARAMS = {
    1: (A11, B1),
    2: (A11, A12, A21, A22, B1, B2),
    3: (A11, A12, A13, A21, A22, A23, A31, A32, A33, B1, B2, B3),
}
CASES = (
    ("flow_0", model({X: B1}, (B1,))),
    ("steps_0", model({X: B1}, (B1,), Descent(STEP), step=0.1)),
    *((f"flow_{n}", model(flow, PARAMS[n])) for n, flow in ((1, ONE), (2, TWO), (3, THREE))),
    *((f"steps_{n}", model(flow, PARAMS[n], Descent(STEP), step=0.1)) for n, flow in ((1, ONE), (2, TWO), (3, THREE))),
    *((f"momentum_{n}", model(flow, PARAMS[n], HeavyBall(FRICTION), friction=1.0)) for n, flow in ((1, ONE), (2, TWO))),
    ("preconditioned", model(TWO, PARAMS[2], Preconditioned({X: RATE}), rate=2.0)),
)


def solution_claims() -> list[Claim]:
    """The closed form of every case solves its flow or map."""
    out = []
    for name, case in CASES:
        form = linear_solution(case)
        assert form is not None
        statement = f"the exact solution of {'the map' if case.discrete else 'the flow'} ({name})"
        out.append(
            Claim(
                name=f"solution_{name}",
                statement=statement,
                kind="solution",
                model=case,
                solution=form.states,
                derivation=HERE,
            )
        )
    return out


# ---------------------------------------------------------------- one mode, and a spiral

MODE = {X: -LAM * X}
SPIRAL = {X: -LAM * X - OMEGA * Y, Y: OMEGA * X - LAM * Y}
STEPS = model(MODE, (LAM,), Descent(STEP), step=0.1)
HEAVY = model(MODE, (LAM,), HeavyBall(FRICTION), friction=1.0)
HEAVY_SPIRAL = model(SPIRAL, (LAM, OMEGA), HeavyBall(FRICTION), friction=1.0)
STEP_SPIRAL = model(SPIRAL, (LAM, OMEGA), Descent(STEP), step=0.1)


def edge(curvature: sp.Expr, frequency: Any = 0) -> sp.Expr:
    """The largest stable step."""
    return 2 * curvature / (curvature**2 + frequency**2)


def at_equal(expr: sp.Expr) -> sp.Expr:
    """Functions of a pair whose gap is zero, by their definition there."""
    return expr.replace(
        lambda e: isinstance(e, PairFunction) and e.args[1] == 0,
        lambda e: pair_value(type(e), *e.args, sqrt=sp.sqrt, exp=sp.exp),
    )


def hurwitz(poly: sp.Poly) -> sp.Expr:
    """The last Hurwitz determinant of a monic quartic: with positive coefficients, stable iff it is positive."""
    _, a3, a2, a1, a0 = poly.all_coeffs()
    return a1 * a2 * a3 - a1**2 - a3**2 * a0


MULTIPLIER = STEPS.flow[X].subs(X, 1)
SIGMA = sp.Symbol("sigma")
V = HEAVY.states[1]
QUARTIC = sp.Poly(HEAVY_SPIRAL.jacobian().charpoly(SIGMA).as_expr(), SIGMA)
SLOW, FAST = (FRICTION / 2 - s * sp.sqrt(FRICTION**2 / 4 - LAM) for s in (1, -1))
CRITICAL = 2 * sp.sqrt(LAM)
VARIANCE, TEMPERATURE = sp.symbols("V_0 T", positive=True)
SPREAD = VARIANCE * sp.exp(-2 * LAM * TIME) + TEMPERATURE / LAM * (1 - sp.exp(-2 * LAM * TIME))
Z = sp.Symbol("z", real=True)

CLAIMS = (
    *pair_claims(),
    Claim(
        name="equal_eigenvalues", statement="the slope of e^(zt) at equal eigenvalues is t e^(zt)", kind="limit",
        expr=explicit(FlowSlope(*PAIR, TIME)), variable=Z2, target=Z1, value=TIME * sp.exp(Z1 * TIME), derivation=HERE,
    ),
    Claim(
        name="vanishing_eigenvalue", statement="the integral of e^(zs) at z = 0 is t", kind="limit",
        expr=(sp.exp(Z * TIME) - 1) / Z, variable=Z, target=0, value=TIME, derivation=HERE,
    ),
    *solution_claims(),
    _claim("edge", "at h = 2/lambda the multiplier 1 - h lambda is -1", MULTIPLIER.subs(STEP, edge(LAM)), sp.S(-1)),
    _claim(
        "edge_size", "(1 - h lambda)^2 - 1 = h lambda^2 (h - 2/lambda)",
        MULTIPLIER**2 - 1, STEP * LAM**2 * (STEP - edge(LAM)),
    ),
    _claim(
        "edge_course", "steps h multiply by (1 - h lambda)^t",
        linear_solution(STEPS).states[X], StepMean(-LAM * STEP, 0, LAM**2 * STEP**2, TIME) * at_start(X),
    ),
    _claim(
        "edge_spiral", "a spiral: |multiplier|^2 - 1 = h (lambda^2 + omega^2)(h - edge)",
        STEP_SPIRAL.jacobian().det() - 1, STEP * (LAM**2 + OMEGA**2) * (STEP - edge(LAM, OMEGA)),
    ),
    _claim(
        "momentum_roots", "heavy ball decays at gamma/2 -+ sqrt(gamma^2/4 - lambda)",
        HEAVY.jacobian().charpoly(SIGMA).as_expr(), sp.expand((SIGMA + SLOW) * (SIGMA + FAST)),
    ),
    _claim("slowest_decay", "the product of the two decays is lambda: the slower is at most sqrt(lambda)", SLOW * FAST, LAM),
    _claim("critical_friction", "they are equal at gamma = 2 sqrt(lambda)", SLOW.subs(FRICTION, CRITICAL), sp.sqrt(LAM)),
    _claim(
        "critical_course", "at critical damping x = e^(-gamma t/2)(x_0 + (v_0 + gamma x_0/2) t)",
        at_equal(linear_solution(HEAVY).states[X].subs(FRICTION, CRITICAL)),
        sp.exp(-sp.sqrt(LAM) * TIME) * (at_start(X) + (at_start(V) + sp.sqrt(LAM) * at_start(X)) * TIME),
    ),
    _claim(
        "momentum_spiral", "heavy ball on a spiral: the Hurwitz determinant is 4 gamma^2 (lambda gamma^2 - omega^2)",
        hurwitz(QUARTIC), 4 * FRICTION**2 * (LAM * FRICTION**2 - OMEGA**2),
    ),
    _claim(
        "momentum_spiral_roots", "at gamma = omega/sqrt(lambda) it circles with frequency sqrt(lambda)",
        QUARTIC.as_expr().subs({SIGMA: sp.I * sp.sqrt(LAM), FRICTION: OMEGA / sp.sqrt(LAM)}), sp.S(0),
    ),
    _claim("noise_variance", "V' = -2 lambda V + 2T", sp.diff(SPREAD, TIME), -2 * LAM * SPREAD + 2 * TEMPERATURE),
    Claim(
        name="noise_stationary", statement="the stationary variance is T/lambda", kind="limit", expr=SPREAD,
        variable=TIME, target=sp.oo, value=TEMPERATURE / LAM, direction="-", derivation=HERE,
    ),
)  # fmt: skip
