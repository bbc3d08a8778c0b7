"""The figure of the posterior draws what it is given."""

from __future__ import annotations

import numpy as np

import toymesa as tm
from toymesa.plot import posterior_course


def test_every_hypothesis_and_every_change_is_drawn():
    run = tm.solve(tm.models.posterior(), np.geomspace(0.01, 100, 50))
    ax = posterior_course(run, changes=[4.6, 1e9], title="prior against fit")
    drawn = {line.get_label(): line for line in ax.lines}
    assert np.array_equal(drawn["middle"].get_ydata(), run["p_middle"].values)
    assert len(ax.lines) == 4
    assert ax.get_title() == "prior against fit"
