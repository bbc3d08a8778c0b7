"""The separatrix portrait draws what it is given, each course in the colour of its side."""

from __future__ import annotations

import numpy as np
import xarray as xr

import toymesa as tm
from toymesa.plot import separatrix_portrait


def test_every_course_and_the_separatrix_are_drawn():
    starts = xr.DataArray([0.2, 0.45, 0.55, 0.8], dims="start")
    runs = tm.solve(tm.models.gated, np.linspace(0.0, 5.0, 60), start={"d": starts})
    ax = separatrix_portrait(runs, slope=np.sqrt(2.0 / 4.0), center=0.5)
    courses = [line for line in ax.lines if len(line.get_xdata()) == 60]
    assert len(courses) == 4
    np.testing.assert_array_equal(courses[2].get_xdata(), runs["d"].transpose("start", "time").values[2])
    assert [c.get_color() == courses[0].get_color() for c in courses] == [True, True, False, False]
    (line,) = (line for line in ax.lines if line.get_label() == "separatrix")
    np.testing.assert_allclose(line.get_ydata(), -np.sqrt(0.5) * (np.asarray(line.get_xdata()) - 0.5))
