"""Pictures: a result in, matplotlib Axes out. Nothing here solves, shows a window, or changes global settings."""

from __future__ import annotations

from toymesa.plot.assessment import assessment
from toymesa.plot.basin import basin_figure, basin_map
from toymesa.plot.bifurcation import bifurcation_diagram, follow_figure, stability_chart
from toymesa.plot.capability import capability_course
from toymesa.plot.coopetition import transience_course
from toymesa.plot.courses import bits_course, contrast_course
from toymesa.plot.crystallization import crystallization_course
from toymesa.plot.depth import depth_staircase
from toymesa.plot.diagram import joint_diagram, leader_diagram
from toymesa.plot.figures import answer_figures
from toymesa.plot.gated import separatrix_portrait
from toymesa.plot.in_context import in_context_course
from toymesa.plot.linear_joint import coupling_map_figure
from toymesa.plot.portrait import phase_portrait
from toymesa.plot.posterior import posterior_course
from toymesa.plot.power_split import power_split_diagram
from toymesa.plot.proxy import proxy_course
from toymesa.plot.race import race_shares
from toymesa.plot.style import style

__all__ = [
    "answer_figures",
    "assessment",
    "basin_figure",
    "basin_map",
    "bifurcation_diagram",
    "bits_course",
    "capability_course",
    "contrast_course",
    "coupling_map_figure",
    "crystallization_course",
    "depth_staircase",
    "follow_figure",
    "in_context_course",
    "joint_diagram",
    "leader_diagram",
    "phase_portrait",
    "posterior_course",
    "power_split_diagram",
    "proxy_course",
    "race_shares",
    "separatrix_portrait",
    "stability_chart",
    "style",
    "transience_course",
]
