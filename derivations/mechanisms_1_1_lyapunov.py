r"""Mechanisms 1.1: the free energy never increases, and is constant only at fixed points.

For any number K of mechanisms, any rates, priors, fidelities, decay and pressure, along the flow of the model

.. math::
    \frac{d\Phi}{dt} = -n \sum_r \frac{\dot c_r^2}{\eta_r} - \frac{1}{\eta_p} \sum_{q<r} p_q p_r (\dot l_q - \dot l_r)^2
    \le 0,

with l_r = ln p_r up to a common constant. Every p_r is positive, so the right side vanishes only where all contents and
all log-odds rest.

Derivation. Phi/n is the potential V of the model. Its derivative along the flow is written in contents and reliances,
with the logarithms of the reliances as independent symbols, and compared with the right side: an identity of polynomials
for K = 2 and 3. For every K: the flow is -G grad V with G diagonal on contents, and on log-odds G inverse
is the covariance form of the shares over n eta_p; that this form is the sum over pairs follows by induction over K.
"""

from __future__ import annotations

import sympy as sp

from toymesa.models.mechanisms import mechanisms
from toymesa.symbolic.claims import Claim
from toymesa.symbolic.flows import in_shares


def _claim(name: str, statement: str, lhs: sp.Expr, rhs: sp.Expr) -> Claim:
    return Claim(
        name=name, statement=statement, kind="identity", lhs=lhs, rhs=rhs, derivation="mechanisms_1_1_lyapunov"
    )


def derivative_along_flow(names: tuple[str, ...]) -> tuple[sp.Expr, sp.Expr]:
    """dV/dt of the model, and minus the sum of squares that it should be."""
    model = mechanisms(names)
    k = len(names)
    fall = sum(sp.diff(model.potential, s) * rate for s, rate in model.flow.items())
    rates = [in_shares(model, rate) for rate in model.flow.values()]
    contents, odds = rates[:k], [*rates[k:], sp.Integer(0)]
    shares = [in_shares(model, p) for p in model.charts[0].coordinates]
    eta = [model.param(f"rate_{n}") for n in names]
    n, eta_p = model.param("diversity"), model.param("gate_rate")
    squares = sum(c**2 / e for c, e in zip(contents, eta, strict=True)) + sum(
        shares[q] * shares[r] * (odds[q] - odds[r]) ** 2 for r in range(k) for q in range(r)
    ) / (n * eta_p)
    return in_shares(model, fall), -squares


# Every K: with P = sum p_q, M = sum p_q u_q and S = sum p_q u_q^2 over the first ones, P S - M^2 is the sum over pairs
# p_q p_r (u_q - u_r)^2. One more of share p and value u adds p (S - 2 u M + P u^2) = sum_q p p_q (u_q - u)^2 to both.
P, M, S, p, u = sp.symbols("P M S p u", real=True)
ONE_MORE = (P + p) * (S + p * u**2) - (M + p * u) ** 2

CLAIMS = (
    Claim(
        name="lyapunov",
        statement="the free energy never rises (two of the literature's mechanisms)",
        kind="lyapunov",
        model=mechanisms(("proxy", "deceptive")),
        derivation="mechanisms_1_1_lyapunov",
    ),
    *(
        _claim(
            f"lyapunov_{len(names)}",
            f"V = Phi/n falls by a sum of squares of the rates of change (K = {len(names)})",
            *derivative_along_flow(names),
        )
        for names in (("a", "b"), ("a", "b", "d"))
    ),
    _claim(
        "pairs",
        "P S - M^2 is the sum over pairs: the step from K to K + 1 shares",
        ONE_MORE - (P * S - M**2),
        p * (S - 2 * u * M + P * u**2),
    ),
)
