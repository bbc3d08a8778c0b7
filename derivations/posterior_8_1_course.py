r"""Posterior 8.1: the log-odds of two hypotheses are explicit in time, under each of the three laws of evidence.

With A_i(t) what speaks against hypothesis i (bits plus evidence), p_i(t) is proportional to e^(-A_i(t)), and the log-odds
of i against j are A_j - A_i. For the laws of the model ``posterior``

.. math::
    A_i = \gamma b_i \ln 2 + t\,\ell_i, \qquad
    A_i = \gamma b_i \ln 2 + N \ell_i + \lambda_i \ln N, \qquad
    A_i = \gamma b_i^v \ln 2 + k N^{1-q} \ell_i, \qquad N = 1 + t.

Derivation. The flow of the log-odds is l_i' = w_j - w_i with the weights w = l; l + lambda/N; k (1-q) N^(-q) l: it depends
on time alone, and its integral is the evidence. Under the first law it is the replicator equation, the gradient flow of
the mean loss in the Shahshahani metric (Shahshahani 1979), so the mean loss never rises: its fall is the variance of the
loss.
"""

from __future__ import annotations

import sympy as sp

from toymesa.models.posterior import LAWS, PACE, SLOWING, posterior
from toymesa.symbolic.claims import Claim
from toymesa.symbolic.model import TIME, Model, at_start

NAMES = ("a", "b", "d")
MODELS = {law: posterior(NAMES, law=law) for law in LAWS}


def _claim(name: str, statement: str, **what: object) -> Claim:
    return Claim(name=name, statement=statement, derivation="posterior_8_1_course", **what)


def evidence(model: Model, name: str, law: str, t: sp.Expr) -> sp.Expr:
    """What speaks against a hypothesis, as the theorem states it."""
    p = {s.name: s for s in model.params}
    steps = 1 + t
    bits, loss = p[f"bits_{name}"], p[f"loss_{name}"]
    if law == "gradient_flow":
        return p["prior_strength"] * bits * sp.log(2) + t * loss
    if law == "free_energy":
        return p["prior_strength"] * bits * sp.log(2) + steps * loss + p[f"lambda_{name}"] * sp.log(steps)
    return p["prior_strength"] * bits ** p["exponent"] * sp.log(2) + p["pace"] * steps ** (1 - p["slowing"]) * loss


def log_odds(model: Model, name: str, law: str, t: sp.Expr) -> sp.Expr:
    """Of a hypothesis against the last one."""
    return evidence(model, NAMES[-1], law, t) - evidence(model, name, law, t)


def start_claims() -> list[Claim]:
    """The model starts where the law says, and its course from there is the law."""
    out = []
    for law, model in MODELS.items():
        (form,) = model.closed_forms
        for state, name in zip(model.states, NAMES[:-1], strict=True):
            out.append(
                _claim(
                    f"posterior_{law}_{name}",
                    f"the log-odds of {name} are those of the law at every time",
                    kind="identity",
                    lhs=form.states[state].subs(at_start(state), model.start[state]),
                    rhs=log_odds(model, name, law, TIME),
                )
            )
    return out


def fall(law: str) -> tuple[sp.Expr, sp.Expr]:
    """d/dt of the mean loss along the flow of two hypotheses, and the variance of the loss, in the log-odds."""
    model = posterior(NAMES[:2], law=law)
    (odds,) = model.states
    loss = [model.param(f"loss_{n}") for n in NAMES[:2]]
    share = [1 / (1 + sp.exp(-odds)), 1 / (1 + sp.exp(odds))]
    mean = sum(p * l for p, l in zip(share, loss, strict=True))
    variance = sum(p * (l - mean) ** 2 for p, l in zip(share, loss, strict=True))
    return sp.diff(mean, odds) * model.flow[odds], variance


PACE_OF = {"gradient_flow": sp.Integer(1), "power": PACE * (1 - SLOWING) * (1 + TIME) ** -SLOWING}

CLAIMS = (
    *(
        _claim(
            f"posterior_{law}_solution",
            f"the closed form solves the flow of the law {law!r} from every start",
            kind="solution",
            model=model,
            solution=model.closed_forms[0].states,
        )
        for law, model in MODELS.items()
    ),
    *start_claims(),
    _claim(
        "posterior_mean_loss",
        "the mean loss never rises, for any number of hypotheses",
        kind="lyapunov",
        model=MODELS["gradient_flow"],
    ),
    *(
        _claim(
            f"posterior_{law}_fall",
            "the mean loss falls by its variance, times the pace of the evidence",
            kind="identity",
            lhs=fall(law)[0],
            rhs=-pace * fall(law)[1],
        )
        for law, pace in PACE_OF.items()
    ),
)
