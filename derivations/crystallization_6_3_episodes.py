r"""Crystallization 6.3: the discrete ancestor, episodes that an agent cannot tell apart.

There are m training episodes and then k deployment episodes. In each the agent follows the base objective with
probability q and defects with 1-q, which is worth 1 to it; the first defection in training converts it, so that
nothing after is worth anything. Its expected value is

.. math:: V(q) = (1 - q^m) + q^m\,k\,(1-q),

the chance to defect in training, and with nothing having happened there k episodes at 1-q each. It is largest at

.. math:: q^* = \frac{m\,(k-1)}{(m+1)\,k}, \qquad V(q^*) = 1 + \frac{k-1}{m+1}\,(q^*)^m,

so for k >= 2 the agent defects with a probability between 0 and 1, for k = 1 at once.

Derivation. V is summed over the episode of the first defection for some m; V' = q^(m-1) (m+1) k (q* - q) changes its sign
once, from + to -. For m = 2, k = 3 the agent defects with 1 - q* = 5/9. Hubinger et al. 2019 print about 0.61 for their
grid world; no reading of it as this game with those numbers of episodes gives that.
"""

from __future__ import annotations

import sympy as sp

from toymesa.symbolic.claims import Claim

Q, M, K = sp.symbols("q m k", positive=True)
MORE = sp.Symbol("j", nonnegative=True)


def _claim(name: str, statement: str, kind: str = "identity", **what: object) -> Claim:
    return Claim(name=name, statement=statement, kind=kind, derivation="crystallization_6_3_episodes", **what)


def value(q: sp.Expr, m: sp.Expr, k: sp.Expr) -> sp.Expr:
    return (1 - q**m) + q**m * k * (1 - q)


def enumerated(m: int, k: int) -> sp.Expr:
    """By the training episode of the first defection, and then by the number of defections in deployment."""
    early = sum(Q**i * (1 - Q) for i in range(m))
    late = sum(j * sp.binomial(k, j) * (1 - Q) ** j * Q ** (k - j) for j in range(k + 1))
    return early + Q**m * late


BEST = M * (K - 1) / ((M + 1) * K)

CLAIMS = (
    *(
        _claim(
            f"episodes_value_{m}_{k}",
            f"the expected value, episode by episode (m = {m}, k = {k})",
            lhs=enumerated(m, k),
            rhs=value(Q, sp.Integer(m), sp.Integer(k)),
        )
        for m, k in ((1, 2), (2, 3), (5, 3), (3, 6))
    ),
    _claim(
        "episodes_slope",
        "V' = q^(m-1) (m+1) k (q* - q)",
        lhs=sp.diff(value(Q, M, K), Q),
        rhs=Q ** (M - 1) * (M + 1) * K * (BEST - Q),
    ),
    _claim(
        "episodes_best_value",
        "V(q*) = 1 + (k-1)/(m+1) q*^m",
        lhs=(value(Q, M, K) - 1 - (K - 1) / (M + 1) * Q**M).subs(K, M / (M - (M + 1) * Q)),
        rhs=0,
    ),
    _claim(
        "episodes_below_one",
        "q* stays below 1",
        "inequality",
        expr=sp.together(1 - BEST.subs(K, 1 + MORE)),
        strict=True,
    ),
    _claim(
        "episodes_reading",
        "m = 2, k = 3: it defects with probability 5/9",
        lhs=1 - BEST.subs({M: 2, K: 3}),
        rhs=sp.Rational(5, 9),
    ),
)
