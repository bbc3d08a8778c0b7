"""The transience figure draws what it is given."""

from __future__ import annotations

import numpy as np

import toymesa as tm
from toymesa.plot import transience_course


def test_strengths_loss_and_lifetime_are_drawn():
    run = tm.solve(tm.models.coopetition(), np.geomspace(0.1, 1e3, 60), method="rodas5p")
    ax = transience_course(run, lifetime=94.0)
    drawn = {line.get_label(): line for line in ax.lines}
    assert np.array_equal(drawn["mechanism 1"].get_ydata(), run["mechanism_1"].values)
    assert len(ax.patches) == 1
    assert not transience_course(run).patches
