"""The pictures of a report of ``assess``: portrait, bifurcation diagrams, the run from the start."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import NullFormatter

from toymesa.analyse import sampled_rates
from toymesa.analyse.report.shared import effective_number
from toymesa.analyse.report.view import extent, shown_states
from toymesa.errors import DomainError
from toymesa.plot.basin import basin_map
from toymesa.plot.bifurcation import bifurcation_diagram
from toymesa.plot.exact import exact_boundary, exact_branches
from toymesa.plot.portrait import phase_portrait
from toymesa.plot.style import COLORS, style


def assessment(report: Any, where: Any = None) -> Any:
    """Draw a report of :func:`toymesa.assess`.

    where : a directory (made if it is missing): writes ``portrait``, ``basins`` (with several fixed points),
        one ``change_<parameter>`` a parameter varied and
    ``training``, each as PNG and SVG, and returns the files. Axes, or a sequence of them: draws the pictures in that order,
    as many as there are Axes, and returns them. None: one new Figure with all of them.
    Exact boundaries are drawn where theorems give them. Raises DomainError where the directory is a file.
    """
    pictures = _pictures(report)
    if isinstance(where, Axes):
        where = [where]
    with style():
        if isinstance(where, str | os.PathLike):
            return _written(pictures, Path(where))
        if where is None:
            figure = Figure(figsize=(7.2, 4.3 * len(pictures)))
            FigureCanvasAgg(figure)
            for ax, draw in zip(np.atleast_1d(figure.subplots(len(pictures))), pictures.values(), strict=True):
                draw(ax)
            return figure
        for ax, draw in zip(where, pictures.values(), strict=False):
            draw(ax)
    return where


def _written(pictures: Mapping[str, Callable[[Axes], object]], place: Path) -> list[Path]:
    if place.exists() and not place.is_dir():
        raise DomainError(f"the output directory must not be a file; got {str(place)!r}")
    place.mkdir(parents=True, exist_ok=True)
    out = []
    for name, draw in pictures.items():
        figure = Figure(figsize=(7.2, 4.4))
        FigureCanvasAgg(figure)
        draw(figure.subplots())
        for suffix in ("png", "svg"):
            out.append(place / f"{name}.{suffix}")
            figure.savefig(out[-1], metadata={"Date": None} if suffix == "svg" else None)
    return out


def _pictures(report: Any) -> dict[str, Callable[[Axes], object]]:
    """Name -> what draws it, in order."""
    out: dict[str, Callable[[Axes], object]] = {}
    if report.model.inner_run is None:
        out["portrait"] = lambda ax: portrait(report, ax)
    if report.basins is not None and len(report.basins["label"].dims) == 2:
        out["basins"] = lambda ax: basins(report, ax)
    for s in report.scans:
        if s.diagram.sizes["point"]:
            out[f"change_{s.param}"] = lambda ax, s=s: change(report, s, ax)  # type: ignore[misc]
    if report.training.course is not None:
        out["training"] = lambda ax: course(report, ax)
    return out


# ---------------------------------------------------------------- portrait


def portrait(report: Any, ax: Axes) -> Axes:
    """Flow, nullclines and fixed points over the two states that differ most; the others as at the fixed point in focus,
    where it is isolated, else as at the start."""
    model = report.model
    seen = report.start, report.points, report.training
    names = shown_states(model, *seen)
    over = {n: extent(model, n, *seen) for n in names}
    at = dict(report.start)
    if report.focus is not None and not report.points[report.focus].stability.dimension:
        at = dict(report.points[report.focus].state)
    fixed = {n: v for n, v in at.items() if n not in names}
    rates = sampled_rates(model, over, at=at, params=report.params)
    marks = [_Mark(p.state, p.stability.kind) for p in report.points]
    phase_portrait(rates, points=marks, ax=ax)
    handles = _handles(ax)
    handles += _path(report, names, ax)
    line = exact_boundary(report, names, over)
    if line is not None and len(names) == 2:
        x, y, level, label = line
        ax.contour(x, y, level, levels=[0.0], colors=["black"], linewidths=1.6)
        handles.append(Line2D([], [], color="black", lw=1.6, label=label))
    ax.legend(handles=handles, fontsize=8, loc="upper left", bbox_to_anchor=(1.01, 1.0), borderaxespad=0.0)
    slice_ = ", ".join(f"{n} = {v:.4g}" for n, v in list(fixed.items())[:3]) + (", ..." if len(fixed) > 3 else "")
    ax.set_title(model.name + (f": flow at {slice_}" if fixed else ""))
    return ax


def _handles(ax: Axes) -> list[Any]:
    """What the legend shows so far."""
    legend = ax.get_legend()
    return [] if legend is None else [h for h in legend.legend_handles if h is not None]


class _Mark:
    def __init__(self, state: Mapping[str, float], kind: str) -> None:
        self.state, self.kind = state, kind


def _path(report: Any, names: Sequence[str], ax: Axes) -> list[Line2D]:
    """The runs from the start, drawn over the flow."""
    out = []
    runs = ((report.training, "from the start", "-"), (report.training.shifted, "from a little off it", ":"))
    for run, label, line in runs:
        if run is None or run.course is None:
            continue
        x = run.course[names[0]].values
        y = run.course[names[1]].values if len(names) == 2 else np.zeros(x.size)
        ax.plot(x, y, line, color=COLORS[6], lw=1.3, zorder=3)
        ax.plot(x[0], y[0], ".", color=COLORS[6], ms=8, zorder=4)
        out.append(Line2D([], [], color=COLORS[6], ls=line, marker=".", markevery=[0], lw=1.3, label=label))
    return out


def basins(report: Any, ax: Axes) -> Axes:
    """Which start ends where, with the start of the run."""
    basin_map(report.basins, ax=ax)
    handles, names = _handles(ax), [str(d).removeprefix("start_") for d in report.basins["label"].dims]
    ax.plot(*(report.start[n] for n in names), ".", color=COLORS[6], ms=9)
    handles.append(Line2D([], [], ls="", marker=".", ms=9, color=COLORS[6], label="the start"))
    rest = ", ".join(f"{n} = {v:.4g}" for n, v in list(report.start.items())[:4] if n not in names)
    ax.legend(handles=handles, fontsize=8, loc="upper left", bbox_to_anchor=(1.01, 1.0), borderaxespad=0.0)
    ax.set_title(f"{report.model.name}: where a start ends" + (f", at {rest}" if rest else ""))
    return ax


# ---------------------------------------------------------------- diagrams and runs


def change(report: Any, scan: Any, ax: Axes) -> Axes:
    """The bifurcation diagram of one parameter, its own value marked, exact branches dotted over it."""
    model = report.model
    shared = list(report.points[report.focus].shares) if report.focus is not None else []
    name = next((n for n in shared if n in scan.diagram), None) or _widest(report, scan)
    bifurcation_diagram(scan.diagram, y=name, ax=ax)
    handles = _handles(ax)
    low, high = ax.get_ylim()
    for x, y, label in exact_branches(report, scan.param, name, (scan.low, scan.high)):
        (line,) = ax.plot(x, y, ":", color="black", lw=2.2, zorder=5, label=label)
        handles += [line] if label else []
    ax.set_ylim(low, high)
    handles.append(ax.axvline(scan.here, color="0.55", lw=1, ls="-", zorder=0, label="its own value"))
    if scan.low > 0 and scan.high / scan.low >= 50:
        ax.set_xscale("log")
        ax.xaxis.set_minor_formatter(NullFormatter())
    ax.legend(handles=handles, fontsize=8, loc="upper left", bbox_to_anchor=(1.01, 1.0), borderaxespad=0.0)
    ax.set_title(f"{model.name}: fixed points over {scan.param}")
    return ax


def _widest(report: Any, scan: Any) -> str:
    """The state that varies most along the branches, in its own size."""
    names = list(report.model.state_names)
    rows = {n: scan.diagram[n].values for n in names}
    return max(names, key=lambda n: float(np.ptp(rows[n]) / (1.0 + np.abs(rows[n]).max())))


def course(report: Any, ax: Axes) -> Axes:
    """The runs over time: the effective number of shares where there are shares, the states otherwise."""
    names = report.model.state_names
    runs = ((report.training, "from the start", "-"), (report.training.shifted, "from a little off it", "--"))
    for run, label, line in runs:
        if run is None or run.course is None:
            continue
        t = run.course["time"].values
        count = effective_number(report.model, {n: run.course[n].values for n in names}, report.params)
        if count is not None:
            ax.plot(t, count, line, color=COLORS[0] if line == "-" else COLORS[1], label=label)
        else:
            for i, n in enumerate(names[:6]):
                ax.plot(t, run.course[n].values, line, color=COLORS[i % len(COLORS)], label=n if line == "-" else None)
        if run.settle:
            ax.axvline(run.settle, color="0.7", lw=0.8, ls=line, label="within 1 % of its end" if line == "-" else None)
    if report.training.leave is not None:
        ax.axvline(report.training.leave, color=COLORS[3], lw=1.2, label="the two come apart")
    rests = report.training.ends_in in ("rest", "line") and not report.model.discrete
    if rests and report.training.time > 0:
        ax.set_xscale("log")
    if report.training.period and not report.model.discrete:
        ax.set_xlim(0.0, (report.training.settle or 0.0) + 8.0 * report.training.period)
    what = "steps" if report.model.discrete else "training time"
    ax.set(xlabel=what, ylabel="effective number of shares" if report.training.n_eff else "state")
    ax.set_title(f"{report.model.name}: from the start")
    ax.legend(fontsize=8, loc="upper left", bbox_to_anchor=(1.01, 1.0), borderaxespad=0.0)
    return ax
