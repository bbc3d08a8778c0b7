r"""In which order does training learn, and how does depth sharpen the order? Simplicity as implicit bias.

A deep linear chain of D balanced layers learns each mode of its task apart: end-to-end strength x towards the target s,

.. math:: \dot x_k = D\,x_k^{2-2/D}\,(s_k - x_k),

the gradient flow of :math:`\sum_k \tfrac12 (s_k-x_k)^2` in the metric :math:`D\,x^{2-2/D}` that balanced layers induce.

======  =============  ========  =====================================================================
symbol  name           range     meaning
======  =============  ========  =====================================================================
x_k     ``x_<k>``      > 0       end-to-end strength of mode k (D = 1: any sign, and 0, make sense too)
s_k     ``target_<k>`` > 0       its target, a singular value of the task
D       ``depth``      >= 1      number of layers; any real number
======  =============  ========  =====================================================================

Exact (``derivations/depth_9_*``): the time at which a mode reaches x, for every D; its course for D = 1 (exponential) and
D = 2 (logistic of rate 2s), elsewhere by inverting that time; the limit of infinite depth in the time D t. *Simple* here
is implicit bias: strong modes first, and the effective rank :math:`\sum_k x_k/s_k` climbs a staircase whose steps sharpen
with depth, so that stopping early is a cut by simplicity. Nothing is unstable: x = s attracts every x > 0; x = 0 is a
saddle for D > 1 (a mode that has not been found yet).

Left out: imbalance between layers, modes that share directions, nonlinearity, an inner optimizer.

Reference: Saxe, McClelland and Ganguli 2014 (arXiv 1312.6120), section 2.
"""

from __future__ import annotations

import sympy as sp

from toymesa.arguments import whole
from toymesa.symbolic.flows import gradient_flow
from toymesa.symbolic.model import POSITIVE, TIME, ClosedForm, Domain, Model, Parameter, at_start
from toymesa.symbolic.optimizers import Optimizer

# symbols
D = sp.Symbol("depth", positive=True)


def _modes(count: int) -> tuple[list[sp.Symbol], list[sp.Symbol]]:
    x = [sp.Symbol(f"x_{k}", positive=True) for k in range(1, count + 1)]
    return x, [sp.Symbol(f"target_{k}", positive=True) for k in range(1, count + 1)]


def depth(modes: int = 3, *, optimizer: Optimizer | None = None) -> Model:
    """A chain with that many modes, of targets 1, 1/2, 1/4, ... and a common start of 1/1000.

    modes: 1 to 50. optimizer: see ``with_optimizer``. Returns a Model with observables ``loss`` and ``effective_rank``.
    Raises DomainError for another number of modes.
    """
    x, s = _modes(whole("modes", modes, 1, 50))
    return gradient_flow(
        sum((t - v) ** 2 for v, t in zip(x, s, strict=True)) / 2,
        x,
        metric={v: D * v ** (2 - 2 / D) for v in x},
        params={
            D: Parameter(default=2.0, domain=Domain(1.0), meaning="number of layers (any real number)"),
            **{t: Parameter(default=0.5**k, domain=POSITIVE, meaning="target strength") for k, t in enumerate(s)},
        },
        start=dict.fromkeys(x, sp.Rational(1, 1000)),
        observables={"effective_rank": sum(v / t for v, t in zip(x, s, strict=True))},
        closed_forms=(_exponential(x, s), _logistic(x, s)),
        optimizer=optimizer,
        name="depth",
        meanings={"loss": "base loss", "effective_rank": "sum of the learned shares of the modes"}
        | {v.name: "strength of a mode" for v in x},
        question="In which order does training learn, and how does depth sharpen the order?",
        reference="Saxe, McClelland and Ganguli 2014 (arXiv 1312.6120)",
    )


# closed forms
def _exponential(x: list[sp.Symbol], s: list[sp.Symbol]) -> ClosedForm:
    """One layer: every mode relaxes at the same rate."""
    states = {v: t + (at_start(v) - t) * sp.exp(-TIME) for v, t in zip(x, s, strict=True)}
    return ClosedForm(states=states, conditions=(sp.Eq(D, 1),), derivation="depth_9_1_time")


def _logistic(x: list[sp.Symbol], s: list[sp.Symbol]) -> ClosedForm:
    """Two layers: a logistic curve of rate 2s."""
    states = {}
    for v, t in zip(x, s, strict=True):
        behind = sp.exp(-2 * t * TIME)
        states[v] = t * at_start(v) / (at_start(v) + (t - at_start(v)) * behind)
    return ClosedForm(states=states, conditions=(sp.Eq(D, 2),), derivation="depth_9_1_time")
