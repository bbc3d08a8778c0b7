"""The stability laboratory: fixed points with certificates, how a flow or map behaves near them, and how it changes."""

from __future__ import annotations

from toymesa.analyse.census import Census, Continuum, FixedPoint
from toymesa.analyse.coexistence import coexistence
from toymesa.analyse.fixed_points import fixed_points
from toymesa.analyse.follow import follow
from toymesa.analyse.rates import sampled_rates
from toymesa.analyse.spectrum import KINDS
from toymesa.analyse.stability import Stability, stability

__all__ = [
    "KINDS",
    "Census",
    "Continuum",
    "FixedPoint",
    "Stability",
    "coexistence",
    "fixed_points",
    "follow",
    "sampled_rates",
    "stability",
]
