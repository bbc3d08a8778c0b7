"""The gated race: on which side of the separatrix a start lies decides which mechanism training picks."""

from __future__ import annotations

import xarray as xr
from matplotlib.axes import Axes

from toymesa.plot.style import COLORS, axes


def separatrix_portrait(
    runs: xr.Dataset, *, slope: float, center: float, ends: bool = True, ax: Axes | None = None
) -> Axes:
    """Courses of the model ``gated`` in the plane of gate and lead, on both sides of the separatrix.

    runs: variables ``w``, ``m`` and ``d`` over ``time`` and one more dimension, a course an entry. slope, center: the
    separatrix m - w = -slope (d - center), with slope = sqrt(S/(n eta_d)), S = eta_w + eta_m, and center = eta_w/S. A
    course is coloured by the side on which it starts, and never crosses. ends: mark the stops by dots.
    """
    ax = axes(ax)
    (other,) = (d for d in runs["d"].dims if d != "time")
    gate, lead = runs["d"], runs["m"] - runs["w"]
    above = lead.isel(time=0) + slope * (gate.isel(time=0) - center) > 0
    named: set[bool] = set()
    for i in range(runs.sizes[other]):
        side = bool(above.isel({other: i}))
        x, y = gate.isel({other: i}).values, lead.isel({other: i}).values
        label = None if side in named else ("on the side of m" if side else "on the side of w")
        named.add(side)
        ax.plot(x, y, color=COLORS[0 if side else 1], lw=1.3, label=label)
        if ends:
            ax.plot(x[-1], y[-1], "o", color=COLORS[0 if side else 1], ms=4)
    (low, high), kept = ax.get_xlim(), ax.get_ylim()
    ax.plot([low, high], [-slope * (low - center), -slope * (high - center)], "--", color="0.3", label="separatrix")
    ax.set(xlim=(low, high), ylim=kept, xlabel="gate d (reliance on m)", ylabel="lead m - w")
    ax.set_title("The start tells which mechanism wins")
    ax.legend(fontsize=8)
    return ax
