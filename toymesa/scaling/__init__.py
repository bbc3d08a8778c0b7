"""Scaling laws, where compute-optimal training stops, and fits to a user's own runs. Knows no model."""

from __future__ import annotations

from toymesa.errors import ArgumentError, did_you_mean
from toymesa.scaling.fit import Fit, Runs, fit, read_runs
from toymesa.scaling.kaplan import Kaplan
from toymesa.scaling.law import Frontier, Law, Shortfall
from toymesa.scaling.parametric import EPOCH, HOFFMANN, HOFFMANN_UNROUNDED, Parametric
from toymesa.scaling.stated import Stated, stated_versus_derived

LAWS: dict[str, Law] = {law.name: law for law in (Kaplan(), HOFFMANN, HOFFMANN_UNROUNDED, EPOCH)}


def get_law(name: str) -> Law:
    """The published law of that name; ArgumentError with the nearest name otherwise."""
    if name not in LAWS:
        raise ArgumentError(f"there is no law {name!r}{did_you_mean(str(name), LAWS)}")
    return LAWS[name]


__all__ = [
    "EPOCH",
    "HOFFMANN",
    "HOFFMANN_UNROUNDED",
    "LAWS",
    "Fit",
    "Frontier",
    "Kaplan",
    "Law",
    "Parametric",
    "Runs",
    "Shortfall",
    "Stated",
    "fit",
    "get_law",
    "read_runs",
    "stated_versus_derived",
]
