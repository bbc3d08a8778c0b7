"""Deceptive crystallization: what the agent wants stops moving, and what it does shows only at the end."""

from __future__ import annotations

import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from toymesa.plot.style import COLORS, axes


def crystallization_course(run: xr.Dataset, *, bound: float | None = None, ax: Axes | None = None) -> Axes:
    """What the agent wants and what it does, from one trajectory of the model ``crystallization`` over ``time``.

    Variables used: ``w`` and ``deferral``. The action w + d (1-w) stays near the base target 1 until the agent defects.
    bound : what w cannot exceed (dashed): w_0 + (1 - w_0) times ``theorems.crystallization.most_moved``.
    """
    ax = axes(ax)
    time, w, d = run["time"].values, run["w"].values, run["deferral"].values
    ax.axhline(1.0, color="0.85", lw=1, zorder=0)
    ax.plot(time, w + d * (1.0 - w), color=COLORS[1], label="what it does")
    ax.plot(time, w, color=COLORS[0], label="what it wants")
    ax.plot(time, d, ":", color="0.4", label="deferral")
    if bound is not None and np.isfinite(bound):
        ax.axhline(bound, color=COLORS[0], ls="--", lw=1, label="no training moves it further")
    ax.set(xlabel="training time", ylabel="1 = the base target", ylim=(min(0.0, float(np.nanmin(w))) - 0.02, 1.05))
    ax.set_title("The mesa-objective crystallizes; the agent defects at the end")
    ax.legend(fontsize=8)
    return ax
