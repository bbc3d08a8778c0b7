"""The figures of the main job, as files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from toymesa.plot.courses import bits_course, contrast_course
from toymesa.plot.diagram import joint_diagram, leader_diagram
from toymesa.plot.style import style


def answer_figures(answer: Any, directory: Path) -> list[Path]:
    """Draw ``phase_diagram`` and ``time_course`` of an answer, each as PNG and SVG; returns the files."""
    written: list[Path] = []
    with style():
        phase = Figure(figsize=(12.5, 4.6))
        left, right = phase.subplots(1, 2)
        joint_diagram(answer.symmetric, answer.table, threshold=answer.asked.threshold, ax=left)
        leader_diagram(answer.stopped, names=answer.asked.names, ax=right)
        course = Figure(figsize=(14.0, 4.2))
        first, second, third = course.subplots(1, 3)
        marks = answer.landmarks
        bits_course(
            answer.course, growth_ends=marks.growth_ends, decision=marks.decision, crossover=marks.crossover, ax=first
        )
        contrast_course(answer.contrast.better, title="Stopping early keeps it joint", ax=second)
        contrast_course(answer.contrast.worse, title="Stopping early loses what pressure restores", ax=third)
        for name, figure in (("phase_diagram", phase), ("time_course", course)):
            FigureCanvasAgg(figure)
            for suffix in ("png", "svg"):
                path = directory / f"{name}.{suffix}"
                figure.savefig(path, metadata={"Date": None} if suffix == "svg" else None)
                figure.set_layout_engine("none")  # laid out once is enough: it takes most of the drawing time
                written.append(path)
    return written
