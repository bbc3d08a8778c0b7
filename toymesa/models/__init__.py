"""The models of the package, by the names used on the command line.

A model without structural choices is a constant, one with them a factory; ``MODELS`` gives each as a call without
arguments, and :func:`find` looks a name up.
"""

from __future__ import annotations

from collections.abc import Callable

from toymesa.errors import ArgumentError, did_you_mean
from toymesa.models.capability import capability
from toymesa.models.coopetition import coopetition
from toymesa.models.crystallization import crystallization
from toymesa.models.depth import depth
from toymesa.models.gated import gated
from toymesa.models.in_context import in_context
from toymesa.models.linear_joint import linear_joint
from toymesa.models.mechanisms import mechanisms
from toymesa.models.posterior import posterior
from toymesa.models.power_split import power_split
from toymesa.models.proxy import proxy
from toymesa.models.race import race
from toymesa.symbolic.model import Model

MODELS: dict[str, Callable[[], Model]] = {
    "capability": capability,
    "coopetition": coopetition,
    "crystallization": crystallization,
    "depth": depth,
    "gated": lambda: gated,
    "in_context": in_context,
    "linear_joint": linear_joint,
    "mechanisms": mechanisms,
    "posterior": posterior,
    "power_split": power_split,
    "proxy": proxy,
    "race": race,
}


def find(name: str) -> Model:
    """The model of that name with its defaults; ArgumentError with the nearest name otherwise."""
    if name not in MODELS:
        raise ArgumentError(f"there is no model {name!r}{did_you_mean(name, MODELS)}")
    return MODELS[name]()


__all__ = [
    "MODELS",
    "capability",
    "coopetition",
    "crystallization",
    "depth",
    "find",
    "gated",
    "in_context",
    "linear_joint",
    "mechanisms",
    "posterior",
    "power_split",
    "proxy",
    "race",
]
