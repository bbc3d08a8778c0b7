"""The staircase of learned modes, by depth."""

from __future__ import annotations

import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from toymesa.plot.style import COLORS, axes


def depth_staircase(run: xr.Dataset, *, unit: float = 1.0, ax: Axes | None = None) -> Axes:
    """Effective rank over training time, one curve a depth, each in units of the time of its own first step.

    run: variable ``effective_rank`` over ``depth`` and ``time``, and optionally ``first_step`` over ``depth``, by which
    times are divided (their logarithm is the axis), so that depths can be compared. unit: divides times where there is
    none.
    """
    ax = axes(ax)
    time = run["time"].values
    begin, end = np.inf, 0.0  # where something is learned
    for i, d in enumerate(run["depth"].values):
        scale = float(run["first_step"].values[i]) if "first_step" in run else unit
        rank = run["effective_rank"].isel(depth=i).values
        shown = time > 0
        moving = shown & (rank > 0.01) & (rank < rank[-1] - 0.01)
        if moving.any():
            begin, end = min(begin, time[moving][0] / scale), max(end, time[moving][-1] / scale)
        ax.plot(time[shown] / scale, rank[shown], color=COLORS[i % len(COLORS)], label=f"D = {d:g}")
    top = int(np.ceil(float(run["effective_rank"].max()) - 1e-9))
    for level in range(1, top + 1):
        ax.axhline(level, color="0.85", lw=0.8, zorder=0)
    if begin < end:
        ax.set_xlim(begin / 2.0, end * 2.0)
    ax.set(xscale="log", ylabel="effective rank (modes learned)")
    ax.set_xlabel("training time / time of the first step" if "first_step" in run else "training time")
    ax.set_title("Deeper chains learn one mode at a time")
    ax.legend(fontsize=8)
    return ax
