"""The in-context learner: plateaus of the base loss, and the exact levels they lie on."""

from __future__ import annotations

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from numpy.typing import ArrayLike

from toymesa.plot.style import COLORS, axes


def in_context_course(run: xr.Dataset, *, levels: ArrayLike = (), ax: Axes | None = None) -> Axes:
    """Base loss over training time, from trajectories of the model ``in_context`` over ``time`` and at most one parameter.

    Variables used: ``loss``, and ``deployment_loss`` (dashed) where there is one trajectory. levels : exact losses to
    compare with, such as ``theorems.in_context.saddle_losses`` (drawn as thin lines).
    """
    ax = axes(ax)
    time, loss = run["time"].values, run["loss"]
    swept = [str(name) for name in loss.dims if name != "time"]
    for level in np.ravel(np.asarray(levels, dtype=float)):
        ax.axhline(level, color="0.8", lw=1, zorder=0)
    if swept:
        for i, value in enumerate(run[swept[0]].values):
            color = COLORS[i % len(COLORS)]
            ax.plot(time, loss.isel({swept[0]: i}).values, color=color, label=f"{swept[0]} {value:g}")
    else:
        ax.plot(time, loss.values, color=COLORS[0], label="base loss in training")
        ax.plot(time, run["deployment_loss"].values, "--", color=COLORS[1], label="base loss in deployment")
    ax.set(xlabel="training time", ylabel=r"base loss, $\frac{1}{2}$ E|error|$^2$ per dimension", ylim=(0.0, None))
    ax.set_title("Plateau, then abrupt: training builds an in-context learner")
    ax.legend(fontsize=8)
    return ax
