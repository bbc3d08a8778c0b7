"""Figures of the linear models draw what they are given."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

import toymesa as tm


def test_coupling_map_draws_every_region_and_the_hopf_line():
    a, c = np.linspace(-4, 4, 21), np.linspace(-4, 4, 17)
    label = tm.theorems.linear_joint.coupling_map(a[:, None], 1.0, -0.5, 1.0, c, eps=0.5)
    regions = xr.Dataset(
        {"label": (("a", "C"), label), "hopf": ("C", np.where(c < -2, -2.0, np.nan))},
        coords={"a": ("a", a, {"long_name": "curvature"}), "C": c},
    )
    ax = tm.plot.coupling_map_figure(regions)
    texts = [t.get_text() for t in ax.get_legend().get_texts()]
    words = tm.theorems.linear_joint.MAP_LABELS
    assert texts == [words[i] for i in sorted(set(label.ravel()))] + ["Hopf point (spiral)"]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("C", "curvature")
    np.testing.assert_array_equal(ax.collections[0].get_array(), label)
    with pytest.raises(tm.ArgumentError, match="over two dimensions"):
        tm.plot.coupling_map_figure(regions.isel(a=0))


def test_proxy_course_draws_both_weights_for_every_correlation():
    rho = [0.0, 0.9]
    run = tm.solve(tm.models.proxy(), np.concatenate([[0.0], np.geomspace(0.01, 100, 30)]), params={"rho": rho})
    run["leaving"] = ("rho", tm.theorems.proxy.leaving_time(np.exp(-1), alpha=2.0, rho=rho))
    ax = tm.plot.proxy_course(run)
    drawn = [line for line in ax.lines if len(line.get_xdata()) == 30]
    np.testing.assert_array_equal(drawn[2].get_ydata(), run["w_true"].values[1, 1:])
    np.testing.assert_array_equal(drawn[3].get_ydata(), run["w_proxy"].values[1, 1:])
    assert len([line for line in ax.lines if line.get_marker() == "o"]) == 2
    with pytest.raises(tm.ArgumentError, match="over rho and time"):
        tm.plot.proxy_course(run.isel(rho=0))
