"""The staircase is drawn as it is given."""

from __future__ import annotations

import numpy as np
import xarray as xr

from toymesa.plot import depth_staircase
from toymesa.theorems import depth as theorems


def staircase() -> xr.Dataset:
    depths, time = np.array([1.0, 2.0, 3.0, 4.0]), np.geomspace(1e-2, 1e6, 300)
    targets = [1.0, 0.25, 0.0625]
    rank = np.stack([theorems.effective_rank(time, targets=targets, start=1e-6, depth=d) for d in depths])
    first = theorems.time_to_reach(0.5, target=1.0, start=1e-6, depth=depths)
    return xr.Dataset(
        {"effective_rank": (("depth", "time"), rank), "first_step": ("depth", first)},
        coords={"depth": depths, "time": time},
    )


def test_one_curve_a_depth_and_one_line_a_mode():
    run = staircase()
    ax = depth_staircase(run)
    curves = [line for line in ax.lines if line.get_label().startswith("D = ")]
    assert [c.get_label() for c in curves] == ["D = 1", "D = 2", "D = 3", "D = 4"]
    assert np.array_equal(curves[2].get_ydata(), run["effective_rank"].values[2])
    assert len(ax.lines) == 4 + 3
