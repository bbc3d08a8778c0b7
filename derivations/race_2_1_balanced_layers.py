r"""Race 2.1: a chain of balanced layers is one strength.

A chain of D layers of weights w_1, ..., w_D has the strength P = prod w_i and descends on l(P) = (1 - sum P)^2/2. With
g = 1 - sum P, each layer moves by w_i' = eta g P/w_i, so that

.. math:: \frac{d}{dt}(w_i^2 - w_j^2) = 0, \qquad \dot P = \eta g\, P^2 \sum_i w_i^{-2}.

Layers that start balanced (equal in size) stay balanced, P = w^D, and

.. math:: \dot w = \eta g\, w^{D-1}, \qquad \dot P = \eta D\, g\, P^{2-2/D} :

the end-to-end flow of Arora, Cohen and Hazan 2018 (arXiv 1802.06509, theorem 1) for a scalar chain. The flow of w is a
gradient flow in the metric eta/D, the one of P in the metric eta D P^(2-2/D), and both make sense for every real D >= 1.

Derivation. The layers are written out for D = 2, 3, 4; the balanced flow is then compared with that of the model for
depths that need not be whole, and for a symbol D with the functions from which the model is built.
"""

from __future__ import annotations

import sympy as sp

from toymesa.models.race import race, strength
from toymesa.symbolic.claims import Claim

DEPTHS = (1, sp.Rational(3, 2), 2, 3, sp.Rational(7, 2))
P, W, ETA = sp.symbols("P w eta", positive=True)
D = sp.Symbol("D", positive=True)
G = sp.Symbol("g", real=True)


def _claim(name: str, statement: str, lhs: sp.Expr, rhs: sp.Expr) -> Claim:
    return Claim(
        name=name, statement=statement, kind="identity", lhs=lhs, rhs=rhs, derivation="race_2_1_balanced_layers"
    )


def layers(depth: int) -> tuple[list[sp.Symbol], list[sp.Expr]]:
    """Layers of one chain beside others of total strength R, and their rates of change."""
    w = list(sp.symbols(f"w1:{depth + 1}", positive=True))
    others = sp.Symbol("R", real=True)
    loss = (1 - others - sp.Mul(*w)) ** 2 / 2
    return w, [-ETA * sp.diff(loss, x) for x in w]


def end_to_end(depth: int) -> tuple[sp.Expr, sp.Expr, list[sp.Symbol]]:
    """P' of the written-out chain, and eta g P^2 sum 1/w_i^2."""
    w, rates = layers(depth)
    product = sp.Mul(*w)
    change = sum(sp.diff(product, x) * r for x, r in zip(w, rates, strict=True))
    error = 1 - sp.Symbol("R", real=True) - product
    return change, ETA * error * product**2 * sum(x**-2 for x in w), w


def conserved(depth: int) -> sp.Expr:
    """d/dt (w_1^2 - w_D^2) of the written-out chain."""
    w, rates = layers(depth)
    return 2 * w[0] * rates[0] - 2 * w[-1] * rates[-1]


MODEL = race(DEPTHS)
SHARED = MODEL.observables["error"]

CLAIMS = (
    *(_claim(f"balance_{n}", f"w_i^2 - w_j^2 is conserved ({n} layers)", conserved(n), 0) for n in (2, 3, 4)),
    *(_claim(f"chain_{n}", f"P' = eta g P^2 sum 1/w_i^2 ({n} layers)", *end_to_end(n)[:2]) for n in (2, 3, 4)),
    *(
        _claim(
            f"balanced_{n}",
            f"balanced, P' = eta D g P^(2-2/D) ({n} layers)",
            end_to_end(n)[0].subs(dict.fromkeys(end_to_end(n)[2], W)),
            ETA * n * (1 - sp.Symbol("R", real=True) - W**n) * (W**n) ** (2 - sp.Rational(2, n)),
        )
        for n in (2, 3, 4)
    ),
    _claim(
        "strength",
        "w' = eta g w^(D-1) and P = w^D give P' = eta D g P^(2-2/D), any D",
        sp.powsimp(sp.diff(strength(W, D), W) * ETA * G * W ** (D - 1) / (ETA * D * G * strength(W, D) ** (2 - 2 / D))),
        1,
    ),
    *(
        _claim(
            f"flow_{w.name}",
            f"the model's layers move by eta g w^(D-1) (D = {d})",
            rate,
            MODEL.param(f"rate_{w.name[2:]}") * SHARED * w ** (d - 1),
        )
        for (w, rate), d in zip(MODEL.flow.items(), DEPTHS, strict=True)
    ),
    _claim(
        "shared_error",
        "all chains share g = 1 - sum P",
        SHARED,
        1 - sum(w**d for w, d in zip(MODEL.states, DEPTHS, strict=True)),
    ),
    _claim("loss", "the base loss is g^2/2", MODEL.observables["loss"], SHARED**2 / 2),
    Claim(
        name="descent",
        statement="the loss never rises",
        kind="lyapunov",
        model=MODEL,
        derivation="race_2_1_balanced_layers",
    ),
)
