r"""Mechanisms 1.2: what the mechanisms have learned cannot spread apart without reliance polarizing, and conversely.

For perfect mechanisms (f = 1) without decay and pressure, and any number K of them,

.. math::
    \tfrac12 n \eta_p A \operatorname{Var}_\alpha(c) - \mathrm{KL}(\alpha \,\|\, p), \qquad
    A = \sum_r 1/\eta_r, \quad \alpha_r = \frac{1/\eta_r}{A},

is conserved.

Derivation. The derivative along the flow of the model's invariant, written in contents and reliances, vanishes for
K = 2, 3 and 4. For every K: with x = sum alpha_q c_q and y = sum p_q c_q = 1 - g, and c_r' = eta_r g p_r,
(ln p_r)' = n eta_p g (c_r - y) + (a common term), mechanism r contributes

.. math:: n\eta_p g\,[p_r (c_r - x) + \alpha_r (c_r - y)]

to the derivative (the change of x itself drops out of a variance). Summed over r, with both weights summing to 1, this is
n eta_p g (y - x + x - y) = 0.
"""

from __future__ import annotations

import sympy as sp

from toymesa.models.mechanisms import mechanisms
from toymesa.symbolic.claims import Claim
from toymesa.symbolic.flows import in_shares


def _claim(name: str, statement: str, lhs: sp.Expr, rhs: sp.Expr) -> Claim:
    return Claim(
        name=name, statement=statement, kind="identity", lhs=lhs, rhs=rhs, derivation="mechanisms_1_2_polarization"
    )


def change(names: tuple[str, ...]) -> sp.Expr:
    """The derivative of the invariant along the flow, where it is claimed to be conserved; rates as 1/slowness."""
    model = mechanisms(names)
    invariant = model.invariants["polarization"]
    where = {condition.lhs: condition.rhs for condition in invariant.conditions}  # lam = mu = 0, every f = 1
    fall = sum(sp.diff(invariant.expr, s) * rate.subs(where) for s, rate in model.flow.items())
    slow = {model.param(f"rate_{name}"): 1 / sp.Symbol(f"slowness_{name}", positive=True) for name in names}
    return in_shares(model, fall).subs(slow)


# every K: one mechanism's contribution, from the derivatives of its two terms
n, eta, eta_p, total, p, alpha, g = sp.symbols("n eta eta_p A p alpha g", positive=True)
c, x, y = sp.symbols("c x y", real=True)
SPREAD = sp.diff(n * eta_p * total / 2 * alpha * (c - x) ** 2, c) * (eta * g * p)
KL = -alpha * n * eta_p * g * (c - y)
CONTRIBUTION = (SPREAD - KL).subs(eta, 1 / (alpha * total))

CLAIMS = (
    *(
        _claim(
            f"polarization_{len(names)}", f"the invariant has derivative 0 (K = {len(names)})", change(names), sp.S(0)
        )
        for names in (("a", "b"), ("a", "b", "d"), ("a", "b", "d", "e"))
    ),
    _claim(
        "polarization_contribution",
        "what one mechanism contributes, for every K; the sum over mechanisms vanishes",
        CONTRIBUTION,
        n * eta_p * g * (p * (c - x) + alpha * (c - y)),
    ),
)
