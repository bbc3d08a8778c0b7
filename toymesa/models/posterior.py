r"""Does training time override the simplicity prior, and how fast? The question at its barest, without an inner optimizer.

Hypotheses i with description length b_i (bits) and training loss :math:`\ell_i` share a posterior p. Three published laws
of how evidence counts against simplicity are options of one model, in the same time (training steps or samples N = 1 + t
for the last two, whose rates are not defined at N = 0):

.. math::
    \texttt{gradient\_flow:}\quad & p_i(t) \propto 2^{-\gamma b_i} e^{-t \ell_i}, \qquad
        \dot p_i = p_i\,(\textstyle\sum_j p_j \ell_j - \ell_i) \\
    \texttt{free\_energy:}\quad & p_i \propto 2^{-\gamma b_i} e^{-(N \ell_i + \lambda_i \ln N)} \\
    \texttt{power:}\quad & p_i \propto 2^{-\gamma b_i^v} e^{-k N^{1-q} \ell_i}

========  ===================  ==========  ==================================================================
symbol    name                 range       meaning (unit)
========  ===================  ==========  ==================================================================
p_i       ``p_<name>``         (0, 1)      posterior; integrated as log-odds ``logit_<name>`` against the last
b_i       ``bits_<name>``      >= 0        description length (bits)
l_i       ``loss_<name>``      real        training loss (nats per step)
gamma     ``prior_strength``   >= 0        how much a bit of description length counts
lambda_i  ``lambda_<name>``    >= 0        learning coefficient, cost of a parameter volume (``free_energy``)
k         ``pace``             > 0         weight of a step's evidence (``power``)
q         ``slowing``          [0, 1)      how fast evidence wears off (``power``)
v         ``exponent``         > 0         power of the description length in the prior (``power``)
========  ===================  ==========  ==================================================================

Exact for every law: the whole course (the log-odds are explicit in t), when the lead changes, and which hypotheses ever
lead (``derivations/posterior_8_*``). *Simple* means prior bits here, and for ``free_energy`` evidence (:math:`\lambda\ln
N`) besides. Nothing is unstable: the log-odds drift at rates that do not depend on them.

The first law is the gradient flow of the mean loss in the Shahshahani metric, the third the same with a metric that slows
down as N^-q. The second is none: what weighs against a hypothesis, loss plus lambda/N, itself changes with time.

Left out: how hypotheses are represented, that losses depend on the data seen so far, and any inner optimizer.

References: Watanabe 2009 (Algebraic Geometry and Statistical Learning Theory) for ``free_energy``; Wurgaft et al. 2025
(arXiv 2506.17859) for ``power``; Shahshahani 1979 for the metric.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sympy as sp

from toymesa.errors import ArgumentError, DomainError, did_you_mean
from toymesa.symbolic.flows import Geometry, Simplex, gradient_flow
from toymesa.symbolic.model import TIME, ClosedForm, Domain, Model, Parameter, at_start, check_name
from toymesa.symbolic.optimizers import Optimizer, with_optimizer

LAWS = ("gradient_flow", "free_energy", "power")

# symbols
GAMMA = sp.Symbol("prior_strength", nonnegative=True)
PACE, EXPONENT = sp.symbols("pace exponent", positive=True)
SLOWING = sp.Symbol("slowing", nonnegative=True)
STEPS = 1 + TIME
# description length, loss and learning coefficient of the hypotheses known by name; others get those of "middle"
DEFAULTS = {"simple": (1.0, 0.5, 0.5), "middle": (3.0, 0.2, 1.0), "fitting": (8.0, 0.05, 2.0)}


def posterior(
    names: Sequence[str] = tuple(DEFAULTS), *, law: str = "gradient_flow", optimizer: Optimizer | None = None
) -> Model:
    """Hypotheses under one of three laws of evidence.

    names: at least two identifiers. law: "gradient_flow", "free_energy" or "power". optimizer: see ``with_optimizer``.

    Returns a Model with observables ``p_<name>``, ``loss`` (mean), ``expected_bits`` and ``n_eff``. Raises ArgumentError
    for unusable names, DomainError for an unknown law.
    """
    m = _Symbols(_checked(names))
    if law not in LAWS:
        raise DomainError(f"there is no law {law!r}{did_you_mean(str(law), LAWS)}")
    common: dict[str, Any] = {
        "params": _parameters(m, law),
        "start": {f"logit_{n}": odds for n, odds in zip(m.names[:-1], m.log_odds(law, sp.Integer(0)), strict=True)},
        "closed_forms": (_course(m, law),),
        "name": "posterior",
        "meanings": _meanings(m.names),
        "question": "Does training time override the simplicity prior, and how fast?",
        "reference": "Watanabe 2009; Wurgaft et al. 2025 (arXiv 2506.17859)",
    }
    mean = sum(p * l for p, l in zip(m.p, m.loss, strict=True))
    observables = {
        "expected_bits": sum(p * b for p, b in zip(m.p, m.bits, strict=True)),
        "n_eff": sp.exp(-sum(p * sp.log(p) for p in m.p)),
    }
    if law == "free_energy":
        return with_optimizer(_weighed(m, {"loss": mean, **observables}, common), optimizer)
    rate = sp.Integer(1) if law == "gradient_flow" else PACE * (1 - SLOWING) * STEPS**-SLOWING
    metric = Simplex(tuple(m.p), rate=rate)
    return gradient_flow(mean, m.p, metric=metric, observables=observables, optimizer=optimizer, **common)


# the flow that is no gradient flow
def _weighed(m: _Symbols, observables: dict[str, sp.Expr], common: dict[str, Any]) -> Model:
    """Replicator flow with the weights l_i + lambda_i/N."""
    geometry = Geometry.of(m.p, Simplex(tuple(m.p)))
    weight = {p: l + c / STEPS for p, l, c in zip(m.p, m.loss, m.coefficient, strict=True)}
    read = geometry.share_observables() | {n: geometry.on_states(e) for n, e in observables.items()}
    return Model(flow=geometry.flow(weight), observables=read, charts=geometry.charts(), **common)


class _Symbols:
    """The symbols of some hypotheses, and how much speaks against each."""

    def __init__(self, names: tuple[str, ...]) -> None:
        self.names = names
        self.p = [sp.Symbol(f"p_{n}", positive=True) for n in names]
        self.bits = [sp.Symbol(f"bits_{n}", nonnegative=True) for n in names]
        self.loss = [sp.Symbol(f"loss_{n}", real=True) for n in names]
        self.coefficient = [sp.Symbol(f"lambda_{n}", nonnegative=True) for n in names]

    def against(self, law: str, t: sp.Expr) -> list[sp.Expr]:
        """Minus the log posterior of each, up to a common term, at time t."""
        steps = 1 + t
        prior = [GAMMA * sp.log(2) * (b**EXPONENT if law == "power" else b) for b in self.bits]
        evidence = {
            "gradient_flow": [t * l for l in self.loss],
            "free_energy": [steps * l + c * sp.log(steps) for l, c in zip(self.loss, self.coefficient, strict=True)],
            "power": [PACE * steps ** (1 - SLOWING) * l for l in self.loss],
        }[law]
        return [a + e for a, e in zip(prior, evidence, strict=True)]

    def log_odds(self, law: str, t: sp.Expr) -> list[sp.Expr]:
        """Log-odds of each but the last against the last."""
        against = self.against(law, t)
        return [against[-1] - a for a in against[:-1]]


# closed form
def _course(m: _Symbols, law: str) -> ClosedForm:
    """The log-odds at time t, from any start: evidence adds to them."""
    odds = Simplex(tuple(m.p)).log_odds
    moved = [now - then for now, then in zip(m.log_odds(law, TIME), m.log_odds(law, sp.Integer(0)), strict=True)]
    return ClosedForm(
        states={l: at_start(l) + d for l, d in zip(odds, moved, strict=True)}, derivation="posterior_8_1_course"
    )


def _checked(names: Sequence[str]) -> tuple[str, ...]:
    if isinstance(names, str) or len(names) < 2:
        raise ArgumentError(f"names must be a sequence of at least two hypothesis names; got {names!r}")
    for name in names:
        check_name(name, "a hypothesis's name")
    if len(set(names)) < len(names):
        raise ArgumentError(f"hypothesis names must differ; got {list(names)}")
    return tuple(names)


def _parameters(m: _Symbols, law: str) -> dict[sp.Symbol, Parameter]:
    out = {GAMMA: Parameter(default=1.0, domain=Domain(0.0), meaning="how much a bit of description length counts")}
    if law == "power":
        out |= {
            PACE: Parameter(default=1.0, domain=Domain.of(PACE), meaning="weight of a step's evidence"),
            SLOWING: Parameter(default=0.3, domain=Domain(0.0, 1.0, False, True), meaning="how evidence wears off"),
            EXPONENT: Parameter(default=1.0, domain=Domain.of(EXPONENT), meaning="power of the bits in the prior"),
        }
    for i, name in enumerate(m.names):
        bits, loss, coefficient = DEFAULTS.get(name, DEFAULTS["middle"])
        out[m.bits[i]] = Parameter(default=bits, domain=Domain(0.0), meaning=f"description length of {name} (bits)")
        out[m.loss[i]] = Parameter(default=loss, meaning=f"training loss of {name} (nats per step)")
        if law == "free_energy":
            out[m.coefficient[i]] = Parameter(
                default=coefficient, domain=Domain(0.0), meaning=f"learning coefficient of {name}"
            )
    return out


def _meanings(names: Sequence[str]) -> dict[str, str]:
    out = {
        "loss": "mean training loss (nats per step)",
        "expected_bits": "expected description length (bits)",
        "n_eff": "effective number of hypotheses",
    }
    for name in names:
        out |= {f"p_{name}": f"posterior of {name}", f"logit_{name}": f"log-odds of {name} against {names[-1]}"}
    return out
