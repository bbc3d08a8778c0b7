"""Capability times objective: what a shift of the base target leaves."""

from __future__ import annotations

import xarray as xr
from matplotlib.axes import Axes

from toymesa.plot.style import COLORS, axes

_LINES = {
    "loss": ("base loss in training", "-"),
    "deployment_loss": ("base loss in deployment", "-"),
    "mesa_loss": ("mesa-objective left, in both", "--"),
}


def capability_course(run: xr.Dataset, *, ax: Axes | None = None) -> Axes:
    """Three losses over training time, from one trajectory of the model ``capability`` over ``time``.

    Variables used: ``loss``, ``deployment_loss``, ``mesa_loss`` and ``product``. After the plateau beside the saddle the
    training loss falls to 0, and the deployment loss goes wherever the shift of the target takes it, while the inner
    optimizer pursues its own objective as well in deployment as in training (dashed).
    """
    ax = axes(ax)
    time = run["time"].values
    for i, (name, (label, line)) in enumerate(_LINES.items()):
        ax.plot(time, run[name].values, line, color=COLORS[i], label=label)
    ax.plot(time, run["product"].values, ":", color="0.4", label="what it does (kappa w)")
    ax.axhline(0.0, color="0.85", lw=1, zorder=0)
    ax.set(xlabel="training time", ylabel="loss, and action per unit of the task")
    ax.set_title("The capability survives the shift, the objective does not")
    ax.legend(fontsize=8)
    return ax
