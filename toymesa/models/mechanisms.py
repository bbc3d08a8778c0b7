r"""Is joint optimization of base and mesa-objective stable, and is it still joint when training stops?

K mechanisms by which a system can come to score well on the base objective compete for reliance. Each points an honest
inner optimizer at its own target; the action is the optimum of the reliance-weighted mesa-objective, and the base
optimizer differentiates through it. Averaged over tasks beta and errors xi_r, both standardized,

.. math::
    O = \sum_r \tfrac{p_r}{2} (a - T_r)^2, \quad T_r = c_r\,(f_r \beta + \sqrt{1-f_r^2}\,\xi_r), \quad
    L = \tfrac12 (a-\beta)^2

    \Phi = n\,\bigl[\mathbb{E} L(a^*) + \tfrac12 \textstyle\sum_r (\lambda/\eta_r)\, c_r^2\bigr]
           + \mu\, \mathrm{KL}(p\,\|\,\pi), \quad \pi_r \propto 2^{-b_r}

    \dot c_r = -(\eta_r/n)\, \partial\Phi/\partial c_r, \quad
    \dot p_r = -\eta_p\, p_r\, (\partial\Phi/\partial p_r - \textstyle\sum_q p_q\, \partial\Phi/\partial p_q)

========  ===================  ==========  ======================================================================
symbol    name                 range       meaning (unit)
========  ===================  ==========  ======================================================================
c_r       ``c_<name>``         real        content: how far its target has been pulled to the base target (1: fully)
p_r       ``p_<name>``         (0, 1)      reliance on the mechanism; integrated as log-odds ``logit_<name>``
n         ``diversity``        > 0         effective number of tasks that share the reliances
lambda    ``lam``              >= 0        decay of contents (per unit of training time)
mu        ``mu``               >= 0        simplicity pressure on reliances
eta_p     ``gate_rate``        > 0         learning rate of reliances
eta_r     ``rate_<name>``      > 0         learning rate of a content
b_r       ``bits_<name>``      real        description length (bits): the simplicity prior is 2^(-b)
f_r       ``fidelity_<name>``  [-1, 1]     correlation of its target with the base target in training
F_r       ``deploy_<name>``    [-1, 1]     the same in deployment
========  ===================  ==========  ======================================================================

What is exactly known is derived in ``derivations/mechanisms_1_*`` (Lyapunov function, polarization law, joint
trajectory and its instability, critical diversity, branches, stopping early, noise, order of selection).

The four names and their defaults, from the taxonomy of Hubinger, van Merwijk, Mikulik, Skalse and Garrabrant 2019
("Risks from Learned Optimization", arXiv 1906.01820) and the description-length argument of Hubinger 2022 ("How likely
is deceptive alignment?"). The numbers are ours: they encode an order, not a measurement.

* ``proxy``: pseudo-aligned through a correlated proxy (2019, section 3). Simplest (1 bit), imperfect already in
  training (f = 0.9), mostly wrong in deployment (F = 0.3).
* ``internalized``: the base objective itself is the mesa-objective (2019, section 4.3). Longest description (4 bits),
  right everywhere.
* ``corrigible``: points at the base objective through its world model (2019, section 4.3; robust there). 3 bits.
* ``deceptive``: models the base objective and pursues it instrumentally while in training (2019, section 4). Any of
  many simple goals will do, so it is shorter than the robust ones (2 bits; the 2022 argument), slower to be acquired
  for the reasoning it needs (rate 1/2), perfect in training (f = 1) and unrelated in deployment (F = 0).

Left out: what the mechanisms compute, mechanisms that share parameters or change each other, finite inner compute, and
tasks that differ in more than their target. Whether description length in bits of a network is what training feels is
disputed (Carlsmith 2023, "Scheming AIs", section 4; Belrose and Pope 2024, "Counting arguments provide no evidence
for AI doom"): the model tests what follows if it is.
"""

from __future__ import annotations

from collections.abc import Sequence

import sympy as sp

from toymesa.errors import ArgumentError
from toymesa.symbolic.bilevel import bilevel
from toymesa.symbolic.flows import Simplex
from toymesa.symbolic.functions import LogSumExp
from toymesa.symbolic.model import TIME, ClosedForm, Domain, Invariant, Model, Parameter, at_start, check_name
from toymesa.symbolic.optimizers import Optimizer

NAMES = ("proxy", "internalized", "corrigible", "deceptive")

# name -> rate, bits, training fidelity, deployment fidelity
DEFAULTS: dict[str, tuple[float, float, float, float]] = {
    "proxy": (1.0, 1.0, 0.9, 0.3),
    "internalized": (1.0, 4.0, 1.0, 1.0),
    "corrigible": (1.0, 3.0, 1.0, 1.0),
    "deceptive": (0.5, 2.0, 1.0, 0.0),
}
_OTHER = (1.0, 0.0, 1.0, 1.0)  # a mechanism of another name: perfect, no description length

# symbols
N, ETA_P = sp.symbols("diversity gate_rate", positive=True)
LAM, MU = sp.symbols("lam mu", nonnegative=True)


def mechanisms(names: Sequence[str] = NAMES, *, optimizer: Optimizer | None = None) -> Model:
    """The mechanism-competition model for any K >= 2 mechanisms.

    names : different identifiers; the last one is the reference of the log-odds. The four literature names bring
        their defaults, any other name a perfect mechanism of rate 1 and 0 bits.
    optimizer : another base optimizer than gradient flow; what is exact about the flow is then dropped.

    States ``c_<name>`` and K - 1 ``logit_<name>``; starts may be given as ``c_<name>`` (default 0), ``logit_<name>`` or
    all ``p_<name>`` (default: the prior). Observables ``p_<name>``, ``loss``, ``deployment_loss``, ``n_eff`` (effective
    number of mechanisms, 1 to K), ``expected_bits``, ``free_energy``. Raises ArgumentError for unusable names.
    """
    names = _checked(names)
    m = _Symbols(names)
    return bilevel(
        base_loss=(m.a - m.beta) ** 2 / 2,
        mesa_objective=sum(p * (m.a - t) ** 2 / 2 for p, t in zip(m.p, m.targets(m.fidelity), strict=True)),
        outer=[*m.c, *m.p],
        inner=[m.a],
        coupling="equilibrium",
        tasks=[m.beta, *m.xi],
        regularizer=m.decay() + MU / N * m.divergence(),
        metric=[dict(zip(m.c, m.rate, strict=True)), Simplex(tuple(m.p), rate=N * ETA_P)],
        start={f"logit_{n}": (m.bits[-1] - b) * sp.log(2) for n, b in zip(names[:-1], m.bits[:-1], strict=True)},
        params=_parameters(m),
        observables={
            "deployment_loss": m.loss(m.deploy),
            "n_eff": sp.exp(-sum(p * sp.log(p) for p in m.p)),
            "expected_bits": sum(p * b for p, b in zip(m.p, m.bits, strict=True)),
            "free_energy": N * (m.loss(m.fidelity) + m.decay()) + MU * m.divergence(),
        },
        invariants={"polarization": _polarization(m)},
        closed_forms=(_joint(m),),
        optimizer=optimizer,
        name="mechanisms",
        meanings=_meanings(names),
        question=(
            "Is joint optimization of base and mesa-objective stable, and is it still joint when training stops early?"
        ),
        reference="Hubinger et al. 2019 (arXiv 1906.01820)",
    )


class _Symbols:
    """The symbols of K mechanisms, and the pieces of the objectives written in them."""

    def __init__(self, names: Sequence[str]) -> None:
        self.names = tuple(names)
        self.a, self.beta = sp.symbols("a beta", real=True)
        self.c = [sp.Symbol(f"c_{n}", real=True) for n in names]
        self.p = [sp.Symbol(f"p_{n}", positive=True) for n in names]
        self.xi = [sp.Symbol(f"xi_{n}", real=True) for n in names]
        self.rate = [sp.Symbol(f"rate_{n}", positive=True) for n in names]
        self.bits = [sp.Symbol(f"bits_{n}", real=True) for n in names]
        self.fidelity = [sp.Symbol(f"fidelity_{n}", real=True) for n in names]
        self.deploy = [sp.Symbol(f"deploy_{n}", real=True) for n in names]

    def targets(self, fidelity: Sequence[sp.Symbol]) -> list[sp.Expr]:
        """What each mechanism aims at: its content times the base target with an independent error."""
        return [c * (f * self.beta + sp.sqrt(1 - f**2) * x) for c, f, x in zip(self.c, fidelity, self.xi, strict=True)]

    def loss(self, fidelity: Sequence[sp.Symbol]) -> sp.Expr:
        """The base loss per task, averaged, for given fidelities."""
        pull = sum(f * p * c for f, p, c in zip(fidelity, self.p, self.c, strict=True))
        errors = sum((1 - f**2) * p**2 * c**2 for f, p, c in zip(fidelity, self.p, self.c, strict=True))
        return (1 - pull) ** 2 / 2 + errors / 2

    def decay(self) -> sp.Expr:
        """The weight-decay term of the free energy, per task."""
        return sum(LAM / r * c**2 for r, c in zip(self.rate, self.c, strict=True)) / 2

    def divergence(self) -> sp.Expr:
        """KL(p | prior) in nats."""
        weights = [-b * sp.log(2) for b in self.bits]
        total = LogSumExp(*weights)
        return sum(p * (sp.log(p) - w + total) for p, w in zip(self.p, weights, strict=True))


def _checked(names: Sequence[str]) -> tuple[str, ...]:
    if isinstance(names, str) or len(names) < 2:
        raise ArgumentError(f"names must be a sequence of at least two mechanism names; got {names!r}")
    for name in names:
        check_name(name, "a mechanism's name")
    if len(set(names)) < len(names):
        raise ArgumentError(f"mechanism names must differ; got {list(names)}")
    return tuple(names)


def _parameters(m: _Symbols) -> dict[sp.Symbol, Parameter]:
    correlation = Domain(-1.0, 1.0)
    out = {
        N: Parameter(default=10.0, domain=Domain.of(N), meaning="diversity: effective number of tasks"),
        LAM: Parameter(default=0.01, domain=Domain.of(LAM), meaning="decay of contents"),
        MU: Parameter(default=0.1, domain=Domain.of(MU), meaning="simplicity pressure on reliances"),
        ETA_P: Parameter(default=1.0, domain=Domain.of(ETA_P), meaning="learning rate of reliances"),
    }
    for i, name in enumerate(m.names):
        rate, bits, fidelity, deploy = DEFAULTS.get(name, _OTHER)
        out |= {
            m.rate[i]: Parameter(default=rate, domain=Domain.of(m.rate[i]), meaning=f"learning rate of {name}"),
            m.bits[i]: Parameter(default=bits, meaning=f"description length of {name} (bits)"),
            m.fidelity[i]: Parameter(default=fidelity, domain=correlation, meaning=f"training fidelity of {name}"),
            m.deploy[i]: Parameter(default=deploy, domain=correlation, meaning=f"deployment fidelity of {name}"),
        }
    return out


def _meanings(names: Sequence[str]) -> dict[str, str]:
    out = {
        "loss": "base loss per task in training",
        "deployment_loss": "base loss per task in deployment",
        "n_eff": "effective number of mechanisms (1: one rules, K: fully joint)",
        "expected_bits": "expected description length (bits)",
        "free_energy": "free energy, never increasing",
    }
    for name in names:
        out |= {f"c_{name}": f"content of {name}", f"p_{name}": f"reliance on {name}"}
        out[f"logit_{name}"] = f"log-odds of {name} against {names[-1]}"
    return out


# ---------------------------------------------------------------- what is exact about the model


def _perfect(m: _Symbols) -> tuple[sp.Basic, ...]:
    return tuple(sp.Eq(f, 1) for f in m.fidelity)


def _polarization(m: _Symbols) -> Invariant:
    """Mechanisms 1.2: contents cannot spread apart without reliance polarizing, and conversely."""
    total = sum(1 / r for r in m.rate)
    alpha = [1 / (r * total) for r in m.rate]
    mean = sum(w * c for w, c in zip(alpha, m.c, strict=True))
    spread = sum(w * (c - mean) ** 2 for w, c in zip(alpha, m.c, strict=True))
    shares = Simplex(tuple(m.p)).shares()
    divergence = sum(w * (sp.log(w) - sp.log(shares[p])) for w, p in zip(alpha, m.p, strict=True))
    expr = N * ETA_P * total / 2 * spread - divergence
    return Invariant(expr=expr, conditions=(sp.Eq(LAM, 0), sp.Eq(MU, 0), *_perfect(m)), derivation="mechanisms_1_2")


def _joint(m: _Symbols) -> ClosedForm:
    """Mechanisms 1.4: equal mechanisms that start equal stay equal, and their content relaxes exponentially."""
    k, r, f = len(m.names), m.rate[0], m.fidelity[0]
    odds = Simplex(tuple(m.p)).log_odds
    pull = r * f / k
    relaxation = r * f**2 / k + r * (1 - f**2) / k**2 + LAM
    gone = 1 - sp.exp(-relaxation * TIME)
    # never zero: (1 - f^2)/K^2 or f^2/K is positive
    content = at_start(m.c[0]) * sp.exp(-relaxation * TIME) + pull / relaxation * gone
    equal = [
        sp.Eq(getattr(m, kind)[i], getattr(m, kind)[0]) for kind in ("rate", "bits", "fidelity") for i in range(1, k)
    ]
    equal += [sp.Eq(at_start(c), at_start(m.c[0])) for c in m.c[1:]] + [sp.Eq(at_start(l), 0) for l in odds]
    return ClosedForm(
        states={**dict.fromkeys(m.c, content), **{l: sp.Integer(0) for l in odds}},
        conditions=tuple(equal),
        derivation="mechanisms_1_4",
    )
