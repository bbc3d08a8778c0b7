"""Bifurcation diagrams: branches, cycles and special points in one parameter, curves in two."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from toymesa.errors import ArgumentError, did_you_mean
from toymesa.plot.style import COLORS, axes, style

# kind -> marker, colour
_MARKS = {
    "fold": ("s", COLORS[1]),
    "hopf": ("o", COLORS[2]),
    "branch": ("D", COLORS[3]),
    "flip": ("^", COLORS[5]),
    "neimark-sacker": ("o", COLORS[6]),
    "cycle-fold": ("v", COLORS[4]),
    "period-doubling": ("^", COLORS[5]),
    "torus": ("P", COLORS[6]),
    "cycle-branch": ("X", COLORS[3]),
    "cusp": ("*", COLORS[3]),
    "bogdanov-takens": ("p", COLORS[4]),
    "generalized-hopf": ("h", COLORS[5]),
    "zero-hopf": ("X", COLORS[6]),
    "hopf-hopf": ("P", COLORS[6]),
}
_NAMES = {
    "hopf": "Hopf",
    "branch": "branch point",
    "flip": "flip (period doubling)",
    "neimark-sacker": "Neimark-Sacker",
    "cycle-fold": "fold of cycles",
    "period-doubling": "period doubling",
    "cycle-branch": "branch of cycles",
    "bogdanov-takens": "Bogdanov-Takens",
    "generalized-hopf": "generalized Hopf",
    "zero-hopf": "zero-Hopf",
    "hopf-hopf": "double Hopf",
}


def bifurcation_diagram(data: xr.Dataset, *, y: str | None = None, ax: Axes | None = None) -> Axes:
    """A result of ``follow`` in one parameter: stable solid, unstable dashed, special points marked.

    y : the state or observable drawn, default the first state. Cycles by their extremes, where y is a state. Returns the
    axes. Raises ArgumentError for a y that is not in the result.
    """
    ax = axes(ax)
    param = _followed(data, 1)[0]
    states = [str(s) for s in data["state"].values]
    allowed = [str(n) for n, v in data.data_vars.items() if v.dims == ("point",)]
    name = states[0] if y is None else y
    if name not in allowed:
        raise ArgumentError(f"the result has no {name!r} along its branches{did_you_mean(name, allowed)}")
    for i in range(data.sizes["followed"]):
        rows = data["branch"].values == i
        stable = data["stable"].values[rows]
        _line(ax, data[param].values[rows], data[name].values[rows], stable, COLORS[0])
    if name in states:
        _draw_cycles(ax, data, states.index(name))
    for kind in dict.fromkeys(str(k) for k in data["special_kind"].values):
        which = np.flatnonzero(data["special_kind"].values == kind)
        level = [_level(data, name, states, int(i), param) for i in which]
        _points(ax, data["special_at"].values[which], np.array(level), kind)
    low, high = json.loads(data.attrs["followed"])[param]
    _level_out(ax)
    ax.set(xlabel=_label(data, param), ylabel=_label(data, name), xlim=(low, high))
    shown = [
        Line2D([], [], color=COLORS[0], label="stable"),
        Line2D([], [], color=COLORS[0], ls="--", label="unstable"),
    ]
    if name in states and data.sizes["cycle"]:
        shown.append(Line2D([], [], color=COLORS[2], label="cycle, extremes"))
    _legend(ax, shown)
    ax.set_title(f"{data.attrs['model']}: fixed points" + (" and cycles" if data.sizes["cycle"] else ""))
    return ax


def stability_chart(data: xr.Dataset, *, ax: Axes | None = None) -> Axes:
    """A result of ``follow`` in two parameters: curves of folds and Hopf points, and the points of codimension two."""
    ax = axes(ax)
    first, second = _followed(data, 2)
    colors = {"fold": COLORS[1], "hopf": COLORS[2]}
    for i, kind in enumerate(str(k) for k in data["curve_kind"].values):
        rows = data["curve"].values == i
        ax.plot(data[first].values[rows], data[second].values[rows], color=colors[kind], lw=1.6)
    for kind in dict.fromkeys(str(k) for k in data["special_kind"].values):
        which = data["special_kind"].values == kind
        _points(ax, data["special_at"].values[which], data["special_second"].values[which], kind)
    ranges = json.loads(data.attrs["followed"])
    ax.set(xlabel=_label(data, first), ylabel=_label(data, second), xlim=ranges[first], ylim=ranges[second])
    kinds = dict.fromkeys(str(k) for k in data["curve_kind"].values)
    _legend(ax, [Line2D([], [], color=colors[k], label=f"{_NAMES.get(k, k)} points") for k in kinds])
    ax.set_title(f"{data.attrs['model']}: where fixed points change")
    return ax


def follow_figure(data: xr.Dataset, path: Path) -> Path:
    """The diagram of a result of ``follow`` as a file; its suffix says which kind."""
    with style():
        figure = Figure(figsize=(6.4, 4.4))
        FigureCanvasAgg(figure)
        ax = figure.subplots()
        if len(json.loads(data.attrs["followed"])) == 2:
            stability_chart(data, ax=ax)
        else:
            bifurcation_diagram(data, ax=ax)
        try:
            figure.savefig(path)
        except ValueError as error:  # matplotlib's list of what it can write
            raise ArgumentError(f"cannot draw into {str(path)!r}: {error}") from error
    return path


# ---------------------------------------------------------------- pieces


def _followed(data: xr.Dataset, number: int) -> list[str]:
    names = list(json.loads(data.attrs.get("followed", "{}")))
    if len(names) != number:
        raise ArgumentError(f"this draws a result of follow in {number} parameter(s); got one in {len(names)}")
    return names


def _line(ax: Axes, x: np.ndarray, y: np.ndarray, stable: np.ndarray, color: str, width: float = 1.8) -> None:
    """One curve in pieces of equal stability; a piece includes the point at which it changes."""
    cuts = [0, *(np.flatnonzero(np.diff(stable.astype(int))) + 1), len(x)]
    for a, b in pairwise(cuts):
        if a < b:
            end = min(b + 1, len(x))
            ax.plot(
                x[a:end], y[a:end], "-" if stable[a] else "--", color=color, lw=width if stable[a] else 0.75 * width
            )


def _level_out(ax: Axes) -> None:
    """What differs by rounding alone is level: without room around it an axis would show the rounding."""
    low, high = ax.get_ylim()
    size = max(abs(low), abs(high))
    if high - low < 1e-9 * (1.0 + size):
        ax.set_ylim(low - 0.5 * (1.0 + size), high + 0.5 * (1.0 + size))


def _draw_cycles(ax: Axes, data: xr.Dataset, state: int) -> None:
    for i in range(data.sizes["family"]):
        rows = np.flatnonzero(data["cycle_family"].values == i)
        hopf = int(data["family_hopf"].values[i])
        x = np.append(data["special_at"].values[hopf], data["cycle_at"].values[rows])
        stable = data["cycle_stable"].values[rows]
        stable = np.append(stable[:1], stable)
        last = _last_hopf(data, i, x[-1])
        if last is not None:
            x, stable = np.append(x, data["special_at"].values[last]), np.append(stable, stable[-1:])
        for side in ("cycle_low", "cycle_high"):
            y = np.append(data["special_state"].values[hopf, state], data[side].values[rows, state])
            y = y if last is None else np.append(y, data["special_state"].values[last, state])
            _line(ax, x, y, stable, COLORS[2], 1.4)
        for k in rows:
            kind = str(data["cycle_kind"].values[k])
            if kind:
                _points(ax, data["cycle_at"].values[[k]], data["cycle_high"].values[[k], state], kind)


def _last_hopf(data: xr.Dataset, family: int, at: float) -> int | None:
    """The Hopf point in which a family of cycles ends, if it does."""
    hopf = np.flatnonzero(data["special_kind"].values == "hopf")
    if str(data["family_ends_in"].values[family]) != "hopf" or not hopf.size:
        return None
    return int(hopf[int(np.argmin(np.abs(data["special_at"].values[hopf] - at)))])


def _level(data: xr.Dataset, name: str, states: Sequence[str], index: int, param: str) -> float:
    """Height of a special point: of a state its own, of an observable the value at the nearest point of its branch."""
    if name in states:
        return float(data["special_state"].values[index, states.index(name)])
    rows = np.flatnonzero(data["branch"].values == int(data["special_branch"].values[index]))
    gap = np.abs(data[param].values[rows] - data["special_at"].values[index])
    for j, s in enumerate(states):
        gap = gap + np.abs(data[s].values[rows] - data["special_state"].values[index, j])
    return float(data[name].values[rows[int(np.argmin(gap))]])


def _points(ax: Axes, x: np.ndarray, y: np.ndarray, kind: str) -> None:
    marker, color = _MARKS[kind]
    known = {h.get_label() for h in ax.get_lines()}
    label = _NAMES.get(kind, kind)
    ax.plot(
        x,
        y,
        marker,
        ls="",
        color=color,
        mec="white",
        mew=0.6,
        ms=11 if marker == "*" else 7,
        label=label if label not in known else None,
        zorder=4,
    )


def _label(data: xr.Dataset, name: str) -> str:
    meaning = str(data[name].attrs.get("long_name", ""))
    if not meaning or len(meaning) > 50:
        return name
    return meaning if meaning.startswith(name) else f"{name} ({meaning})"


def _legend(ax: Axes, lines: list[Line2D]) -> None:
    marks = [h for h in ax.get_lines() if not str(h.get_label()).startswith("_")]
    ax.legend(handles=[*lines, *marks], fontsize=8)
