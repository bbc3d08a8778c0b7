"""The stability laboratory: fixed points with certificates, how a flow or map behaves near them, and how it changes."""

from __future__ import annotations

from toymesa.analyse.basins import basins
from toymesa.analyse.certified.census import Census, Continuum, FixedPoint
from toymesa.analyse.certified.fixed_points import fixed_points
from toymesa.analyse.continuation.coexistence import coexistence
from toymesa.analyse.continuation.follow import follow
from toymesa.analyse.escape import escape_times
from toymesa.analyse.growth import growth
from toymesa.analyse.lyapunov import lyapunov
from toymesa.analyse.noise import outcome_probabilities
from toymesa.analyse.passage import kramers_time, mean_passage_time
from toymesa.analyse.rates import sampled_rates
from toymesa.analyse.report.assess import assess
from toymesa.analyse.report.assessment import Assessment
from toymesa.analyse.spectrum import KINDS
from toymesa.analyse.stability import Stability, stability

__all__ = [
    "KINDS",
    "Assessment",
    "Census",
    "Continuum",
    "FixedPoint",
    "Stability",
    "assess",
    "basins",
    "coexistence",
    "escape_times",
    "fixed_points",
    "follow",
    "growth",
    "kramers_time",
    "lyapunov",
    "mean_passage_time",
    "outcome_probabilities",
    "sampled_rates",
    "stability",
]
