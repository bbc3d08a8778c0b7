r"""Race 2.3: depth contracts, conserves or pulls apart the shares of equal chains.

Two chains of one depth D and rate eta, P_1 = P_2 e^v. With m = 1 - 2/D, in internal time

.. math:: \frac{dv}{ds} = \eta D\,(P_1^m - P_2^m) = 2\,\eta D\, P_2^m\, e^{mv/2} \sinh\frac{mv}{2} :

of the sign of m v. The leader falls back for D < 2, keeps its share at D = 2, and gets away for D > 2.

*Conserved.* The clocks T(w) = (w^(2-D) - 1)/(2-D) of all chains advance by eta s, so that T_q/eta_q - T_r/eta_r is
conserved for every pair, whatever the depths and rates; for equal ones that is u_2 - u_1 with u = P^(-m).

*Amplification.* At one s, d ln P/d ln P_0 = (P/P_0)^m. Of K chains that start equal and are stopped at the error g, each
has P = (1-g)/K: small differences of the logarithms have then grown by ((1-g)/(K P_0))^m.

*Convergence.* P_1 + P_2 = 1 and u_2 - u_1 = Delta eps^(-m) with P_r(0) = eps a_r, Delta = a_2^(-m) - a_1^(-m). Hence

.. math:: \epsilon\,\frac{P_1}{P_2} = \bigl(\epsilon^m + \Delta\,P_1^m\bigr)^{1/m}

is finite for every eps; as eps -> 0 (D > 2) P_2 <= eps Delta^(-1/m) -> 0 and P_1 -> 1, so that it tends to
Delta^(1/m): the final ratio diverges like 1/eps. For D < 2, with k = -m, it is
P_1/P_2 = (1 + eps^k (a_1^k - a_2^k)/P_2^k)^(1/k), which tends to 1.

*A bit of description length* halves P_0 and delays the pole P_0^(-m)/((D-2) eta) by the factor 2^m, so that among chains
of one depth the first pole is that of the largest log2(eta) - m b.
"""

from __future__ import annotations

import sympy as sp

from toymesa.models.race import bracket, clock, grown, race
from toymesa.symbolic.claims import Claim

P1, P2, V, ETA, EPS, A1, A2, W, D, X, B, K, G = sp.symbols("P1 P2 v eta epsilon a1 a2 w D x B K g", positive=True)
M = sp.Symbol("m", positive=True)
BITS = sp.Symbol("b", real=True)
DELTA = sp.Symbol("Delta", positive=True)
MIXED = race((1, sp.Rational(3, 2), 2, 3, 2 + sp.Rational(1, 1000), 2))


def _claim(name: str, statement: str, lhs: sp.Expr, rhs: sp.Expr) -> Claim:
    return Claim(name=name, statement=statement, kind="identity", lhs=lhs, rhs=rhs, derivation="race_2_3_shares")


def drift(m: sp.Expr) -> sp.Expr:
    """dv/ds over eta D, for P_1 = P_2 e^v."""
    return 2 * P2**m * sp.exp(m * V / 2) * sp.sinh(m * V / 2)


def layer(p: sp.Expr) -> sp.Expr:
    """The layer of a chain of depth D with that strength."""
    return p ** (1 / D)


def pole(p: sp.Expr, rate: sp.Expr) -> sp.Expr:
    """Internal time at the pole, with D = 2/(1-m)."""
    return p**-M / ((2 / (1 - M) - 2) * rate)


def growth_rate(p: sp.Expr) -> sp.Expr:
    """d ln P/ds over eta of a chain, from the solution."""
    w = grown(W, D, X)
    speed = sp.limit(sp.diff(D * sp.log(w), X), X, 0)
    return sp.powdenest(speed.subs(W, layer(p)), force=True)


def amplification() -> sp.Expr:
    """ln of d ln P/d ln P_0 at one s, with the bracket as the symbol B: minus ln B."""
    slope = sp.diff(sp.log(grown(W, D, X)), W) * W
    power = W ** (D - 2)
    return sp.simplify(slope.subs(power, (1 - B) / ((D - 2) * X)))


CLAIMS = (
    _claim(
        "share_rate",
        "dv/ds is eta D (P_1^m - P_2^m)",
        growth_rate(P1) - growth_rate(P2),
        D * (P1 ** (1 - 2 / D) - P2 ** (1 - 2 / D)),
    ),
    _claim(
        "share_sign",
        "P_1^m - P_2^m = 2 P_2^m e^(mv/2) sinh(mv/2)",
        sp.expand(drift(M).rewrite(sp.exp)),
        P2**M * sp.exp(M * V) - P2**M,
    ),
    Claim(
        name="pulled_apart",
        statement="for D > 2 (m > 0) the leader of two equal chains gets away",
        kind="inequality",
        expr=drift(M),
        strict=True,
        derivation="race_2_3_shares",
    ),
    Claim(
        name="contracted",
        statement="for D < 2 (m < 0) the leader falls back",
        kind="inequality",
        expr=-drift(-M),
        strict=True,
        derivation="race_2_3_shares",
    ),
    _claim("conserved", "for D = 2 (m = 0) the shares are conserved", drift(sp.Integer(0)), 0),
    *(
        Claim(
            name=f"invariant_{name}",
            statement="the difference of two clocks is conserved",
            kind="invariant",
            model=MIXED,
            expr=invariant.expr,
            derivation="race_2_3_shares",
        )
        for name, invariant in MIXED.invariants.items()
    ),
    _claim(
        "equal_chains",
        "for equal chains the difference of clocks is that of u = P^(-m) over D - 2",
        sp.expand(sp.powdenest(clock(layer(P1), D) - clock(layer(P2), D), force=True)),
        sp.expand((P2 ** (2 / D - 1) - P1 ** (2 / D - 1)) / (D - 2)),
    ),
    _claim("amplification", "d ln P/d ln P_0 at one s is 1 over the bracket", amplification(), 1 / B),
    _claim(
        "amplification_ratio",
        "which is (P/P_0)^m",
        sp.simplify(
            sp.expand_log(
                (D - 2) * sp.log((grown(W, D, X) / W).subs(bracket(W, D, X), B).subs(sp.expand(bracket(W, D, X)), B)),
                force=True,
            )
        ),
        -sp.log(B),
    ),
    _claim("stopped", "K equal chains of strength (1-g)/K leave the error g", 1 - K * ((1 - G) / K), G),
    _claim(
        "final_ratio",
        "eps P_1/P_2 = (eps^m + Delta P_1^m)^(1/m) where u_2 = u_1 + Delta eps^(-m)",
        sp.expand((EPS * P1) ** M * (P1**-M + DELTA * EPS**-M)),
        sp.expand(EPS**M + DELTA * P1**M),
    ),
    Claim(
        name="final_ratio_limit",
        statement="as eps^m -> 0 and P_1 -> 1 it tends to Delta^(1/m): the ratio diverges like 1/eps",
        kind="limit",
        expr=(EPS + DELTA) ** (1 / M),
        variable=EPS,
        target=0,
        value=DELTA ** (1 / M),
        derivation="race_2_3_shares",
    ),
    Claim(
        name="shallow_limit",
        statement="for D < 2 the final ratio tends to 1",
        kind="limit",
        expr=(1 + EPS * DELTA / P2**M) ** (1 / M),
        variable=EPS,
        target=0,
        value=1,
        derivation="race_2_3_shares",
    ),
    _claim("bit_delay", "one bit delays the pole by 2^m", pole(P1 / 2, ETA) / pole(P1, ETA), 2**M),
    _claim(
        "bit_score",
        "the pole is 2^-(log2 eta - m b) up to a common factor",
        sp.expand_log(sp.log(pole(2**-BITS, ETA)), force=True),
        sp.expand_log(
            sp.log(pole(sp.Integer(1), sp.Integer(1))) - (sp.log(ETA) / sp.log(2) - M * BITS) * sp.log(2), force=True
        ),
    ),
)
