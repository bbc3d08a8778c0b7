r"""Linear joint flow 10.2: what it changes that the base optimizer sees through the inner one.

With phi at its optimum -(C/D) theta the base optimizer that *does not* differentiate through it descends with the
curvature a - bC/D (the limit eps -> 0 of ``joint``), the one that does with

.. math:: a - 2bC/D + eC^2/D^2 = (a - bC/D) + \frac{C}{D}\Bigl(\frac{eC}{D} - b\Bigr).

Each is stable iff its curvature is positive (and D > 0). The second term is dL/dphi times dphi*/dtheta: seeing through
stabilizes where it is positive and the first is negative, and destabilizes in the reverse case; both regions exist
(witnesses below). The second is a *saddle* direction in either case: one number, no spiral.

An inner run of length tau from phi = 0 reaches -kappa C theta, kappa = (1 - e^(-D tau))/D (tau for D = 0): the curvature
is a - 2bC kappa + eC^2 kappa^2, which goes from a to that of ``equilibrium`` as tau goes from 0 to infinity.

For blocks, with M = D^-1 C (or the integral of e^(-Ds) times C): a - bM - (bM)^T + M^T e M.
"""

from __future__ import annotations

from typing import Any

import sympy as sp

from toymesa.models.linear_joint import TAU, THETA, A, B, C, D, E, linear_joint
from toymesa.symbolic.claims import Claim
from toymesa.symbolic.optimizers import Descent, HeavyBall

HERE = "linear_joint_10_2_seeing_through"
FRICTION, STEP = sp.symbols("friction step", positive=True)
EQUILIBRIUM, UNROLLED = linear_joint("equilibrium"), linear_joint("unrolled")
BLOCKS = linear_joint("equilibrium", outer=2, inner=1)
CASES = {
    "equilibrium": EQUILIBRIUM,
    "unrolled": UNROLLED,
    "equilibrium_steps": linear_joint("equilibrium", optimizer=Descent(STEP), params={STEP: 0.1}),
    "equilibrium_momentum": linear_joint("equilibrium", optimizer=HeavyBall(FRICTION), params={FRICTION: 1.0}),
}
POSITIVE_D = sp.Symbol("D", positive=True)


def _claim(name: str, statement: str, lhs: Any, rhs: Any) -> Claim:
    return Claim(name=name, statement=statement, kind="identity", lhs=lhs, rhs=rhs, derivation=HERE)


def curvature(kappa: sp.Expr) -> sp.Expr:
    """What the base optimizer descends with, if phi = -kappa C theta and it sees through."""
    return A - 2 * B * C * kappa + E * C**2 * kappa**2


BLIND = A - B * C / D
KAPPA = (1 - sp.exp(-D * TAU)) / D
# a, b, e, D, C: where only seeing through is stable, and where only not seeing through is
WITNESSES = {"stabilizes": (1, 1, 1, 1, 2), "destabilizes": (1, 0, -2, 1, 1)}


def at(witness: str, expr: sp.Expr) -> sp.Expr:
    """The expression at a witness."""
    return expr.subs(dict(zip((A, B, E, D, C), WITNESSES[witness], strict=True)))


def block_curvature() -> sp.Matrix:
    """a - bM - (bM)^T + M^T e M for two outer components and one inner."""
    get = {s.name: s for s in BLOCKS.params}
    a = sp.Matrix([[get["a_1_1"], get["a_1_2"]], [get["a_1_2"], get["a_2_2"]]])
    b, c = sp.Matrix([get["b_1_1"], get["b_2_1"]]), sp.Matrix([[get["C_1_1"], get["C_1_2"]]])
    m = c / get["D"]
    return a - b * m - (b * m).T + get["e"] * m.T * m


CLAIMS = (
    *(
        Claim(
            name=f"solution_{name}", statement=f"the closed form solves the model ({name})", kind="solution", model=m,
            solution=m.closed_forms[0].states, derivation=HERE,
        )
        for name, m in CASES.items()
        if m.closed_forms
    ),
    _claim("equilibrium", "the rate is -(a - 2bC/D + eC^2/D^2) theta", EQUILIBRIUM.flow[THETA], -curvature(1 / D) * THETA),
    _claim(
        "unrolled", "the rate is that with kappa for 1/D (D not 0)",
        UNROLLED.flow[THETA].subs(D, POSITIVE_D), (-curvature(KAPPA) * THETA).subs(D, POSITIVE_D),
    ),
    _claim("unrolled_flat", "for D = 0 kappa is tau", UNROLLED.flow[THETA].subs(D, 0), -curvature(TAU) * THETA),
    _claim("difference", "seeing through adds (C/D)(eC/D - b)", curvature(1 / D) - BLIND, C / D * (E * C / D - B)),
    Claim(
        name="no_inner_time", statement="kappa -> 0 as tau -> 0: the curvature is a", kind="limit",
        expr=curvature(KAPPA).subs(D, POSITIVE_D), variable=TAU, target=0, value=A, derivation=HERE,
    ),
    Claim(
        name="long_inner_time", statement="kappa -> 1/D as tau -> infinity, D > 0", kind="limit",
        expr=KAPPA.subs(D, POSITIVE_D), variable=TAU, target=sp.oo, value=1 / POSITIVE_D, direction="-", derivation=HERE,
    ),
    Claim(
        name="flat_inner_run", statement="kappa -> tau as D -> 0", kind="limit", expr=KAPPA, variable=D, target=0,
        value=TAU, derivation=HERE,
    ),
    *(
        Claim(
            name=f"witness_{name}_{what}", statement=f"seeing through {name} somewhere ({what})", kind="inequality",
            strict=True, expr=at(name, sign * expr), derivation=HERE,
        )
        for name, side in (("stabilizes", 1), ("destabilizes", -1))
        for what, expr, sign in (("seeing", curvature(1 / D), side), ("blind", BLIND, -side))
    ),
    _claim("blocks", "the Jacobian of the block form", BLOCKS.jacobian(), -block_curvature()),
    _claim("requires", "an inner optimum needs D > 0", EQUILIBRIUM.requires["inner_curvature_1"], D),
)  # fmt: skip
