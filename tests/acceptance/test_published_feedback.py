"""Published bifurcations of feedback systems: adaptive control and a circuit of three feedback loops."""

import numpy as np
import pytest
import sympy as sp
from published_systems import cycle_specials, flow, printed, reals, specials

import toymesa as tm

x, y, z = reals("x y z")


def test_the_cycles_of_an_adaptive_control_system():
    """Kuznetsov 2004, example 5.4, x''' + alpha x'' + beta x' + x - x^2 = 0; MatCont manual, testadapt with beta = 1.

    Hopf at alpha = 1 (printed 1.000002), first Lyapunov coefficient -0.3 (printed -3.000001e-001); the cycle doubles its
    period at alpha = 6.303020e-001, with period 6.364071e+000.
    """
    alpha = sp.Symbol("alpha", real=True)
    m = flow("control", {x: y, y: z, z: -alpha * z - y - x + x**2}, alpha=1.2)
    box = {"x": (-1, 2), "y": (-2, 2), "z": (-2, 2)}
    data = tm.follow(m, "alpha", [0.5, 1.5], start={"x": 0, "y": 0, "z": 0}, box=box)
    assert specials(data, "hopf") == pytest.approx([1], rel=1e-12)
    assert data["special_omega"].item() == pytest.approx(1, rel=1e-12)
    assert data["special_lyapunov"].item() == pytest.approx(-0.3, rel=1e-12)
    ((at, period),) = cycle_specials(data, "period-doubling")
    assert (printed(at, "6.303020e-1"), printed(period, "6.364071")) == (True, True)
    np.testing.assert_array_equal(data["cycle_stable"], data["cycle_at"] > at)


def test_three_loops_of_feedback():
    """Thomas 1999, Sprott and Chlouverakis 2007: pitchfork at b = 1; the two states that it makes oscillate at b = 0.32899.

    Exact: x = y = z with sin x = b x and cos x = -2 b. On the way six more pairs of states appear in folds, which the source
    does not mention; interval arithmetic counts 3 at b = 0.5 and 15 at b = 0.33.
    """
    b = sp.Symbol("b", positive=True)
    rates = {x: sp.sin(y) - b * x, y: sp.sin(z) - b * y, z: sp.sin(x) - b * z}
    m = flow("loops", rates, {x: 1, y: 1, z: 1}, b=0.5)
    box = dict.fromkeys("xyz", (-3.5, 3.5))
    data = tm.follow(m, "b", [0.325, 1.2], box=box, cycles=False)
    assert specials(data, "branch") == pytest.approx([1], abs=1e-10)
    found = specials(data, "hopf")
    assert len(found) == 2
    assert all(printed(v, "0.32899") for v in found)
    at = float(sp.nsolve(sp.tan(x) + x / 2, x, 2.289))  # tan x = -x/2
    np.testing.assert_allclose(found, np.sin(at) / at, rtol=1e-10)
    folds = specials(data, "fold")
    assert len(folds) == 6
    assert np.ptp(folds) < 1e-9
    for level, count in ((0.5, 3), (0.33, 15)):
        census = tm.fixed_points(m, params={"b": level}, box=box)
        assert (census.complete, len(census.points)) == (True, count)
