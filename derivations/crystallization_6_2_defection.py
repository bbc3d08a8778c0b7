r"""Crystallization 6.2: the defection at the end of training, with linear foresight.

d* = H a^2/(1 + H a^2) with a = eta u falls to 0 as the end comes (u = T - t). It is at q when

.. math:: \eta u = \sqrt{\frac{q}{H (1-q)}},

at a half when eta u = 1/sqrt(H): the defection takes a time of the order 1/(eta sqrt H), however long training was. The
base loss l = (1-d*)^2 (1-w)^2/2, what the agent does, obeys

.. math:: \frac{d}{dt}\ln\sqrt\ell = \eta\,\frac{2Ha(1+Ha^2) - 1}{(1+Ha^2)^2},

so training makes it *rise* while 2Ha(1+Ha^2) > 1 and it falls only at the very end; it peaks at sqrt(H) a = z with

.. math:: z^3 + z = \frac{1}{2\sqrt H}, \qquad z = \tfrac2{\sqrt3}\sinh\Bigl(\tfrac13\operatorname{arsinh}
    \frac{3\sqrt3}{4\sqrt H}\Bigr).

Derivation. By differentiation along the flow; the cubic by sinh 3x = 4 sinh^3 x + 3 sinh x.
"""

from __future__ import annotations

import sympy as sp

from toymesa.models.crystallization import DURATION, RATE, STAKES, W, crystallization
from toymesa.symbolic.claims import Claim
from toymesa.symbolic.model import TIME

H, U, ETA, Z = sp.symbols("H u eta z", positive=True)
PART = sp.Symbol("q", positive=True)
MODEL = crystallization()


def _claim(name: str, statement: str, kind: str = "identity", **what: object) -> Claim:
    return Claim(name=name, statement=statement, kind=kind, derivation="crystallization_6_2_defection", **what)


def training(expr: sp.Expr) -> sp.Expr:
    """An expression of the model before T, in H, u, eta."""
    out = expr.xreplace({sp.Max(0, DURATION - TIME): U, STAKES: H, RATE: ETA})
    return out.replace(sp.Piecewise, lambda *pieces: pieces[0][0])


DEFERRAL = training(MODEL.observables["deferral"])
LOSS = training(MODEL.observables["loss"])
CHANGE = (sp.diff(LOSS, W) * training(MODEL.flow[W]) - sp.diff(LOSS, U)) / (2 * LOSS)
AHEAD = ETA * U
PEAK = 2 / sp.sqrt(3) * sp.sinh(Z / 3)

CLAIMS = (
    _claim("defection_stated", "d* = H a^2/(1+H a^2)", lhs=DEFERRAL, rhs=H * AHEAD**2 / (1 + H * AHEAD**2)),
    _claim("defection_end", "d* is 0 at the end", lhs=DEFERRAL.subs(U, 0), rhs=0),
    _claim(
        "defection_time",
        "d* = q at eta u = sqrt(q/(H(1-q)))",
        lhs=DEFERRAL.subs(U, sp.sqrt(PART / (H * (1 - PART))) / ETA),
        rhs=PART,
    ),
    _claim(
        "defection_half", "a half at 1/sqrt(H)", lhs=DEFERRAL.subs(U, 1 / (ETA * sp.sqrt(H))), rhs=sp.Rational(1, 2)
    ),
    _claim("defection_falls", "d* falls as the end comes", "inequality", expr=sp.diff(DEFERRAL, U), strict=True),
    _claim(
        "defection_loss",
        "the logarithmic rate of the root of the base loss",
        lhs=CHANGE,
        rhs=ETA * (2 * H * AHEAD * (1 + H * AHEAD**2) - 1) / (1 + H * AHEAD**2) ** 2,
    ),
    _claim(
        "defection_once",
        "its sign changes once: 2Ha(1+Ha^2) grows with a",
        "inequality",
        expr=sp.diff(2 * H * U * (1 + H * U**2), U),
        strict=True,
    ),
    _claim(
        "defection_peak",
        "it is zero where z^3 + z = 1/(2 sqrt H), z = sqrt(H) a",
        lhs=(2 * H * U * (1 + H * U**2)).subs(U, Z / sp.sqrt(H)),
        rhs=2 * sp.sqrt(H) * (Z**3 + Z),
    ),
    _claim(
        "defection_cardano",
        "whose root is the hyperbolic one, sinh z = 3 sqrt(3)/(4 sqrt H)",
        lhs=sp.expand(PEAK**3 + PEAK).rewrite(sp.exp),
        rhs=(2 / (3 * sp.sqrt(3)) * sp.sinh(Z)).rewrite(sp.exp),
    ),
)
