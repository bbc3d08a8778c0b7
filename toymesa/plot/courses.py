"""Courses over training time."""

from __future__ import annotations

import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from toymesa.plot.style import COLORS, axes


def bits_course(
    course: xr.Dataset, *, growth_ends: float, decision: np.ndarray, crossover: float, ax: Axes | None = None
) -> Axes:
    """Expected description length over training time for several diversities, with the exact landmarks.

    growth_ends: time by which the amplification is spent. decision: time of the decision, per diversity (drawn as dots).
    crossover: diversity above which the free energy favours the faster mechanism (solid lines; dashed below).
    """
    ax = axes(ax)
    time = course["time"].values
    for i, n in enumerate(course["diversity"].values):
        bits = course["expected_bits"].isel(diversity=i).values
        color, line = COLORS[i % len(COLORS)], "-" if n > crossover else "--"
        ax.plot(time[1:], bits[1:], line, color=color, label=f"n = {n:.3g}")
        if np.isfinite(decision[i]) and time[1] < decision[i] < time[-1]:
            ax.plot(decision[i], np.interp(decision[i], time, bits), "o", color=color, ms=6)
    ax.axvline(growth_ends, color="0.6", lw=1)
    ax.annotate(
        "amplification spent",
        (growth_ends, 1.0),
        xycoords=("data", "axes fraction"),
        xytext=(3, -3),
        textcoords="offset points",
        va="top",
        fontsize=8,
        color="0.35",
    )
    ax.axhline(float(course["expected_bits"].isel(diversity=0, time=0)), color="0.8", lw=1, zorder=0)
    ax.set(xscale="log", xlabel="training time", ylabel="expected description length (bits)")
    ax.set_title("Prior, amplification, free energy")
    ax.legend(fontsize=8, title=f"free energy favours the\nfast one above n = {crossover:.3g}", title_fontsize=8)
    return ax


def contrast_course(run: xr.Dataset, *, title: str, ax: Axes | None = None) -> Axes:
    """Effective number of mechanisms over training time, with the early stop marked.

    run: variable ``n_eff`` over time, attribute ``stop`` (NaN if it never stops).
    """
    ax = axes(ax)
    time, joint = run["time"].values, run["n_eff"].values
    ax.plot(time[1:], joint[1:], color=COLORS[0])
    stop = float(run.attrs["stop"])
    if np.isfinite(stop):
        ax.axvline(stop, color=COLORS[1], lw=1.2)
        ax.plot(stop, np.interp(stop, time, joint), "o", color=COLORS[1], label="stopped early")
    ax.plot(time[-1], joint[-1], "s", color=COLORS[2], label="trained to convergence")
    ax.set(xscale="log", xlabel="training time", ylabel="effective number of mechanisms", ylim=(0.95, 2.05))
    ax.set_title(title)
    ax.legend(fontsize=8)
    return ax
