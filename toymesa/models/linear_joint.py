r"""Two optimizers, two quadratic objectives: when is chasing each other's optimum stable?

A base optimizer holds theta, an inner one phi, each in the other's loss:

.. math::
    L = \tfrac12 \theta^T a\, \theta + \theta^T b\, \varphi + \tfrac12 \varphi^T e\, \varphi, \qquad
    O = \tfrac12 \varphi^T D\, \varphi + \varphi^T C\, \theta

======  ==========  ======  ==================================================================
symbol  name        range   meaning (unit)
======  ==========  ======  ==================================================================
theta   ``theta``   real    what the base optimizer trains
phi     ``phi``     real    the inner action; 0 at the start of an unrolled run
a       ``a``       real    curvature of the base loss (per unit of training time)
b       ``b``       real    how the action enters the base loss together with theta
e       ``e``       real    curvature of the base loss in the action
D       ``D``       real    curvature of the mesa-objective; > 0 for an inner optimum
C       ``C``       real    how theta moves the inner optimum, phi* = -(C/D) theta
eps     ``eps``     > 0     ratio of time scales (``joint``): the inner optimizer is 1/eps faster
tau     ``tau``     >= 0    inner time (``unrolled``)
======  ==========  ======  ==================================================================

Couplings: ``joint``, theta' = -(a theta + b phi), phi' = -(D phi + C theta)/eps; ``equilibrium``, where the base
optimizer sees through phi*(theta) and descends with the curvature a - 2bC/D + eC^2/D^2; ``unrolled``, the same with
kappa = (1 - e^(-D tau))/D for 1/D. With more than one component the symbols are matrices, entries ``a_1_2``.

Exact: the solution under every base optimizer that keeps it linear, the stability conditions on the parameters, the
Hopf point eps* = -D/a, the difference that seeing through makes (``derivations/linear_joint_10_*``). An instability of
``joint`` is a saddle where aD < bC and a spiral at the Hopf point; those of the other couplings are saddles.

Left out: everything beyond second order, so that an unstable pair has nowhere to go; tasks; the shape of the optimizers.

Reference: Hubinger et al. 2019 (arXiv 1906.01820), section 4.1, for the question; May 1972 (Nature 238, 413) for many
random couplings (:mod:`toymesa.theorems.linear_joint`).
"""

from __future__ import annotations

from typing import Any

import sympy as sp

from toymesa.errors import ArgumentError
from toymesa.symbolic.bilevel import COUPLINGS, bilevel
from toymesa.symbolic.linear_flow import with_linear_solution
from toymesa.symbolic.model import Domain, Model, Parameter
from toymesa.symbolic.optimizers import Optimizer

LARGEST = 8

# symbols
EPS = sp.Symbol("eps", positive=True)
TAU = sp.Symbol("tau", nonnegative=True)
THETA, PHI = sp.symbols("theta phi", real=True)
A, B, E, C, D = sp.symbols("a b e C D", real=True)

MEANINGS = {
    "a": "curvature of the base loss in theta",
    "b": "how action and theta enter the base loss together",
    "e": "curvature of the base loss in the action",
    "D": "curvature of the mesa-objective in the action",
    "C": "how theta moves the inner optimum",
}
DEFAULTS = {"a": -0.5, "b": 1.0, "e": 1.0, "D": 1.0, "C": -2.0, "eps": 1.0, "tau": 1.0}


def linear_joint(
    coupling: str = "joint",
    *,
    outer: int = 1,
    inner: int = 1,
    optimizer: Optimizer | None = None,
    params: dict[Any, Any] | None = None,
) -> Model:
    """The linear joint flow.

    coupling : "joint", "equilibrium" or "unrolled". outer, inner : numbers of components of theta and phi, together at
        most 8; with more than one the parameters are the entries of matrices (a, e and D symmetric).
    optimizer, params : a base optimizer and the defaults of its symbols; under ``joint`` it moves phi too.

    States ``theta``, and ``phi`` under ``joint``; observables ``loss``, and ``mesa_objective`` under ``joint``. The
    closed form is there under every coupling and optimizer (an unrolled run with several inner components excepted:
    it is numerical). ``equilibrium`` requires D positive definite. Raises ArgumentError for unusable sizes.
    """
    for name, value in (("outer", outer), ("inner", inner)):
        if isinstance(value, bool) or not isinstance(value, int) or value < 1 or outer + inner > LARGEST:
            raise ArgumentError(
                f"{name} must be a whole number of at least 1, both together at most {LARGEST}; got {value!r}"
            )
    if coupling not in COUPLINGS:
        raise ArgumentError(f"coupling must be one of {', '.join(COUPLINGS)}; got {coupling!r}")
    theta, phi = _vector("theta", outer), _vector("phi", inner)
    a, e, d = (_matrix(n, k, k, symmetric=True) for n, k in (("a", outer), ("e", inner), ("D", inner)))
    b, c = _matrix("b", outer, inner), _matrix("C", inner, outer)
    base = (theta.T * a * theta)[0] / 2 + (theta.T * b * phi)[0] + (phi.T * e * phi)[0] / 2
    mesa = (phi.T * d * phi)[0] / 2 + (phi.T * c * theta)[0]
    extra: dict[str, sp.Symbol] = {"joint": {"rate": EPS}, "equilibrium": {}, "unrolled": {"inner_time": TAU}}[coupling]
    used = [s for m in (a, b, e, d, c) for s in m] + list(extra.values())
    model = bilevel(
        base,
        mesa,
        outer=list(theta),
        inner=list(phi),
        coupling=coupling,
        **extra,
        params={s: _parameter(s) for s in used} | (params or {}),
        start=dict.fromkeys(theta, 1),
        optimizer=optimizer,
        name="linear_joint",
        meanings={"theta": "what the base optimizer trains", "phi": "inner action", "loss": "base loss"}
        | ({"mesa_objective": "what the inner optimizer descends on"} if coupling == "joint" else {}),
        question="When is a pair of optimizers with objectives of their own stable, and does seeing through one help?",
        reference="Hubinger et al. 2019 (arXiv 1906.01820); May 1972 (Nature 238, 413)",
    )
    return with_linear_solution(model)


def _vector(name: str, size: int) -> sp.Matrix:
    names = [name] if size == 1 else [f"{name}_{i + 1}" for i in range(size)]
    return sp.Matrix([sp.Symbol(n, real=True) for n in names])


def _matrix(name: str, rows: int, columns: int, *, symmetric: bool = False) -> sp.Matrix:
    if rows == columns == 1:
        return sp.Matrix([[sp.Symbol(name, real=True)]])

    def entry(i: int, j: int) -> sp.Symbol:
        i, j = (min(i, j), max(i, j)) if symmetric else (i, j)
        return sp.Symbol(f"{name}_{i + 1}_{j + 1}", real=True)

    return sp.Matrix(rows, columns, entry)


def _parameter(symbol: sp.Symbol) -> Parameter:
    if symbol in (EPS, TAU):
        meaning = "ratio of time scales: the inner optimizer is 1/eps faster" if symbol is EPS else "inner time"
        return Parameter(default=DEFAULTS[symbol.name], domain=Domain.of(symbol), meaning=meaning)
    letter, *place = symbol.name.split("_")
    on = not place or place[0] == place[1]
    default = DEFAULTS[letter] if on else 0.0
    return Parameter(default=default, meaning=MEANINGS[letter] + (f", entry {', '.join(place)}" if place else ""))
