"""The race of chains: what depth makes of a head start."""

from __future__ import annotations

from collections.abc import Mapping

import xarray as xr
from matplotlib.axes import Axes

from toymesa.plot.style import COLORS, axes


def race_shares(runs: Mapping[str, xr.Dataset], *, leader: str, ax: Axes | None = None) -> Axes:
    """The leader's share while the strengths grow together to 1, one line a run.

    runs: label (such as "depth 3") -> trajectory of the model ``race`` over ``time``, with the variables ``strength``
    and ``share_<leader>``. The horizontal axis is the total strength, so that runs of different pace can be compared;
    flat lines conserve the shares, rising ones pull them apart (the transient meaning of unstable), falling ones
    contract them. A dot marks where each run ends.
    """
    ax = axes(ax)
    for i, (label, run) in enumerate(runs.items()):
        total, share = run["strength"].values, run[f"share_{leader}"].values
        color = COLORS[i % len(COLORS)]
        ax.plot(total, share, color=color, label=label)
        ax.plot(total[-1], share[-1], "o", color=color, ms=5)
    ax.set(xscale="log", xlabel="total strength (1: the base target is reached)", ylabel=f"share of {leader}")
    ax.set_title("Depth decides what becomes of a head start")
    ax.legend(fontsize=8)
    return ax
