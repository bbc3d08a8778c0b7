"""Basin maps: labelled starts in, Axes out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.colors import BoundaryNorm, ListedColormap, to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from toymesa.errors import ArgumentError, DomainError
from toymesa.plot.style import COLORS, axes, style

_GREY = "0.82"


def basin_map(
    found: xr.Dataset,
    *,
    exact: xr.DataArray | None = None,
    exact_label: str = "exact separatrix",
    against: xr.Dataset | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Which start ends where, over two coordinates of the start; unresolved starts are grey and hatched.

    found: of :func:`toymesa.basins`, over two coordinates on a grid, one value of each parameter. Brackets of a boundary
    (``refine``) are drawn as dots. exact: a function over the same two dimensions (``start_<name>``) whose zero line is the
    exact boundary, drawn over the map. against: the same starts under other outcomes, in corresponding order; starts whose
    label differs are hatched. Returns the Axes. Raises DomainError for another number of dimensions.
    """
    ax = axes(ax)
    dims = [str(d) for d in found["label"].dims]
    if len(dims) != 2 or not all(d.startswith("start_") for d in dims):
        raise DomainError(f"a basin map needs two coordinates of the start on a grid; got dimensions {dims}")
    x, y = (found[d].values for d in dims)
    label = found["label"].transpose(dims[1], dims[0]).values
    names = [str(n) for n in found["outcome"].values]
    colors = [_pale(COLORS[i % len(COLORS)]) for i in range(len(names))]
    norm = BoundaryNorm(np.arange(-1, len(names) + 1) - 0.5, len(names) + 1)
    ax.pcolormesh(_edges(x), _edges(y), label, cmap=ListedColormap([_GREY, *colors]), norm=norm)
    handles: list[Any] = []
    for i, name in enumerate(names):
        if (label == i).any():
            handles.append(Patch(color=colors[i], label=f"{name} ({float(found['fraction'].values[i]):.0%})"))
    if (label < 0).any():
        _hatch(ax, x, y, label < 0, "///")
        handles.append(Patch(facecolor=_GREY, hatch="///", label=f"unresolved ({float(found['unresolved']):.0%})"))
    if against is not None:
        differ = against["label"].transpose(dims[1], dims[0]).values != label
        _hatch(ax, x, y, differ, "xxx")
        handles.append(Patch(facecolor="white", hatch="xxx", label=f"labels differ ({differ.mean():.1%})"))
    if exact is not None:
        level = exact.transpose(dims[1], dims[0]).values
        ax.contour(x, y, level, levels=[0.0], colors=["black"], linewidths=1.5)
        handles.append(Line2D([], [], color="black", linewidth=1.5, label=exact_label))
    if "edge_width" in found and found.sizes["edge"]:
        middle = [found[f"edge_{d.removeprefix('start_')}"].mean("side").values for d in dims]
        ax.plot(*middle, "o", ms=2.5, mfc="white", mec="black", mew=0.6)
        handles.append(
            Line2D([], [], linestyle="", marker="o", ms=4, mfc="white", mec="black", label="measured boundary")
        )
    words = [d.removeprefix("start_") for d in dims]
    ax.set(xlabel=f"{words[0]} at the start", ylabel=f"{words[1]} at the start", xlim=(x[0], x[-1]), ylim=(y[0], y[-1]))
    ax.set_title(str(found.attrs.get("model", "")))
    ax.legend(handles=handles, fontsize=8, loc="upper left", bbox_to_anchor=(1.01, 1.0), borderaxespad=0.0)
    return ax


def basin_figure(found: xr.Dataset, path: Path) -> None:
    """Draw :func:`basin_map` into a file; ArgumentError for another kind of file than PNG, SVG or PDF."""
    if path.suffix.lower() not in (".png", ".svg", ".pdf"):
        raise ArgumentError(f"a figure is a .png, .svg or .pdf file; got {path.name!r}")
    with style():
        figure = Figure(figsize=(7.2, 4.4))
        basin_map(found, ax=figure.subplots())
        figure.savefig(path, metadata={"Date": None} if path.suffix.lower() == ".svg" else None)


def _hatch(ax: Axes, x: np.ndarray, y: np.ndarray, where: np.ndarray, hatch: str) -> None:
    if where.any():
        cells = np.ma.masked_where(~where, np.zeros(where.shape))
        clear = ListedColormap([(0.0, 0.0, 0.0, 0.0)])  # an alpha would take the hatch with it
        ax.pcolor(_edges(x), _edges(y), cells, cmap=clear, hatch=hatch, edgecolor="0.35", linewidth=0.0)


def _pale(color: str) -> tuple[float, ...]:
    """The colour mixed with white, so that lines and dots stand out on it."""
    return tuple(0.45 + 0.55 * c for c in to_rgb(color))


def _edges(values: np.ndarray) -> np.ndarray:
    """Cell edges halfway between the values of a linear axis."""
    if values.size == 1:
        return np.array([values[0] - 0.5, values[0] + 0.5])
    middle = (values[1:] + values[:-1]) / 2
    return np.concatenate([[2 * values[0] - middle[0]], middle, [2 * values[-1] - middle[-1]]])
