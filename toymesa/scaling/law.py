"""What every scaling law offers: its loss, its compute-optimal frontier, and how short of convergence that stops."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import Any, Self

from toymesa.arguments import Array, positive, scalar
from toymesa.errors import DomainError


@dataclass(frozen=True)
class Frontier:
    """Compute-optimal training, arrays over compute (FLOP). ``steps`` or ``tokens`` is None where the law has none."""

    compute: Array
    parameters: Array
    steps: Array | None
    tokens: Array | None
    loss: Array
    converged_loss: Array


@dataclass(frozen=True)
class Shortfall:
    """Four measures of 'short of convergence' at the optimum.

    excess: L/L_inf - 1. share: 1 - L_inf/L. reducible_ratio: the training term over the sum of the model-size and
    training terms. residual: (L - L_inf)/(L_0 - L_inf), the share of what training removes that is still there.
    """

    excess: Array
    share: Array
    reducible_ratio: Array
    residual: Array


@dataclass(frozen=True, kw_only=True)
class Law(ABC):
    """A scaling law. ``initial_loss`` (nats) is the loss before training, which only ``residual`` needs."""

    name: str
    source: str
    initial_loss: float

    @abstractmethod
    def loss(self, parameters: Any, training: Any) -> Array:
        """Loss (nats per token) after ``training`` (minimal steps for Kaplan, tokens for the parametric laws)."""

    @abstractmethod
    def converged_loss(self, parameters: Any) -> Array:
        """Loss of unlimited training at that model size."""

    @abstractmethod
    def optimum(self, compute: Array) -> Frontier:
        """The frontier for validated compute."""

    @abstractmethod
    def training_term(self, frontier: Frontier) -> tuple[Array, Array]:
        """The model-size term and the training term of the loss on the frontier."""

    def frontier(self, compute: Any) -> Frontier:
        """The compute-optimal frontier at ``compute`` (FLOP, positive). DomainError where the optimum makes no sense."""
        wanted = positive("compute", compute)
        best = self.optimum(wanted)
        if (best.parameters < 1).any():
            low = float(wanted[best.parameters < 1].max())
            raise DomainError(
                f"compute {low:g} FLOP is below the law's range: its optimal model has less than one parameter"
            )
        return best

    def shortfall(self, compute: Any) -> Shortfall:
        """All four measures at the optimum. DomainError where the optimum's loss is above the initial loss."""
        best = self.frontier(compute)
        if (best.loss >= self.initial_loss).any():
            worst = float(best.loss.max())
            raise DomainError(
                f"initial_loss must exceed the loss at the stop, {worst:.4g}; got {self.initial_loss:.4g} "
                "(raise initial_loss, or ask for more compute)"
            )
        size, training = self.training_term(best)
        gap = best.loss - best.converged_loss
        return Shortfall(
            excess=gap / best.converged_loss,
            share=gap / best.loss,
            reducible_ratio=training / (size + training),
            residual=gap / (self.initial_loss - best.converged_loss),
        )

    def residual(self, compute: Any) -> Array:
        """r(C) alone."""
        return self.shortfall(compute).residual

    def with_initial_loss(self, initial_loss: float) -> Self:
        """The same law with another loss before training (nats, positive)."""
        return replace(self, initial_loss=scalar("initial_loss", initial_loss, 0.0, low_open=True))


LN_GPT2_VOCABULARY = math.log(50257)
LN_CHINCHILLA_VOCABULARY = math.log(32000)
