r"""Power split 11.1: where the optimum is.

U(x) = (P - f(x))/N + x on 0 <= x, f(x) <= P, with f = c x^a, has U' = 1 - f'/N and U'' = -f''/N.

*Convex, a > 1.* U is concave. Its stationary point f'(x) = N is

.. math:: x_{int} = \bigl(N/(ca)\bigr)^{1/(a-1)}, \qquad f(x_{int}) = \frac Na\, x_{int} = c\,\bigl(N/(ca)\bigr)^{a/(a-1)}.

It is the optimum if the power suffices, P >= f(x_int): limited by diversity, dx/dN = 1/f'' > 0, dx/dP = 0. Otherwise
the corner f(x_P) = P is, x_P = (P/c)^(1/a), where U' >= 0: limited by time, dx/dP = 1/f' > 0, dx/dN = 0. (A convex cost
with f'(0) >= N leaves nothing, x = 0: for c x^a with a > 1 that cannot happen, for c (e^(kx) - 1) it does where ck >= N.)

*Concave, a < 1.* U is convex, so that an end is the optimum: all against nothing is U(x_P) - U(0) = x_P - P/N, positive
iff f^(-1)(P) > P/N, that is for P above P_* = c (c/N)^(a/(1-a)).

*Linear, a = 1.* U' = 1 - c/N: all if N > c, nothing if N < c, and every x alike if N = c.

*Diversity.* As N grows at fixed P, a convex cost becomes limited by time, x_P no longer depends on N, and the direct
part of the power, at most P/N, vanishes beside it (Hubinger et al. 2019, arXiv 1906.01820, section 2.1).

Derivation. a = 1 + e for convex and a = 1/(1+e) for concave costs, e > 0, so that SymPy knows the signs.
"""

from __future__ import annotations

import sympy as sp

from toymesa.models.power_split import CORNER, INTERIOR, POWER_LAW, A, C, N, P, X, power_split, value
from toymesa.symbolic.claims import Claim

E, K, Y = sp.symbols("e k y", positive=True)
CONVEX, CONCAVE = {A: 1 + E}, {A: 1 / (1 + E)}
U = value(POWER_LAW)
SLOPE = sp.diff(POWER_LAW, X)
ALL_OR_NOTHING = C * (C / N) ** (A / (1 - A))
EXPONENTIAL = C * (sp.exp(K * X) - 1)


def _claim(name: str, statement: str, lhs: sp.Expr, rhs: sp.Expr) -> Claim:
    return Claim(
        name=name, statement=statement, kind="identity", lhs=lhs, rhs=rhs, derivation="power_split_11_1_optimum"
    )


def _sign(name: str, statement: str, expr: sp.Expr) -> Claim:
    return Claim(
        name=name,
        statement=statement,
        kind="inequality",
        expr=sp.powsimp(expr),
        strict=True,
        derivation="power_split_11_1_optimum",
    )


def logs(expr: sp.Expr) -> sp.Expr:
    """The logarithm of a product of powers, as a sum."""
    return sp.expand_log(sp.log(sp.powsimp(expr)), force=True)


MODEL = power_split()

CLAIMS = (
    _claim("value", "U is what the model maximizes", MODEL.observables["value"], (P - C * X**A) / N + X),
    _claim("loss", "its loss is -U", MODEL.potential, -U),
    _claim("slope", "U' = 1 - f'/N", sp.diff(U, X), 1 - SLOPE / N),
    _claim("interior", "f'(x_int) = N", logs(SLOPE.subs(X, INTERIOR)).simplify(), sp.log(N)),
    _claim(
        "interior_cost",
        "f(x_int) = N x_int/a",
        logs(POWER_LAW.subs(X, INTERIOR)).simplify(),
        logs(N * INTERIOR / A).simplify(),
    ),
    _claim(
        "time_limit",
        "f(x_int) = c (N/(ca))^(a/(a-1))",
        logs(POWER_LAW.subs(X, INTERIOR)).simplify(),
        logs(C * (N / (C * A)) ** (A / (A - 1))).simplify(),
    ),
    _claim("corner", "f(x_P) = P", POWER_LAW.subs(X, CORNER), P),
    _sign("convex", "U is concave for a > 1: the stationary point is the maximum", -sp.diff(U.subs(CONVEX), X, 2)),
    _sign("concave", "U is convex for a < 1: an end is the maximum", sp.diff(U.subs(CONCAVE), X, 2)),
    _claim(
        "corner_slope",
        "at P = f(x_int) the corner is the stationary point, f'(x_P) = N",
        logs(SLOPE.subs(X, CORNER).subs(P, POWER_LAW.subs(X, INTERIOR))).simplify(),
        sp.log(N),
    ),
    _sign(
        "corner_rises",
        "f'(x_P) grows with P for a > 1: below f(x_int) the corner is the maximum",
        sp.diff(SLOPE.subs(X, CORNER).subs(CONVEX), P),
    ),
    _claim(
        "diversity_gain",
        "limited by diversity, dx/dN = 1/f''",
        logs((sp.diff(INTERIOR, N) * sp.diff(POWER_LAW, X, 2).subs(X, INTERIOR)).subs(CONVEX)).simplify(),
        0,
    ),
    _sign("diversity_helps", "which is positive for a > 1", sp.diff(INTERIOR.subs(CONVEX), N)),
    _claim("time_gain", "limited by time, dx/dP = 1/f'", sp.powsimp(sp.diff(CORNER, P) * SLOPE.subs(X, CORNER)), 1),
    _sign("time_helps", "which is positive", sp.diff(CORNER, P)),
    _claim("all_against_nothing", "U(x_P) - U(0) = x_P - P/N", U.subs(X, CORNER) - P / N, CORNER - P / N),
    _claim(
        "all_or_nothing",
        "which vanishes at P_* = c (c/N)^(a/(1-a))",
        logs(CORNER.subs(P, ALL_OR_NOTHING)).simplify(),
        logs(ALL_OR_NOTHING / N).simplify(),
    ),
    _sign(
        "all_above",
        "x_P/(P/N) grows with P for a < 1: all above P_*, nothing below",
        sp.diff((CORNER * N / P).subs(CONCAVE), P),
    ),
    _claim("linear", "U' = 1 - c/N for a = 1", sp.diff(U.subs(A, 1), X), 1 - C / N),
    Claim(
        name="diversity_wins",
        statement="as N grows the direct power P/N vanishes beside x_P",
        kind="limit",
        expr=P / N / CORNER,
        variable=N,
        target=sp.oo,
        value=0,
        direction="-",
        derivation="power_split_11_1_optimum",
    ),
    _claim(
        "another_cost",
        "f = c (e^(kx) - 1) has f'(x) = N at x = ln(N/(ck))/k",
        sp.diff(power_split(EXPONENTIAL, params={C: 1.0, K: 1.0}).observables["value"], X).subs(
            X, sp.log(N / (C * K)) / K
        ),
        0,
    ),
    _sign(
        "too_dear",
        "f = c (e^(kx) - 1) with ck >= N, here N = ck/(1+e): U falls from x = 0 on",
        -sp.diff(value(EXPONENTIAL), X).subs(N, C * K / (1 + E)).subs(sp.exp(K * X), 1 + Y),
    ),
)
