"""Phase diagrams over compute and diversity."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.colors import BoundaryNorm, ListedColormap, LogNorm
from matplotlib.patches import Patch

from toymesa.plot.style import COLORS, SEQUENTIAL, axes


def joint_diagram(symmetric: xr.Dataset, table: xr.Dataset, *, threshold: float, ax: Axes | None = None) -> Axes:
    """Measured asymmetry at the stop over (diversity, compute), with the exact curve drawn over it.

    symmetric: variable ``asymmetry``. table: ``critical_diversity``, its converged value and the measured one, over
    compute. threshold: the asymmetry that ends 'joint'. Cells that failed are hatched.
    """
    ax = axes(ax)
    c, n = symmetric["compute"].values, symmetric["diversity"].values
    worst = symmetric["asymmetry"].transpose("diversity", "compute").values
    mesh = ax.pcolormesh(
        _edges(c), _edges(n), worst, norm=LogNorm(max(np.nanmin(worst), 1e-6), np.nanmax(worst)), cmap=SEQUENTIAL
    )
    _hatch(ax, c, n, ~np.isfinite(worst))
    ax.plot(table["compute"], table["critical_diversity"], color="white", lw=2.5)
    ax.plot(table["compute"], table["critical_diversity"], color=COLORS[1], lw=1.5, label="exact, stopped there")
    ax.plot(
        table["compute"],
        table["measured_critical_diversity"],
        "o",
        ms=4,
        mfc="white",
        mec=COLORS[1],
        label="measured, nonlinear model",
    )
    ax.plot(
        table["compute"],
        table["critical_diversity_converged"],
        "--",
        color="white",
        lw=1.5,
        label="exact, trained to convergence",
    )
    ax.set(xscale="log", yscale="log", xlabel="compute (FLOP)", ylabel="diversity (effective tasks)")
    ax.set_title("Still joint when training stops?")
    legend = ax.legend(
        loc="upper right", labelcolor="white", frameon=True, facecolor="0.15", edgecolor="none", fontsize=8
    )
    legend.set_zorder(5)
    bar = ax.figure.colorbar(mesh, ax=ax, label="asymmetry of reliance at the stop")
    bar.ax.axhline(threshold, color=COLORS[1], lw=2)
    return ax


def leader_diagram(stopped: xr.Dataset, *, names: Sequence[str], ax: Axes | None = None) -> Axes:
    """Who leads at the stop (colour) and how joint it still is (contours of n_eff), over (diversity, compute).

    Cells that failed are hatched.
    """
    ax = axes(ax)
    c, n = stopped["compute"].values, stopped["diversity"].values
    ax.set(xscale="log", yscale="log", xlabel="compute (FLOP)", ylabel="diversity (effective tasks)")
    leader = stopped["leader"].transpose("diversity", "compute").values
    index = np.full(leader.shape, np.nan)
    for i, name in enumerate(names):
        index[leader == name] = i
    colors = [COLORS[i % len(COLORS)] for i in range(len(names))]
    norm = BoundaryNorm(np.arange(len(names) + 1) - 0.5, len(names))
    ax.pcolormesh(_edges(c), _edges(n), index, cmap=ListedColormap(colors), norm=norm, alpha=0.6)
    _hatch(ax, c, n, ~np.isfinite(index))
    joint = stopped["n_eff"].transpose("diversity", "compute").values
    if joint.shape[0] > 1 and joint.shape[1] > 1 and np.nanmax(joint) - np.nanmin(joint) > 0.05:
        lines = ax.contour(c, n, joint, levels=6, colors="black", linewidths=0.8)
        ax.clabel(lines, fontsize=8, fmt="%.2f")
    ax.set_title("Who leads at the stop; contours: effective number of mechanisms")
    shown = [i for i in range(len(names)) if (index == i).any()]
    failed = [Patch(facecolor="white", hatch="///", label="failed")] if not np.isfinite(index).all() else []
    ax.legend(
        handles=[Patch(color=colors[i], alpha=0.6, label=names[i]) for i in shown] + failed,
        loc="upper right",
        framealpha=0.9,
        frameon=True,
    )
    return ax


def _edges(values: np.ndarray) -> np.ndarray:
    """Cell edges of a logarithmic axis."""
    logs = np.log(values)
    if logs.size == 1:
        return np.exp(np.array([logs[0] - 0.5, logs[0] + 0.5]))
    middle = (logs[1:] + logs[:-1]) / 2
    return np.exp(np.concatenate([[2 * logs[0] - middle[0]], middle, [2 * logs[-1] - middle[-1]]]))


def _hatch(ax: Axes, c: np.ndarray, n: np.ndarray, missing: np.ndarray) -> None:
    if missing.any():
        cells = np.ma.masked_where(~missing, np.zeros(missing.shape))
        clear = ListedColormap([(0.0, 0.0, 0.0, 0.0)])  # an alpha would take the hatch with it
        ax.pcolor(_edges(c), _edges(n), cells, cmap=clear, hatch="///", edgecolor="0.35", linewidth=0.0)
