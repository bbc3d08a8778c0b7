"""Kaplan, McCandlish et al. 2020, "Scaling Laws for Neural Language Models" (arXiv 2001.08361).

Losses in nats per token, N in non-embedding parameters, D in tokens, S in parameter updates, compute here in FLOP (the
paper's PF-day is 8.64e19 FLOP). All compute is C_min, the compute at a batch size far below critical; training at the
critical batch size takes twice that.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from toymesa.arguments import Array, positive
from toymesa.scaling.law import LN_GPT2_VOCABULARY, Frontier, Law

PF_DAY = 8.64e19
# equations 1.1 to 1.3 and table 5
ALPHA_N, N_C = 0.076, 8.8e13
ALPHA_D, D_C = 0.095, 5.4e13
ALPHA_C_MIN, C_C_MIN = 0.050, 3.1e8 * PF_DAY
# equation 1.5, table 2: L(N, D)
ND_ALPHA_N, ND_ALPHA_D, ND_N_C, ND_D_C = 0.076, 0.103, 6.4e13, 1.8e13
# equation 1.6, table 3: L(N, S_min)
NS_ALPHA_N, NS_ALPHA_S, NS_N_C, NS_S_C = 0.077, 0.76, 6.5e13, 2.1e3
# equation 5.3 and appendix A: critical batch size in tokens
ALPHA_B, B_STAR = 0.21, 2.1e8


def loss_of_parameters(parameters: Any) -> Array:
    """L(N) of equation 1.1: enough data, trained to convergence."""
    return np.asarray((N_C / positive("parameters", parameters)) ** ALPHA_N)


def loss_of_tokens(tokens: Any) -> Array:
    """L(D) of equation 1.2: large models, early stopping."""
    return np.asarray((D_C / positive("tokens", tokens)) ** ALPHA_D)


def loss_of_compute(compute: Any) -> Array:
    """L(C_min) of equation 1.3, compute in FLOP."""
    return np.asarray((C_C_MIN / positive("compute", compute)) ** ALPHA_C_MIN)


def loss_of_parameters_and_tokens(parameters: Any, tokens: Any) -> Array:
    """L(N, D) of equation 1.5."""
    n, d = positive("parameters", parameters), positive("tokens", tokens)
    return np.asarray(((ND_N_C / n) ** (ND_ALPHA_N / ND_ALPHA_D) + ND_D_C / d) ** ND_ALPHA_D)


def critical_batch_size(loss: Any) -> Array:
    """B_crit(L) in tokens, equation 5.3."""
    return np.asarray(B_STAR / positive("loss", loss) ** (1 / ALPHA_B))


def minimal_steps(steps: Any, batch_size: Any, loss: Any) -> Array:
    """S_min of equation 5.4: the steps that would do at a batch size far above critical."""
    s, b = positive("steps", steps), positive("batch_size", batch_size)
    return np.asarray(s / (1 + critical_batch_size(loss) / b))


def minimal_compute(compute: Any, batch_size: Any, loss: Any) -> Array:
    """C_min of equation 5.5: the compute that would do at a batch size far below critical."""
    c, b = positive("compute", compute), positive("batch_size", batch_size)
    return np.asarray(c / (1 + b / critical_batch_size(loss)))


@dataclass(frozen=True, kw_only=True)
class Kaplan(Law):
    """L(N, S_min) = (N_c/N)^alpha_N + (S_c/S_min)^alpha_S, equation 1.6, minimized at C_min = 6 N B_crit(L) S_min.

    Setting the derivative along constant compute to zero gives alpha_S (S term) = alpha_N (N term) (their equation B.5:
    the optimum stops at 1 + alpha_N/alpha_S of the converged loss), so the whole frontier is a power law of compute.
    ``training`` and ``steps`` are S_min; ``tokens`` are B_crit S_min.
    """

    name: str = "kaplan"
    source: str = "Kaplan et al. 2020 (arXiv 2001.08361), equation 1.6 and appendix B"
    initial_loss: float = LN_GPT2_VOCABULARY

    def loss(self, parameters: Any, training: Any) -> Array:
        """L(N, S_min)."""
        s = positive("training", training)
        return np.asarray(self.converged_loss(parameters) + (NS_S_C / s) ** NS_ALPHA_S)

    def converged_loss(self, parameters: Any) -> Array:
        """L(N, inf)."""
        return np.asarray((NS_N_C / positive("parameters", parameters)) ** NS_ALPHA_N)

    def optimum(self, compute: Array) -> Frontier:
        """Exact: with x the model-size term, compute is a constant times x^-(1/alpha_N + 1/alpha_B + 1/alpha_S)."""
        ratio = NS_ALPHA_N / NS_ALPHA_S
        exponent = 1 / NS_ALPHA_N + 1 / ALPHA_B + 1 / NS_ALPHA_S
        at_one = 6 * NS_N_C * B_STAR * (1 + ratio) ** (-1 / ALPHA_B) * NS_S_C * ratio ** (-1 / NS_ALPHA_S)
        x = (at_one / compute) ** (1 / exponent)
        parameters = NS_N_C * x ** (-1 / NS_ALPHA_N)
        steps = NS_S_C * (ratio * x) ** (-1 / NS_ALPHA_S)
        loss = (1 + ratio) * x
        return Frontier(compute, parameters, steps, critical_batch_size(loss) * steps, loss, x)

    def training_term(self, frontier: Frontier) -> tuple[Array, Array]:
        """The two terms of equation 1.6."""
        return frontier.converged_loss, frontier.loss - frontier.converged_loss
