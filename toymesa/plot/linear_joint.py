"""The linear joint flow: where seeing through the inner optimizer decides about stability."""

from __future__ import annotations

import numpy as np
import xarray as xr
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.colors import BoundaryNorm, ListedColormap
from matplotlib.patches import Patch

from toymesa.errors import ArgumentError
from toymesa.plot.style import COLORS, axes
from toymesa.theorems.linear_joint import MAP_LABELS

_COLORS = {-1: "#DDDDDD", 0: "#8C8C8C", 1: COLORS[2], 2: COLORS[1], 3: COLORS[5]}


def coupling_map_figure(regions: xr.Dataset, *, ax: Axes | None = None) -> Axes:
    """Stability with and without seeing through the inner optimizer, over two parameters.

    regions: variable ``label`` (whole numbers -1 to 3, as ``toymesa.theorems.linear_joint.coupling_map`` gives them)
    over exactly two dimensions; the first is drawn upwards. A variable ``hopf`` over the second dimension, if there is
    one, is drawn as a line: values of the first at which the joint pair turns into a growing spiral.
    Raises ArgumentError for another number of dimensions.
    """
    if "label" not in regions or regions["label"].ndim != 2:
        raise ArgumentError(f"the map needs a variable 'label' over two dimensions; got {dict(regions.sizes)}")
    ax = axes(ax)
    up, right = map(str, regions["label"].dims)
    x, y = regions[right].values, regions[up].values
    labels = sorted(_COLORS)
    ax.pcolormesh(
        x,
        y,
        regions["label"].values,
        cmap=ListedColormap([_COLORS[i] for i in labels]),
        norm=BoundaryNorm(np.array([*labels, labels[-1] + 1]) - 0.5, len(labels)),
        shading="nearest",
        alpha=0.75,
        rasterized=True,
    )
    shown = [i for i in labels if (regions["label"].values == i).any()]
    handles: list[Artist] = [Patch(color=_COLORS[i], alpha=0.75, label=MAP_LABELS[i]) for i in shown]
    if "hopf" in regions:
        (line,) = ax.plot(x, regions["hopf"].values, "--", color="black", lw=1.5, label="Hopf point (spiral)")
        handles.append(line)
    ax.set(xlabel=_named(regions, right), ylabel=_named(regions, up), xlim=(x.min(), x.max()), ylim=(y.min(), y.max()))
    ax.set_title("Two optimizers: who is stable?")
    ax.legend(handles=handles, fontsize=8, loc="upper left", frameon=True, framealpha=0.9)
    return ax


def _named(data: xr.Dataset, dim: str) -> str:
    return str(data[dim].attrs.get("long_name", dim))
