"""Phase portraits: sampled rates in, Axes out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from toymesa.plot.style import COLORS, axes

# kind of a fixed point -> marker, filled or not, colour: stable ones are filled
MARKERS: Mapping[str, tuple[str, bool, str]] = {
    "stable": ("o", True, COLORS[2]),
    "stable-spiral": ("h", True, COLORS[2]),
    "saddle": ("X", False, COLORS[1]),
    "unstable": ("o", False, COLORS[1]),
    "unstable-spiral": ("h", False, COLORS[1]),
    "centre": ("P", False, COLORS[0]),
    "drift": ("D", True, COLORS[4]),
    "undecided": ("s", False, "0.3"),
}


def phase_portrait(
    rates: xr.Dataset, *, points: Iterable[Any] = (), continua: Iterable[Any] = (), ax: Axes | None = None
) -> Axes:
    """Streamlines, nullclines and fixed points over two states; rate and direction over one.

    rates: variables ``rate_<state>`` over one or two states, as ``toymesa.analyse.sampled_rates`` gives. points,
    continua: of a census; each is drawn where its state lies, by its kind (filled where it is stable). Returns the Axes.
    """
    ax = axes(ax)
    names = [str(d) for d in rates[next(iter(rates.data_vars))].dims]
    kinds = _line(rates, names[0], ax) if len(names) == 1 else _plane(rates, names, ax)
    marks = [(p.state, p.kind) for p in points] + [(c.through, c.kind) for c in continua]
    for state, kind in marks:
        y = 0.0 if len(names) == 1 else state[names[1]]
        _mark(ax, state[names[0]], y, kind)
    shown = [k for k in MARKERS if k in {kind for _, kind in marks}]
    handles = [*kinds, *(_handle(k) for k in shown)]
    if handles:
        ax.legend(handles=handles, fontsize=8, loc="upper left", bbox_to_anchor=(1.01, 1.0), borderaxespad=0.0)
    ax.set_title(rates.attrs.get("model", ""))
    return ax


def _plane(rates: xr.Dataset, names: list[str], ax: Axes) -> list[Line2D]:
    first, second = names
    x, y = rates[first].values, rates[second].values
    u = rates[f"rate_{first}"].transpose(second, first).values
    v = rates[f"rate_{second}"].transpose(second, first).values
    masked = np.ma.masked_invalid(u), np.ma.masked_invalid(v)
    ax.streamplot(x, y, *masked, color="0.65", linewidth=0.7, density=1.1, arrowsize=0.8)
    handles = []
    for values, name, color, style in ((u, first, COLORS[0], "--"), (v, second, COLORS[3], "-.")):
        if np.nanmin(values) < 0.0 < np.nanmax(values):
            ax.contour(
                x, y, np.ma.masked_invalid(values), levels=[0.0], colors=[color], linewidths=1.4, linestyles=[style]
            )
            handles.append(Line2D([], [], color=color, linestyle=style, label=f"{name} at rest"))
    ax.set(xlabel=first, ylabel=second, xlim=(x[0], x[-1]), ylim=(y[0], y[-1]))
    return handles


def _line(rates: xr.Dataset, name: str, ax: Axes) -> list[Line2D]:
    x, u = rates[name].values, rates[f"rate_{name}"].values
    ax.axhline(0.0, color="0.7", lw=1)
    ax.plot(x, u, color=COLORS[0])
    at = np.linspace(0, x.size - 1, 13).astype(int)[1:-1]
    for right, marker in ((True, ">"), (False, "<")):
        pick = at[(u[at] > 0) == right]
        ax.plot(x[pick], np.zeros(pick.size), marker, color="0.45", ms=5)
    what = "step" if rates.attrs.get("discrete") else "rate"
    ax.set(xlabel=name, ylabel=f"{what} of {name}", xlim=(x[0], x[-1]))
    return []


def _mark(ax: Axes, x: float, y: float, kind: str) -> None:
    marker, filled, color = MARKERS[kind]
    ax.plot(x, y, marker, ms=9, mec=color, mfc=color if filled else "white", mew=1.6, zorder=5, clip_on=False)


def _handle(kind: str) -> Line2D:
    marker, filled, color = MARKERS[kind]
    return Line2D([], [], linestyle="", marker=marker, mec=color, mfc=color if filled else "white", mew=1.6, label=kind)
