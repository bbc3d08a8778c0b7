"""Posteriors over training time: prior first, fit last, and in between whoever lies on the hull."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from toymesa.plot.style import COLORS, axes


def posterior_course(
    run: xr.Dataset, *, changes: Sequence[float] = (), title: str = "", ax: Axes | None = None
) -> Axes:
    """Shares of the hypotheses over training time on a logarithmic axis, with the exact changes of the lead.

    run: variables ``p_<name>`` over ``time``. changes: times of the changes, in the same units.
    """
    ax = axes(ax)
    time = run["time"].values
    shown = time > 0
    names = [str(n) for n in run.data_vars if str(n).startswith("p_")]
    for i, name in enumerate(names):
        ax.plot(time[shown], run[name].values[shown], color=COLORS[i % len(COLORS)], label=name.removeprefix("p_"))
    for when in changes:
        if np.isfinite(when) and time[shown][0] <= when <= time[-1]:
            ax.axvline(when, color="0.6", lw=1, ls=":")
    ax.set(xscale="log", xlabel="training time", ylabel="posterior", ylim=(-0.02, 1.02), title=title)
    ax.legend(fontsize=8)
    return ax
