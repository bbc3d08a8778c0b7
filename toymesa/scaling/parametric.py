"""L(N, D) = E + A/N^alpha + B/D^beta, with its frontier in closed form at C = 6 N D.

Hoffmann et al. 2022 (arXiv 2203.15556), equation 10 and appendix D.3; Besiroglu, Erdil, Barnett and You 2024 (arXiv
2404.10102) for the unrounded constants of that fit and for the replication.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from toymesa.arguments import Array, positive
from toymesa.scaling.law import LN_CHINCHILLA_VOCABULARY, Frontier, Law


@dataclass(frozen=True, kw_only=True)
class Parametric(Law):
    """The parametric law. ``training`` are tokens; it has no steps."""

    E: float
    A: float
    B: float
    alpha: float
    beta: float
    initial_loss: float = LN_CHINCHILLA_VOCABULARY

    def loss(self, parameters: Any, training: Any) -> Array:
        """E + A/N^alpha + B/D^beta."""
        d = positive("training", training)
        return np.asarray(self.converged_loss(parameters) + self.B / d**self.beta)

    def converged_loss(self, parameters: Any) -> Array:
        """E + A/N^alpha."""
        return np.asarray(self.E + self.A / positive("parameters", parameters) ** self.alpha)

    def optimum(self, compute: Array) -> Frontier:
        """Exact (Hoffmann et al. equation 4): N = G (C/6)^(beta/(alpha+beta)), D = (C/6)/N."""
        scale = (self.alpha * self.A / (self.beta * self.B)) ** (1 / (self.alpha + self.beta))
        parameters = scale * (compute / 6) ** (self.beta / (self.alpha + self.beta))
        tokens = compute / 6 / parameters
        converged = self.E + self.A / parameters**self.alpha
        return Frontier(compute, parameters, None, tokens, converged + self.B / tokens**self.beta, converged)

    def training_term(self, frontier: Frontier) -> tuple[Array, Array]:
        """A/N^alpha and B/D^beta; at the optimum they are as beta to alpha."""
        return frontier.converged_loss - self.E, frontier.loss - frontier.converged_loss


HOFFMANN_UNROUNDED = Parametric(
    name="hoffmann_unrounded",
    source="Hoffmann et al. 2022, approach 3, unrounded constants as given by Besiroglu et al. 2024",
    E=1.6934,
    A=406.4,
    B=410.7,
    alpha=0.3392,
    beta=0.2849,
)
HOFFMANN = Parametric(
    name="hoffmann",
    source="Hoffmann et al. 2022, equation 10 as printed",
    E=1.69,
    A=406.4,
    B=410.7,
    alpha=0.34,
    beta=0.28,
)
EPOCH = Parametric(
    name="epoch",
    source="Besiroglu, Erdil, Barnett and You 2024 (arXiv 2404.10102)",
    E=1.8172,
    A=482.01,
    B=2085.43,
    alpha=0.3478,
    beta=0.3658,
)
