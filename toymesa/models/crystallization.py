r"""Does a deceptive agent stop being shaped before training ends, and when does it defect?

The inner agent wants w and knows that the base target is 1, that training ends at T and that a deployment of weight H
follows. Deferring by d it acts as w + d (1-w): that costs it d^2/2 now, in units of the squared gap (1-w)^2, and leaves
the cost of having been moved until T, which it expects to be eta u (1-d) of the gap, u = T - t:

.. math::
    O = \tfrac12 d^2 + \tfrac12 H (\eta u (1-d))^2, \quad \ell = \tfrac12 (1-d)^2 (1-w)^2, \qquad
    d^* = \frac{H(\eta u)^2}{1 + H(\eta u)^2}, \quad \dot w = \eta\,(1-d^*)^2 (1-w)

With ``foresight="exact"`` it knows that it is moved by eta u (1-d)^2 instead: :math:`d^* = 2H(\eta u)^2 (1-d^*)^3`.

======  =============  ======  ======================================================================
symbol  name           range   meaning (unit)
======  =============  ======  ======================================================================
w       ``w``          real    what the agent wants; 1 is the base target
1 - d   ``pursuit``    (0, 1]  share of its own wish that the agent acts on
d       ``deferral``   [0, 1)  how far it acts as training wants: 1 in full deception, 0 after T
eta     ``rate``       > 0     learning rate (per unit of training time)
T       ``duration``   > 0     when training ends; w stays from then on
H       ``stakes``     >= 0    weight of deployment: horizon times the chance to be deployed unmodified
======  =============  ======  ======================================================================

Exact (``derivations/crystallization_6_*``): the whole course for both kinds of foresight; however long training is, w
moves by at most the fraction 1 - exp(-pi/(4 sqrt H)) of its gap (exact foresight: 1 - exp(-pi/sqrt(2H))): it crystallizes;
the time course of the defection near T. H = 0 is the plain flow w' = eta (1-w).

The defection takes a time of about 1/(eta sqrt H). Where training is very much longer, a numerical method can step over it
and miss what it moves; the closed form does not.

*Unstable* means a drift here: at full deference no value of w is preferred by the base loss. No simplicity enters. The
base loss is no potential: it depends on time through d*, and rises when the agent defects.

Left out: that the agent may be wrong about T or H, costs of planning, and tasks (one gap stands for all of them). Its
discrete ancestor, episodes that cannot be told apart, is in :mod:`toymesa.theorems.crystallization`.

Reference: Hubinger et al. 2019 (arXiv 1906.01820), section 4, deceptive alignment and crystallization of the
mesa-objective.
"""

from __future__ import annotations

from typing import Any

import sympy as sp

from toymesa.errors import ArgumentError, did_you_mean
from toymesa.symbolic.bilevel import bilevel
from toymesa.symbolic.model import TIME, ClosedForm, Domain, Model, Parameter, at_start
from toymesa.symbolic.optimizers import Optimizer, with_optimizer

# symbols
W, PURSUIT = sp.symbols("w pursuit", real=True)
RATE, DURATION = sp.symbols("rate duration", positive=True)
STAKES = sp.Symbol("stakes", nonnegative=True)
AHEAD = RATE * sp.Max(DURATION - TIME, 0)  # eta u: how far w could still be moved
TRAINING = sp.Piecewise((RATE, TIME < DURATION), (0, True))
FORESIGHT = ("linear", "exact")

# objectives, in pursuit = 1 - d, which keeps its accuracy in full deception
BASE_LOSS = PURSUIT**2 * (1 - W) ** 2 / 2


def mesa_objective(ahead: sp.Expr, power: int) -> sp.Expr:
    """Cost of deferring now and of being moved later, over the squared gap; power 1 is linear foresight, 2 exact."""
    return (1 - PURSUIT) ** 2 / 2 + STAKES * ahead**2 * PURSUIT ** (2 * power) / 2


def odds_root(ahead: sp.Expr, foresight: str) -> sp.Expr:
    """s with d*/(1-d*) = s^2: s = sqrt(H) ahead, or the root of s^3 + s = sqrt(2H) ahead (Cardano, hyperbolic form)."""
    if foresight == "linear":
        return sp.sqrt(STAKES) * ahead
    third = sp.asinh(3 * sp.sqrt(6) / 2 * sp.sqrt(STAKES) * ahead) / 3
    return 2 * sp.sinh(third) / sp.sqrt(3)


# closed form
def drifted(s: sp.Expr, foresight: str) -> sp.Expr:
    """The integral of (1-d*)^2 over eta u from 0, as a function of s, for H > 0."""
    if foresight == "linear":
        return (sp.atan(s) + s / (1 + s**2)) / (2 * sp.sqrt(STAKES))
    return (2 * sp.atan(s) - s / (1 + s**2)) / sp.sqrt(2 * STAKES)


def drift(ahead: sp.Expr, foresight: str) -> sp.Expr:
    """The same as a function of eta u; without stakes nothing is deferred."""
    return sp.Piecewise((drifted(odds_root(ahead, foresight), foresight), STAKES > 0), (ahead, True))


def _course(foresight: str) -> ClosedForm:
    """The gap 1 - w falls by the factor e^-(drift ahead at the start less drift still ahead)."""
    moved = drift(RATE * DURATION, foresight) - drift(AHEAD, foresight)
    return ClosedForm(
        states={W: at_start(W) - (1 - at_start(W)) * (sp.exp(-moved) - 1)}, derivation="crystallization_6_1_course"
    )


# the factory
def crystallization(foresight: str = "linear", *, optimizer: Optimizer | None = None) -> Model:
    """Deceptive crystallization.

    foresight : "linear", where the agent takes its drift as linear in 1-d, or "exact".
    optimizer : another base optimizer than gradient flow; those that need an autonomous flow do not go with it.

    State ``w``; observables ``loss`` (of what it does, so in deployment from T on), ``pursuit`` = 1-d, ``deferral`` = d
    and ``deployment_loss`` (of what it wants). "linear" is ``bilevel``, equilibrium. "exact" has a quartic mesa-objective,
    whose optimum ``bilevel`` would keep as an algebraic state; it is explicit (Cardano) and independent of w, so it is put
    into the flow as it is. Raises ArgumentError for another word.
    """
    if foresight not in FORESIGHT:
        hint = did_you_mean(str(foresight), FORESIGHT)
        raise ArgumentError(f"foresight must be 'linear' or 'exact'; got {foresight!r}{hint}")
    odds = odds_root(AHEAD, foresight) ** 2
    observables = {"deferral": odds / (1 + odds), "deployment_loss": (1 - W) ** 2 / 2}
    if foresight == "linear":
        return bilevel(
            BASE_LOSS,
            mesa_objective(AHEAD, 1),
            outer=[W],
            inner=[PURSUIT],
            coupling="equilibrium",
            metric={W: TRAINING},
            observables=observables,
            closed_forms=(_course(foresight),),
            optimizer=optimizer,
            potential=None,  # it depends on time: the base loss rises when the agent defects
            **_COMMON,
        )
    x = 1 / (1 + odds)
    loss = BASE_LOSS.subs(PURSUIT, x)
    model = Model(
        flow={W: -TRAINING * sp.diff(loss, W)},
        observables={"loss": loss, "pursuit": x, **observables},
        closed_forms=(_course(foresight),),
        **_COMMON,
    )
    return with_optimizer(model, optimizer)


_MEANINGS = {
    "w": "what the agent wants",
    "pursuit": "share of its own wish that it acts on",
    "loss": "base loss of what it does",
    "deferral": "how far it acts as training wants",
    "deployment_loss": "base loss of what it wants, which is what deployment gets",
}
_PARAMETERS = {
    RATE: Parameter(default=1.0, domain=Domain.of(RATE), meaning="learning rate"),
    DURATION: Parameter(default=8.0, domain=Domain.of(DURATION), meaning="when training ends"),
    STAKES: Parameter(default=1.0, domain=Domain.of(STAKES), meaning="weight of deployment for the agent"),
}
_COMMON: dict[str, Any] = {
    "params": _PARAMETERS,
    "start": {W: 0},
    "name": "crystallization",
    "meanings": _MEANINGS,
    "question": "Does a deceptive agent stop being shaped before training ends, and when does it defect?",
    "reference": "Hubinger et al. 2019 (arXiv 1906.01820), section 4",
}
