r"""Which of two mechanisms does training pick, and can the start already tell?

Two contents w and m reach the output through one unconstrained linear gate d, and all three descend on one loss:

.. math::
    y = (1-d)\,w + d\,m, \quad \ell = \tfrac12 (1-y)^2, \quad
    \dot w = \eta_w g (1-d), \quad \dot m = \eta_m g d, \quad \dot d = n \eta_d g (m-w), \quad g = 1-y

======  =======================  =========  ====================================
symbol  meaning                  range      unit
======  =======================  =========  ====================================
w, m    content of a mechanism   real       1 = fully at the base target
d       gate, reliance on m      real       0 = all on w, 1 = all on m
n       ``diversity``            > 0        effective number of tasks
eta_w   ``rate_w``               > 0        per unit of training time
eta_m   ``rate_m``               > 0        per unit of training time
eta_d   ``rate_d``               > 0        per unit of training time and task
======  =======================  =========  ====================================

Exact: the whole solution in internal time s, ds = g dt, and the separatrix
:math:`(m-w)\sqrt{n\eta_d} + (d-d^*)\sqrt{\eta_w+\eta_m}`, with :math:`d^* = \eta_w/(\eta_w+\eta_m)`, whose sign is
kept for ever (``derivations/gated_1_3_*``). Training ends at the first positive root of g(s).

*Unstable* means a saddle: the joint course, on the separatrix, is left exponentially in s. The end of training is a
surface of rest, along which noise would drift. *Simple* means implicit bias alone (rates and start); there is no prior.

Left out: a gate confined to [0, 1] (the simplex of ``mechanisms``), decay, pressure, more than two mechanisms.

Reference: Saxe, McClelland and Ganguli 2014 (arXiv 1312.6120) for exact linear-network dynamics in this spirit.
"""

from __future__ import annotations

import sympy as sp

from toymesa.symbolic.flows import gradient_flow
from toymesa.symbolic.model import POSITIVE, InternalTimeForm, Model, Parameter, at_start

# symbols
W, M, D = sp.symbols("w m d", real=True)
N, ETA_W, ETA_M, ETA_D = sp.symbols("diversity rate_w rate_m rate_d", positive=True)
S = sp.Symbol("s", nonnegative=True)

# objective
OUTPUT = (1 - D) * W + D * M
LOSS = (1 - OUTPUT) ** 2 / 2


# closed form in internal time
def _internal() -> InternalTimeForm:
    w0, m0, d0 = at_start(W), at_start(M), at_start(D)
    total = ETA_W + ETA_M
    center = ETA_W / total
    kappa = sp.sqrt(N * ETA_D * total)
    z0, q0 = m0 - w0, d0 - center
    cosh, sinh = sp.cosh(kappa * S), sp.sinh(kappa * S)
    q = q0 * cosh + (kappa / total) * z0 * sinh
    # cosh x - 1 = 2 sinh^2(x/2): no cancellation for short internal times
    drift = (q0 / kappa) * sinh + (z0 / total) * 2 * sp.sinh(kappa * S / 2) ** 2
    w = w0 + ETA_W * ((1 - center) * S - drift)
    m = m0 + ETA_M * (center * S + drift)
    d = center + q
    return InternalTimeForm(
        states={W: w, M: m, D: d},
        rate=1 - ((1 - d) * w + d * m),
        internal=S,
        conditions=(sp.Gt(1 - ((1 - d0) * w0 + d0 * m0), 0),),
        derivation="gated_1_3",
    )


def _parameter(default: float, meaning: str) -> Parameter:
    return Parameter(default=default, domain=POSITIVE, meaning=meaning)


# the model
gated: Model = gradient_flow(
    LOSS,
    [W, M, D],
    metric={W: ETA_W, M: ETA_M, D: N * ETA_D},
    params={
        N: _parameter(4.0, "diversity: effective number of tasks that share the gate"),
        ETA_W: _parameter(1.0, "learning rate of the content w"),
        ETA_M: _parameter(1.0, "learning rate of the content m"),
        ETA_D: _parameter(1.0, "learning rate of the gate"),
    },
    start={W: 0, M: 0, D: sp.Rational(51, 100)},
    observables={"output": OUTPUT, "error": 1 - OUTPUT},
    closed_forms=(_internal(),),
    name="gated",
    meanings={
        "w": "content of the first mechanism",
        "m": "content of the second mechanism",
        "d": "gate: reliance on the second mechanism",
        "loss": "base loss",
        "output": "y, what the two mechanisms produce together (1: the base target)",
        "error": "g, what they still lack",
    },
    question="Which of two mechanisms does training pick, and can the start already tell?",
    reference="Saxe, McClelland and Ganguli 2014 (arXiv 1312.6120)",
)
