r"""Capability 3.1: what gradient flow on capability and objective conserves, and how training inner time differs.

An inner optimizer of curvature 1 that runs for the inner time tau gets the fraction kappa = 1 - e^(-tau) of the way:
a = kappa w x, and leaves E O = (1-kappa)^2 w^2/2 of its own objective, whatever the base target. Averaged over the
task, the base loss is (kappa w - b)^2/2, and

.. math:: \frac{d}{dt}\Bigl(\frac{\kappa^2}{\eta_\kappa} - \frac{w^2}{\eta_w}\Bigr) = 0 .

*Training tau* instead of kappa is the same flow in another metric: kappa' = eta_k (1-kappa)^2 (b - kappa w) w, since
dkappa/dtau = 1 - kappa enters twice. Then (e^tau - tau)/eta_k - w^2/(2 eta_w) is conserved, and kappa stays below 1.

*The shift.* In deployment the base loss is (kappa w - b')^2/2: at convergence (b - b')^2/2, whatever the capability. What
the inner optimizer leaves of its own objective depends on neither b nor b'.

Derivation. Both models are built by ``bilevel`` from the two objectives; their flows are compared with the lines above.
"""

from __future__ import annotations

import sympy as sp

from toymesa.models.capability import B_DEPLOY, ETA_K, ETA_W, INNER_TIME, KAPPA, TAU, B, W, capability, imbalance
from toymesa.symbolic.claims import Claim
from toymesa.symbolic.model import Model

GAIN, TIMED = capability(), capability("time")
REACHED = 1 - sp.exp(-TAU)


def _claim(name: str, statement: str, lhs: sp.Expr, rhs: sp.Expr) -> Claim:
    return Claim(
        name=name, statement=statement, kind="identity", lhs=lhs, rhs=rhs, derivation="capability_3_1_conserved"
    )


def _invariant(name: str, statement: str, model: Model) -> Claim:
    return Claim(
        name=name,
        statement=statement,
        kind="invariant",
        model=model,
        expr=model.invariants["imbalance"].expr,
        derivation="capability_3_1_conserved",
    )


def inner_run(tau: sp.Expr) -> sp.Expr:
    """Where the inner optimizer is after the inner time, per unit of the task: the solution of a' = w - a, a(0) = 0."""
    return W * (1 - sp.exp(-tau))


CLAIMS = (
    _claim(
        "inner_run",
        "the inner run descends on its own objective",
        sp.diff(inner_run(TAU), TAU),
        W - inner_run(TAU),
    ),
    _claim("inner_time", "the inner time -ln(1-kappa) reaches kappa w", inner_run(INNER_TIME), KAPPA * W),
    _claim("loss", "the base loss is (kappa w - b)^2/2", GAIN.observables["loss"], (KAPPA * W - B) ** 2 / 2),
    _claim("capability_rate", "kappa' = eta_k (b - kappa w) w", GAIN.flow[KAPPA], ETA_K * (B - KAPPA * W) * W),
    _claim("objective_rate", "w' = eta_w (b - kappa w) kappa", GAIN.flow[W], ETA_W * (B - KAPPA * W) * KAPPA),
    _invariant("imbalance", "kappa^2/eta_k - w^2/eta_w is conserved", GAIN),
    _claim(
        "imbalance_form", "which is what the closed form uses", GAIN.invariants["imbalance"].expr, imbalance(KAPPA, W)
    ),
    _claim(
        "trained_time",
        "training tau: kappa' = eta_k (1-kappa)^2 (b - kappa w) w",
        sp.diff(REACHED, TAU) * TIMED.flow[TAU],
        (ETA_K * (1 - KAPPA) ** 2 * (B - KAPPA * W) * W).subs(KAPPA, REACHED),
    ),
    _claim(
        "trained_time_objective",
        "training tau leaves w' as it is",
        TIMED.flow[W],
        GAIN.flow[W].subs(KAPPA, REACHED),
    ),
    _invariant("trained_time_imbalance", "training tau conserves (e^tau - tau)/eta_k - w^2/(2 eta_w)", TIMED),
    *(
        _claim(
            f"mesa_loss_{label}",
            "the inner optimizer leaves (1-kappa)^2 w^2/2 of its own objective",
            model.observables["mesa_loss"],
            ((reached - 1) * W) ** 2 / 2,
        )
        for label, model, reached in (("gain", GAIN, KAPPA), ("time", TIMED, REACHED))
    ),
    _claim(
        "deployment",
        "converged, the shifted base loss is (b - b')^2/2",
        GAIN.observables["deployment_loss"].subs(W, B / KAPPA),
        (B - B_DEPLOY) ** 2 / 2,
    ),
    _claim("product", "the product is what the base loss sees", GAIN.observables["product"], KAPPA * W),
    _claim("product_time", "also for trained tau", TIMED.observables["product"], REACHED * W),
    _claim("kappa_time", "the capability for trained tau", TIMED.observables["kappa"], REACHED),
    *(
        Claim(
            name=f"descent_{label}",
            statement="the loss never rises",
            kind="lyapunov",
            model=model,
            derivation="capability_3_1_conserved",
        )
        for label, model in (("gain", GAIN), ("time", TIMED))
    ),
)
