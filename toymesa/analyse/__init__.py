"""The stability laboratory: fixed points with certificates, and how a flow or map behaves near them."""

from __future__ import annotations

from toymesa.analyse.census import Census, Continuum, FixedPoint
from toymesa.analyse.fixed_points import fixed_points
from toymesa.analyse.rates import sampled_rates
from toymesa.analyse.spectrum import KINDS
from toymesa.analyse.stability import Stability, stability

__all__ = ["KINDS", "Census", "Continuum", "FixedPoint", "Stability", "fixed_points", "sampled_rates", "stability"]
