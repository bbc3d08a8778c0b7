r"""What is exactly known about the in-context learner (model ``in_context``, derivations ``in_context_5_*``).

The inner optimizer descends on the squared loss of a context of n examples of a task beta ~ N(0, I_d), from 0, for k
steps or an inner time tau. Losses are l = E|error|^2/(2d) throughout; papers that give E|error|^2 give 2 d l.

*Unstable* means a saddle: the step size, or a head, that has not grown yet. *Simple* means implicit bias: features of
large variance are learned first.
"""

from __future__ import annotations

from toymesa.theorems.in_context.limit import laplace, limit_loss
from toymesa.theorems.in_context.one_step import (
    StepFactors,
    best_weighted_step,
    course,
    head_course,
    head_time,
    misaligned_loss,
    preconditioned_loss,
    preconditioner,
    saddle_losses,
    spread,
    white_logistic,
)
from toymesa.theorems.in_context.spectrum import best_step, loss, loss_in_time, moments, spectrum

__all__ = [
    "StepFactors",
    "best_step",
    "best_weighted_step",
    "course",
    "head_course",
    "head_time",
    "laplace",
    "limit_loss",
    "loss",
    "loss_in_time",
    "misaligned_loss",
    "moments",
    "preconditioned_loss",
    "preconditioner",
    "saddle_losses",
    "spectrum",
    "spread",
    "white_logistic",
]
