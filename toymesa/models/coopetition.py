r"""Can more training undo what short training found? Two mechanisms that share a factor and hinder each other.

Mechanism 1 is the chain u = abc, mechanism 2 the chain v = bcd: they help each other through the factors b and c that they
share, and a penalty keeps them from being used together,

.. math::
    L = (\ell_1 + m_1)(\ell_2 + m_2) + \tfrac{\alpha}{2} a^2 d^2, \qquad
    \ell_1 = \tfrac12 (u-1)^2, \quad \ell_2 = \tfrac12 (v-1)^2,

of which training is the gradient flow. Loss is low as soon as one mechanism does its job; a floor m_1 > 0 means that
mechanism 1 cannot do it completely.

======  ==============  ======  ==========================================================
symbol  name            range   meaning
======  ==============  ======  ==========================================================
a       ``a``           real    what mechanism 1 has for itself
b, c    ``b``, ``c``    real    what the two share
d       ``d``           real    what mechanism 2 has for itself
alpha   ``competition`` >= 0    how much the two are in each other's way
m_1     ``floor_1``     >= 0    loss that mechanism 1 cannot get rid of
m_2     ``floor_2``     >= 0    the same for mechanism 2
======  ==============  ======  ==========================================================

Exact (``derivations/coopetition_12_*``): b^2 - c^2 is conserved and a^2 + d^2 - b^2 falls by 4 alpha a^2 d^2; with
alpha > 0 no state that uses both mechanisms is a fixed point; mechanism 2 alone is one iff m_2 = 0, with its stability;
mechanism 1 alone is none as soon as m_1 > 0. To leading order for strong competition: mechanism 1, once learned, lives
for a training time of alpha/(6 m_1^2) if everything started small. The transient itself is numerical.

*Unstable* here is a slow drift: while mechanism 1 rules, the state moves along a valley whose floor falls by a little.

Left out: the many directions of a real factor, and data; it says when a mechanism can be transient, not that one is.

Reference: Singh et al. 2025 (arXiv 2503.05631), whose minimal model this is in scalar form.
"""

from __future__ import annotations

import sympy as sp

from toymesa.symbolic.flows import gradient_flow
from toymesa.symbolic.model import Domain, Invariant, Model, Parameter
from toymesa.symbolic.optimizers import Optimizer

# symbols
A, B, C, D = sp.symbols("a b c d", real=True)
ALPHA, M1, M2 = sp.symbols("competition floor_1 floor_2", nonnegative=True)

# objectives
FIRST, SECOND = A * B * C, B * C * D
LOSS_1, LOSS_2 = (FIRST - 1) ** 2 / 2, (SECOND - 1) ** 2 / 2
LOSS = (LOSS_1 + M1) * (LOSS_2 + M2) + ALPHA / 2 * A**2 * D**2


def coopetition(*, optimizer: Optimizer | None = None) -> Model:
    """The scalar model; mechanism 1 starts ahead, so that it is learned first and, with the default floor, given up.

    optimizer: see ``with_optimizer``. Returns a Model with observables ``loss``, ``mechanism_1`` and ``mechanism_2``.
    """
    return gradient_flow(
        LOSS,
        [A, B, C, D],
        params={
            ALPHA: Parameter(default=5.0, domain=Domain(0.0), meaning="competition: penalty on using both"),
            M1: Parameter(default=0.1, domain=Domain(0.0), meaning="floor of the loss of mechanism 1"),
            M2: Parameter(default=0.0, domain=Domain(0.0), meaning="floor of the loss of mechanism 2"),
        },
        start={A: sp.Rational(3, 10), B: sp.Rational(1, 10), C: sp.Rational(1, 10), D: sp.Rational(1, 100)},
        observables={"mechanism_1": FIRST, "mechanism_2": SECOND},
        invariants={"balance": Invariant(expr=B**2 - C**2, derivation="coopetition_12_1_fixed_points")},
        optimizer=optimizer,
        name="coopetition",
        meanings={
            "loss": "base loss",
            "a": "own factor of mechanism 1",
            "b": "shared factor",
            "c": "shared factor",
            "d": "own factor of mechanism 2",
            "mechanism_1": "strength of mechanism 1 (1: does its job)",
            "mechanism_2": "strength of mechanism 2 (1: does its job)",
        },
        question="Can more training undo what short training found?",
        reference="Singh et al. 2025 (arXiv 2503.05631)",
    )
