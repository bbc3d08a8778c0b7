r"""Does training shape what a mesa-optimizer wants, or how well it gets it, and which of the two survives a shift?

On a standardized task x the inner optimizer runs for an inner time tau on its own objective, whose weight w the base
optimizer shapes as well. It gets the fraction kappa of the way, the capability:

.. math::
    O = \tfrac12 (a - w x)^2, \quad a_\tau = \kappa\, w\, x, \quad \kappa = 1 - e^{-\tau}, \qquad
    \ell = \mathbb{E}\,\tfrac12 (a_\tau - b x)^2 = \tfrac12 (\kappa w - b)^2

    \dot\kappa = \eta_\kappa\,(b - \kappa w)\, w, \quad \dot w = \eta_w\,(b - \kappa w)\,\kappa \quad
    \text{or, training } \tau, \quad \dot\kappa = \eta_\kappa (1-\kappa)^2 (b - \kappa w)\, w

=====  ====================  ==========  =================================================================
symbol name                  range       meaning (unit)
=====  ====================  ==========  =================================================================
kappa  ``kappa``             real        capability: share of its objective that the inner optimizer reaches
tau    ``tau``               real        inner time, -ln(1 - kappa) (state instead of kappa on demand)
w      ``w``                 real        objective: what the inner optimizer aims at, per unit of the task
b      ``target``            real        what the base objective wants
b'     ``deploy_target``     real        what it wants in deployment
eta    ``rate_capability``,  > 0         learning rates (per unit of training time)
       ``rate_objective``
=====  ====================  ==========  =================================================================

Exact (``derivations/capability_3_*``): :math:`\kappa^2/\eta_\kappa - w^2/\eta_w` is conserved, the whole course in training
time for every start, its logistic limit of rate 2b for balanced starts, the saddle at the origin and its plateau, the
curvature at convergence and with it the edge of stability of discrete steps. For trained tau:
:math:`(e^\tau - \tau)/\eta_\kappa - w^2/(2\eta_w)` is conserved.

*Unstable* means here a saddle, at kappa = w = 0; convergence is a curve of rest points kappa w = b (a drift). The shift
of b leaves the capability as it is: in deployment the system pursues w, no less competently than in training
(``mesa_loss``), and the base loss is what the shift makes of it (``deployment_loss``).

Left out: curvature of the mesa-objective other than 1, tasks of more than one dimension, noise in the task.

Reference: Saxe, McClelland and Ganguli 2014 (arXiv 1312.6120, supplement A) for the product of two unequal factors;
Langosco et al. 2022 (arXiv 2105.14111) for goals that misgeneralize while capabilities do not.
"""

from __future__ import annotations

from typing import Any

import sympy as sp

from toymesa.errors import ArgumentError, did_you_mean
from toymesa.symbolic.bilevel import bilevel
from toymesa.symbolic.model import (
    EVERYWHERE,
    POSITIVE,
    TIME,
    ClosedForm,
    Invariant,
    Model,
    Parameter,
    at_start,
)
from toymesa.symbolic.optimizers import Optimizer

# symbols
KAPPA, W, TAU, A, X = sp.symbols("kappa w tau a x", real=True)
B, B_DEPLOY = sp.symbols("target deploy_target", real=True)
ETA_K, ETA_W = sp.symbols("rate_capability rate_objective", positive=True)

# objectives
BASE_LOSS = (A - B * X) ** 2 / 2
MESA_OBJECTIVE = (A - W * X) ** 2 / 2
INNER_TIME = -sp.log(1 - KAPPA)  # what reaches the share kappa of an optimum at curvature 1


# closed form and invariants
def imbalance(kappa: sp.Expr, w: sp.Expr) -> sp.Expr:
    """What gradient flow on capability and objective conserves."""
    return kappa**2 / ETA_K - w**2 / ETA_W


def factors(kappa: sp.Expr, w: sp.Expr) -> tuple[sp.Expr, sp.Expr]:
    """kappa/sqrt(eta_k) plus and minus w/sqrt(eta_w): in internal time they grow and decay exponentially."""
    k, v = kappa / sp.sqrt(ETA_K), w / sp.sqrt(ETA_W)
    return k + v, k - v


def riccati() -> tuple[sp.Expr, sp.Expr, sp.Expr]:
    """alpha, beta, gamma of q' = alpha + beta q - gamma q^2, q = (growing factor/its start)^2."""
    plus, minus = factors(at_start(KAPPA), at_start(W))
    omega2 = ETA_K * ETA_W
    return omega2 * minus**2 / 2, 2 * sp.sqrt(omega2) * B, omega2 * plus**2 / 2


def ratio(alpha: sp.Expr, beta: sp.Expr, gamma: sp.Expr, t: sp.Expr) -> sp.Expr:
    """q(t) from q(0) = 1, alpha and gamma >= 0: sums of positive terms for either sign of beta, so nothing cancels."""
    rho = sp.sqrt(beta**2 + 4 * alpha * gamma)
    large = rho + sp.Abs(beta)
    small = 4 * alpha * gamma / large  # rho - |beta|
    up = sp.Piecewise((large, beta > 0), (small, True))
    down = sp.Piecewise((small, beta > 0), (large, True))
    left = sp.exp(-rho * t)
    gone = 1 - left
    above, below = up + down * left + 2 * alpha * gone, down + up * left + 2 * gamma * gone
    return sp.Piecewise((above / below, rho > 0), ((1 + alpha * t) / (1 + gamma * t), True))


def course(q: sp.Expr) -> dict[sp.Symbol, sp.Expr]:
    """Capability and objective once the squared growing factor has become q times what it was."""
    plus, minus = factors(at_start(KAPPA), at_start(W))
    grown = sp.Piecewise((0, sp.Eq(plus, 0)), (plus * sp.sqrt(q), True))  # 0 stays 0, also where q overflows
    fallen = sp.Piecewise((0, sp.Eq(minus, 0)), (minus / sp.sqrt(q), True))
    return {KAPPA: sp.sqrt(ETA_K) * (grown + fallen) / 2, W: sp.sqrt(ETA_W) * (grown - fallen) / 2}


# the factory
TRAINED = ("gain", "time")


def capability(trained: str = "gain", *, optimizer: Optimizer | None = None) -> Model:
    """Capability times objective.

    trained : "gain", where the base optimizer trains kappa itself and may take it past 1 (an overshooting gain, which
        no inner time gives), or "time", where it trains the inner time tau: the same flow in another metric, which
        keeps kappa below 1.
    optimizer : another base optimizer than gradient flow.

    States ``kappa`` (or ``tau``) and ``w``. Observables ``loss``, ``deployment_loss``, ``mesa_loss`` (how far the inner
    optimizer stays from its own optimum, in training as in deployment), ``product`` (kappa w), and ``inner_time`` (nan
    where no inner time reaches kappa) or ``kappa``. Raises ArgumentError for another word.
    """
    if trained not in TRAINED:
        raise ArgumentError(f"trained must be 'gain' or 'time'; got {trained!r}{did_you_mean(str(trained), TRAINED)}")
    gain = trained == "gain"
    state, reached = (KAPPA, KAPPA) if gain else (TAU, 1 - sp.exp(-TAU))
    lag = 1 - KAPPA if gain else sp.exp(-TAU)
    exact: dict[str, Any] = (
        {"invariants": {"imbalance": Invariant(expr=imbalance(KAPPA, W), derivation="capability_3_1")},
         "closed_forms": (ClosedForm(states=course(ratio(*riccati(), TIME)), derivation="capability_3_2"),)}
        if gain
        else {"invariants": {"imbalance": Invariant(expr=timed_imbalance(TAU, W), derivation="capability_3_1")}}
    )  # fmt: skip
    return bilevel(
        BASE_LOSS,
        MESA_OBJECTIVE,
        outer=[state, W],
        inner=[A],
        coupling="unrolled",
        inner_time=INNER_TIME if gain else TAU,
        tasks=[X],
        metric={state: ETA_K, W: ETA_W},
        params=_parameters(),
        start={state: 0.05, W: 0.1},
        observables={
            "deployment_loss": (A - B_DEPLOY * X) ** 2 / 2,
            "mesa_loss": lag**2 * W**2 / 2,
            "product": reached * W,
            **({"inner_time": sp.Piecewise((INNER_TIME, KAPPA < 1))} if gain else {"kappa": reached}),
        },
        optimizer=optimizer,
        name="capability",
        meanings=_meanings(),
        question="Does training shape what a mesa-optimizer wants or how well it gets it, and which survives a shift?",
        reference="Saxe, McClelland and Ganguli 2014 (arXiv 1312.6120)",
        **exact,
    )


def timed_imbalance(tau: sp.Expr, w: sp.Expr) -> sp.Expr:
    """What gradient flow on inner time and objective conserves."""
    return (sp.exp(tau) - tau) / ETA_K - w**2 / (2 * ETA_W)


def _parameters() -> dict[sp.Symbol, Parameter]:
    return {
        B: Parameter(default=0.8, domain=EVERYWHERE, meaning="what the base objective wants"),
        B_DEPLOY: Parameter(default=-0.4, domain=EVERYWHERE, meaning="what it wants in deployment"),
        ETA_K: Parameter(
            default=1.0, domain=POSITIVE, meaning="learning rate of the capability (or of the inner time)"
        ),
        ETA_W: Parameter(default=1.0, domain=POSITIVE, meaning="learning rate of the objective"),
    }


def _meanings() -> dict[str, str]:
    return {
        "kappa": "capability: share of its objective that the inner optimizer reaches",
        "tau": "inner time",
        "w": "objective: what the inner optimizer aims at, per unit of the task",
        "loss": "base loss in training",
        "deployment_loss": "base loss in deployment, under the shifted target",
        "mesa_loss": "what the inner optimizer leaves of its own objective",
        "product": "what it does: action per unit of the task",
        "inner_time": "inner time that reaches this capability",
    }
