"""A transient mechanism: learned first, given up later."""

from __future__ import annotations

import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from toymesa.plot.style import COLORS, axes


def transience_course(run: xr.Dataset, *, lifetime: float = np.nan, ax: Axes | None = None) -> Axes:
    """Strengths of two mechanisms and the loss over training time (logarithmic), with the predicted end of the first.

    run: variables ``mechanism_1``, ``mechanism_2`` and ``loss`` over ``time``. lifetime: predicted lifetime of the first;
    it is drawn from the time at which the first mechanism reaches half its strength.
    """
    ax = axes(ax)
    time, first = run["time"].values, run["mechanism_1"].values
    shown = time > 0
    labels = {"mechanism_1": "mechanism 1", "mechanism_2": "mechanism 2", "loss": "loss"}
    for i, (name, label) in enumerate(labels.items()):
        line = "--" if name == "loss" else "-"
        ax.plot(time[shown], run[name].values[shown], line, color=COLORS[i], label=label)
    if np.isfinite(lifetime) and (first > 0.5).any():
        learned = time[np.argmax(first > 0.5)]
        ax.axvspan(learned, learned + lifetime, color="0.92", zorder=0, label="predicted lifetime")
    ax.set(xscale="log", xlabel="training time", ylabel="strength, loss", ylim=(-0.05, 1.1))
    ax.set_title("What short training finds, more training gives up")
    ax.legend(fontsize=8)
    return ax
