r"""Depth 9.2: strong modes first, and steps that sharpen with depth.

Let every mode start at x_0. The time until a mode of target s has reached half of it diverges as x_0 -> 0,

.. math::
    D = 2:\quad t_{1/2} \sim \frac{\ln(1/x_0)}{2s}, \qquad
    D > 2:\quad t_{1/2} \sim \frac{x_0^{-(1-2/D)}}{(D-2)\,s},

while the step itself, from a tenth to nine tenths, takes a time that does not depend on x_0. So modes are learned one
after the other in the order of their targets, the ratio of their times tends to the inverse ratio of their targets at
every depth D >= 2, and the width of a step relative to its time vanishes like 1/ln(1/x_0) for two layers and like a power,
x_0^(1-2/D), for more: the staircase sharpens with depth. For D = 1 there is none: all modes relax at rate 1.

Derivation. Each limit from the times of 9.1; the order from dt/dx, which at equal x falls with s.
"""

from __future__ import annotations

import sympy as sp

from toymesa.models.depth import D, depth
from toymesa.symbolic.claims import Claim

MODEL = depth(2)
X, _ = MODEL.states
S, S2 = MODEL.param("target_1"), MODEL.param("target_2")
X0 = sp.Symbol("x_0", positive=True)


def _claim(name: str, statement: str, **what: object) -> Claim:
    return Claim(name=name, statement=statement, derivation="depth_9_2_staircase", **what)


def half_time(layers: int) -> sp.Expr:
    """Time from x_0 to s/2, elementary, for D = 2 and D = 4."""
    u0 = X0 / S
    if layers == 2:
        return sp.log((1 - u0) / u0) / (2 * S)
    done = {u: -2 / sp.sqrt(u) + sp.log((1 + sp.sqrt(u)) / (1 - sp.sqrt(u))) for u in (u0, sp.Rational(1, 2))}
    return (done[sp.Rational(1, 2)] - done[u0]) / (4 * S ** sp.Rational(3, 2))


# what is left of dt/dx near x = 0 integrates to this
EARLY = X0 ** (-(1 - 2 / D)) / ((D - 2) * S)
RATE = 1 / MODEL.flow[X].subs(X, X0)

CLAIMS = (
    _claim(
        "half_time_2",
        "two layers: t_half / ln(1/x_0) tends to 1/(2s)",
        kind="limit",
        expr=half_time(2) / sp.log(1 / X0),
        variable=X0,
        target=0,
        value=1 / (2 * S),
    ),
    _claim(
        "half_time_4",
        "four layers: x_0^(1/2) t_half tends to 1/(2s)",
        kind="limit",
        expr=sp.sqrt(X0) * half_time(4),
        variable=X0,
        target=0,
        value=(sp.sqrt(X0) * EARLY).subs(D, 4),
    ),
    _claim(
        "early_time",
        "any depth: -d/dx_0 of x_0^-(1-2/D)/((D-2) s) is dt/dx_0 but for the factor s/(s - x_0), which tends to 1",
        kind="identity",
        lhs=-sp.diff(EARLY, X0) * S / (S - X0),
        rhs=RATE,
    ),
    _claim(
        "order",
        "at equal strength the stronger mode is faster, by the difference of the targets times the metric",
        kind="identity",
        lhs=(MODEL.flow[X] - MODEL.flow[X].subs(S, S2)) / (S - S2),
        rhs=D * X ** (2 - 2 / D),
    ),
)
