"""The split of optimization power: where it is limited by time, and where by diversity."""

from __future__ import annotations

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from numpy.typing import ArrayLike

from toymesa.plot.style import COLORS, SEQUENTIAL, axes


def power_split_diagram(
    data: xr.Dataset, *, border: tuple[ArrayLike, ArrayLike] | None = None, ax: Axes | None = None
) -> Axes:
    """The power of the mesa-optimizer (bits) over base power and instances, with what limits it.

    data: variable ``x`` over the dimensions ``power`` and ``instances``, as ``solve`` or the theorem gives it; 0 and
    what failed are left white. border: (power, instances) of the line between the regimes, drawn over it.
    """
    ax = axes(ax)
    power, instances = data["power"].values, data["instances"].values
    x = data["x"].transpose("instances", "power").values
    shown = np.ma.masked_where(~np.isfinite(x) | (x <= 0.0), x)
    norm = LogNorm() if shown.count() and shown.max() > shown.min() else None
    mesh = ax.pcolormesh(power, instances, shown, norm=norm, cmap=SEQUENTIAL, shading="nearest")
    ax.figure.colorbar(mesh, ax=ax, label="mesa-optimizer (bits on each instance)")
    if border is not None:
        at, n = np.asarray(border[0], dtype=float), np.asarray(border[1], dtype=float)
        ax.plot(at, n, color="white", lw=3)
        ax.plot(at, n, color=COLORS[1], lw=1.5, label="all power is spent on it to the left of this line")
        ax.legend(fontsize=8, labelcolor="white", loc="upper left")
    ax.set(xscale="log", yscale="log", xlabel="base optimization power (bits)", ylabel="environment instances")
    ax.set(xlim=(power[0], power[-1]), ylim=(instances[0], instances[-1]))
    ax.set_title("Limited by training time, or by diversity")
    return ax
