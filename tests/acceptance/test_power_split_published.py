"""What the paper that proposed the split says about it, on the exact optimum."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar

import toymesa as tm
from toymesa.theorems.power_split import optimum


@given(p=st.floats(1.0, 1e4), n=st.floats(1.0, 1e3), c=st.floats(0.1, 10.0), a=st.floats(1.2, 4.0))
@settings(max_examples=40, deadline=None)
def test_hubinger_2019_the_optimum(p, n, c, a):
    """Hubinger et al. 2019 (arXiv 1906.01820), section 2.1: x* = argmax_x (P - f(x))/N + x, by direct maximization."""
    corner = (p / c) ** (1 / a)
    found = minimize_scalar(
        lambda x: -((p - c * x**a) / n + x), bounds=(0.0, corner), method="bounded", options={"xatol": 1e-12 * corner}
    )
    best = optimum(p, n, cost=c, exponent=a)
    assert best.value == pytest.approx(max(-found.fun, corner), rel=1e-8)  # the search stops short of the corner
    assert best.x == pytest.approx(found.x, rel=1e-3, abs=1e-6 * corner)


@given(p=st.floats(1.0, 1e4), c=st.floats(0.1, 10.0), a=st.floats(0.3, 4.0))
@settings(max_examples=40, deadline=None)
def test_hubinger_2019_diversity_favours_mesa_optimization(p, c, a):
    """The same section: as N increases, x* dominates (P - f(x*))/N, so that mesa-optimization becomes favorable."""
    n = np.geomspace(1.0, 1e6, 49)
    best = optimum(p, n, cost=c, exponent=a)
    assert (np.diff(best.x) >= -1e-12 * best.x.max()).all()
    direct = (p - best.spent) / n
    assume(best.x[-1] > 0)
    assert direct[-1] <= 1e-3 * best.x[-1] or best.limit[-1] != "time"
    assert (np.diff(best.x / (best.x + direct)) >= -1e-9).all()


def test_hubinger_2019_more_instances_in_training():
    """The same, reached by training: the share of the power on an instance that is the mesa-optimizer's grows with N."""
    n = [1.0, 3.0, 10.0, 30.0, 100.0]
    end = tm.solve(tm.models.power_split(), until="steady", params={"instances": n, "power": 100.0}, t=1e7)
    part = (end["x"] / (end["x"] + end["direct"])).values
    assert (np.diff(part) >= -1e-9).all()
    assert part[0] < 0.01
    assert part[-1] == pytest.approx(1.0, abs=1e-4)
    np.testing.assert_allclose(end["x"].values, optimum(100.0, n).x, rtol=1e-4)
