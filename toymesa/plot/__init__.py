"""Pictures: a result in, matplotlib Axes out. Nothing here solves, shows a window, or changes global settings."""

from __future__ import annotations

from toymesa.plot.capability import capability_course
from toymesa.plot.courses import bits_course, contrast_course
from toymesa.plot.diagram import joint_diagram, leader_diagram
from toymesa.plot.figures import answer_figures
from toymesa.plot.power_split import power_split_diagram
from toymesa.plot.race import race_shares
from toymesa.plot.style import style

__all__ = [
    "answer_figures",
    "bits_course",
    "capability_course",
    "contrast_course",
    "joint_diagram",
    "leader_diagram",
    "power_split_diagram",
    "race_shares",
    "style",
]
