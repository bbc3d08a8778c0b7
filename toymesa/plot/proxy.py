"""Proxy alignment: what the mesa-objective wants over training, and what that costs in deployment."""

from __future__ import annotations

import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from toymesa.errors import ArgumentError
from toymesa.plot.style import COLORS, axes


def proxy_course(run: xr.Dataset, *, ax: Axes | None = None) -> Axes:
    """Weights on the true feature (solid) and on the proxy (dashed) over training time, a colour a correlation.

    run: variables ``w_true`` and ``w_proxy`` over ``rho`` and ``time``, as ``solve`` gives them. A variable ``leaving``
    over ``rho``, if there is one, is marked by a dot: the time in which the slow direction relaxes.
    Raises ArgumentError for a result without these dimensions.
    """
    if not {"w_true", "w_proxy"} <= set(run.data_vars) or not {"rho", "time"} <= set(run["w_true"].dims):
        raise ArgumentError(f"the figure needs w_true and w_proxy over rho and time; got {dict(run.sizes)}")
    ax = axes(ax)
    time = run["time"].values
    later = time > 0
    for i, rho in enumerate(run["rho"].values):
        color, one = COLORS[i % len(COLORS)], run.isel(rho=i)
        ax.plot(time[later], one["w_true"].values[later], "-", color=color, label=rf"$\rho$ = {rho:.4g}")
        ax.plot(time[later], one["w_proxy"].values[later], "--", color=color)
        if "leaving" in run:
            when = float(one["leaving"])
            if np.isfinite(when) and time[later][0] <= when <= time[-1]:
                ax.plot(when, np.interp(when, time, one["w_true"].values), "o", color=color, ms=5)
    ax.axhline(1.0, color="0.8", lw=1, zorder=0)
    ax.axhline(0.0, color="0.8", lw=1, zorder=0)
    ax.set(xscale="log", xlabel="training time", ylabel="weight (solid: true feature, dashed: proxy)")
    ax.set_title("The proxy is learned first, and left last")
    ax.legend(fontsize=8, loc="upper left")
    return ax
